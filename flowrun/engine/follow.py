"""Waiting for a task at the API: polite polls, patience with a bad network, and what ends it. Owns nothing durable but
`ended`, which frees the slot."""

from __future__ import annotations

from flowrun.engine import events as ev
from flowrun.engine.failure import AttemptError
from flowrun.engine.ports import SPEAKER, Attempt
from flowrun.engine.verdicts import of_foreign_task, of_gone_task, of_key, of_timeout, of_unanswered
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
    while True:
        seen = await ask(attempt, task)
        if seen.status.terminal:
            ports.ledger.ended(task, seen.status.value)
            attempt.report(ev.Ended(attempt.now(), attempt.unit, task, seen.status.value))
            return seen
        watch.look(seen)
        await ports.clock.sleep(poll_delay(ports.rng, ports.poll_seconds()))


async def ask(attempt: Attempt, task: TaskId) -> Task:
    """One answer about the task, however long the network takes to give it. Raises AttemptError."""
    ports, failures, refusals = attempt.ports, 0, 0
    while True:
        try:
            return await ports.provider.task(task)
        except TransientError as error:
            failures += 1
            await ports.clock.sleep(poll_backoff(failures, ports.rng, error.retry_after))
        except GoneError:
            failure, failed = of_gone_task(task, attempt.doc)
            ports.ledger.ended(task, GONE)
            if ports.ledger.evidence(task).get(SPEAKER, ports.speaker) != ports.speaker:
                raise AttemptError(of_foreign_task(task)) from None
            ports.ledger.settle(task, failed, None)
            raise AttemptError(failure) from None
        except KeyRefusedError as error:
            raise AttemptError(of_key(error)) from None
        except RunwayError as error:  # no end of the task, whatever the API means by it
            refusals += 1
            if refusals >= REFUSALS:
                raise AttemptError(of_unanswered(task, error)) from error
            await ports.clock.sleep(poll_backoff(refusals, ports.rng))


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
