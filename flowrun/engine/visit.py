"""One visit to a task that is open and that no plan takes up: whose it is, how it stands, and what follows from that.

Owns that order: the ledger is asked first (a result that is here already costs no request, a live process keeps what it
has), then the API, by whichever way of looking the visitor has: to the end, once, or to cancel. What has succeeded is
collected, what has ended otherwise is settled, what goes on is let go. Whom to visit is others'.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from flowrun.action import ActionDoc
from flowrun.engine.attempt import FoundResult, Go, Joined, TakenUp, admit, conclude
from flowrun.engine.ports import Attempt, Ports, Report, Run
from flowrun.engine.verdicts import disk_errors
from flowrun.ids import TaskId
from flowrun.ledger.protocol import TaskRow
from flowrun.runway.values import Task
from flowrun.store.protocol import Pick, Picks, Result

Look = Callable[[Attempt, TaskId], Awaitable[Task]]


@dataclass(frozen=True, slots=True)
class Collected:
    """Its result is in the store. `now`: this visit brought it there."""

    result: Result
    now: bool


@dataclass(frozen=True, slots=True)
class GoesOn:
    """It has not ended. It is nobody's now, and on record."""

    seen: Task


@dataclass(frozen=True, slots=True)
class Kept:
    """A live process has it in hand, and will settle it. Nothing was asked."""


@dataclass(frozen=True, slots=True)
class SettledMeanwhile:
    """Somebody else settled it before we came."""


Visit = Collected | GoesOn | Kept | SettledMeanwhile


def attempt_at(row: TaskRow, doc: ActionDoc, ports: Ports, run: Run, report: Report) -> Attempt:
    """The attempt that an open task belongs to, for whom it was made."""
    return Attempt(doc, row.origin, row.origin.address, ports, run, report)


async def visit(attempt: Attempt, row: TaskRow, picks: Picks, look: Look) -> Visit:
    """One visit to a task of our own store. Raises AttemptError: it ended without a result, and the ledger knows; or nobody
    could be asked, or it could not be collected, and it stays open."""
    with disk_errors(row.task):
        admission = admit(attempt)
        if isinstance(admission, TakenUp):
            return await _taken_up(attempt, admission, picks, look)
        if isinstance(admission, FoundResult):
            _pick(attempt, admission.result, picks)
            return Collected(admission.result, now=False)
        if isinstance(admission, Go):  # nothing is to be sent from here
            attempt.ports.ledger.release(admission.claim)
    return Kept() if isinstance(admission, Joined) else SettledMeanwhile()


async def _taken_up(attempt: Attempt, admission: TakenUp, picks: Picks, look: Look) -> Visit:
    """The claim is let go whatever comes of it: settling drops it, and who comes after us may take up what is left."""
    ledger, task = attempt.ports.ledger, admission.task
    try:
        seen = await look(attempt, task.task)
        if not seen.status.terminal:
            return GoesOn(seen)
        result = (await conclude(attempt, task, admission.claim, seen)).result
        _pick(attempt, result, picks)
        return Collected(result, now=True)
    finally:
        with suppress(OSError):  # else our end does it, or the next reaper
            ledger.release(admission.claim)


def _pick(attempt: Attempt, result: Result, picks: Picks) -> None:
    """A result that was forced flows on, also where it is collected so late."""
    if attempt.origin.forced:
        at = attempt.now()
        picks.set(Pick(result.recipe, result.take, result.id, "forced", at, attempt.origin.address))
