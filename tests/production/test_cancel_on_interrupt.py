"""`apply --cancel-on-interrupt`: what the run has at the API is cancelled, never what has finished, never what another process
waits for; without the flag nothing is."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowrun.cli.signals import hand_signals
from flowrun.engine import events as ev
from flowrun.production.applying import Applied
from flowrun.production.exits import Exit
from tests.production.rounds import TWO, collect, deletions, elsewhere, fates, in_time, leave
from tests.production.saved_plans import carry_out, save
from tests.support.stage import Stage
from tests.support.virtual_time import START, VirtualClock

When = Callable[[ev.Event], bool]
B_TAKES_LONG = "faults: [{on: text_to_image, match: {prompt: beta}, do: {takes: 500}}]\n"


def running(unit: str) -> When:
    return lambda event: isinstance(event, ev.Progressed) and event.unit == unit and event.status == "RUNNING"


def submitted(unit: str) -> When:
    return lambda event: isinstance(event, ev.Submitted) and event.unit == unit


def interrupted(stage: Stage, when: When, *later: float, code: int = 130, cancel: bool = True, **flags: Any) -> Applied:
    """An apply that is interrupted at the first event that `when` holds of; or so many seconds after it, once for each."""
    todo = [later or (0.0,)]

    def on_event(interrupt: Any, event: ev.Event) -> None:
        if todo and when(event):
            for seconds in todo.pop():
                asyncio.get_running_loop().call_later(seconds, interrupt, code)

    stage.on_event = on_event
    try:
        return stage.apply(cancel_on_interrupt=cancel, **flags)
    finally:
        stage.on_event = None


def withdrawn(stage: Stage) -> dict[str, str]:
    return {each.unit: each.status for each in stage.events if isinstance(each, ev.Withdrawn)}


def test_what_is_in_flight_is_cancelled_and_made_anew_by_the_next_apply(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO)
    done = interrupted(stage, running("b#1"))
    assert (done.exit, done.summary.left) == (Exit.INTERRUPTED, {})
    assert withdrawn(stage) == {"a#1": "cancelled", "b#1": "cancelled"}
    assert [each.cancels for each in stage.events if isinstance(each, ev.Interrupted)] == [True]
    assert deletions(stage) == 2
    again = stage.apply()
    assert (again.exit, again.summary.submitted, stage.submissions) == (Exit.DONE, 2, 4)


def test_without_the_flag_everything_stays_at_the_api(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO)
    done = interrupted(stage, running("b#1"), cancel=False)
    assert (done.exit, set(done.summary.left), withdrawn(stage)) == (Exit.INTERRUPTED, {"a#1", "b#1"}, {})
    assert deletions(stage) == 0
    assert stage.apply().summary.submitted == 0


@pytest.mark.parametrize("code", [130, 143])
def test_a_task_that_finished_unseen_is_collected(tmp_path: Path, code: int) -> None:
    stage = Stage(tmp_path, TWO, scenario=B_TAKES_LONG)
    done = interrupted(stage, submitted("a#1"), 20.5, code=code)
    assert done.exit == code
    assert withdrawn(stage) == {"a#1": "collected", "b#1": "cancelled"}
    assert deletions(stage) == 1
    stage.scenario = ""
    again = stage.apply()
    assert (again.exit, again.summary.submitted, again.summary.reused) == (Exit.DONE, 1, 1)


def test_a_request_that_is_being_sent_is_answered_first(tmp_path: Path) -> None:
    slow = "faults: [{on: text_to_image, match: {prompt: alpha}, do: {delay: 8}}]\n"
    stage = Stage(tmp_path, TWO, scenario=slow)
    done = interrupted(stage, submitted("b#1"))
    assert (done.exit, done.summary.submitted) == (Exit.INTERRUPTED, 2)
    assert withdrawn(stage) == {"a#1": "cancelled", "b#1": "cancelled"}
    assert fates(collect(stage)) == {}


def test_a_second_interrupt_stops_at_once_and_what_was_not_cancelled_stays_on_record(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO, scenario="faults: [{on: cancel, do: {delay: 60}}]\n")
    done = interrupted(stage, running("b#1"), 0.0, 5.0)
    assert (done.exit, done.summary.interrupted) == (Exit.INTERRUPTED, 1)
    assert stage.now < START + 40.0
    assert set(done.summary.left) == {"a#1", "b#1"}
    assert set(withdrawn(stage).values()) == {"left"}
    stage.scenario = ""
    again = stage.apply()
    assert "TASK_GONE" not in {each.code for each in again.summary.troubles.values()}
    assert stage.apply().exit is Exit.DONE
    deletions(stage)


def test_two_interrupts_at_once_cancel_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO)
    done = interrupted(stage, running("b#1"), 0.0, 0.0)
    assert set(done.summary.left) == {"a#1", "b#1"}
    assert (withdrawn(stage), deletions(stage)) == ({}, 0)


def test_what_was_taken_up_is_cancelled_too(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO)
    leave(stage)
    stage.events.clear()
    done = interrupted(stage, running("b#1"))
    assert done.summary.submitted == 0
    assert withdrawn(stage) == {"a#1": "cancelled", "b#1": "cancelled"}


def test_what_no_plan_takes_up_is_left_to_the_command_for_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO, scenario=B_TAKES_LONG)
    leave(stage)
    stage.edit("beta", "gamma")
    stage.events.clear()
    interrupted(stage, running("b#1"))
    assert withdrawn(stage) == {"a#1": "cancelled", "b#1": "cancelled"}
    assert fates(collect(stage)) == {"b#1": "running"}, (
        "the task for 'beta' is an earlier run's, and no node asks for it"
    )


def test_a_task_that_a_node_has_stopped_waiting_for_is_cancelled(tmp_path: Path) -> None:
    timed = TWO.replace("      b:\n", "      b:\n        timeout: 30s\n")
    stage = Stage(tmp_path, timed, scenario=B_TAKES_LONG.replace("{prompt: beta}", "{}"))
    interrupted(stage, lambda event: isinstance(event, ev.AttemptFailed) and event.code == "timeout")
    assert withdrawn(stage) == {"a#1": "cancelled", "b#1": "cancelled"}


def test_what_another_process_waits_for_is_left_to_it(tmp_path: Path) -> None:
    first, second = Stage(tmp_path, TWO), elsewhere(Stage(tmp_path, TWO), "again")
    second.write(TWO)

    async def both(clock: VirtualClock) -> list[Applied]:
        interrupts: list[Any] = []

        async def joining() -> Applied:
            await clock.sleep(3.0)
            clock_loop = asyncio.get_running_loop()
            clock_loop.call_later(9.0, lambda: interrupts[0](130))
            production = second.production(clock, cancel_on_interrupt=True)
            return await production.apply_async(emit=second.events.append, interruptible=interrupts.append)

        return list(await asyncio.gather(first.production(clock).apply_async(), joining()))

    made, joined = in_time(first, both)
    assert (made.exit, joined.exit, joined.summary.submitted) == (Exit.DONE, Exit.INTERRUPTED, 0)
    assert set(withdrawn(second)) == set()
    assert deletions(first) == 0


def test_a_full_disk_before_the_note_deletes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flowrun.ledger.transactions import FactLedger

    def full(self: FactLedger, task: str, evidence: object) -> None:
        raise OSError(28, "No space left on device")

    stage = Stage(tmp_path, TWO)
    with monkeypatch.context() as patched:
        patched.setattr(FactLedger, "note", full)
        done = interrupted(stage, running("b#1"))
    assert set(done.summary.left) == {"a#1", "b#1"}
    assert set(withdrawn(stage).values()) == {"left"}
    assert deletions(stage) == 0
    again = stage.apply()
    assert (again.exit, again.summary.submitted) == (Exit.DONE, 0)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no terminals hang up here")
def test_a_closed_terminal_interrupts_as_a_request_to_end_does() -> None:
    heard: list[int] = []

    async def main() -> None:
        hand_signals(heard.append)
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    asyncio.run(main())
    assert heard == [143, 143, 130]


def test_the_flag_makes_no_other_plan_of_a_saved_one(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO)
    save(stage)
    assert carry_out(stage, cancel_on_interrupt=True).exit is Exit.DONE
