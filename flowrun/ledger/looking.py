"""A ledger for who only looks: one that is not there is empty, several are as one. Owns both; nothing is written here, and
nobody is waited for. The answers are those of any ledger.

A request's number means something in its own ledger alone. Those of the first ledger stay as they are, so that what is read can
be settled there; those of the others are moved far up, where nothing settles them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Generic, NoReturn

from flowrun.ids import IntentId
from flowrun.ledger.handing import is_left_behind, request_name
from flowrun.ledger.memory import MemoryLedger
from flowrun.ledger.protocol import IntentRow, TaskRow
from flowrun.ledger.rules import UNDECIDED
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.ledger.tables import Row, Table, Tables, Where
from flowrun.ledger.transactions import FactLedger
from flowrun.ledger.views import amount

APART = 1 << 40  # between the numbers of one ledger and the next; none gives out so many


def look_at(path: Path, now: Callable[[], float]) -> FactLedger:
    """The ledger at `path`, or an empty one. Raises LedgerDamagedError, OSError where it is there and cannot be read."""
    try:
        return SqliteLedger(path, now, reading=True)
    except FileNotFoundError:
        return MemoryLedger(now)


def joined(ledgers: Sequence[FactLedger], now: Callable[[], float], store: str | None = None) -> FactLedger:
    """Several ledgers as one that cannot be written; of what two have, the first is believed. `store`: of the others only
    what that store has unsettled is shown, and what is settled; None: all. Whoever opened them closes them."""
    return FactLedger(_JoinedTables([each.tables for each in ledgers], store), now)


class _JoinedTable(Generic[Row]):
    """`name`: what makes two rows one. `shown`: a row as it is seen here; None: it is not."""

    def __init__(
        self,
        parts: Sequence[Table[Row]],
        name: Callable[[Row], Hashable],
        shown: Callable[[Row, int], Row | None] = lambda row, part: row,
    ) -> None:
        self._parts, self._name, self._shown = parts, name, shown

    def get(self, name: str | int) -> Row | None:
        for part, table in enumerate(self._parts):
            row = table.get(name - part * APART if isinstance(name, int) else name)
            if row is not None and (shown := self._shown(row, part)) is not None:
                return shown
        return None

    def find(self, choice: Where) -> list[Row]:
        found: list[Row] = []
        names: set[Hashable] = set()
        for part, table in enumerate(self._parts):
            shown = (self._shown(row, part) for row in table.find(choice))
            fresh = [row for row in shown if row is not None and self._name(row) not in names]
            names.update(map(self._name, fresh))
            found += fresh
        return found

    def count(self, choice: Where) -> int:
        return len(self.find(choice))

    def total(self, choice: Where, *columns: str) -> int:
        return sum(amount(row, columns) for row in self.find(choice))

    def amounts(self, choice: Where, *columns: str) -> list[tuple[float, int]]:
        return sorted(each for part in self._parts for each in part.amounts(choice, *columns))

    def least(self, choice: Where, column: str) -> float | None:
        values = (getattr(row, column) for row in self.find(choice))
        return min((value for value in values if value is not None), default=None)

    def put(self, row: Row) -> NoReturn:
        raise _no_writing()

    def drop(self, name: str | int) -> NoReturn:
        raise _no_writing()


class _JoinedTables:
    def __init__(self, parts: Sequence[Tables], store: str | None) -> None:
        self._parts, self._store = parts, store
        self.claims = _JoinedTable([each.claims for each in parts], lambda row: row.key)
        self.intents = _JoinedTable([each.intents for each in parts], request_name, self._intent)
        self.tasks = _JoinedTable([each.tasks for each in parts], lambda row: row.task, self._task)
        self.owners = _JoinedTable([each.owners for each in parts], lambda row: row.owner)
        self.documents = _JoinedTable([each.documents for each in parts], lambda row: row.key)
        self.counters = _JoinedTable([each.counters for each in parts], lambda row: row.name)
        self.runs = _JoinedTable([each.runs for each in parts], lambda row: row.run)

    def _intent(self, row: IntentRow, part: int) -> IntentRow | None:
        if is_left_behind(row) or self._is_foreign(row, part, row.outcome in UNDECIDED):
            return None
        return replace(row, intent=IntentId(row.intent + part * APART))

    def _task(self, row: TaskRow, part: int) -> TaskRow | None:
        if self._is_foreign(row, part, not row.settled):
            return None
        return row if row.intent is None else replace(row, intent=IntentId(row.intent + part * APART))

    def changes(self) -> int:
        return sum(each.changes() for each in self._parts)

    def _is_foreign(self, row: IntentRow | TaskRow, part: int, unsettled: bool) -> bool:
        return bool(part) and unsettled and self._store not in (None, row.origin.store)

    def writing(self) -> AbstractContextManager[None]:
        raise _no_writing()

    @contextmanager
    def reading(self) -> Iterator[None]:
        with ExitStack() as stack:
            for part in self._parts:
                stack.enter_context(part.reading())
            yield

    def close(self) -> None:
        """Nothing of its own."""


def _no_writing() -> RuntimeError:
    return RuntimeError("several ledgers as one are only looked at")
