"""What commands ask of a project without running anything: exports, past runs, the account, unsettled submissions."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from flowrun import digest
from flowrun.engine.failure import AttemptError
from flowrun.engine.follow import GONE
from flowrun.graph.address import Address, parse
from flowrun.ids import RunId, TaskId
from flowrun.ledger.protocol import Adopted, Failed, Forgotten, IntentRow, TaskRow
from flowrun.production.binding import Bound, bound
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.exporting import make_exporter
from flowrun.production.options import Options, Surroundings
from flowrun.production.organization import read_organization
from flowrun.production.production import Production
from flowrun.production.taking_over import take_over
from flowrun.runway.errors import Afterwards, GoneError, RunwayError
from flowrun.runway.values import Organization
from flowrun.store.location import find_project
from flowrun.store.protocol import AmbiguousRunError, Result, RunRow, StepRow

_TASK_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)  # the description's form: a UUID
_TASK_ID_HINT = "give it whole, as the API does: 36 characters, such as 1f0c3b52-8a54-4c1e-9f3b-2d6f0a7c9e11"


@dataclass(frozen=True, slots=True)
class ExportedRow:
    """`exists`: whether the file is still there; `current`: whether the manifest still exports it."""

    output: str
    address: str
    path: Path
    exists: bool
    current: bool


def exported(production: Production) -> list[ExportedRow]:
    """The files a manifest has exported, as they were last written."""
    flow = production.flow
    with production.open(reading=True) as at:
        exporter = make_exporter(at, flow.manifest.path, flow.name, flow.profile)
        known = {str(each) for each in production.build(at)[0].instances}
        return [
            ExportedRow(
                each.output,
                each.address,
                exporter.folder / each.path,
                (exporter.folder / each.path).is_file(),
                each.output in flow.outputs and each.address.partition("#")[0] in known,
            )
            for each in exporter.recorded()
        ]


def past_runs(file: Path | None, limit: int, options: Options, around: Surroundings) -> tuple[RunRow, ...]:
    """Newest first; of one manifest, or of the project around the working folder."""
    project = find_project(around.cwd / (file or "manifest"))
    manifest = None
    if file is not None:
        path = (around.cwd / file).absolute()
        manifest = path.relative_to(project).as_posix() if path.is_relative_to(project) else str(path)
    if file is not None and not (around.cwd / file).is_file():
        raise FlowrunError(Exit.WRONG, f"there is no file {file}", "name a manifest, or leave it away for all runs")
    with bound(project, options, around, reading=True) as at:
        return tuple(_as_paid(row, at) for row in at.store.runs.list(manifest, limit))


def _as_paid(row: RunRow, at: Bound) -> RunRow:
    """A run that did not come to its end wrote no sums; the ledger knows them."""
    if row.exit is not None:
        return row
    run = RunId(row.id)
    return replace(row, submitted=len(at.seen.tasks(run)), credits=at.seen.committed(run))


@dataclass(frozen=True, slots=True)
class ShownResult:
    title: str
    result: Result

    def to_json(self) -> dict[str, Any]:
        return _result_json(self.result)


@dataclass(frozen=True, slots=True)
class ShownRun:
    run: RunRow
    steps: tuple[StepRow, ...]

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self.run), "steps": [asdict(step) for step in self.steps]}


def show_anything(what: Path, node: str | None, options: Options, around: Surroundings) -> ShownResult | ShownRun:
    """A run by id, a media file by its digest, or the last result of a node. Raises FlowrunError."""
    if node is not None:
        return _show_node(Production(what, options, around, demand=False), node)
    if (around.cwd / what).is_file():
        return _show_file(what, options, around)
    return _show_run(str(what), options, around)


def _show_node(production: Production, node: str) -> ShownResult:
    """The result that flows at an instance, or that of one take; without a current one, the last that was there."""
    name, mark, _ = node.partition("#")
    flow = production.flow
    steps = {str(at): step for at, step in production.plan().steps.items()}
    members = [at for at in steps if at.partition("[")[0] == name]
    if name not in steps and members:
        raise FlowrunError(Exit.WRONG, f"'{name}' is a fan-out", f"show one of {', '.join(members[:8])}")
    step = steps.get(name)
    takes = {f"{name}#{take.take}": take for take in step.takes} if step else {}
    if mark and node not in takes:
        raise FlowrunError(Exit.WRONG, f"there is no take '{node}'", f"there are {', '.join(takes) or 'none yet'}")
    wanted = takes.get(node if mark else f"{name}#{step.pick if step and step.pick else 1}")
    result = wanted.result if wanted else None
    if result is None and not mark:
        with production.open(reading=True) as at:
            result = at.store.results.last_at(at.choice.name, flow.name, flow.profile, name)
    if result is None:
        raise FlowrunError(
            Exit.WRONG, f"'{node}' has no result yet", f"flowrun plan {production.path} says what would make one"
        )
    return ShownResult(f"{node}: result {result.id}", result)


def _show_file(path: Path, options: Options, around: Surroundings) -> ShownResult:
    with (around.cwd / path).open("rb") as stream:
        named = digest.of_stream(stream)
    with bound(find_project(around.cwd / path), options, around, reading=True) as at:
        found = at.store.results.by_blob(named.sha256)
    if not found:
        raise FlowrunError(Exit.WRONG, f"no result in this store has the bytes of {path}", "is it another project's?")
    return ShownResult(f"{path}: made by task {found[0].task}", found[0])


def _show_run(run: str, options: Options, around: Surroundings) -> ShownRun:
    with bound(find_project(around.cwd / "manifest"), options, around, reading=True) as at:
        try:
            found = at.store.runs.get(run)
            found = (_as_paid(found[0], at), found[1]) if found else None
        except AmbiguousRunError as error:
            raise FlowrunError(Exit.WRONG, f"several runs begin with '{run}'", ", ".join(error.candidates)) from None
    if found is None:
        raise FlowrunError(Exit.WRONG, f"there is no run '{run}'", "flowrun runs lists them")
    row, steps = found
    return ShownRun(row, steps)


def _result_json(result: Result) -> dict[str, Any]:
    files = [
        {"sha256": each.digest.sha256, "size": each.digest.size, **each.facts.to_json()} for each in result.outputs
    ]
    plain = {name: getattr(result, name) for name in result.__dataclass_fields__ if name != "outputs"}
    return {**plain, "outputs": files}


def organization(options: Options, around: Surroundings) -> tuple[Organization, str]:
    """Ask the API. Raises FlowrunError."""

    async def ask(at: Bound) -> Organization:
        try:
            return (await read_organization(at, {})).organization
        finally:
            await at.close_client()

    with bound(find_project(around.cwd / "manifest"), options, around, reading=True) as at:
        return asyncio.run(ask(at)), at.choice.name


def forget_uncertain(production: Production, node: str) -> int:
    """Settle every uncertain intent of a node (an instance, or one take): nothing came of it; and every task of it that the
    API does not know, asked with another key than sent its request. Raises FlowrunError."""
    with production.open() as at:
        take_over(at)
        unknown = _unknown_of(production, node, at)
        rows = [] if unknown else _uncertain_of(production, node, at)
        for row in rows:
            at.ledger.decide(row.intent, Forgotten())
        for task in unknown:
            at.ledger.settle(task, Failed(Afterwards.GONE.value, "The API did not know it, and it was given up."), None)
        _keep_word(at)
    return len(rows) + len(unknown)


def _unknown_of(production: Production, node: str, at: Bound) -> list[TaskId]:
    manifest, wanted = production.manifest_name(), _address(node)
    rows = [row for row, _ in at.ledger.open(str(at.store.root)) if row.status == GONE]
    return [row.task for row in rows if row.origin.manifest == manifest and _is(row, wanted)]


def adopt_task(production: Production, node: str, task: str) -> str:
    """Settle a node's uncertain intent: this task is its answer. The next apply collects it. The take's address.

    Raises FlowrunError: `task` is no id, or none that the API knows or can be asked about; nothing is uncertain there, several
    are, or the task is on record already.
    """
    if _TASK_ID.fullmatch(task) is None:  # an id that the API does not know would end as a lost task, for good
        raise FlowrunError(Exit.WRONG, f"{task[:64]!r} is no task id; nothing was settled", _TASK_ID_HINT)
    with production.open() as at:
        take_over(at)
        rows = _uncertain_of(production, node, at)
        if len(rows) > 1:
            takes = ", ".join(sorted(row.origin.address for row in rows))
            raise FlowrunError(Exit.WRONG, f"'{node}' has several uncertain submissions", f"name one: {takes}")
        asyncio.run(_check_task(at, TaskId(task)))
        try:
            at.ledger.decide(rows[0].intent, Adopted(TaskId(task)))
        except ValueError as error:
            raise FlowrunError(
                Exit.WRONG, f"task {task} cannot be adopted: {error}", "flowrun status lists tasks"
            ) from None
        _keep_word(at)
    return rows[0].origin.address


def _keep_word(at: Bound) -> None:
    """A person's word stands in no journal, but in the ledger's newest copy. Where there is no room for one it is asked for
    again, should the ledger be damaged."""
    with suppress(OSError):
        at.written.back_up()


async def _check_task(at: Bound, task: TaskId) -> None:
    """A task that is not there would be settled as lost, and paid for again. Asking costs nothing. Raises FlowrunError."""
    try:
        await at.client().task(task)
    except GoneError as error:
        hint = "copy the id from where the task is listed; a task of another key is known to that key only"
        raise FlowrunError(Exit.WRONG, f"the API knows no task {task}; nothing was settled", hint) from error
    except (RunwayError, AttemptError) as error:
        message = f"the API cannot be asked about task {task}: {error}; nothing was settled"
        raise FlowrunError(Exit.SURROUNDINGS, message, "check key and network, and adopt again") from error
    finally:
        await at.close_client()


def _uncertain_of(production: Production, node: str, at: Bound) -> list[IntentRow]:
    wanted = _address(node)
    at.reap()
    manifest = production.manifest_name()
    rows = [row for row in at.ledger.uncertain() if row.origin.manifest == manifest and _is(row, wanted)]
    if not rows:
        raise FlowrunError(Exit.WRONG, f"'{node}' has no uncertain submission", "flowrun status lists them")
    return rows


def _address(node: str) -> Address:
    try:
        return parse(node)
    except ValueError as error:
        raise FlowrunError(Exit.WRONG, str(error)) from None


def _is(row: IntentRow | TaskRow, wanted: Address) -> bool:
    address = parse(row.origin.address)
    if wanted.take is not None:
        return address == wanted
    return address.without_take() == wanted or (wanted.key is None and address.node_id == wanted.node_id)
