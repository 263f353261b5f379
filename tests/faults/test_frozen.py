"""The real program, stopped by its own SIGSTOP at named points until it counts as dead, with a second one in its place, and then
set going again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.freezing import FREEZES, Freeze, freeze
from tests.faults.stage import Production

pytestmark = pytest.mark.long


@pytest.mark.parametrize("case", FREEZES, ids=lambda case: case.name)
def test_who_comes_back_pays_nothing_again_and_damages_nothing(
    case: Freeze, produce: Callable[[str], Production]
) -> None:
    assert freeze(case, produce(case.name)).wrong == ()
