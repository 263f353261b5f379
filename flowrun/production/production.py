"""A production: one manifest with its values, bound to a project. Owns the public calls: load, validate, plan, apply.

production = flowrun.load("storyboard.yaml", vars={"client": "Acme"})
print(production.plan().submissions)
production.apply(max_credits=400)
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from flowrun.action import env_names
from flowrun.diagnostics.model import Diagnostic, DiagnosticError, Severity
from flowrun.engine import events as ev
from flowrun.graph.address import Address
from flowrun.graph.build import build
from flowrun.graph.model import Graph
from flowrun.graph.outcomes import Outcomes
from flowrun.graph.scope import ScopeSource
from flowrun.ids import RunId
from flowrun.ledger.gaps import accept_gaps
from flowrun.manifest import Flow, Manifest, read, resolve
from flowrun.plan.model import Decision
from flowrun.plan.planner import Planner
from flowrun.plan.sources import Sources, Wishes
from flowrun.plan.whole import Plan, make_plan
from flowrun.production.applying import Applied, Apply
from flowrun.production.binding import Bound, bound
from flowrun.production.budget import Caps
from flowrun.production.cataloguing import catalogue_of
from flowrun.production.configuring import heard, lowered, queue_ahead, settings_of
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.expecting import as_quick, quick_seconds
from flowrun.production.exporting import check_folder, files_to_export, make_exporter, name_exports
from flowrun.production.inputs import DiskInputs
from flowrun.production.kept import Kept
from flowrun.production.loops import run_alone, to_the_end
from flowrun.production.masking import Masker
from flowrun.production.mending import agreed_to, lost_words, standing_gaps, telling
from flowrun.production.offline import check_options, check_plan
from flowrun.production.options import Options, Surroundings
from flowrun.production.organization import OrganizationView, read_organization
from flowrun.production.proposing import Proposal, make_proposal
from flowrun.production.provider import KEY, no_key
from flowrun.production.run_log import RunLog
from flowrun.production.running import carried_out, open_log
from flowrun.production.saved import check_target, is_saved_plan, write_saved_plan
from flowrun.production.saving import Snapshot, plan_to_keep
from flowrun.production.selecting import named, selected
from flowrun.production.taking_over import begin_work
from flowrun.production.weighing import foretold, weigh_what_is_left
from flowrun.store.location import find_project, name_in
from flowrun.store.memory import MemoryBlobs, MemoryUrls

Confirm = Callable[[Proposal], bool]
AcceptGaps = Callable[[list[str]], bool]  # is told what a rebuilt ledger does not know; whether to submit all the same
Interruptible = Callable[[Callable[[int], None]], None]  # is given the run's interrupt(exit code)


class Production:
    """One manifest, read once: an apply works on this snapshot."""

    def __init__(
        self, path: Path, options: Options, around: Surroundings, *, demand: bool = True, kept: Kept | None = None
    ) -> None:
        """`kept`: the saved plan that an apply must carry out exactly. Raises DiagnosticError, FlowrunError."""
        check_options(options)
        _check_name(path)
        self.path, self.options, self.around, self.kept = path, options, around, kept
        self.project = find_project(around.cwd / path)
        self.settings = settings_of(self.project, around)
        self.catalogue = catalogue_of(self.settings, open=options.allow_unknown_models)
        self.manifest = _read(around.named(path))
        self.flow: Flow = resolve(
            self.manifest,
            cli_vars=options.vars,
            vars_files=options.vars_files,
            profile=options.profile,
            cwd=around.cwd,
            demand=demand,
        )
        Masker.learn(around.environ.get(name, "") for name in (KEY, *self.flow.env))
        self._data: dict[Path, bytes] = {}

    def manifest_name(self) -> str:
        """The manifest's path below the project, as records name it."""
        return name_in(self.project, (self.around.cwd / self.path).absolute())

    def read_data(self, path: Path) -> bytes:
        """A data file's bytes, read once. Raises OSError."""
        if path not in self._data:
            self._data[path] = path.read_bytes()
        return self._data[path]

    def build(self, at: Bound) -> tuple[Graph, ScopeSource]:
        """The graph, checked. Raises DiagnosticError."""
        return self._build(at.inputs)

    def _build(self, inputs: DiskInputs) -> tuple[Graph, ScopeSource]:
        graph, source = build(self.flow, self.catalogue, inputs, self.read_data)
        warnings = [*self.settings.warnings, *self.flow.warnings, *graph.warnings]
        return replace(graph, warnings=heard(warnings, self.settings)), source

    @contextmanager
    def open(self, *, reading: bool = False, mends: bool = False) -> Iterator[Bound]:
        """`reading`: for what writes nothing; `mends`: for what puts a damaged ledger right."""
        with bound(self.project, self.options, self.around, self.settings, reading=reading, mends=mends) as at:
            yield at

    def validate(self) -> tuple[Diagnostic, ...]:
        """Every diagnostic that needs no network, no store and no key; warnings alone where there is no error."""
        try:
            graph, source = self._build_alone()
        except DiagnosticError as error:
            return heard([*self.settings.warnings, *self.flow.warnings, *error.diagnostics], self.settings)
        return heard([*graph.warnings, *name_exports(graph, source, Outcomes({})).problems], self.settings)

    def graph(self) -> Graph:
        """Raises DiagnosticError."""
        return self._build_alone()[0]

    def _build_alone(self) -> tuple[Graph, ScopeSource]:
        """The graph without a store: nothing is opened or written, so this works on any checkout."""
        outside = self.options.allow_outside
        return self._build(DiskInputs(self.project, MemoryUrls(), MemoryBlobs(), allow_outside=outside))

    def plan(self) -> Plan:
        """What an apply would do, and why. Spends nothing, asks nobody. Raises DiagnosticError, FlowrunError."""
        with self.open(reading=True) as at:
            return self.plan_with(at)

    def plan_with(self, at: Bound) -> Plan:
        """`plan`, for who has the store and the ledger open. Raises DiagnosticError."""
        graph, source = self.build(at)
        return self._foretold(self._make_plan(self._planner(graph, source, at), graph), graph, source, at)

    def _foretold(self, plan: Plan, graph: Graph, source: ScopeSource, at: Bound) -> Plan:
        """For who does not weigh what is uncertain first, as an apply does."""

        def without(nodes: frozenset[Address]) -> Plan:
            return self._make_plan(self._planner(graph, source, at, nodes), graph)

        found = foretold(plan, at, without)
        return replace(found, warnings=heard(found.warnings, self.settings))

    async def plan_async(self) -> Plan:
        """`plan`, inside a running event loop: it works in another thread."""
        return await to_the_end(self.around.offload(self.plan))

    async def validate_async(self) -> tuple[Diagnostic, ...]:
        """`validate`, inside a running event loop: it works in another thread."""
        return await to_the_end(self.around.offload(self.validate))

    async def graph_async(self) -> Graph:
        """`graph`, inside a running event loop: it works in another thread."""
        return await to_the_end(self.around.offload(self.graph))

    def propose(self, *, save: str | Path | None = None, strict: bool = False) -> Proposal:
        """The plan with balance, daily generations left and expected duration, where the API tells. `save`: a file to keep it
        in, which `load` reads and whose `apply` carries out exactly this; left alone where the plan has problems, or, if it is
        `strict`, warnings.

        Raises DiagnosticError, FlowrunError; RuntimeError inside a running event loop.
        """
        return run_alone(lambda: self.propose_async(save=save, strict=strict), "propose")

    async def propose_async(self, *, save: str | Path | None = None, strict: bool = False) -> Proposal:
        """`propose`, inside a running event loop."""
        target = None if save is None else (self.around.cwd / save).absolute()
        if target is not None:
            check_target(target)
        with self.open(reading=True) as at:
            try:
                graph, source = await self._built(at)
                planner = self._planner(graph, source, at)
                plan = self._foretold(self._make_plan(planner, graph), graph, source, at)
                _stop_on_problems(self._export_problems(planner))
                check_folder(make_exporter(at, self.flow.manifest.path, self.flow.name, self.flow.profile))
                view = await self._view_if_had(plan, at)
                proposal = make_proposal(as_quick(plan, view, planner.wishes.seconds), view, self._caps(), at)
                proposal = replace(proposal, exports=self._files_to_export(planner, at))
                if target is not None and not (plan.problems or (strict and plan.warnings)):
                    write_saved_plan(plan_to_keep(self._snapshot(planner, proposal, at), target), target)
                return proposal
            finally:
                await at.close_client()

    async def _built(self, at: Bound) -> tuple[Graph, ScopeSource]:
        """`build`, which reads and hashes every input, in another thread; not left before that has ended."""
        return await to_the_end(self.around.offload(lambda: self.build(at)))

    def _snapshot(self, planner: Planner, proposal: Proposal, at: Bound) -> Snapshot:
        return Snapshot(self.flow, planner, proposal.plan, proposal.cap, at, dict(self._data))

    def _files_to_export(self, planner: Planner, at: Bound) -> int:
        exporter = make_exporter(at, self.flow.manifest.path, self.flow.name, self.flow.profile)
        return files_to_export(name_exports(planner.graph, planner.source, planner), exporter, at)

    def apply(
        self,
        *,
        confirm: Confirm = lambda proposal: True,
        emit: Callable[[ev.Event], None] = lambda event: None,
        interruptible: Interruptible = lambda interrupt: None,
        accept: AcceptGaps = lambda words: False,
    ) -> Applied:
        """Plan, ask `confirm`, run, export. `emit` hears every event; `interruptible` is given the run's interrupt; `accept` is
        asked, before `confirm`, where something would be submitted although a rebuilt ledger does not know everything.

        Raises DiagnosticError and FlowrunError where nothing ran; whatever happens to a run that began is in the result.
        """
        return run_alone(
            lambda: self.apply_async(confirm=confirm, emit=emit, interruptible=interruptible, accept=accept), "apply"
        )

    async def apply_async(
        self,
        *,
        confirm: Confirm = lambda proposal: True,
        emit: Callable[[ev.Event], None] = lambda event: None,
        interruptible: Interruptible = lambda interrupt: None,
        accept: AcceptGaps = lambda words: False,
    ) -> Applied:
        """`apply`, inside a running event loop. A cancellation of the task is an interrupt: nothing new starts, what is being
        sent or collected comes to its end, tasks in flight stay on record; then CancelledError is raised."""
        with self.open(mends=True) as at, open_log(at, self.flow) as told:
            try:
                with telling(at.mended):
                    run = await self._agreed(at, told, confirm, emit, interruptible, accept)
                    applied = await to_the_end(carried_out(run, told, self.settings.notify.command), run.interrupt)
                applied.warnings[:0] = at.mended
                return applied
            finally:
                await at.close_client()

    async def _agreed(
        self,
        at: Bound,
        told: RunLog,
        confirm: Confirm,
        emit: Callable[[ev.Event], None],
        interruptible: Interruptible,
        accept: AcceptGaps,
    ) -> Apply:
        """The run that is to be carried out. Where there is to be none, others may go on without us."""
        try:
            return await self._proposed(at, told, confirm, emit, interruptible, accept)
        except BaseException:
            with suppress(OSError):  # else it is reaped
                at.ledger.retire(at.owner)
            raise

    async def _proposed(
        self,
        at: Bound,
        told: RunLog,
        confirm: Confirm,
        emit: Callable[[ev.Event], None],
        interruptible: Interruptible,
        accept: AcceptGaps,
    ) -> Apply:
        if self.kept is not None:
            self.kept.check_place(at)
        begin_work(at)
        await weigh_what_is_left(at, emit)
        graph, source = await self._built(at)
        self._check_environment()
        planner, plan = self._planned(graph, source, at)
        check_plan(plan, self.options, is_local=at.choice.is_local)
        view = await self._view_needed(plan, at)
        plan = as_quick(plan, view, planner.wishes.seconds)
        proposal = make_proposal(plan, view, self._caps(), at)
        gaps = standing_gaps(at.written)
        agreed_gaps = gaps and agreed_to(gaps, plan, accepted=self.options.accept_gaps, ask=accept)
        at.mended += lost_words(gaps) if gaps else []
        if not confirm(proposal):
            raise FlowrunError(
                Exit.STOPPED, "not confirmed: nothing was submitted", "agree, or pass --yes or --max-credits N"
            )
        begin_work(at)  # while a person read it, another may have begun under another account
        if self.kept is not None:  # or it may have been carried out elsewhere
            planner, plan = self._planned(graph, source, at)
        if agreed_gaps:
            accept_gaps(at.written.path, self.around.clock.now())
        agreed = self.options.yes or proposal.caps.bind or proposal.spends
        run_id, name, listeners = self._run_id(), self.manifest_name(), (told.take_in, emit)
        run = Apply(at, graph, planner, plan, view, proposal.caps, run_id, name, agreed, listeners)
        interruptible(run.interrupt)
        run.exactly = self.kept is not None or agreed_gaps is False
        run.is_scarce = proposal.foreseen is not None and bool(proposal.foreseen.over)
        return run

    # -- parts

    def _planned(self, graph: Graph, source: ScopeSource, at: Bound) -> tuple[Planner, Plan]:
        """What is to be carried out. Raises DiagnosticError: a problem, or a saved plan that does not hold; FlowrunError."""
        planner = self._planner(graph, source, at)
        plan = self._make_plan(planner, graph)
        _stop_on_problems([*plan.problems, *self._export_problems(planner)])
        check_folder(make_exporter(at, self.flow.manifest.path, self.flow.name, self.flow.profile))
        if self.kept is not None:
            self.kept.check(self._snapshot(planner, make_proposal(plan, None, self._caps(), at), at))
        return planner, plan

    def _planner(
        self, graph: Graph, source: ScopeSource, at: Bound, resent: frozenset[Address] = frozenset()
    ) -> Planner:
        """`resent`: nodes of which nothing came, beside those that are to be sent again."""
        store = at.store
        sources = Sources(self.catalogue, store.results, at.seen, store.picks, at.inputs, at.is_dead)
        wishes = self._wishes(graph, at)
        return Planner(graph, source, sources, replace(wishes, resend=wishes.resend | resent))

    def _make_plan(self, planner: Planner, graph: Graph) -> Plan:
        made = make_plan(planner, graph.warnings)
        found = [each for each in self._export_problems(planner) if not each.is_error]
        return replace(made, warnings=heard([*made.warnings, *found, *_unseen_secrets(made)], self.settings))

    def _wishes(self, graph: Graph, at: Bound) -> Wishes:
        options = self.options
        chosen = bool(options.select or options.exclude)
        learned = at.store.results.durations(at.choice.name)
        quick = quick_seconds(graph) if at.choice.is_local else {}
        return Wishes(
            provider=at.choice.name,
            selected=selected(graph, options.select, options.exclude, "--select") if chosen else None,
            forced=named(graph, options.force, "--force"),
            resend=named(graph, options.resend, "--resend"),
            retry_rejected=options.retry_rejected,
            spent=self.kept.spent(at.seen) if self.kept else frozenset(),
            seconds=quick | {kind: sorted(times)[len(times) // 2] for kind, times in learned.items() if times},
        )

    def _export_problems(self, planner: Planner) -> list[Diagnostic]:
        return name_exports(planner.graph, planner.source, planner).problems

    def _check_environment(self) -> None:
        missing = [name for name in self.flow.env if name not in self.around.environ]
        if missing:
            message = f"the environment has no {', '.join(missing)}, listed under 'env:'"
            raise FlowrunError(Exit.WRONG, message, f"export {missing[0]}=... and apply again; nothing was submitted")

    async def _view_if_had(self, plan: Plan, at: Bound) -> OrganizationView | None:
        """For a plan: the API's word where it can be had, for it decides nothing."""
        if self.options.offline and not at.choice.is_local:
            return None
        try:
            return await self._view_needed(plan, at)
        except FlowrunError as error:
            if error.exit is not Exit.SURROUNDINGS:
                raise
            return None

    async def _view_needed(self, plan: Plan, at: Bound) -> OrganizationView | None:
        if not plan.needs_provider:
            return None
        if at.choice.key is None:
            raise no_key()
        limits, settings = self.flow.limits, self.settings
        ahead = queue_ahead(limits.queue_ahead, settings)
        return await read_organization(at, lowered(limits.concurrency, settings), ahead)

    def _caps(self) -> Caps:
        options, settings = self.options, self.settings
        return Caps(
            options.max_credits,
            self.flow.limits.credits,
            settings.limits.credits_per_day,
            options.allow_unknown_price,
        )

    def _run_id(self) -> RunId:
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(self.around.clock.now()))
        return RunId(f"{stamp}-{secrets.token_hex(3)}")


def _check_name(path: Path) -> None:
    """Records name the manifest, and are UTF-8. Raises FlowrunError."""
    try:
        path.name.encode()
    except UnicodeEncodeError:
        message = f"the name of {path.name!a} is no UTF-8, so no record could name it; nothing was submitted"
        raise FlowrunError(Exit.WRONG, message, "rename the file") from None


def _read(path: Path) -> Manifest:
    """Raises DiagnosticError; FlowrunError for a saved plan in a manifest's place."""
    try:
        return read(path)
    except DiagnosticError:
        if not is_saved_plan(path):
            raise
    hint = f"flowrun apply {path} carries it out; every other command wants the manifest"
    raise FlowrunError(Exit.WRONG, f"{path} is a saved plan, not a manifest", hint)


def _unseen_secrets(plan: Plan) -> list[Diagnostic]:
    """Said once: a result is used although the value of a secret in it may have changed."""
    hits = [take for step in plan.steps.values() for take in step.takes if take.decision is Decision.HIT and take.doc]
    names = sorted({name for take in hits if take.doc for name in env_names(take.doc.request)})
    if not names:
        return []
    message = f"a change of {', '.join(names)} is not seen: secrets are part of a recipe by name, not by value"
    hint = "give the node another 'cache' salt to make it anew"
    return [Diagnostic("env-not-seen", message, None, hint, severity=Severity.WARNING)]


def _stop_on_problems(problems: list[Diagnostic]) -> None:
    if any(problem.is_error for problem in problems):
        raise DiagnosticError(problems)
