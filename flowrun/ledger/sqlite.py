"""A ledger in one SQLite file, shared by all processes of an account on one machine.

Owns transactions and the translation of `Where` into SQL. Writers take turns (BEGIN IMMEDIATE) and each commit is
synced; readers see one moment and wait for nobody (WAL). One instance serves one thread; open another for another.
Every rule is `transactions`' and below; the file itself is `opening`'s, its format `schema`'s, copies of it are `backups`'.
A ledger that turns out to be damaged while it is used leaves a mark beside it, so that whoever opens it next looks at all of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Generic

from flowrun.ledger import schema
from flowrun.ledger.backups import Backups
from flowrun.ledger.journal import Written
from flowrun.ledger.locking import LedgerLock
from flowrun.ledger.opening import opened, translated
from flowrun.ledger.protocol import LedgerDamagedError
from flowrun.ledger.replaying import adopt_runs
from flowrun.ledger.schema import Shape
from flowrun.ledger.tables import Row, Where, next_number
from flowrun.ledger.transactions import FactLedger

BACKUPS = "backup"  # the counter of copies


def damage_mark(path: Path) -> Path:
    """The file that says of the ledger at `path`: found damaged."""
    return path.with_suffix(".damaged")


class SqliteTable(Generic[Row]):
    """Rows of one shape. Names of tables and columns come from `schema` alone, values always as parameters."""

    def __init__(self, connection: sqlite3.Connection, shape: Shape[Row]) -> None:
        self._execute = connection.execute
        self._shape = shape
        written, updates = ", ".join(shape.written), ", ".join(f"{name} = excluded.{name}" for name in shape.written)
        places = ", ".join("?" * len(shape.written))
        self._columns = ", ".join(shape.columns)
        self._put = " ".join(
            (
                "INSERT INTO",
                shape.table,
                f"({written}) VALUES ({places})",
                f"ON CONFLICT ({shape.id_column})",
                "DO UPDATE SET",
                updates,
            )
        )
        self._drop = " ".join(("DELETE FROM", shape.table, "WHERE", shape.id_column, "= ?"))

    def get(self, name: str | int) -> Row | None:
        return next(iter(self.find(Where(((self._shape.id_column, (name,)),)))), None)

    def put(self, row: Row) -> None:
        self._execute(self._put, self._shape.encode(row))

    def drop(self, name: str | int) -> None:
        self._execute(self._drop, (name,))

    def find(self, choice: Where) -> list[Row]:
        return [self._row(values) for values in self._select(self._columns, choice, "ORDER BY place")]

    def count(self, choice: Where) -> int:
        return int(next(self._select("COUNT(*)", choice))[0])

    def total(self, choice: Where, *columns: str) -> int:
        return int(next(self._select(f"COALESCE(SUM({_first_of(columns)}), 0)", choice))[0])

    def amounts(self, choice: Where, *columns: str) -> list[tuple[float, int]]:
        """Raises ValueError for a choice that asks for no later time."""
        if choice.after is None:
            raise ValueError("amounts are told in the order of the column that `after` asks for")
        column = choice.after[0]
        return list(self._select(f"{column}, {_first_of(columns)} AS amount", choice, f"ORDER BY {column}, amount"))

    def least(self, choice: Where, column: str) -> float | None:
        found: float | None = next(self._select(f"MIN({column})", choice))[0]
        return found

    def _select(self, what: str, choice: Where, *more: str) -> sqlite3.Cursor:
        clause, values = _clause(choice)
        return self._execute(" ".join(("SELECT", what, "FROM", self._shape.table, clause, *more)), values)

    def _row(self, values: Any) -> Row:
        try:
            return self._shape.decode(values)
        except (KeyError, TypeError, ValueError) as error:
            raise LedgerDamagedError(
                f"the ledger's {self._shape.table} hold a row that cannot be read: {error}"
            ) from error


def _first_of(columns: tuple[str, ...]) -> str:
    return f"COALESCE({', '.join(columns)}, 0)" if columns else "0"


def _clause(choice: Where) -> tuple[str, list[Any]]:
    """The WHERE clause and its values, in order."""
    terms = [f"{column} IN ({', '.join('?' * len(values))})" for column, values in choice.among]
    given = [value for _, values in choice.among for value in values]
    if choice.after is not None:
        terms.append(f"{choice.after[0]} > ?")
        given.append(choice.after[1])
    return (f"WHERE {' AND '.join(terms)}" if terms else ""), given


class SqliteTables:
    """The tables of one ledger file, through one connection."""

    def __init__(self, path: Path, *, reading: bool = False) -> None:
        self.path = path
        self._connection = opened(path, reading=reading)
        self.backups = Backups(path)
        self.claims = SqliteTable(self._connection, schema.CLAIMS)
        self.intents = SqliteTable(self._connection, schema.INTENTS)
        self.tasks = SqliteTable(self._connection, schema.TASKS)
        self.owners = SqliteTable(self._connection, schema.OWNERS)
        self.documents = SqliteTable(self._connection, schema.DOCUMENTS)
        self.counters = SqliteTable(self._connection, schema.COUNTERS)
        self.runs = SqliteTable(self._connection, schema.RUNS)

    def writing(self) -> AbstractContextManager[None]:
        return self._transaction("BEGIN IMMEDIATE")

    def reading(self) -> AbstractContextManager[None]:
        return self._transaction("BEGIN DEFERRED")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        """Raises LedgerDamagedError for a damaged file, OSError where the disk is full or the file cannot be used."""
        try:
            self._connection.execute(begin)
            yield
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            meant = translated(error, self.path)
            self._mark(meant)
            raise meant from error
        except BaseException as error:
            self._undo()
            self._mark(error)
            raise

    def _mark(self, error: BaseException) -> None:
        if isinstance(error, LedgerDamagedError):
            with suppress(OSError):  # then its damage is found again where it was found now
                damage_mark(self.path).touch(mode=0o600)

    def _undo(self) -> None:
        """A full disk or a damaged file may have ended the transaction already."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def changes(self) -> int:
        """SQLite counts commits of other connections, and rows changed by this one. Raises as a transaction does."""
        try:
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0]) + self._connection.total_changes
        except sqlite3.Error as error:
            raise translated(error, self.path) from error

    def checkpoint(self) -> None:
        """Everything into the file itself. Raises LedgerDamagedError, OSError."""
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            raise translated(error, self.path) from error

    def back_up(self) -> Path:
        """A copy under the next number, which is in the ledger before the copy is made: the newest copy has every run that
        ever began. Raises LedgerDamagedError, OSError."""
        with self.writing():
            number = next_number(self, BACKUPS)
        return self.copy_to(self.backups, number)

    def copy_to(self, backups: Backups, number: int) -> Path:
        """Raises LedgerDamagedError, OSError."""
        try:
            return backups.make(self._connection, number)
        except LedgerDamagedError as error:
            self._mark(error)
            raise

    def close(self) -> None:
        self._connection.close()


class SqliteLedger(FactLedger):
    """The ledger at `path`, made with its folders (mode 0600) where there is none. `reading`: for who changes nothing, and waits
    for nobody; then it is not made. `lock`: let go of when it is closed.

    Raises LedgerDamagedError for a file that is no ledger or a damaged one, OSError where the disk is full or refuses.
    """

    def __init__(
        self, path: Path, now: Callable[[], float], lock: LedgerLock | None = None, *, reading: bool = False
    ) -> None:
        self._storage = SqliteTables(path, reading=reading)
        self._lock = lock
        super().__init__(self._storage, now)

    @property
    def path(self) -> Path:
        """Its file."""
        return self._storage.path

    @property
    def copies(self) -> Backups:
        return self._storage.backups

    def back_up(self) -> Path:
        """Copy the file as it is now: right after a run began, and after a person's word. Raises LedgerDamagedError, OSError."""
        return self._storage.back_up()

    def take_in(self, journals: Iterable[Written]) -> None:
        """Runs that this ledger does not know, with all that they wrote. Nobody of them may be alive."""
        with self._storage.writing():
            adopt_runs(self._storage, journals, self._now())

    def close(self) -> None:
        try:
            super().close()
        finally:
            if self._lock is not None:
                self._lock.close()
