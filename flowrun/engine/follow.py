"""Waiting for a task at the API: polite polls, patience with a bad network, and what ends it. Owns nothing durable but
`ended`, which frees the slot."""

from __future__ import annotations

from flowrun.engine import events as ev
from flowrun.engine.failure import AttemptError
from flowrun.engine.ports import CANCELLING, SPEAKER, Attempt
from flowrun.engine.verdicts import of_foreign_task, of_gone_task, of_key, of_silence, of_timeout, of_unanswered
from flowrun.ids import TaskId
from flowrun.runway.errors import GoneError, KeyRefusedError, RunwayError, TransientError
from flowrun.runway.pace import poll_backoff, poll_delay
from flowrun.runway.values import Task, TaskStatus

GONE = "GONE"  # the status of a task that the API does not know
REFUSALS = 8  # answers to a poll that are neither an answer nor a passing fault, before we let the task be for this run


async def poll_to_end(attempt: Attempt, task: TaskId, resumed: bool) -> Task:
    """Ask until the task is terminal, and tell the ledger. A task that was taken up is asked for at once.

    Only SUCCEEDED, FAILED, CANCELLED or a 404 end a task; a failed poll is tried again with backoff, for hours. A 404 to
    another key than the one that sent the request frees the slot, and leaves the task open.
    THROTTLED is a place in the API's queue: no time runs there. Raises AttemptError when the task is gone, the key is
    refused, or it was RUNNING for longer than the node's timeout.
    """
    ports, watch = attempt.ports, _Watch(attempt)
    if not resumed:
        await ports.clock.sleep(poll_delay(ports.rng, ports.poll_seconds()))
    while not (seen := await look(attempt, task)).status.terminal:
        watch.look(seen)
        await ports.clock.sleep(poll_delay(ports.rng, ports.poll_seconds()))
    return seen


async def look(attempt: Attempt, task: TaskId) -> Task:
    """One answer about the task; where that is its end, the ledger is told. Raises AttemptError as `ask` does."""
    seen = await ask(attempt, task)
    if seen.status.terminal:
        attempt.ports.ledger.ended(task, seen.status.value)
        attempt.report(ev.Ended(attempt.now(), attempt.unit, task, seen.status.value))
    return seen


async def ask(attempt: Attempt, task: TaskId) -> Task:
    """One answer about the task, for as long as the run has patience. A 404 after our own cancelling reads as CANCELLED.
    Raises AttemptError: gone, not told, the key refused."""
    ports, failures, refusals = attempt.ports, 0, 0
    patience = attempt.run.patience
    while True:
        try:
            return await ports.provider.task(task)
        except TransientError as error:
            failures += 1
            if failures == patience:
                raise AttemptError(of_silence(task, error)) from error
            await ports.clock.sleep(poll_backoff(failures, ports.rng, error.retry_after))
        except GoneError:
            return _gone(attempt, task)
        except KeyRefusedError as error:
            raise AttemptError(of_key(error)) from None
        except RunwayError as error:  # no end of the task, whatever the API means by it
            refusals += 1
            if refusals >= (REFUSALS if patience is None else patience):
                raise AttemptError(of_unanswered(task, error)) from error
            await ports.clock.sleep(poll_backoff(refusals, ports.rng))


def _gone(attempt: Attempt, task: TaskId) -> Task:
    """The API does not know the task. Where somebody on this ledger was about to cancel it, that is its end; else it is lost,
    unless another key sent its request. Raises AttemptError for both."""
    ledger, known = attempt.ports.ledger, attempt.ports.ledger.evidence(task)
    if is_foreign(attempt, task):
        ledger.ended(task, GONE)
        raise AttemptError(of_foreign_task(task))
    if CANCELLING in known:
        return Task(task, TaskStatus.CANCELLED, word=TaskStatus.CANCELLED.value)
    failure, failed = of_gone_task(task, attempt.doc)
    ledger.ended(task, GONE)
    ledger.settle(task, failed, None)
    raise AttemptError(failure)


def is_foreign(attempt: Attempt, task: TaskId) -> bool:
    """Whether a 404 to our key says nothing: another sent the request, and ours has never seen the task."""
    known, ours = attempt.ports.ledger.evidence(task), attempt.ports.speaker
    return ours not in (known.get(SPEAKER, ours), known.get(CANCELLING))


class _Watch:
    """Reports what changes about a task, and counts its RUNNING time."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._last: tuple[str, float | None] | None = None
        self._running_since: float | None = None

    def look(self, seen: Task) -> None:
        """Take in one answer about a task that has not ended. Raises AttemptError where it has run for too long."""
        now = self._attempt.now()
        if (seen.status.value, seen.progress) != self._last:
            self._last = (seen.status.value, seen.progress)
            event = ev.Progressed(now, self._attempt.unit, seen.id, seen.status.value, seen.progress)
            self._attempt.report(event)
        if seen.status is not TaskStatus.RUNNING:
            return
        self._running_since = self._running_since or now
        limit = self._attempt.doc.timeout
        if limit is not None and now - self._running_since > limit:
            raise AttemptError(of_timeout(seen.id, limit))
