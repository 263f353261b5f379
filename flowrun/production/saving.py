"""From a plan to what `plan --save` keeps of it. Owns which facts those are; the file itself is `saved`'s."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from flowrun.canonical import sha256
from flowrun.digest import of_bytes
from flowrun.graph.scope import ScopeSource
from flowrun.ids import ActionKey
from flowrun.ledger.handing import request_name
from flowrun.ledger.protocol import Ledger
from flowrun.manifest import Flow
from flowrun.plan.document import CreditsDocument, SubmissionsDocument
from flowrun.plan.model import Cost, Step, TakeStep
from flowrun.plan.planner import Planner
from flowrun.plan.whole import Plan
from flowrun.plan.written import written_digest
from flowrun.production.binding import Bound
from flowrun.production.configuring import lowered, queue_ahead
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.options import Options
from flowrun.production.saved import (
    LimitsDocument,
    OptionsDocument,
    OutputDocument,
    ReadFile,
    SavedPlan,
    SavedStep,
    SavedTake,
    written_path,
)
from flowrun.secret import mask
from flowrun.settings.model import Settings

FREE = frozenset(  # options that do not shape a plan: an apply of a saved one is given them anew
    {"yes", "fail_fast", "wait_for_quota", "cancel_on_interrupt", "overwrite", "prune", "offline", "accept_gaps"}
)
Kind = Literal["manifest", "vars", "data", "input", "scenario"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A plan that was just made, with all that it was made from. `data`: data files by path, with their bytes."""

    flow: Flow
    planner: Planner
    plan: Plan
    cap: int | None
    at: Bound
    data: dict[Path, bytes]

    @property
    def source(self) -> ScopeSource:
        return self.planner.source


def plan_to_keep(snapshot: Snapshot, path: Path) -> SavedPlan:
    """What the file at `path` (absolute) is to hold. Raises FlowrunError where an option has a secret in it; OSError."""
    at, plan, flow = snapshot.at, snapshot.plan, snapshot.flow
    cwd, project = at.around.cwd, at.project
    known = known_requests(at.seen)

    def name(file: Path) -> str:
        return written_path(cwd / file, path, project)

    return SavedPlan(
        flowrun=this_version(),
        made_at=at.around.clock.now(),
        manifest=name(flow.manifest.path),
        folder=name(cwd),
        flow=plan.flow,
        profile=plan.profile,
        provider=at.choice.name,
        account=account_in(at),
        options=_options(at.options),
        limits=limits_of(flow, at.settings),
        cap=snapshot.cap,
        submissions=SubmissionsDocument(least=plan.submissions, most=plan.most_submissions),
        credits=_credits(plan.cost),
        steps=tuple(_step(step, snapshot, known) for step in plan.steps.values()),
        outputs=outputs_of(flow),
        read=tuple(ReadFile(kind=kind, path=name(file), sha256=digest) for kind, file, digest in _read(snapshot)),
    )


def this_version() -> str:
    try:
        return version("flowrun")
    except PackageNotFoundError:  # run from a folder that was never installed
        return "unknown"


def account_in(at: Bound) -> str | None:
    """The name of the account's ledger, which is the hash of its key. None: there is no key, so nothing was spoken for."""
    return None if at.choice.key is None else at.account


def limits_of(flow: Flow, settings: Settings) -> LimitsDocument:
    """The manifest's, and where the settings are stricter, theirs."""
    limits, ahead = flow.limits, queue_ahead(flow.limits.queue_ahead, settings)
    return LimitsDocument(credits=limits.credits, concurrency=lowered(limits.concurrency, settings), queue_ahead=ahead)


def outputs_of(flow: Flow) -> dict[str, OutputDocument]:
    return {
        name: OutputDocument(source=_masked(each.source.value), path=_masked(each.path.value) if each.path else None)
        for name, each in flow.outputs.items()
    }


def known_requests(ledger: Ledger) -> dict[ActionKey, tuple[str, ...]]:
    """By key, the tasks and the unanswered requests that the ledger knows of."""
    found: dict[ActionKey, list[str]] = {}
    for task in ledger.tasks():
        found.setdefault(task.key, []).append(task.task)
    for intent in ledger.uncertain():
        found.setdefault(intent.key, []).append(request_name(intent))
    return {key: tuple(sorted(names)) for key, names in found.items()}


def _written(step: Step, planner: Planner) -> str:
    instance = planner.graph.instances[step.address]
    return written_digest(instance, planner.graph, planner.source, planner.sources.inputs)


def _masked(value: Any) -> str:
    return mask(str(value))


def _credits(cost: Cost) -> CreditsDocument:
    return CreditsDocument(low=cost.low, high=cost.high, unknown=cost.unknown)


def _step(step: Step, snapshot: Snapshot, known: dict[ActionKey, tuple[str, ...]]) -> SavedStep:
    return SavedStep(
        address=str(step.address),
        decision=step.decision,
        reason=step.why.reason if step.why else None,
        operation=step.operation,
        model=step.model,
        retry=snapshot.planner.graph.instances[step.address].node.decl.retry,
        written=_written(step, snapshot.planner),
        submissions=SubmissionsDocument(least=step.submissions, most=step.most_submissions),
        credits=_credits(step.cost),
        takes=tuple(_takes(step.takes, known)),
    )


def _takes(takes: Iterable[TakeStep], known: dict[ActionKey, tuple[str, ...]]) -> Iterator[SavedTake]:
    for take in takes:
        if take.doc is not None:
            yield SavedTake(
                take=take.take,
                decision=take.decision,
                key=take.doc.key,
                request=sha256(dict(take.doc.request)),
                credits=_credits(take.cost),
                result=take.result.id if take.result else None,
                forced=take.forced,
                known=known.get(take.doc.key, ()),
            )


def _options(options: Options) -> OptionsDocument:
    """Raises FlowrunError for a secret among them, for a file would show it to whoever reads it."""
    values = {each.name: _value(getattr(options, each.name)) for each in fields(options) if each.name not in FREE}
    for text in options.vars:
        if mask(text) != text:
            message = f"--save: --var {text.partition('=')[0]} has a key or a signed address in it; nothing was saved"
            hint = (
                "list it under 'env:' and take it from the environment, or name a file that holds it with --vars-file"
            )
            raise FlowrunError(Exit.WRONG, message, hint)
    return OptionsDocument(**values)


def _value(value: Any) -> Any:
    if isinstance(value, Path):
        return value.as_posix()
    return tuple(map(_value, value)) if isinstance(value, tuple) else value


def _read(snapshot: Snapshot) -> Iterator[tuple[Kind, Path, str]]:
    """Every file that the plan was made from, with the digest of what was read, or of what is there now."""
    at, manifest = snapshot.at, snapshot.flow.manifest
    yield "manifest", manifest.path, of_bytes(manifest.text.encode()).sha256
    for path in at.options.vars_files:
        yield "vars", path, of_bytes((at.around.cwd / path).read_bytes()).sha256
    for path, data in snapshot.data.items():
        yield "data", path, of_bytes(data).sha256
    for path, digest in at.inputs.read().items():
        yield "input", path, digest
    if at.options.scenario is not None:
        yield "scenario", at.options.scenario, of_bytes((at.around.cwd / at.options.scenario).read_bytes()).sha256
