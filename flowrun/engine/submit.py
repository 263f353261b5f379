"""Sending the one request that costs money. Owns the order around it: intent first, durable; then the request, once;
then the task id, durable, whatever else went wrong meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from flowrun.canonical import sha256 as canonical_sha256
from flowrun.engine import events as ev
from flowrun.engine.body import build_body, give_up_urls
from flowrun.engine.doubt import look_into
from flowrun.engine.failure import AttemptError, Failure, Verdict
from flowrun.engine.ports import SEND_WITHIN, SPEAKER, Attempt, Ports
from flowrun.engine.stale import give_up_uploads
from flowrun.engine.verdicts import of_disk, of_key, of_lost_answer, of_refusal, of_unrecorded
from flowrun.ids import TaskId
from flowrun.ledger.evidence import BEFORE
from flowrun.ledger.protocol import BusyActionError, Claim, Intent, LedgerDamagedError, StaleClaimError
from flowrun.runway.errors import AnswerLostError, KeyRefusedError, Lost, NotAcceptedError, SubmitFailure
from flowrun.runway.problems import reworded

CLAIM_LOST = "claim-lost"  # the code of the failure that says: somebody else has it, ask again


async def submit(attempt: Attempt, claim: Claim) -> TaskId:
    """Intend, send, record. Raises AttemptError; the ledger knows what became of the intent by then."""
    ports = attempt.ports
    try:
        body = await build_body(attempt)
        if attempt.run.stopping():
            raise asyncio.CancelledError("the run stops, and nothing was sent yet")
        intent = ports.ledger.intend(claim, canonical_sha256(attempt.doc.request), _evidence(attempt))
    except (StaleClaimError, BusyActionError) as error:
        raise AttemptError(_lost_claim(error)) from None
    except (OSError, KeyRefusedError) as error:
        with suppress(OSError):
            ports.ledger.release(claim)
        raise AttemptError(of_disk(error, None) if isinstance(error, OSError) else of_key(error)) from error
    except BaseException:
        ports.ledger.release(claim)
        raise
    _check_delay(intent, claim, ports)
    return await _send(attempt, intent, body)


def _evidence(attempt: Attempt) -> dict[str, Any]:
    """What should be known of the request, should its answer never come."""
    counted = attempt.run.counter(attempt.doc.model)
    return {SPEAKER: attempt.ports.speaker, **({} if counted is None else {BEFORE: counted.to_json()})}


def _check_delay(intent: Intent, claim: Claim, ports: Ports) -> None:
    """Whoever slept between intent and request may have been reaped: certainly not sent, so it is refused."""
    if ports.clock.now() - intent.intended_at > SEND_WITHIN:
        ports.ledger.refused(intent)
        ports.ledger.release(claim)
        raise AttemptError(_lost_claim(None))


def _lost_claim(error: Exception | None) -> Failure:
    why = "another process has it" if error else "this process was asleep for too long"
    return Failure(Verdict.RESEND, CLAIM_LOST, f"Nothing was sent: {why}.", charged=0, delay=1.0)


async def _send(attempt: Attempt, intent: Intent, body: Mapping[str, Any]) -> TaskId:
    ports = attempt.ports
    try:
        accepted = await ports.provider.submit(attempt.doc.path, body)
    except NotAcceptedError as error:
        ports.ledger.refused(intent)
        ports.ledger.release(intent.claim)
        raise AttemptError(_refused(attempt, error, body)) from None
    except AnswerLostError as error:
        _give_up(intent, str(error), ports)
        raise AttemptError(await _looked_into(attempt, intent, error)) from None
    except (asyncio.CancelledError, Exception) as error:
        _give_up(intent, type(error).__name__, ports)
        _tell_doubt(attempt)
        raise
    estimate = accepted.estimated_credits
    try:
        ports.ledger.submitted(intent, accepted.task, estimate)
    except Exception as error:  # a full disk, a damaged file: whatever it is, the id must be told
        raise AttemptError(of_unrecorded(accepted.task, error)) from error
    credits = attempt.doc.credits if estimate is None else estimate
    attempt.report(ev.Submitted(attempt.now(), attempt.unit, accepted.task, credits))
    return accepted.task


async def _looked_into(attempt: Attempt, intent: Intent, error: AnswerLostError) -> Failure:
    try:
        return await look_into(attempt, intent, error)
    except asyncio.CancelledError:
        _tell_doubt(attempt)
        raise


def _refused(attempt: Attempt, error: NotAcceptedError, body: Mapping[str, Any]) -> Failure:
    """What the API could not fetch is sent another way, where there is one; an upload that it forgot is made anew."""
    failure = of_refusal(error, attempt.ports.rng, attempt.place(map(reworded, error.problems)))
    if give_up_uploads(attempt, body, error.problems):
        return replace(failure, verdict=Verdict.RESEND)
    if error.kind is SubmitFailure.INPUT_UNFETCHED and not give_up_urls(attempt, body):
        return replace(failure, verdict=Verdict.FAIL)
    return failure


def _tell_doubt(attempt: Attempt) -> None:
    """Whoever is stopped in the middle has no answer to give, but a person must know."""
    failure = of_lost_answer(Lost.STOPPED, "", attempt.doc)
    attempt.report(ev.AttemptFailed(attempt.now(), attempt.unit, failure.verdict.value, failure.code, failure.message))


def _give_up(intent: Intent, why: str, ports: Ports) -> None:
    """Where even that cannot be written, the intent stays open, and is uncertain once its owner is gone."""
    with suppress(OSError, LedgerDamagedError):
        ports.ledger.lost(intent, {"error": ports.mask(why), "at": ports.clock.now()})
        ports.ledger.release(intent.claim)
