"""Where a sandbox's state lives: in memory or in one folder. Owns connections, transactions and the bytes of media.

A folder may be shared by several processes at once: each transaction takes SQLite's write lock at its begin and waits for
others. A crash of the process loses nothing that was answered; a power cut may lose the last moments, which is the price of
not syncing each poll.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from flowrun.files import safe_join, write_atomic
from flowrun.sandbox.books import TABLES, VERSION, Books

BUSY_SECONDS = 30.0
DATABASE = "state.sqlite"


class Blobs(Protocol):
    """Bytes by name. Names are relative paths of two parts: ``inputs/<sha256>``, ``outputs/<recipe digest>``."""

    def read(self, name: str) -> bytes | None: ...

    def write(self, name: str, data: bytes | memoryview) -> None:
        """Writing a name again, with the same bytes, is no error."""


class StateStore(Protocol):
    """A place for a sandbox's state. Several sandboxes, in several processes, may stand over one."""

    @property
    def blobs(self) -> Blobs: ...

    def transaction(self) -> AbstractContextManager[Books]:
        """All that happens in the block happens at once or, where it raises, not at all. Waits for others' blocks."""

    def close(self) -> None: ...


class MemoryBlobs:
    """Bytes in a mapping."""

    def __init__(self) -> None:
        self._held: dict[str, bytes] = {}

    def read(self, name: str) -> bytes | None:
        return self._held.get(name)

    def write(self, name: str, data: bytes | memoryview) -> None:
        self._held[name] = bytes(data)


class FolderBlobs:
    """Bytes as files below one folder. Raises OSError (a full disk, no permission)."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> bytes | None:
        try:
            return safe_join(self._root, name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes | memoryview) -> None:
        target = safe_join(self._root, name)
        if not target.exists():
            write_atomic(target, data)


class StateError(Exception):
    """The state's folder was written by a version with other tables."""


class _Database:
    """One SQLite database, opened when first needed, used by one thread at a time."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def _open(self) -> sqlite3.Connection:
        if self._path != ":memory:":
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            prepare(connection)
        except BaseException:
            connection.close()
            raise
        weakref.finalize(self, connection.close)  # a state that nobody closed, as tests leave behind
        return connection

    @contextmanager
    def transaction(self) -> Iterator[Books]:
        with self._lock:
            connection = self._connection = self._connection or self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Books(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables where there are none. Raises StateError."""
    with suppress(sqlite3.OperationalError):  # it is only for speed, and does not wait for another who is just doing it
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in (0, VERSION):
        raise StateError(f"the sandbox's state has format {version}, this flowrun knows format {VERSION}")
    connection.executescript(f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;")


class MemoryState(_Database):
    """State that ends with the process."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.blobs: Blobs = MemoryBlobs()


class SqliteState(_Database):
    """State in `folder`: ``state.sqlite``, ``inputs/`` and ``outputs/``. Made when first used."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder / DATABASE))
        self.blobs: Blobs = FolderBlobs(folder)
