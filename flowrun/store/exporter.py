"""Exports: the files people look at, placed from the store. Owns the export folder and the record of what we left there.

An export is replaced whole or not at all, and only if it is as we left it. The record is written twice: before any
file is touched it gains the digests that are about to be there, and afterwards it loses those that are not. So after a
crash anywhere between, each file is one we recognise, the old or the new.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from flowrun.digest import CHUNK, Digest, of_chunks, of_stream
from flowrun.files import UnsafePathError, replacing, safe_join
from flowrun.store.export_paths import collisions, folded
from flowrun.store.landing import STALE
from flowrun.store.protocol import Blobs, ExportedFile, ExportRecord, Exports, StoredFile
from flowrun.store.reflink import reflink

_TEMPORARY = re.compile(r"\.tmp-[a-z0-9_]{8}")  # as `files.replacing` names them


class FolderOwnedError(Exception):
    """The export folder belongs to the manifest that first wrote it. `owner`: that manifest's path."""

    def __init__(self, folder: str, owner: str) -> None:
        hint = "export to another folder with --out, or move that one away"
        super().__init__(f"{folder} holds the exports of {owner}; nothing was written: {hint}")
        self.owner = owner


class ExportCollisionError(ValueError):
    """Two exports at one path. `pairs`: (earlier, later)."""

    def __init__(self, pairs: tuple[tuple[str, str], ...]) -> None:
        super().__init__(", ".join(f"{one} and {other}" for one, other in pairs))
        self.pairs = pairs


class _DamagedBlobError(Exception):
    """What the store holds under that digest is something else."""


class Outcome(StrEnum):
    WRITTEN = "written"  # there was nothing
    REPLACED = "replaced"  # there was what we left, or --overwrite said so
    UNCHANGED = "unchanged"  # these bytes were there
    KEPT = "kept"  # there is something we did not leave there
    DAMAGED = "damaged"  # the store's bytes are gone or not what they should be; nothing was touched


@dataclass(frozen=True, slots=True)
class Export:
    """One file to place. `path` below the export folder, extension and all; `output`: its name under ``outputs:``;
    `address`: the instance it comes from (without the take: another pick is still the same export)."""

    path: str
    file: StoredFile
    output: str
    address: str

    def recorded(self) -> ExportedFile:
        return ExportedFile(self.path, self.file.digest, self.output, self.address)


@dataclass(frozen=True, slots=True)
class Placement:
    export: Export
    target: Path
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Orphan:
    """A file we exported that nothing exports any more. `changed`: not as we left it, so never removed by us, and not
    ours any longer: it is listed this once."""

    file: ExportedFile
    target: Path
    changed: bool = False
    removed: bool = False


@dataclass(frozen=True, slots=True)
class ExportReport:
    """In the order of the exports asked for; orphans by path."""

    placements: tuple[Placement, ...] = ()
    orphans: tuple[Orphan, ...] = ()


