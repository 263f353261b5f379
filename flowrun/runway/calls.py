"""One request, one answer, and what a bad one means. Owns the line between "certainly not accepted" and "nobody knows":
which errors it raises for a creation. The table behind it is `taxonomy`'s; for calls that cost nothing the same facts only
say whether to try again.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import NoReturn

import httpx

from flowrun.runway.errors import (
    AnswerLostError,
    GoneError,
    KeyRefusedError,
    Lost,
    NotAcceptedError,
    RefusedError,
    RunwayError,
    SubmitFailure,
    TransientError,
    UnreadableError,
)
from flowrun.runway.http import REQUEST_ID, TRY_AGAIN
from flowrun.runway.problems import document, message, problems, speaks_of_credits, speaks_of_fetching
from flowrun.runway.shown import clean
from flowrun.runway.taxonomy import Kind, kind_of_break, kind_of_status
from flowrun.secret import Secret

LARGEST_ANSWER = 16 << 20  # bytes of JSON that are read; no answer of the API comes near


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came. `body`: None where it broke off, `broke` saying how. `call`: ``POST /v1/text_to_image``."""

    call: str
    status: int
    headers: httpx.Headers
    body: bytes | None
    broke: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def request_id(self) -> str | None:
        handle: str | None = self.headers.get(REQUEST_ID)
        return handle


async def exchange(http: httpx.AsyncClient, request: httpx.Request, call: str) -> Reply:
    """Send `request` once. Raises httpx's exceptions for what happens before a status is known; a body may break."""
    response = await http.send(request, stream=True, follow_redirects=False)
    try:
        body = await _body(response)
    except (httpx.HTTPError, httpx.StreamError) as error:
        return Reply(call, response.status_code, response.headers, None, named(error))
    finally:
        with suppress(httpx.HTTPError):
            await response.aclose()
    broke = "" if body is not None else f"longer than {LARGEST_ANSWER} bytes"
    return Reply(call, response.status_code, response.headers, body, broke)


async def _body(response: httpx.Response) -> bytes | None:
    parts, size = [], 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > LARGEST_ANSWER:
            return None
        parts.append(chunk)
    return b"".join(parts)


def named(error: BaseException, secret: Secret | None = None) -> str:
    """``ReadTimeout``, or with its words ``ReadError: connection reset``."""
    words = clean(str(error), secret)
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


# creations


def raise_unsent(error: Exception, call: str, secret: Secret) -> NoReturn:
    """For an exception that came instead of an answer to a creation. Raises NotAcceptedError or AnswerLostError."""
    kind, said = kind_of_break(error), named(error, secret)
    if isinstance(kind, SubmitFailure):
        text = f"{call}: no connection, nothing was sent or charged: {said}"
        raise NotAcceptedError(text, kind, said=said) from None
    text = f"{call}: sent, but not answered; it may run and be charged: {said}"
    raise AnswerLostError(text, kind, said=said) from None


def kind_of_answer(status: int, text: str, *, resend_502: bool) -> Kind:
    """What an answer that is no 2xx says of a creation. `text`: its own words, which alone tell some refusals apart."""
    if 400 <= status < 500 and speaks_of_credits(text):
        return SubmitFailure.NO_CREDITS
    if status == 502 and not resend_502:
        return Lost.CANNOT_TELL
    return kind_of_status(status)


def submit_error(reply: Reply, secret: Secret, *, resend_502: bool) -> NotAcceptedError | AnswerLostError:
    """What an answer that is no 2xx means for a creation."""
    doc = document(reply.body)
    text = message(doc, secret)
    kind = kind_of_answer(reply.status, text, resend_502=resend_502)
    said = _with(f"HTTP {reply.status}", text)
    if isinstance(kind, Lost):
        says = (
            f"{reply.call}: HTTP {reply.status}, which does not say whether it was accepted; it may run and be charged"
        )
        return AnswerLostError(_with(says, text), kind, said=said, status=reply.status, request_id=reply.request_id)
    found = problems(doc, secret) if kind is SubmitFailure.REFUSED_INPUT else ()
    if any(speaks_of_fetching(each.message) for each in found):
        kind = SubmitFailure.INPUT_UNFETCHED
    complaints = "; ".join(map(str, found[:3])) or text
    return NotAcceptedError(
        _with(f"{reply.call}: HTTP {reply.status}, not accepted, nothing was charged", complaints),
        kind,
        retry_after=retry_after(reply.headers),
        problems=found,
        said=said,
        status=reply.status,
        request_id=reply.request_id,
    )


def no_task_id(reply: Reply, why: str) -> AnswerLostError:
    """For a 2xx to a creation that names no task. `why` names places, no values."""
    said = f"HTTP {reply.status}: {reply.broke or why}"
    text = (
        f"{reply.call}: HTTP {reply.status} without a readable task id; it may run and be charged: {reply.broke or why}"
    )
    return AnswerLostError(text, Lost.NO_TASK, said=said, status=reply.status, request_id=reply.request_id)


# calls that cost nothing


def raise_unanswered(error: Exception, call: str, secret: Secret) -> NoReturn:
    """For an exception that came instead of an answer to a free call. Raises TransientError."""
    raise TransientError(f"{call}: no answer: {named(error, secret)}") from None


def call_error(reply: Reply, secret: Secret) -> RunwayError:
    """What an answer that is no 2xx means for a free call."""
    doc = document(reply.body)
    status, handle = reply.status, reply.request_id
    text = _with(f"{reply.call}: HTTP {status}", message(doc, secret))
    if status in TRY_AGAIN or status >= 500:
        return TransientError(text, retry_after=retry_after(reply.headers), status=status, request_id=handle)
    if status in (401, 403):
        return KeyRefusedError(text, status=status, request_id=handle)
    if status == 404:
        return GoneError(text, status=status, request_id=handle)
    return RefusedError(text, problems=problems(doc, secret), status=status, request_id=handle)


def unreadable(reply: Reply, why: str) -> UnreadableError:
    """For a 2xx whose body is not what the call's answer should be. `why` names places, no values."""
    text = f"{reply.call}: HTTP {reply.status} with an unreadable answer: {reply.broke or why}"
    return UnreadableError(text, status=reply.status, request_id=reply.request_id)


def retry_after(headers: httpx.Headers) -> float | None:
    """Seconds asked for by ``retry-after-ms`` or ``Retry-After`` (seconds, or a date measured by the answer's own Date)."""
    if (ms := _number(headers.get("retry-after-ms"))) is not None:
        return ms / 1000
    given = headers.get("retry-after")
    if (seconds := _number(given)) is not None or given is None:
        return seconds
    with suppress(ValueError, TypeError):  # TypeError: one of the two has a zone, the other none
        wait = parsedate_to_datetime(given) - parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, wait.total_seconds())
    return None


def _number(text: str | None) -> float | None:
    with suppress(ValueError):
        value = float(text or "")
        return value if math.isfinite(value) and value >= 0 else None
    return None


def _with(text: str, said: str) -> str:
    return f"{text}: {said}" if said else text
