"""A cap of 500 credits with room for twenty at once: never a credit above, whatever fails, and what fits is used.
100 random runs with what is marked long; `python -m tests.limits` has 1,000."""

from __future__ import annotations

import pytest

from flowrun.production.exits import Exit
from tests.limits.budgets import CAP, Budget, Spent, budget_of, spend
from tests.simulation.bugs import budget_checked_after_submit
from tests.simulation.ports import patched

pytestmark = pytest.mark.usefixtures("unmeasured")  # what chance has reached is no proof that a test looks at it

USUAL, MORE, ALL, BATCH = 20, 100, 1000, 20  # runs


def _told(budget: Budget, spent: Spent) -> str:
    return f"seed {budget.seed}: {spent}"


def _stays_below(first: int) -> None:
    for budget in map(budget_of, range(first, first + BATCH)):
        for spent in spend(budget):
            assert spent.estimated <= CAP, _told(budget, spent)
            assert spent.taken <= CAP or budget.dearer, _told(budget, spent)


@pytest.mark.parametrize("first", range(0, USUAL, BATCH))
def test_never_a_credit_above(first: int) -> None:
    _stays_below(first)


@pytest.mark.long
@pytest.mark.parametrize("first", range(USUAL, MORE, BATCH))
def test_never_a_credit_above_in_more(first: int) -> None:
    _stays_below(first)


def test_runs_are_what_they_should_be() -> None:
    """Most want more than they may have; all kinds of caps and faults are there."""
    drawn = [budget_of(seed) for seed in range(ALL)]
    wanted = [sum(line.price for line in lines) for budget in drawn for lines in budget.lines]
    assert sum(each > CAP for each in wanted) > 0.6 * len(wanted)
    assert {each.by for each in drawn} == {"flag", "manifest", "both"}
    assert {len(each.lines) for each in drawn} == {1, 2}
    assert any(each.dearer for each in drawn)
    prices = {line.price for budget in drawn for lines in budget.lines for line in lines}
    assert len([each for each in prices if CAP % each]) > 8


def _without_faults() -> Budget:
    return next(each for each in map(budget_of, range(ALL)) if not (each.faults or each.dearer or len(each.lines) > 1))


def test_what_fits_is_used() -> None:
    budget = _without_faults()
    [spent] = spend(budget)
    assert spent.exit is Exit.STOPPED
    assert spent.over > 0
    assert CAP - spent.taken < 120, "less is left than the dearest costs"
    assert spent.at_once > 10


def test_checking_after_the_request_would_be_seen() -> None:
    with patched(budget_checked_after_submit()):
        [spent] = spend(_without_faults())
    assert spent.taken > CAP
