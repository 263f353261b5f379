"""What commands ask of a project without running anything: exports, past runs, results, the account."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from flowrun import digest
from flowrun.ids import RunId
from flowrun.production.binding import Bound, bound
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.exporting import make_exporter
from flowrun.production.options import Options, Surroundings
from flowrun.production.organization import read_organization
from flowrun.production.production import Production
from flowrun.runway.values import Organization
from flowrun.store.location import find_project, name_in
from flowrun.store.protocol import AmbiguousRunError, Result, RunRow, StepRow


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
        manifest = name_in(project, (around.cwd / file).absolute())
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
