"""What a plan says. Owns the closed sets of decisions and reasons, and the shape of a step."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flowrun.action import ActionDoc
from flowrun.diagnostics.model import Diagnostic
from flowrun.graph.address import Address
from flowrun.ids import IntentId, TaskId
from flowrun.ledger.protocol import IntentRow
from flowrun.store.protocol import Result


class Decision(StrEnum):
    HIT = "hit"
    RUN = "run"
    UNDECIDED = "undecided"
    RESUME = "resume"
    SKIP = "skip"
    HELD = "held"
    GATED = "gated"
    UNCERTAIN = "uncertain"
    REJECTED = "rejected"
    BLOCKED = "blocked"
    EXCLUDED = "excluded"


class Reason(StrEnum):
    NEW = "new"
    INPUT_CHANGED = "input-changed"
    FILE_CHANGED = "file-changed"
    UPSTREAM_CHANGED = "upstream-changed"
    MODEL_CHANGED = "model-changed"
    RESULT_MISSING = "result-missing"
    RESULT_DAMAGED = "result-damaged"
    SALT_CHANGED = "salt-changed"
    CACHE_OFF = "cache-off"
    SHARED = "shared"
    LOCK_DIFFERS = "lock-differs"
    INPUT_UNREAD = "input-unread"
    FORCED = "forced"
    RETAKE = "retake"
    PREVIOUSLY_FAILED = "previously-failed"
    WHEN_FALSE = "when-false"
    UPSTREAM_SKIPPED = "upstream-skipped"
    UPSTREAM_BLOCKED = "upstream-blocked"
    NOT_SELECTED = "not-selected"


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs from the last result: `path` dotted, None where one side has no such field."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Why:
    """The reason, the changed fields, and a fact a person needs beside it (which upstream, which task)."""

    reason: Reason
    changes: tuple[Change, ...] = ()
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """Credits from-to. `unknown`: how many generations have no known price; they are in neither end."""

    low: int = 0
    high: int = 0
    unknown: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.low + other.low, self.high + other.high, self.unknown + other.unknown)


@dataclass(frozen=True, slots=True)
class TakeStep:
    """One take of a step. `result`: what a hit uses; `task`: what a resume takes up; `forced`: one more result is wanted;
    `shared_with`: the twin that makes it; `given_up`: the unanswered requests that a person said to send again."""

    take: int
    decision: Decision
    doc: ActionDoc | None = None
    why: Why | None = None
    cost: Cost = Cost()
    result: Result | None = None
    task: TaskId | None = None
    uncertain: IntentRow | None = None
    forced: bool = False
    shared_with: Address | None = None
    given_up: tuple[IntentId, ...] = ()

    @property
    def is_shared(self) -> bool:
        """Whether another instance of this plan makes it."""
        return self.why is not None and self.why.reason is Reason.SHARED


@dataclass(frozen=True, slots=True)
class Step:
    """One instance in the plan. `wanted`: takes asked for, `beyond`: forced ones besides; `pick`: the take that flows on, where
    it is fixed; `unread`: https inputs to fetch first; `problems`: what stops it, found only now; `refused`: what the live API
    would refuse although an emulator of its description takes it, which stops it only where it would be sent there."""

    address: Address
    decision: Decision
    operation: str
    model: str
    why: Why | None = None
    takes: tuple[TakeStep, ...] = ()
    cost: Cost = Cost()
    pick: int | None = None
    seconds: float = 0.0
    upstream: tuple[Address, ...] = ()
    unread: tuple[str, ...] = ()
    problems: tuple[Diagnostic, ...] = ()
    refused: tuple[Diagnostic, ...] = ()
    wanted: int = 1
    beyond: int = 0

    @property
    def submissions(self) -> int:
        """Requests that this step will certainly send."""
        return sum(1 for take in self.takes if take.decision is Decision.RUN and not take.is_shared)

    @property
    def most_submissions(self) -> int:
        """Requests that it may send at most: while it is undecided, one for each take."""
        return self.wanted + self.beyond if self.decision is Decision.UNDECIDED else self.submissions
