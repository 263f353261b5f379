"""Ways in which work could be lost or paid twice, each once seen to happen: they must not come back."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from flowrun.engine import events as ev
from flowrun.engine.states import NodeState
from flowrun.ledger.transactions import FactLedger
from flowrun.production.exits import Exit
from flowrun.production.options import Surroundings
from flowrun.store.records import DiskPicks
from tests.production.test_main_path import CHAIN
from tests.support.stage import Stage

TWO = """
    flowrun: 1
    name: two
    nodes:
      a:
        uses: text_to_image
        with: {model: gen4_image, promptText: "alpha", ratio: "1280:720"}
      b:
        uses: text_to_image
        with: {model: gen4_image, promptText: "beta", ratio: "1280:720"}
"""


def _interrupt_at_submitted(interrupt: object, event: ev.Event) -> None:
    if isinstance(event, ev.Submitted) and callable(interrupt):
        interrupt(130)


@pytest.mark.parametrize("status", [400, 402, 405, 409, 422])
def test_an_odd_answer_to_a_poll_ends_nothing(tmp_path: Path, status: int) -> None:
    faults = f"""
faults:
  - {{on: tasks, match: {{prompt: alpha, nth: 1}}, do: {{status: {status}}}}}
  - {{on: text_to_image, match: {{prompt: beta}}, do: {{delay: 60}}}}
"""
    stage = Stage(tmp_path, TWO, scenario=faults)
    assert stage.apply().exit is Exit.DONE
    assert stage.submissions == 2


def test_a_poll_that_is_refused_for_ever_fails_its_node_alone_and_the_task_stays(tmp_path: Path) -> None:
    fault = "faults: [{on: tasks, match: {prompt: alpha}, do: {status: 400}}]\n"
    stage = Stage(tmp_path, TWO, scenario=fault)
    done = stage.apply()
    assert done.exit is Exit.FAILED
    assert done.summary.states == {"a": NodeState.FAILED, "b": NodeState.SUCCEEDED}
    stage.scenario = ""
    assert stage.apply().exit is Exit.DONE
    assert stage.submissions == 2


@pytest.mark.parametrize("where", ["pick", "decide"])
def test_a_momentary_error_leaves_requests_on_the_wire_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    stage = Stage(tmp_path, CHAIN + "", scenario="faults: [{on: image_to_video, match: {nth: 1}, do: {delay: 60}}]\n")
    kind, name = (DiskPicks, "set") if where == "pick" else (FactLedger, "last")
    real, calls = getattr(kind, name), [0]

    def once(*args: object, **kwargs: object) -> object:
        calls[0] += 1
        if calls[0] == (1 if where == "pick" else 4):
            raise OSError(errno.ENOSPC, "No space left on device", "somewhere")
        return real(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(kind, name, once)
        done = stage.apply()
    assert done.exit is Exit.SURROUNDINGS
    ended = [event for event in stage.events if isinstance(event, ev.RunEnded)]
    assert ended[-1].exit == Exit.SURROUNDINGS
    again = stage.apply()
    assert again.exit is Exit.DONE, again.summary
    assert stage.submissions == 3


def test_an_unforeseen_error_is_raised_only_when_what_is_on_the_wire_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flowrun.plan.planner import Planner

    stage = Stage(tmp_path, TWO, scenario="faults: [{on: text_to_image, match: {prompt: alpha}, do: {delay: 60}}]\n")
    real = Planner.decide

    def broken(self: Planner, address: object) -> object:
        if str(address) == "b":
            raise ZeroDivisionError("a bug")
        return real(self, address)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Planner, "decide", broken)
        with pytest.raises(ExceptionGroup):
            stage.apply()
    assert [event.exit for event in stage.events if isinstance(event, ev.RunEnded)] == [Exit.BUG]
    plan = stage.plan()
    assert [step.decision.value for step in plan.steps.values()] in (["hit", "run"], ["run", "run"], ["resume", "run"])
    assert stage.apply().exit is Exit.DONE
    assert stage.submissions == 2


def test_an_old_task_that_nobody_tells_about_holds_no_run_up(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO, on_event=_interrupt_at_submitted)
    stage.apply()
    stage.on_event = None
    stage.edit("alpha", "gamma")
    stage.edit("beta", "delta")
    stage.scenario = (
        "faults: [{on: tasks, match: {prompt: alpha}, do: {status: 503}}, "
        "{on: tasks, match: {prompt: beta}, do: {status: 503}}]\n"
    )
    before = stage.now
    assert stage.apply().exit is Exit.DONE
    assert stage.now - before < 300


TWINS = """
    flowrun: 1
    name: knot
    nodes:
      a1: {uses: text_to_image, needs: [b2], with: &one {model: gen4_image, promptText: one, ratio: "1280:720"}}
      a2: {uses: text_to_image, needs: [b1], with: &two {model: gen4_image, promptText: two, ratio: "1280:720"}}
      b1: {uses: text_to_image, with: *one}
      b2: {uses: text_to_image, with: *two}
