"""The main job through every layer: apply, rerun, edit, fail, cap, interrupt, forget, resend."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from flowrun.diagnostics.model import DiagnosticError
from flowrun.engine import events as ev
from flowrun.engine.states import NodeState
from flowrun.media.probe import probe
from flowrun.production.exits import Exit, FlowrunError
from flowrun.store.blobs import DiskBlobWriter
from tests.support.stage import Stage

CHAIN = """
    flowrun: 1
    name: chain
    nodes:
      hero:
        uses: text_to_image
        with: {model: gen4_image, promptText: "a red fox", ratio: "1280:720"}
      shot:
        foreach: {a: runs, b: "jumps"}
        uses: image_to_video
        with:
          model: gen4_turbo
          promptImage: "{{ nodes.hero.output }}"
          promptText: "the fox {{ each.value }}"
          ratio: "1280:720"
          duration: 5
    outputs:
      still: "{{ nodes.hero.output }}"
      shots: {from: "{{ nodes.shot.outputs }}", path: "shots/{{ each.key }}.mp4"}
"""
FIVE = """
    flowrun: 1
    name: five
    nodes:
      still:
        foreach: 10
        uses: text_to_image
        with: {model: gen4_image, promptText: "fox {{ each.key }}", ratio: "1920:1080"}
"""


def test_apply_makes_exports_that_decode(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN)
    done = stage.apply()
    assert done.exit is Exit.DONE
    assert stage.submissions == 3
    assert set(stage.exports()) == {"chain/still.png", "chain/shots/a.mp4", "chain/shots/b.mp4"}
    for path in stage.exports().values():
        assert probe(path).kind.value in ("image", "video")


def test_second_apply_submits_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN)
    stage.apply()
    done = stage.apply()
    assert (done.exit, done.summary.submitted, stage.submissions) == (Exit.DONE, 0, 3)
    assert set(done.summary.states.values()) == {NodeState.REUSED}


def test_half_an_export_that_a_crash_left_is_swept_a_day_later(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN)
    stage.apply()
    old, fresh = (tmp_path / "out/sandbox/chain/shots" / name for name in (".tmp-abcd1234", ".tmp-abcd1235"))
    for each in (old, fresh):
        each.write_bytes(b"half")
    os.utime(old, (0.0, 0.0))
    stage.apply()
    assert not old.exists()
    assert fresh.exists(), "it may still have its writer"


def test_an_edit_reruns_only_what_it_touches(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN)
    stage.apply()
    stage.edit("jumps", "sleeps")
    assert stage.plan().submissions == 1
    assert stage.apply().summary.submitted == 1
    stage.edit("a red fox", "a blue fox")
    stage.apply()
    assert stage.submissions == 3 + 1 + 3


def test_more_than_the_slots_never_run_at_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path, FIVE, scenario="tier: 1\n")
    done = stage.apply()
    assert done.exit is Exit.DONE
    assert stage.submissions == 10
    assert stage.sandbox["peak"]["gen4_image"] == 2


def test_cap_holds_and_whatever_fits_runs(tmp_path: Path) -> None:
    stage = Stage(tmp_path, FIVE)
    done = stage.apply(max_credits=50)
    assert done.exit is Exit.STOPPED
    assert stage.submissions == 6  # eight credits each: 48 of 50
    assert stage.sandbox["charges"]["spent"] <= 50
    assert len(done.summary.over) == 4
    done = stage.apply()
    assert (done.exit, done.summary.submitted) == (Exit.DONE, 4)


def test_too_few_credits_stop_the_run_before_the_api_says_so(tmp_path: Path) -> None:
    stage = Stage(tmp_path, FIVE, scenario="credits: 20\n")
    done = stage.apply()
    assert done.exit is Exit.STOPPED
    assert stage.submissions == 2


def test_moderation_fails_one_node_and_is_remembered(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN.replace("jumps", "jumps [moderated]"))
    done = stage.apply()
    assert done.exit is Exit.FAILED
    assert done.summary.states["shot[b]"] is NodeState.REJECTED
    assert done.summary.states["shot[a]"] is NodeState.SUCCEEDED
    again = stage.apply()
    assert (again.exit, again.summary.submitted) == (Exit.FAILED, 0)
    assert stage.apply(retry_rejected=True).summary.submitted == 1


def test_failure_reaches_only_what_is_below_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN.replace("a red fox", "a red fox [moderated]"))
    done = stage.apply()
    assert done.summary.states == {
        "hero": NodeState.REJECTED,
        "shot[a]": NodeState.BLOCKED,
        "shot[b]": NodeState.BLOCKED,
    }


LOST = "faults: [{on: text_to_image, match: {nth: 1}, do: {lost: after}}]\n"


def test_lost_answer_is_uncertain_and_blocks_a_second_request(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN, scenario=LOST)
    done = stage.apply()
    assert done.exit is Exit.UNKNOWN
    again = stage.apply()
    assert (again.exit, stage.submissions) == (Exit.UNKNOWN, 1)


def test_resend_sends_again_on_a_persons_word(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN, scenario=LOST)
    stage.apply()
    done = stage.apply(resend=("hero",))
    assert (done.exit, stage.submissions) == (Exit.DONE, 4)


def test_forget_lets_the_next_apply_send_anew(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN, scenario=LOST)
    stage.apply()

    assert stage.forget("hero") == 1
    done = stage.apply()
    assert (done.exit, stage.submissions) == (Exit.DONE, 4)


def test_interrupt_leaves_tasks_at_the_api_and_the_next_apply_takes_them_up(tmp_path: Path) -> None:
    def on_event(interrupt: object, event: ev.Event) -> None:
        if isinstance(event, ev.Submitted) and callable(interrupt):
            interrupt(130)

    stage = Stage(tmp_path, CHAIN, on_event=on_event)
    done = stage.apply()
    assert done.exit is Exit.INTERRUPTED
    assert stage.submissions == 1
    stage.on_event = None
    plan = stage.plan()
    assert [step.decision.value for step in plan.steps.values()] == ["resume", "undecided", "undecided"]
    assert stage.apply().exit is Exit.DONE
    assert stage.submissions == 3


def test_tasks_of_a_manifest_that_changed_are_collected_all_the_same(tmp_path: Path) -> None:
    def on_event(interrupt: object, event: ev.Event) -> None:
        if isinstance(event, ev.Submitted) and callable(interrupt):
            interrupt(130)

    stage = Stage(tmp_path, CHAIN, on_event=on_event)
    stage.apply()
    stage.on_event = None
    stage.edit("a red fox", "a blue fox")
    done = stage.apply()
    assert done.exit is Exit.DONE
    assert [status for _, status, _ in done.summary.recovered] == ["collected"]
    stage.edit("a blue fox", "a red fox")
    done = stage.apply()
    assert "hero" not in {name for name, state in done.summary.states.items() if state is NodeState.SUCCEEDED}


NOTHING = """
    flowrun: 1
    name: chain
    nodes:
      none: {uses: text_to_image, when: false, with: {model: gen4_image, promptText: none, ratio: "1280:720"}}
