"""The graph: instances and the edges between them, immutable. Owns the types; `build` makes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from flowrun.diagnostics.model import Diagnostic
from flowrun.diagnostics.span import Span
from flowrun.graph.address import Address, Segment
from flowrun.graph.values import Expression, MapValue, Value
from flowrun.manifest.declared import Flow, NodeDecl
from flowrun.operations.catalogue import Operation
from flowrun.operations.spec import ModelSpec
from flowrun.template import Reference
from flowrun.yaml_tree import Tree

Fanouts: TypeAlias = Mapping[str, Mapping[str, Address]]  # by node id: its instances by key, in declared order


@dataclass(frozen=True, slots=True)
class Place:
    """A reference as it stands in one node: in which key (`with`, `when` ...) and in which expression."""

    key: str
    expression: Expression
    reference: Reference

    @property
    def span(self) -> Span:
        return self.expression.locate(self.reference)


@dataclass(frozen=True, slots=True)
class CompiledNode:
    """One entry of `nodes:` with its templates parsed. `inputs` is its own `with`, without defaults."""

    decl: NodeDecl
    operation: Operation
    inputs: MapValue
    with_span: Span  # of the key `with`, or of the node's own where it has none
    when: Value | None
    takes: Value | None
    salt: Value | None
    foreach: Value | None  # what to fan out over, where it is written in the manifest
    data_file: Value | None  # the path of the file that holds it, where one does
    places: tuple[Place, ...]
    order: int

    @property
    def id(self) -> str:
        return self.decl.id

    @property
    def is_fanout(self) -> bool:
        return self.decl.foreach is not None


class EdgeKind(StrEnum):
    DATA = "data"  # the artifact itself, or a gathered list
    FACT = "fact"  # only something known of it: its duration
    ORDER = "order"  # `needs`
    PRESENCE = "presence"  # `is defined`: asks only whether it is skipped


@dataclass(frozen=True, slots=True)
class Edge:
    """`source` comes first. `guarded`: the reference copes with a skipped source; `gather`: one of a list; `whole`: every
    take of the source is asked for, not just the one that flows on."""

    source: Address
    kind: EdgeKind
    span: Span
    guarded: bool = False
    gather: bool = False
    whole: bool = False

    @property
    def passes_skip(self) -> bool:
        """Whether a skipped source skips who refers to it so."""
        return self.kind in (EdgeKind.DATA, EdgeKind.FACT) and not self.guarded and not self.gather


@dataclass(frozen=True, slots=True)
class Each:
    """One row of a fan-out. `tree`: the row as it is written, where it is written somewhere."""

    key: str
    value: Any
    index: int
    tree: Tree | None = None

    def scope(self) -> dict[str, Any]:
        return {"key": self.key, "value": self.value, "index": self.index}


@dataclass(frozen=True, slots=True)
class Instance:
    """One node of the graph. `request`: its inputs with defaults merged in; `each`: its row of a fan-out."""

    address: Address
    node: CompiledNode
    each: Each | None
    model: str
    spec: ModelSpec
    request: MapValue
    takes: int
    edges: tuple[Edge, ...]
    order: int

    @property
    def waits_for(self) -> tuple[Address, ...]:
        """The upstream that must be settled first, in order of first mention."""
        return tuple(dict.fromkeys(edge.source for edge in self.edges if edge.kind is not EdgeKind.PRESENCE))


@dataclass(frozen=True, slots=True)
class Graph:
    """Instances by address in topological order (ties: the manifest's).

    A node that a variable without a value keeps from being expanded has no instances and is not in `fanouts`.
    """

    flow: Flow
    nodes: Mapping[str, CompiledNode]
    instances: Mapping[Address, Instance]
    fanouts: Fanouts
    warnings: tuple[Diagnostic, ...] = ()
    _downstream: dict[Address, tuple[Address, ...]] = field(default_factory=dict, repr=False, compare=False)

    def __iter__(self) -> Iterator[Instance]:
        return iter(self.instances.values())

    def of_node(self, node_id: str) -> tuple[Address, ...]:
        """Addresses of a node's instances; of a single node, its own."""
        if node_id in self.fanouts:
            return tuple(self.fanouts[node_id].values())
        at = Address((Segment(node_id),))
        return (at,) if at in self.instances else ()

    def downstream(self, address: Address) -> tuple[Address, ...]:
        """Those that wait for `address`, directly."""
        if not self._downstream:
            below: dict[Address, list[Address]] = {each: [] for each in self.instances}
            for instance in self:
                for up in instance.waits_for:
                    below[up].append(instance.address)
            self._downstream.update({each: tuple(found) for each, found in below.items()})
        return self._downstream[address]

    def below(self, address: Address) -> frozenset[Address]:
        """Everything that waits for `address`, directly or not."""
        found: set[Address] = set()
        frontier = [address]
        while frontier:
            fresh = set(self.downstream(frontier.pop())) - found
            found |= fresh
            frontier.extend(fresh)
        return frozenset(found)
