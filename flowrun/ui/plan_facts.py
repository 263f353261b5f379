"""What is shown of a plan before anybody agrees to it. Owns the shape alone; whoever asked the API fills it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flowrun.engine.estimate import Foreseen
from flowrun.ledger.protocol import CapLeft
from flowrun.plan.whole import Plan


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """`balance`: credits, None: the API was not asked or did not answer. `daily_left`: generations a model's day still has,
    None: no limit; a model that is not in it was not asked for. `seconds`: expected duration. `cap`: the most credits an
    apply would commit, None: no cap. `banner`: why the sandbox was taken unasked. `left`: what each cap leaves now; `foreseen`:
    what of the plan fits them; `written`: the manifest's own cap, which no flag raises; `daily_next`: when a model of which more
    would run than its day has left has a further generation, None: nobody knows; `at`: when all this was read (epoch
    seconds)."""

    plan: Plan
    balance: int | None = None
    daily_left: Mapping[str, int | None] = field(default_factory=dict)
    seconds: float | None = None
    cap: int | None = None
    provider: str = "runway"
    banner: str | None = None
    left: Sequence[CapLeft] = ()
    foreseen: Foreseen | None = None
    written: int | None = None
    daily_next: Mapping[str, float | None] = field(default_factory=dict)
    at: float = 0.0
