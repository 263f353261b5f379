"""What can be wrong with the store as a whole. Owns the line between "damaged" (exit 5) and "out of reach" (exit 7).

A single bad entry is neither: it is a miss with a reason, and each part of the store says so itself.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowrun.store.protocol import StoreDamagedError

_HINTS = {
    errno.ENOSPC: "free some space, then run the same command again",
    errno.EDQUOT: "free some space in your quota, then run the same command again",
    errno.EROFS: "set FLOWRUN_CACHE_DIR to a folder that can be written",
    errno.EBUSY: "another flowrun is writing to it; run the same command again",
    errno.EIO: "look at the disk, then run the same command again",
}
_NO_ACCESS = "give yourself access to it, or set FLOWRUN_CACHE_DIR to a folder you can write to"
_SQLITE = {  # https://www.sqlite.org/rescode.html, primary codes
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_AUTH: errno.EACCES,
    sqlite3.SQLITE_BUSY: errno.EBUSY,
    sqlite3.SQLITE_LOCKED: errno.EBUSY,
}


class StoreUnavailableError(OSError):
    """The store is sound, as far as one can tell, but cannot be read or written now. `filename` is the path."""

    def __init__(self, code: int, path: Path) -> None:
        super().__init__(code, os.strerror(code), str(path))

    def __str__(self) -> str:
        hint = _HINTS.get(self.errno or 0, _NO_ACCESS)
        return f"the store cannot be used: {self.filename}: {self.strerror}; nothing in it is lost: {hint}"


def not_a_folder(path: Path) -> StoreDamagedError:
    return StoreDamagedError(
        f"the store needs a folder where a file is: {path}; move that file away, then run the same command again"
    )


@contextmanager
def opening(root: Path) -> Iterator[None]:
    """Turns what goes wrong on the way to a store into StoreDamagedError or StoreUnavailableError."""
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise not_a_folder(Path(error.filename or root)) from error
    except StoreUnavailableError:
        raise
    except OSError as error:
        raise StoreUnavailableError(error.errno or errno.EIO, Path(error.filename or root)) from error


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file itself is bad, not that it cannot be reached."""
    return _primary(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def still_damaged(path: Path) -> StoreDamagedError:
    return StoreDamagedError(
        f"the store's index was damaged, was built again, and is damaged again: {path}; nothing in the store is lost: "
        "look at the disk, delete that file, then run the same command again"
    )


def unavailable(error: sqlite3.OperationalError, path: Path) -> StoreUnavailableError:
    return StoreUnavailableError(_SQLITE.get(_primary(error), errno.EIO), path)


def _primary(error: sqlite3.Error) -> int:
    # Errors the module itself raises (a closed connection) carry no code.
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF
