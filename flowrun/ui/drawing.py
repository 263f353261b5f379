"""The graph as text that other programs draw (mermaid, dot), as JSON, and as a picture of its own (svg)."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from flowrun.graph.address import Address
from flowrun.graph.model import Graph, Instance
from flowrun.plan.whole import waves

_STYLE = (
    "<style>rect{fill:#f4f4f6;stroke:#555}text{font:12px sans-serif}.model{fill:#666;font-size:10px}"
    "line{stroke:#888}.thin{stroke-dasharray:4}</style>"
)
_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _EDGE = 190, 44, 70, 18, 20


def draw(graph: Graph, form: str) -> str:
    """`form`: mermaid, dot or svg."""
    return {"mermaid": _mermaid, "dot": _dot, "svg": _svg}[form](graph)


def graph_document(graph: Graph) -> dict[str, Any]:
    """Instances and edges as JSON."""
    return {
        "flow": graph.flow.name,
        "nodes": [_node(instance) for instance in _in_order(graph)],
        "edges": [
            {"from": str(edge.source), "to": str(instance.address), "kind": edge.kind.value}
            for instance in _in_order(graph)
            for edge in instance.edges
        ],
    }


def _node(instance: Instance) -> dict[str, Any]:
    return {
        "address": str(instance.address),
        "operation": instance.node.operation.name,
        "model": instance.model,
        "takes": instance.takes,
        "tags": list(instance.node.decl.tags),
    }


def _in_order(graph: Graph) -> list[Instance]:
    return sorted(graph, key=lambda instance: instance.order)


def _links(graph: Graph) -> Iterator[tuple[Address, Address, bool]]:
    """(from, to, only an order), each once."""
    for instance in _in_order(graph):
        kinds: dict[Address, bool] = {}
        for edge in instance.edges:
            kinds[edge.source] = kinds.get(edge.source, True) and edge.kind.value != "data"
        yield from ((source, instance.address, thin) for source, thin in kinds.items())


def _mermaid(graph: Graph) -> str:
    numbers = {instance.address: f"n{number}" for number, instance in enumerate(_in_order(graph))}
    lines = ["flowchart LR"]
    for instance in _in_order(graph):
        label = escape(f"{instance.address}", quote=True)
        lines.append(f'  {numbers[instance.address]}["{label}<br/>{instance.node.operation.name}/{instance.model}"]')
    lines += [f"  {numbers[a]} {'-.->' if thin else '-->'} {numbers[b]}" for a, b, thin in _links(graph)]
    return "\n".join(lines)


def _dot(graph: Graph) -> str:
    def quoted(text: object) -> str:
        escaped = str(text).replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'

    lines = [f"digraph {quoted(graph.flow.name)} {{", "  rankdir=LR;", "  node [shape=box];"]
    for instance in _in_order(graph):
        model = f"{instance.node.operation.name}/{instance.model}"
        lines.append(f'  {quoted(instance.address)} [label={quoted(f"{instance.address}")[:-1]}\\n{model}"];')
    lines += [f"  {quoted(a)} -> {quoted(b)}{' [style=dashed]' if thin else ''};" for a, b, thin in _links(graph)]
    return "\n".join([*lines, "}"])


def _svg(graph: Graph) -> str:
    """Columns by distance from the top, straight arrows between them."""
    columns = waves(graph)
    places = {
        address: (_EDGE + column * (_WIDTH + _GAP_X), _EDGE + row * (_HEIGHT + _GAP_Y))
        for column, wave in enumerate(columns)
        for row, address in enumerate(wave)
    }
    width = 2 * _EDGE + len(columns) * (_WIDTH + _GAP_X) - _GAP_X
    height = 2 * _EDGE + max((len(wave) for wave in columns), default=1) * (_HEIGHT + _GAP_Y) - _GAP_Y
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        _STYLE,
    ]
    parts += [_arrow(places[a], places[b], thin) for a, b, thin in _links(graph)]
    parts += [_box(places[instance.address], instance) for instance in _in_order(graph)]
    return "\n".join([*parts, "</svg>"])


def _arrow(start: tuple[int, int], end: tuple[int, int], thin: bool) -> str:
    shape = ' class="thin"' if thin else ""
    middle = _HEIGHT // 2
    return f'<line x1="{start[0] + _WIDTH}" y1="{start[1] + middle}" x2="{end[0]}" y2="{end[1] + middle}"{shape}/>'


def _box(place: tuple[int, int], instance: Instance) -> str:
    x, y = place
    name, model = escape(_short(str(instance.address), 28)), escape(instance.model)
    return (
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>'
        f'<text x="{x + 10}" y="{y + 19}">{name}</text><text class="model" x="{x + 10}" y="{y + 34}">{model}</text>'
    )


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
