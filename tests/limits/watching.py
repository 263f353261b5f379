"""Polls that cost nothing: as if each task were asked about at every moment. Owns which of those polls are really sent: the
sandbox knows when a task will end, so the ones before that, which would tell nothing new, are left out."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from random import Random
from typing import Any

from flowrun.engine import attempt, follow
from flowrun.engine.ports import Attempt
from flowrun.ids import TaskId
from flowrun.runway.values import Task

MOMENT = 0.001  # seconds after a task's end, so that no rounding comes before it


def seen_at_once(ends: Callable[[TaskId], float]) -> list[tuple[Any, str, Any]]:
    """What is patched for it. `ends`: when a task will have ended, epoch seconds."""
    watched: ContextVar[tuple[Attempt, TaskId]] = ContextVar("watched")

    async def poll_to_end(unit: Attempt, task: TaskId, resumed: bool) -> Task:
        watched.set((unit, task))
        return await follow.poll_to_end(unit, task, resumed)

    def delay(rng: Random, allowed: float | None = None) -> float:
        unit, task = watched.get()
        return max(ends(task) - unit.now(), 0.0) + MOMENT

    return [(attempt, "poll_to_end", poll_to_end), (follow, "poll_delay", delay)]
