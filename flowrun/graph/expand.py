"""From compiled nodes to instances: rows, models, takes and edges. Owns the expansion; `fanning` reads rows, `defaults`
merges inputs, `edges` knows what references mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from flowrun.diagnostics.model import Diagnostic, Note
from flowrun.diagnostics.span import Span
from flowrun.graph.address import Address, address, parse
from flowrun.graph.compile import is_off
from flowrun.graph.defaults import merged
from flowrun.graph.edges import BadReference, edges_of, keys_hint
from flowrun.graph.fanning import rows
from flowrun.graph.model import CompiledNode, Each, Edge, EdgeKind, Instance, Place
from flowrun.graph.request import cell_value, evaluation_problem, written_at
from flowrun.graph.values import Expression, Value
from flowrun.graph.work import Stop, Work
from flowrun.operations.spec import ModelSpec
from flowrun.template import WILDCARD, EvaluationError
from flowrun.template.references import Dynamic

MOST_TAKES = 100


def expand(node: CompiledNode, work: Work) -> None:
    """Add the node's instances to the work; its mistakes too."""
    making = _Making(node, work)
    if not node.is_fanout:
        making.add(address(node.id), None)
        return
    try:
        eaches = rows(node, work)
    except Stop:
        return
    work.fanouts[node.id] = {each.key: address(node.id, each.key) for each in eaches}
    for each in eaches:
        making.add(work.fanouts[node.id][each.key], each)
    work.problems.extend(making.refused())


@dataclass(slots=True)
class _Making:
    """The instances of one node. What is the same for all of them is found once."""

    node: CompiledNode
    work: Work
    _edges: dict[int, tuple[Edge, ...]] = field(default_factory=dict)
    _merged: dict[str, object] = field(default_factory=dict)
    _refused: dict[tuple[str, Span], tuple[Diagnostic, int]] = field(default_factory=dict)

    def add(self, at: Address, each: Each | None) -> None:
        """One instance, unless its model or takes cannot be told."""
        node, work = self.node, self.work
        try:
            spec = _spec(node, each, work)
            takes = _takes(node, each, work)
        except Stop:
            return
        edges = tuple(self.edges(each))
        request = merged(node, spec, work)
        number = len(work.instances)
        work.instances[at] = Instance(at, node, each, spec.model, spec, request, takes, edges, number)
