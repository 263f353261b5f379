"""The ledger itself, over any tables: each method is one transaction that reads rows, asks the rules and writes rows.

Owns the order of reading and writing, so that the nine rules hold in every storage. Where rows lie is `memory`'s and
`sqlite`'s; the clock is handed in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from flowrun.action import ActionDoc
from flowrun.ids import ActionKey, IntentId, OwnerId, RecipeKey, RunId, TaskId
from flowrun.ledger import counting, handing, rules
from flowrun.ledger import journal as lines
from flowrun.ledger.handing import Handed
from flowrun.ledger.journaled import JournaledTables
from flowrun.ledger.protocol import (
    ActionFacts,
    Adopted,
    BusyActionError,
    CapLeft,
    Claim,
    Decision,
    Failed,
    Granted,
    Intent,
    IntentOutcome,
    IntentRow,
    Join,
    Journal,
    Ledger,
    LedgerDamagedError,
    Limits,
    Mine,
    Origin,
    Over,
    OwnerRow,
    RegisteredRun,
    StaleClaimError,
    Succeeded,
    TaskRow,
    Wait,
)
from flowrun.ledger.tables import ClaimRow, CounterRow, DocumentRow, Tables, next_number, where

EPOCH = "epoch"  # the counter that tells one ledger of an account from the next


class FactLedger(Ledger):
    """The promises stand in the protocol; how each is kept, here."""

    def __init__(self, tables: Tables, now: Callable[[], float]) -> None:
        self._tables = tables
        self._now = now
        self._journal: Journal | None = None

    @property
    def tables(self) -> Tables:
        """Where its rows lie: for who lays several ledgers beside each other."""
        return self._tables

    # ---- from claim to intent ----------------------------------------------------------------------------------------

    def claim(self, doc: ActionDoc, origin: Origin, run: RunId, owner: OwnerId) -> Mine | Join:
        document = DocumentRow(doc.key, doc.recipe, doc.operation, json.dumps(doc.to_json()))
        tables = self._tables
        with tables.writing():
            held = tables.claims.get(doc.key)
            if other := counting.other_holder(tables, held, doc.key, owner):
                return Join(other, counting.open_tasks(tables, doc.key))
            row = held or ClaimRow(doc.key, owner, run, next_number(tables, "fence"), origin)
            tables.claims.put(replace(row, origin=origin))
            tables.documents.put(document)
            tables.owners.put(OwnerRow(owner, self._now()))
            facts = self._facts(doc.key)
        return Mine(row.claim(), facts.open_tasks, facts.uncertain, fresh=held is None)

    def reserve(self, claim: Claim, model: str, credits: int | None, limits: Limits) -> Granted | Wait | Over:
        tables = self._tables
        with tables.writing():
            held = self._current(claim)
            if (held.model, held.credits) == (model, credits):
                return Granted()
            tables.claims.put(_unreserved(held))  # what it holds already must not stand in its own way
            answer = counting.verdict(
                tables, limits, self._now(), run=claim.run, project=held.project, model=model, credits=credits
            )
            granted = isinstance(answer, Granted)
            tables.claims.put(replace(held, model=model, credits=credits) if granted else held)
        return answer

    def intend(self, claim: Claim, request_digest: str, evidence: Mapping[str, Any]) -> Intent:
        known = _plain(evidence)
        tables = self._tables
        with tables.writing():
            held, now = self._current(claim), self._now()
            self._alone(claim.key)
            row = _intended(held, IntentId(next_number(tables, "intent")), request_digest, now, known)
            tables.intents.put(row)
            tables.claims.put(_unreserved(held))
        return Intent(row.intent, claim, now)

    def release(self, claim: Claim) -> None:
        with self._tables.writing():
            held = self._tables.claims.get(claim.key)
            if held is not None and held.fence == claim.fence:
                self._tables.claims.drop(claim.key)

    def _current(self, claim: Claim) -> ClaimRow:
        """Rule 1."""
        held = self._tables.claims.get(claim.key)
        if held is None or held.fence != claim.fence:
            raise StaleClaimError(f"the claim on action {claim.key} is no longer held by {claim.owner}")
        return held

    def _alone(self, key: ActionKey) -> None:
        """Rule 2."""
        if not rules.may_intend(self._facts(key)):
            raise BusyActionError(f"action {key} has a request or a task that is not settled")

    def _facts(self, key: ActionKey) -> ActionFacts:
        return counting.facts_of(self._tables, (key,)).get(key) or ActionFacts(key)

    # ---- what became of an intent ------------------------------------------------------------------------------------

    def refused(self, intent: Intent) -> None:
        with self._tables.writing():
            self._tables.intents.put(rules.refused(self._intent(intent.intent), self._now()))

    def lost(self, intent: Intent, evidence: Mapping[str, Any]) -> None:
        more = _plain(evidence)
        with self._tables.writing():
            self._tables.intents.put(rules.lost(self._intent(intent.intent), more))

    def submitted(self, intent: Intent, task: TaskId, credits: int | None = None) -> None:
        try:
            with self._tables.writing():
                self._accept(self._intent(intent.intent), task, self._now(), credits)
        except (OSError, LedgerDamagedError):
            self._note_answer(intent.intent, task, credits)
            raise

    def _note_answer(self, intent: IntentId, task: TaskId, credits: int | None) -> None:
        """Rule 4, where the ledger cannot take the id: it stands in the journal for whoever rebuilds that ledger."""
        if self._journal is not None:
            with suppress(OSError):
                self._journal.write(lines.answered(intent, task, credits, self._now()))

    def decide(self, intent: IntentId, decision: Decision) -> None:
        with self._tables.writing():
            row, now = self._intent(intent), self._now()
            if row.outcome is not IntentOutcome.UNCERTAIN:
                raise KeyError(intent)
            if not isinstance(decision, Adopted):
                self._tables.intents.put(rules.given_up(row, decision, now))
            elif known := self._tables.tasks.get(decision.task):
                raise ValueError(f"task {decision.task} is on record already, for action {known.key}")
            else:
                said = replace(row, evidence={**row.evidence, "decision": "adopted"})
                self._accept(said, decision.task, row.intended_at, None)

    def _intent(self, intent: IntentId) -> IntentRow:
        row = self._tables.intents.get(intent)
        if row is None:
            raise KeyError(intent)
        return row

    def _accept(self, row: IntentRow, task: TaskId, submitted_at: float, credits: int | None) -> None:
        """A task that is on record already stays as it is."""
        accepted = rules.accepted(row, task, self._now(), credits)
        self._tables.intents.put(accepted)
        if self._tables.tasks.get(task) is None:
            self._tables.tasks.put(task_row(accepted, task, self._document(row.key), submitted_at))

    def _document(self, key: ActionKey) -> DocumentRow:
        row = self._tables.documents.get(key)
        if row is None:
            raise LedgerDamagedError(f"the ledger knows of a request for action {key} but has lost its document")
        return row

    # ---- tasks -------------------------------------------------------------------------------------------------------

    def ended(self, task: TaskId, status: str) -> None:
        with self._tables.writing():
            row = self._task(task)
            if row.status == rules.RUNNING:
                self._tables.tasks.put(replace(row, status=status, ended_at=self._now()))

    def settle(self, task: TaskId, outcome: Succeeded | Failed, credits: int | None) -> None:
        tables = self._tables
        with tables.writing():
            row = self._task(task)
            if row.settled:
                return
            tables.tasks.put(rules.settled(row, outcome, credits, self._now()))
            tables.claims.drop(row.key)
            if credits is not None and row.intent is not None:
                intent = self._intent(row.intent)
                tables.intents.put(replace(intent, charged=(intent.charged or 0) + credits))

    def note(self, task: TaskId, evidence: Mapping[str, Any]) -> None:
        more = _plain(evidence)
        with self._tables.writing():
            row = self._task(task)
            if row.intent is None:
                raise KeyError(task)
            self._tables.intents.put(rules.noted(self._intent(row.intent), more))

    def _task(self, task: TaskId) -> TaskRow:
        row = self._tables.tasks.get(task)
        if row is None:
            raise KeyError(task)
        return row

    # ---- runs --------------------------------------------------------------------------------------------------------

    def begin(self, run: RunId, owner: OwnerId, store: str, account: str, journal: Journal) -> None:
        tables = self._tables.inner if isinstance(self._tables, JournaledTables) else self._tables
        row = RegisteredRun(run, owner, store, self._now())
        with tables.writing():
            tables.runs.put(row)
            tables.owners.put(OwnerRow(owner, self._now()))
            journal.write(lines.header(row, account, self._epoch(tables)))
        self._tables, self._journal = JournaledTables(tables, journal, self._now), journal

    def _epoch(self, tables: Tables) -> int:
        """Which ledger this is, of all that this account ever had: one that was rebuilt counts anew."""
        known = tables.counters.get(EPOCH)
        if known is None:
            known = CounterRow(EPOCH, int(self._now() * 1e6))
            tables.counters.put(known)
        return known.value

    def runs(self) -> tuple[RegisteredRun, ...]:
        with self._tables.reading():
            return tuple(self._tables.runs.find(where()))

    # ---- owners ------------------------------------------------------------------------------------------------------

    def heartbeat(self, owner: OwnerId) -> None:
        with self._tables.writing():
            self._tables.owners.put(OwnerRow(owner, self._now()))

    def owners(self) -> tuple[OwnerRow, ...]:
        with self._tables.reading():
            return tuple(self._tables.owners.find(where()))

    def reap(self, older_than: float, gone: Callable[[OwnerId], bool]) -> tuple[OwnerId, ...]:
        """`gone` is asked before the transaction, which then takes another look at the heartbeats."""
        absent = {row.owner for row in self.owners() if gone(row.owner)}

        def dead(row: OwnerRow) -> bool:
            return row.owner in absent or self._now() - row.heartbeat > older_than

        if not any(map(dead, self.owners())):
            return ()
        with self._tables.writing():
            owners = tuple(row.owner for row in self._tables.owners.find(where()) if dead(row))
            for owner in owners:
                self._let_go(owner)
        return owners

    def retire(self, owner: OwnerId) -> None:
        with self._tables.writing():
            self._let_go(owner)

    def _let_go(self, owner: OwnerId) -> None:
        tables = self._tables
        for held in tables.claims.find(where(owner=(owner,))):
            tables.claims.drop(held.key)
        for row in tables.intents.find(where(owner=(owner,), outcome=(IntentOutcome.OPEN,))):
            tables.intents.put(rules.reaped(row))
        for run in tables.runs.find(where(owner=(owner,))):
            if run.ended_at is None:
                tables.runs.put(replace(run, ended_at=self._now()))
        tables.owners.drop(owner)

    # ---- from one ledger into another --------------------------------------------------------------------------------

    def hand_over(
        self, store: str, to: str, receive: Callable[[Handed], None], is_of_store: Callable[[OwnerId], bool]
    ) -> Handed:
        """Give what `store` has unsettled here into the hands of another ledger, the one of the account `to`. `receive`: has
        it durable there when it returns; only then it is gone from here. `is_of_store`: whether an owner works for the store.

        Dead owners must be reaped first. Raises LedgerInUseError, and nothing was moved, where a live one is at work.
        """
        with self._tables.reading():
            handed = handing.ready(self._tables, store, is_of_store)
        if not handed:
            return handed
        with self._tables.writing():
            handed = handing.ready(self._tables, store, is_of_store)
            receive(handed)
            handing.let_go(self._tables, handed, to)
        return handed

    def receive(self, handed: Handed) -> None:
        """What another ledger hands over; what is here already stays as it is, so that it may be handed over again."""
        with self._tables.writing():
            handing.arrive(self._tables, handed)

    # ---- what is only read -------------------------------------------------------------------------------------------

    def uncertain(self) -> tuple[IntentRow, ...]:
        with self._tables.reading():
            return tuple(self._tables.intents.find(where(outcome=(IntentOutcome.UNCERTAIN,))))

    def unanswered(self) -> tuple[IntentRow, ...]:
        with self._tables.reading():
            return tuple(self._tables.intents.find(where(outcome=rules.UNDECIDED)))

    def open(self, store: str | None = None) -> tuple[tuple[TaskRow, ActionDoc], ...]:
        with self._tables.reading():
            rows = self._tables.tasks.find(where(settled=(False,)))
            chosen = [row for row in rows if store is None or row.origin.store == store]
            return tuple((row, _parsed(self._document(row.key))) for row in sorted(chosen, key=_submitted_at))

    def evidence(self, task: TaskId) -> Mapping[str, Any]:
        with self._tables.reading():
            row = self._task(task)
            return {} if row.intent is None else self._intent(row.intent).evidence

    def document(self, key: ActionKey) -> ActionDoc | None:
        with self._tables.reading():
            row = self._tables.documents.get(key)
        return None if row is None else _parsed(row)

    def last(self, keys: Iterable[ActionKey]) -> Mapping[ActionKey, ActionFacts]:
        with self._tables.reading():
            return counting.facts_of(self._tables, keys)

    def rejections(self, recipes: Iterable[RecipeKey]) -> Mapping[RecipeKey, tuple[TaskId, Failed]]:
        with self._tables.reading():
            return counting.refusals_of(self._tables, recipes)

    def created_since(self, model: str, since: float) -> int:
        with self._tables.reading():
            return counting.created(self._tables, model, since)

    def in_flight(self) -> Mapping[str, int]:
        with self._tables.reading():
            return counting.slots_by_model(self._tables, self._now())

    def changes(self) -> int:
        return self._tables.changes()

    def committed(self, run: RunId) -> int:
        with self._tables.reading():
            return counting.committed(self._tables, run)

    def left(self, run: RunId, project: str, limits: Limits) -> tuple[CapLeft, ...]:
        with self._tables.reading():
            return counting.left(self._tables, limits, self._now(), run, project)

    def next_in_day(self, model: str, limits: Limits) -> float | None:
        with self._tables.reading():
            return counting.next_in_day(self._tables, model, limits, self._now())

    def tasks(self, run: RunId | None = None) -> tuple[TaskRow, ...]:
        with self._tables.reading():
            return tuple(self._tables.tasks.find(where(run=None if run is None else (run,))))

    def requests(self, since: float, before: float) -> tuple[tuple[IntentRow, tuple[TaskRow, ...]], ...]:
        with self._tables.reading():
            return counting.requests(self._tables, since, before)

    def close(self) -> None:
        self._tables.close()


def _submitted_at(row: TaskRow) -> float:
    return row.submitted_at


def _unreserved(held: ClaimRow) -> ClaimRow:
    return replace(held, model=None, credits=None)


def _plain(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """As it will be read back, and beyond the caller's reach. Raises TypeError or ValueError for what is no JSON."""
    return dict(json.loads(json.dumps(dict(evidence), allow_nan=False)))


