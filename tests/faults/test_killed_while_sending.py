"""The real program, killed by its own SIGKILL at each named point until a task's id is on record; then applied again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.killing import KILLS, Kill, kill
from tests.faults.points import POINTS
from tests.faults.stage import Production

pytestmark = pytest.mark.long
HERE = tuple(POINTS)[: tuple(POINTS).index("polling")]


@pytest.mark.parametrize("case", [each for each in KILLS if each.point in HERE], ids=lambda case: case.name)
def test_nothing_is_paid_twice_and_nothing_lost(case: Kill, produce: Callable[[str], Production]) -> None:
    assert kill(case, produce(case.name)).wrong == ()