class Exporter:
    """Places one manifest's exports in one folder. `name`: the folder's name on record (below the project, else absolute)."""

    def __init__(
        self,
        folder: Path,
        name: str,
        manifest: str,
        blobs: Blobs,
        exports: Exports,
        is_there: Callable[[str], bool] = lambda manifest: True,
    ) -> None:
        """`is_there`: whether a manifest on record still exists; the folder of one that was renamed can be taken over."""
        self._folder, self._name, self._manifest = folder, name, manifest
        self._blobs, self._exports, self._manifest_is_there = blobs, exports, is_there

    @property
    def folder(self) -> Path:
        return self._folder

    def recorded(self) -> tuple[ExportedFile, ...]:
        """What this manifest last left in the folder."""
        return self._recorded()

    def check_owner(self) -> None:
        """Raises FolderOwnedError. A folder of which no recorded file is left belongs to nobody."""
        record = self._exports.get(self._name)
        if record and not self._is_ours(record) and any(map(self._is_there, record.files)):
            raise FolderOwnedError(self._name, record.manifest)

    def check_paths(self, paths: Iterable[str]) -> None:
        """Raises UnsafePathError, ExportCollisionError: before anything runs, or anything is written."""
        listed = list(paths)
        for each in listed:
            self._target(each)
        if pairs := collisions(listed):
            raise ExportCollisionError(pairs)

    def survey(self, wanted: Iterable[Export], *, overwrite: bool = False) -> tuple[Placement, ...]:
        """What `run` would do with each, by what is there now. Changes nothing."""
        known = _digests(self._recorded())
        return tuple(self._survey_one(each, known.get(each.path, frozenset()), overwrite) for each in wanted)

    def run(
        self,
        wanted: Sequence[Export],
        *,
        pending: Collection[tuple[str, str]] = (),
        overwrite: bool = False,
        prune: bool = False,
    ) -> ExportReport:
        """Place all `wanted`.

        `pending`: (output, address) of what the manifest exports too, but has no file for this time (not selected,
        failed): its earlier export stays. Without `prune` orphans are only listed.
        Raises FolderOwnedError, UnsafePathError, ExportCollisionError before anything is written; OSError (a full
        disk), after which the files done so far are done and the others are as they were.
        """
        self.check_owner()
        self.check_paths(each.path for each in wanted)
        before = self._recorded()
        surveyed = self.survey(wanted, overwrite=overwrite)
        intended = [each.export.recorded() for each in surveyed if each.outcome is not Outcome.KEPT]
        self._record([*before, *intended])
        placements = tuple(self._place(each) for each in surveyed)
        orphans = self._orphans(before, wanted, frozenset(pending))
        if prune:
            orphans = tuple(self._prune(each) for each in orphans)
        self._record(_after(before, placements, orphans, frozenset(pending)))
        return ExportReport(placements, orphans)

    def sweep(self, now: float) -> None:
        """Remove temporary files of a crash more than a day ago."""
        for each in list(self._folder.rglob(".tmp-*")):
            with suppress(OSError):
                if _TEMPORARY.fullmatch(each.name) and each.is_file() and each.stat().st_mtime < now - STALE:
                    each.unlink()

    def _recorded(self) -> tuple[ExportedFile, ...]:
        record = self._exports.get(self._name)
        return record.files if record and self._is_ours(record) else ()

    def _is_ours(self, record: ExportRecord) -> bool:
        return record.manifest == self._manifest or not self._manifest_is_there(record.manifest)

    def _record(self, files: Iterable[ExportedFile]) -> None:
        record = ExportRecord(self._name, self._manifest, tuple(dict.fromkeys(files)))
        if self._exports.get(self._name) != record:
            self._exports.set(record)

    def _target(self, path: str) -> Path:
        """Raises UnsafePathError, also where a symbolic link on the way leads out of the folder."""
        target = safe_join(self._folder, path)
        if not target.parent.resolve().is_relative_to(self._folder.resolve()):
            raise UnsafePathError(path)
        return target

    def _is_there(self, file: ExportedFile) -> bool:
        with suppress(UnsafePathError):
            return self._target(file.path).exists()
        return False

    def _survey_one(self, export: Export, ours: frozenset[Digest], overwrite: bool) -> Placement:
        target = self._target(export.path)
        if self._obstructed(target):
            return Placement(export, target, Outcome.KEPT)
        if not target.exists() and not target.is_symlink():
            return Placement(export, target, Outcome.WRITTEN)
        there = _digest_there(target, {export.file.digest, *ours})
        if there == export.file.digest:
            return Placement(export, target, Outcome.UNCHANGED)
        replaceable = there is not None or (overwrite and not _is_folder(target))
        return Placement(export, target, Outcome.REPLACED if replaceable else Outcome.KEPT)

    def _obstructed(self, target: Path) -> bool:
        """Whether a file lies where a folder must be."""
        return any(each.exists() and not each.is_dir() for each in target.parents if each != self._folder)

    def _place(self, placement: Placement) -> Placement:
        if placement.outcome not in (Outcome.WRITTEN, Outcome.REPLACED):
            return placement
        digest = placement.export.file.digest
        try:
            with self._blobs.open(digest) as source, replacing(placement.target) as stream:
                _copy(source, stream, digest)
        except (KeyError, _DamagedBlobError):
            return Placement(placement.export, placement.target, Outcome.DAMAGED)
        return placement

    def _orphans(
        self, before: Iterable[ExportedFile], wanted: Sequence[Export], pending: frozenset[tuple[str, str]]
    ) -> tuple[Orphan, ...]:
        digests, now = _digests(before), {folded(each.path): each.path for each in wanted}
        found = {}
        for file in before:
            renamed = now.get(folded(file.path))
            kept = renamed is None and (file.output, file.address) in pending
            if not kept and renamed != file.path and self._is_there(file) and not self._same(file.path, renamed):
                target = self._target(file.path)
                found[file.path] = Orphan(file, target, _digest_there(target, digests[file.path]) is None)
        return tuple(found[path] for path in sorted(found))

    def _same(self, path: str, other: str | None) -> bool:
        """Whether two paths that differ in case are one file here."""
        with suppress(FileNotFoundError):
            return other is not None and self._target(path).samefile(self._target(other))
        return False

    def _prune(self, orphan: Orphan) -> Orphan:
        if orphan.changed:
            return orphan
        orphan.target.unlink(missing_ok=True)
        for folder in orphan.target.parents:
            if folder == self._folder or not _remove_empty(folder):
                break
        return Orphan(orphan.file, orphan.target, removed=True)


