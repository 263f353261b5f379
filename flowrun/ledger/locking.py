"""Who has a ledger open: a lock beside its file, shared by all that use it, taken alone by who puts another in its place.

Owns that lock file. The system lets go of it for a process that dies. On a platform without flock nobody is kept out: there a
file that is open cannot be renamed either.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

if sys.platform != "win32":
    import fcntl


PATIENCE = 10.0  # seconds; making or rebuilding a ledger takes a fraction of one
STEP = 0.02


class LedgerLock:
    """Held until it is closed."""

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle

    @classmethod
    def shared(cls, path: Path, *, wait: bool) -> LedgerLock | None:
        """For the ledger at `path`. None: another is just being put in its place; `wait`: for that, `PATIENCE` at most, since who
        does it may stand still."""
        return cls._taken(path, alone=False, wait=wait)

    @classmethod
    def alone(cls, path: Path) -> LedgerLock | None:
        """None: somebody has the ledger open."""
        return cls._taken(path, alone=True, wait=False)

    @classmethod
    def _taken(cls, path: Path, *, alone: bool, wait: bool) -> LedgerLock | None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        end = time.monotonic() + (PATIENCE if wait else 0.0)
        try:
            while not _is_had(handle, alone=alone):
                if time.monotonic() >= end:
                    os.close(handle)
                    return None
                time.sleep(STEP)
        except BaseException:
            os.close(handle)
            raise
        return cls(handle)

    def close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def _is_had(handle: int, *, alone: bool) -> bool:
    """Whether the lock could be taken just now."""
    if sys.platform != "win32":
        try:
            fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
