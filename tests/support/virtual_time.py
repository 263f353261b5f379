"""Virtual time: an event loop whose clock leaps to the next timer as soon as nothing is ready, so that an hour of polling
takes milliseconds, and a hang is an error that says who waits where.

Owns time, and work handed to threads, which is done in place. Real sockets are not waited for: whoever needs one uses a
real loop.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import selectors
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

START = 1_700_000_000.0  # 2023-11-14T22:13:20Z
LONGEST = 400 * 86_400.0  # virtual seconds after which a run counts as endless
TURNS = 1_000_000  # of the loop without time passing, after which it counts as spinning


class HangError(Exception):
    """Nothing is ready, nothing will be, and the work is not done; or it will never be done."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` is virtual wall time. What is due at one moment runs at just that moment, in the order asyncio gives it."""

    def __init__(self, start: float = START, longest: float = LONGEST) -> None:
        super().__init__(_Leaping(self._idle))
        self._virtual, self._last, self._turns = start, start + longest, 0
        self._stuck: HangError | None = None  # found by a loop within a callback, for the loop outside
        self._clock_resolution = max(math.ulp(start), 1e-9)  # asyncio runs what is due before time() + this

    def time(self) -> float:
        return self._virtual

    def pass_time(self, seconds: float) -> None:
        """As if the whole process had slept: timers notice only afterwards."""
        self._virtual += seconds

    def hold(self, until: float, mine: Callable[[Context], bool]) -> None:
        """Stand still in the middle of a callback, while whatever does not belong to the caller (`mine`) goes on until then: as
        when one of several processes is stopped at an arbitrary instruction."""
        awaited = len(self._ready)  # the loop outside counts on as many
        with self._put_aside(mine) as ready, self._nobody_runs():
            while self._virtual < until and self._stuck is None:
                self.call_at(until, lambda: None)
                self._take_away(mine, ready)
                try:
                    self._run_once()
                except HangError as error:
                    self._stuck = error
        while len(self._ready) < awaited:
            self.call_soon(lambda: None)

    @contextmanager
    def _put_aside(self, mine: Callable[[Context], bool]) -> Iterator[list[asyncio.Handle]]:
        """Timers and callbacks of the caller, which come back in their order."""
        ready: list[asyncio.Handle] = []
        timers = [each for each in self._scheduled if mine(each._context)]
        self._scheduled = [each for each in self._scheduled if not mine(each._context)]
        heapq.heapify(self._scheduled)
        self._take_away(mine, ready)
        yield ready
        for timer in timers:
            heapq.heappush(self._scheduled, timer)
        self._ready.extendleft(reversed(ready))

    def _take_away(self, mine: Callable[[Context], bool], ready: list[asyncio.Handle]) -> None:
        ready += [each for each in self._ready if mine(each._context)]
        others = [each for each in self._ready if not mine(each._context)]
        self._ready.clear()
        self._ready.extend(others)

    @contextmanager
    def _nobody_runs(self) -> Iterator[None]:
        """The running task is not the running one meanwhile."""
        task = asyncio.current_task(self)
        if task is not None:
            asyncio.tasks._leave_task(self, task)
        yield
        if task is not None:
            asyncio.tasks._enter_task(self, task)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """In place: a thread would be outside of virtual time."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def _idle(self, timeout: float | None) -> None:
        """asyncio would wait now: for `timeout` seconds, None: for ever, 0: not at all."""
        if self._stuck is not None:
            raise self._stuck
        self._turns = self._turns + 1 if timeout == 0 else 0
        if timeout is None:
            raise self._hang("nothing is ready and no timer runs; waiting are")
        if self._turns > TURNS:
            raise self._hang("no time passes and no end comes; spinning are")
        self._virtual += timeout
        if self._virtual > self._last:
            raise self._hang(f"no end in sight after {self._virtual:g}; waiting are")

    def _hang(self, what: str) -> HangError:
        """Whoever hangs is cancelled afterwards, and gets the time to end well."""
        self._turns, self._last = 0, self._virtual + LONGEST
        return HangError(f"{what}:\n{self._waiting()}")

    def _waiting(self) -> str:
        tasks = sorted(asyncio.all_tasks(self), key=lambda task: task.get_name())
        return "\n".join(f"  {task.get_name()}: {where(task)}" for task in tasks)


class _Leaping(selectors.DefaultSelector):
    def __init__(self, idle: Callable[[float | None], None]) -> None:
        super().__init__()
        self._wait = idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events:
            self._wait(timeout)
        return events


def where(task: asyncio.Task[Any]) -> str:
    """The chain of awaits of a suspended task, outermost first: ``main (a.py:3) > sleep (tasks.py:639)``."""
    steps, waiter = [], task.get_coro()
    while waiter is not None:
        frame = next((found for kind in _FRAMES if (found := getattr(waiter, kind, None))), None)
        if frame is None:
            break
        steps.append(f"{frame.f_code.co_name} ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})")
        waiter = next((found for kind in _AWAITS if (found := getattr(waiter, kind, None))), None)
    return " > ".join(steps) or "not started"


_FRAMES = ("cr_frame", "gi_frame", "ag_frame")
_AWAITS = ("cr_await", "gi_yieldfrom", "ag_await")


class VirtualClock:
    """A flowrun.clock.Clock on a virtual loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    def hold(self, seconds: float, mine: Callable[[Context], bool]) -> None:
        """The process stands still for so long, and what is not `mine` goes on."""
        self._loop.hold(self._loop.time() + seconds, mine)

    def pass_time(self, seconds: float) -> None:
        """The process was asleep for so long: nothing ran meanwhile."""
        self._loop.pass_time(seconds)


async def offload(work: Callable[[], T]) -> T:
    """Work for another thread, done here."""
    return work()


def run_virtual(main: Callable[[VirtualClock], Awaitable[T]], *, start: float = START, longest: float = LONGEST) -> T:
    """Run `main` to its end in virtual time. `start`: epoch seconds. Raises HangError, and what `main` raises."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(start, longest)) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)

        async def whole() -> T:
            return await main(VirtualClock(loop))

        return runner.run(whole())


@dataclass
class Still:
    """A clock that stands."""

    at: float

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing has to wait here")
