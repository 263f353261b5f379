"""What simulation found, each as the smallest case that shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flowrun.engine import events as ev
from flowrun.production.applying import Applied
from flowrun.production.exits import Exit
from tests.support.stage import Stage
from tests.support.virtual_time import VirtualClock, run_virtual

STILLS = """
    flowrun: 1
    name: NAME
    nodes:
      still:
        foreach: 2
        uses: text_to_image
        with: {model: gen4_image, promptText: "NAME {{ each.key }}", ratio: "1280:720"}
"""


def test_who_waits_for_a_slot_follows_the_tasks_that_a_stopped_process_left_in_it(tmp_path: Path) -> None:
    """Two terminals, one model with two slots: Ctrl-C in the one that has them must not leave the other waiting for ever."""

    def stop(interrupt: Callable[[int], None] | None, event: ev.Event) -> None:
        if isinstance(event, ev.Progressed) and interrupt is not None:
            interrupt(130)

    scenario = "tier: 1\n"
    stopped = Stage(tmp_path, STILLS.replace("NAME", "one"), scenario, file="one.yaml")
    waits = Stage(tmp_path, STILLS.replace("NAME", "two"), scenario, file="two.yaml")

    async def main(clock: VirtualClock) -> list[Applied]:
        interrupt: list[Callable[[int], None]] = []

        async def later() -> Applied:
            await clock.sleep(1.0)
            return await waits.production(clock).apply_async()

        def emit(event: ev.Event) -> None:
            stop(interrupt[0] if interrupt else None, event)

        first: Any = stopped.production(clock).apply_async(emit=emit, interruptible=interrupt.append)
        done = list(await asyncio.gather(first, later()))
        waits.now = clock.now()
        return done

    done = run_virtual(main, longest=3600.0)
    assert [each.exit for each in done] == [Exit.INTERRUPTED, Exit.DONE]
    assert waits.sandbox["peak"] == {"gen4_image": 2}
    assert waits.submissions == 4


def test_what_another_process_was_refused_for_good_is_not_sent_again(tmp_path: Path) -> None:
    """Two applies of one manifest: while the first pauses as it was asked to, the second sends the same and is rejected."""
    faults = (
        "faults:\n"
        "  - {on: text_to_image, match: {prompt: one 2, nth: 1}, do: {status: 503, headers: {Retry-After: '120'}}}\n"
        "  - {on: text_to_image, match: {prompt: one 2, nth: 2}, do: {fail: SAFETY.OUTPUT.IMAGE}}\n"
    )
    stage = Stage(tmp_path, STILLS.replace("NAME", "one"), faults)

    async def main(clock: VirtualClock) -> list[Applied]:
        async def later() -> Applied:
            await clock.sleep(1.0)
            return await stage.production(clock).apply_async()

        done = list(await asyncio.gather(stage.production(clock).apply_async(), later()))
        stage.now = clock.now()
        return done

    done = run_virtual(main, longest=3600.0)
    assert [each.exit for each in done] == [Exit.FAILED, Exit.FAILED]
    assert sorted(each["prompt"] for each in stage.sandbox["submissions"]) == ["one 1", "one 2"]
    assert done[0].summary.troubles["still[2]#1"].code == "SAFETY.OUTPUT.IMAGE"
    assert stage.apply(retry_rejected=True).exit is Exit.DONE
    assert stage.submissions == 3


TWINS = """
    flowrun: 1
    name: twins
    nodes:
      a:
        uses: text_to_image
        with: {model: gen4_image, promptText: "one", ratio: "1280:720"}
      b:
        uses: text_to_image
        with: {model: gen4_image, promptText: "one", ratio: "1280:720"}
"""


def test_a_twin_of_a_task_that_is_taken_up_and_was_refused_sends_nothing(tmp_path: Path) -> None:
    """Both take up one task of a stopped run, and the first look at it says that it was refused for good."""

    def stop(interrupt: Callable[[int], None] | None, event: ev.Event) -> None:
        if isinstance(event, ev.Submitted) and interrupt is not None:
            interrupt(130)

    stage = Stage(tmp_path, TWINS, "faults: [{on: text_to_image, match: {nth: 1}, do: {fail: SAFETY.OUTPUT.IMAGE}}]\n")
    stage.on_event = stop
    assert stage.apply().exit is Exit.INTERRUPTED
    stage.on_event = None
    stage.now += 60.0
    done = stage.apply()
    assert (done.exit, done.summary.submitted, stage.submissions) == (Exit.FAILED, 0, 1)
    assert {each.code for each in done.summary.troubles.values()} == {"SAFETY.OUTPUT.IMAGE"}
