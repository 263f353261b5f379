"""Takes, picks and forced results, and what selection leaves of them."""

import pytest

from flowrun.graph.address import parse
from flowrun.graph.outcomes import Barred, Made, Pending
from flowrun.plan.flowing import outcome_of_step
from flowrun.plan.model import Cost, Decision, Reason

from .fakes import BROKE, REFUSED, Desk

HERO = '\n  hero: {uses: text_to_image, with: {model: gen4_image, promptText: a red fox, ratio: "1920:1080"}}\n'
TWO = HERO.replace("}}\n", "}, takes: 2}\n")
THREE = HERO.replace("}}\n", "}, takes: 3}\n")
SHOT = """
  shot:
    uses: image_to_video
    with: {model: gen4_turbo, promptImage: "{{ nodes.hero.output }}", ratio: "1280:720", duration: 5}
"""
FAN = HERO.replace("hero: {", "hero: {foreach: [a, b], ").replace("a red fox", '"a fox {{ each.key }}"')


@pytest.fixture
def desk() -> Desk:
    return Desk()


def hero(desk: Desk, nodes: str = HERO, **wishes):
    return desk.step(nodes, "hero", **wishes)


def takes(step) -> list[tuple[int, str]]:
    return [(take.take, take.decision.value) for take in step.takes]


def make_take(desk: Desk, nodes: str, number: int):
    """One result of one take, as another machine would have left it."""
    planner = desk.planner(nodes)
    step = planner.decide(parse("hero"))
    return desk.make(next(take for take in step.takes if take.take == number), planner, "hero")


# -- takes


def test_raising_adds_and_lowering_deletes_nothing(desk):
    assert desk.apply(TWO) == ["hero#1", "hero#2"]
    assert desk.apply(THREE) == ["hero#3"]
    assert takes(hero(desk)) == [(1, "hit")]
    assert desk.apply(TWO) == []
    assert takes(hero(desk, THREE)) == [(1, "hit"), (2, "hit"), (3, "hit")]


def test_each_take_costs(desk):
    assert hero(desk, THREE).cost == Cost(24, 24)
    assert (hero(desk, THREE).wanted, hero(desk, THREE).submissions) == (3, 3)


def test_all_takes_are_there_for_who_asks(desk):
    wall = HERO.replace("hero:", "wall:").replace(
        "ratio:", 'referenceImages: [{uri: "{{ nodes.hero.takes[1] }}"}], ratio:'
    )
    desk.apply(HERO)
    assert desk.decisions(TWO + wall) == {"hero": "run", "wall": "undecided"}  # take 1 flows, take 2 is to come
    desk.apply(TWO)
    assert desk.decisions(TWO + wall) == {"hero": "hit", "wall": "run"}
    desk.pick(hero(desk, TWO).takes[1].result)
    step = desk.step(HERO + wall.replace("takes[1]", "takes | length"), "wall")
    assert step.decision is Decision.BLOCKED  # a number is no picture: only that it is known matters here


# -- picks


def test_the_lowest_take_flows_unless_another_is_picked(desk):
    desk.apply(TWO + SHOT)
    assert (hero(desk, TWO).pick, desk.decisions(TWO + SHOT)["shot"]) == (1, "hit")
    desk.pick(hero(desk, TWO).takes[1].result)
    step = desk.step(TWO + SHOT, "shot")
    assert (hero(desk, TWO).pick, step.decision, step.why.reason) == (2, Decision.RUN, Reason.UPSTREAM_CHANGED)


def test_a_pick_beyond_lowered_takes_still_flows(desk):
    desk.apply(THREE)
    third = hero(desk, THREE).takes[2].result
    desk.pick(third)
    desk.apply(THREE + SHOT)
    step = hero(desk, HERO + SHOT)
    assert (takes(step), step.pick, step.decision, step.why) == ([(1, "hit"), (3, "hit")], 3, Decision.HIT, None)
    assert step.takes[1].result == third
    assert desk.decisions(HERO + SHOT) == {"hero": "hit", "shot": "hit"}
    assert desk.apply(HERO + SHOT) == []


