"""From compiled nodes to instances: fan-outs over their items, defaults merged in, takes and edges read. Owns the
expansion; what a key may be is manifest's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowrun.diagnostics.model import Diagnostic, DiagnosticError
from flowrun.diagnostics.span import Span
from flowrun.diagnostics.suggest import suggest
from flowrun.graph.address import Address, address
from flowrun.graph.compile import is_off, unknown_names
from flowrun.graph.edges import BadReference, edges_of
from flowrun.graph.model import CompiledNode, Each, Edge, EdgeKind, Instance
from flowrun.graph.outcomes import Outcomes
from flowrun.graph.request import evaluate, evaluation_problem
from flowrun.graph.scope import ScopeSource
from flowrun.graph.values import (
    Expression,
    Literal,
    MapEntry,
    MapValue,
    SourcedText,
    Value,
    compile_value,
    sourced_tree,
)
from flowrun.manifest.data import read_rows
from flowrun.manifest.declared import Flow
from flowrun.manifest.fanout import Item, expand_items
from flowrun.operations.catalogue import Catalogue
from flowrun.operations.spec import ModelSpec
from flowrun.template import EvaluationError, Unresolved
from flowrun.yaml_tree.tree import Scalar, Tree, from_plain

MOST_TAKES = 100
ReadData = Callable[[Path], bytes]


@dataclass(slots=True)
class Work:
    """What one expansion works on and gathers."""

    flow: Flow
    catalogue: Catalogue
    nodes: Mapping[str, CompiledNode]
    source: ScopeSource
    read_data: ReadData
    defaults: Mapping[str, MapValue]
    instances: dict[Address, Instance] = field(default_factory=dict)
    fanouts: dict[str, tuple[Address, ...]] = field(default_factory=dict)
    problems: list[Diagnostic] = field(default_factory=list)


def compile_defaults(flow: Flow, catalogue: Catalogue, problems: list[Diagnostic]) -> dict[str, MapValue]:
    """`defaults:` by operation or operation/model, parsed; names that are neither are errors."""
    base, compiled = flow.manifest.path.parent, {}
    for name, tree in flow.defaults.items():
        value = compile_value(tree, base, problems)
        problems.extend(unknown_names(value, {"vars", "flow"}))
        operation, _, model = name.partition("/")
        known = catalogue.operations.get(operation)
        if known is None or (model and model not in known.models):
            problem = catalogue.unknown_model_problem(operation, model) if known else None
            problem = problem or catalogue.unknown_operation_problem(operation)
            problems.append(Diagnostic(problem.code, problem.message, _defaults_key(flow, name), problem.hint))
        if isinstance(value, MapValue):
            compiled[name] = value
    return compiled


def _defaults_key(flow: Flow, name: str) -> Span:
    tree = flow.manifest.tree.get("defaults")
    entry = tree.entry(name) if tree is not None and hasattr(tree, "entry") else None
    return entry.key.span if entry else flow.defaults[name].span


def expand(node: CompiledNode, work: Work) -> None:
    """Add the node's instances to the work; its mistakes too."""
    if not node.is_fanout:
        _add(node, address(node.id), None, work)
        return
    items = _items(node, work)
    work.fanouts[node.id] = tuple(address(node.id, item.key) for item in items)
    for item in items:
        base = _base_of(node, work.flow)
        value = sourced_tree(item.value, base, cells=_is_csv(node))
        _add(node, address(node.id, item.key), Each(item.key, value, item.index), work)


def _is_csv(node: CompiledNode) -> bool:
    foreach = node.decl.foreach
    return bool(foreach and foreach.file and str(foreach.file.value).lower().endswith(".csv"))


def _base_of(node: CompiledNode, flow: Flow) -> Path:
    """The folder that relative paths in the node's rows count from: the data file's own, or the manifest's."""
    foreach, base = node.decl.foreach, flow.manifest.path.parent
    return (base / str(foreach.file.value)).parent if foreach and foreach.file else base


def _items(node: CompiledNode, work: Work) -> tuple[Item, ...]:
    foreach = node.decl.foreach
    if foreach is None:
        return ()
    try:
        source = _rows(foreach.file, work) if foreach.file is not None else _foreach_source(node, work)
        expanded = expand_items(source, foreach.key)
    except _Stop:
        return ()
    except DiagnosticError as error:
        work.problems.extend(error.diagnostics)
        return ()
    work.problems.extend(expanded.warnings)
    return expanded.items


class _Stop(Exception):
    """This node cannot be expanded; why stands in the problems."""


def _rows(file: Scalar, work: Work) -> Tree:
    """A data file's rows. Raises DiagnosticError, _Stop."""
    path = work.flow.manifest.path.parent / str(file.value)
    try:
        rows = read_rows(path, work.read_data(path))
    except OSError as error:
        hint = "paths count from the manifest's folder"
        reason = error.strerror or str(error)
        work.problems.append(Diagnostic("missing-file", f"cannot read '{file.value}': {reason}", file.span, hint))
        raise _Stop from None
    work.problems.extend(rows.warnings)
    return rows.tree


