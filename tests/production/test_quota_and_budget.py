"""A model's used-up day, waited for or not; and a plan that names beforehand what then fits its caps. In virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from flowrun.engine import events as ev
from flowrun.production.applying import Applied
from flowrun.production.exits import Exit
from flowrun.production.proposing import Proposal
from tests.production.test_main_path import FIVE
from tests.production.test_settings_in_use import configured
from tests.support.stage import Stage
from tests.support.virtual_time import START, VirtualClock, run_virtual

DAY = 24 * 3600.0
THREE_A_DAY = "limits: {gen4_image: {daily: 3}}\n"


def propose(stage: Stage, **flags: object) -> Proposal:
    async def main(clock: VirtualClock) -> Proposal:
        return await stage.production(clock, **flags).propose_async()

    return run_virtual(main, start=stage.now)


def submitted(stage: Stage) -> list[float]:
    return [event.at for event in stage.events if isinstance(event, ev.Submitted)]


def queued(stage: Stage) -> list[ev.Queued]:
    return [event for event in stage.events if isinstance(event, ev.Queued) and event.limit == "daily"]


def test_a_used_up_day_ends_the_run_and_says_when_the_next_is_free(tmp_path: Path) -> None:
    stage = Stage(tmp_path, FIVE, scenario=THREE_A_DAY)
    assert propose(stage).daily_next == {"gen4_image": None}  # nothing was made yet, so nobody knows
    done = stage.apply()
    assert (done.exit, done.summary.submitted) == (Exit.STOPPED, 3)
    first = submitted(stage)[0]
    (waiting,) = set(done.summary.waiting.values())
    assert (waiting.model, waiting.until) == ("gen4_image", pytest.approx(first + DAY, abs=5))
    assert done.summary.daily == {"gen4_image": 3}
    proposal = propose(stage)
    assert proposal.daily_left == {"gen4_image": 0}
    assert proposal.daily_next == {"gen4_image": waiting.until}
    assert proposal.document()["totals"]["daily_next"] == {"gen4_image": waiting.until}
    stage.now = (waiting.until or 0.0) - 2
    assert stage.apply().summary.submitted == 0
    stage.now = waiting.until or 0.0
    assert stage.apply().summary.submitted >= 1


def test_a_run_that_waits_goes_on_at_the_moment_a_place_is_free(tmp_path: Path) -> None:
    stage = Stage(tmp_path, FIVE.replace("foreach: 10", "foreach: 7"), scenario=THREE_A_DAY)
    done = stage.apply(wait_for_quota=True)
    assert (done.exit, done.summary.submitted, done.summary.waiting) == (Exit.DONE, 7, {})
    times = submitted(stage)
    told = [event.until or 0.0 for event in queued(stage)]
    for earlier, later in zip(times, times[3:], strict=False):
        assert DAY <= later - earlier < DAY + 10
        assert any(abs(later - until) < 5 for until in told)
    assert len(told) < 20  # not one each time that somebody looks


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_in_the_wait_is_heard_at_once(tmp_path: Path, times: int) -> None:
    stage = Stage(tmp_path, FIVE, scenario=THREE_A_DAY)

    def on_event(interrupt: object, event: ev.Event) -> None:
        if isinstance(event, ev.Settled) and len(submitted(stage)) == 3:
            for _ in range(times):
                interrupt(130)  # type: ignore[operator]

    stage.on_event = on_event
    done = stage.apply(wait_for_quota=True)
    assert done.exit is Exit.INTERRUPTED
    assert stage.events[-1].at - START < 120
    assert {each.until is not None for each in done.summary.waiting.values()} == {True}


def test_of_two_lowered_limits_the_lower_holds_for_two_processes_together(tmp_path: Path) -> None:
    lowered = FIVE.replace("name: five", "name: NAME\n    limits: {concurrency: {gen4_image: COUNT}}")
    foxes = configured(
        tmp_path, "[limits.concurrency]\ngen4_image = 2\n", lowered.replace("NAME", "foxes").replace("COUNT", "3")
    )
    wolves = Stage(
        tmp_path, lowered.replace("NAME", "wolves").replace("COUNT", "4").replace("fox", "wolf"), file="w.yaml"
    )

    async def main(clock: VirtualClock) -> list[Applied]:
        productions = [foxes.production(clock), wolves.production(clock)]
        return list(await asyncio.gather(*(each.apply_async() for each in productions)))

    assert [each.exit for each in run_virtual(main)] == [Exit.DONE, Exit.DONE]
    assert foxes.sandbox["peak"]["gen4_image"] == 2
    assert foxes.submissions == 20


def test_the_manifests_own_is_lower_for_itself_alone(tmp_path: Path) -> None:
    lowered = FIVE.replace("name: five", "name: five\n    limits: {concurrency: {gen4_image: 1}}")
    stage = configured(tmp_path, "[limits.concurrency]\ngen4_image = 2\n", lowered)
    assert stage.apply().exit is Exit.DONE
    assert stage.sandbox["peak"]["gen4_image"] == 1


BRANCHES = """
    flowrun: 1
    name: branches
    nodes:
      aside:
        foreach: 4
        uses: text_to_image
        with: {model: gen4_image, promptText: "a stone {{ each.key }}", ratio: "1920:1080"}
      hero:
        foreach: 3
        uses: text_to_image
        with: {model: gen4_image, promptText: "fox {{ each.key }}", ratio: "1280:720"}
      shot:
        foreach: 3
        uses: image_to_video
        with:
          model: gen4_turbo
          promptText: "It runs."
          promptImage: "{{ nodes.hero[each.key].output }}"
          ratio: "1280:720"
          duration: 5
"""


@pytest.mark.parametrize("cap", [4, 12, 30, 45, 66, 80, 97, 121])
def test_a_plan_names_what_its_apply_then_makes(tmp_path: Path, cap: int) -> None:
    stage = Stage(tmp_path, BRANCHES)
    proposal = propose(stage, max_credits=cap)
    foreseen = proposal.foreseen
    assert foreseen is not None
    done = stage.apply(max_credits=cap)
    made = [event.unit for event in stage.events if isinstance(event, ev.Submitted)]
    assert sum(each.credits or 0 for each in foreseen.fits) <= cap
    if cap < 60:  # beyond, which of two tasks ends first decides, and a plan cannot know that
        assert made == [f"{each.address}#{each.take}" for each in foreseen.fits]
        assert set(done.summary.over) == {f"{each.address}#1" for each in foreseen.over.get("run-cap", ())}
    behind = {each.address for each in foreseen.behind}
    over = {unit.rpartition("#")[0] for unit in done.summary.over}
    assert len(done.summary.pending) == len(behind) + len(over)
    assert over <= done.summary.pending
    budget = proposal.document()["budget"]
    assert budget["caps"][0] == {"cap": "run-cap", "most": cap, "left": cap, "until": None}
    assert budget["fits"]["takes"] == [f"{each.address}#{each.take}" for each in foreseen.fits]
    needed, _ = done.summary.still_to_make()
    assert needed == 122 - done.summary.credits if over else True


def test_the_number_that_is_told_makes_all_of_it_fit_and_one_less_does_not(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "a", BRANCHES)
    needed, unknown = stage.apply(max_credits=30).summary.still_to_make()
    assert unknown == 0
    assert stage.apply(max_credits=needed).exit is Exit.DONE
    less = Stage(tmp_path / "b", BRANCHES)
    less.apply(max_credits=30)
    assert less.apply(max_credits=needed - 1).exit is Exit.STOPPED
