"""One attempt at an action, from claim to settlement. Re-entrant: callable anywhere, any number of times, by two at once.

    claimed -> reserved -> INTENDED -> SUBMITTED(task) -> ended -> stored -> settled

Where it goes on is the ledger's word, never memory: an open task is polled, an uncertain intent stops, a result that
somebody made meanwhile is used. Owns that order; sending is `submit`'s, waiting `follow`'s, fetching `collect`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from flowrun.engine.collect import collect
from flowrun.engine.failure import AttemptError, Failure, Verdict
from flowrun.engine.follow import poll_to_end
from flowrun.engine.ports import Attempt
from flowrun.engine.submit import submit
from flowrun.engine.verdicts import disk_errors, judged, of_doubt
from flowrun.ids import OwnerId, TaskId
from flowrun.ledger.protocol import (
    Claim,
    Granted,
    IntentRow,
    Join,
    LimitName,
    Mine,
    OpenTask,
    Over,
    StaleClaimError,
    Succeeded,
    Wait,
)
from flowrun.runway.values import Task, TaskStatus
from flowrun.store.protocol import Result, result_id_of

JOIN_CHECK = 2.0  # seconds between two looks at what the owner we joined is doing
OWNER_GONE = "owner-gone"  # the code of the failure that says: ask again, as if for the first time


@dataclass(frozen=True, slots=True)
class Go:
    """Reserved: the request may be sent."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class TakenUp:
    """A task of the action is open already."""

    task: OpenTask
    claim: Claim


@dataclass(frozen=True, slots=True)
class Joined:
    """A live owner has the action; `task` once it is known."""

    owner: OwnerId
    task: OpenTask | None


@dataclass(frozen=True, slots=True)
class FoundResult:
    result: Result


@dataclass(frozen=True, slots=True)
class InDoubt:
    intent: IntentRow


@dataclass(frozen=True, slots=True)
class Carried:
    """The result; `made`: by this attempt's task, or else found."""

    result: Result
    made: bool


Admission = Go | TakenUp | Joined | FoundResult | InDoubt | Wait | Over


def admit(attempt: Attempt) -> Admission:
    """Ask the ledger and, for a new claim, the results once more. Nothing is sent; what is not used is let go."""
    ledger, run = attempt.ports.ledger, attempt.run
    claimed = ledger.claim(attempt.doc, attempt.origin, run.id, run.owner)
    if isinstance(claimed, Join):
        return Joined(claimed.owner, claimed.tasks[0] if claimed.tasks else None)
    if claimed.open_tasks:
        return _admit_open(attempt, claimed.open_tasks[0], claimed.claim)
    admission = _admit_mine(attempt, claimed)
    if not isinstance(admission, Go):
        ledger.release(claimed.claim)
    return admission


def _admit_open(attempt: Attempt, task: OpenTask, claim: Claim) -> Admission:
    """A task that is open is taken up; unless its result is here already, and only the settling was missed."""
    found = attempt.ports.results.lookup([attempt.doc.key]).get(attempt.doc.key)
    result = next((each for each in found.results if each.id == result_id_of(task.task)), None) if found else None
    if result is None:
        return TakenUp(task, claim)
    if not _is_ours(attempt, task):
        attempt.ports.ledger.release(claim)
        return FoundResult(result)
    attempt.ports.ledger.settle(task.task, Succeeded(), None)
    return admit(attempt) if attempt.origin.forced else FoundResult(result)


def _is_ours(attempt: Attempt, task: OpenTask) -> bool:
    """Whether the task's result belongs into our store. Another store's task is settled by who has that store."""
    return task.store in ("", attempt.origin.store) or attempt.run.is_gone(task.store)


def _admit_mine(attempt: Attempt, mine: Mine) -> Admission:
    doc, ports = attempt.doc, attempt.ports
    if mine.uncertain:
        return InDoubt(mine.uncertain[0])
    if not attempt.origin.forced:
        found = ports.results.lookup([doc.key]).get(doc.key)
        if found and found.results:
            return FoundResult(found.results[0])
    try:
        reserved = ports.ledger.reserve(mine.claim, doc.model, doc.credits, attempt.run.limits(doc.model))
    except StaleClaimError:  # we were asleep, and taken for dead
        return Wait(LimitName.CONCURRENCY, attempt.now() + JOIN_CHECK)
    return Go(mine.claim) if isinstance(reserved, Granted) else reserved


