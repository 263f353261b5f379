"""The store as a folder: ``.flowrun/``, or wherever `location` says. Owns what lies where, and opening and closing it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from types import TracebackType

from flowrun.store.blobs import DiskBlobs
from flowrun.store.errors import opening
from flowrun.store.index import Index, ReadIndex, Statement
from flowrun.store.landing import STALE, Landing, make_folder
from flowrun.store.records import DiskExports, DiskPicks, DiskUploads, DiskUrls
from flowrun.store.results import DiskResults, ResultFiles, by_age, entries
from flowrun.store.runs import DiskRuns

INDEX = "index.sqlite3"
_FOLDERS = ("blobs", "results", "picks", "urls", "uploads", "exports", "tmp")


@dataclass(frozen=True, slots=True)
class DiskStore:
    """All parts of one store. One provider, one root: what a sandbox run writes lies apart."""

    root: Path
    provider: str
    blobs: DiskBlobs
    results: DiskResults
    picks: DiskPicks
    urls: DiskUrls
    uploads: DiskUploads
    exports: DiskExports
    runs: DiskRuns
    _index: Index

    @classmethod
    def open(cls, root: Path, now: Callable[[], float], *, provider: str, reading: bool = False) -> DiskStore:
        """The store at `root`, made if there is none. `now`: epoch seconds. `reading`: for who changes nothing and waits for
        nobody; a store that is not there is empty then, and an index that cannot be used is made in memory.

        Raises StoreDamagedError where no store can be (a file in its place), StoreUnavailableError, an OSError, where
        one could (no permission, a full or read-only disk); both name the path and say what to do.
        """
        with opening(root):
            landing = _found(root) if reading else _prepare(root, now())
            files = ResultFiles(root / "results")
            index = (ReadIndex if reading else Index)(root / INDEX, lambda: _entries(files))
        blobs = DiskBlobs(root / "blobs", landing)
        return cls(
            root,
            provider,
            blobs,
            DiskResults(files, index, blobs, landing, now, provider=provider),
            DiskPicks(root / "picks", landing),
            DiskUrls(root / "urls", landing),
            DiskUploads(root / "uploads", landing),
            DiskExports(root / "exports", landing),
            DiskRuns(index),
            index,
        )

    def close(self) -> None:
        self._index.close()

    def __enter__(self) -> DiskStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _found(root: Path) -> Landing:
    """Nothing is made. Raises FileExistsError for a file in the folder's place."""
    if root.exists() and not root.is_dir():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(root))
    return Landing(root / "tmp")


def _prepare(root: Path, now: float) -> Landing:
    """The folders, the ignore file that makes them invisible to git, and no litter from earlier crashes."""
    for folder in (root, *(root / name for name in _FOLDERS)):
        make_folder(folder)
    landing = Landing(root / "tmp")
    landing.sweep(now - STALE)
    if not (root / ".gitignore").exists():
        landing.create(root / ".gitignore", b"*\n")
    return landing


def _entries(files: ResultFiles) -> Iterator[Statement]:
    """Rows for a new index, oldest first. The results themselves, prompts and all, are not kept in memory."""
    for _, rows in sorted(((by_age(each), entries(each)) for each in files.all()), key=itemgetter(0)):
        yield from rows
