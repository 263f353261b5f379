"""Defaults of inputs: by operation, by operation/model. Owns their check and the merge; the node's own inputs win."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flowrun.diagnostics.model import Diagnostic
from flowrun.diagnostics.span import Span
from flowrun.diagnostics.suggest import suggest
from flowrun.graph.compile import check_name, is_off, unknown_names
from flowrun.graph.model import CompiledNode, Place
from flowrun.graph.values import MapEntry, MapValue, Value, compile_value, expressions
from flowrun.graph.work import Work
from flowrun.manifest.declared import Flow
from flowrun.operations.catalogue import Catalogue, Operation
from flowrun.operations.spec import ModelSpec
from flowrun.yaml_tree import Mapping, Tree

_ROOTS = {"vars", "flow"}


def compile_defaults(flow: Flow, catalogue: Catalogue, problems: list[Diagnostic]) -> dict[str, MapValue]:
    """`defaults:` parsed; names that are no operation, model or input, used or not, are errors."""
    base, compiled = flow.manifest.path.parent, {}
    for name, tree in flow.defaults.items():
        value = compile_value(tree, base, problems)
        problems.extend(check_early(value, flow, _ROOTS))
        if isinstance(value, MapValue):
            compiled[name] = value
            problems.extend(_check_names(name, value, flow, catalogue))
    return compiled


def check_early(value: Value, flow: Flow, roots: set[str]) -> Iterator[Diagnostic]:
    """Names in a value of assets or defaults that lead nowhere."""
    yield from unknown_names(value, roots)
    for expression in expressions(value):
        for reference in expression.template.references:
            if problem := check_name(Place("with", expression, reference), flow):
                yield problem


def _check_names(name: str, value: MapValue, flow: Flow, catalogue: Catalogue) -> Iterator[Diagnostic]:
    head, _, model = name.partition("/")
    operation = catalogue.operations.get(head)
    if operation is None:
        problem = catalogue.unknown_operation_problem(head)
        yield Diagnostic(problem.code, problem.message, _key_span(flow, name), problem.hint)
    elif model and model not in operation.models and catalogue.open:
        return  # nobody knows what it takes
    elif model and model not in operation.models:
        problem = catalogue.unknown_model_problem(head, model)
        yield Diagnostic(problem.code, problem.message, _key_span(flow, name), problem.hint)
    else:
        yield from _check_inputs(name, value, _known_inputs(operation, model))


def _known_inputs(operation: Operation, model: str) -> list[str]:
    specs = [operation.models[model]] if model else operation.models.values()
    return list(dict.fromkeys(each for spec in specs for each in spec.inputs))


def _check_inputs(name: str, value: MapValue, known: Iterable[str]) -> Iterator[Diagnostic]:
    for entry in value.entries:
        if entry.name not in known:
            near = suggest(entry.name, known)
            hint = f"did you mean {near}?" if near else f"{name} has {', '.join(known)}"
            yield Diagnostic("unknown-input", f"{name} has no input '{entry.name}'", entry.key_span, hint)


def _key_span(flow: Flow, name: str) -> Span:
    """Where a section of the defaults is named: in the profile, else in the manifest's own."""
    tree: Tree = flow.manifest.tree
    for way in (("profiles", flow.profile, "defaults"), ("defaults",)):
        section: Tree | None = tree
        for step in way:
            section = section.get(step) if isinstance(section, Mapping) else None
        entry = section.entry(name) if isinstance(section, Mapping) else None
        if entry is not None:
            return entry.key.span
    return flow.defaults[name].span


def merged(node: CompiledNode, spec: ModelSpec, work: Work) -> MapValue:
    """Inputs after defaults: by operation, by operation/model, the node's own; an explicit null takes one away, unless there
    is no such input, which is a mistake that the check finds. Of a model that nobody knows every name may be an input."""
    found: dict[str, MapEntry] = {}
    for name in (node.operation.name, f"{node.operation.name}/{spec.model}"):
        section = work.defaults.get(name)
        for entry in section.entries if section else ():
            if entry.name in spec.inputs or ("/" in name and not spec.known):
                found[entry.name] = MapEntry(entry.name, entry.key_span, entry.value, inherited=True)
    found |= {entry.name: entry for entry in node.inputs.entries}
    slips = {entry.name for entry in found.values() if spec.known and entry.name not in spec.inputs}
    kept = (entry for entry in found.values() if entry.name in slips or not is_off(entry.value))
    return MapValue(tuple(kept), node.inputs.span)
