"""How long to wait. Owns the numbers: timeouts of calls, intervals of polls, pauses after refusals. All in seconds.

Randomness is handed in. A backoff grows by doubling and gets up to half of itself on top, as the API's error page asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

UPLOAD_LIFE = 24 * 3600.0  # an uploaded file's URI can be used for so long

SLOWEST_POLL = 120.0
QUOTA_FIRST, QUOTA_LONGEST = 60.0, 900.0  # the day's window is rolling: places come free in minutes
OVERLOAD_FIRST, OVERLOAD_LONGEST = 2.0, 120.0
LONGEST_ASKED = 24 * 3600.0  # a Retry-After beyond a day is taken as a day
MIN_POLL, POLL_SPREAD = 5.0, 2.5  # the API's description: no more often than once in five seconds for a task


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for one call: to connect, to wait for a free connection, to write, to read between two chunks.

    `create`: to wait for a creation's answer. The API fetches URL inputs within that call, and giving up early would
    make the attempt uncertain, so it is long.
    """

    connect: float = 10.0
    pool: float = 60.0
    write: float = 60.0
    read: float = 60.0
    create: float = 150.0


def poll_delay(rng: Random, allowed: float | None = None) -> float:
    """Until a task is asked for again: 5 to 7.5 s. `allowed`: the interval a sandbox names; nobody else can go below 5."""
    if allowed is None:
        return rng.uniform(MIN_POLL, MIN_POLL + POLL_SPREAD)
    return rng.uniform(allowed, allowed * 1.25)


def poll_backoff(attempt: int, rng: Random, retry_after: float | None = None) -> float:
    """After the `attempt`-th failed poll in a row (from 1): from about 6 s to about 2 minutes, for as long as it takes."""
    return _asked(_doubling(6.0, SLOWEST_POLL, attempt, rng), retry_after)


def overload_backoff(attempt: int, rng: Random, retry_after: float | None = None) -> float:
    """After the `attempt`-th refusal for load (502, 503) or failed connection in a row, from 1."""
    return _asked(_doubling(OVERLOAD_FIRST, OVERLOAD_LONGEST, attempt, rng), retry_after)


def quota_pause(attempt: int, rng: Random, retry_after: float | None = None) -> float:
    """For how long a model rests after the `attempt`-th 429 in a row, from 1: one minute to a quarter of an hour."""
    return _asked(_doubling(QUOTA_FIRST, QUOTA_LONGEST, attempt, rng), retry_after)


def later(delay: float, attempt: int, rng: Random) -> float:
    """Before the `attempt`-th further attempt (from 1) at a failed task whose rule says `delay`."""
    return _doubling(delay, delay * 8, attempt, rng)


def _doubling(first: float, longest: float, attempt: int, rng: Random) -> float:
    base = min(first * 2.0 ** min(max(attempt, 1) - 1, 30), longest)
    return base + rng.uniform(0.0, base / 2)


def _asked(own: float, retry_after: float | None) -> float:
    """Never sooner than asked, and never longer than a day for the asking."""
    return own if retry_after is None else max(own, min(retry_after, LONGEST_ASKED))
