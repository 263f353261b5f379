"""Where the journals of runs lie: ``<store>/journals/<run>.ndjson``. Owns the files: made, added to, read, let go of.

What stands in them is `flowrun.ledger.journal`'s.
"""

from __future__ import annotations

import os
from collections.abc import Container
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from flowrun.files import sync_directory
from flowrun.ids import RunId
from flowrun.ledger.backups import KEPT, ended_runs
from flowrun.ledger.journal import SUFFIX
from flowrun.ledger.protocol import LedgerDamagedError
from flowrun.store.landing import make_folder

if TYPE_CHECKING:
    from flowrun.production.binding import Bound

FOLDER = "journals"


class DiskJournal:
    """A new one, open for adding to."""

    def __init__(self, path: Path) -> None:
        """Raises OSError: it is there already, or cannot be made."""
        make_folder(path.parent)
        self._stream = path.open("xb", buffering=0)
        self._length = 0
        path.chmod(0o600)
        sync_directory(path.parent)

    def write(self, line: bytes) -> None:
        """Whole and durable, or not at all: what a full disk took of it is cut off again. Raises OSError."""
        try:
            _write_all(self._stream, line)
            os.fsync(self._stream.fileno())
        except OSError:
            with suppress(OSError):
                self._stream.truncate(self._length)
                self._stream.seek(self._length)
            raise
        self._length += len(line)

    def close(self) -> None:
        """Once or more often."""
        self._stream.close()


def _write_all(stream: FileIO, data: bytes) -> None:
    """A file without a buffer may take only some of it."""
    while data:
        data = data[stream.write(data) :]


def register(at: Bound, run: RunId) -> None:
    """Before a run's first claim: its journal, its place in the ledger, a copy of that. Only then may anything be sent.

    Raises OSError, LedgerDamagedError.
    """
    root = at.store.root
    journal = DiskJournal(root / FOLDER / f"{run}{SUFFIX}")
    try:
        at.ledger.begin(run, at.owner, str(root), at.account, journal)
    except BaseException:
        journal.close()
        raise
    at.written.back_up()
    _let_go(at)


def read_journals(store: str, but: Container[str] = ()) -> dict[str, bytes]:
    """The journals of a store, by their run; without some. One that cannot be read is not there."""
    found = {}
    with suppress(OSError):
        for path in sorted((Path(store) / FOLDER).glob(f"*{SUFFIX}")):
            if path.name.removesuffix(SUFFIX) not in but:
                with suppress(OSError):
                    found[path.name.removesuffix(SUFFIX)] = path.read_bytes()
    return found


def _let_go(at: Bound) -> None:
    """Of journals that nobody can need: every copy has all of them, and nothing that they tell of is undecided."""
    copies = at.written.copies.all()
    if len(copies) < KEPT:
        return
    with suppress(OSError, LedgerDamagedError):  # they are in nobody's way
        left = {row.run for row, _ in at.ledger.open()} | {row.run for row in at.ledger.unanswered()}
        for run in ended_runs(copies[-1].path) - left:
            (at.store.root / FOLDER / f"{run}{SUFFIX}").unlink(missing_ok=True)
