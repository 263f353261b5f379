"""What could start now, best first, derived from the rows alone: the specification.

The engine keeps it as an incremental view (`queue`); tests compare the two after every event.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from flowrun.engine.records import Instance, Unit, longest_paths
from flowrun.engine.states import NodeState

Rank = tuple[float, int, int]  # minus the remaining path, the manifest's order, the take

_STARTABLE = frozenset({NodeState.READY, NodeState.QUEUED})


def is_startable(unit: Unit, preparing: Collection[str]) -> bool:
    """Ready or held up, its media in place, and not over a cap."""
    return unit.state in _STARTABLE and not unit.parked and unit.name not in preparing


def rank(unit: Unit, order: int, path: float) -> Rank:
    """`path`: expected seconds from the unit's start to the end of everything below it."""
    return (-path, order, unit.take)


def ready(
    instances: Mapping[str, Instance], units: Mapping[str, Unit], preparing: Collection[str] = ()
) -> tuple[str, ...]:
    """Names of units: longest remaining path first, then the manifest's order, then the take."""
    paths = longest_paths(instances)

    def place(unit: Unit) -> tuple[Rank, str]:
        return rank(unit, instances[unit.item].spec.order, paths[unit.item]), unit.name

    return tuple(unit.name for unit in sorted((u for u in units.values() if is_startable(u, preparing)), key=place))
