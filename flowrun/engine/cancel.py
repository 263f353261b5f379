"""Cancelling a task at the API, never one that has ended: DELETE destroys a finished task with all it made.

    look -> noted, durably -> DELETE -> look

Owns that order. The first look is the last moment before the request: whatever has ended by then is collected or settled like
any other. The note makes a later 404 read as "cancelled by us" to everybody on this ledger, so that a crash between any two
steps is only another look. The second look tells what came of it, where the API says so: a DELETE may be unanswered.
"""

from __future__ import annotations

from flowrun import log
from flowrun.engine.attempt import judge
from flowrun.engine.failure import AttemptError
from flowrun.engine.follow import look
from flowrun.engine.ports import CANCELLING, Attempt
from flowrun.engine.verdicts import disk_errors, of_key
from flowrun.engine.visit import GoesOn, Kept, Visit, visit
from flowrun.ids import TaskId
from flowrun.ledger.protocol import TaskRow
from flowrun.runway.errors import KeyRefusedError, RunwayError
from flowrun.runway.pace import poll_delay
from flowrun.runway.values import Task, TaskStatus
from flowrun.store.protocol import Picks

FRESH = 2.0  # seconds after it was asked for that an answer says anything of now: a slow one, or a slept one, is asked for again
LOOKS = 6  # of them without a fresh answer, before we let the task be


async def call_off(attempt: Attempt, task: TaskId) -> Task:
    """Cancel the task unless it has ended; how it stands then. Not terminal: the API goes on with it all the same, did not
    answer, or never so soon that the task could be deleted. Raises AttemptError as `look` does, OSError where the note cannot
    be written: nothing was deleted then."""
    ports, looks = attempt.ports, 0
    while True:
        asked_at, looks = ports.clock.now(), looks + 1
        seen = await look(attempt, task)
        if seen.status.terminal:
            return seen
        ports.ledger.note(task, {CANCELLING: ports.speaker})
        if ports.clock.now() - asked_at <= FRESH:
            await _delete(attempt, task)
            return await look(attempt, task)
        if looks == LOOKS:
            return seen
        await ports.clock.sleep(poll_delay(ports.rng, ports.poll_seconds()))


async def _delete(attempt: Attempt, task: TaskId) -> None:
    """Once. What came of it the next look finds out, whatever the answer was. Raises AttemptError where the key is refused."""
    try:
        await attempt.ports.provider.delete(task)
    except KeyRefusedError as error:
        raise AttemptError(of_key(error)) from None
    except RunwayError as error:
        log.say("engine", "not-cancelled", level=log.WARNING, task=task, message=str(error))


async def cancel(attempt: Attempt, row: TaskRow, picks: Picks) -> Visit:
    """A visit that cancels, also what a live process waits for: that sees its end as the API's. A finished task that such a
    process has in hand is left to it. Raises AttemptError: also for the cancelled task, by its code."""
    found = await visit(attempt, row, picks, call_off)
    if not isinstance(found, Kept):
        return found
    with disk_errors(row.task):
        seen = await call_off(attempt, row.task)
        if seen.status is TaskStatus.CANCELLED:
            judge(attempt, row.task, seen)
    return found if seen.status.terminal else GoesOn(seen)
