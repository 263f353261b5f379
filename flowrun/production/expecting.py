"""How long a task is expected to take, where nothing was learned of its kind: as at Runway, or as in a sandbox that is quick.

Owns that second number, and who is believed to be quick; the first is the catalogue's, what was learned the store's.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from flowrun.graph.model import Graph
from flowrun.plan.whole import Plan
from flowrun.production.organization import OrganizationView

QUICK_SECONDS = 2.0  # of a task in a sandbox that is not realistic, before anything was learned

Kind = tuple[str, str]  # operation and model


def quick_seconds(graph: Graph) -> dict[Kind, float]:
    """What to expect of each kind in the graph where the sandbox is known to be quick before anybody asks it."""
    return {(each.node.operation.name, each.model): QUICK_SECONDS for each in graph}


def as_quick(plan: Plan, view: OrganizationView | None, learned: Container[Kind]) -> Plan:
    """The plan with the durations that who answered can be expected to have: only an answer tells a quick sandbox from a
    realistic one. Kinds in `learned` keep what they have."""
    if view is None or not view.is_quick:
        return plan
    steps = {
        at: step if (step.operation, step.model) in learned else replace(step, seconds=QUICK_SECONDS)
        for at, step in plan.steps.items()
    }
    return replace(plan, steps=steps)
