"""What a flow exports: the artifacts behind each output and the paths they go to. Owns the reading of `outputs:`;
writing files is the store's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, TypeAlias

from flowrun.diagnostics.model import Diagnostic
from flowrun.diagnostics.span import Span
from flowrun.files import UnsafePathError, safe_join
from flowrun.graph.address import Address
from flowrun.graph.compile import check_name, unknown_names
from flowrun.graph.edges import BadReference, edges_of
from flowrun.graph.model import CompiledNode, Each, Edge, Fanouts, Graph, Instance, Place
from flowrun.graph.outcomes import FACTS, Artifact, Barred, Skipped, World
from flowrun.graph.request import evaluate, evaluation_problem
from flowrun.graph.scope import ScopeSource
from flowrun.graph.values import Expression, Literal, Value, compile_value, expressions
from flowrun.manifest.declared import Flow, OutputDecl
from flowrun.media.facts import MediaKind
from flowrun.store.protocol import StoredFile
from flowrun.template import EvaluationError, Unresolved

_BRACES = re.compile(r"\{[{#].*?[}#]\}", re.DOTALL)
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


def check_outputs(flow: Flow, nodes: Mapping[str, CompiledNode], fanouts: Fanouts) -> Iterator[Diagnostic]:
    """Syntax, names and forms of all outputs."""
    for decl in flow.outputs.values():
        yield from _check(decl, flow, nodes, fanouts)


def _check(decl: OutputDecl, flow: Flow, nodes: Mapping[str, CompiledNode], fanouts: Fanouts) -> Iterator[Diagnostic]:
    problems: list[Diagnostic] = []
    source, path = _compiled(decl, flow, problems)
    yield from problems
    if path is not None:
        yield from _check_value(path, _ROOTS | {"each"}, flow, nodes, fanouts)
        yield from _unsafe(path)
    if isinstance(source, Expression) and source.template.is_lone:
        yield from _check_value(source, _ROOTS, flow, nodes, fanouts)
        if _is_fact(source):
            yield _no_media(decl, source.value_span)
    elif not problems:
        yield _no_media(decl, decl.source.span)


def _unsafe(path: Value) -> Iterator[Diagnostic]:
    """A path that leaves the export folder by what is written in it, whatever its expressions give: told once, not for
    each file."""
    written = (
        path.template.text if isinstance(path, Expression) else str(path.value) if isinstance(path, Literal) else "x"
    )
    if "{%" in written:
        return
    try:
        safe_join(FilePath(), _BRACES.sub("x", written))
    except UnsafePathError:
        message, hint = f"'{written}' would leave the export folder", "write a path below it, with / between folders"
        yield Diagnostic("unsafe-path", message, path.span, hint)


def _no_media(decl: OutputDecl, span: Span) -> Diagnostic:
    message = f"output '{decl.name}' must be media that a node makes"
    return Diagnostic("bad-output", message, span, 'write "{{ nodes.NAME.output }}"')


def _is_fact(source: Expression) -> bool:
    """Whether the whole of it is a fact, of which no file can be made."""
    sole = source.sole
    return sole is not None and sole.root == "nodes" and len(sole.steps) > 1 and sole.steps[-1] in FACTS


def _check_value(
    value: Value, roots: set[str], flow: Flow, nodes: Mapping[str, CompiledNode], fanouts: Fanouts
) -> Iterator[Diagnostic]:
    yield from unknown_names(value, roots)
    for expression in expressions(value):
        for reference in expression.template.references:
            place = Place("outputs", expression, reference)
            if reference.root not in roots:
                message = f"'{reference.root}' is not known here"
                yield Diagnostic(
                    "misplaced-reference", message, place.span, "it is known in the path of an output alone"
                )
            elif problem := check_name(place, flow):
                yield problem
            elif not reference.steps or str(reference.steps[0]) in nodes or reference.root != "nodes":
                yield from _follow(place, nodes, fanouts)


def _follow(place: Place, nodes: Mapping[str, CompiledNode], fanouts: Fanouts) -> Iterator[Diagnostic]:
    try:
        list(edges_of(place, {}, nodes, fanouts))
    except BadReference as bad:
        yield Diagnostic(bad.code, str(bad), place.span, bad.hint())
    except EvaluationError:
        return  # a subscript that needs a scope: evaluated when the output is


def _compiled(decl: OutputDecl, flow: Flow, problems: list[Diagnostic]) -> tuple[Value, Value | None]:
    base = flow.manifest.path.parent
    path = None if decl.path is None else compile_value(decl.path, base, problems)
    return compile_value(decl.source, base, problems), path


Exported: TypeAlias = Export | NoExport | Diagnostic


def exports(graph: Graph, source: ScopeSource, world: World) -> Iterator[Exported]:
    """Every file that can be exported in this world, and every output that cannot."""
    for decl in graph.flow.outputs.values():
        value, path = _compiled(decl, graph.flow, [])
        if isinstance(value, Expression):
            yield from _Exporting(decl, value, path, graph, world, source.full(None, world, graph.fanouts)).all()


@dataclass(frozen=True, slots=True)
class _Exporting:
    """One output in one world."""

    decl: OutputDecl
    value: Expression
    path: Value | None
    graph: Graph
    world: World
    scope: Mapping[str, Any]

    def all(self) -> Iterator[Exported]:
        skipped = self._skipped()
        try:
            found = evaluate(self.value, self.scope)
        except Unresolved as unresolved:
            at = unresolved.what.without_take() if isinstance(unresolved.what, Address) else None
            yield NoExport(self.decl.name, "missing", at)
            return
        except EvaluationError as error:
            if not skipped or error.code != "undefined-reference":
                yield evaluation_problem(self.value, error)
            found = []
        if found is None and skipped:
            found = []
        made = list(self._files(found))
        yield from (NoExport(self.decl.name, "skipped", at) for at in skipped if not made or self._is_gathered(at))
        yield from made

    def _skipped(self) -> list[Address]:
        """The instances it refers to that are skipped."""
        edges = list(self._edges())
        return [
            at for at in dict.fromkeys(edge.source for edge in edges) if isinstance(self.world.outcome(at), Skipped)
        ]

    def _is_gathered(self, at: Address) -> bool:
        return any(edge.gather for edge in self._edges() if edge.source == at)

    def _edges(self) -> Iterator[Edge]:
        for reference in self.value.template.references:
            place = Place("outputs", self.value, reference)
            with suppress(EvaluationError):  # told where the whole is evaluated
                yield from edges_of(place, self.scope, self.graph.nodes, self.graph.fanouts)

    def _files(self, found: Any) -> Iterator[Exported]:
        if not isinstance(found, list):
            yield self._file(found, None)
            return
        for number, each in enumerate(found):
            yield self._file(each, number)

    def _file(self, artifact: Any, number: int | None) -> Exported:
        decl = self.decl
        if not isinstance(artifact, Artifact):
            return _no_media(decl, self.value.value_span)
        at = artifact.address.without_take()
        instance = self.graph.instances.get(at)
        if instance is None or isinstance(self.world.outcome(at), Barred):
            return NoExport(decl.name, "missing", at)
        try:
            written = self._path_text(instance, number)
        except Unresolved:
            return NoExport(decl.name, "missing", at)
        except EvaluationError as error:
            return (
                evaluation_problem(self.path, error)
                if isinstance(self.path, Expression)
                else _no_media(decl, decl.span)
            )
        span = decl.path.span if decl.path is not None else decl.span
        key, place = _distinction(artifact, instance, number)
        return Export(
            decl.name, artifact.address, instance.node.operation.produces, artifact.file, key, place, written, span
        )

    def _path_text(self, instance: Instance, number: int | None) -> str | None:
        """Raises EvaluationError, Unresolved."""
        if not isinstance(self.path, Expression):
            return str(self.path.value) if isinstance(self.path, Literal) else None
        scope = dict(self.scope)
        if instance.each is not None:
            scope["each"] = instance.each.scope()
        elif number is not None:
            scope["each"] = Each(str(number + 1), None, number).scope()
        found = evaluate(self.path, scope)
        if isinstance(found, str | int) and not isinstance(found, bool):
            return str(found)
        raise EvaluationError("a path is a text, and this gives none", -1, 0, "wrong-type", "name a text")


def _distinction(artifact: Artifact, instance: Instance, number: int | None) -> tuple[str | None, int | None]:
    """The key or the number by which the default paths of one output's files differ."""
    key, take = artifact.address.key, artifact.address.take
    if key and artifact.index:  # a further file of one instance's task
        return f"{key}-{artifact.index + 1}", None
    if take is not None:
        return (f"{key}-{take}", None) if key else (None, take)
    return key, None if instance.each or number is None else number + 1
