"""What goes from one ledger into another when a store's account changes, as after a rotated key: which rows, how they arrive,
what stays behind. Owns these choices, over any tables; each transaction is `transactions`'.

What moves is a request with all its tasks, as long as one of them is unsettled or nobody knows its answer. A request keeps its
times, credits, evidence and run; its number is given anew, since numbers belong to a ledger. It is known again by what was
never the same twice: who meant to send it, when, for which action. So it may be handed over any number of times, and a crash
between the two ledgers, which leaves it in both, is only another time.

Who was frozen for so long that it was taken for dead may still bring a task's id for a request that was moved (rule 4). So a
request stays behind as one that was refused, which counts nowhere; with a task it is one again, and moves after the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from flowrun.ids import ActionKey, IntentId, OwnerId
from flowrun.ledger import counting, rules
from flowrun.ledger.evidence import TAKEN_UP
from flowrun.ledger.protocol import IntentOutcome, IntentRow, TaskRow
from flowrun.ledger.tables import DocumentRow, Tables, next_number, where

MOVED = "moved"  # the name under which the evidence of what stayed behind tells to which account it went


class LedgerInUseError(Exception):
    """Somebody alive is at work in the ledger for the store whose things were to be moved. `owners`: who."""

    def __init__(self, owners: Collection[OwnerId]) -> None:
        super().__init__(f"at work there: {', '.join(sorted(owners))}")
        self.owners = tuple(sorted(owners))


@dataclass(frozen=True, slots=True)
class Handed:
    """Requests, all their tasks, and the documents of their actions, as the ledger has them that they come from."""

    intents: tuple[IntentRow, ...] = ()
    tasks: tuple[TaskRow, ...] = ()
    documents: tuple[DocumentRow, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.intents or self.tasks)


def request_name(row: IntentRow) -> str:
    """What tells a request from every other, in whichever ledger it lies: 16 hex digits."""
    told = (row.key, row.owner, row.run, row.request_digest, row.intended_at)
    return hashlib.sha256(repr(told).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def is_left_behind(row: IntentRow) -> bool:
    """Whether another ledger has it now, and this is but its trace."""
    return row.outcome is IntentOutcome.REFUSED and MOVED in row.evidence


# ---- from here -------------------------------------------------------------------------------------------------------


def ready(tables: Tables, store: str, is_of_store: Callable[[OwnerId], bool]) -> Handed:
    """What the store has unsettled. Raises LedgerInUseError."""
    handed = unsettled(tables, store)
    if owners := set(_at_work(tables, handed, store, is_of_store)):
        raise LedgerInUseError(owners)
    return handed


def unsettled(tables: Tables, store: str) -> Handed:
    left = [row for row in tables.tasks.find(where(settled=(False,))) if row.origin.store == store]
    undecided = tables.intents.find(where(outcome=rules.UNDECIDED))
    names = {row.intent for row in undecided if row.origin.store == store}
    names |= {row.intent for row in left if row.intent is not None}
    intents = [row for name in sorted(names) if (row := tables.intents.get(name))]
    tasks = {row.task: row for row in (*left, *_tasks_of(tables, intents))}
    keys = dict.fromkeys(_keys(intents, tasks.values()))
    documents = (tables.documents.get(key) for key in keys)
    return Handed(tuple(intents), tuple(tasks.values()), tuple(row for row in documents if row))


def _keys(intents: Iterable[IntentRow], tasks: Iterable[TaskRow]) -> Iterator[ActionKey]:
    yield from (row.key for row in intents)
    yield from (row.key for row in tasks)


def _tasks_of(tables: Tables, intents: Iterable[IntentRow]) -> Iterator[TaskRow]:
    """Settled ones too: their request goes, and what it cost with it."""
    names = {row.intent: row.key for row in intents}
    for batch in counting.batches(names.values()):
        yield from (row for row in tables.tasks.find(where(key=batch)) if row.intent in names)


def _at_work(tables: Tables, handed: Handed, store: str, is_of_store: Callable[[OwnerId], bool]) -> Iterator[OwnerId]:
    """Whoever holds one of these actions, or anything for the store, or was heard of and works for it."""
    keys = set(_keys(handed.intents, handed.tasks))
    yield from (row.owner for row in tables.claims.find(where()) if row.key in keys or row.origin.store == store)
    yield from (row.owner for row in handed.intents if row.outcome is IntentOutcome.OPEN)
    yield from (row.owner for row in tables.owners.find(where()) if is_of_store(row.owner))


def let_go(tables: Tables, handed: Handed, to: str) -> None:
    """`to`: the account whose ledger has it now."""
    for row in handed.intents:
        trace = {**row.evidence, MOVED: to}
        tables.intents.put(replace(row, outcome=IntentOutcome.REFUSED, task=None, charged=None, evidence=trace))
    for task in handed.tasks:
        tables.tasks.drop(task.task)


# ---- to here ---------------------------------------------------------------------------------------------------------


def arrive(tables: Tables, handed: Handed) -> None:
    for document in handed.documents:
        if tables.documents.get(document.key) is None:
            tables.documents.put(document)
    names = {row.intent: _arrived(tables, row) for row in handed.intents}
    for task in handed.tasks:
        if tables.tasks.get(task.task) is None:
            tables.tasks.put(replace(task, intent=None if task.intent is None else names.get(task.intent)))


def _arrived(tables: Tables, row: IntentRow) -> IntentId:
    """The number that the request has here. What is known here of it stays, but for an answer that came late."""
    there = _found(tables, row)
    if there is None or is_left_behind(there):
        name = IntentId(next_number(tables, "intent")) if there is None else there.intent
        tables.intents.put(replace(row, intent=name, evidence={**row.evidence, TAKEN_UP: True}))
        return name
    if row.task is not None and there.outcome is not IntentOutcome.ACCEPTED:
        answered = rules.accepted(there, row.task, row.decided_at or row.intended_at, row.credits)
        tables.intents.put(answered)
    return there.intent


def _found(tables: Tables, row: IntentRow) -> IntentRow | None:
    """The same request; sooner itself than its trace."""
    name = request_name(row)
    found = [each for each in tables.intents.find(where(key=(row.key,))) if request_name(each) == name]
    own = [each for each in found if each.outcome in rules.COMMITTED]
    return next(iter([*own, *filter(is_left_behind, found)]), None)
