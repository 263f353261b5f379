"""The public calls in a running event loop: twins that do not hold it up, and a cancellation that loses nothing."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

import flowrun
from flowrun.engine import events as ev
from flowrun.plan.model import Decision
from flowrun.production.loops import run_alone, to_the_end
from flowrun.production.options import Options, Surroundings
from flowrun.production.production import Production
from tests.production.saved_plans import CHAIN
from tests.support.stage import Stage
from tests.support.virtual_time import VirtualClock, run_virtual

QUICK = "media: tiny\ndurations: {default: 0.02}\npoll: 0.01\n"


@pytest.fixture
def production(tmp_path: Path) -> Production:
    stage = Stage(tmp_path, CHAIN)
    (tmp_path / "scenario.yaml").write_text(QUICK)
    around = Surroundings(environ={}, cwd=tmp_path)
    return Production(stage.path, Options(scenario=tmp_path / "scenario.yaml"), around)


def test_every_twin_gives_what_its_sync_call_gives(production: Production, tmp_path: Path) -> None:
    async def main() -> None:
        loaded = await flowrun.load_async(tmp_path / "flow.yaml", scenario=tmp_path / "scenario.yaml")
        assert loaded.flow.name == "chain"
        assert await production.validate_async() == production.validate()
        assert list((await production.graph_async()).instances) == list(production.graph().instances)
        assert (await production.plan_async()).counts == production.plan().counts
        assert (await production.propose_async()).balance is not None
        assert (await production.apply_async()).exit == 0
        assert (await production.plan_async()).is_done

    asyncio.run(main())


def test_hashing_and_probing_leave_the_loop_alone(production: Production, monkeypatch: pytest.MonkeyPatch) -> None:
    real, threads = Production.build, set()

    def build(self: Production, at: Any) -> Any:
        threads.add(threading.get_ident())
        return real(self, at)

    monkeypatch.setattr(Production, "build", build)

    async def main() -> None:
        await production.plan_async()
        await production.propose_async()
        await production.apply_async()

    asyncio.run(main())
    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("name", ["propose", "apply"])
def test_a_call_that_waits_names_its_twin_inside_a_loop(production: Production, name: str) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match=rf"use 'await {name}_async\(\.\.\.\)' instead"):
            getattr(production, name)()

    asyncio.run(main())


def test_a_cancelled_apply_is_an_interrupted_one(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN)
    heard: list[ev.Event] = []

    async def main(clock: VirtualClock) -> None:
        submitted = asyncio.Event()

        def emit(event: ev.Event) -> None:
            heard.append(event)
            if isinstance(event, ev.Submitted):
                submitted.set()

        task = asyncio.create_task(stage.production(clock).apply_async(emit=emit))
        await submitted.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        stage.now = clock.now() + 1.0

    run_virtual(main, start=stage.now)
    assert [event.exit for event in heard if isinstance(event, ev.RunEnded)] == [130]
    assert [step.decision for step in stage.plan().steps.values()] == [Decision.RESUME, Decision.UNDECIDED]
    assert stage.apply().exit == 0
    assert stage.submissions == 2


def test_a_cancellation_while_a_request_is_on_its_way_waits_for_the_answer(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN, scenario="faults: [{on: text_to_image, match: {nth: 1}, do: {delay: 60}}]\n")

    async def main(clock: VirtualClock) -> None:
        task = asyncio.create_task(stage.production(clock).apply_async())
        await clock.sleep(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        stage.now = clock.now() + 1.0

    run_virtual(main, start=stage.now)
    assert next(iter(stage.plan().steps.values())).decision is Decision.RESUME


def test_a_deadline_around_an_apply_is_a_deadline(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN)

    async def main(clock: VirtualClock) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await stage.production(clock).apply_async()
        stage.now = clock.now() + 1.0

    run_virtual(main, start=stage.now)
    assert next(iter(stage.plan().steps.values())).decision is Decision.RESUME


def test_a_cancellation_before_anything_ran_leaves_nothing_behind(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN)

    async def main(clock: VirtualClock) -> None:
        task = asyncio.create_task(stage.production(clock).apply_async())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtual(main, start=stage.now)
    assert stage.submissions == 0


# -- loops


def test_work_is_not_left_before_it_has_ended() -> None:
    steps: list[str] = []

    async def work(go: asyncio.Event) -> str:
        await go.wait()
        steps.append("ended")
        return "done"

    async def main() -> None:
        go = asyncio.Event()

        def asked() -> None:
            steps.append("asked")
            if steps.count("asked") == 2:
                go.set()

        task = asyncio.create_task(to_the_end(work(go), asked))
        for _ in range(2):
            await asyncio.sleep(0)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert steps == ["asked", "asked", "ended"]


def test_what_work_raises_is_raised_and_told_beside_a_cancellation() -> None:
    async def work(go: asyncio.Event) -> None:
        await go.wait()
        raise OSError("disk full")

    async def main(cancelled: bool) -> None:
        go = asyncio.Event()
        task = asyncio.create_task(to_the_end(work(go), go.set))
        await asyncio.sleep(0)
        if cancelled:
            task.cancel()
        else:
            go.set()
        await task

    with pytest.raises(OSError, match="disk full"):
        asyncio.run(main(False))
    with pytest.raises(asyncio.CancelledError) as caught:
        asyncio.run(main(True))
    assert isinstance(caught.value.__cause__, OSError)


def test_work_that_cancels_itself_is_cancelled() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(to_the_end(work()))


def test_alone_without_a_loop() -> None:
    async def work() -> int:
        return 7

    assert run_alone(work, "work") == 7
