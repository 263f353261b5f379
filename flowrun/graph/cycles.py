"""The order of nodes and what stands against one. Owns networkx: links between nodes, cycles, topological order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from flowrun.diagnostics.model import Diagnostic, Note
from flowrun.diagnostics.span import Span
from flowrun.graph.model import CompiledNode

Links = dict[tuple[str, str], Span]  # (who refers, to whom): where it first does


def links_of(nodes: Mapping[str, CompiledNode]) -> Links:
    """Who refers to whom, by reference or `needs`, in the manifest's order. Unknown names are left out."""
    links: Links = {}
    for node in nodes.values():
        for name, span in _named(node):
            if name in nodes:
                links.setdefault((node.id, name), span)
    return links


def _named(node: CompiledNode) -> Iterator[tuple[str, Span]]:
    for place in node.places:
        steps = place.reference.steps
        if place.reference.root == "nodes" and steps and isinstance(steps[0], str):
            yield steps[0], place.span
    for text, span in node.decl.needs:
        yield text.partition("[")[0], span


def cycles(nodes: Mapping[str, CompiledNode], links: Links) -> Iterator[Diagnostic]:
    """For each knot of nodes that wait for each other, a shortest cycle through its first node in manifest order."""
    import networkx

    graph: Any = networkx.DiGraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(links)
    for knot in networkx.strongly_connected_components(graph):
        first = min(knot, key=lambda node_id: nodes[node_id].order)
        if len(knot) > 1 or graph.has_edge(first, first):
            yield _cycle(_shortest(graph.subgraph(knot), first, nodes), links)


def _shortest(knot: Any, first: str, nodes: Mapping[str, CompiledNode]) -> list[str]:
    """The ids of a shortest way from `first` back to it, both ends included; ties in the manifest's order."""
    ways = [[first]]
    seen: set[str] = set()
    while True:
        longer: list[list[str]] = []
        for way in ways:
            for after in sorted(knot.successors(way[-1]), key=lambda node_id: nodes[node_id].order):
                if after == first:
                    return [*way, first]
                if after not in seen:
                    seen.add(after)
                    longer.append([*way, after])
        ways = longer


def _cycle(path: list[str], links: Links) -> Diagnostic:
    steps = list(pairwise(path))
    notes = tuple(Note(f"{before} refers to {after} here", links[before, after]) for before, after in steps[1:])
    if len(steps) == 1:
        message, hint = f"node {path[0]} waits for itself", "refer to another node, or take the reference out"
    else:
        message, hint = f"nodes wait for each other: {' -> '.join(path)}", "one of them has to do without the other"
    return Diagnostic("cycle", message, links[steps[0]], hint, notes)


def node_order(nodes: Mapping[str, CompiledNode], links: Links) -> list[str]:
    """Ids so that each comes after those it refers to; ties in the manifest's order."""
    import networkx

    graph: Any = networkx.DiGraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from((after, before) for before, after in links)
    return list(networkx.lexicographical_topological_sort(graph, key=lambda node_id: nodes[node_id].order))
