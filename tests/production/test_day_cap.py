"""`limits.credits_per_day`: what a project commits in any rolling 24 hours, whoever applies which of its manifests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from flowrun.engine import events as ev
from flowrun.production.applying import Applied
from flowrun.production.exits import Exit
from tests.production.test_main_path import FIVE
from tests.production.test_settings_in_use import configured
from tests.support.stage import Stage
from tests.support.virtual_time import VirtualClock, run_virtual

DAY = 24 * 3600.0
CAP = "limits.credits_per_day = 50\n"  # six stills of eight credits
WOLVES = FIVE.replace("name: five", "name: wolves").replace("fox", "wolf")


def over(events: Iterable[ev.Event]) -> list[ev.OverCap]:
    return [event for event in events if isinstance(event, ev.OverCap)]


def sent(stage: Stage) -> list[float]:
    return [event.at for event in stage.events if isinstance(event, ev.Submitted)]


def most_in_a_day(times: list[float]) -> int:
    return max(sum(end - DAY < at <= end for at in times) for end in times)


def test_two_applies_share_a_day_and_a_day_later_the_rest_runs(tmp_path: Path) -> None:
    stage = configured(tmp_path, CAP, FIVE)
    done = stage.apply()
    assert (done.exit, done.summary.submitted) == (Exit.STOPPED, 6)
    (first, *_) = over(stage.events)
    assert (first.cap, first.left, first.credits) == ("day-cap", 2, 8)
    assert first.until == pytest.approx(stage.events[0].at + DAY, abs=10)
    done = stage.apply(max_credits=500)  # another cap raises nothing
    assert (done.exit, done.summary.submitted) == (Exit.STOPPED, 0)
    stage.now += DAY  # a person comes back, or the clock jumps
    done = stage.apply()
    assert (done.exit, done.summary.submitted) == (Exit.DONE, 4)
    assert most_in_a_day(sent(stage)) == 6


def test_it_fits_again_just_when_it_was_said_to(tmp_path: Path) -> None:
    stage = configured(tmp_path, CAP, FIVE)
    stage.apply()
    until = min(event.until or 0.0 for event in over(stage.events))
    stage.now = until - 5
    assert stage.apply().summary.submitted == 0
    stage.now = until
    assert stage.apply().summary.submitted >= 1


def test_two_manifests_at_once_never_exceed_it(tmp_path: Path) -> None:
    foxes = configured(tmp_path, "limits.credits_per_day = 100\n", FIVE)
    wolves = Stage(tmp_path, WOLVES, file="wolves.yaml")

    async def main(clock: VirtualClock) -> list[Applied]:
        productions = [foxes.production(clock), wolves.production(clock)]
        return list(await asyncio.gather(*(each.apply_async() for each in productions)))

    done = run_virtual(main)
    assert Exit.STOPPED in {each.exit for each in done}
    assert foxes.submissions == 12  # of 20: 96 credits of 100
    assert all(each.summary.submitted >= 2 for each in done)  # both had a share


def test_applies_at_odd_hours_keep_to_it_by_the_hour_not_by_the_calendar(tmp_path: Path) -> None:
    stage = configured(tmp_path, CAP, FIVE.replace("foreach: 10", "foreach: 20"))
    while stage.apply(max_credits=16).exit is not Exit.DONE:
        stage.now += 5.5 * 3600
    times = sorted(sent(stage))
    assert (len(times), most_in_a_day(times)) == (20, 6)
    assert times[6] - times[2] < DAY  # places of the first hours came back before the last were a day old


def test_what_is_refunded_may_be_spent_again(tmp_path: Path) -> None:
    fails = "faults: [{on: text_to_image, match: {nth: 1}, do: {fail: INTERNAL}}]\n"
    stage = configured(
        tmp_path, "limits.credits_per_day = 16\n", FIVE.replace("foreach: 10", "foreach: 2"), scenario=fails
    )
    assert stage.apply().exit is Exit.DONE
    assert stage.submissions == 3


def test_it_is_a_cap_like_any_other(tmp_path: Path) -> None:
    """Of several the lowest holds, and a higher layer of settings has its say."""
    stage = configured(tmp_path, CAP, FIVE)
    done = stage.apply(max_credits=20)
    assert {each.cap for each in over(stage.events)} == {"run-cap"}
    assert done.summary.submitted == 2
    environ = {"FLOWRUN_LIMITS_CREDITS_PER_DAY": "10"}  # over the project's own
    other = configured(tmp_path / "other", CAP, FIVE, environ=environ)
    assert other.apply().summary.submitted == 1


def test_what_has_no_price_does_not_run_under_it(tmp_path: Path) -> None:
    stage = configured(tmp_path, CAP, FIVE.replace("gen4_image", "gen9_image"))
    assert stage.apply(allow_unknown_models=True).exit is Exit.STOPPED
    assert {(each.cap, each.credits) for each in over(stage.events)} == {("unknown-price", None)}
    stage.events.clear()
    stage.apply(allow_unknown_models=True, allow_unknown_price=True)
    assert not over(stage.events)


def test_another_project_has_a_day_of_its_own(tmp_path: Path) -> None:
    """Two folders, one ledger: each counts alone."""
    shared = f'cache.dir = "{tmp_path / "store"}"\n'
    foxes = configured(tmp_path / "a", CAP + shared, FIVE)
    wolves = configured(tmp_path / "b", CAP + shared, WOLVES)
    assert foxes.apply().summary.submitted == 6
    assert wolves.apply().summary.submitted == 6
