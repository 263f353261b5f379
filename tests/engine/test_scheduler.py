"""The scheduler's promises one by one, with answers given by hand."""

from __future__ import annotations

import pytest

from flowrun.engine import events as ev
from flowrun.engine.commands import Admit, CarryOut, Decide, Finish, Prepare, Settle, Stop, WakeAt
from flowrun.engine.failure import Verdict
from flowrun.engine.ready import ready
from flowrun.engine.scheduler import RESENDS, InvariantError, Scheduler
from flowrun.engine.states import IllegalMoveError, NodeState

NOW = 100.0


def grow(scheduler: Scheduler, *items: tuple[str, tuple[str, ...], float]) -> list:
    first = len(scheduler.instances)
    rows = tuple(ev.Item(name, up, seconds, first + place) for place, (name, up, seconds) in enumerate(items))
    return scheduler.handle(ev.Expanded(NOW, rows), NOW)


def decided(scheduler: Scheduler, name: str, *units: ev.UnitSpec, word: str = "run", **more: object) -> list:
    return scheduler.handle(ev.Decided(NOW, name, word, None, units, **more), NOW)


def spec(take: int = 1, decision: str = "run", model: str = "m", credits: int | None = 5, **more: bool) -> ev.UnitSpec:
    return ev.UnitSpec(take, decision, model, credits, **more)


def failed(unit: str, verdict: Verdict, **more: object) -> ev.AttemptFailed:
    return ev.AttemptFailed(NOW, unit, verdict.value, "code", "text", **more)


def running(**options: object) -> Scheduler:
    """One node, one take, granted."""
    scheduler = Scheduler(**options)
    grow(scheduler, ("x", (), 1.0))
    assert decided(scheduler, "x", spec()) == [Admit("x#1")]
    assert scheduler.handle(ev.Granted(NOW, "x#1", "new"), NOW) == [CarryOut("x#1")]
    return scheduler


def stored(unit: str, credits: int | None = None) -> tuple[ev.Event, ...]:
    return ev.Ended(NOW, unit, "t", "SUCCEEDED"), ev.Stored(NOW, unit, "t", "r", (), credits)


def feed(scheduler: Scheduler, *events: ev.Event, now: float = NOW) -> list:
    """The orders of the last of them."""
    commands: list = []
    for event in events:
        commands = scheduler.handle(event, now)
        scheduler.check_invariants()
    return commands


def test_an_empty_graph_is_done():
    assert grow(Scheduler()) == [Finish()]


def test_a_node_is_decided_asked_for_carried_out_settled_and_that_is_all():
    scheduler = running()
    assert feed(scheduler, *stored("x#1")) == [Settle("x", NodeState.SUCCEEDED, 1), Finish()]
    assert feed(scheduler, ev.Woke(NOW, model="m")) == []


def test_facts_that_move_nothing_give_no_orders():
    scheduler = running()
    others = (ev.RunStarted(NOW, "r", "f", "", "p", None), ev.Progressed(NOW, "x#1", "t", "RUNNING", 0.5))
    assert [feed(scheduler, event) for event in others] == [[], []]


def test_the_longest_remaining_path_starts_first_then_the_manifests_order_then_the_take():
    scheduler = Scheduler()
    grow(scheduler, ("short", (), 5.0), ("a", (), 1.0), ("b", (), 1.0), ("below", ("b",), 9.0))
    for name in ("a", "short"):
        decided(scheduler, name, spec())
    decided(scheduler, "b", spec(2), spec(1))
    assert scheduler.startable() == ("b#1", "b#2", "short#1", "a#1")
    asked = []
    for _ in range(4):  # a#1 was asked for first, when there was nobody else
        asked.append(scheduler._asking)
        feed(scheduler, ev.Granted(NOW, asked[-1], "new"))
    assert asked == ["a#1", "b#1", "b#2", "short#1"]


def test_a_graph_that_grows_below_a_node_pulls_it_forward():
    scheduler = Scheduler()
    grow(scheduler, ("one", (), 2.0), ("two", (), 1.0))
    for name in ("one", "two"):
        decided(scheduler, name, spec())
    assert scheduler.startable() == ("one#1", "two#1")
    grow(scheduler, ("long", ("two",), 60.0))
    scheduler.check_invariants()
    assert scheduler.startable() == ("two#1", "one#1")


