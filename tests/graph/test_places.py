"""The way into a tree: whatever steps a stranger names, they lead to a part of it or nowhere."""

from __future__ import annotations

import pytest

from flowrun.diagnostics.span import Span
from flowrun.graph.places import below
from flowrun.yaml_tree import Sequence

HERE = Span("flow.yaml", 1, 1, 1, 2)
ROW = Sequence((Sequence((), HERE), Sequence((), HERE)), HERE)


@pytest.mark.parametrize("step", [-1, -9, 2, 10**30, "0", None, 1.0])
def test_steps_that_lead_nowhere(step: object) -> None:
    """They may come from what the API says of a request."""
    assert below(ROW, [step]) is None


def test_steps_that_lead_somewhere() -> None:
    assert below(ROW, [1]) is ROW.items[1]
    assert below(ROW, []) is ROW
