"""Two processes at once use a tier's limits in full, never more, pay for each node once, and take hardly longer than an ideal
schedule would. In virtual time, so a ratio of times is a fact and no measurement; ``python -m benchmarks.limits`` prints them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flowrun.engine import slots
from flowrun.engine.scheduler import Scheduler
from flowrun.ledger import counting
from flowrun.production.exits import Exit
from tests.limits.measuring import FREE, LATE, POLITE, PROMISED, Measured, Setting, measured

pytestmark = pytest.mark.usefixtures("unmeasured")  # what chance has reached is no proof that a test looks at it

TINY = Setting(tier=2, poll=POLITE, nodes=40)
SMALL = Setting(tier=2, poll=POLITE, nodes=100)


def _holds(found: Measured) -> None:
    setting = found.setting
    assert found.exits == (Exit.DONE, Exit.DONE)
    assert (found.accepted, found.paid_twice) == (setting.nodes, 0)
    assert found.peaks == setting.limits, "in full, and never more"
    assert found.bound <= found.wall


def test_forty_nodes_by_two_processes() -> None:
    _holds(measured(TINY))


@pytest.mark.long
@pytest.mark.parametrize("shared", [False, True], ids=["two-manifests", "one-manifest"])
def test_a_hundred_nodes_by_two_processes(shared: bool) -> None:
    found = measured(replace(SMALL, shared=shared))
    _holds(found)
    assert found.to_ideal < 1.2, "a small production ends with few left to choose from"


@pytest.mark.long
@pytest.mark.parametrize("shared", [False, True], ids=["two-manifests", "one-manifest"])
@pytest.mark.parametrize("tier", [1, 2, 3, 4])
def test_five_hundred_nodes_at_each_tier(tier: int, shared: bool) -> None:
    found = measured(Setting(tier, POLITE, shared))
    _holds(found)
    assert found.to_ideal <= PROMISED[POLITE]


@pytest.mark.long
@pytest.mark.parametrize("shared", [False, True], ids=["two-manifests", "one-manifest"])
def test_five_hundred_nodes_with_four_limits_at_once(shared: bool) -> None:
    found = measured(Setting(5, POLITE, shared, mixed=True))
    _holds(found)
    assert found.to_ideal <= PROMISED[POLITE]


@pytest.mark.long
@pytest.mark.parametrize("shared", [False, True], ids=["two-manifests", "one-manifest"])
@pytest.mark.parametrize("tier", [1, 2, 3, 4])
def test_five_hundred_nodes_with_free_polls(tier: int, shared: bool) -> None:
    found = measured(Setting(tier, FREE, shared))
    _holds(found)
    assert found.to_ideal <= PROMISED[FREE]
    assert found.late <= LATE


@pytest.mark.long
def test_four_limits_at_once_with_free_polls() -> None:
    found = measured(Setting(5, FREE, mixed=True))
    _holds(found)
    assert found.to_ideal <= PROMISED[FREE]


def _grants_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    real = counting.slots
    monkeypatch.setattr(counting, "slots", lambda tables, model, now: real(tables, model, now) - 1)


@pytest.mark.long
def test_one_slot_too_many_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    _grants_one_more(monkeypatch)
    found = measured(TINY)
    assert set(found.peaks.values()) == {4}
    assert not found.keeps


@pytest.mark.long
def test_slots_left_idle_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a look at what other processes free, and asked again but every half minute."""
    quick = measured(SMALL)

    def lazy(self: Scheduler, **options: Any) -> None:
        real(self, **{"recheck": 30.0, **options})

    real = Scheduler.__init__
    monkeypatch.setattr(Scheduler, "__init__", lazy)
    for name in ("LOOK", "LOOK_SELDOM"):
        monkeypatch.setattr(slots, name, 1e6)
    slow = measured(SMALL)
    assert slow.idle > quick.idle + 0.02
