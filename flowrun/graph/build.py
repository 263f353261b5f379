"""The one way to a graph: compile, check names, look for cycles, expand, check requests. Each pass reports all it finds,
then stops before the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from flowrun.diagnostics.model import Diagnostic, DiagnosticError, in_order
from flowrun.graph.address import Address
from flowrun.graph.check import check_request, look_at_media
from flowrun.graph.compile import compile_nodes, unknown_names
from flowrun.graph.edges import node_cycle, node_order
from flowrun.graph.expand import ReadData, Work, compile_defaults, expand
from flowrun.graph.inputs import InputError, InputFacts, KnownMedia, look_written
from flowrun.graph.model import Graph, Instance
from flowrun.graph.outcomes import AssetMedia, Outcomes, World
from flowrun.graph.outputs import check_outputs
from flowrun.graph.request import Request, WrittenMedia, evaluate, evaluation_problem, make_request
from flowrun.graph.scope import ScopeSource
from flowrun.graph.values import Expression, compile_value
from flowrun.manifest.declared import Flow
from flowrun.media.facts import MediaFacts
from flowrun.operations.catalogue import Catalogue
from flowrun.template import EvaluationError, Unresolved


def build(flow: Flow, catalogue: Catalogue, inputs: InputFacts, read_data: ReadData) -> tuple[Graph, ScopeSource]:
    """The whole graph of a flow, its requests checked as far as they are known before anything ran.

    Raises DiagnosticError with everything that a pass found; what is only worth a warning is in `Graph.warnings`.
    """
    problems: list[Diagnostic] = []
    nodes = compile_nodes(flow, catalogue, problems)
    defaults = compile_defaults(flow, catalogue, problems)
    source = ScopeSource(flow, _assets(flow, inputs, problems), nodes)
    if cycle := node_cycle(nodes):
        problems.append(cycle)
    _stop_on_errors(problems)
    work = Work(flow, catalogue, nodes, source, read_data, defaults, problems=problems)
    for node_id in node_order(nodes):
        expand(nodes[node_id], work)
    problems.extend(check_outputs(flow, nodes, work.fanouts))
    _stop_on_errors(problems)
    graph = Graph(flow, nodes, _in_order(work.instances), work.fanouts)
    problems.extend(check_graph(graph, source, inputs))
    _stop_on_errors(problems)
    return replace(graph, warnings=in_order(problems)), source


def _stop_on_errors(problems: list[Diagnostic]) -> None:
    if any(problem.is_error for problem in problems):
        raise DiagnosticError(problems)


def _in_order(instances: Mapping[Address, Instance]) -> dict[Address, Instance]:
    """Numbered in the manifest's order; kept in topological order, in which they were made."""
    by_place = sorted(instances.values(), key=lambda each: (each.node.order, each.order))
    number = {instance.address: place for place, instance in enumerate(by_place)}
    return {at: replace(instance, order=number[at]) for at, instance in instances.items()}


def check_graph(graph: Graph, source: ScopeSource, inputs: InputFacts) -> Iterator[Diagnostic]:
    """Every instance's request against the catalogue, with nothing made yet."""
    nothing = Outcomes({})
    for instance in graph:
        request, problems = checked_request(instance, graph, source, nothing, inputs)
        yield from request.problems
        yield from problems


def checked_request(
    instance: Instance, graph: Graph, source: ScopeSource, world: World, inputs: InputFacts
) -> tuple[Request, list[Diagnostic]]:
    """An instance's request in a world, and what media and catalogue have against it."""
    request = make_request(instance, source.full(instance.each, world, graph.fanouts))
    seen, problems = look_at_media(request, inputs)
    return request, [*problems, *check_request(instance, request, seen)]


def _assets(flow: Flow, inputs: InputFacts, problems: list[Diagnostic]) -> dict[str, AssetMedia]:
    base = flow.manifest.path.parent
    scope = ScopeSource(flow, {}, {}).base()
    found = {}
    for name, decl in flow.assets.items():
        value = compile_value(decl.path_or_url, base, problems)
        problems.extend(unknown_names(value, {"vars", "flow"}))
        text = _asset_text(value, scope, problems) if isinstance(value, Expression) else decl.path_or_url.value
        if isinstance(text, str):
            found[name] = AssetMedia(name, text, base, decl.sha256, decl.path_or_url.span, _looker(inputs))
            problems.extend(_unusable(found[name], inputs))
    return found


def _asset_text(value: Expression, scope: Mapping[str, object], problems: list[Diagnostic]) -> object:
    try:
        return evaluate(value, scope)
    except EvaluationError as error:
        problems.append(evaluation_problem(value, error))
    except Unresolved:
        pass
    return None


def _unusable(asset: AssetMedia, inputs: InputFacts) -> Iterator[Diagnostic]:
    """An asset that cannot be read is an error where it is declared, used or not."""
    try:
        look_written(WrittenMedia(asset.written, asset.base, asset.pin, asset.name), inputs)
    except InputError as error:
        yield Diagnostic(error.code, error.message, asset.span, error.hint)


def _looker(inputs: InputFacts) -> Callable[[AssetMedia], tuple[MediaFacts, str] | None]:
    def look(asset: AssetMedia) -> tuple[MediaFacts, str] | None:
        try:
            seen = look_written(WrittenMedia(asset.written, asset.base, asset.pin, asset.name), inputs)
        except InputError:
            return None
        return (seen.facts, seen.digest.sha256) if isinstance(seen, KnownMedia) else None

    return look
