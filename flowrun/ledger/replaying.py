"""Facts from journals, taken into a ledger that lacks them.

Owns what a line is worth beside what the ledger knows already: a fact only ever moves on, so the same line may be taken in any
number of times, and an older one changes nothing. Works inside a transaction of whoever calls. Which journals, and what is
missing of them, is `rebuilding`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from flowrun.ids import IntentId
from flowrun.ledger import rules
from flowrun.ledger.journal import Answer, Line, Written
from flowrun.ledger.protocol import IntentOutcome, IntentRow, TaskRow
from flowrun.ledger.tables import CounterRow, DocumentRow, Tables, next_number, where
from flowrun.ledger.transactions import task_row

_RANK = {  # an outcome moves on, and never back
    IntentOutcome.OPEN: 0,
    IntentOutcome.UNCERTAIN: 1,
    IntentOutcome.GIVEN_UP: 2,
    IntentOutcome.REFUSED: 3,
    IntentOutcome.ACCEPTED: 4,
}


@dataclass(slots=True)
class Replay:
    """What is taken into `tables`. Two ledgers may have given one number to two intents: the second gets a new one."""

    tables: Tables
    _numbers: dict[tuple[str, int, IntentId], IntentId] = field(default_factory=dict)

    def take_in(self, written: Written, line: Line) -> None:
        source = (written.account, written.epoch)
        for fact in line.facts:
            if isinstance(fact, DocumentRow):
                self.tables.documents.put(fact)
            elif isinstance(fact, IntentRow):
                self._intent(source, fact)
            else:
                self._task(source, fact)
        if line.answer is not None:
            self._answer(source, line.answer, line.at)

    def _intent(self, source: tuple[str, int], row: IntentRow) -> None:
        number = self._number(source, row)
        known = self.tables.intents.get(number)
        if known is None or _progress(row) >= _progress(known):
            self.tables.intents.put(replace(row, intent=number))

    def _number(self, source: tuple[str, int], row: IntentRow) -> IntentId:
        """Under which `row` is known here, or will be."""
        name = (*source, row.intent)
        known = self.tables.intents.get(self._numbers.get(name, row.intent))
        if known is not None and not _are_one(known, row):
            self._numbers[name] = IntentId(next_number(self.tables, "intent"))
        elif known is None:
            raise_counter(self.tables, "intent", row.intent)
        return self._numbers.get(name, row.intent)

    def _task(self, source: tuple[str, int], row: TaskRow) -> None:
        known = self.tables.tasks.get(row.task)
        if known is not None and (known.settled or not row.settled):
            return
        intent = row.intent if row.intent is None else self._numbers.get((*source, row.intent), row.intent)
        self.tables.tasks.put(replace(row, intent=intent))

    def _answer(self, source: tuple[str, int], said: Answer, at: float) -> None:
        number = self._numbers.get((*source, said.intent), said.intent)
        row, known = self.tables.intents.get(number), self.tables.tasks.get(said.task)
        document = None if row is None else self.tables.documents.get(row.key)
        if row is None or document is None or known is not None:
            return
        accepted = rules.accepted(row, said.task, at, said.credits)
        self.tables.intents.put(accepted)
        self.tables.tasks.put(task_row(accepted, said.task, document, at))


def replay(tables: Tables, journals: Iterable[tuple[Written, Iterable[Line]]]) -> None:
    """Take in the chosen lines of several journals, in the order in which they were written."""
    taker = Replay(tables)
    chosen = [(line.number, line.at, order, written, line) for written, lines in journals
              for order, line in enumerate(lines)]  # fmt: skip
    for *_, written, line in sorted(chosen, key=lambda each: each[:3]):
        taker.take_in(written, line)


def leave_nobody(tables: Tables, at: float) -> None:
    """As if everybody who ever wrote here had been reaped: nobody can be alive who has this ledger open."""
    for held in tables.claims.find(where()):
        tables.claims.drop(held.key)
    for row in tables.intents.find(where(outcome=(IntentOutcome.OPEN,))):
        tables.intents.put(rules.reaped(row))
    for owner in tables.owners.find(where()):
        tables.owners.drop(owner.owner)
    for run in tables.runs.find(where()):
        if run.ended_at is None:
            tables.runs.put(replace(run, ended_at=at))


def adopt_runs(tables: Tables, journals: Iterable[Written], at: float) -> None:
    """Whole runs that the ledger has never heard of. What is open in them is uncertain: none of them is alive."""
    runs = {each.run.run: each for each in journals}
    replay(tables, ((each, each.lines) for each in runs.values()))
    for row in tables.intents.find(where(run=tuple(runs), outcome=(IntentOutcome.OPEN,))):
        tables.intents.put(rules.reaped(row))
    for each in runs.values():
        tables.runs.put(replace(each.run, ended_at=at))


def raise_counter(tables: Tables, name: str, value: int) -> None:
    """Numbers up to `value` are given out."""
    known = tables.counters.get(name)
    if known is None or known.value < value:
        tables.counters.put(CounterRow(name, value))


def _are_one(known: IntentRow, row: IntentRow) -> bool:
    """Whether two rows of one number tell of one request."""
    return (known.key, known.run, known.intended_at) == (row.key, row.run, row.intended_at)


def _progress(row: IntentRow) -> tuple[int, int]:
    return _RANK[row.outcome], -1 if row.charged is None else row.charged
