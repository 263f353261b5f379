"""Time that passes only when everybody waits, for whole applies in one thread: minutes at the API in milliseconds here."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
ROUNDS = 50  # turns of the event loop without a new sleeper after which everybody is taken to wait


class VirtualClock:
    """A clock that jumps to the next sleeper's moment. It outlives event loops, so that applies follow each other in time."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now, self._asleep, self._count = start, [], 0
        self._runner: asyncio.Task[None] | None = None

    def now(self) -> float:
        return self._now

    def pass_by(self, seconds: float) -> None:
        """Time between two commands."""
        self._now += seconds

    async def sleep(self, seconds: float) -> None:
        self._count += 1
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._asleep, (self._now + max(0.0, seconds), self._count, future))
        if self._runner is None or self._runner.done() or self._runner.get_loop() is not asyncio.get_running_loop():
            self._runner = asyncio.create_task(self._run())
        await future

    async def _run(self) -> None:
        while self._asleep:
            seen = self._count
            for _ in range(ROUNDS):
                await asyncio.sleep(0)
            if self._count == seen:
                self._wake()

    def _wake(self) -> None:
        moment, _, future = heapq.heappop(self._asleep)
        if not future.done():
            self._now = max(self._now, moment)
            future.set_result(None)


async def at_once(work: Callable[[], T]) -> T:
    """An offload that stays in this thread."""
    return work()
