"""From what the API or the machine said to what it means for a run. Owns that translation; the tables are runway's."""

from __future__ import annotations

import errno
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from flowrun.action import ActionDoc
from flowrun.engine.failure import AttemptError, Failure, Verdict
from flowrun.ledger.protocol import Failed, IntentRow
from flowrun.runway.errors import KeyRefusedError, NotAcceptedError, RunwayError, SubmitFailure
from flowrun.runway.pace import overload_backoff, quota_pause
from flowrun.runway.policy import SUBMISSIONS, Charged, FailureRule, RetryKind, Scope, rule_for
from flowrun.runway.values import Task, TaskStatus

TIMED_OUT = "timeout"
_SCOPES = {
    Scope.NODE: Verdict.FAIL,
    Scope.REQUEST: Verdict.RESEND,
    Scope.MODEL: Verdict.PAUSE_MODEL,
    Scope.RUN: Verdict.STOP,
}


def of_refusal(error: NotAcceptedError, rng: random.Random) -> Failure:
    """A creation that was certainly not accepted; it cost nothing."""
    rule = SUBMISSIONS[error.kind]
    verdict = Verdict.PAUSE_RUN if error.kind is SubmitFailure.NO_CREDITS else _SCOPES[rule.scope]
    pause = quota_pause if verdict is Verdict.PAUSE_MODEL else overload_backoff
    details = "; ".join(str(problem) for problem in error.problems) or str(error)
    return Failure(
        verdict,
        error.kind.value,
        f"{rule.what} ({details})",
        rule.change,
        charged=0,
        delay=pause(1, rng, error.retry_after),
    )


def of_lost_answer(doc: ActionDoc) -> Failure:
    """Why it was lost stands with the intent, as evidence."""
    cost = "an unknown number of" if doc.credits is None else f"up to {doc.credits}"
    message = f"The request was sent and no answer came: it may have been accepted, for {cost} credits."
    return Failure(Verdict.DOUBT, "answer-lost", message)


def of_doubt(intent: IntentRow) -> Failure:
    """An earlier request of this action that nobody has settled."""
    cost = "an unknown number of" if intent.credits is None else f"up to {intent.credits}"
    when = datetime.fromtimestamp(intent.intended_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Failure(
        Verdict.DOUBT,
        "answer-lost",
        f"A request sent at {when} was never answered: it may have been accepted, for {cost} credits.",
    )


def judged(task: Task, doc: ActionDoc) -> tuple[Failure, Failed, int | None]:
    """A task that ended, but not well: for the run, for the ledger, and the credits to book (None: the estimate)."""
    return of_cancelled_task(task) if task.status is TaskStatus.CANCELLED else of_failed_task(task, doc)


def of_failed_task(task: Task, doc: ActionDoc) -> tuple[Failure, Failed, int | None]:
    """A task that ended without success: for the run, for the ledger, and the credits to book (None: the estimate)."""
    rule = rule_for(task.failure_code)
    code = task.failure_code or "INTERNAL"
    credits = rule.credits(task.charged)
    if credits is None and rule.charged is Charged.YES:
        credits = doc.credits
    retry = rule.retry
    failure = Failure(
        _verdict(rule), code, rule.what, rule.change, task.id, credits, retry.delay, retry.attempts, rule.rejected
    )
    return failure, Failed(code, rule.what, rule.rejected, rule.input_refused), credits


def _verdict(rule: FailureRule) -> Verdict:
    if rule.retry.kind is not RetryKind.NEVER:
        return Verdict.RETRY
    return Verdict.REJECT if rule.rejected else Verdict.FAIL


def of_cancelled_task(task: Task) -> tuple[Failure, Failed, int | None]:
    message = "The task was cancelled at the API."
    failure = Failure(Verdict.FAIL, "CANCELLED", message, "Apply again to generate it anew.", task.id, task.charged)
    return failure, Failed("CANCELLED", message), task.charged


def of_gone_task(task: str, doc: ActionDoc) -> tuple[Failure, Failed]:
    cost = "its credits" if doc.credits is None else f"about {doc.credits} credits"
    message = f"The API no longer knows task {task}; its result is lost, and {cost} with it."
    failure = Failure(Verdict.FAIL, "TASK_GONE", message, "Apply again to generate it anew.", task)
    return failure, Failed("TASK_GONE", message)


def of_timeout(task: str, seconds: float) -> Failure:
    """A task that was RUNNING for longer than the node's `timeout` (seconds)."""
    return Failure(
        Verdict.FAIL,
        TIMED_OUT,
        f"Task {task} has been running for more than {seconds:g} s; this run stops waiting for it.",
        "The task stays on record: the next apply collects it.",
        task,
    )


def of_key(error: KeyRefusedError) -> Failure:
    rule = SUBMISSIONS[SubmitFailure.KEY_REFUSED]
    return Failure(Verdict.STOP, "key-refused", f"{rule.what} ({error})", rule.change, charged=0)


def of_unrecorded(task: str, error: Exception) -> Failure:
    """Accepted, but the ledger could not take the task's id down: the one place where it is written is this message."""
    message = f"The API accepted the request as task {task}, but recording that failed: {error}."
    hint = f"Mend that, then say which task answers this request: flowrun adopt FILE NODE --task {task}"
    return Failure(Verdict.STOP, "not-recorded", message, hint, task)


@contextmanager
def disk_errors(task: str | None) -> Iterator[None]:
    """Raises AttemptError for an OSError in the block."""
    try:
        yield
    except OSError as error:
        raise AttemptError(of_disk(error, task)) from error


def of_disk(error: OSError, task: str | None) -> Failure:
    """A full disk, a missing permission. What was generated stays at the API and on record."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    what = "The disk is full" if full else f"Writing failed: {error.strerror or error}"
    where = f" ({error.filename})" if error.filename else ""
    kept = f" Task {task} stays at the API and on record; nothing is lost." if task else ""
    hint = "Free some space and apply again." if full else "Mend that and apply again."
    return Failure(Verdict.STOP, "disk-full" if full else "disk", f"{what}{where}.{kept}", hint, task)


def of_error(error: Exception) -> Failure | None:
    """What an exception means for the attempt it ended; None for one that nobody foresaw."""
    if isinstance(error, AttemptError):
        return error.failure
    if isinstance(error, KeyRefusedError):
        return of_key(error)
    return of_disk(error, None) if isinstance(error, OSError) else None


def of_bug(error: Exception, task: str | None) -> Failure:
    """Nobody foresaw it. Everything else in flight is brought to its end before it is raised again."""
    message = f"flowrun itself failed: {type(error).__name__}. What was submitted is on record."
    return Failure(Verdict.STOP, "bug", message, "Apply again to take it up.", task)


def of_unanswered(task: str, error: RunwayError) -> Failure:
    """The API refuses to tell of a task, again and again, without saying that it is gone."""
    message = f"The API does not tell about task {task}: {error}. It stays on record; nothing is lost."
    return Failure(Verdict.FAIL, "task-not-told", message, "Apply again later to collect it.", task)