def _intended(held: ClaimRow, name: IntentId, digest: str, now: float, evidence: Mapping[str, Any]) -> IntentRow:
    """Raises ValueError where nothing is reserved: the caller left out a step."""
    if held.model is None:
        raise ValueError(f"nothing is reserved for action {held.key}: reserve before you intend")
    return IntentRow(
        intent=name,
        key=held.key,
        outcome=IntentOutcome.OPEN,
        model=held.model,
        credits=held.credits,
        request_digest=digest,
        intended_at=now,
        decided_at=None,
        owner=held.owner,
        run=held.run,
        origin=held.origin,
        evidence=evidence,
    )


def task_row(row: IntentRow, task: TaskId, document: DocumentRow, submitted_at: float) -> TaskRow:
    """A task that was just accepted."""
    return TaskRow(
        task=task,
        key=row.key,
        recipe=document.recipe,
        model=row.model,
        operation=document.operation,
        run=row.run,
        origin=row.origin,
        submitted_at=submitted_at,
        status=rules.RUNNING,
        settled=False,
        charged=None,
        failure=None,
        intent=row.intent,
        credits=row.credits,
    )


def _parsed(row: DocumentRow) -> ActionDoc:
    try:
        return ActionDoc.from_json(json.loads(row.text))
    except (ValueError, KeyError, TypeError) as error:
        raise LedgerDamagedError(f"the document of action {row.key} cannot be read: {error}") from error
