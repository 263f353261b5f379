"""`flowrun collect`: one look at every open task of the account, which brings home what has finished and starts nothing."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flowrun.ledger.location import account_of, ledger_path
from flowrun.ledger.transactions import FactLedger
from flowrun.production.collecting import collect, collect_async
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.options import Options, Surroundings
from flowrun.production.rounds import Rounded
from flowrun.secret import Secret
from flowrun.store.landing import Landing
from tests.production.rounds import TWO, around, fates, in_time, leave, one_done_one_running
from tests.production.rounds import cancel as cancelled
from tests.production.rounds import collect as collected
from tests.production.test_settings_in_use import OTHER_KEY
from tests.support.stage import Stage
from tests.support.virtual_time import VirtualClock

ASKED = ("tasks", "organization", "download", "cancel")


def requests(stage: Stage) -> dict[str, int]:
    return {name: stage.sandbox["requests"].get(name, 0) for name in ASKED}


def left_and_done(stage: Stage, tasks: int = 2, **flags: Any) -> str:
    run = leave(stage, tasks, **flags)
    stage.now += 60.0
    return run


def test_what_has_finished_is_collected_though_the_manifest_is_gone_and_what_runs_is_left(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO)
    one_done_one_running(stage)
    stage.path.unlink()
    before = requests(stage)
    done = collected(stage)
    assert (done.exit, fates(done)) == (Exit.DONE, {"a#1": "collected", "b#1": "running"})
    made, going = done.tasks
    assert (made.kinds, made.credits) == (("image",), 5)
    assert going.status == "RUNNING"
    assert 0 < (going.progress or 0) < 1
    assert requests(stage)["tasks"] == before["tasks"] + 2, "one look at each"
    assert stage.submissions == 2
    assert fates(collected(stage)) == {"b#1": "running"}
    stage.write(TWO)
    again = stage.apply()
    assert (again.exit, again.summary.submitted, again.summary.reused) == (Exit.DONE, 0, 1)


def test_with_nothing_open_no_key_is_needed_and_nothing_is_asked(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    environ = {"FLOWRUN_STATE_DIR": str(tmp_path / "state"), "FLOWRUN_PROVIDER_NAME": "runway"}
    done = collect(Options(), Surroundings(environ=environ, cwd=tmp_path))
    assert (done.exit, done.tasks, done.provider) == (Exit.DONE, (), "runway")


def test_open_tasks_without_a_key_end_with_the_key_that_is_missing(tmp_path: Path) -> None:
    from tests.production.test_money_again import leave as leave_killed

    (tmp_path / ".git").mkdir()
    leave_killed(tmp_path, "no-key", intended=False)
    environ = {"FLOWRUN_STATE_DIR": str(tmp_path / "state"), "FLOWRUN_PROVIDER_NAME": "runway"}
    with pytest.raises(FlowrunError, match="no key: 1 open") as caught:
        collect(Options(), Surroundings(environ=environ, cwd=tmp_path))
    assert caught.value.exit is Exit.SURROUNDINGS


def test_a_full_disk_keeps_the_task_adoptable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path, TWO)
    left_and_done(stage)

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Landing, "land", full)
        patched.setattr(Landing, "land_new", full)
        done = collected(stage)
    assert done.exit is Exit.SURROUNDINGS
    assert set(fates(done).values()) <= {"not-collected", "not-seen"}
    assert "not-collected" in fates(done).values()
    assert "disk-full" in {each.code for each in done.tasks}
    assert fates(collected(stage)) == {"a#1": "collected", "b#1": "collected"}
    assert stage.apply().summary.submitted == 0


def test_what_failed_is_settled_with_its_code_and_cost(tmp_path: Path) -> None:
    fault = "{on: text_to_image, match: {prompt: alpha}, do: {fail: SAFETY.INPUT.TEXT}}"
    stage = Stage(tmp_path, TWO, scenario=f"faults: [{fault}]\n")
    left_and_done(stage)
    done = collected(stage)
    assert (done.exit, fates(done)) == (Exit.DONE, {"a#1": "failed", "b#1": "collected"})
    failed = done.tasks[0]
    assert (failed.code, failed.charged) == ("SAFETY.INPUT.TEXT", 5)
    assert stage.plan().steps[next(iter(stage.plan().steps))].decision.value == "rejected"


def test_a_task_that_is_gone_is_a_lost_result_with_its_cost(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO)
    left_and_done(stage)
    stage.scenario = "faults: [{on: tasks, match: {prompt: alpha}, do: {status: 404}}]\n"
    done = collected(stage)
    assert (done.exit, fates(done)) == (Exit.FAILED, {"a#1": "gone", "b#1": "collected"})
    assert "about 5 credits" in (done.tasks[0].message or "")
    stage.scenario = ""
    assert fates(collected(stage)) == {}


def test_what_only_another_key_can_ask_about_stays_open(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO)
    left_and_done(stage, 1, select=("a",))
    with closing(sqlite3.connect(ledger_path(tmp_path / ".flowrun" / "sandbox", "in-process"))) as file, file:
        (text,) = file.execute("SELECT evidence FROM intents").fetchone()
        changed = text.replace(account_of(Secret("key_sandbox")), account_of(Secret(OTHER_KEY)))
        assert changed != text
        file.execute("UPDATE intents SET evidence = ?", (changed,))
    stage.scenario = "faults: [{on: tasks, do: {status: 404}}]\n"
    done = collected(stage)
    assert (done.exit, fates(done)) == (Exit.FAILED, {"a#1": "foreign"})
    assert "flowrun forget" in (done.tasks[0].hint or "")
    stage.scenario = ""
    assert fates(collected(stage)) == {"a#1": "collected"}


@pytest.mark.parametrize("fault", ["{on: organization, do: {status: 401}}", "{on: organization, do: {lost: before}}"])
def test_where_nobody_can_be_asked_nothing_is_touched(tmp_path: Path, fault: str) -> None:
    stage = Stage(tmp_path, TWO)
    left_and_done(stage)
    before = requests(stage)["tasks"]
    stage.scenario = f"faults: [{fault}]\n"
    with pytest.raises(FlowrunError) as caught:
        collected(stage)
    assert (caught.value.exit, requests(stage)["tasks"]) == (Exit.SURROUNDINGS, before)
    stage.scenario = ""
    assert fates(collected(stage)) == {"a#1": "collected", "b#1": "collected"}


@pytest.mark.parametrize("do", ["{lost: before}", "{status: 503}", "{status: 403}"])
def test_a_network_that_goes_away_is_not_waited_for(tmp_path: Path, do: str) -> None:
    stage = Stage(tmp_path, TWO)
    left_and_done(stage)
    stage.scenario = f"faults: [{{on: tasks, do: {do}}}]\n"
    before = stage.now
    done = collected(stage)
    assert done.exit is Exit.SURROUNDINGS
    assert set(fates(done).values()) <= {"not-collected", "not-seen"}
    assert stage.now - before < 120.0
    stage.scenario = ""
    assert fates(collected(stage)) == {"a#1": "collected", "b#1": "collected"}


def test_a_look_that_fails_once_is_taken_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO)
    left_and_done(stage)
    stage.scenario = "faults: [{on: tasks, match: {nth: 1}, do: {status: 503, times: 2}}]\n"
    assert fates(collected(stage)) == {"a#1": "collected", "b#1": "collected"}


def test_interrupted_in_the_middle_nothing_is_lost(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO)
    left_and_done(stage)
    stage.scenario = "faults: [{on: download, do: {delay: 60}}]\n"

    def soon(interrupt: Any) -> None:
        asyncio.get_running_loop().call_later(5.0, interrupt, 130)

    before = stage.now
    done = collected(stage, interruptible=soon)
    assert (done.exit, set(fates(done).values())) == (Exit.INTERRUPTED, {"not-seen"})
    assert stage.now - before < 20.0
    stage.scenario = ""
    assert fates(collected(stage)) == {"a#1": "collected", "b#1": "collected"}


def test_a_result_that_was_forced_flows_on(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO)
    first = stage.apply()
    assert first.exit is Exit.DONE
    before = stage.exports()["two/a.png"].read_bytes()
    left_and_done(stage, 1, force=("a",))
    assert fates(collected(stage)) == {"a#1": "collected"}
    picks = [path.read_text() for path in (tmp_path / ".flowrun" / "sandbox" / "picks").rglob("*.json")]
    assert sum('"forced"' in each for each in picks) == 1
    again = stage.apply()
    assert (again.exit, again.summary.submitted) == (Exit.DONE, 0)
    assert stage.exports()["two/a.png"].read_bytes() != before


def test_what_a_live_apply_waits_for_is_left_to_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO)

    async def both(clock: VirtualClock) -> tuple[Any, Rounded]:
        async def looking() -> Rounded:
            await clock.sleep(8.0)
            return await collect_async(stage.options(), around(stage, clock))

        applied, looked = await asyncio.gather(stage.production(clock).apply_async(), looking())
        return applied, looked

    applied, looked = in_time(stage, both)
    assert (applied.exit, looked.exit) == (Exit.DONE, Exit.DONE)
    assert fates(looked) == {"a#1": "kept", "b#1": "kept"}
    assert stage.submissions == 2


def test_tasks_of_another_store_are_only_followed_to_their_end(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO)
    one_done_one_running(stage)
    store, before = str(tmp_path / ".flowrun" / "sandbox"), requests(stage)
    ledger = ledger_path(tmp_path / ".flowrun" / "sandbox", "in-process")
    with closing(sqlite3.connect(ledger)) as file, file:
        file.execute("UPDATE tasks SET origin = replace(origin, ?, '/elsewhere')", (store,))
        file.execute("UPDATE intents SET origin = replace(origin, ?, '/elsewhere')", (store,))
    done = collected(stage)
    assert (done.exit, fates(done)) == (Exit.DONE, {"a#1": "elsewhere", "b#1": "running"})
    assert requests(stage)["download"] == before["download"]
    with closing(sqlite3.connect(ledger)) as file:
        ended = file.execute("SELECT status, settled FROM tasks ORDER BY place").fetchall()
    assert ended == [("SUCCEEDED", 0), ("open", 0)]
    assert fates(cancelled(stage)) == {}, "another project's tasks are not ours to cancel"


def test_a_result_that_is_here_already_costs_no_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path, TWO)

    def dies(self: FactLedger, *args: object) -> None:
        raise OSError(errno.EIO, "the disk is unplugged")

    with monkeypatch.context() as patched:
        patched.setattr(FactLedger, "settle", dies)
        assert stage.apply(select=("a",)).exit is Exit.SURROUNDINGS
    before = requests(stage)
    done = collected(stage)
    assert (done.exit, fates(done)) == (Exit.DONE, {"a#1": "collected"})
    assert requests(stage) == before | {"organization": before["organization"] + 1}


def test_uncertain_submissions_are_told_with_what_to_do(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO, scenario="faults: [{on: text_to_image, match: {prompt: beta}, do: {lost: after}}]\n")
    assert stage.apply().exit is Exit.UNKNOWN
    done = collected(stage)
    assert (done.exit, done.tasks, len(done.uncertain)) == (Exit.DONE, (), 1)


def test_a_ledger_that_is_damaged_is_mended_first_and_that_is_told(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO)
    left_and_done(stage)
    ledger_path(tmp_path / ".flowrun" / "sandbox", "in-process").write_bytes(b"garbage " * 512)
    done = collected(stage)
    assert (done.exit, fates(done)) == (Exit.DONE, {"a#1": "collected", "b#1": "collected"})
    assert ["was damaged" in warning for warning in done.warnings] == [True]
    assert stage.apply().summary.submitted == 0
    assert stage.submissions == 2


def test_what_a_collect_settled_is_known_though_the_ledger_is_damaged_after_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO)
    left_and_done(stage)
    assert collected(stage).exit is Exit.DONE
    ledger_path(tmp_path / ".flowrun" / "sandbox", "in-process").unlink()
    again = collected(stage)
    assert (again.exit, again.tasks) == (Exit.DONE, ())
    assert stage.apply().summary.submitted == 0
