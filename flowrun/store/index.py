"""The store's SQLite database: opened, checked, thrown away and rebuilt. Owns the file and its tables.

Nothing in it is the truth but the runs' history. Any process may find it gone, foreign or damaged at any moment; then
it is set aside and built again from the files. What the tables mean is asked in `results` and `runs`.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar

from flowrun.store.errors import is_damage, still_damaged, unavailable
from flowrun.store.landing import set_aside

if sys.platform != "win32":
    import fcntl

VERSION = 1
_NOTE = "index.lost"
_PATIENCE = 30.0  # seconds to wait for another process's transaction
_TABLES = """
CREATE TABLE results (
  key TEXT NOT NULL, id TEXT NOT NULL, recipe TEXT NOT NULL, provider TEXT NOT NULL, operation TEXT NOT NULL,
  model TEXT NOT NULL, submitted_at REAL, ended_at REAL, committed_at REAL NOT NULL, PRIMARY KEY (key, id));
CREATE INDEX results_recipe ON results (recipe);
CREATE INDEX results_provider ON results (provider, operation, model, ended_at);
CREATE TABLE outputs (sha256 TEXT NOT NULL, key TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (sha256, key, id));
CREATE TABLE flows (
  provider TEXT NOT NULL, flow TEXT NOT NULL, profile TEXT NOT NULL, address TEXT NOT NULL,
  key TEXT NOT NULL, id TEXT NOT NULL, at REAL NOT NULL,
  PRIMARY KEY (provider, flow, profile, address, key, id));
CREATE TABLE runs (
  id TEXT PRIMARY KEY, provider TEXT NOT NULL, flow TEXT NOT NULL, profile TEXT NOT NULL, manifest TEXT NOT NULL,
  started_at REAL NOT NULL, ended_at REAL, exit INTEGER, submitted INTEGER NOT NULL, credits INTEGER NOT NULL,
  summary TEXT NOT NULL);
CREATE INDEX runs_started ON runs (started_at);
CREATE TABLE steps (
  run TEXT NOT NULL, address TEXT NOT NULL, state TEXT NOT NULL, decision TEXT NOT NULL, reason TEXT NOT NULL,
  key TEXT, result TEXT, task TEXT, credits INTEGER, detail TEXT, PRIMARY KEY (run, address));
