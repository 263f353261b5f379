"""From references to edges. Owns what each form of reference to a node means; also the cycle check between nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flowrun.diagnostics.model import Diagnostic, Note
from flowrun.diagnostics.suggest import suggest
from flowrun.graph.address import Address, address
from flowrun.graph.model import CompiledNode, Edge, EdgeKind, Place
from flowrun.template import WILDCARD, Guard

_MEMBERS = ("output", "outputs", "takes")


class BadReference(Exception):
    """A reference that cannot be followed; carries what to say of it."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


def node_cycle(nodes: Mapping[str, CompiledNode]) -> Diagnostic | None:
    """The first cycle between nodes, by reference or `needs`, as one diagnostic; None where there is none."""
    import networkx

    links: dict[tuple[str, str], Any] = {}
    for node in nodes.values():
        for place in node.places:
            steps = place.reference.steps
            if place.reference.root == "nodes" and steps and steps[0] in nodes:
                links.setdefault((node.id, str(steps[0])), place.span)
        for text, span in node.decl.needs:
            links.setdefault((node.id, text.partition("[")[0]), span)
    graph: Any = networkx.DiGraph(link for link in links if link[1] in nodes)
    try:
        cycle = [(a, b) for a, b in networkx.find_cycle(graph)]
    except networkx.NetworkXNoCycle:
        return None
    first = min(range(len(cycle)), key=lambda at: nodes[cycle[at][0]].order)
    cycle = cycle[first:] + cycle[:first]
    path = " -> ".join([cycle[0][0], *(after for _, after in cycle)])
    notes = tuple(Note(f"{before} refers to {after} here", links[before, after]) for before, after in cycle[1:])
    hint = "one of them has to do without the other"
    return Diagnostic("cycle", f"nodes wait for each other: {path}", links[cycle[0]], hint, notes)


def node_order(nodes: Mapping[str, CompiledNode]) -> list[str]:
    """Ids so that each comes after those it refers to; ties in the manifest's order."""
    import networkx

    graph: Any = networkx.DiGraph()
    graph.add_nodes_from(nodes)
    for node in nodes.values():
        for up in _named(node, nodes):
            graph.add_edge(up, node.id)
    return list(networkx.lexicographical_topological_sort(graph, key=lambda node_id: nodes[node_id].order))


def _named(node: CompiledNode, nodes: Mapping[str, CompiledNode]) -> Iterator[str]:
    for place in node.places:
        if place.reference.root == "nodes" and place.reference.steps and place.reference.steps[0] in nodes:
            yield str(place.reference.steps[0])
    for text, _ in node.decl.needs:
        if (name := text.partition("[")[0]) in nodes:
            yield name


def edges_of(
    place: Place,
    scope: Mapping[str, Any],
    nodes: Mapping[str, CompiledNode],
    fanouts: Mapping[str, tuple[Address, ...]],
) -> Iterator[Edge]:
    """The edges that one reference to `nodes` makes. Raises BadReference."""
    steps = place.reference.resolve(scope)
    if place.reference.root != "nodes" or not steps:
        return
    guard = place.reference.guard
    guarded = guard is not Guard.NONE
    if steps[0] is WILDCARD:
        raise BadReference("dynamic-node", "which node is meant must be known before anything runs", "write its id")
    node = nodes[str(steps[0])]
    targets, rest, gather = _targets(node, steps[1:], fanouts, place)
    kind = EdgeKind.PRESENCE if guard is Guard.DEFINED else EdgeKind.FACT if _is_fact(rest) else EdgeKind.DATA
    for target in targets:
        yield Edge(target, kind, place.span, guarded, gather)


def _targets(
    node: CompiledNode, steps: tuple[Any, ...], fanouts: Mapping[str, tuple[Address, ...]], place: Place
) -> tuple[tuple[Address, ...], tuple[Any, ...], bool]:
    """Whom the steps after the node's id mean, and what is left of the steps."""
    if not node.is_fanout:
        _check_member(node.id, steps, place)
        return (address(node.id),), steps[1:], False
    members = fanouts[node.id]
    if not steps:
        if place.reference.guard is Guard.NONE:
            raise _fanout_as_one(node.id, members)
        return members, (), False
    if steps[0] == "output":
        raise _fanout_as_one(node.id, members)
    if steps[0] in ("outputs", "takes"):
        return members, steps[1:], True
    if steps[0] is WILDCARD:
        return members, steps[2:], False
    found = [member for member in members if member.key == str(steps[0])]
    if not found:
        raise _no_member(node.id, str(steps[0]), members)
    _check_member(f"{node.id}['{steps[0]}']", steps[1:], place)
    return tuple(found), steps[2:], False


def _check_member(name: str, steps: tuple[Any, ...], place: Place) -> None:
    if not steps:
        if place.reference.guard is Guard.NONE:
            raise BadReference("bare-node", f"'{name}' alone is no value", f"write nodes.{name}.output")
        return
    if steps[0] in _MEMBERS or steps[0] is WILDCARD:
        return
    near = suggest(str(steps[0]), _MEMBERS)
    hint = f"did you mean .{near}?" if near else f"write nodes.{name}.output"
    raise BadReference("unknown-reference", f"node '{name}' has no '{steps[0]}'", hint)


def _fanout_as_one(node_id: str, members: tuple[Address, ...]) -> BadReference:
    key = members[0].key if members else "KEY"
    return BadReference(
        "fan-out-as-one",
        f"'{node_id}' is a fan-out and has no single output",
        f"write nodes.{node_id}['{key}'].output for one, or nodes.{node_id}.outputs for all",
    )


def _no_member(node_id: str, key: str, members: tuple[Address, ...]) -> BadReference:
    keys = [member.key or "" for member in members]
    near = suggest(key, keys)
    hint = f"did you mean '{near}'?" if near else f"its keys are {', '.join(keys[:8])}{' ...' if len(keys) > 8 else ''}"
    return BadReference("unknown-reference", f"fan-out '{node_id}' has no instance '{key}'", hint)


def _is_fact(rest: tuple[Any, ...]) -> bool:
    return bool(rest) and any(isinstance(step, str) for step in rest)
