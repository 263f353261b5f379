"""The failure taxonomy: everything that can go wrong between flowrun and the API, a row each, by when it happens.

Owns which event is taken as which; what follows from it, in money and in words, is `policy`'s. `calls` reads BREAKS and
STATUSES to judge what came, and the reference page and the tests go through `ROWS`: one source for all three.

Where a creation broke decides. Before anything was sent it was not accepted; while or after sending, a server can have
taken on what it did not answer; with a status but a broken body the status decides. Exceptions are named, not imported:
a table should not cost the HTTP library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from flowrun.runway.errors import Afterwards, Lost, SubmitFailure
from flowrun.runway.policy import (
    AFTERWARDS,
    FAILURES,
    LOST,
    SUBMISSIONS,
    UNKNOWN_CODE,
    Charged,
    FailureRule,
    Follows,
    Rule,
)

Kind = SubmitFailure | Lost


class Phase(StrEnum):
    """When it happens."""

    BEFORE = "before anything is sent"
    AFTER = "while sending, or before an answer"
    READING = "reading the answer"
    ANSWER = "the answer is an error"
    TASK = "the task has failed"
    AFTERWARDS = "looking at the task, moving its files"


@dataclass(frozen=True, slots=True)
class Break:
    """An exception instead of an answer to a creation. `error`: the class that httpx raises; `cause`: a class behind it,
    None: any. The first row that fits counts."""

    name: str
    error: str
    cause: str | None
    kind: Kind
    happens: str


BREAKS: tuple[Break, ...] = (
    Break("name-unknown", "ConnectError", "gaierror", SubmitFailure.NAME_UNKNOWN, "the name server knows no such host"),
    Break("tls-failed", "ConnectError", "SSLError", SubmitFailure.TLS_FAILED, "the TLS handshake fails"),
    Break(
        "refused", "ConnectError", None, SubmitFailure.UNREACHABLE, "the connection is refused, or there is no route"
    ),
    Break("connect-timeout", "ConnectTimeout", None, SubmitFailure.CONNECT_TIMEOUT, "connecting takes too long"),
    Break("pool-timeout", "PoolTimeout", None, SubmitFailure.NO_FREE_CONNECTION, "no connection of ours comes free"),
    Break("proxy", "ProxyError", None, SubmitFailure.PROXY_REFUSED, "the proxy refuses the tunnel"),
    Break("no-http-address", "UnsupportedProtocol", None, SubmitFailure.UNREACHABLE, "the address is not http"),
    Break("bad-address", "InvalidURL", None, SubmitFailure.UNREACHABLE, "the address is none"),
    Break("write-broken", "WriteError", None, Lost.WHILE_SENDING, "the connection breaks while sending"),
    Break("write-timeout", "WriteTimeout", None, Lost.WHILE_SENDING, "sending stalls"),
    Break("read-timeout", "ReadTimeout", None, Lost.NO_ANSWER, "no answer comes in time"),
    Break("reset", "ReadError", None, Lost.BROKEN_OFF, "the connection is reset"),
    Break("close-broken", "CloseError", None, Lost.BROKEN_OFF, "the connection breaks at its end"),
    Break("protocol", "RemoteProtocolError", None, Lost.NO_HTTP, "it is closed unanswered, or the answer is no HTTP"),
    Break("otherwise", "Exception", None, Lost.OTHERWISE, "anything else"),
)
NOT_SENT: Final = frozenset(each.error for each in BREAKS if isinstance(each.kind, SubmitFailure))

STATUSES: Mapping[int, Kind] = MappingProxyType(
    {
        301: SubmitFailure.ENDPOINT_GONE,
        302: Lost.CANNOT_TELL,  # after a POST it may mean that it was done
        307: SubmitFailure.ENDPOINT_GONE,
        308: SubmitFailure.ENDPOINT_GONE,
        400: SubmitFailure.REFUSED_INPUT,
        401: SubmitFailure.KEY_REFUSED,
        402: SubmitFailure.NO_CREDITS,
        403: SubmitFailure.KEY_REFUSED,
        404: SubmitFailure.ENDPOINT_GONE,
        405: SubmitFailure.ENDPOINT_GONE,
        408: Lost.CANNOT_TELL,  # nothing says on which side the time ran out
        410: SubmitFailure.ENDPOINT_GONE,
        413: SubmitFailure.TOO_LARGE,
        415: SubmitFailure.REFUSED_INPUT,
        422: SubmitFailure.REFUSED_INPUT,
        425: Lost.CANNOT_TELL,
        429: SubmitFailure.QUOTA,
        500: Lost.CANNOT_TELL,
        502: SubmitFailure.OVERLOADED,  # the API documents it as shedding load; `provider.resend_502` doubts it
        503: SubmitFailure.OVERLOADED,
        504: Lost.CANNOT_TELL,
    }
)


def kind_of_status(status: int) -> Kind:
    """What an answer with this status, no 2xx, says of a creation: another 4xx is a refusal, any other is uncertain."""
    other = SubmitFailure.REFUSED_INPUT if 400 <= status < 500 else Lost.CANNOT_TELL
    return STATUSES.get(status, other)


def kind_of_break(error: BaseException) -> Kind:
    """What an exception instead of an answer says of a creation. Only httpx's own class tells the phase: what lies behind
    it is looked at within the row of that class."""
    classes = _names(error)
    behind = {name for cause in _causes(error) for name in _names(cause)}
    fits = (each for each in BREAKS if each.error in classes and (each.cause is None or each.cause in behind))
    return next((each.kind for each in fits), Lost.OTHERWISE)


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause = error.__cause__ or error.__context__
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the taxonomy. `name`: also of the test that provokes it; `happens`: what, for the reference."""

    name: str
    phase: Phase
    happens: str
    rule: Rule | FailureRule

    @property
    def follows(self) -> Follows:
        return self.rule.follows

    @property
    def charged(self) -> Charged:
        return self.rule.charged