def test_what_grows_below_a_settled_node_is_decided_at_once():
    scheduler = Scheduler()
    grow(scheduler, ("one", (), 2.0), ("open", (), 2.0))
    decided(scheduler, "one", spec(decision="hit"), word="hit")
    assert grow(scheduler, ("below", ("one",), 1.0), ("waits", ("open",), 1.0)) == [Decide("below")]


def test_a_model_that_is_full_lets_others_pass():
    scheduler = Scheduler()
    grow(scheduler, ("x", (), 9.0), ("y", (), 1.0))
    decided(scheduler, "x", spec(model="full"))
    decided(scheduler, "y", spec(model="free"))
    commands = feed(scheduler, ev.Queued(NOW, "x#1", "concurrency", None))
    assert commands == [WakeAt(NOW + 5.0, model="full"), Admit("y#1")]


def test_one_question_at_a_time():
    scheduler = running()
    grow(scheduler, ("y", (), 2.0), ("z", (), 1.0))
    assert decided(scheduler, "y", spec()) == [Admit("y#1")]
    assert decided(scheduler, "z", spec()) == []
    assert feed(scheduler, failed("x#1", Verdict.FAIL)) == [Settle("x", NodeState.FAILED, None)]
    assert feed(scheduler, ev.Granted(NOW, "y#1", "new")) == [CarryOut("y#1"), Admit("z#1")]


def test_a_full_model_is_asked_again_when_its_time_comes_or_something_ends():
    scheduler = running()
    grow(scheduler, ("y", (), 1.0))
    decided(scheduler, "y", spec())
    assert feed(scheduler, ev.Queued(NOW, "y#1", "concurrency", NOW + 0.5)) == [WakeAt(NOW + 0.5, model="m")]
    assert feed(scheduler, ev.Woke(NOW, model="m"), now=NOW + 0.4) == []
    assert feed(scheduler, ev.Woke(NOW, model="m"), now=NOW + 0.5) == [Admit("y#1")]
    feed(scheduler, ev.Queued(NOW, "y#1", "concurrency", None))
    assert feed(scheduler, ev.Ended(NOW, "x#1", "t", "FAILED")) == [Admit("y#1")]


def test_a_task_in_flight_is_taken_up_past_a_full_model():
    scheduler = Scheduler(recheck=None)
    grow(scheduler, ("x", (), 9.0), ("y", (), 1.0))
    decided(scheduler, "x", spec())
    feed(scheduler, ev.Queued(NOW, "x#1", "concurrency", None))
    assert decided(scheduler, "y", spec(decision="resume"), word="resume") == [Admit("y#1")]
    assert feed(scheduler, ev.Granted(NOW, "y#1", "resumed")) == [CarryOut("y#1")]
    assert feed(scheduler, ev.Ended(NOW, "y#1", "t", "SUCCEEDED")) == [Admit("x#1")]


def test_a_task_that_was_gone_waits_with_the_others_and_is_not_asked_for_again_and_again():
    scheduler = Scheduler()
    grow(scheduler, ("x", (), 9.0))
    decided(scheduler, "x", spec(decision="resume"), word="resume")
    assert feed(scheduler, ev.Queued(NOW, "x#1", "concurrency", None)) == [WakeAt(NOW + 5.0, model="m")]


def test_a_task_that_was_gone_and_sent_anew_rests_with_its_model():
    scheduler = Scheduler(wait_for_quota=True)
    grow(scheduler, ("x", (), 9.0))
    decided(scheduler, "x", spec(decision="resume"), word="resume")
    feed(scheduler, ev.Granted(NOW, "x#1", "new"))
    assert feed(scheduler, failed("x#1", Verdict.PAUSE_MODEL, delay=60.0)) == [WakeAt(NOW + 60.0, model="m")]


def test_a_model_whose_day_is_used_up_rests_whatever_ends_meanwhile():
    scheduler = Scheduler(wait_for_quota=True)
    grow(scheduler, ("x", (), 1.0), ("y", (), 1.0))
    for name in "xy":
        decided(scheduler, name, spec())
    feed(scheduler, ev.Granted(NOW, "x#1", "new"), ev.Granted(NOW, "y#1", "new"))
    feed(scheduler, failed("x#1", Verdict.PAUSE_MODEL, delay=60.0, charged=0))
    assert feed(scheduler, ev.Ended(NOW, "y#1", "t", "SUCCEEDED")) == []
    assert feed(scheduler, ev.Woke(NOW, model="m"), now=NOW + 60.0) == [Admit("x#1")]


@pytest.mark.parametrize("how", ["queued", "refused"])
def test_without_waiting_a_used_up_day_ends_the_run_with_nothing_failed(how):
    scheduler = running() if how == "refused" else Scheduler()
    if how == "refused":
        assert feed(scheduler, failed("x#1", Verdict.PAUSE_MODEL, delay=60.0)) == [Finish()]
    else:
        grow(scheduler, ("x", (), 1.0))
        decided(scheduler, "x", spec())
        assert feed(scheduler, ev.Queued(NOW, "x#1", "daily", None)) == [Finish()]
    assert scheduler.units["x#1"].state is NodeState.QUEUED
    assert scheduler.instances["x"].outcome is None


@pytest.mark.parametrize(("charged", "again"), [(5, False), (None, False), (4, True), (0, True)])
def test_what_is_over_a_cap_is_asked_again_only_when_money_came_back(charged, again):
    scheduler = running()
    grow(scheduler, ("y", (), 1.0))
    decided(scheduler, "y", spec())
    assert feed(scheduler, ev.OverCap(NOW, "y#1", "run-cap", 1)) == []
    assert scheduler.startable() == ()
    expected = Admit("y#1") if again else Finish()
    assert feed(scheduler, *stored("x#1", charged))[-1] == expected


@pytest.mark.parametrize(("charged", "again"), [(5, False), (None, False), (3, True), (0, True)])
def test_a_failure_that_cost_less_than_was_reserved_brings_money_back(charged, again):
    scheduler = running()
    grow(scheduler, ("y", (), 1.0))
    decided(scheduler, "y", spec())
    feed(scheduler, ev.OverCap(NOW, "y#1", "run-cap", 1))
    commands = feed(scheduler, failed("x#1", Verdict.FAIL, charged=charged))
    assert commands[-1] == (Admit("y#1") if again else Finish())


def test_a_lower_estimate_of_the_apis_brings_money_back():
    scheduler = running()
    grow(scheduler, ("y", (), 1.0))
    decided(scheduler, "y", spec())
    feed(scheduler, ev.OverCap(NOW, "y#1", "run-cap", 1))
    assert feed(scheduler, ev.Submitted(NOW, "x#1", "t", 5)) == []
    assert feed(scheduler, ev.Submitted(NOW, "x#1", "t", 3)) == [Admit("y#1")]


def test_media_are_brought_before_a_slot_is_asked_for():
    scheduler = Scheduler()
    grow(scheduler, ("x", (), 1.0))
    assert decided(scheduler, "x", spec(prepare=True)) == [Prepare("x#1")]
    assert scheduler.startable() == ()
    assert feed(scheduler, ev.Prepared(NOW, "x#1")) == [Admit("x#1")]


def test_media_that_cannot_be_brought_fail_the_node():
    scheduler = Scheduler()
    grow(scheduler, ("x", (), 1.0))
    decided(scheduler, "x", spec(prepare=True))
    assert feed(scheduler, failed("x#1", Verdict.FAIL)) == [Settle("x", NodeState.FAILED, None), Finish()]


def test_resends_double_up_to_a_ceiling_and_end_with_the_surroundings():
    scheduler, delays, now = running(), [], NOW
    for _ in range(RESENDS):
        (wake,) = feed(scheduler, failed("x#1", Verdict.RESEND, delay=20.0, charged=0), now=now)
        delays.append(wake.at - now)
        now = wake.at
        assert feed(scheduler, ev.Woke(now, unit="x#1"), now=now) == [Admit("x#1")]
        feed(scheduler, ev.Granted(now, "x#1", "new"), now=now)
    assert delays == [20.0, 40.0, 80.0, 160.0, 300.0, 300.0]
    assert feed(scheduler, failed("x#1", Verdict.RESEND), now=now) == [Settle("x", NodeState.FAILED, None), Finish()]
    assert scheduler.stopping == "surroundings"


def test_a_resend_is_never_sooner_than_the_api_asked():
    assert feed(running(), failed("x#1", Verdict.RESEND, delay=3600.0)) == [WakeAt(NOW + 3600.0, unit="x#1")]


@pytest.mark.parametrize(("manifest", "policy", "tries"), [(None, 2, 2), (0, 2, 0), (5, 2, 5), (None, 0, 0)])
def test_retries_are_the_policys_number_unless_the_manifest_names_one(manifest, policy, tries):
    scheduler = Scheduler()
    grow(scheduler, ("x", (), 1.0))
    decided(scheduler, "x", spec(), retry=manifest)
    feed(scheduler, ev.Granted(NOW, "x#1", "new"))
    delays = []
    while isinstance(
        order := feed(scheduler, failed("x#1", Verdict.RETRY, attempts=policy, delay=30.0, rejected=True))[0], WakeAt
    ):
        delays.append(order.at - NOW)
        feed(scheduler, ev.Woke(NOW, unit="x#1"), ev.Granted(NOW, "x#1", "new"))
    assert order == Settle("x", NodeState.REJECTED, None)
    assert delays == [30.0, 60.0, 120.0, 240.0, 240.0][:tries]


@pytest.mark.parametrize(
    ("verdict", "state", "stopping"),
    [
        (Verdict.FAIL, NodeState.FAILED, "failed"),
        (Verdict.REJECT, NodeState.REJECTED, "failed"),
        (Verdict.DOUBT, NodeState.UNCERTAIN, "failed"),
        (Verdict.STOP, NodeState.FAILED, "surroundings"),
    ],
)
@pytest.mark.parametrize("fail_fast", [False, True])
def test_what_each_verdict_means_for_node_and_run(verdict, state, stopping, fail_fast):
    scheduler = running(fail_fast=fail_fast)
    grow(scheduler, ("other", (), 1.0))
    decided(scheduler, "other", spec())
    scheduler.handle(ev.Queued(NOW, "other#1", "concurrency", None), NOW)
    commands = feed(scheduler, failed("x#1", verdict))
    stops = fail_fast or verdict is Verdict.STOP
    assert commands == [Settle("x", state, None), Finish() if stops else Admit("other#1")]
    assert scheduler.stopping == (stopping if stops else None)


def test_a_node_that_cannot_be_decided_is_a_failure_too():
    scheduler = Scheduler(fail_fast=True)
    grow(scheduler, ("bad", (), 1.0), ("good", (), 1.0))
    decided(scheduler, "bad", word="failed")
    assert decided(scheduler, "good", spec()) == [Finish()]
    assert scheduler.stopping == "failed"


def test_a_purse_that_is_empty_stops_the_run_and_fails_nothing():
    scheduler = running()
    grow(scheduler, ("flying", (), 1.0), ("other", (), 1.0))
    decided(scheduler, "flying", spec())
    feed(scheduler, ev.Granted(NOW, "flying#1", "new"))
    decided(scheduler, "other", spec())
    scheduler.handle(ev.Queued(NOW, "other#1", "concurrency", None), NOW)
    assert feed(scheduler, failed("x#1", Verdict.PAUSE_RUN, charged=0)) == []
    assert scheduler.units["x#1"].state is NodeState.QUEUED
    assert feed(scheduler, *stored("flying#1")) == [Settle("flying", NodeState.SUCCEEDED, 1), Finish()]
    assert scheduler.stopping == "credits"


def test_a_stop_by_failure_still_settles_what_needs_no_request():
    scheduler = running(fail_fast=True)
    grow(scheduler, ("below", ("x",), 1.0), ("reused", ("below",), 1.0))
    assert feed(scheduler, failed("x#1", Verdict.FAIL)) == [Settle("x", NodeState.FAILED, None), Decide("below")]
    assert decided(scheduler, "below", word="blocked") == [Settle("below", NodeState.BLOCKED, None), Decide("reused")]
    assert decided(scheduler, "reused", spec(decision="hit"), word="hit")[-1] == Finish()


