"""A ledger in memory: for tests, simulations and runs that must leave nothing behind.

Owns rows in dicts, with the indexes that keep ten thousand actions quick. Every rule is `transactions`' and below.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic

from flowrun.ledger.protocol import IntentRow, OwnerRow, RegisteredRun, TaskRow
from flowrun.ledger.tables import ClaimRow, CounterRow, DocumentRow, Row, Where
from flowrun.ledger.transactions import FactLedger
from flowrun.ledger.views import View, later, matches

ALL = Where()


class MemoryTable(Generic[Row]):
    """Frozen rows by the column `id_column`; `indexed` columns find theirs without looking at all."""

    def __init__(self, id_column: str, *indexed: str) -> None:
        self._id_column = id_column
        self._indexed = indexed
        self._rows: dict[Any, Row] = {}
        self._place: dict[Any, int] = {}
        self._places = 0
        self._index: dict[str, defaultdict[Any, set[Any]]] = {column: defaultdict(set) for column in indexed}
        self._views: dict[Any, View] = {}

    def get(self, name: str | int) -> Row | None:
        return self._rows.get(name)

    def put(self, row: Row) -> None:
        name = getattr(row, self._id_column)
        old = self._rows.get(name)
        if old is None:
            self._places += 1
            self._place[name] = self._places
        self._rows[name] = row
        for view in self._views.values():
            if old is not None:
                view.remove(old)
            view.add(row)
        for column, groups in self._index.items():
            if old is not None:
                groups[getattr(old, column)].discard(name)
            groups[getattr(row, column)].add(name)

    def drop(self, name: str | int) -> None:
        row = self._rows.pop(name, None)
        if row is not None:
            del self._place[name]
            for view in self._views.values():
                view.remove(row)
            for column, groups in self._index.items():
                groups[getattr(row, column)].discard(name)

    def find(self, choice: Where) -> list[Row]:
        if choice == ALL:
            return list(self._rows.values())
        chosen = [(self._place[getattr(row, self._id_column)], row) for row in self._chosen(choice)]
        return [row for _, row in sorted(chosen, key=lambda pair: pair[0])]

    def count(self, choice: Where) -> int:
        return self._view(choice, choice.after[0] if choice.after else None).count(choice)

    def total(self, choice: Where, *columns: str) -> int:
        return self._view(choice, choice.after[0] if choice.after else None, columns).total(choice)

    def amounts(self, choice: Where, *columns: str) -> list[tuple[float, int]]:
        """Raises ValueError for a choice that asks for no later time."""
        if choice.after is None:
            raise ValueError("amounts are told in the order of the column that `after` asks for")
        return self._view(choice, choice.after[0], columns).amounts(choice.after[1])

    def least(self, choice: Where, column: str) -> float | None:
        """Of the column that `after` asks for, if it asks."""
        return self._view(choice, column).least(choice)

    def copy(self) -> MemoryTable[Row]:
        """Another table with the same rows; what happens to one does not happen to the other."""
        other: MemoryTable[Row] = MemoryTable(self._id_column, *self._indexed)
        other._rows, other._place, other._places = dict(self._rows), dict(self._place), self._places
        for column, groups in self._index.items():
            other._index[column].update({value: set(names) for value, names in groups.items() if names})
        return other

    def _chosen(self, choice: Where) -> Iterator[Row]:
        """From the smallest set of candidates an index knows."""
        groups = [
            [self._index[column].get(value, set()) for value in set(values)]
            for column, values in choice.among
            if column in self._index
        ]
        smallest = min(groups, key=lambda sets: sum(map(len, sets)), default=[self._rows])
        candidates = (self._rows[name] for names in smallest for name in names)
        return (row for row in candidates if matches(row, choice.among) and later(row, choice.after))

    def _view(self, choice: Where, ordered_by: str | None, columns: tuple[str, ...] = ()) -> View:
        """Counts and sums are asked by model, run and outcome, so there are few views, and the same ones again."""
        name = (choice.among, ordered_by, columns)
        view = self._views.get(name)
        if view is None:
            view = self._views[name] = View(*name)
            for row in self._chosen(Where(choice.among)):
                view.add(row)
        return view


class MemoryTables:
    """All tables of one ledger. Threads take turns; ledgers over the same tables are like processes on one file."""

    def __init__(self) -> None:
        self._turn = threading.RLock()
        self.claims: MemoryTable[ClaimRow] = MemoryTable("key", "owner", "model", "run", "project")
        self.intents: MemoryTable[IntentRow] = MemoryTable("intent", "key", "outcome", "model", "run", "project")
        self.tasks: MemoryTable[TaskRow] = MemoryTable("task", "key", "recipe", "run", "status", "settled", "model")
        self.owners: MemoryTable[OwnerRow] = MemoryTable("owner")
        self.documents: MemoryTable[DocumentRow] = MemoryTable("key")
        self.counters: MemoryTable[CounterRow] = MemoryTable("name")
        self._writes = 0
        self.runs: MemoryTable[RegisteredRun] = MemoryTable("run", "owner")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Nothing is undone: a transaction checks all it can refuse before it writes."""
        with self._turn:
            self._writes += 1
            yield

    def reading(self) -> AbstractContextManager[Any]:
        return self._turn

    def changes(self) -> int:
        return self._writes

    def close(self) -> None:
        """Nothing to let go of."""

    def copy(self) -> MemoryTables:
        """Another ledger's worth of tables that begins where this one is: for trying out what would happen."""
        other = MemoryTables()
        for name in ("claims", "intents", "tasks", "owners", "documents", "counters", "runs"):
            setattr(other, name, getattr(self, name).copy())
        return other


class MemoryLedger(FactLedger):
    """`tables`: those of another memory ledger, to stand for a second process beside it."""

    def __init__(self, now: Callable[[], float], tables: MemoryTables | None = None) -> None:
        super().__init__(tables or MemoryTables(), now)
