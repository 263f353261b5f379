"""The one way to a graph: compile, check names, look for cycles, expand, check requests. Each pass reports all it finds,
then stops before the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from flowrun.diagnostics.model import Diagnostic, DiagnosticError, in_order
from flowrun.graph.address import Address
from flowrun.graph.assets import find_assets
from flowrun.graph.check import folded, found_wrong, look_at_media
from flowrun.graph.compile import compile_nodes
from flowrun.graph.cycles import cycles, links_of, node_order
from flowrun.graph.defaults import compile_defaults
from flowrun.graph.expand import expand
from flowrun.graph.foreseen import foreseen
from flowrun.graph.inputs import InputFacts
from flowrun.graph.limits import check_limits
from flowrun.graph.model import Edge, Graph, Instance
from flowrun.graph.outcomes import Artifact, AssetMedia, Skipped
from flowrun.graph.outputs import check_outputs
from flowrun.graph.places import place_of
from flowrun.graph.request import evaluate, evaluation_problem, make_request
from flowrun.graph.scope import ScopeSource
from flowrun.graph.standing import Standing, settle
from flowrun.graph.values import Expression
from flowrun.graph.work import ReadData, Work
from flowrun.manifest.declared import Flow
from flowrun.media.facts import MediaFacts
from flowrun.operations.catalogue import Catalogue
from flowrun.template import EvaluationError, Unresolved


def build(flow: Flow, catalogue: Catalogue, inputs: InputFacts, read_data: ReadData) -> tuple[Graph, ScopeSource]:
    """The whole graph of a flow, its requests checked as far as they are known before anything ran.

    Raises DiagnosticError with everything that a pass found; what is only worth a warning is in `Graph.warnings`.
    """
    problems: list[Diagnostic] = []
    work = _compiled(flow, catalogue, inputs, read_data, problems)
    links = links_of(work.nodes)
    problems.extend(cycles(work.nodes, links))
    _stop_on_errors(problems)
    for node_id in node_order(work.nodes, links):
        expand(work.nodes[node_id], work)
    problems.extend(check_outputs(flow, work.nodes, work.fanouts))
    _stop_on_errors(problems)
    graph = Graph(flow, work.nodes, _in_order(work.instances), work.fanouts)
    standing = settle(graph, work.source, problems)
    problems.extend(check_graph(graph, work.source, standing, inputs))
    _stop_on_errors(problems)
    return replace(graph, warnings=in_order(problems)), work.source


def _compiled(
    flow: Flow, catalogue: Catalogue, inputs: InputFacts, read_data: ReadData, problems: list[Diagnostic]
) -> Work:
    nodes = compile_nodes(flow, catalogue, problems)
    defaults = compile_defaults(flow, catalogue, problems)
    problems.extend(check_limits(flow, catalogue))
    source = ScopeSource(flow, find_assets(flow, inputs, problems), nodes)
    return Work(flow, catalogue, nodes, source, read_data, defaults, problems=problems)


def _stop_on_errors(problems: list[Diagnostic]) -> None:
    if any(problem.is_error for problem in problems):
        raise DiagnosticError(problems)


def _in_order(instances: Mapping[Address, Instance]) -> dict[Address, Instance]:
    """Numbered in the manifest's order; kept in topological order, in which they were made. Edges to nodes that could
    not be expanded are left out."""
    by_place = sorted(instances.values(), key=lambda each: (each.node.order, each.order))
    number = {instance.address: place for place, instance in enumerate(by_place)}
    return {at: replace(each, order=number[at], edges=_there(each, instances)) for at, each in instances.items()}


def _there(instance: Instance, instances: Mapping[Address, Instance]) -> tuple[Edge, ...]:
    if all(edge.source in instances for edge in instance.edges):
        return instance.edges
    return tuple(edge for edge in instance.edges if edge.source in instances)


def check_graph(graph: Graph, source: ScopeSource, standing: Standing, inputs: InputFacts) -> Iterator[Diagnostic]:
    """The request of every instance that is not certainly skipped against the catalogue, with nothing made yet."""
    standing = replace(standing, presumed=True)
    wanted = [each for each in graph if standing.outcome(each.address) != Skipped()]
    shapes: dict[Address, MediaFacts | None] = {}
    yield from folded(
        (each, found) for each in wanted for found in _check(each, graph, source, standing, inputs, shapes)
    )


def _check(
    instance: Instance,
    graph: Graph,
    source: ScopeSource,
    standing: Standing,
    inputs: InputFacts,
    shapes: dict[Address, MediaFacts | None],
) -> Iterator[Diagnostic]:
    scope = source.full(instance.each, standing, graph.fanouts)
    request = make_request(instance, scope)
    seen, problems = look_at_media(request, inputs)
    yield from request.problems
    yield from problems
    yield from found_wrong(instance, request, seen, foreseen(seen, graph, source, standing, shapes))
    if isinstance(instance.node.salt, Expression):
        yield from _check_salt(instance.node.salt, instance, scope)


def _check_salt(salt: Expression, instance: Instance, scope: Mapping[str, object]) -> Iterator[Diagnostic]:
    try:
        found = evaluate(salt, scope)
    except Unresolved:
        return
    except EvaluationError as error:
        yield evaluation_problem(salt, error)
        return
    if isinstance(found, Artifact | AssetMedia):
        span, notes = place_of(salt, instance.each)
        hint = "use a fact of it, such as .sha256"
        yield Diagnostic("artifact-in-text", f"{found.template_opaque} cannot be a salt", span, hint, notes)
