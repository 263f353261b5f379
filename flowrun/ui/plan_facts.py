"""What is shown of a plan before anybody agrees to it. Owns the shape alone; whoever asked the API fills it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flowrun.plan.whole import Plan


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """`balance`: credits, None: the API was not asked or did not answer. `daily_left`: generations a model's day still has,
    None: no limit; a model that is not in it was not asked for. `seconds`: expected duration. `cap`: the most credits an
    apply would commit, None: no cap. `banner`: why the sandbox was taken unasked."""

    plan: Plan
    balance: int | None = None
    daily_left: Mapping[str, int | None] = field(default_factory=dict)
    seconds: float | None = None
    cap: int | None = None
    provider: str = "runway"
    banner: str | None = None
