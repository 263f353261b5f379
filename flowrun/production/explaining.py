"""Where values came from: every setting, and for a manifest every variable and every input of every node. Owns these answers
as values; their texts are ui's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowrun.diagnostics.span import Span
from flowrun.graph.compile import is_off
from flowrun.graph.model import Graph, Instance
from flowrun.graph.values import Expression, ListValue, Literal, MapEntry, MapValue, Value
from flowrun.manifest.declared import Flow
from flowrun.production.configuring import flag_settings, settings_of
from flowrun.production.options import Options, Surroundings
from flowrun.production.production import Production
from flowrun.secret import mask
from flowrun.settings.model import Origin
from flowrun.settings.reading import explained
from flowrun.store.location import find_project, store_root


@dataclass(frozen=True, slots=True)
class Setting:
    """`value`: plain, as JSON has it, API keys masked; None: not set."""

    key: str
    value: Any
    origin: Origin


@dataclass(frozen=True, slots=True)
class InputOrigin:
    """One input of a node. `source`: `with`, ``defaults image_to_video`` or ``profile draft image_to_video/gen4_turbo``; `span`:
    of the value there; `value`: as it is written, templates and all; `off`: an explicit null took the default away."""

    name: str
    value: Any
    source: str
    span: Span
    off: bool = False


@dataclass(frozen=True, slots=True)
class NodeOrigins:
    """A node as one model has it: instances that share their inputs share one of these. `addresses`: theirs."""

    node: str
    operation: str
    model: str
    addresses: tuple[str, ...]
    inputs: tuple[InputOrigin, ...]


@dataclass(frozen=True, slots=True)
class VariableOrigin:
    """`span` in a file, or at the flag that gave it."""

    name: str
    value: Any
    span: Span
    is_set: bool


@dataclass(frozen=True, slots=True)
class Explained:
    """`store`: the folder that results lie in. `variables` and `nodes` are empty without a manifest."""

    project: Path
    name: str
    store: Path
    settings: tuple[Setting, ...]
    variables: tuple[VariableOrigin, ...] = ()
    nodes: tuple[NodeOrigins, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "project": {"folder": str(self.project), "name": self.name, "store": str(self.store)},
            "settings": [
                {"key": each.key, "value": each.value, "origin": each.origin.to_json()} for each in self.settings
            ],
            "variables": [
                {"name": each.name, "value": each.value, "set": each.is_set, "origin": _place(each.span)}
                for each in self.variables
            ],
            "nodes": [_node_json(each) for each in self.nodes],
        }


def _node_json(node: NodeOrigins) -> dict[str, Any]:
    inputs = [
        {"name": each.name, "value": each.value, "source": each.source, "origin": _place(each.span), "off": each.off}
        for each in node.inputs
    ]
    head = {"node": node.node, "operation": node.operation, "model": node.model, "addresses": list(node.addresses)}
    return {**head, "inputs": inputs}


def _place(span: Span) -> dict[str, Any]:
    return {"file": span.file, "line": span.line, "column": span.column}


def explain(file: Path | None, options: Options, around: Surroundings) -> Explained:
    """The settings of the manifest's project, else of the one around the working folder. Raises DiagnosticError."""
    production = None if file is None else Production(file, options, around, demand=False)
    project = production.project if production else find_project(around.cwd / "manifest")
    found = settings_of(project, around, flag_settings(options))
    settings = tuple(Setting(key, _plain(value), origin) for key, value, origin in explained(found))
    name, store = found.project.name or project.name, store_root(project, str(found.cache.dir or ""))
    if production is None:
        return Explained(project, name, store, settings)
    return Explained(
        project, name, store, settings, tuple(_variables(production.flow)), tuple(_nodes(production.graph()))
    )


def _plain(value: Any) -> Any:
    if isinstance(value, str | Path):
        return mask(str(value))
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return {name: _plain(each) for name, each in value.items()} if isinstance(value, Mapping) else value


def _variables(flow: Flow) -> Iterator[VariableOrigin]:
    for name, given in flow.values.items():
        yield VariableOrigin(name, _plain(given.value), given.span if given.is_set else given.declared, given.is_set)


def _nodes(graph: Graph) -> Iterator[NodeOrigins]:
    """In the manifest's order; nodes that no value lets expand yet are left out."""
    for node_id in graph.nodes:
        groups: dict[tuple[str, MapValue], list[Instance]] = {}
        for address in graph.of_node(node_id):
            instance = graph.instances[address]
            groups.setdefault((instance.model, instance.request), []).append(instance)
        for (model, request), members in groups.items():
            node, addresses = members[0].node, tuple(str(each.address) for each in members)
            inputs = tuple(_inputs(request, node.inputs, graph.flow, (node.operation.name, model)))
            yield NodeOrigins(node_id, node.operation.name, model, addresses, inputs)


def _inputs(request: MapValue, own: MapValue, flow: Flow, kind: tuple[str, str]) -> Iterator[InputOrigin]:
    for entry in request.entries:
        source = _section(entry, flow, kind) if entry.inherited else "with"
        yield InputOrigin(entry.name, _written(entry.value), source, _span(entry.value))
    for entry in own.entries:
        if is_off(entry.value):
            yield InputOrigin(entry.name, None, "with", _span(entry.value), off=True)


def _section(entry: MapEntry, flow: Flow, kind: tuple[str, str]) -> str:
    """Which section of defaults gave an input: the more specific is asked first, since it wins."""
    operation, model = kind
    for name in (f"{operation}/{model}", operation):
        written = flow.manifest.defaults.get(name)
        if written and (at := written.entry(entry.name)) and at.key.span == entry.key_span:
            return f"defaults {name}"
    over = next((name for name in (f"{operation}/{model}", operation) if _gives(flow, name, entry)), operation)
    return f"profile {flow.profile} {over}"


def _gives(flow: Flow, section: str, entry: MapEntry) -> bool:
    written = flow.defaults.get(section)
    at = written.entry(entry.name) if written else None
    return at is not None and at.key.span == entry.key_span


def _span(value: Value) -> Span:
    return value.span


def _written(value: Value) -> Any:
    """The value as JSON has it, templates as their text."""
    if isinstance(value, Literal):
        return _plain(value.value)
    if isinstance(value, Expression):
        return mask(value.template.text)
    if isinstance(value, ListValue):
        return [_written(item) for item in value.items]
    return {entry.name: _written(entry.value) for entry in value.entries}
