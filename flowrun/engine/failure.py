"""How an attempt may fail, and what the run makes of it. Owns the words between provider, scheduler and people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a failed attempt means for the run."""

    FAIL = "fail"  # this node, this time
    REJECT = "reject"  # this node, remembered: not paid for again unasked
    RETRY = "retry"  # a further attempt, as often as policy or manifest say
    RESEND = "resend"  # certainly not accepted: the same request again, later
    DOUBT = "doubt"  # nobody knows whether it was accepted
    PAUSE_MODEL = "pause-model"  # the day's generations are used up
    PAUSE_RUN = "pause-run"  # the credits are used up
    STOP = "stop"  # the surroundings fail: key, network, disk


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with one field of a request, at the value that made it. `field`: ``referenceImages[0].uri``, empty for the
    whole request; `file`, `line` and `column` (from 1): where that value is written, None where nobody knows."""

    field: str
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        told = f"{self.field}: {self.message}" if self.field else self.message
        return told if self.file is None else f"{self.file}:{self.line}:{self.column}: {told}"


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt. `message`: what happened; `hint`: what to do; `charged`: credits, None: unknown; `problems`: what the
    API says of the request's fields, part of the message already."""

    verdict: Verdict
    code: str
    message: str
    hint: str | None = None
    task: str | None = None
    charged: int | None = None
    delay: float = 0.0
    attempts: int = 0
    rejected: bool = False  # for good, once the retries are used up
    problems: tuple[Complaint, ...] = ()


class AttemptError(Exception):
    """An attempt ended without a result; the ledger knows of it already."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure
