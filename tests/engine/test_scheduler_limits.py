"""Other limits, read in the middle of a run: whoever waits for the old ones is asked about once more."""

from __future__ import annotations

from flowrun.engine import events as ev
from flowrun.engine.commands import Admit, Finish, Prepare, Stop, WakeAt
from flowrun.engine.failure import Verdict
from flowrun.engine.scheduler import DAILY_RECHECK, PAUSE_CEILING, Scheduler, pause_of
from flowrun.ui.retries import Retries
from tests.engine.test_scheduler import NOW, decided, feed, grow, spec


def waiting(event: ev.Event, **options: object) -> Scheduler:
    """One node that runs, so that there is time, and one that `event` holds up."""
    scheduler = Scheduler(**options)
    grow(scheduler, ("busy", (), 9.0), ("x", (), 1.0))
    decided(scheduler, "busy", spec(model="other"))
    feed(scheduler, ev.Granted(NOW, "busy#1", "new"))
    assert decided(scheduler, "x", spec()) == [Admit("x#1")]
    assert not any(isinstance(each, Admit) for each in feed(scheduler, event))
    return scheduler


def read(daily_left: int | None) -> ev.LimitsRead:
    return ev.LimitsRead(NOW, 100, (ev.ModelLimit("m", 5, daily_left),))


def test_what_was_over_the_balance_is_asked_about_again():
    assert feed(waiting(ev.OverCap(NOW, "x#1", "balance", 1)), read(3)) == [Admit("x#1")]


def test_a_full_model_is_asked_before_its_time():
    held = ev.Queued(NOW, "x#1", "concurrency", None)
    scheduler = waiting(held, recheck=None)
    assert feed(scheduler, read(3)) == [Admit("x#1")]
    assert feed(waiting(ev.Queued(NOW, "x#1", "daily", NOW + 9), wait_for_quota=True), read(3)) == [Admit("x#1")]


def test_a_day_that_was_over_is_open_again_only_with_room_in_it():
    for left, asked in ((3, [Admit("x#1")]), (None, [Admit("x#1")]), (0, [])):
        assert feed(waiting(ev.Queued(NOW, "x#1", "daily", NOW + 9)), read(left)) == asked


def test_nothing_is_asked_about_before_all_that_has_happened_is_known():
    scheduler = Scheduler()
    grow(scheduler, ("short", (), 1.0), ("long", (), 9.0))
    first = ev.Decided(NOW, "short", "run", None, (spec(),))
    assert scheduler.handle(first, NOW, more=True) == []
    assert decided(scheduler, "long", spec()) == [Admit("long#1")]


def test_where_credits_are_scarce_what_comes_first_is_asked_about_first():
    """`long` is decided after `short`, and prepared after that; until then nothing that ranks below it is asked about."""
    nodes = (("short", (), 1.0), ("long", (), 9.0))
    scheduler = Scheduler()
    grow(scheduler, *nodes)
    assert decided(scheduler, "short", spec()) == [Admit("short#1")]  # else no free slot is left idle
    scheduler = Scheduler(in_order=True)
    grow(scheduler, *nodes)
    assert decided(scheduler, "short", spec()) == []
    assert decided(scheduler, "long", spec(prepare=True)) == [Prepare("long#1")]
    assert feed(scheduler, ev.Prepared(NOW, "long#1")) == [Admit("long#1")]
    assert Admit("short#1") in feed(scheduler, ev.OverCap(NOW, "long#1", "run-cap", 3))


def test_a_task_in_flight_waits_for_nobody_even_then():
    scheduler = Scheduler(in_order=True)
    grow(scheduler, ("short", (), 1.0), ("long", (), 9.0))
    assert decided(scheduler, "short", spec(decision="resume")) == [Admit("short#1")]


def test_a_used_up_day_is_asked_about_when_its_next_place_is_free_and_not_each_minute():
    scheduler = Scheduler(wait_for_quota=True)
    grow(scheduler, ("x", (), 1.0))
    decided(scheduler, "x", spec())
    soon = feed(scheduler, ev.Queued(NOW, "x#1", "daily", NOW + 90.5))
    assert soon == [WakeAt(NOW + 90.5, model="m")]
    assert scheduler.handle(ev.Woke(NOW + 90.5, model="m"), NOW + 90.5) == [Admit("x#1")]
    later = feed(scheduler, ev.Queued(NOW, "x#1", "daily", NOW + 9000))
    assert later == [WakeAt(NOW + DAILY_RECHECK, model="m")]
    assert DAILY_RECHECK >= 300


def test_an_interrupt_ends_the_wait_for_a_new_day():
    scheduler = Scheduler(wait_for_quota=True)
    grow(scheduler, ("x", (), 1.0))
    decided(scheduler, "x", spec())
    feed(scheduler, ev.Queued(NOW, "x#1", "daily", NOW + 9000))
    assert feed(scheduler, ev.Interrupted(NOW)) == [Stop(now=False), Finish()]


def refused(delay: float = 60.0) -> ev.AttemptFailed:
    return ev.AttemptFailed(NOW, "x#1", Verdict.PAUSE_MODEL.value, "quota", "The day is over.", delay=delay)


def test_a_model_that_the_api_refuses_again_rests_longer_each_time():
    scheduler, shown = Scheduler(wait_for_quota=True), Retries()
    shown.started(ev.RunStarted(NOW, "r", "f", "", "runway", None, waits=True))
    grow(scheduler, ("x", (), 1.0))
    decided(scheduler, "x", spec())
    now, rests = NOW, []
    for _ in range(6):
        feed(scheduler, ev.Granted(now, "x#1", "new"))
        (wake,) = scheduler.handle(refused(), now)
        rests.append(wake.at - now)
        assert shown.pause(refused()) == rests[-1]  # as it is told to whoever watches
        now = wake.at
        assert scheduler.handle(ev.Woke(now, model="m"), now) == [Admit("x#1")]
    assert rests == [60.0, 120.0, 240.0, 480.0, PAUSE_CEILING, PAUSE_CEILING]
    feed(scheduler, ev.Granted(now, "x#1", "new"))
    feed(scheduler, ev.Submitted(now, "x#1", "t", 5))
    assert pause_of(60.0, 1) == 60.0
    assert pause_of(3600.0, 9) == 3600.0  # never sooner than the API asked
    assert Retries().pause(refused()) is None  # who does not wait asks no more