def test_interrupted_once_waits_for_what_is_on_its_way():
    scheduler = running()
    grow(scheduler, ("y", ("x",), 1.0))
    assert feed(scheduler, ev.Interrupted(NOW)) == [Stop(now=False)]
    assert feed(scheduler, ev.Ended(NOW, "x#1", "t", "SUCCEEDED")) == []
    assert feed(scheduler, ev.Stored(NOW, "x#1", "t", "r", (), None)) == [Settle("x", NodeState.SUCCEEDED, 1), Finish()]


def test_interrupted_twice_stops_now():
    scheduler = running()
    feed(scheduler, ev.Interrupted(NOW))
    assert feed(scheduler, ev.Interrupted(NOW, 2)) == [Stop(now=True)]
    assert feed(scheduler, ev.Left(NOW, "x#1", "t")) == [Finish()]
    assert scheduler.units["x#1"].left
    assert scheduler.instances["x"].outcome is None


def test_an_interrupt_waits_neither_for_uploads_nor_for_decisions():
    scheduler = Scheduler()
    grow(scheduler, ("x", (), 1.0), ("y", (), 1.0))
    decided(scheduler, "x", spec(prepare=True))
    assert feed(scheduler, ev.Interrupted(NOW)) == [Stop(now=False), Finish()]


def test_a_pick_flows_on_whatever_the_order():
    scheduler = Scheduler()
    grow(scheduler, ("x", (), 1.0))
    decided(scheduler, "x", spec(1), spec(2), pick=2)
    feed(scheduler, ev.Granted(NOW, "x#1", "new"), ev.Granted(NOW, "x#2", "new"))
    assert feed(scheduler, *stored("x#1")) == []
    assert feed(scheduler, *stored("x#2")) == [Settle("x", NodeState.SUCCEEDED, 2), Finish()]


def test_the_lowest_take_flows_on_once_those_below_it_have_ended():
    scheduler = Scheduler()
    grow(scheduler, ("x", (), 1.0))
    decided(scheduler, "x", spec(1), spec(2), spec(3))
    for take in (1, 2, 3):
        feed(scheduler, ev.Granted(NOW, f"x#{take}", "new"))
    assert feed(scheduler, *stored("x#2")) == []
    assert feed(scheduler, failed("x#1", Verdict.FAIL)) == [Settle("x", NodeState.SUCCEEDED, 2)]
    assert feed(scheduler, *stored("x#3")) == [Finish()]


def test_another_process_task_is_collected_and_reused():
    """The joiner sees the task end, collects it, and finds: from COLLECTING to REUSED."""
    scheduler = running()
    found = feed(scheduler, ev.Ended(NOW, "x#1", "t", "SUCCEEDED"), ev.Found(NOW, "x#1", "r"))
    assert found == [Settle("x", NodeState.REUSED, 1), Finish()]


def test_a_move_that_is_not_in_the_table_is_a_loud_bug():
    with pytest.raises(IllegalMoveError):
        running().handle(ev.Stored(NOW, "x#1", "t", "r", (), None), NOW)


@pytest.mark.parametrize("view", ["_busy", "_sleeping", "_preparing"])
def test_a_view_that_does_not_follow_from_the_states_is_found(view):
    scheduler = Scheduler()
    grow(scheduler, ("x", (), 1.0))
    decided(scheduler, "x", spec())
    scheduler.check_invariants()
    getattr(scheduler, view).add("x#1")
    if view == "_preparing":
        scheduler._queue.rebuild([])
        getattr(scheduler, view).clear()
    with pytest.raises(InvariantError):
        scheduler.check_invariants()


def test_waits_that_do_not_follow_from_outcomes_are_found():
    scheduler = Scheduler()
    grow(scheduler, ("x", (), 1.0), ("y", ("x",), 1.0))
    scheduler.instances["y"].waits.clear()
    with pytest.raises(InvariantError, match="y waits for"):
        scheduler.check_invariants()


def test_a_chain_of_ten_thousand():
    scheduler = Scheduler()
    names = [str(number) for number in range(10_000)]
    grow(scheduler, *((name, (names[place - 1],) if place else (), 1.0) for place, name in enumerate(names)))
    assert scheduler.instances["0"].priority == 10_000.0
    commands = decided(scheduler, "0", spec())
    assert commands == [Admit("0#1")]
    assert ready(scheduler.instances, scheduler.units) == ("0#1",)
