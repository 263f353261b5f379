"""What can go wrong with a call, told by what it means for money. Owns the exceptions; `calls` decides which one it is.

A creation ends in one of three ways: accepted, certainly not accepted (NotAcceptedError), or nobody knows
(AnswerLostError), and only the second may be sent again. Every other call costs nothing and may be repeated, so its
errors say whether repeating can help. All texts are cleaned before they come here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SubmitFailure(StrEnum):
    """Why a creation was certainly not accepted."""

    REFUSED_INPUT = "refused-input"
    INPUT_UNFETCHED = "input-not-fetched"
    TOO_LARGE = "request-too-large"
    KEY_REFUSED = "key-refused"
    NO_CREDITS = "no-credits"
    QUOTA = "quota"
    OVERLOADED = "overloaded"
    NAME_UNKNOWN = "name-unknown"
    UNREACHABLE = "unreachable"
    TLS_FAILED = "tls-failed"
    CONNECT_TIMEOUT = "connect-timeout"
    NO_FREE_CONNECTION = "no-free-connection"
    PROXY_REFUSED = "proxy-refused"
    ENDPOINT_GONE = "endpoint-gone"


class Lost(StrEnum):
    """Why nobody knows what became of a creation."""

    WHILE_SENDING = "while-sending"
    NO_ANSWER = "no-answer"
    BROKEN_OFF = "broken-off"
    NO_HTTP = "no-http"
    CANNOT_TELL = "cannot-tell"
    NO_TASK = "no-task"
    STOPPED = "stopped"
    OTHERWISE = "otherwise"


class Afterwards(StrEnum):
    """What can go wrong with a task that was accepted, and with the files around it; a value is a failure's code."""

    UNANSWERED = "task-unanswered"
    NOT_TOLD = "task-not-told"
    GONE = "TASK_GONE"
    CANCELLED = "CANCELLED"
    KEY_REFUSED = "key-refused"
    LINK_EXPIRED = "link-expired"
    NOT_COLLECTED = "not-collected"
    NO_OUTPUT = "no-output"
    UPLOAD_FAILED = "input-cannot-travel"


@dataclass(frozen=True, slots=True)
class InputProblem:
    """One complaint about one field. `path` leads to it in the request: names and indexes; empty: the whole request."""

    path: tuple[str | int, ...]
    message: str

    @property
    def where(self) -> str:
        """``references[0].uri``"""
        return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path).removeprefix(".")

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.path else self.message


class RunwayError(Exception):
    """Base of all here. `status`: of the answer, None without one. `request_id`: the API's own handle, for its support."""

    def __init__(self, text: str, *, status: int | None = None, request_id: str | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.request_id = request_id


class NotAcceptedError(RunwayError):
    """A creation that certainly made no task and cost nothing. `retry_after`: seconds the API asks for; `said`: the API's or
    the connection's own words."""

    def __init__(
        self,
        text: str,
        kind: SubmitFailure,
        *,
        retry_after: float | None = None,
        problems: tuple[InputProblem, ...] = (),
        said: str = "",
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(text, status=status, request_id=request_id)
        self.kind = kind
        self.retry_after = retry_after
        self.problems = problems
        self.said = said or text


class AnswerLostError(RunwayError):
    """A creation that may have been accepted and charged: no answer, or none that says. Never to be sent again unasked.
    `said`: the API's or the connection's own words."""

    def __init__(
        self,
        text: str,
        kind: Lost = Lost.OTHERWISE,
        *,
        said: str = "",
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(text, status=status, request_id=request_id)
        self.kind = kind
        self.said = said


class TransientError(RunwayError):
    """Trying again later can help. `retry_after`: seconds the server asks for."""

    def __init__(
        self, text: str, *, retry_after: float | None = None, status: int | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(text, status=status, request_id=request_id)
        self.retry_after = retry_after


class UnreadableError(TransientError):
    """The answer is not what the API's description says: something between, or a change of the API."""


class GoneError(RunwayError):
    """404: unknown, deleted or cancelled, or another key's."""


class KeyRefusedError(RunwayError):
    """401 or 403: the key, the account, or the host."""


class RefusedError(RunwayError):
    """The same request will be refused again."""

    def __init__(
        self,
        text: str,
        *,
        problems: tuple[InputProblem, ...] = (),
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(text, status=status, request_id=request_id)
        self.problems = problems


class UrlExpiredError(RunwayError):
    """The output URL no longer serves: read the task again for a fresh one."""


class WrongProviderError(RunwayError):
    """The address answers as another provider than the one the run was planned for."""


class FetchError(RunwayError):
    """An https input could not be had. `transient`: trying again later can help."""

    def __init__(self, reason: str, *, transient: bool, status: int | None = None) -> None:
        super().__init__(reason, status=status)
        self.reason = reason
        self.transient = transient
