"""The things a sandbox keeps a record of. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from flowrun.media.facts import MediaFacts


@dataclass(frozen=True, slots=True)
class Task:
    """One accepted generation, with its whole course: tasks are scheduled when they are accepted, so every later answer is a
    matter of comparing times. Times are seconds since 1970.

    `starts`: has a slot from here; `pending`: how long it stays PENDING then; `ends`: gives the slot back, `duration`
    later. `outcome` is the final status, `failure` and `failure_code` its explanation. `cost`: credits, given back at
    `ends` where `refunded`. `removed`: when it was cancelled or deleted; from then on it is not found.
    """

    ordinal: int
    id: str
    operation: str
    model: str
    prompt: str
    created: float
    starts: float
    ends: float
    pending: float
    duration: float
    outcome: str
    failure: str | None
    failure_code: str | None
    cost: int
    refunded: bool
    recipe: str
    removed: float | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """One placeholder, and what was put there. `stored`: the sha256 of its bytes; `facts`: None where they are no media."""

    id: str
    filename: str
    media_type: str
    created: float
    expires: float
    stored: str | None = None
    facts: MediaFacts | None = None