"""


def interrupted_and_unwanted(root: Path) -> Stage:
    """With a task at the API that no manifest wants any more."""

    def on_event(interrupt: object, event: ev.Event) -> None:
        if isinstance(event, ev.Submitted) and callable(interrupt):
            interrupt(130)

    stage = Stage(root, CHAIN, on_event=on_event)
    assert stage.apply().exit is Exit.INTERRUPTED
    stage.on_event = None
    stage.now += 600.0
    stage.write(NOTHING)
    return stage


def test_an_unwanted_task_that_the_api_lost_is_told_with_its_cost(tmp_path: Path) -> None:
    stage = interrupted_and_unwanted(tmp_path)
    shutil.rmtree(tmp_path / ".flowrun" / "sandbox" / "api")
    [(address, status, detail)] = stage.apply().summary.recovered
    assert (address, status) == ("hero#1", "failed")
    assert "about 5 credits" in detail
    assert not stage.apply().summary.recovered, "it is settled"


def test_an_unwanted_task_is_followed_whatever_its_timeout(tmp_path: Path) -> None:
    """Nobody waits for it, so nobody waits too long."""

    def on_event(interrupt: object, event: ev.Event) -> None:
        if isinstance(event, ev.Submitted) and callable(interrupt):
            interrupt(130)

    flow = CHAIN.replace("uses: text_to_image", "uses: text_to_image\n        timeout: 1s", 1)
    stage = Stage(tmp_path, flow, on_event=on_event)
    assert stage.apply().exit is Exit.INTERRUPTED
    stage.on_event = None
    stage.write(CHAIN.replace("a red fox", "a blue fox"))
    assert [status for _, status, _ in stage.apply().summary.recovered] == ["collected"]


def test_an_unwanted_task_that_finds_no_room_stays_on_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = interrupted_and_unwanted(tmp_path)

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(DiskBlobWriter, "write", full)
        [(_, status, detail)] = stage.apply().summary.recovered
    assert status == "left"
    assert "The disk is full" in detail
    assert [status for _, status, _ in stage.apply().summary.recovered] == ["collected"]
    assert stage.submissions == 1


def test_overload_is_sent_again_and_paid_once(tmp_path: Path) -> None:
    stage = Stage(
        tmp_path, CHAIN, scenario="faults: [{on: generations, match: {nth: 1}, do: {status: 503, times: 2}}]\n"
    )
    done = stage.apply()
    assert (done.exit, stage.submissions) == (Exit.DONE, 3)


def test_internal_failure_is_tried_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN, scenario="faults: [{on: text_to_image, match: {nth: 1}, do: {fail: INTERNAL}}]\n")
    done = stage.apply()
    assert (done.exit, stage.submissions) == (Exit.DONE, 4)
    assert done.summary.credits == 5 + 25 + 25


def test_twins_share_one_generation(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN.replace("jumps", "runs"))
    done = stage.apply()
    assert (done.exit, stage.submissions) == (Exit.DONE, 2)
    assert {"chain/shots/a.mp4", "chain/shots/b.mp4"} <= set(stage.exports())


def test_takes_are_independent_and_the_first_flows_on(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN.replace("uses: text_to_image\n", "uses: text_to_image\n        takes: 2\n"))
    assert stage.apply().exit is Exit.DONE
    assert stage.submissions == 4
    stage.edit("takes: 2", "takes: 3")
    assert stage.apply().summary.submitted == 1


def test_declined_plan_spends_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN)
    with pytest.raises(FlowrunError) as stopped:
        stage.apply(confirm=lambda proposal: False)
    assert stopped.value.exit is Exit.STOPPED
    assert stage.submissions == 0


def test_a_mistake_stops_everything_before_anything_is_spent(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN.replace("duration: 5", "duration: 50"))
    with pytest.raises(DiagnosticError) as wrong:
        stage.apply()
    assert {each.code for each in wrong.value.diagnostics} == {"out-of-range"}
    assert not (tmp_path / ".flowrun" / "sandbox" / "api").exists() or stage.submissions == 0


TWINS = """
    flowrun: 1
    name: twins
    nodes:
      a: &still
        uses: text_to_image
        with: {model: gen4_image, promptText: "a fox", ratio: "1280:720"}
      b: *still
      c: &film
        uses: image_to_video
        with: {model: gen4_turbo, promptImage: "{{ nodes.a.output }}", ratio: "1280:720", duration: 2, promptText: c}
      d:
        uses: image_to_video
        with: {model: gen4_turbo, promptImage: "{{ nodes.b.output }}", ratio: "1280:720", duration: 2, promptText: d}
"""


def test_forcing_one_twin_reaches_what_hangs_on_the_other_in_the_same_run(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWINS)
    stage.apply()
    assert stage.submissions == 3
    plan = stage.plan(force=("b",))
    assert {str(at): step.decision.value for at, step in plan.steps.items()} == {
        "a": "run",
        "b": "run",
        "c": "undecided",
        "d": "undecided",
    }
    assert plan.submissions == 1
    assert stage.apply(force=("b",)).summary.submitted == 3
    assert stage.apply().summary.submitted == 0


def test_a_contact_sheet_of_all_takes_waits_for_all_of_them(tmp_path: Path) -> None:
    sheet = """
      sheet:
        uses: text_to_image
        with:
          model: gen4_image
          promptText: "a sheet of {{ nodes.hero.takes | length }}"
          ratio: "1280:720"
    outputs:
"""
    text = CHAIN.replace("uses: text_to_image\n", "uses: text_to_image\n        takes: 2\n").replace(
        "    outputs:\n", sheet[1:]
    )
    stage = Stage(tmp_path, text)
    done = stage.apply()
    assert (done.exit, stage.submissions) == (Exit.DONE, 5)
    assert done.summary.states["sheet"] is NodeState.SUCCEEDED
