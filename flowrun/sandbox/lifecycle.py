"""The course of a task in time. Owns scheduling and what a task is at a moment; times come from outside.

A task's whole course is fixed when it is accepted: how long it runs is known, slots are given in the order of acceptance, so
the moment its slot comes free is known too. Only a cancelled task or a changed limit moves those that still wait. So nothing
has to happen between two requests, and an hour's gap answers as a poll a second would have.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum

from flowrun.sandbox.records import Task


class TaskStatus(StrEnum):
    """As the API spells them."""

    PENDING = "PENDING"
    THROTTLED = "THROTTLED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


FINAL = frozenset({TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.CANCELLED})


def slot_time(ends: Iterable[float], limit: int | None, now: float) -> float:
    """When a task accepted now gets its slot: once fewer than `limit` of the earlier ones, which end at `ends`, go on."""
    if limit is None:
        return now
    latest = heapq.nlargest(limit, ends)
    return max(now, latest[-1]) if len(latest) == limit else now


def reschedule(
    waiting: Sequence[Task], held: Iterable[float], limit: int | None, now: float
) -> Iterator[tuple[int, float, float]]:
    """New (ordinal, starts, ends) of the tasks that wait, in order; `held`: when the slots in use come free."""
    if limit is None:
        yield from ((task.ordinal, now, now + task.duration) for task in waiting)
        return
    latest = heapq.nlargest(limit, held)
    heapq.heapify(latest)
    for task in waiting:
        starts = slot_time(latest, limit, now)
        finishes = starts + task.duration
        (heapq.heapreplace if len(latest) == limit else heapq.heappush)(latest, finishes)
        yield task.ordinal, starts, finishes


def status_of(task: Task, now: float) -> TaskStatus:
    """A task that had to wait for its slot runs at once when it has it; another is PENDING for a moment first."""
    if now >= task.ends:
        return TaskStatus(task.outcome)
    if now < task.starts:
        return TaskStatus.THROTTLED
    return TaskStatus.PENDING if now < task.starts + task.pending else TaskStatus.RUNNING


def progress_of(task: Task, now: float) -> float:
    """How much of a running task is done, 0 to 1, to two digits."""
    begin = task.starts + task.pending
    whole = task.ends - begin
    return round(min(1.0, max(0.0, (now - begin) / whole)), 2) if whole > 0 else 0.0


def timestamp(seconds: float) -> str:
    """``2026-11-23T15:02:55.123Z``"""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def peak(spans: Iterable[tuple[float, float]]) -> int:
    """The most of the half-open stretches ``[begin, end)`` that hold at one moment."""
    edges = sorted(edge for begin, end in spans if begin < end for edge in ((begin, 1), (end, -1)))
    most = level = 0
    for _, step in edges:
        level += step
        most = max(most, level)
    return most
