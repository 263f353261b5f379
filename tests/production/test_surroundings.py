"""What surrounds a run may fail: key, API, disk, store. Nothing is lost, and the exit code says which it was."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from flowrun.engine import events as ev
from flowrun.engine.states import NodeState
from flowrun.production.exits import Exit, FlowrunError
from flowrun.store.blobs import DiskBlobs
from flowrun.store.records import DiskPicks
from flowrun.store.runs import DiskRuns
from tests.production.test_main_path import CHAIN, FIVE
from tests.support.stage import Stage


def full(*args: object, **kwargs: object) -> object:
    """Any write to a full disk."""
    raise OSError(errno.ENOSPC, "No space left on device", "somewhere")


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no such names")
def test_a_folder_whose_name_is_no_text_is_named(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"d\xe9")
    odd.mkdir()
    with pytest.raises(FlowrunError, match=r"d\\xe9' is not UTF-8") as refused:
        Stage(odd, CHAIN).apply()
    assert refused.value.exit is Exit.WRONG
    assert not (odd / ".flowrun").exists()


def test_key_refused_stops_before_anything_is_sent(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN, scenario="faults: [{on: organization, do: {status: 401}}]\n")
    with pytest.raises(FlowrunError) as refused:
        stage.apply()
    assert refused.value.exit is Exit.SURROUNDINGS
    assert "key" in str(refused.value)
    assert stage.submissions == 0


def test_key_refused_in_the_middle_keeps_what_is_done(tmp_path: Path) -> None:
    fault = "faults: [{on: image_to_video, match: {nth: 1}, do: {status: 401}}]\n"
    stage = Stage(tmp_path, CHAIN, scenario=fault)
    done = stage.apply()
    assert done.exit is Exit.SURROUNDINGS
    assert done.summary.states["hero"] is NodeState.SUCCEEDED
    assert stage.apply().exit is Exit.DONE
    assert stage.submissions == 3


def test_unreachable_api(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN, scenario="faults: [{on: organization, do: {lost: before}}]\n")
    with pytest.raises(FlowrunError) as unreachable:
        stage.apply()
    assert unreachable.value.exit is Exit.SURROUNDINGS


def test_no_credits_pauses_the_run_and_fails_nobody(tmp_path: Path) -> None:
    body = '{"error": "You do not have enough credits to run this task."}'
    fault = f"faults: [{{on: image_to_video, do: {{status: 400, body: '{body}'}}}}]\n"
    stage = Stage(tmp_path, CHAIN, scenario=fault)
    done = stage.apply()
    assert done.exit is Exit.STOPPED
    assert stage.submissions == 1
    assert not set(done.summary.states.values()) & {NodeState.FAILED, NodeState.REJECTED}


def test_bad_request_fails_the_node_and_is_not_remembered(tmp_path: Path) -> None:
    fault = "faults: [{on: image_to_video, match: {nth: 1}, do: {status: 400}}]\n"
    stage = Stage(tmp_path, CHAIN, scenario=fault)
    assert stage.apply().exit is Exit.FAILED
    assert stage.apply().exit is Exit.DONE
    assert stage.submissions == 3


def test_full_disk_keeps_the_task_and_the_next_apply_collects_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, CHAIN)

    with monkeypatch.context() as patched:
        patched.setattr(DiskBlobs, "writer", full)
        done = stage.apply()
    assert done.exit is Exit.SURROUNDINGS
    assert "disk is full" in done.summary.troubles["hero#1"].message
    assert stage.submissions == 1
    assert stage.apply().exit is Exit.DONE
    assert stage.submissions == 3


def test_store_that_is_a_file_is_damaged(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN)
    (tmp_path / ".flowrun").mkdir()
    (tmp_path / ".flowrun" / "sandbox").write_text("not a folder")
    with pytest.raises(FlowrunError) as damaged:
        stage.apply()
    assert damaged.value.exit in (Exit.DAMAGED, Exit.SURROUNDINGS)


def test_ledger_that_is_no_ledger_is_damaged_and_set_aside_by_an_apply_alone(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN)
    ledger = tmp_path / ".flowrun/sandbox/ledgers/in-process.sqlite3"
    ledger.parent.mkdir(parents=True)
    ledger.write_bytes(b"this is somebody's diary, not a ledger" * 50)
    for work in (stage.plan, stage.apply):
        with pytest.raises(FlowrunError) as damaged:
            work()
        assert damaged.value.exit is Exit.DAMAGED
        diary = next(iter(ledger.parent.glob("in-process.damaged-*")), ledger)
        assert (diary == ledger) is (work == stage.plan)
        assert diary.read_bytes().startswith(b"this is somebody's diary")


def test_project_with_a_runway_result_and_no_key_stays_on_runway(tmp_path: Path) -> None:
    (tmp_path / ".flowrun/results/abc").mkdir(parents=True)
    (tmp_path / ".flowrun/results/abc/r.json").write_text("{}")
    stage = Stage(tmp_path, CHAIN, sandbox_flag=False)
    stage.environ["FLOWRUN_STATE_DIR"] = str(tmp_path / "state")
    with pytest.raises(FlowrunError) as no_key:
        stage.apply()
    assert no_key.value.exit is Exit.SURROUNDINGS
    assert "no key" in str(no_key.value)
    assert "--sandbox" in (no_key.value.hint or "")


def test_cut_and_wrong_downloads_are_never_committed(tmp_path: Path) -> None:
    faults = """
faults:
  - {on: download, match: {nth: 1}, do: {cut: 100}}
  - {on: download, match: {nth: 2}, do: {wrong_content: html}}
  - {on: download, match: {nth: 3}, do: {wrong_content: truncated}}
"""
    stage = Stage(tmp_path, CHAIN, scenario=faults)
    done = stage.apply()
    assert (done.exit, stage.submissions) == (Exit.DONE, 3)


def test_polls_that_fail_for_an_hour_lose_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN, scenario="faults: [{on: tasks, match: {nth: 1}, do: {status: 503, times: 40}}]\n")
    done = stage.apply()
    assert (done.exit, stage.submissions) == (Exit.DONE, 3)


def test_a_pick_that_cannot_be_written_stops_the_run_in_good_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, CHAIN)

    with monkeypatch.context() as patched:
        patched.setattr(DiskPicks, "set", full)
        done = stage.apply()
    assert done.exit is Exit.SURROUNDINGS
    assert stage.submissions == 1
    assert stage.apply().exit is Exit.DONE
    assert stage.submissions == 3


def test_a_full_model_is_told_of_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path, FIVE, scenario="tier: 1\n")
    stage.apply()
    queued = [event.unit for event in stage.events if isinstance(event, ev.Queued)]
    assert queued
    assert len(queued) == len(set(queued))


def test_a_history_that_cannot_be_written_costs_no_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path, CHAIN)
    monkeypatch.setattr(DiskRuns, "end", full)
    done = stage.apply()
    assert done.exit is Exit.SURROUNDINGS
    assert done.summary.submitted > 0
    assert "could not be added to the history" in done.warnings[0]
    monkeypatch.undo()
    again = stage.apply()
    assert (again.exit, again.summary.submitted) == (Exit.DONE, 0)
