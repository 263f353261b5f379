"""The scheduler's own rows: instances and their takes. Each holds its one state; everything else here can be derived."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flowrun.engine.events import Item
from flowrun.engine.states import FINAL, USABLE, NodeState

RESUME = ""  # the lane of tasks that are in flight already; every other lane is a model's


@dataclass(slots=True)
class Unit:
    """One take of one instance. `lane`: the queue it waits in; `parked`: over a cap; `left`: a stopping run lets go of it,
    its task stays at the API."""

    name: str
    item: str
    take: int
    model: str
    state: NodeState = NodeState.BLOCKED
    credits: int | None = None
    lane: str = ""
    retries: int = 0
    resends: int = 0
    parked: bool = False
    left: bool = False
    anew: bool = True

    def __post_init__(self) -> None:
        self.lane = self.lane or self.model

    @property
    def is_final(self) -> bool:
        return self.state in FINAL


@dataclass(slots=True)
class Instance:
    """One node of the graph. `waits`: upstream not settled yet; `outcome`: set once, when it is settled."""

    spec: Item
    waits: set[str]
    downstream: list[str] = field(default_factory=list)
    priority: float = 0.0
    units: dict[int, Unit] = field(default_factory=dict)
    pick: int | None = None
    retry: int | None = None
    outcome: NodeState | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    state: NodeState
    take: int | None = None


def outcome_of(units: Mapping[int, Unit], pick: int | None) -> Outcome | None:
    """Which take flows on, None while that is open.

    A pick decides; else the lowest-numbered take that succeeded, once every lower-numbered one has ended without
    success. Uncertain, paused or over a cap is not ended: an uncertain one stops the node, the others keep it open.
    """
    if pick is not None and pick in units:
        unit = units[pick]
        return Outcome(unit.state, pick if unit.state in USABLE else None) if unit.is_final else None
    for take in sorted(units):
        state = units[take].state
        if state in USABLE:
            return Outcome(state, take)
        if state is NodeState.UNCERTAIN:
            return Outcome(state)
        if not units[take].is_final:
            return None
    return Outcome(_worst(unit.state for unit in units.values()))


def _worst(states: Iterable[NodeState]) -> NodeState:
    found = set(states)
    for state in (NodeState.FAILED, NodeState.REJECTED, NodeState.CANCELLED, NodeState.EXCLUDED):
        if state in found:
            return state
    return NodeState.SKIPPED


def longest_paths(instances: Mapping[str, Instance]) -> dict[str, float]:
    """Seconds from the start of each instance to the end of everything below it, on expected durations.

    Iterative, so that a chain of ten thousand does not meet the recursion limit.
    """
    pending = {address: len(instance.downstream) for address, instance in instances.items()}
    ends = [address for address, count in pending.items() if count == 0]
    lengths: dict[str, float] = {}
    while ends:
        address = ends.pop()
        instance = instances[address]
        below = max((lengths[down] for down in instance.downstream), default=0.0)
        lengths[address] = instance.spec.seconds + below
        for up in instance.spec.upstream:
            pending[up] -= 1
            if pending[up] == 0:
                ends.append(up)
    return lengths