def rule_of(kind: Kind) -> Rule:
    return SUBMISSIONS[kind] if isinstance(kind, SubmitFailure) else LOST[kind]


def _breaks() -> Iterator[Row]:
    for each in BREAKS:
        phase = Phase.BEFORE if isinstance(each.kind, SubmitFailure) else Phase.AFTER
        yield Row(
            f"{'before' if phase is Phase.BEFORE else 'after'}-{each.name}", phase, each.happens, rule_of(each.kind)
        )
    yield Row("after-stopped", Phase.AFTER, "flowrun is stopped at once", LOST[Lost.STOPPED])


_READ = {
    "cut": "a 200 whose body breaks off",
    "no-json": "a 200 whose body is not JSON",
    "no-id": "a 200 without a task id",
    "wrong-type": "a 200 whose task id is no text",
}


def _readings() -> Iterator[Row]:
    for name, happens in _READ.items():
        yield Row(f"reading-{name}", Phase.READING, happens, LOST[Lost.NO_TASK])


_TOLD: Mapping[str, tuple[str, Kind]] = {
    "no-credits": ("a 4xx that speaks of credits", SubmitFailure.NO_CREDITS),
    "input-not-fetched": ("a 400 that speaks of fetching an input", SubmitFailure.INPUT_UNFETCHED),
    "other-4xx": ("any other 4xx", SubmitFailure.REFUSED_INPUT),
    "other": ("any other status", Lost.CANNOT_TELL),
}


def _answers() -> Iterator[Row]:
    for status, kind in STATUSES.items():
        yield Row(f"answer-{status}", Phase.ANSWER, str(status), rule_of(kind))
    for name, (happens, told) in _TOLD.items():
        yield Row(f"answer-{name}", Phase.ANSWER, happens, rule_of(told))


def _tasks() -> Iterator[Row]:
    for rule in FAILURES.values():
        yield Row(f"task-{rule.prefix.lower()}", Phase.TASK, f"its code begins with {rule.prefix}", rule)
    yield Row("task-no-code", Phase.TASK, "it has no code", FAILURES["INTERNAL"])
    yield Row("task-unknown-code", Phase.TASK, "its code is none of these", UNKNOWN_CODE)


_LATER = {
    "poll-unanswered": ("a look fails: no answer, an unreadable one, 408, 425, 429, 5xx", Afterwards.UNANSWERED),
    "poll-odd": ("a look is answered by another 4xx, eight times in a row", Afterwards.NOT_TOLD),
    "poll-404": ("a look is answered 404", Afterwards.GONE),
    "poll-401": ("a look is answered 401 or 403", Afterwards.KEY_REFUSED),
    "cancelled": ("the task was cancelled elsewhere", Afterwards.CANCELLED),
    "download-expired": ("a download is answered 4xx", Afterwards.LINK_EXPIRED),
    "download-broken": ("a download breaks off, or brings no such media, eight times", Afterwards.NOT_COLLECTED),
    "no-output": ("the task has no output", Afterwards.NO_OUTPUT),
    "upload-failed": ("an upload fails four times, and no other way is left", Afterwards.UPLOAD_FAILED),
}


def _afterwards() -> Iterator[Row]:
    for name, (happens, kind) in _LATER.items():
        yield Row(name, Phase.AFTERWARDS, happens, AFTERWARDS[kind])


ROWS: tuple[Row, ...] = (*_breaks(), *_readings(), *_answers(), *_tasks(), *_afterwards())