"""


def test_twins_never_wait_for_each_other_in_a_circle(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWINS)
    assert stage.apply().exit is Exit.DONE
    assert stage.submissions == 2
    done = stage.apply(force=("a1", "a2"))
    assert (done.exit, done.summary.submitted) == (Exit.DONE, 2)
    assert not done.summary.pending
    assert stage.apply().summary.submitted == 0


def test_a_task_in_flight_that_fails_is_not_generated_anew_for_whom_was_not_selected(tmp_path: Path) -> None:
    fault = "faults: [{on: text_to_image, match: {prompt: alpha, nth: 1}, do: {fail: INTERNAL}}]\n"
    stage = Stage(tmp_path, TWO, scenario=fault, on_event=_interrupt_at_submitted)
    stage.apply(select=("a",))
    assert stage.submissions == 1
    stage.on_event = None
    done = stage.apply(select=("b",))
    assert done.summary.submitted == 1
    assert done.summary.states["a"] is NodeState.FAILED
    assert [each["prompt"] for each in stage.sandbox["submissions"]] == ["alpha", "beta"]


def test_a_forced_result_flows_on_where_a_later_apply_collects_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO)
    stage.apply()
    [old] = {
        step.takes[0].result.id for at, step in stage.plan().steps.items() if str(at) == "a" and step.takes[0].result
    }
    stage.on_event = _interrupt_at_submitted
    stage.apply(force=("a",))
    stage.on_event = None
    stage.edit("alpha", "gamma")
    stage.now += 60  # by now the task has ended
    assert [status for _, status, _ in stage.apply().summary.recovered] == ["collected"]
    stage.edit("gamma", "alpha")
    step = next(step for at, step in stage.plan().steps.items() if str(at) == "a")
    assert step.takes[0].result is not None
    assert step.takes[0].result.id != old


def test_a_result_that_is_here_is_used_although_its_task_was_never_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, TWO)

    def dies(*args: object, **kwargs: object) -> object:
        raise OSError(errno.EIO, "Input/output error", "ledger")

    with monkeypatch.context() as patched:
        patched.setattr(FactLedger, "settle", dies)
        assert stage.apply().exit is Exit.SURROUNDINGS
    stage.scenario = "faults: [{on: tasks, do: {status: 404}}]\n"
    plan = stage.plan()
    assert "hit" in {step.decision.value for step in plan.steps.values()}
    done = stage.apply()
    assert not [each for each in done.summary.troubles.values() if each.code == "TASK_GONE" and each.address == "a"]


def test_one_output_that_cannot_be_had_leaves_the_others_alone(tmp_path: Path) -> None:
    fault = "faults: [{on: download, match: {prompt: alpha}, do: {wrong_content: html}}]\n"
    stage = Stage(tmp_path, TWO, scenario=fault)
    done = stage.apply()
    assert done.exit is Exit.FAILED
    assert done.summary.states == {"a": NodeState.FAILED, "b": NodeState.SUCCEEDED}
    stage.scenario = ""
    done = stage.apply()
    assert (done.exit, stage.submissions) == (Exit.DONE, 2)


def test_nothing_is_generated_that_the_plan_did_not_show(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWO)
    stage.apply(select=("a",))

    def lose(proposal: object) -> bool:
        for blob in (tmp_path / ".flowrun/sandbox/blobs").rglob("*"):
            if blob.is_file():
                blob.unlink()
        return True

    done = stage.apply(confirm=lose)
    assert done.exit is Exit.FAILED
    assert done.summary.submitted == 1
    assert done.summary.troubles["a"].code == "changed-since-plan"
    done = stage.apply(confirm=lose)
    assert (done.exit, done.summary.submitted) == (Exit.FAILED, 1)
    assert stage.apply().exit is Exit.DONE


def test_a_retry_that_no_credits_are_left_for_has_failed_nobody(tmp_path: Path) -> None:
    fault = "faults: [{on: text_to_image, match: {nth: [1, 2]}, do: {fail: INTERNAL}}]\n"
    wide = TWO + "".join(
        f'      {name}: {{uses: text_to_image, with: {{model: gen4_image, promptText: {name}, ratio: "1280:720"}}}}\n'
        for name in ("c", "d")
    )
    stage = Stage(tmp_path, wide, scenario=fault)
    done = stage.apply(max_credits=10)
    assert done.exit is Exit.STOPPED
    assert done.exits == (Exit.STOPPED,)


def test_a_run_that_was_cut_short_tells_what_it_paid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flowrun.production.queries import past_runs
    from flowrun.store.runs import DiskRuns

    stage = Stage(tmp_path, TWO)
    monkeypatch.setattr(DiskRuns, "end", lambda *args: None)
    stage.apply()
    [row] = past_runs(None, 5, stage.options(), Surroundings(environ={}, cwd=tmp_path))
    assert (row.exit, row.submitted, row.credits) == (None, 2, 10)


def test_a_late_twin_does_not_pay_where_its_maker_failed(tmp_path: Path) -> None:
    node = '{uses: text_to_image, with: {model: gen4_image, promptText: alpha, ratio: "1280:720"}'
    text = f"flowrun: 1\nname: twins\nnodes:\n  a0: {node}}}\n" + "".join(
        f'  b{n}: {{uses: text_to_image, with: {{model: gen4_image, promptText: b{n}, ratio: "1280:720"}}}}\n'
        f"  a{n}: {node}, needs: [b{n}]}}\n"
        for n in (1, 2, 3)
    )
    stage = Stage(tmp_path, text, scenario="faults: [{on: tasks, match: {prompt: alpha}, do: {status: 404}}]\n")
    plan = stage.plan()
    done = stage.apply()
    assert done.exit is Exit.FAILED
    assert stage.submissions == plan.submissions == 4


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("odd")])
def test_whoever_shows_the_run_cannot_end_it(tmp_path: Path, error: Exception) -> None:
    def deaf(interrupt: object, event: ev.Event) -> None:
        if isinstance(event, ev.Submitted):
            raise error

    fault = "faults: [{on: text_to_image, match: {prompt: beta}, do: {delay: 60}}]\n"
    stage = Stage(tmp_path, TWO, scenario=fault, on_event=deaf)
    with pytest.raises(type(error)):
        stage.apply()
    assert {step.decision.value for step in stage.plan().steps.values()} == {"hit"}
    assert stage.submissions == 2


def test_a_forced_result_flows_although_its_pick_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, TWO)
    stage.apply()

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "picks")

    with monkeypatch.context() as patched:
        patched.setattr(DiskPicks, "set", full)
        done = stage.apply(force=("a",))
    assert done.exit is Exit.SURROUNDINGS
    [step] = [step for at, step in stage.plan().steps.items() if str(at) == "a"]
    assert step.takes[0].result is not None
    assert step.takes[0].result.forced


def test_force_after_the_project_was_renamed_in_flight(tmp_path: Path) -> None:
    old = Stage(tmp_path / "old", TWO, on_event=_interrupt_at_submitted)
    old.apply()
    (tmp_path / "old").rename(tmp_path / "new")
    new = Stage(tmp_path / "new", TWO, now=old.now)
    assert new.apply().exit is Exit.DONE
    assert new.submissions == 2
    assert new.apply(force=("a",)).summary.submitted == 1


def test_a_forced_take_beyond_those_asked_for_is_in_the_plan(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN)
    plan = stage.plan(force=("shot[a]#2",))
    assert plan.most_submissions == 4
    done = stage.apply(force=("shot[a]#2",))
    assert (done.exit, done.summary.submitted) == (Exit.DONE, 4)


def test_a_take_that_failed_for_good_is_told_although_another_flows(tmp_path: Path) -> None:
    fault = "faults: [{on: text_to_image, match: {prompt: alpha, nth: 1}, do: {fail: INTERNAL}}]\n"
    text = TWO.replace(
        "a:\n        uses: text_to_image\n", "a:\n        uses: text_to_image\n        takes: 2\n        retry: 0\n", 1
    )
    stage = Stage(tmp_path, text, scenario=fault)
    done = stage.apply()
    assert done.exit is Exit.FAILED
    assert done.summary.states["a"] is NodeState.SUCCEEDED


def test_a_task_that_timed_out_still_frees_its_slot(tmp_path: Path) -> None:
    text = """
        flowrun: 1
        name: slow
        limits: {concurrency: {gen4_image: 1}}
        nodes:
          b:
            foreach: 3
            uses: text_to_image
            timeout: 5s
            with: {model: gen4_image, promptText: "b {{ each.key }}", ratio: "1280:720"}
    """
    stage = Stage(tmp_path, text, scenario="")
    done = stage.apply()
    assert done.exit is Exit.FAILED
    assert stage.submissions == 3
    assert stage.sandbox["peak"]["gen4_image"] == 1
    stage.now += 60
    assert stage.apply().exit is Exit.DONE
    assert stage.submissions == 3


def test_a_clash_known_only_after_the_run_costs_no_other_export(tmp_path: Path) -> None:
    text = """
        flowrun: 1
        name: clash
        nodes:
          a:
            foreach: 2
            uses: text_to_image
            with: {model: gen4_image, promptText: "a {{ each.key }}", ratio: "1280:720"}
        outputs:
          good: "{{ nodes.a['1'].output }}"
          w: {from: "{{ nodes.a.outputs }}", path: "x{{ nodes.a['1'].output.width }}"}
    """
    stage = Stage(tmp_path, text)
    done = stage.apply()
    assert Exit.WRONG in done.exits
    assert Exit.BUG not in done.exits
    assert "clash/good/1.png" in stage.exports()


def test_takes_with_one_seed_are_warned_of(tmp_path: Path) -> None:
    text = TWO.replace('promptText: "alpha"', 'promptText: "alpha", seed: 7').replace(
        "a:\n        uses: text_to_image\n", "a:\n        uses: text_to_image\n        takes: 2\n", 1
    )
    codes = [each.code for each in Stage(tmp_path, text).plan().warnings]
    assert codes == ["seed-repeated"]
