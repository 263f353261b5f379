"""One apply, from a plan to exports and an exit code. Owns the order: read the organization, check the exports, run, export,
record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flowrun.engine import events as ev
from flowrun.engine.deciding import Deciding
from flowrun.engine.driver import Driver
from flowrun.engine.ports import Ports, Run
from flowrun.engine.recovery import Recovery
from flowrun.engine.round import Round
from flowrun.engine.scheduler import Scheduler
from flowrun.engine.summary import Summary
from flowrun.graph.model import Graph
from flowrun.ids import RunId
from flowrun.ledger.protocol import LedgerDamagedError, Limits, Origin, Resend
from flowrun.plan.model import Decision, Step, TakeStep
from flowrun.plan.planner import Planner
from flowrun.plan.whole import Plan
from flowrun.production.binding import Bound
from flowrun.production.budget import Caps
from flowrun.production.ending import exit_of_error, exits_of
from flowrun.production.exits import Exit, first
from flowrun.production.exporting import FolderOwnedError, Named, export_all, make_exporter, name_exports
from flowrun.production.fetching import fetch_input
from flowrun.production.history import write_begin, write_end
from flowrun.production.journals import register
from flowrun.production.organization import OrganizationView, limits_read, models_that_may_run, read_organization
from flowrun.production.owner import is_gone
from flowrun.production.porting import make_ports
from flowrun.production.weighing import trusts_counters
from flowrun.production.withdrawing import rows_of_run, withdrawal
from flowrun.secret import MASK, Secret
from flowrun.store.location import is_no_more
from flowrun.store.protocol import RunRow

READ_AGAIN = 300.0  # seconds between two readings of the organization
Emit = Callable[[ev.Event], None]


@dataclass(slots=True)
class Applied:
    """What an apply came to. `exits`: all that apply; `exit`: the one that is told. `log`: the run's log, None where none could
    be written; `warnings`: what went wrong beside the run and changes no exit."""

    run: RunId
    summary: Summary
    exits: tuple[Exit, ...] = ()
    log: Path | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def exit(self) -> Exit:
        return first(self.exits)


@dataclass(slots=True)
class Apply:
    """One run of a plan that was agreed to. `caps`: the most estimated credits it may commit; `agreed`: somebody said that it
    may spend, so that a task which is only taken up may be generated anew where it fails; `exactly`: not even then, for a saved
    plan holds every request that may be sent; `is_scarce`: the plan does not fit its caps, so that its order decides."""

    bound: Bound
    graph: Graph
    planner: Planner
    plan: Plan
    view: OrganizationView | None
    caps: Caps
    run: RunId
    manifest: str
    agreed: bool
    listeners: tuple[Emit, ...] = ()
    exactly: bool = False
    is_scarce: bool = False
    summary: Summary = field(default_factory=Summary)
    exits: list[Exit] = field(default_factory=list)
    driver: Driver | None = None
    _journal: list[dict[str, Any]] = field(default_factory=list)
    _allowed: ev.LimitsRead | None = None  # as last told
    _deaf: Exception | None = None  # why a listener fell out
    _round: Round | None = None
    _interrupts: int = 0
    _signal: Exit = Exit.INTERRUPTED

    def emit(self, event: ev.Event) -> None:
        """To the summary, the journal and every listener; one that fails hears nothing more, and the run goes on."""
        self.summary.take_in(event)
        self._journal.append(ev.to_json(event))
        for listener in self.listeners:
            try:
                listener(event)
            except (Exception, asyncio.CancelledError) as error:  # whoever shows the run must not end it:
                # a request may be on its way
                self.listeners = tuple(each for each in self.listeners if each is not listener)
                self._deaf = self._deaf or (error if isinstance(error, Exception) else RuntimeError(repr(error)))

    def interrupt(self, code: int = Exit.INTERRUPTED) -> None:
        """A signal: once, nothing new starts; twice, stop now. May be called before the run has begun."""
        self._interrupts += 1
        self._signal = Exit(code)
        if self.driver is not None:
            self.driver.interrupt(self._interrupts)
        if self._round is not None:
            self._round.stop()

    @property
    def interrupts(self) -> int:
        """Signals so far."""
        return self._interrupts

    async def carry_out(self) -> Applied:
        """Everything. Raises DiagnosticError before anything ran; what fails later is in the result."""
        bound, now = self.bound, self.bound.around.clock.now
        if self._asks():
            register(bound, self.run)
        self._settle_resends()
        flow = self.graph.flow
        row = write_begin(bound, self.run, flow, self.manifest)
        provider, caps = bound.choice.name, self.caps
        waits = bound.options.wait_for_quota
        self.emit(ev.RunStarted(now(), self.run, flow.name, flow.profile, provider, caps.run, caps.day, waits))
        try:
            self._tell_limits()
            await self._drive()
            await self._withdraw()
            self._tell_caps()
            self._export()
        except Exception as error:
            self.exits.append(exit_of_error(error))
            raise
        finally:
            with suppress(OSError, LedgerDamagedError):  # else the next reaper does it
                bound.ledger.retire(bound.owner)
            self.exits.extend(exits_of(self.summary, self.driver, self._signal))
            code = first(self.exits)
            self.emit(ev.RunEnded(now(), code.value, self.summary.to_json()))
            warnings = self._recorded(row, code)
        if self._deaf is not None and not isinstance(self._deaf, BrokenPipeError):
            raise self._deaf
        return Applied(self.run, self.summary, tuple(dict.fromkeys(self.exits)), warnings=warnings)

    # -- running

    async def _drive(self) -> None:
        self.planner.known.clear()
        options = self.bound.options
        scheduler = Scheduler(
            fail_fast=options.fail_fast, wait_for_quota=options.wait_for_quota, in_order=self.is_scarce
        )
        deciding = self._deciding()
        recovery = self._recovery(deciding) if self._asks() else None
        self.driver = Driver(scheduler, deciding, self.emit, is_gone, recovery, cancels=options.cancel_on_interrupt)
        if self._interrupts:
            self.driver.interrupt(self._interrupts)
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self._keep_reading())
            try:
                await self.driver.run(self._expanded())
            finally:
                reading.cancel()

    async def _withdraw(self) -> None:
        """Cancel what this run has at the API, where it was interrupted once and that was asked for."""
        driver = self.driver
        if driver is None or not self.bound.options.cancel_on_interrupt or self._interrupts != 1:
            return
        ports, run = driver.deciding.ports, driver.deciding.run
        units = {task: unit for unit, task in self.summary.left.items() if driver.holds(unit)}
        self._round = withdrawal(self.bound, ports, run, units, self.emit)
        await self._round.visit_all(rows_of_run(self.bound, run, units))

    async def _keep_reading(self) -> None:
        """The organization's limits change while a long run goes on: another client's use, a new tier, bought credits."""
        while self.view is not None:
            await self.bound.around.clock.sleep(READ_AGAIN)
            with suppress(Exception):  # what was read before still holds
                self.view = await read_organization(self.bound, self.view.lowered, self.view.queue_ahead)
                self._tell_limits()

    def _tell_limits(self) -> None:
        """What the organization allows, where that is news."""
        if self.view is None:
            return
        known = limits_read(self.view, models_that_may_run(self.plan), self.bound.around.clock.now())
        if self._allowed is None or replace(known, at=self._allowed.at) != self._allowed:
            self._allowed = known
            (self.emit if self.driver is None else self.driver.tell)(known)

    def _tell_caps(self) -> None:
        """What the caps leave, and when a used-up day has room again, where something did not fit."""
        if self.view is None or not (self.summary.over or self.summary.waiting):
            return
        bound, ledger = self.bound, self.bound.ledger
        left = ledger.left(self.run, str(bound.project), self._limits("")) if self.summary.over else ()
        known = tuple(ev.CapLeft(each.cap.value, each.most, each.left, each.until) for each in left)
        models = sorted({each.model for each in self.summary.waiting.values()})
        next_free = {model: ledger.next_in_day(model, self._limits(model)) for model in models}
        self.emit(ev.CapsTold(bound.around.clock.now(), known, next_free))

    def _recovery(self, deciding: Deciding) -> Recovery:
        store = self.bound.store
        return Recovery(deciding.ports, deciding.run, str(store.root), store.picks, self.emit)

    def _expanded(self) -> ev.Expanded:
        whole = {edge.source for instance in self.graph for edge in instance.edges if edge.whole}
        items = tuple(
            ev.Item(
                str(step.address),
                tuple(map(str, step.upstream)),
                step.seconds,
                order,
                step.address in whole,
                step.model,
                step.wanted + step.beyond,
                None if step.cost.unknown else step.cost.high,
            )
            for order, step in enumerate(self.plan.steps.values())
        )
        return ev.Expanded(self.bound.around.clock.now(), items)

    def _deciding(self) -> Deciding:
        bound, planner = self.bound, self.planner
        run = Run(
            self.run,
            bound.owner,
            self._limits,
            stopping=lambda: bool(self._interrupts),
            is_gone=is_no_more,
            counter=lambda model: self.view.reading(model) if self.view else None,
            trusts_counters=trusts_counters(bound),
        )
        forced = frozenset(row.task for row, _ in bound.ledger.open() if row.origin.forced)

        def origin_of(step: Step, take: TakeStep) -> Origin:
            return self._origin(step, take, take.forced or take.task in forced)

        takes = [take for step in self.plan.steps.values() for take in step.takes]
        resumed = frozenset(take.doc.key for take in takes if take.doc and take.decision is Decision.RESUME)
        agreed = {str(at): step.most_submissions for at, step in self.plan.steps.items()}
        return Deciding(
            planner,
            self._ports(),
            run,
            origin_of,
            self._fetch,
            bound.inputs.stash,
            agreed,
            (self.agreed or bound.choice.name == "sandbox") and not self.exactly,
            resumed,
        )

    def _asks(self) -> bool:
        """Whether this run speaks to the API: it has something to ask, or an earlier run left something there."""
        if self.bound.options.offline and not self.bound.choice.is_local:
            return False
        return self.plan.needs_provider or (self.bound.choice.key is not None and bool(self.bound.ledger.open()))

    def _ports(self) -> Ports:
        env = {name: _env_value(self.bound, name) for name in self.graph.flow.env}
        return make_ports(self.bound, self.bound.client() if self._asks() else _NoProvider(), env)

    def _origin(self, step: Step, take: TakeStep, forced: bool) -> Origin:
        flow = self.graph.flow
        return Origin(
            store=str(self.bound.store.root),
            project=str(self.bound.project),
            flow=flow.name,
            profile=flow.profile,
            manifest=self.manifest,
            address=str(step.address.of_take(take.take)),
            tags=self.graph.instances[step.address].node.decl.tags,
            forced=forced,
        )

    def _limits(self, model: str) -> Limits:
        if self.view is None:
            raise RuntimeError("nothing may be submitted without the organization's limits")
        return self.view.limits(model, self.caps)

    async def _fetch(self, url: str) -> None:
        await fetch_input(url, self.bound)

    def _settle_resends(self) -> None:
        """A person said to send these again: the uncertain intents that the plan showed are given up, on record. One that
        became uncertain while the person read it is not: nobody has spoken of that."""
        takes = (take for step in self.plan.steps.values() for take in step.takes if take.decision is Decision.RUN)
        for intent in dict.fromkeys(intent for take in takes for intent in take.given_up):
            with suppress(KeyError):  # somebody else has settled it meanwhile
                self.bound.ledger.decide(intent, Resend())

    # -- after

    def named(self) -> Named:
        return name_exports(self.graph, self.planner.source, self.planner)

    def _export(self) -> None:
        flow = self.graph.flow
        named = self.named()
        for problem in named.problems:
            if problem.is_error:  # known only now that everything is made; the other outputs are exported all the same
                self._trouble(f"outputs ({problem.span})", problem.code, problem.message)
                self.exits.append(Exit.WRONG)
        exporter = make_exporter(self.bound, flow.manifest.path, flow.name, flow.profile)
        try:
            export_all(named, exporter, self.bound, self.emit)
        except FolderOwnedError as error:
            self._trouble("outputs", "folder-owned", str(error))
            self.exits.append(Exit.WRONG)
        except OSError as error:
            self._trouble("outputs", "export-failed", f"exporting failed: {error}; everything is safe in the store")
            self.exits.append(Exit.SURROUNDINGS)

    def _trouble(self, address: str, code: str, message: str) -> None:
        now = self.bound.around.clock.now()
        self.emit(ev.ExportFailed(now, address, code, message, "Mend that and apply again."))

    def _recorded(self, row: RunRow, code: Exit) -> list[str]:
        """Write the run's end down; where that fails, what to tell of it: the run itself is on record in ledger and store."""
        try:
            write_end(self.bound, row, code, self.summary, self.plan, self._journal)
        except OSError as error:
            self.exits.append(Exit.SURROUNDINGS)
            return [f"the run could not be added to the history: {error}; what it made is in the store"]
        return []


class _NoProvider:
    """Stands where nothing may be asked; an apply whose steps are all hits needs no provider."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"'{name}' was asked of a provider in a run that needs none")


def _env_value(bound: Bound, name: str) -> Secret:
    """The sandbox draws secrets masked, so it is not even told them."""
    return Secret(MASK if bound.choice.name == "sandbox" else bound.around.environ.get(name, ""))
