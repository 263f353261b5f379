"""Virtual time: an event loop whose clock leaps to the next timer as soon as nothing is ready, so that an hour of polling
takes milliseconds, and a hang is an error that says who waits where.

Owns time, and work handed to threads, which is done in place. Real sockets are not waited for: whoever needs one uses a
real loop.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Awaitable, Callable
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
        self._clock_resolution = max(math.ulp(start), 1e-9)  # asyncio runs what is due before time() + this

    def time(self) -> float:
        return self._virtual

    def pass_time(self, seconds: float) -> None:
        """As if the whole process had slept: timers notice only afterwards."""
        self._virtual += seconds

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
