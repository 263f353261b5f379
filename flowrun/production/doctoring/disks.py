"""Looks at where things are kept: the store's disk, the ledger's, and the store's index. Owns trying them out; leaves nothing
behind."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from flowrun.production.doctoring.finding import Finding, ok, problem, warning
from flowrun.production.doctoring.machine import Instruments, Room
from flowrun.store.disk import INDEX
from flowrun.store.index import complaint
from flowrun.store.reflink import reflink

LITTLE = 1 << 30  # bytes; a few films
FEW = 10_000  # files
SLOW = 1.0  # seconds for one sync
_PROBE = b"flowrun doctor " * 300


def folder(name: str, path: Path, setting: str, instruments: Instruments) -> Iterator[Finding]:
    """`path` need not be there yet: then the nearest folder above it is looked at, where it would be made."""
    place = next(each for each in (path, *path.parents) if each.exists())
    if not place.is_dir():
        advice = f"move {place} aside, or set {setting} to another folder"
        yield problem(name, f"{path} cannot be a folder: {place} is a file", advice)
        return
    if instruments.is_network(path):
        found = f"{path} lies on a network file system, where a database would be damaged sooner or later"
        yield problem(name, found, f"set {setting} to a folder on a local disk")
        return
    where = str(path) if place == path else f"{path} (not made yet)"
    yield from _tried(name, place, where, setting)
    yield from _space(name, where, setting, instruments.room(place))


def _tried(name: str, place: Path, where: str, setting: str) -> Iterator[Finding]:
    """Write a file, sync it, clone it, and remove both."""
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=".flowrun-doctor-") as made:
            seconds = _synced(Path(made, "a"))
            clones = _clones(Path(made, "a"), Path(made, "b"))
    except OSError as error:
        advice = f"mend its permissions or its disk, or set {setting} to a folder that can be written"
        yield problem(name, f"{where} cannot be written: {error.strerror or error}", advice)
        return
    copies = "files are cloned without copying (reflink)" if clones else "files are copied (no reflink here)"
    found = f"{where}: writable, synced in {seconds * 1000:.0f} ms; {copies}"
    if seconds > SLOW:
        yield warning(name, found, f"a run syncs often and will be slow; set {setting} to a faster disk")
    else:
        yield ok(name, found)


def _synced(path: Path) -> float:
    began = time.monotonic()
    with path.open("wb") as stream:
        stream.write(_PROBE)
        stream.flush()
        os.fsync(stream.fileno())
    return time.monotonic() - began


def _clones(source: Path, target: Path) -> bool:
    with source.open("rb") as one, target.open("wb") as other:
        return reflink(one, other)


def _size(count: int) -> str:
    """Whole GiB and tenths; little is told in MiB, so that it is not told as none."""
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.1f} MiB"


def _space(name: str, where: str, setting: str, left: Room) -> Iterator[Finding]:
    space = f"{name} space"
    files = "" if left.files is None else f", room for {left.files:,} files"
    found = f"{_size(left.bytes)} free{files}"
    if left.bytes < LITTLE or (left.files is not None and left.files < FEW):
        yield warning(space, f"{found} at {where}", f"free some, or set {setting} to a larger disk")
    else:
        yield ok(space, found)


def index(root: Path) -> Iterator[Finding]:
    path = root / INDEX
    if not path.exists():
        yield ok("index", "none yet; the first apply makes it")
    elif (found := complaint(path)) is not None:
        advice = f"move {path} aside: it is built anew from the results, and only the history of runs is lost"
        yield problem("index", f"{path} is damaged: {found}", advice)
    else:
        yield ok("index", f"{path.name} is sound")