def _foreach_source(node: CompiledNode, work: Work) -> Tree:
    """The tree to fan out over; an expression's value takes the expression's span."""
    foreach = node.decl.foreach
    if not isinstance(node.foreach, Expression):
        if foreach is None or foreach.source is None:
            raise _Stop
        return foreach.source
    value = _static(node.foreach, work, None)
    return from_plain(value, node.foreach.span, literal=True)


def _static(value: Expression, work: Work, each: Each | None) -> Any:
    """An expression's value before anything ran. Raises _Stop."""
    try:
        return evaluate(value, work.source.full(each, Outcomes({}), work.fanouts))
    except Unresolved:
        message = "this has to be known before anything runs, and depends on what a node will make"
        work.problems.append(Diagnostic("not-known-yet", message, value.span, "use vars, assets or data files here"))
    except EvaluationError as error:
        work.problems.append(evaluation_problem(value, error))
    raise _Stop


def _add(node: CompiledNode, at: Address, each: Each | None, work: Work) -> None:
    try:
        spec = _spec(node, each, work)
        takes = _takes(node, each, work)
    except _Stop:
        return
    request = _merged(node, spec, work)
    edges = tuple(_edges(node, each, work))
    number = len(work.instances)
    work.instances[at] = Instance(at, node, each, spec.model, spec, request, takes, edges, number)


def _spec(node: CompiledNode, each: Each | None, work: Work) -> ModelSpec:
    """The model, by its discriminator first, so that every later error speaks of it alone."""
    given = node.inputs.get("model")
    if given is None and (defaults := work.defaults.get(node.operation.name)):
        given = defaults.get("model")
    if given is None or is_off(given):
        models = [name for name, spec in node.operation.models.items() if spec.retired is None]
        message = f"node {node.id} says no model"
        hint = f"{node.operation.name} has {', '.join(models)}"
        work.problems.append(Diagnostic("missing-input", message, node.with_span, hint))
        raise _Stop
    name = _plain(given, work, each)
    spec = node.operation.models.get(name) if isinstance(name, str) else None
    if spec is None:
        problem = work.catalogue.unknown_model_problem(node.operation.name, str(name))
        work.problems.append(Diagnostic(problem.code, problem.message, given.span, problem.hint))
        raise _Stop
    return spec


def _plain(value: Value, work: Work, each: Each | None) -> Any:
    if isinstance(value, Expression):
        found = _static(value, work, each)
        return str(found) if isinstance(found, SourcedText) else found
    return value.value if isinstance(value, Literal) else None


def _takes(node: CompiledNode, each: Each | None, work: Work) -> int:
    if node.takes is None:
        return 1
    number = _plain(node.takes, work, each)
    if isinstance(number, str) and number.isascii() and number.isdigit():
        number = int(number)  # a CSV cell is text
    if isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= MOST_TAKES:
        return number
    message = f"'takes' is a number from 1 to {MOST_TAKES}, not {number!r}"
    work.problems.append(Diagnostic("wrong-type", message, node.takes.span, "write how many generations you want"))
    raise _Stop


def _merged(node: CompiledNode, spec: ModelSpec, work: Work) -> MapValue:
    """Inputs after defaults: by operation, by operation/model, the node's own; an explicit null takes one away."""
    general = work.defaults.get(node.operation.name)
    special = work.defaults.get(f"{node.operation.name}/{spec.model}")
    merged: dict[str, MapEntry] = {}
    for section, filtered in ((general, True), (special, False)):
        for entry in section.entries if section else ():
            if not filtered or entry.name in spec.inputs:
                merged[entry.name] = MapEntry(entry.name, entry.key_span, entry.value, inherited=True)
    merged |= {entry.name: entry for entry in node.inputs.entries}
    kept = tuple(entry for entry in merged.values() if not is_off(entry.value))
    return MapValue(kept, node.inputs.span)


def _edges(node: CompiledNode, each: Each | None, work: Work) -> Iterator[Edge]:
    scope = work.source.full(each, Outcomes({}), work.fanouts)
    for place in node.places:
        try:
            yield from edges_of(place, scope, work.nodes, work.fanouts)
        except BadReference as bad:
            work.problems.append(Diagnostic(bad.code, bad.message, place.span, bad.hint))
        except EvaluationError as error:
            work.problems.append(evaluation_problem(place.expression, error))
    for text, span in node.decl.needs:
        yield from _needs(text, span, work)


def _needs(text: str, span: Span, work: Work) -> Iterator[Edge]:
    """`needs: [shot]` means every instance; `needs: ["shot[intro]"]` one."""
    name, _, rest = text.partition("[")
    if name not in work.nodes:
        near = suggest(name, work.nodes)
        hint = f"did you mean {near}?" if near else "name a node of this manifest"
        work.problems.append(Diagnostic("unknown-reference", f"there is no node '{name}'", span, hint))
        return
    members = work.fanouts.get(name, (address(name),))
    wanted = [at for at in members if not rest or at.key == rest.removesuffix("]")]
    if rest and not wanted:
        message = f"'{name}' has no instance '{rest.removesuffix(']')}'"
        work.problems.append(Diagnostic("unknown-reference", message, span, f"needs: [{name}] waits for all of it"))
    for at in wanted:
        yield Edge(at, EdgeKind.ORDER, span)