def test_a_pick_beyond_lowered_takes_that_is_lost_falls_back(desk):
    desk.apply(THREE)
    third = hero(desk, THREE).takes[2].result
    desk.pick(third)
    desk.lose(third)
    step = hero(desk)
    assert (takes(step), step.pick, step.cost) == ([(1, "hit")], 1, Cost())
    assert (step.why.reason, step.why.detail) == (
        Reason.LOCK_DIFFERS,
        "the picked take 3 is not to be had; take 1 is used",
    )


def test_a_lost_pick_among_the_takes_is_made_again_and_still_flows(desk):
    desk.apply(TWO)
    second = hero(desk, TWO).takes[1].result
    desk.pick(second)
    desk.lose(second)
    step = hero(desk, TWO)
    assert (takes(step), step.pick) == ([(1, "hit"), (2, "run")], 2)
    assert step.why.reason is Reason.RESULT_MISSING
    assert outcome_of_step(step) == Pending()


def test_a_lost_pick_falls_back_to_another_result_of_its_take(desk):
    desk.apply(HERO)
    desk.apply(HERO, forced=["hero"])
    assert hero(desk).takes[0].result.id == "r2"
    desk.lose(hero(desk).takes[0].result)
    assert hero(desk).takes[0].result.id == "r1"


def test_the_oldest_result_flows_without_a_pick(desk):
    first, second = make_take(desk, HERO, 1), make_take(desk, HERO, 1)
    assert (first.id, second.id) == ("r1", "r2")
    assert hero(desk).takes[0].result == first


def test_a_pick_of_another_recipe_is_not_used(desk):
    desk.apply(TWO)
    desk.pick(hero(desk, TWO).takes[1].result)
    grey = TWO.replace("red", "grey")
    desk.apply(grey)
    assert hero(desk, grey).pick == 1
    assert hero(desk, TWO).pick == 2


def test_a_pick_is_found_under_any_address(desk):
    desk.apply(TWO)
    desk.pick(hero(desk, TWO).takes[1].result)
    assert desk.step(TWO.replace("hero:", "heroine:"), "heroine").pick == 2


# -- the default pick is fixed once every lower take has ended without success


def test_a_rejected_take_has_ended(desk):
    desk.settled(hero(desk).takes[0], REFUSED)
    second = make_take(desk, TWO, 2)
    step = hero(desk, TWO)
    assert (takes(step), step.pick, step.decision) == ([(1, "rejected"), (2, "hit")], 2, Decision.HIT)
    assert outcome_of_step(step) == Made(second.outputs, None)


def test_a_take_that_may_still_come_keeps_it_open(desk):
    make_take(desk, TWO, 2)
    step = hero(desk, TWO)
    assert (takes(step), step.pick, outcome_of_step(step)) == ([(1, "run"), (2, "hit")], None, Pending())
    desk.submitted(step.takes[0])
    step = hero(desk, TWO)
    assert (takes(step), step.pick, outcome_of_step(step)) == ([(1, "resume"), (2, "hit")], None, Pending())


def test_an_uncertain_take_has_not_ended(desk):
    make_take(desk, TWO, 2)
    desk.lost(hero(desk, TWO).takes[0])
    step = hero(desk, TWO)
    assert (takes(step), step.pick) == ([(1, "uncertain"), (2, "hit")], None)
    assert outcome_of_step(step) == Barred("is uncertain")
    assert desk.decisions(TWO + SHOT)["shot"] == "blocked"


def test_a_pick_flows_past_an_uncertain_take(desk):
    second = make_take(desk, TWO, 2)
    desk.lost(hero(desk, TWO).takes[0])
    desk.pick(second)
    assert (hero(desk, TWO).decision, hero(desk, TWO).pick) == (Decision.UNCERTAIN, 2)
    assert desk.decisions(TWO + SHOT) == {"hero": "uncertain", "shot": "run"}