async def carry_out(attempt: Attempt, admission: Go | TakenUp | Joined) -> Carried:
    """From an admission to a committed result. Raises AttemptError, with the ledger told already where its disk took it."""
    with disk_errors(None):
        if isinstance(admission, Joined):
            return await _join(attempt, admission)
        if isinstance(admission, TakenUp):
            return await _finish(attempt, admission.task, admission.claim, True)
        task = await submit(attempt, admission.claim)
        return await _finish(attempt, OpenTask(task, attempt.doc.key, attempt.now()), admission.claim, False)


async def _finish(attempt: Attempt, task: OpenTask, claim: Claim, resumed: bool) -> Carried:
    """From an open task to its settlement."""
    with disk_errors(task.task):
        return await conclude(attempt, task, claim, await poll_to_end(attempt, task.task, resumed))


async def conclude(attempt: Attempt, task: OpenTask, claim: Claim, seen: Task) -> Carried:
    """From a task's end to its settlement: a success is collected. One that another store waits for is collected here too, and
    left open there. Raises AttemptError for a task that ended otherwise, or cannot be collected."""
    ledger = attempt.ports.ledger
    with disk_errors(task.task):
        if seen.status is not TaskStatus.SUCCEEDED:
            judge(attempt, task.task, seen)
        result = await collect(attempt, seen, task.submitted_at)
        if _is_ours(attempt, task):
            ledger.settle(task.task, Succeeded(), seen.charged)
        else:
            ledger.release(claim)
    return Carried(result, made=_is_ours(attempt, task))


def judge(attempt: Attempt, task: TaskId, seen: Task) -> NoReturn:
    """Settle a task that ended without success. Raises AttemptError."""
    failure, failed, credits = judged(seen, attempt.doc, attempt.place)
    attempt.ports.ledger.settle(task, failed, credits)
    raise AttemptError(failure)


async def _join(attempt: Attempt, joined: Joined) -> Carried:
    """Follow the owner's task into our own store, and leave settling to the owner: its store may not have the result yet.
    Where the owner goes without a task, nothing is sent from here: that takes an admission of its own."""
    while joined.task is None:
        await attempt.ports.clock.sleep(JOIN_CHECK)
        admission = admit(attempt)
        if isinstance(admission, FoundResult):
            return Carried(admission.result, made=False)
        if isinstance(admission, TakenUp):
            return await _finish(attempt, admission.task, admission.claim, True)
        if not isinstance(admission, Joined):
            _start_over(attempt, admission)
        else:
            joined = admission
    seen = await poll_to_end(attempt, joined.task.task, True)
    if seen.status is not TaskStatus.SUCCEEDED:
        raise AttemptError(judged(seen, attempt.doc, attempt.place)[0])
    return Carried(await collect(attempt, seen, joined.task.submitted_at), made=False)


def _start_over(attempt: Attempt, admission: Go | InDoubt | Wait | Over) -> NoReturn:
    """Raises AttemptError. A slot is not held by whoever does not send at once."""
    if isinstance(admission, InDoubt):
        raise AttemptError(of_doubt(admission.intent))
    if isinstance(admission, Go):
        attempt.ports.ledger.release(admission.claim)
    message = "The process that had it went without a task; nothing was sent."
    raise AttemptError(Failure(Verdict.RESEND, OWNER_GONE, message, charged=0))


async def execute(attempt: Attempt) -> Carried:
    """The whole of it, without a scheduler: waits for its turn, then carries out. Raises AttemptError, OverCapError, and
    OSError where the ledger cannot even be asked."""
    while True:
        admission = admit(attempt)
        if isinstance(admission, Go | TakenUp | Joined):
            try:
                return await carry_out(attempt, admission)
            except AttemptError as error:
                if error.failure.code != OWNER_GONE:
                    raise
                continue
        _stop_at(admission)
        if isinstance(admission, FoundResult):
            return Carried(admission.result, made=False)
        await attempt.ports.clock.sleep(_patience(admission, attempt.now()))


def _stop_at(admission: Admission) -> None:
    if isinstance(admission, InDoubt):
        raise AttemptError(of_doubt(admission.intent))
    if isinstance(admission, Over):
        raise OverCapError(admission)


def _patience(admission: Admission, now: float) -> float:
    if isinstance(admission, Wait) and admission.until is not None:
        return min(max(admission.until - now, 0.1), 60.0)
    return JOIN_CHECK


class OverCapError(Exception):
    """The action does not fit the credits that may be spent."""

    def __init__(self, over: Over) -> None:
        super().__init__(f"over {over.cap.value}: {over.left} credits left")
        self.over = over
