"""Tables whose facts are written to a journal before their transaction is durable.

Owns what counts as a fact, so that no method of the ledger can forget one: each intent and each change of it, a new task, a
settled one, and the document of their action. Not one: claims, heartbeats, counters, and that a task has ended at the API,
which is asked again. The format is `journal`'s; the rows lie where the inner tables keep them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Generic

from flowrun.ids import ActionKey
from flowrun.ledger import journal as lines
from flowrun.ledger.protocol import IntentOutcome, IntentRow, Journal, OwnerRow, RegisteredRun, TaskRow
from flowrun.ledger.tables import ClaimRow, CounterRow, DocumentRow, Row, Table, Tables, Where, next_number

TRANSACTIONS = "transaction"  # the counter of transactions that wrote facts


class _Heard(Generic[Row]):
    """A table that tells of each row put into it, with the one it replaces. `hear` is given both."""

    def __init__(self, inner: Table[Row], id_column: str, hear: Callable[[Row | None, Row], None]) -> None:
        self._inner, self._id_column, self._hear = inner, id_column, hear

    def put(self, row: Row) -> None:
        before = self._inner.get(getattr(row, self._id_column))
        self._inner.put(row)
        self._hear(before, row)

    def get(self, name: str | int) -> Row | None:
        return self._inner.get(name)

    def drop(self, name: str | int) -> None:
        self._inner.drop(name)

    def find(self, choice: Where) -> list[Row]:
        return self._inner.find(choice)

    def count(self, choice: Where) -> int:
        return self._inner.count(choice)

    def total(self, choice: Where, *columns: str) -> int:
        return self._inner.total(choice, *columns)

    def amounts(self, choice: Where, *columns: str) -> list[tuple[float, int]]:
        return self._inner.amounts(choice, *columns)

    def least(self, choice: Where, column: str) -> float | None:
        return self._inner.least(choice, column)


class JournaledTables:
    """`inner`, for as long as one run writes to them. Reading goes straight through."""

    def __init__(self, inner: Tables, journal: Journal, now: Callable[[], float]) -> None:
        self.inner, self._journal, self._now = inner, journal, now
        self.intents: Table[IntentRow] = _Heard(inner.intents, "intent", self._hear_intent)
        self.tasks: Table[TaskRow] = _Heard(inner.tasks, "task", self._hear_task)
        self.claims: Table[ClaimRow] = inner.claims
        self.owners: Table[OwnerRow] = inner.owners
        self.documents: Table[DocumentRow] = inner.documents
        self.counters: Table[CounterRow] = inner.counters
        self.runs: Table[RegisteredRun] = inner.runs
        self._intents: dict[int, IntentRow] = {}  # what this transaction has written so far
        self._tasks: dict[str, TaskRow] = {}
        self._documents: dict[ActionKey, DocumentRow] = {}  # as they stand in this journal

    @contextmanager
    def writing(self) -> Iterator[None]:
        """An error before the commit is seen to, or of it, leaves a word in the journal that it came to nothing."""
        number = None
        try:
            with self.inner.writing():
                self._intents, self._tasks = {}, {}
                yield
                number = self._note()
        except BaseException:
            if number is not None:
                with suppress(OSError):  # then a rebuilt ledger takes it for a fact: uncertain at worst
                    self._journal.write(lines.void(number))
            raise

    def reading(self) -> AbstractContextManager[None]:
        return self.inner.reading()

    def changes(self) -> int:
        return self.inner.changes()

    def close(self) -> None:
        self.inner.close()
        self._journal.close()

    def _hear_intent(self, before: IntentRow | None, row: IntentRow) -> None:
        if row != before:
            self._intents[row.intent] = row

    def _hear_task(self, before: TaskRow | None, row: TaskRow) -> None:
        if before is None or (row.settled and row != before):
            self._tasks[row.task] = row

    def _note(self) -> int | None:
        """Write the transaction's facts down, whole for themselves: each with its document. Its number."""
        if not (self._intents or self._tasks):
            return None
        rows: list[IntentRow | TaskRow] = [*self._intents.values(), *self._tasks.values()]
        documents = self._unknown({row.key for row in rows})
        number = next_number(self.inner, TRANSACTIONS)
        try:
            self._journal.write(lines.line(number, self._now(), (*documents, *rows)))
        except OSError:
            if self._is_intent():
                raise
            return None  # what has happened at the API must not be lost to the ledger for that; the number is missed
        self._documents.update({each.key: each for each in documents})
        return number

    def _is_intent(self) -> bool:
        """Whether a request is about to leave: then nothing goes without its line."""
        return any(row.outcome is IntentOutcome.OPEN for row in self._intents.values())

    def _unknown(self, keys: set[ActionKey]) -> list[DocumentRow]:
        found = (self.inner.documents.get(key) for key in sorted(keys))
        return [each for each in found if each is not None and self._documents.get(each.key) != each]
