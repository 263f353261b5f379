"""Two applies at once on one ledger and one account: each paid request once, limits and balance kept together."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flowrun.engine import events as ev
from flowrun.engine.states import USABLE
from flowrun.ids import OwnerId
from flowrun.ledger.protocol import Join, Mine
from flowrun.ledger.transactions import FactLedger
from flowrun.production.applying import Applied
from flowrun.production.exits import Exit
from tests.limits.crowd import crowd
from tests.limits.graphs import Film, films, manifest
from tests.production.test_main_path import CHAIN, FIVE
from tests.support.stage import Stage
from tests.support.virtual_time import VirtualClock, run_virtual


def _both(one: Stage, other: Stage) -> list[Applied]:
    async def main(clock: VirtualClock) -> list[Applied]:
        productions = [one.production(clock), other.production(clock)]
        return list(await asyncio.gather(*(each.apply_async() for each in productions)))

    return run_virtual(main)


def test_one_manifest_twice_pays_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN)
    done = _both(stage, stage)
    assert [each.exit for each in done] == [Exit.DONE, Exit.DONE]
    assert stage.submissions == 3
    assert sum(each.summary.submitted for each in done) == 3


def test_two_manifests_that_share_nodes_stay_within_the_limits(tmp_path: Path) -> None:
    five = Stage(tmp_path, FIVE, scenario="tier: 1\n")
    more = FIVE.replace("name: five", "name: more").replace("foreach: 10", "foreach: 12")
    done = _both(five, Stage(tmp_path, more, scenario="tier: 1\n", file="more.yaml"))
    assert [each.exit for each in done] == [Exit.DONE, Exit.DONE]
    assert five.submissions == 12
    assert five.sandbox["peak"]["gen4_image"] == 2


def test_the_balance_is_never_overshot_by_two(tmp_path: Path) -> None:
    foxes = Stage(tmp_path, FIVE, scenario="credits: 44\n")
    wolves = FIVE.replace("name: five", "name: wolves").replace("fox", "wolf")
    done = _both(foxes, Stage(tmp_path, wolves, scenario="credits: 44\n", file="wolves.yaml"))
    assert {each.exit for each in done} == {Exit.STOPPED}
    assert foxes.submissions == 5
    assert foxes.sandbox["charges"]["spent"] == 40


WORLD = {"durations": {"default": [5, 30]}, "poll": 5.0, "tier": 2}


def _halves() -> tuple[dict[str, Film], dict[str, Film]]:
    """Of one graph: what the one manifest has, and the other; most of each is in both, with chains."""
    graph = films(36, 4)
    one = {name: film for place, (name, film) in enumerate(graph.items()) if place < 24}
    two: dict[str, Film] = {}
    for place, (name, film) in enumerate(graph.items()):
        if (place < 16 or place >= 24) and set(film.after) <= set(two):
            two[name] = film
    return one, two


def _pay_once(texts: Mapping[str, str], nodes: int, applies: tuple[tuple[str, int], ...], delay: float) -> None:
    """`applies`: which manifests, with how many nodes each."""
    with crowd(WORLD, seed=round(10 * delay)) as project:
        for name, text in texts.items():
            project.write(name, text)
        done = project.apply(*(name for name, _ in applies), delay=delay)
        assert [each.exit for each in done] == [Exit.DONE for _ in applies]
        assert [len(each.summary.states) for each in done] == [count for _, count in applies]
        assert {state for each in done for state in each.summary.states.values()} <= USABLE
        assert (len(project.tasks()), project.paid_twice()) == (nodes, [])
        assert sum(each.summary.submitted for each in done) == nodes
        again = project.apply(*texts)
        assert ([each.summary.submitted for each in again], len(project.tasks())) == ([0 for _ in texts], nodes)


DELAYS = [0.0, 0.1, pytest.param(3.0, marks=pytest.mark.long), pytest.param(25.0, marks=pytest.mark.long)]


@pytest.mark.parametrize("delay", DELAYS)
def test_one_manifest_by_two_processes_pays_each_node_once(delay: float) -> None:
    one, _ = _halves()
    _pay_once({"one": manifest("one", one)}, len(one), (("one", len(one)), ("one", len(one))), delay)


@pytest.mark.parametrize("delay", DELAYS)
def test_two_manifests_that_share_nodes_pay_each_once(delay: float) -> None:
    one, two = _halves()
    assert len(one.keys() & two.keys()) >= 16
    assert len(two.keys() - one.keys()) >= 4
    texts = {"one": manifest("one", one, words="fox"), "two": manifest("two", two, words="fox")}
    _pay_once(texts, len(one | two), (("one", len(one)), ("two", len(two))), delay)


def test_a_claim_that_another_holds_for_a_moment_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between another process's claim and its release, where no slot is free: however often that is seen."""
    real, seen = FactLedger.claim, itertools.count()

    def claim(self: FactLedger, *args: Any) -> Mine | Join:
        return Join(OwnerId("another"), ()) if (number := next(seen)) < 40 and number % 2 == 0 else real(self, *args)

    monkeypatch.setattr(FactLedger, "claim", claim)
    stage = Stage(tmp_path, CHAIN)
    done = stage.apply()
    assert (done.exit, done.summary.troubles, stage.submissions) == (Exit.DONE, {}, 3)
    assert next(seen) > 40
    assert not [event for event in stage.events if isinstance(event, ev.AttemptFailed)]