def _digests(files: Iterable[ExportedFile]) -> Mapping[str, frozenset[Digest]]:
    """By path, every digest under which we would know the file again."""
    found: dict[str, set[Digest]] = {}
    for each in files:
        found.setdefault(each.path, set()).add(each.digest)
    return {path: frozenset(digests) for path, digests in found.items()}


def _after(
    before: Iterable[ExportedFile],
    placements: Iterable[Placement],
    orphans: Iterable[Orphan],
    pending: frozenset[tuple[str, str]],
) -> list[ExportedFile]:
    """The record once all is done: what is there of ours, and what we would still know again."""
    done = {each.export.path for each in placements if each.outcome not in (Outcome.KEPT, Outcome.DAMAGED)}
    others = {each.export.path for each in placements} - done
    others |= {each.file.path for each in orphans if not each.removed and not each.changed}
    kept = [each for each in before if each.path not in done]
    kept = [each for each in kept if each.path in others or (each.output, each.address) in pending]
    return [*kept, *(each.export.recorded() for each in placements if each.export.path in done)]


def _digest_there(target: Path, known: Collection[Digest]) -> Digest | None:
    """Which of the known contents `target` has. None for another, for a folder, for a symbolic link: not left by us."""
    if target.is_symlink() or not target.is_file():
        return None
    if target.stat().st_size not in {each.size for each in known}:
        return None
    with target.open("rb") as stream:
        found = of_stream(stream)
    return found if found in known else None


def _is_folder(target: Path) -> bool:
    return target.is_dir() and not target.is_symlink()


def _copy(source: BinaryIO, stream: BinaryIO, digest: Digest) -> None:
    """Raises _DamagedBlobError, so that no wrong bytes are ever exported."""
    found = of_stream(source) if reflink(source, stream) else of_chunks(_copied(source, stream))
    if found != digest:
        raise _DamagedBlobError


def _copied(source: BinaryIO, stream: BinaryIO) -> Iterator[bytes]:
    while chunk := source.read(CHUNK):
        stream.write(chunk)
        yield chunk


def _remove_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:  # not empty, or not ours to remove
        return False
    return True
