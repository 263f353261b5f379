"""A case and what came of it as text, for whoever has to find the mistake. Owns the words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from tests.simulation.model import Case, Round, Visit, manifest
from tests.simulation.visits import Report


def told(report: Report) -> str:
    """Everything about one case: what it was, what happened, which promise was broken."""
    return "\n".join([*_case(report.case), "", *report.trace, "", f"=> {report.violation or 'every promise was kept'}"])


def _case(case: Case) -> Iterator[str]:
    yield f"seed {case.seed}"
    yield manifest(case.nodes, case.limits)[0]
    for number, each in enumerate(case.rounds):
        yield f"round {number + 1}: {_unusual(each, Round(), ('visits',))}"
        for visit in each.visits:
            yield f"  a process: {_unusual(visit, Visit(), ())}"


def _unusual(value: Any, plain: Any, but: tuple[str, ...]) -> str:
    names = [each.name for each in fields(value) if each.name not in but]
    odd = [f"{name}={getattr(value, name)!r}" for name in names if getattr(value, name) != getattr(plain, name)]
    return ", ".join(odd) or "as usual"


def table(tally: Counter[str], violations: int) -> str:
    """The sums of many cases."""
    first = ("production", "apply", "submission", "death", "freeze", "interrupt")
    names = [*first, *sorted(name for name in tally if name not in first)]
    rows = [f"{tally[name]:>9,}  {name}" for name in names]
    return "\n".join([*rows, f"{violations:>9,}  violations"])
