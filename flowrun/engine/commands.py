"""What the scheduler orders and the driver carries out. Each order is answered by an event."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decide:
    """Everything upstream is settled: ask the planner. Answer: Decided."""

    address: str


@dataclass(frozen=True, slots=True)
class Prepare:
    """Bring the unit's media where a request can name it. Answer: Prepared or AttemptFailed."""

    unit: str


@dataclass(frozen=True, slots=True)
class Admit:
    """Ask the ledger. Answer, at once: Granted, Queued, OverCap, Found or AttemptFailed."""

    unit: str


@dataclass(frozen=True, slots=True)
class CarryOut:
    """Submit or take up, poll, collect. Answers: Submitted, Progressed, Ended, then Stored, Found, AttemptFailed, Left, or Queued
    where another process had it and let go."""

    unit: str


@dataclass(frozen=True, slots=True)
class Settle:
    """The instance's outcome is known; `take` flows on, where there is one."""

    address: str
    state: str
    take: int | None


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Answer: Woke, at that time."""

    at: float
    unit: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Let go of what only waits; `now`: of everything."""

    now: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left to do."""


Command = Decide | Prepare | Admit | CarryOut | Settle | WakeAt | Stop | Finish
