"""From outputs to files in the export folder. Owns the names that files get, checked before anything runs and used after;
placing them is the store's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from flowrun.diagnostics.model import Diagnostic, Severity
from flowrun.engine import events as ev
from flowrun.files import UnsafePathError
from flowrun.graph.model import Graph
from flowrun.graph.outcomes import World
from flowrun.graph.outputs import Export, NoExport, exports
from flowrun.graph.scope import ScopeSource
from flowrun.media.facts import MediaKind
from flowrun.media.types import extension
from flowrun.production.binding import Bound
from flowrun.production.exits import Exit, FlowrunError
from flowrun.store.export_paths import WrongKindError, check_path, collisions, default_path, with_extension
from flowrun.store.exporter import Export as Placing
from flowrun.store.exporter import Exporter, FolderOwnedError, Outcome
from flowrun.store.location import name_in

LONGEST_NAME = 255  # bytes of one name, on every file system in use
_EXPECTED = {MediaKind.IMAGE: "image/png", MediaKind.VIDEO: "video/mp4", MediaKind.AUDIO: "audio/mpeg"}


@dataclass(slots=True)
class Named:
    """Every export with its path, every output without a file, and what is wrong."""

    placings: list[tuple[str, Export]] = field(default_factory=list)
    absent: list[NoExport] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)


def name_exports(graph: Graph, source: ScopeSource, world: World) -> Named:
    """Paths for all outputs in a world; those still to be made get the extension that their kind usually has."""
    named = Named()
    for each in exports(graph, source, world):
        if isinstance(each, Diagnostic):
            named.problems.append(each)
        elif isinstance(each, NoExport):
            named.absent.append(each)
        else:
            _name(each, named)
    named.problems.extend(_clashes(named.placings))
    return named


def _name(export: Export, named: Named) -> None:
    media_type = export.file.facts.media_type if export.file else _EXPECTED[export.kind]
    if export.path is None:
        key = export.key or (str(export.number) if export.number is not None else None)
        named.placings.append((default_path(export.output, key, extension(media_type)), export))
        return
    try:
        check_path(export.path)
        path = with_extension(export.path, media_type)
    except UnsafePathError:
        message, hint = (
            f"'{export.path}' would leave the export folder",
            "write a path below it, with / between folders",
        )
        named.problems.append(Diagnostic("unsafe-path", message, export.span, hint))
        return
    except WrongKindError as error:
        message = f"'{export.path}' is a name for {error.claimed.value}, but the output is {media_type}"
        named.problems.append(Diagnostic("wrong-extension", message, export.span, "leave the extension away"))
        return
    if path.corrected and (export.file is not None or export.kind is not MediaKind.IMAGE):
        message = f"'{export.path}' is {media_type}: exported as '{path.path}'"
        named.problems.append(Diagnostic("corrected-extension", message, export.span, severity=Severity.WARNING))
    if any(len(part.encode()) > LONGEST_NAME for part in path.path.split("/")):
        message = f"'{path.path[:40]}...' has a part longer than {LONGEST_NAME} bytes, which no disk takes"
        named.problems.append(Diagnostic("unsafe-path", message, export.span, "shorten it"))
        return
    named.placings.append((path.path, export))


def _clashes(placings: list[tuple[str, Export]]) -> Iterable[Diagnostic]:
    spans = {path: export.span for path, export in placings}
    for one, other in collisions(path for path, _ in placings):
        hint = 'tell them apart by {{ each.key }} or another "path:"'
        yield Diagnostic("export-clash", f"two outputs go to one path: '{one}' and '{other}'", spans[other], hint)


def without_clashes(named: Named) -> list[tuple[str, Export]]:
    """The placings that can all be placed: of two that clash, the first."""
    first: dict[str, Export] = {}
    for path, export in named.placings:
        first.setdefault(path, export)
    clashing = {other for _, other in collisions(first)}
    return [(path, export) for path, export in first.items() if path not in clashing]


def make_exporter(bound: Bound, manifest: Path, flow: str, profile: str) -> Exporter:
    """The export folder of one flow and profile."""
    folder = bound.export_root(manifest) / (f"{flow}.{profile}" if profile else flow)
    name = name_in(bound.project, folder)
    own, store = name_in(bound.project, manifest.absolute()), bound.store
    return Exporter(folder, name, own, store.blobs, store.exports, lambda other: (bound.project / other).is_file())


def check_folder(exporter: Exporter) -> None:
    """Before anything is spent: the exports must have somewhere to go. Raises FlowrunError."""
    folder = exporter.folder
    blocking = next((each for each in (folder, *folder.parents) if each.exists() and not each.is_dir()), None)
    if blocking is not None:
        message = f"exports cannot go to {folder}: {blocking} is a file, not a folder; nothing was submitted"
        raise FlowrunError(Exit.WRONG, message, "name another folder with --out, or move the file away")
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in folder.parts):
        message = f"exports cannot go to {folder}: a folder's name is longer than {LONGEST_NAME} bytes"
        raise FlowrunError(Exit.WRONG, message, "give the manifest a shorter 'name'")
    try:
        exporter.check_owner()
    except FolderOwnedError as error:
        raise FlowrunError(
            Exit.WRONG, str(error), "give this manifest another 'name', or export with --out DIR"
        ) from None


def _wanted(named: Named) -> list[Placing]:
    ready = [(path, export) for path, export in without_clashes(named) if export.file is not None]
    return [Placing(path, export.file, export.output, str(export.address)) for path, export in ready if export.file]


def files_to_export(named: Named, exporter: Exporter, bound: Bound) -> int:
    """How many files an export of what is made already would write. Changes nothing. Raises OSError."""
    surveyed = exporter.survey(_wanted(named), overwrite=bound.options.overwrite)
    return sum(each.outcome in (Outcome.WRITTEN, Outcome.REPLACED) for each in surveyed)


def export_all(named: Named, exporter: Exporter, bound: Bound, emit: Callable[[ev.Event], None]) -> None:
    """Place every file that is there; tell what became of each output. Raises OSError, FolderOwnedError."""
    wanted = _wanted(named)
    unmade = [export for _, export in named.placings if export.file is None]
    pending = {(each.output, str(each.address)) for each in named.absent if each.why == "missing"}
    pending |= {(export.output, str(export.address)) for export in unmade}
    report = exporter.run(wanted, pending=pending, overwrite=bound.options.overwrite, prune=bound.options.prune)
    now = bound.around.clock.now()
    exporter.sweep(now)
    for placed in report.placements:
        emit(ev.Exported(now, placed.export.output, str(placed.target), placed.outcome.value))
    for orphan in report.orphans:
        emit(ev.Exported(now, orphan.file.output, str(orphan.target), "removed" if orphan.removed else "orphan"))
    for each in named.absent:
        emit(ev.Exported(now, each.output, "", each.why))
    for export in unmade:  # not reached: by a limit, a cap or an interrupt
        emit(ev.Exported(now, export.output, "", "missing"))


__all__ = ["FolderOwnedError", "Named", "check_folder", "export_all", "make_exporter", "name_exports"]