def test_a_first_take_in_doubt_stops_what_is_below_though_the_second_will_run(desk):
    desk.lost(hero(desk, TWO).takes[0])
    step = hero(desk, TWO)
    assert (takes(step), step.decision) == ([(1, "uncertain"), (2, "run")], Decision.RUN)
    assert desk.decisions(TWO + SHOT)["shot"] == "blocked"


def test_a_step_says_the_most_telling_of_its_takes(desk):
    desk.settled(hero(desk, THREE).takes[0], REFUSED)
    desk.submitted(hero(desk, THREE).takes[1])
    step = hero(desk, THREE)
    assert (takes(step), step.decision) == ([(1, "rejected"), (2, "resume"), (3, "run")], Decision.RUN)
    step = hero(desk, TWO)
    assert (takes(step), step.decision) == ([(1, "rejected"), (2, "resume")], Decision.RESUME)


# -- forced


def test_force_makes_one_more_result_and_picks_it(desk):
    desk.apply(HERO + SHOT)
    step = hero(desk, forced=["hero"])
    assert (step.decision, step.pick, step.cost) == (Decision.RUN, 1, Cost(8, 8))
    assert desk.decisions(HERO + SHOT, forced=["hero"])["shot"] == "undecided"
    assert desk.apply(HERO + SHOT, forced=["hero"]) == ["hero#1", "shot#1"]
    assert hero(desk).takes[0].result.id == "r3"
    assert desk.decisions(HERO + SHOT) == {"hero": "hit", "shot": "hit"}


def test_force_means_the_picked_take(desk):
    desk.apply(TWO)
    desk.pick(hero(desk, TWO).takes[1].result)
    step = hero(desk, TWO, forced=["hero"])
    assert [take.forced for take in step.takes] == [False, True]
    assert takes(step) == [(1, "hit"), (2, "run")]


def test_force_of_a_take(desk):
    desk.apply(TWO)
    step = hero(desk, TWO, forced=["hero#2"])
    assert (takes(step), step.pick) == ([(1, "hit"), (2, "run")], 2)
    desk.apply(TWO, forced=["hero#2"])
    assert hero(desk, TWO).pick == 2


def test_force_of_a_take_beyond_those_asked_for(desk):
    desk.apply(HERO)
    step = hero(desk, forced=["hero#4"])
    assert (takes(step), step.pick, step.cost) == ([(1, "hit"), (4, "run")], 4, Cost(8, 8))
    assert desk.apply(HERO, forced=["hero#4"]) == ["hero#4"]
    assert takes(hero(desk)) == [(1, "hit"), (4, "hit")]
    assert hero(desk).pick == 4


def test_force_of_a_pick_beyond_lowered_takes(desk):
    desk.apply(TWO)
    desk.pick(hero(desk, TWO).takes[1].result)
    assert takes(hero(desk, forced=["hero"])) == [(1, "hit"), (2, "run")]


def test_force_where_the_pick_beyond_is_lost_means_what_flows_instead(desk):
    desk.apply(TWO)
    desk.pick(hero(desk, TWO).takes[1].result)
    desk.lose(hero(desk, TWO).takes[1].result)
    step = hero(desk, forced=["hero"])
    assert (takes(step), step.why.reason) == ([(1, "run")], Reason.FORCED)


def test_force_without_a_pick_means_the_take_that_succeeded(desk):
    desk.settled(hero(desk).takes[0], BROKE)
    make_take(desk, TWO, 2)
    assert [take.forced for take in hero(desk, TWO, forced=["hero"]).takes] == [False, True]


def test_force_of_what_was_never_made_is_its_first_take(desk):
    assert [take.forced for take in hero(desk, TWO, forced=["hero"]).takes] == [True, False]


def test_force_of_a_fan_out_means_all_its_instances(desk):
    desk.apply(FAN)
    assert desk.decisions(FAN, forced=["hero[a]", "hero[b]"]) == {"hero[a]": "run", "hero[b]": "run"}
    assert desk.decisions(FAN, forced=["hero[b]"]) == {"hero[a]": "hit", "hero[b]": "run"}
    assert desk.decisions(FAN, forced=["hero[b]#1"]) == {"hero[a]": "hit", "hero[b]": "run"}


