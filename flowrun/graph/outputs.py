"""What a flow exports: the artifacts behind each output and the paths they go to. Owns the reading of `outputs:`;
writing files is the store's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flowrun.diagnostics.model import Diagnostic
from flowrun.diagnostics.span import Span
from flowrun.graph.address import Address
from flowrun.graph.compile import check_name, unknown_names
from flowrun.graph.edges import BadReference, edges_of
from flowrun.graph.model import CompiledNode, Graph, Place
from flowrun.graph.outcomes import Artifact, Barred, World
from flowrun.graph.request import evaluate, evaluation_problem
from flowrun.graph.scope import ScopeSource
from flowrun.graph.values import Expression, Literal, Value, compile_value
from flowrun.manifest.declared import Flow, OutputDecl
from flowrun.media.facts import MediaKind
from flowrun.store.protocol import StoredFile
from flowrun.template import EvaluationError, Unresolved

_ROOTS = {"vars", "assets", "nodes", "flow"}


@dataclass(frozen=True, slots=True)
class Export:
    """One file to export. `path` is as written, None: the default one; `number`: its place, where an output has several;
    `file`: None while it is still to be made, of the given kind."""

    output: str
    address: Address
    kind: MediaKind
    file: StoredFile | None
    key: str | None
    number: int | None
    path: str | None
    span: Span


@dataclass(frozen=True, slots=True)
class NoExport:
    """An output that has nothing to export, and why: `skipped`, or `missing` (not made in this run)."""

    output: str
    why: str
    address: Address | None = None


def check_outputs(
    flow: Flow, nodes: Mapping[str, CompiledNode], fanouts: Mapping[str, tuple[Address, ...]]
) -> Iterator[Diagnostic]:
    """Syntax, names and forms of all outputs."""
    for decl in flow.outputs.values():
        yield from _check(decl, flow, nodes, fanouts)


def _check(
    decl: OutputDecl, flow: Flow, nodes: Mapping[str, CompiledNode], fanouts: Mapping[str, tuple[Address, ...]]
) -> Iterator[Diagnostic]:
    problems: list[Diagnostic] = []
    source, path = _compiled(decl, flow, problems)
    yield from problems
    if not isinstance(source, Expression) or not source.template.is_lone:
        if not problems:
            hint = 'write "{{ nodes.NAME.output }}"'
            yield Diagnostic(
                "bad-output", f"output '{decl.name}' must be one reference to media", decl.source.span, hint
            )
        return
    yield from unknown_names(source, _ROOTS)
    if path is not None:
        yield from unknown_names(path, _ROOTS | {"each"})
    for reference in source.template.references:
        place = Place("outputs", source, reference)
        problem = check_name(place, flow)
        if problem is not None:
            yield problem
        elif reference.root == "nodes" and reference.steps[0] in nodes:
            yield from _follow(place, nodes, fanouts)


def _follow(
    place: Place, nodes: Mapping[str, CompiledNode], fanouts: Mapping[str, tuple[Address, ...]]
) -> Iterator[Diagnostic]:
    try:
        list(edges_of(place, {}, nodes, fanouts))
    except BadReference as bad:
        yield Diagnostic(bad.code, bad.message, place.span, bad.hint)
    except (EvaluationError, Unresolved):
        return


def _compiled(decl: OutputDecl, flow: Flow, problems: list[Diagnostic]) -> tuple[Value, Value | None]:
    base = flow.manifest.path.parent
    path = None if decl.path is None else compile_value(decl.path, base, problems)
    return compile_value(decl.source, base, problems), path


def exports(graph: Graph, source: ScopeSource, world: World) -> Iterator[Export | NoExport | Diagnostic]:
    """Every file that can be exported in this world, and every output that cannot."""
    for decl in graph.flow.outputs.values():
        yield from _exports_of(decl, graph, source, world)


def _exports_of(
    decl: OutputDecl, graph: Graph, source: ScopeSource, world: World
) -> Iterator[Export | NoExport | Diagnostic]:
    value, path = _compiled(decl, graph.flow, [])
    if not isinstance(value, Expression):
        return
    scope = source.full(None, world, graph.fanouts)
    try:
        found = evaluate(value, scope)
    except Unresolved:
        yield NoExport(decl.name, "missing")
        return
    except EvaluationError as error:
        yield (
            NoExport(decl.name, "skipped") if error.code == "undefined-reference" else evaluation_problem(value, error)
        )
        return
    several = isinstance(found, list)
    for number, artifact in enumerate(found if several else [found]):
        yield _export(decl, path, artifact, number if several else None, graph, scope, world)


def _export(
    decl: OutputDecl,
    path: Value | None,
    artifact: Any,
    number: int | None,
    graph: Graph,
    scope: Mapping[str, Any],
    world: World,
) -> Export | NoExport | Diagnostic:
    if not isinstance(artifact, Artifact):
        message = f"output '{decl.name}' is no artifact of a node"
        return Diagnostic("bad-output", message, decl.source.span, 'write "{{ nodes.NAME.output }}"')
    if isinstance(world.outcome(artifact.address.without_take()), Barred):
        return NoExport(decl.name, "missing", artifact.address)
    instance = graph.instances[artifact.address.without_take()]
    each = instance.each.scope() if instance.each else {"key": None, "value": None, "index": number or 0}
    written = _path_text(path, {**scope, "each": each})
    if isinstance(written, Diagnostic):
        return written
    span = decl.path.span if decl.path is not None else decl.span
    place = None if instance.each or number is None else number + 1
    key = artifact.address.key
    if artifact.address.take is not None:
        key, place = (f"{key}-{artifact.address.take}", None) if key else (None, artifact.address.take)
    kind = instance.node.operation.produces
    return Export(decl.name, artifact.address, kind, artifact.file, key, place, written, span)


def _path_text(path: Value | None, scope: Mapping[str, Any]) -> str | Diagnostic | None:
    if isinstance(path, Expression):
        try:
            return str(evaluate(path, scope))
        except EvaluationError as error:
            return evaluation_problem(path, error)
    return str(path.value) if isinstance(path, Literal) else None
