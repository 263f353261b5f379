"""From what the API or the machine said to what it means for a run. Owns that translation; the tables are runway's."""

from __future__ import annotations

import errno
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from flowrun.action import ActionDoc
from flowrun.engine.failure import AttemptError, Complaint, Failure, Verdict
from flowrun.engine.ports import Place, unplaced
from flowrun.engine.suspects import suspects
from flowrun.ledger.evidence import counter_words
from flowrun.ledger.protocol import Failed, IntentRow, LedgerDamagedError
from flowrun.runway.errors import (
    Afterwards,
    KeyRefusedError,
    Lost,
    NotAcceptedError,
    RunwayError,
)
from flowrun.runway.pace import overload_backoff, quota_pause
from flowrun.runway.policy import AFTERWARDS, LOST, SUBMISSIONS, Charged, FailureRule, Follows, rule_for
from flowrun.runway.values import Task, TaskStatus

TIMED_OUT = "timeout"
LEDGER_DAMAGED = "ledger-damaged"
_VERDICTS = {
    Follows.FINAL: Verdict.FAIL,
    Follows.RESEND: Verdict.RESEND,
    Follows.PAUSE_MODEL: Verdict.PAUSE_MODEL,
    Follows.PAUSE_RUN: Verdict.PAUSE_RUN,
    Follows.STOP_RUN: Verdict.STOP,
}


def of_refusal(error: NotAcceptedError, rng: random.Random, problems: tuple[Complaint, ...] = ()) -> Failure:
    """A creation that was certainly not accepted; it cost nothing. `problems`: the error's own, at their places."""
    rule = SUBMISSIONS[error.kind]
    verdict = _VERDICTS[rule.follows]
    pause = quota_pause if verdict is Verdict.PAUSE_MODEL else overload_backoff
    return Failure(
        verdict,
        error.kind.value,
        _with(rule.what, problems, error.said),
        rule.change,
        charged=0,
        delay=pause(1, rng, error.retry_after),
        problems=problems,
    )


def _with(what: str, problems: tuple[Complaint, ...], said: str = "") -> str:
    details = "; ".join(map(str, problems)) or said
    return f"{what} ({details})" if details else what


def of_lost_answer(kind: Lost, said: str, doc: ActionDoc) -> Failure:
    """Nobody knows what became of it. Why it was lost stands with the intent too, as evidence."""
    cost = "an unknown number of" if doc.credits is None else f"up to {doc.credits}"
    may = f"It may have been accepted, for {cost} credits."
    return Failure(Verdict.DOUBT, "answer-lost", f"{_with(LOST[kind].what, (), said)} {may}")


