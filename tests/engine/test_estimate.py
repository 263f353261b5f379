"""How long an apply will take, in cases that can be worked out by hand."""

from __future__ import annotations

import pytest

from flowrun.engine.estimate import Foreseen, Portion, expected_seconds, foresee
from flowrun.graph.address import parse
from flowrun.ledger.protocol import Limits
from flowrun.plan.model import Cost, Decision, Reason, Step, TakeStep, Why
from flowrun.plan.whole import Plan


def step(name: str, *up: str, seconds: float = 10.0, decision: Decision = Decision.RUN, **more: object) -> Step:
    model = more.pop("model", "m")
    takes = more.pop("takes", (TakeStep(1, decision),))
    upstream = tuple(parse(each) for each in up)
    return Step(parse(name), decision, "op", model, takes=takes, seconds=seconds, upstream=upstream, **more)


def seconds(*steps: Step, slots: int | None = None) -> float:
    return expected_seconds(Plan("f", "", "sandbox", {each.address: each for each in steps}), lambda model: slots)


def test_nothing_takes_no_time():
    assert seconds() == 0.0


def test_one():
    assert seconds(step("a")) == 10.0


@pytest.mark.parametrize("slots", [1, 2, None])
def test_a_chain_is_the_sum_whatever_the_slots(slots):
    assert seconds(step("a"), step("b", "a", seconds=5.0), step("c", "b", seconds=1.5), slots=slots) == 16.5


@pytest.mark.parametrize(("slots", "expected"), [(1, 50.0), (2, 30.0), (5, 10.0), (9, 10.0), (None, 10.0), (0, 50.0)])
def test_a_fan_out_of_five(slots, expected):
    assert seconds(*(step(f"a[{number}]") for number in range(5)), slots=slots) == expected


@pytest.mark.parametrize(("slots", "expected"), [(1, 56.0), (2, 36.0), (5, 16.0)])
def test_a_fan_out_with_something_before_and_after(slots, expected):
    shots = [step(f"a[{number}]", "first") for number in range(5)]
    film = step("film", *(f"a[{number}]" for number in range(5)), seconds=4.0)
    assert seconds(step("first", seconds=2.0), *shots, film, slots=slots) == expected


def test_the_long_way_goes_first():
    """In the manifest's order it would be 5 + 20 + 1 behind one another; the long one starts first."""
    assert seconds(step("short", seconds=5.0), step("other", seconds=5.0), step("long", seconds=20.0), slots=2) == 20.0


def test_models_do_not_wait_for_each_other():
    assert seconds(step("a", model="x"), step("b", model="y"), step("c", model="x"), slots=1) == 20.0


@pytest.mark.parametrize("decision", [Decision.HIT, Decision.SKIP, Decision.BLOCKED, Decision.EXCLUDED, Decision.GATED])
def test_what_does_not_run_takes_no_time(decision):
    assert seconds(step("a", decision=decision), step("b", "a", seconds=3.0)) == 3.0


@pytest.mark.parametrize("decision", [Decision.UNDECIDED, Decision.RESUME])
def test_what_may_run_counts(decision):
    assert seconds(step("a", decision=decision, takes=())) == 10.0


def test_takes_count_each_and_those_that_are_there_do_not():
    two = (TakeStep(1, Decision.HIT), TakeStep(2, Decision.RUN), TakeStep(3, Decision.RUN))
    assert seconds(step("a", takes=two), slots=1) == 20.0
    assert seconds(step("a", takes=two), slots=2) == 10.0


def test_a_twin_takes_no_time_of_its_own():
    assert seconds(step("a"), step("b", why=Why(Reason.SHARED)), slots=1) == 10.0


def priced(name: str, *up: str, credits: int | None = 10, **more: object) -> Step:
    cost = Cost(0, 0, 1) if credits is None else Cost(credits, credits)
    return step(name, *up, takes=(TakeStep(1, Decision.RUN, cost=cost),), cost=cost, **more)


def foreseen(*steps: Step, slots: int | None = None, **limits: object) -> Foreseen:
    return foresee(
        Plan("f", "", "sandbox", {each.address: each for each in steps}), lambda model: slots, Limits(**limits)
    )


def names(portions: tuple[Portion, ...]) -> list[str]:
    return [portion.address for portion in portions]


def test_what_fits_runs_in_order_and_what_is_below_the_rest_is_left_behind():
    steps = [priced("a"), priced("b"), priced("c", seconds=30.0), priced("cut", "b", credits=1)]
    found = foreseen(*steps, run_cap=25)
    assert names(found.fits) == ["c", "b", "cut"]
    assert {cap: names(each) for cap, each in found.over.items()} == {"run-cap": ["a"]}
    found = foreseen(*steps, run_cap=15)
    assert (names(found.fits), names(found.over["run-cap"]), names(found.behind)) == (["c"], ["b", "a"], ["cut"])
    assert found.seconds == 30.0
    assert foreseen(*steps).over == {}


def test_smaller_ones_fit_beside_a_large_one_that_does_not():
    found = foreseen(priced("a", credits=50), priced("b", credits=5), priced("c", credits=6), run_cap=10)
    assert (names(found.fits), names(found.over["run-cap"])) == (["b"], ["a", "c"])


def test_each_is_told_under_the_cap_that_leaves_least():
    found = foreseen(priced("a"), priced("b"), priced("c", credits=None), run_cap=15, day_cap=30, balance=99)
    assert {cap: names(each) for cap, each in found.over.items()} == {"run-cap": ["b"], "unknown-price": ["c"]}
    allowed = foreseen(priced("a"), priced("c", credits=None), run_cap=15, allow_unknown_price=True)
    assert names(allowed.fits) == ["a", "c"]


def test_takes_are_counted_one_by_one_also_where_nothing_is_known_of_them():
    two = tuple(TakeStep(take, Decision.RUN, cost=Cost(10, 10)) for take in (1, 2))
    found = foreseen(step("a", takes=two, cost=Cost(20, 20), wanted=2), run_cap=15)
    assert found.fits == (Portion("a", 1, 10),)
    assert found.over == {"run-cap": (Portion("a", 2, 10),)}
    hidden = step("a", decision=Decision.UNDECIDED, takes=(), cost=Cost(0, 20), wanted=2)
    assert foreseen(hidden, run_cap=15).fits == (Portion("a", 1, 10),)


def test_a_task_at_the_api_and_a_twin_cost_nothing_more():
    taken_up = step("a", decision=Decision.RESUME)
    twin = step("b", takes=(TakeStep(1, Decision.RUN, why=Why(Reason.SHARED)),), why=Why(Reason.SHARED))
    found = foreseen(taken_up, twin, priced("c"), run_cap=10)
    assert (names(found.fits), found.over) == (["c"], {})
