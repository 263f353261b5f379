"""`flowrun cancel`: what is at the API is ended there, and never what has finished; a crash anywhere is only another look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flowrun.engine import events as ev
from flowrun.ledger.transactions import FactLedger
from flowrun.production import owner
from flowrun.production.applying import Applied
from flowrun.production.cancelling import Stakes, cancel_async
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.rounds import Rounded
from flowrun.runway.client import RunwayClient
from tests.faults.test_crash_points import Mortal, _is_kill
from tests.production.rounds import (
    TWO,
    around,
    cancel,
    collect,
    deletions,
    fates,
    in_time,
    leave,
    one_done_one_running,
)
from tests.support.stage import Stage
from tests.support.virtual_time import VirtualClock

PATIENT = "faults: [{on: text_to_image, do: {takes: 500}}]\n"
FAILS = "faults: [{on: text_to_image, match: {prompt: alpha}, do: {fail: INTERNAL.BAD_OUTPUT}}]\n"


def decisions(stage: Stage) -> dict[str, str]:
    return {str(at): step.decision.value for at, step in stage.plan().steps.items()}


def test_what_runs_is_cancelled_and_what_has_finished_is_collected(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO)
    one_done_one_running(stage)
    done = cancel(stage)
    assert (done.exit, fates(done)) == (Exit.DONE, {"a#1": "collected", "b#1": "cancelled"})
    assert deletions(stage) == 1
    assert (done.tasks[1].charged, done.tasks[1].credits) == (None, 5), "the API does not tell: the estimate stands"
    assert decisions(stage) == {"a": "hit", "b": "run"}
    assert fates(cancel(stage)) == {}
    again = stage.apply()
    assert (again.exit, again.summary.submitted) == (Exit.DONE, 1)


def test_what_has_failed_is_settled_as_failed(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO, scenario=FAILS)
    leave(stage)
    stage.now += 60.0
    done = cancel(stage)
    assert (done.exit, fates(done)) == (Exit.DONE, {"a#1": "failed", "b#1": "collected"})
    assert deletions(stage) == 0


def test_one_run_only(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO, scenario=PATIENT)
    first, second = one_done_one_running(stage)
    assert fates(cancel(stage, second)) == {"b#1": "cancelled"}
    assert fates(collect(stage)) == {"a#1": "running"}
    assert fates(cancel(stage, second)) == {}
    stage.root.joinpath(".flowrun/sandbox/index.sqlite3").unlink()
    assert fates(cancel(stage, first[:15])) == {"a#1": "cancelled"}, "the history is lost, the ledger knows the run"


@pytest.mark.parametrize(("text", "said"), [("20231114", "several runs"), ("x", "no run 'x'"), ("", "no run ''")])
def test_a_run_that_is_not_named_well_is_a_mistake_and_nothing_is_cancelled(
    tmp_path: Path, text: str, said: str
) -> None:
    stage = Stage(tmp_path, TWO, scenario=PATIENT)
    runs = one_done_one_running(stage)
    with pytest.raises(FlowrunError, match=said) as caught:
        cancel(stage, text)
    assert caught.value.exit is Exit.WRONG
    assert text != "20231114" or set((caught.value.hint or "").split(", ")) == set(runs)
    assert deletions(stage) == 0


def test_a_person_is_asked_about_what_would_be_cancelled(tmp_path: Path) -> None:
    stage, shown = Stage(tmp_path, TWO, scenario=PATIENT), list[Stakes]()
    leave(stage)

    def declines(stakes: Stakes) -> bool:
        shown.append(stakes)
        return False

    with pytest.raises(FlowrunError, match="not confirmed") as caught:
        cancel(stage, confirm=declines)
    assert (caught.value.exit, len(shown[0].tasks), shown[0].spends) == (Exit.STOPPED, 2, False)
    assert deletions(stage) == 0
    assert cancel(stage, confirm=lambda stakes: True).exit is Exit.DONE
    assert cancel(stage, confirm=declines).tasks == (), "nobody is asked about nothing"


def test_what_was_never_answered_cannot_be_cancelled(tmp_path: Path) -> None:
    lost = "faults: [{on: text_to_image, match: {prompt: beta}, do: {lost: after}}]\n"
    stage = Stage(tmp_path, TWO, scenario=lost)
    run = str(stage.apply().run)
    done = cancel(stage, run)
    assert (done.exit, done.tasks, len(done.uncertain)) == (Exit.DONE, (), 1)
    assert (deletions(stage), decisions(stage)["b"]) == (0, "uncertain")


# -- an answer that does not come


@pytest.mark.parametrize(
    ("do", "fate", "exit"),
    [
        ("{lost: after}", "cancelled", Exit.DONE),
        ("{lost: before}", "running", Exit.FAILED),
        ("{status: 500}", "running", Exit.FAILED),
        ("{status: 404}", "running", Exit.FAILED),
        ("{status: 400}", "running", Exit.FAILED),
        ("{status: 401}", "not-collected", Exit.SURROUNDINGS),
    ],
)
def test_a_deletion_without_a_good_answer_is_looked_after(tmp_path: Path, do: str, fate: str, exit: Exit) -> None:
    stage = Stage(tmp_path, TWO, scenario=PATIENT)
    leave(stage, 1, select=("a",))
    stage.scenario = f"faults: [{{on: cancel, do: {do}}}]\n"
    done = cancel(stage)
    assert (fates(done), done.exit) == ({"a#1": fate}, exit)
    stage.scenario = ""
    assert fates(cancel(stage)) == ({} if fate == "cancelled" else {"a#1": "cancelled"})
    deletions(stage)


def test_an_api_that_falls_silent_after_the_deletion_is_asked_by_the_next_look(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO, scenario=PATIENT)
    leave(stage, 1, select=("a",))
    stage.scenario = (
        "faults: [{on: cancel, do: {lost: after}}, {on: tasks, match: {nth: 2}, do: {lost: before, times: 99}}]\n"
    )
    silent = cancel(stage)
    assert (silent.exit, fates(silent)) == (Exit.SURROUNDINGS, {"a#1": "not-collected"})
    stage.scenario = ""
    found = collect(stage)
    assert (found.exit, fates(found)) == (Exit.DONE, {"a#1": "cancelled"})


# -- dying


REQUESTS = ("task", "delete", "download")
LEDGER = ("claim", "release", "ended", "note", "settle", "retire", "heartbeat")


@contextmanager
def dying(monkeypatch: pytest.MonkeyPatch, mortal: Mortal) -> Any:
    with monkeypatch.context() as patched:
        for name in LEDGER:
            patched.setattr(FactLedger, name, mortal.call(getattr(FactLedger, name), name))
        for name in REQUESTS:
            patched.setattr(RunwayClient, name, mortal.request(getattr(RunwayClient, name), name))
        yield


@pytest.mark.parametrize("after", ["collect", "apply", "cancel"])
def test_dying_at_each_step_is_only_another_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str) -> None:
    monkeypatch.setattr(owner, "_lives", lambda pid: False)  # whoever held something has ended
    deaths: list[str] = []
    for last in range(1, 60):
        stage, mortal = Stage(tmp_path / str(last), TWO, scenario=PATIENT), Mortal(last)
        leave(stage, 1, select=("a",))
        with dying(monkeypatch, mortal):
            try:
                cancel(stage)
            except BaseException as error:
                if not _is_kill(error):
                    raise
        if not mortal.seen:
            break
        deaths.append(mortal.seen)
        stage.scenario = ""
        _look_again(stage, after, mortal.seen)
        deletions(stage)
    assert {"before note", "after note", "before delete", "after delete", "before settle"} <= set(deaths)


def _look_again(stage: Stage, after: str, where: str) -> None:
    """It was deleted or it was not, and either is found out; nobody calls it lost."""
    (task,) = stage.sandbox["tasks"].values()
    settled = where in ("after settle", "before release", "after release", "before retire", "after retire")
    if after != "apply":
        found = fates(collect(stage) if after == "collect" else cancel(stage))
        fate = "cancelled" if task["removed"] or after == "cancel" else "running"
        assert found == ({} if not found and settled else {"a#1": fate}), where
        return
    stage.now += 600.0
    first = stage.apply(select=("a",))
    assert "TASK_GONE" not in {each.code for each in first.summary.troubles.values()}, where
    assert stage.apply(select=("a",)).exit is Exit.DONE, where
    assert stage.submissions == (2 if task["removed"] else 1), where


def test_a_process_that_slept_between_look_and_deletion_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, slept = Stage(tmp_path, TWO), [False]
    leave(stage, 1, select=("a",))
    real = FactLedger.note

    async def main(clock: VirtualClock) -> Rounded:
        def slow(self: FactLedger, *args: Any) -> None:
            real(self, *args)
            if not slept[0]:
                slept[0] = True
                clock.pass_time(300.0)

        with monkeypatch.context() as patched:
            patched.setattr(FactLedger, "note", slow)
            return await cancel_async(None, stage.options(), around(stage, clock))

    done: Rounded = in_time(stage, main)
    assert fates(done) == {"a#1": "collected"}
    assert deletions(stage) == 0


SLOW = "faults: [{on: tasks, do: {delay: 30, times: %d}}, {on: text_to_image, do: {takes: %d}}]\n"


@pytest.mark.parametrize(
    ("slow", "takes", "wanted", "exit", "deleted"),
    [
        (1, 20, "collected", Exit.DONE, 0),
        (1, 500, "cancelled", Exit.DONE, 1),
        (99, 500, "running", Exit.FAILED, 0),
    ],
    ids=["it-ended-meanwhile", "the-next-is-quick", "all-are-slow"],
)
def test_an_answer_that_took_long_deletes_nothing(
    tmp_path: Path, slow: int, takes: int, wanted: str, exit: Exit, deleted: int
) -> None:
    """It says how the task stood when it was asked for."""
    stage = Stage(tmp_path, TWO, scenario=SLOW % (slow, takes))
    leave(stage, 1, select=("a",))
    done = cancel(stage)
    assert (done.exit, fates(done), deletions(stage)) == (exit, {"a#1": wanted}, deleted)


def test_a_full_disk_before_the_note_deletes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path, TWO, scenario=PATIENT)
    leave(stage)

    def full(self: FactLedger, *args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(FactLedger, "note", full)
        done = cancel(stage)
    assert done.exit is Exit.SURROUNDINGS
    assert set(fates(done).values()) <= {"not-collected", "not-seen"}
    assert deletions(stage) == 0
    assert set(fates(cancel(stage)).values()) == {"cancelled"}


# -- while an apply waits for the same task


def together(stage: Stage, after: float, work: Callable[[VirtualClock], Any]) -> tuple[Applied, Rounded]:
    async def both(clock: VirtualClock) -> tuple[Applied, Rounded]:
        async def later() -> Rounded:
            await clock.sleep(after)
            found: Rounded = await work(clock)
            return found

        production = stage.production(clock)
        applied, rounded = await asyncio.gather(production.apply_async(emit=stage.events.append), later())
        return applied, rounded

    found: tuple[Applied, Rounded] = in_time(stage, both)
    return found


def test_an_apply_that_polls_the_task_sees_it_cancelled_not_gone(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO, scenario="faults: [{on: text_to_image, match: {prompt: alpha}, do: {takes: 500}}]\n")
    done, ended = together(stage, 30.0, lambda clock: cancel_async(None, stage.options(), around(stage, clock)))
    assert (ended.exit, fates(ended)) == (Exit.DONE, {"a#1": "cancelled"})
    assert done.exit is Exit.FAILED
    (trouble,) = done.summary.troubles.values()
    assert (trouble.address, trouble.code) == ("a", "CANCELLED")
    assert done.summary.counts() == {"failed": 1, "succeeded": 1}
    assert deletions(stage) == 1
    assert [each.status for each in stage.events if isinstance(each, ev.Ended) and each.unit == "a#1"] == ["CANCELLED"]


def test_a_finished_task_that_an_apply_has_in_hand_is_left_to_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO, scenario="faults: [{on: download, do: {delay: 60}}]\n")
    done, ended = together(stage, 40.0, lambda clock: cancel_async(None, stage.options(), around(stage, clock)))
    assert (ended.exit, fates(ended)) == (Exit.DONE, {"a#1": "kept", "b#1": "kept"})
    assert (done.exit, done.summary.submitted) == (Exit.DONE, 2)
    assert deletions(stage) == 0


def test_interrupted_while_it_cancels_nothing_is_lost(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO, scenario=PATIENT)
    leave(stage)
    stage.scenario = "faults: [{on: cancel, do: {delay: 60}}]\n"

    def soon(interrupt: Any) -> None:
        asyncio.get_running_loop().call_later(5.0, interrupt, 143)

    done = cancel(stage, interruptible=soon)
    assert (done.exit, set(fates(done).values())) == (Exit.TERMINATED, {"not-seen"})
    stage.scenario = ""
    assert set(fates(cancel(stage)).values()) <= {"cancelled"}
    assert fates(collect(stage)) == {}