def of_doubt(intent: IntentRow) -> Failure:
    """An earlier request of this action that nobody has settled."""
    cost = "an unknown number of" if intent.credits is None else f"up to {intent.credits}"
    when = datetime.fromtimestamp(intent.intended_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Failure(
        Verdict.DOUBT,
        "answer-lost",
        f"A request sent at {when} was never answered: it may have been accepted, for {cost} credits."
        f" {counter_words(intent.evidence, intent.model)}".rstrip(),
    )


def judged(task: Task, doc: ActionDoc, place: Place = unplaced) -> tuple[Failure, Failed, int | None]:
    """A task that ended, but not well: for the run, for the ledger, and the credits to book (None: the estimate)."""
    return of_cancelled_task(task) if task.status is TaskStatus.CANCELLED else of_failed_task(task, doc, place)


def of_failed_task(task: Task, doc: ActionDoc, place: Place = unplaced) -> tuple[Failure, Failed, int | None]:
    """A task that ended without success: for the run, for the ledger, and the credits to book (None: the estimate). The run
    is told which inputs may be meant, the ledger is not: it outlives the lines they stand on."""
    rule = rule_for(task.failure_code)
    code = task.failure_code or "INTERNAL"
    credits = rule.credits(task.charged)
    if credits is None and rule.charged is Charged.YES:
        credits = doc.credits
    retry, problems = rule.retry, place(suspects(task.failure_code, doc))
    failure = Failure(
        _verdict(rule),
        code,
        _with(rule.what, problems, _kept(rule, credits)),
        rule.change,
        task.id,
        credits,
        retry.delay,
        retry.attempts,
        rule.rejected,
        problems,
    )
    return failure, Failed(code, rule.what, rule.rejected, rule.input_refused), credits


def _kept(rule: FailureRule, credits: int | None) -> str:
    """Where the API's figure and what is known of refunds disagree; a refund may come later."""
    return f"so far the API counts {credits} credits for it" if credits and rule.charged is Charged.NO else ""


def _verdict(rule: FailureRule) -> Verdict:
    if rule.follows is not Follows.FINAL:
        return Verdict.RETRY
    return Verdict.REJECT if rule.rejected else Verdict.FAIL


def of_cancelled_task(task: Task) -> tuple[Failure, Failed, int | None]:
    code, rule = Afterwards.CANCELLED.value, AFTERWARDS[Afterwards.CANCELLED]
    failure = Failure(Verdict.FAIL, code, rule.what, rule.change, task.id, task.charged)
    return failure, Failed(code, rule.what), task.charged


def of_gone_task(task: str, doc: ActionDoc) -> tuple[Failure, Failed]:
    code, rule = Afterwards.GONE.value, AFTERWARDS[Afterwards.GONE]
    cost = "" if doc.credits is None else f", about {doc.credits} credits"
    message = f"{rule.what} (task {task}{cost})"
    return Failure(Verdict.FAIL, code, message, rule.change, task), Failed(code, message)


def of_foreign_task(task: str) -> Failure:
    """Not known to this key, which is not the one that sent the request."""
    message = f"Task {task} is not known to the key that is set, and another one sent its request; it stays on record."
    hint = "Apply with that key to collect it; or flowrun forget FILE NODE, to generate it anew and pay again."
    return Failure(Verdict.FAIL, Afterwards.NOT_TOLD.value, message, hint, task)


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
    """At a call that costs nothing: a look at a task, an upload."""
    code, rule = Afterwards.KEY_REFUSED.value, AFTERWARDS[Afterwards.KEY_REFUSED]
    return Failure(Verdict.STOP, code, f"{rule.what} ({error})", rule.change, charged=0)


def of_unrecorded(task: str, error: Exception) -> Failure:
    """Accepted, but the ledger could not take the task's id down: the one place where it is written is this message."""
    message = f"The API accepted the request as task {task}, but recording that failed: {error}."
    if isinstance(error, LedgerDamagedError):
        return replace(of_damage(error), message=message, task=task)
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
    if isinstance(error, LedgerDamagedError):
        return of_damage(error)
    return of_disk(error, None) if isinstance(error, OSError) else None


def of_damage(error: LedgerDamagedError) -> Failure:
    """Nothing may be sent that the ledger does not take down. What is in flight stands in the run's journal."""
    message = f"{error} Nothing new is sent; what is in flight stands in this run's journal."
    hint = "Apply again: the ledger is set aside and rebuilt from its copy and the journals."
    return Failure(Verdict.STOP, LEDGER_DAMAGED, message, hint)


def of_bug(error: Exception, task: str | None) -> Failure:
    """Nobody foresaw it. Everything else in flight is brought to its end before it is raised again."""
    message = f"flowrun itself failed: {type(error).__name__}. What was submitted is on record."
    return Failure(Verdict.STOP, "bug", message, "Apply again to take it up.", task)


def of_silence(task: str, error: RunwayError) -> Failure:
    """No answer about a task, as often as a run that does not wait asks for one."""
    code, rule = Afterwards.UNANSWERED.value, AFTERWARDS[Afterwards.UNANSWERED]
    return Failure(Verdict.STOP, code, f"{rule.what} ({error})", "It stays on record: try again later.", task)


def of_unanswered(task: str, error: RunwayError) -> Failure:
    """The API refuses to tell of a task, again and again, without saying that it is gone."""
    code, rule = Afterwards.NOT_TOLD.value, AFTERWARDS[Afterwards.NOT_TOLD]
    return Failure(Verdict.FAIL, code, f"{rule.what} ({error})", rule.change, task)
