"""Copies of a ledger's file, one for each run: made whole or not at all, numbered, the newest few kept.

Owns where they lie beside the ledger, their numbers and which one is sound. When one is made is the caller's; what is built
from one, `rebuilding`'s.
"""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from flowrun.files import sync_directory
from flowrun.ledger.opening import translated
from flowrun.ledger.protocol import LedgerDamagedError
from flowrun.ledger.schema import APPLICATION_ID, SHAPES

KEPT = 3
UNUSED = 0  # the number of the copy that is made before its ledger is in its place
_NAME = re.compile(r"(\d{1,18})\.sqlite3")


@dataclass(frozen=True, slots=True)
class Backup:
    number: int
    path: Path

    @property
    def made_at(self) -> float:
        """Epoch seconds."""
        return self.path.stat().st_mtime


class Backups:
    """Those of the ledger at `path`, which need not be there any more."""

    def __init__(self, path: Path) -> None:
        self.folder = path.with_suffix(".backups")

    def all(self) -> list[Backup]:
        """Newest first."""
        with suppress(FileNotFoundError, NotADirectoryError):
            names = [(_NAME.fullmatch(each.name), each) for each in self.folder.iterdir()]
            return sorted((Backup(int(name[1]), each) for name, each in names if name), key=_number, reverse=True)
        return []

    def make(self, source: sqlite3.Connection, number: int) -> Path:
        """The ledger as it is now, under `number`; the oldest ones beyond those that are kept go.

        Raises LedgerDamagedError where the copy is not sound, so that no good one goes for it; OSError.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        target = self.folder / f"{number}.sqlite3"
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=".tmp-")  # its mode is 0600
        try:
            _copied(source, Path(name))
            os.fsync(handle)
            Path(name).replace(target)
        finally:
            os.close(handle)
            with suppress(FileNotFoundError):
                Path(name).unlink()
        sync_directory(self.folder)
        self._prune()
        return target

    def _prune(self) -> None:
        """Also what a crash left half made."""
        gone = [each.path for each in self.all()[KEPT:]]
        for path in (*gone, *self.folder.glob(".tmp-*-journal")):
            with suppress(OSError):
                path.unlink()

    def newest_good(self) -> tuple[Backup | None, list[Backup]]:
        """The newest that is sound, and the newer ones that are not."""
        bad: list[Backup] = []
        for each in self.all():
            if complaint(each.path) is None:
                return each, bad
            bad.append(each)
        return None, bad


def _number(backup: Backup) -> int:
    return backup.number


def _copied(source: sqlite3.Connection, target: Path) -> None:
    try:
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            copy.execute("PRAGMA synchronous=OFF")  # it is synced once, whole
            source.backup(copy)
    except sqlite3.Error as error:
        raise translated(error, target) from error
    if (found := _unsound(target)) is not None:
        raise LedgerDamagedError(f"the ledger is damaged: a copy of it is not sound: {found}")


def complaint(path: Path) -> str | None:
    """What there is to say against the file at `path` as a ledger, looked at whole: its pages and each row. None: it is sound.
    Changes nothing, not even a file beside it; so nobody may be writing to it."""
    return _unsound(path) or _unreadable(path)


def _unsound(path: Path) -> str | None:
    try:
        with closing(_reading(path)) as connection:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        return str(error)
    if application != APPLICATION_ID:
        return "it is no ledger"
    return None if answer == "ok" else str(answer)


def _unreadable(path: Path) -> str | None:
    """Rows that no ledger wrote."""
    try:
        with closing(_reading(path)) as connection:
            for shape in SHAPES:
                query = " ".join(("SELECT", ", ".join(shape.columns), "FROM", shape.table))
                for values in connection.execute(query):
                    shape.decode(values)
    except (sqlite3.Error, KeyError, TypeError, ValueError) as error:
        return f"a row cannot be read: {error}"
    return None


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


def ended_runs(path: Path) -> frozenset[str]:
    """The runs that a copy knows the end of. Raises LedgerDamagedError for one that cannot be read."""
    try:
        with closing(_reading(path)) as connection:
            return frozenset(run for (run,) in connection.execute("SELECT run FROM runs WHERE ended_at IS NOT NULL"))
    except sqlite3.Error as error:
        raise LedgerDamagedError(f"the copy {path} is damaged: {error}") from error
