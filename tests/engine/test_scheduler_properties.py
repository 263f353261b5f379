"""Random graphs, scripts, limits and orders of events: whatever happens, the promises hold and the oracle is right."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from flowrun.engine.states import USABLE
from tests.engine.scheduler_world import STOPPING, TOKENS, Case, Node, Take, World, expected

pytestmark = pytest.mark.usefixtures("unmeasured")  # what chance has reached is no proof that a test looks at it

CALM = tuple(token for token in TOKENS if token not in STOPPING)
MODELS = ("a", "b")
CAREFUL = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def takes(draw: st.DrawFn, tokens: tuple[str, ...]) -> Take:
    return Take(
        draw(st.sampled_from(("run", "run", "run", "resume", "hit", "uncertain", "rejected"))),
        tuple(draw(st.lists(st.sampled_from(tokens), max_size=3))),
        draw(st.sampled_from(("", "", "", "ok", "fail"))),
        draw(st.integers(0, 3)),
    )


@st.composite
def nodes(draw: st.DrawFn, number: int, tokens: tuple[str, ...]) -> Node:
    earlier = [str(each) for each in range(number)]
    found = tuple(draw(st.lists(takes(tokens), min_size=1, max_size=3)))
    return Node(
        str(number),
        tuple(draw(st.lists(st.sampled_from(earlier), max_size=3, unique=True))) if earlier else (),
        draw(st.sampled_from((0.0, 1.0, 2.0, 5.0))),
        draw(st.sampled_from(MODELS)),
        found,
        draw(st.sampled_from(("", "", "", "", "", "", "skip", "excluded", "failed", "blocked", "gated"))),
        draw(st.sampled_from((None, None, *range(1, len(found) + 2)))),
        draw(st.sampled_from((None, None, 0, 2))),
    )


@st.composite
def cases(draw: st.DrawFn, tokens: tuple[str, ...] = CALM, largest: int = 7) -> Case:
    count = draw(st.integers(1, largest))
    by_model = st.dictionaries(st.sampled_from(MODELS), st.integers(1, 3))
    return Case(
        tuple(draw(nodes(number, tokens)) for number in range(count)),
        slots=draw(by_model),
        others=draw(st.dictionaries(st.sampled_from(MODELS), st.integers(1, 2))),
        grows=draw(st.integers(0, count - 1)),
        grow_after=draw(st.integers(1, 12)),
        seed=draw(st.integers(0, 999)),
    )


def agrees(world: World) -> None:
    """What is settled is what recursion says."""
    for name, outcome in world.outcomes.items():
        assert outcome == expected(world.nodes, name), name


@CAREFUL
@given(cases())
def test_everything_is_settled_as_the_oracle_says(case):
    world = World(case).run()
    assert world.outcomes == {name: expected(world.nodes, name) for name in world.nodes}


@CAREFUL
@given(cases(TOKENS), st.booleans(), st.booleans(), st.sampled_from((None, 0, 2, 4, 9)), st.integers(0, 4))
def test_whatever_stops_it_what_is_settled_is_right(case, fail_fast, wait_for_quota, cap, daily):
    limited = replace(case, fail_fast=fail_fast, wait_for_quota=wait_for_quota, cap=cap, daily={"a": daily})
    agrees(World(limited).run())


@CAREFUL
@given(cases(TOKENS), st.lists(st.integers(1, 30), min_size=1, max_size=3, unique=True))
def test_interrupted_at_any_moment_it_ends_and_nothing_new_starts(case, after):
    case = replace(case, interrupts=tuple(sorted(after)))
    world = World(case).run()
    agrees(world)
    first = next((place for place, (event, _, _) in enumerate(world.log) if event.type == "interrupted"), None)
    if first is not None:
        orders = [command for said in world.said[first:] for command in said]
        assert not [order for order in orders if type(order).__name__ in ("Decide", "Admit", "CarryOut")]


@CAREFUL
@given(cases(), st.integers(0, 9), st.integers(0, 9))
def test_the_order_of_events_changes_no_outcome(case, one, other):
    first, second = World(replace(case, seed=one)).run(), World(replace(case, seed=other)).run()
    assume(first.nodes.keys() == second.nodes.keys())  # the graph may have been done before it could grow
    assert first.outcomes == second.outcomes


@CAREFUL
@given(cases(("ok", "task-fail", "reject", "fail")))
def test_a_failure_reaches_only_what_is_below_it(case):
    """With every failure healed, all that changes is the failed nodes and their descendants."""
    healed = replace(
        case, nodes=tuple(replace(node, takes=tuple(replace(t, script=()) for t in node.takes)) for node in case.nodes)
    )
    sick, well = World(case).run(), World(healed).run()
    roots = {name for name in sick.nodes if any(take.script for take in sick.nodes[name].takes)}
    below: set[str] = set()
    for name, node in sick.nodes.items():
        if name in roots or below & set(node.upstream):
            below.add(name)
    both = set(sick.nodes) & set(well.nodes)
    assert {n: sick.outcomes[n] for n in both - below} == {n: well.outcomes[n] for n in both - below}


def layered(seed: int, count: int) -> Case:
    """A larger graph than hypothesis would draw."""
    rng = random.Random(seed)
    pick: Callable[..., str] = rng.choice
    found = [
        Node(
            str(number),
            tuple({str(rng.randrange(max(0, number - 40), number)) for _ in range(rng.randrange(4))}) if number else (),
            rng.uniform(0.0, 60.0),
            pick(MODELS),
            tuple(
                Take(pick(("run", "run", "hit", "resume")), tuple(rng.sample(CALM, rng.randrange(2))))
                for _ in range(rng.choice((1, 1, 2)))
            ),
        )
        for number in range(count)
    ]
    return Case(tuple(found), slots={"a": 2, "b": 5}, others={"b": 4}, seed=seed)


@pytest.mark.parametrize("seed", range(4))
def test_a_production_of_a_hundred(seed):
    world = World(layered(seed, 100)).run()
    assert world.outcomes == memo(world.nodes)
    assert any(state in USABLE for state, _ in world.outcomes.values())


def memo(found: dict[str, Node]) -> dict[str, tuple]:
    """The oracle without its exponential habit: settled nodes stand in for their subtrees."""
    outcomes: dict[str, tuple] = {}
    stand_ins: dict[str, Node] = {}
    for name, node in found.items():
        outcomes[name] = expected({**stand_ins, name: node}, name)
        state = outcomes[name][0]
        word = {"skipped": "skip", "excluded": "excluded", "failed": "failed"}.get(state.value, "blocked")
        stand_ins[name] = Node(name, takes=(Take("hit"),), word="" if state in USABLE else word)
    return outcomes
