"""The real program, killed by its own SIGKILL at each named point after a task's id is on record; then applied again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.killing import KILLS, Kill, kill
from tests.faults.stage import Production
from tests.faults.test_killed_while_sending import HERE as WHILE_SENDING

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    "case", [each for each in KILLS if each.point not in WHILE_SENDING], ids=lambda case: case.name
)
def test_nothing_is_paid_twice_and_nothing_lost(case: Kill, produce: Callable[[str], Production]) -> None:
    assert kill(case, produce(case.name)).wrong == ()
