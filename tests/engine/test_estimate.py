"""How long an apply will take, in cases that can be worked out by hand."""

from __future__ import annotations

import pytest

from flowrun.engine.estimate import expected_seconds
from flowrun.graph.address import parse
from flowrun.plan.model import Decision, Reason, Step, TakeStep, Why
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