CREATE TABLE journal (run TEXT NOT NULL, event TEXT NOT NULL);
CREATE INDEX journal_run ON journal (run);
"""
_NAMES = {"results", "outputs", "flows", "runs", "steps", "journal"}

Statement = tuple[str, Sequence[Sequence[Any]]]
"""SQL and the rows to execute it for."""

T = TypeVar("T")


class _UnusableError(Exception):
    """A sound database that is not ours: another version's, or something else's."""


class Index:
    """One connection, for all threads of a process. `rebuild` yields what a new database is filled with."""

    def __init__(self, path: Path, rebuild: Callable[[], Iterable[Statement]]) -> None:
        self._path, self._rebuild = path, rebuild
        self._lock = RLock()
        self._connection, self._identity = self._open()

    def read(self, sql: str, values: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Raises StoreUnavailableError."""
        return self._guarded(lambda connection: connection.execute(sql, values).fetchall())

    def write(self, statements: Iterable[Statement], *, durable: bool = False) -> None:
        """One transaction; on the disk when it returns if `durable`, else soon after. Raises StoreUnavailableError."""
        listed = list(statements)
        self._guarded(lambda connection: _transact(connection, listed, durable=durable))

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _guarded(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Does `work`, once more on a new database if this one turns out to be gone or damaged."""
        with self._lock:
            if _identity(self._path) != self._identity:
                self._reopen(broken=False)
            try:
                try:
                    return work(self._connection)
                except sqlite3.Error as error:
                    if not is_damage(error):
                        raise
                self._reopen(broken=True)
                return work(self._connection)
            except sqlite3.OperationalError as error:
                raise unavailable(error, self._path) from error
            except sqlite3.DatabaseError as error:
                if is_damage(error):
                    raise still_damaged(self._path) from error
                raise

    def _reopen(self, *, broken: bool) -> None:
        with suppress(sqlite3.Error):
            self._connection.close()
        self._connection, self._identity = self._open(self._identity if broken else None)

    def _open(self, broken: tuple[int, int] | None = None) -> tuple[sqlite3.Connection, tuple[int, int] | None]:
        """`broken`: the database that is not to be used again, unless another process has replaced it already."""
        with _exclusively(self._path.with_name("index.lock")):
            found = _identity(self._path)
            if found is None or found == broken:
                self._discard()
            try:
                connection = self._prepare()
            except _UnusableError:
                self._discard()
                connection = self._prepare()
            return connection, _identity(self._path)

    def _discard(self) -> None:
        """Put the database aside. The shared memory of who still has it open must not become that of the next one."""
        if (aside := set_aside(self._path)) is not None:
            _note(self._path, aside.name)
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _prepare(self) -> sqlite3.Connection:
        connection = None
        try:
            connection = self._connect()
            self._check(connection)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, sqlite3.OperationalError):
                raise unavailable(error, self._path) from error
            if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
                raise _UnusableError from error
            raise
        return connection

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)

    def _check(self, connection: sqlite3.Connection) -> None:
        tables, version = _state(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if not tables and version == 0:
            self._fill(connection)
        elif (tables, version) != (_NAMES, VERSION):
            raise _UnusableError

    def _fill(self, connection: sqlite3.Connection) -> None:
        """In one transaction with the version number, so that nobody ever sees half an index."""
        schema: list[Statement] = [(each, [()]) for each in _TABLES.split(";") if each.strip()]
        version: Statement = (f"PRAGMA user_version = {VERSION}", [()])
        _transact(connection, [*schema, *self._rebuild(), version], durable=True)


class ReadIndex(Index):
    """For who only reads: it changes nothing on the disk, and waits for nobody who does. What cannot be used is left as it is,
    and built in memory; what is found out is kept there too."""

    _is_apart = False

    def write(self, statements: Iterable[Statement], *, durable: bool = False) -> None:
        with self._lock:
            if not self._is_apart:
                copy = _memory()
                self._guarded(lambda connection: connection.backup(copy))
                self._connection.close()
                self._connection, self._is_apart = copy, True
            super().write(statements)

    def _open(self, broken: tuple[int, int] | None = None) -> tuple[sqlite3.Connection, tuple[int, int] | None]:
        self._is_apart, found = False, _identity(self._path)
        if found is not None and found != broken:
            with suppress(_UnusableError):
                return self._prepare(), found
        made, self._is_apart = _memory(), True
        self._fill(made)
        return made, found

    def _connect(self) -> sqlite3.Connection:
        uri = f"{self._path.absolute().as_uri()}?mode=rw"  # never creates
        return sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)

    def _check(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA query_only = ON")
        if _state(connection) != (_NAMES, VERSION):
            raise _UnusableError


def _memory() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


def _state(connection: sqlite3.Connection) -> tuple[set[str], int]:
    """Its tables and its version."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return tables, version


def _transact(connection: sqlite3.Connection, statements: Iterable[Statement], *, durable: bool) -> None:
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for sql, rows in statements:
            for values in rows:
                connection.execute(sql, values)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _note(path: Path, aside: str) -> None:
    """That the history was lost, for whoever can tell a person."""
    with suppress(OSError):  # it is told of, or not: the index is rebuilt all the same
        path.with_name(_NOTE).write_text(aside, encoding="utf-8")


def take_note(root: Path) -> str | None:
    """As what the index was last set aside, with all the history in it; once. Raises OSError."""
    note = root / _NOTE
    try:
        aside = note.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    note.unlink(missing_ok=True)
    return aside


def complaint(path: Path) -> str | None:
    """What SQLite's quick check has to say against the database at `path`; None: it is sound. Changes nothing."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)) as connection:
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return str(error)
    return None if answer == "ok" else str(answer)


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is. An open file's number is not given to another one."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _exclusively(path: Path) -> Iterator[None]:
    """One process at a time opens, replaces and rebuilds; the system lets go of it for one that dies."""
    with closing(path.open("ab")) as handle:
        if sys.platform != "win32":
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
