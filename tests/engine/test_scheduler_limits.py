"""Other limits, read in the middle of a run: whoever waits for the old ones is asked about once more."""

from __future__ import annotations

from flowrun.engine import events as ev
from flowrun.engine.commands import Admit
from flowrun.engine.scheduler import Scheduler
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