# -- selection


def test_unselected_nodes_still_serve_their_hits(desk):
    desk.apply(HERO)
    assert desk.decisions(HERO + SHOT, selected=["shot"]) == {"hero": "hit", "shot": "run"}


def test_what_is_not_selected_and_not_in_the_store_is_excluded_and_blocks(desk):
    below = SHOT + SHOT.replace("shot:", "cut:").replace("nodes.hero.output }}", "nodes.hero.output }}").replace(
        "promptImage:", "promptText: on, promptImage:"
    )
    assert desk.decisions(HERO + below, selected=["shot"]) == {"hero": "excluded", "shot": "blocked", "cut": "excluded"}
    plan = desk.plan(HERO + SHOT, selected=["shot"])
    assert not plan.needs_provider
    assert plan.cost == Cost()


def test_who_is_further_below_is_blocked_by_the_blocked_one(desk):
    still = HERO.replace("hero:", "still:").replace(
        "ratio:", 'referenceImages: [{uri: "{{ nodes.hero.output }}"}], ratio:'
    )
    shot = SHOT.replace("nodes.hero", "nodes.still")
    step = desk.step(HERO + still + shot, "shot", selected=["still", "shot"])
    assert (step.decision, step.why.detail) == (Decision.BLOCKED, "still is blocked")


def test_a_problem_above_is_no_matter_of_selection(desk):
    step = desk.step(HERO.replace("}}\n", '}, cache: "{{ [1] }}"}\n') + SHOT, "shot")
    assert (step.decision, step.why.detail) == (Decision.BLOCKED, "hero is blocked")


def test_an_unselected_node_below_one_that_runs_is_excluded(desk):
    plan = desk.plan(HERO + SHOT, selected=["hero"])
    shot = plan.steps[parse("shot")]
    assert (shot.decision, shot.cost, shot.why.reason) == (Decision.EXCLUDED, Cost(), Reason.NOT_SELECTED)
    desk.apply(HERO + SHOT, selected=["hero"])
    assert desk.made == 1


def test_an_unselected_node_whose_input_was_never_fetched_is_excluded(desk):
    nodes = SHOT.replace('"{{ nodes.hero.output }}"', '"https://example.com/a.png"')
    step = desk.step(nodes, "shot", selected=[])
    assert (step.decision, step.unread) == (Decision.EXCLUDED, ())


def test_an_unselected_task_in_flight_is_taken_up(desk):
    desk.submitted(hero(desk).takes[0])
    assert desk.decisions(HERO, selected=[]) == {"hero": "resume"}


def test_selection_narrows_takes_too(desk):
    desk.apply(HERO)
    step = hero(desk, TWO, selected=[])
    assert (step.decision, takes(step), step.pick, step.cost) == (Decision.HIT, [(1, "hit")], 1, Cost())
    assert outcome_of_step(step) == Made(step.takes[0].result.outputs, None)


def test_an_unselected_node_serves_no_take_that_a_lower_one_might_replace(desk):
    make_take(desk, TWO, 2)
    assert hero(desk, TWO, selected=[]).decision is Decision.EXCLUDED


def test_an_unselected_node_with_takes_in_doubt_says_so(desk):
    desk.lost(hero(desk).takes[0])
    assert hero(desk, selected=[]).decision is Decision.UNCERTAIN
    assert hero(desk, TWO, selected=[]).decision is Decision.EXCLUDED


def test_selection_narrows_force_and_cache_off(desk):
    off = HERO.replace("}}\n", "}, cache: false}\n")
    desk.apply(HERO)
    assert desk.decisions(HERO, forced=["hero"], selected=[]) == {"hero": "hit"}
    assert desk.decisions(off, selected=[]) == {"hero": "hit"}


def test_excluded_is_nothing_to_do(desk):
    desk.apply(HERO)
    other = HERO.replace("hero:", "other:").replace("red", "grey")
    assert desk.plan(HERO + other, selected=["hero"]).is_done
    assert not desk.plan(HERO + other).is_done
