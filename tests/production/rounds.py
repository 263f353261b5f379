"""`collect` and `cancel` on a stage, in virtual time, and what tests ask of them."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from flowrun.engine import events as ev
from flowrun.production.cancelling import cancel_async
from flowrun.production.collecting import collect_async
from flowrun.production.exits import Exit
from flowrun.production.options import Surroundings
from flowrun.production.rounds import Rounded
from tests.support.stage import Stage
from tests.support.virtual_time import VirtualClock, offload, run_virtual

TWO = """
    flowrun: 1
    name: two
    nodes:
      a:
        uses: text_to_image
        with: {model: gen4_image, promptText: alpha, ratio: "1280:720"}
      b:
        uses: text_to_image
        with: {model: gen4_image, promptText: beta, ratio: "1280:720"}
    outputs: {a: "{{ nodes.a.output }}", b: "{{ nodes.b.output }}"}
"""


def around(stage: Stage, clock: VirtualClock) -> Surroundings:
    seed = random.Random(stage.now)
    return Surroundings(environ=stage.environ, cwd=stage.root, clock=clock, offload=offload, rng=seed)


def in_time(stage: Stage, work: Callable[[VirtualClock], Awaitable[Any]]) -> Any:
    async def main(clock: VirtualClock) -> Any:
        try:
            return await work(clock)
        finally:
            stage.now = clock.now() + 1.0

    return run_virtual(main, start=stage.now, longest=6 * 3600.0)  # a round waits for nothing


def collect(stage: Stage, **more: Any) -> Rounded:
    found: Rounded = in_time(stage, lambda clock: collect_async(stage.options(), around(stage, clock), **more))
    return found


def cancel(stage: Stage, run: str | None = None, **more: Any) -> Rounded:
    found: Rounded = in_time(stage, lambda clock: cancel_async(run, stage.options(), around(stage, clock), **more))
    return found


def fates(rounded: Rounded) -> dict[str, str]:
    return {each.row.origin.address: each.fate.value for each in rounded.tasks}


def leave(stage: Stage, tasks: int = 2, **flags: Any) -> str:
    """An apply, interrupted once so many tasks were submitted; its run."""
    sent = 0

    def on_event(interrupt: Any, event: ev.Event) -> None:
        nonlocal sent
        sent += isinstance(event, ev.Submitted)
        if isinstance(event, ev.Submitted) and sent == tasks:
            interrupt(130)

    stage.on_event = on_event
    done = stage.apply(**flags)
    stage.on_event = None
    assert done.exit is Exit.INTERRUPTED
    assert done.summary.submitted == tasks <= len(done.summary.left)
    return str(done.run)


def one_done_one_running(stage: Stage) -> tuple[str, str]:
    """`a` was left by one run and has succeeded by now, `b` by another and runs; their runs."""
    first = leave(stage, 1, select=("a",))
    stage.now += 12.0
    second = leave(stage, 1, select=("b",))
    stage.now += 8.0
    return first, second


def deletions(stage: Stage) -> int:
    """DELETE requests that the API got; fails where one of them destroyed what had been made."""
    report = stage.sandbox
    lost = [task for task, each in report["tasks"].items() if each["removed"] and each["status"] != "CANCELLED"]
    assert not lost, f"finished tasks were deleted: {lost}"
    return int(report["requests"].get("cancel", 0))


def elsewhere(stage: Stage, name: str) -> Stage:
    """Another manifest in the same project."""
    return replace(stage, file=f"{name}.yaml", events=[])
