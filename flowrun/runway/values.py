"""What the API says, as values. Owns the shapes the rest of flowrun sees; the wire's own shapes stay in `wire`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from flowrun.ids import TaskId
from flowrun.secret import Secret


class TaskStatus(StrEnum):
    """A task's state at the API. UNKNOWN is a word the description does not have: not an end, so it is polled on."""

    PENDING = "PENDING"
    THROTTLED = "THROTTLED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"

    @property
    def terminal(self) -> bool:
        return self in (TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.CANCELLED)


class OutputUrl(Secret):
    """An expiring link to one output. It carries a bearer token, so it is shown to nobody and stored nowhere."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """A creation the API took on. `estimated_credits`: the most it may cost, where the API says so."""

    task: TaskId
    estimated_credits: int | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One look at a task. `progress`: 0 to 1, only while RUNNING. `outputs`: only once SUCCEEDED.

    `charged`: credits kept by the API after the end (0: refunded), `estimated`: the most it may charge; None: not told.
    `word`: the status as it was written.
    """

    id: TaskId
    status: TaskStatus
    progress: float | None = None
    outputs: tuple[OutputUrl, ...] = ()
    failure: str | None = None
    failure_code: str | None = None
    charged: int | None = None
    estimated: int | None = None
    word: str = ""


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """An organization's limits for one model. None: no limit."""

    concurrent: int | None = None
    daily: int | None = None

    def left(self, used: int) -> int | None:
        """Generations that the day still has. None: no limit."""
        return None if self.daily is None else max(0, self.daily - used)


@dataclass(frozen=True, slots=True)
class Organization:
    """Limits by model, generations of the last 24 hours by model, and the balance in credits. `monthly`: the most credits that
    can be spent in a month, None: no limit."""

    models: Mapping[str, ModelLimits] = field(default_factory=dict)
    used_today: Mapping[str, int] = field(default_factory=dict)
    balance: int = 0
    monthly: int | None = None


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Credits of one model on one UTC day (``2026-11-22``); negative where refunds outweigh."""

    date: str
    model: str
    credits: int


@dataclass(frozen=True, slots=True)
class Upload:
    """A file at the API. `uri`: ``runway://...``; `expires_at`: epoch seconds, on the early side."""

    uri: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What a download brought: the server's media type without parameters (None: it named none) and the bytes' number."""

    media_type: str | None
    size: int


@dataclass(frozen=True, slots=True)
class SandboxMark:
    """The answer came from a sandbox. `poll`: seconds between polls it allows, None: it named none."""

    poll: float | None = None
