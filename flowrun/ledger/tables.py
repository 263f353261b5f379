"""The rows a ledger keeps and the port to where they lie: seven tables, one way to choose rows.

Owns the shape of storage, so that memory and SQLite differ in nothing else. What the rows mean is `rules`' and
`counting`'s; what is done with them, `transactions`'.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from flowrun.ids import ActionKey, OwnerId, RecipeKey, RunId
from flowrun.ledger.protocol import Claim, IntentRow, Origin, OwnerRow, RegisteredRun, TaskRow

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A claim that is held. `model`: what is reserved for it, None: nothing; `credits`: the estimate, None: unknown."""

    key: ActionKey
    owner: OwnerId
    run: RunId
    fence: int
    origin: Origin
    model: str | None = None
    credits: int | None = None

    @property
    def project(self) -> str:
        """The folder of the project it is held for."""
        return self.origin.project

    def claim(self) -> Claim:
        return Claim(self.key, self.owner, self.run, self.fence)


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """The latest document of an action, as JSON text; two of its fields beside it."""

    key: ActionKey
    recipe: RecipeKey
    operation: str
    text: str


@dataclass(frozen=True, slots=True)
class CounterRow:
    """The last number given out under a name. Numbers are never given twice."""

    name: str
    value: int


@dataclass(frozen=True, slots=True)
class Where:
    """A choice of rows: each column in `among` holds one of its values, and the column in `after` a later time."""

    among: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    after: tuple[str, float] | None = None


def where(*, after: tuple[str, float] | None = None, **among: Iterable[Any] | None) -> Where:
    """A column that is None is not asked for."""
    return Where(tuple((name, tuple(values)) for name, values in among.items() if values is not None), after)


class Table(Protocol[Row]):
    """Rows by their id, in the order in which they first came."""

    def get(self, name: str | int) -> Row | None: ...

    def put(self, row: Row) -> None:
        """Adds it, or replaces the one with its id in its place."""
        ...

    def drop(self, name: str | int) -> None: ...

    def find(self, choice: Where) -> list[Row]: ...

    def count(self, choice: Where) -> int: ...

    def total(self, choice: Where, *columns: str) -> int:
        """The sum, over the rows, of the first of these columns that is not empty; 0 where all are."""
        ...

    def amounts(self, choice: Where, *columns: str) -> list[tuple[float, int]]:
        """For each row, what it has in the column that `after` asks for, and the first of `columns` that is not empty, else 0;
        in the order of the former."""
        ...

    def least(self, choice: Where, column: str) -> float | None: ...


class Tables(Protocol):
    """All of a ledger's tables."""

    @property
    def claims(self) -> Table[ClaimRow]: ...
    @property
    def intents(self) -> Table[IntentRow]: ...
    @property
    def tasks(self) -> Table[TaskRow]: ...
    @property
    def owners(self) -> Table[OwnerRow]: ...
    @property
    def documents(self) -> Table[DocumentRow]: ...
    @property
    def counters(self) -> Table[CounterRow]: ...
    @property
    def runs(self) -> Table[RegisteredRun]: ...

    def writing(self) -> AbstractContextManager[None]:
        """One transaction that nobody else's runs beside; durable at its end, undone by an error."""
        ...

    def reading(self) -> AbstractContextManager[None]:
        """One view that no writer changes and that waits for none."""
        ...

    def changes(self) -> int:
        """Another number once anybody has written."""
        ...

    def close(self) -> None: ...


def next_number(tables: Tables, name: str) -> int:
    """The next number under `name`, from 1; larger than all before, whatever was dropped since."""
    last = tables.counters.get(name)
    value = last.value + 1 if last else 1
    tables.counters.put(CounterRow(name, value))
    return value
