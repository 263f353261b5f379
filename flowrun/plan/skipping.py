"""What an upstream that is skipped or stopped means for a node, and who will be skipped, told ahead.

`is defined` asks only whether a node is skipped and waits for nothing else, so that has to be known before that node was
decided. Where it hangs on nothing that another node makes, it is. Where it does, the one who asks waits after all.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from flowrun.graph.address import Address
from flowrun.graph.model import EdgeKind, Graph, Instance
from flowrun.graph.outcomes import Barred, Outcome, Pending, Skipped, World
from flowrun.graph.scope import ScopeSource
from flowrun.graph.standing import Standing, settle
from flowrun.plan.model import Decision, Reason, Why
from flowrun.plan.reasons import cut

_OPEN = Pending(may_skip=True)


class Foresight:
    """What is known of instances that were not decided, or are still to be made."""

    def __init__(self, graph: Graph, source: ScopeSource) -> None:
        self._graph, self._source = graph, source
        self._stays: set[Address] = set()

    @cached_property
    def _standing(self) -> Standing:
        return settle(self._graph, self._source, [])  # a wrong `when` is told where its node is decided

    def stays(self, address: Address) -> None:
        """It was found not to be skipped."""
        self._stays.add(address)

    def outcome(self, address: Address) -> Outcome:
        """Skipped, or pending; `may_skip` while that is still open."""
        state = self._standing.outcome(address)
        return Pending() if state == _OPEN and address in self._stays else state

    def waited_for(self, instance: Instance) -> Iterator[Address]:
        """Those it asks only the presence of, where nothing but the run will tell."""
        for edge in instance.edges:
            if edge.kind is EdgeKind.PRESENCE and self._standing.outcome(edge.source) == _OPEN:
                yield edge.source


def by_upstream(instance: Instance, world: World) -> tuple[Decision, Why] | None:
    """Blocked, skipped, or None for go on. Blocked wins: what failed may come back, what is skipped will not."""
    skipped: Address | None = None
    for edge in instance.edges:
        outcome = world.outcome(edge.source)
        if edge.kind is not EdgeKind.PRESENCE and isinstance(outcome, Barred):
            return Decision.BLOCKED, Why(Reason.UPSTREAM_BLOCKED, detail=cut(f"{edge.source} {outcome.why}"))
        if edge.passes_skip and isinstance(outcome, Skipped):
            skipped = skipped or edge.source
    return None if skipped is None else (Decision.SKIP, Why(Reason.UPSTREAM_SKIPPED, detail=str(skipped)))
