"""Virtual time leaps, never lies, and tells who hangs."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from contextvars import ContextVar

import pytest

from tests.support.virtual_time import START, HangError, VirtualClock, VirtualLoop, offload, run_virtual


def test_a_year_of_sleep_takes_no_time():
    async def main(clock: VirtualClock) -> float:
        for _ in range(365):
            await clock.sleep(86_400.0)
        return clock.now()

    began = time.perf_counter()
    assert run_virtual(main) == START + 365 * 86_400.0
    assert time.perf_counter() - began < 2.0


def test_clock_and_loop_agree_and_sleepers_wake_in_order():
    async def main(clock: VirtualClock) -> list[tuple[str, float]]:
        seen = []

        async def sleeper(name: str, seconds: float) -> None:
            await clock.sleep(seconds)
            assert clock.now() == asyncio.get_running_loop().time()
            seen.append((name, clock.now() - START))

        async with asyncio.TaskGroup() as group:
            for name, seconds in (("late", 3600.5), ("soon", 0.25), ("mid", 60.0), ("never mind", -1.0)):
                group.create_task(sleeper(name, seconds))
        return seen

    assert run_virtual(main) == [("never mind", 0.0), ("soon", 0.25), ("mid", 60.0), ("late", 3600.5)]


@pytest.mark.parametrize("start", [0.0, 1.0, START, START + 0.1])
def test_whoever_sleeps_until_a_time_wakes_at_that_time(start):
    async def main(clock: VirtualClock) -> None:
        for step in range(1, 200):
            at = clock.now() + step * 0.1
            await clock.sleep(at - clock.now())
            assert clock.now() == pytest.approx(at, abs=1e-9)

    run_virtual(main, start=start)


def test_on_wall_time_the_wake_is_exact():
    async def main(clock: VirtualClock) -> None:
        for step in range(1, 500):
            at = clock.now() + step * 0.0731
            await clock.sleep(at - clock.now())
            assert clock.now() == at

    run_virtual(main)


def test_asyncio_timeouts_are_virtual():
    async def main(clock: VirtualClock) -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30.0):
                await clock.sleep(3600.0)
        return clock.now()

    assert run_virtual(main) == START + 30.0


def test_a_hang_names_the_tasks_and_where_they_wait():
    async def waits_for_nobody() -> None:
        await asyncio.get_running_loop().create_future()

    async def main(clock: VirtualClock) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(waits_for_nobody(), name="the culprit")

    with pytest.raises(HangError, match=r"the culprit: waits_for_nobody \(test_virtual_time\.py:\d+\)"):
        run_virtual(main)


def test_a_timer_that_is_not_due_is_no_hang():
    async def main(clock: VirtualClock) -> str:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(7200.0, future.set_result, "came")
        return await future

    assert run_virtual(main) == "came"


def test_endless_waiting_is_a_hang_in_the_end():
    async def main(clock: VirtualClock) -> None:
        while True:
            await clock.sleep(3600.0)

    with pytest.raises(HangError, match="no end in sight"):
        run_virtual(main, longest=10 * 86_400.0)


def test_whoever_hangs_is_still_cancelled_and_may_clean_up():
    cleaned = []

    async def main(clock: VirtualClock) -> None:
        try:
            while True:
                await clock.sleep(3600.0)
        finally:
            await clock.sleep(60.0)
            cleaned.append(clock.now())

    with pytest.raises(HangError, match="no end in sight"):
        run_virtual(main, longest=86_400.0)
    assert len(cleaned) == 1


def test_spinning_is_a_hang(monkeypatch):
    monkeypatch.setattr("tests.support.virtual_time.TURNS", 1000)

    async def main(clock: VirtualClock) -> None:
        while True:
            await clock.sleep(0.0)

    with pytest.raises(HangError, match="spinning are"):
        run_virtual(main)


def test_errors_come_through_and_the_rest_is_cancelled(caplog):
    cleaned = []

    async def background(clock: VirtualClock) -> None:
        try:
            await clock.sleep(1e6)
        finally:
            cleaned.append("background")

    async def main(clock: VirtualClock) -> None:
        background_task = asyncio.create_task(background(clock))
        await clock.sleep(1.0)
        assert not background_task.done()
        raise ValueError("mine")

    gc.collect()  # what other tests left is theirs
    with caplog.at_level(logging.WARNING), pytest.raises(ValueError, match="mine"):
        run_virtual(main)
    assert cleaned == ["background"]
    assert not caplog.records


def test_work_for_threads_is_done_in_place():
    async def main(clock: VirtualClock) -> tuple[int, int]:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return await asyncio.to_thread(lambda: 41 + 1), await offload(lambda: 7)

    assert run_virtual(main) == (42, 7)


def test_time_may_pass_unnoticed():
    async def main(clock: VirtualClock) -> float:
        task = asyncio.create_task(clock.sleep(10.0))
        await clock.sleep(0.0)
        clock.pass_time(3600.0)
        await task
        return clock.now()

    assert run_virtual(main) == START + 3600.0


def test_loops_are_fresh_each_time_and_none_is_left():
    async def main(clock: VirtualClock) -> VirtualLoop:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        return loop

    first, second = run_virtual(main), run_virtual(main)
    assert first is not second
    assert first.is_closed()
    assert second.is_closed()


# -- standing still in the middle of a callback

WHOSE: ContextVar[str] = ContextVar("whose", default="")


def _walked(stops: dict[str, float]) -> list[tuple[float, str]]:
    """Three walkers that take a step a second, with a beat of their own; some stand still in the middle of their second step."""
    steps: list[tuple[float, str]] = []

    async def beat(name: str, clock: VirtualClock) -> None:
        while True:
            steps.append((clock.now(), f"{name} beats"))
            await clock.sleep(0.75)

    async def walk(name: str, clock: VirtualClock) -> None:
        WHOSE.set(name)
        beating = asyncio.create_task(beat(name, clock))
        for number in range(4):
            if number == 1 and name in stops:
                clock.hold(stops[name], lambda context: context.get(WHOSE) == name)
            steps.append((clock.now(), f"{name} {number}"))
            await clock.sleep(1.0)
        beating.cancel()

    async def main(clock: VirtualClock) -> None:
        await asyncio.gather(*(walk(name, clock) for name in "abc"))

    run_virtual(main, start=0.0)
    return steps


def test_who_stands_still_does_nothing_while_the_others_go_on() -> None:
    steps = _walked({"a": 3.5})
    assert [at for at, what in steps if what in ("a 0", "a 1", "a 2")] == [0.0, 4.5, 5.5]
    assert not [what for at, what in steps if what == "a beats" and 1.0 < at < 4.5]
    for name in "bc":
        assert [at for at, what in steps if what[:2] == f"{name} " and "beats" not in what] == [0.0, 1.0, 2.0, 3.0]
    assert [at for at, what in steps if what == "b beats"] == [0.0, 0.75, 1.5, 2.25, 3.0, 3.75]


def test_two_may_stand_still_at_once() -> None:
    steps = _walked({"a": 3.5, "b": 1.25, "c": 0.5})
    last = {what: at for at, what in steps if "beats" not in what}
    assert last["a 3"] == 6.5
    assert last["b 3"] >= 4.25
    assert len(last) == 12


def test_a_hang_while_one_stands_still_is_found() -> None:
    async def main(clock: VirtualClock) -> None:
        clock.hold(1e9, lambda context: True)
        await clock.sleep(1.0)

    with pytest.raises(HangError, match="no end in sight"):
        run_virtual(main, start=0.0, longest=100.0)
