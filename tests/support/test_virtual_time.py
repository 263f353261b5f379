"""Virtual time leaps, never lies, and tells who hangs."""

from __future__ import annotations

import asyncio
import gc
import logging
import time

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
