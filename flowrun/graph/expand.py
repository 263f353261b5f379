"""From compiled nodes to instances: rows, models, takes and edges. Owns the expansion; `fanning` reads rows, `defaults`
merges inputs, `edges` knows what references mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from flowrun.diagnostics.model import Diagnostic, Note
from flowrun.diagnostics.span import Span
from flowrun.graph.address import Address, address, parse
from flowrun.graph.compile import is_off
from flowrun.graph.defaults import merged
from flowrun.graph.edges import BadReference, edges_of, keys_hint
from flowrun.graph.fanning import rows
from flowrun.graph.model import CompiledNode, Each, Edge, EdgeKind, Instance, Place
from flowrun.graph.places import applies, cell_number, place_of
from flowrun.graph.request import evaluation_problem
from flowrun.graph.values import MapValue
from flowrun.graph.work import Stop, Work
from flowrun.operations.spec import ModelSpec
from flowrun.template import EvaluationError, Reference

MOST_TAKES = 100


def expand(node: CompiledNode, work: Work) -> None:
    """Add the node's instances to the work; its mistakes too."""
    making = _Making(node, work)
    if not node.is_fanout:
        making.add(address(node.id), None)
    else:
        try:
            eaches = rows(node, work)
        except Stop:
            return
        members = {each.key: address(node.id, each.key) for each in eaches}
        work.fanouts[node.id] = members
        for each in eaches:
            making.add(members[each.key], each)
    work.problems.extend(making.refused())


@dataclass(slots=True)
class _Making:
    """The instances of one node. What is the same for all of them is found once."""

    node: CompiledNode
    work: Work
    _edges: dict[Place, tuple[Edge, ...]] = field(default_factory=dict)
    _requests: dict[str, MapValue] = field(default_factory=dict)
    _refused: dict[tuple[str, Span], tuple[Diagnostic, int]] = field(default_factory=dict)

    def add(self, at: Address, each: Each | None) -> None:
        """One instance, unless its model or takes cannot be told."""
        node, work = self.node, self.work
        edges = tuple(self._all_edges(each))
        try:
            spec = _spec(node, each, work)
            takes = _takes(node, each, work)
        except Stop:
            return
        if spec.model not in self._requests:
            self._requests[spec.model] = merged(node, spec, work)
        request, number = self._requests[spec.model], len(work.instances)
        work.instances[at] = Instance(at, node, each, spec.model, spec, request, takes, edges, number)

    def refused(self) -> Iterator[Diagnostic]:
        """References that cannot be followed, each place once."""
        for problem, count in self._refused.values():
            more = (Note(f"and so for {count - 1:,} more instances of {self.node.id}"),) if count > 1 else ()
            yield replace(problem, notes=(*problem.notes, *more))

    def _all_edges(self, each: Each | None) -> Iterator[Edge]:
        scope: Mapping[str, object] | None = None
        for place in self.node.places:
            if place.reference.root != "nodes":
                continue
            if place in self._edges:
                yield from self._edges[place]
                continue
            scope = scope or self.work.scope(each)
            found = self._followed(place, scope)
            if _is_constant(place.reference):
                self._edges[place] = found
            yield from found
        for text, span in self.node.decl.needs:
            yield from self._needed(text, span)

    def _followed(self, place: Place, scope: Mapping[str, object]) -> tuple[Edge, ...]:
        try:
            return tuple(edges_of(place, scope, self.work.nodes, self.work.fanouts))
        except BadReference as bad:
            at = (bad.code, place.span)
            if at not in self._refused:
                self._refuse(Diagnostic(bad.code, str(bad), place.span, bad.hint()))
            else:
                self._refuse(self._refused[at][0])
        except EvaluationError as error:
            self._refuse(evaluation_problem(place.expression, error))
        return ()

    def _refuse(self, problem: Diagnostic) -> None:
        at = (problem.code, problem.span or self.node.decl.key_span)
        first, count = self._refused.get(at, (problem, 0))
        self._refused[at] = first, count + 1

    def _needed(self, text: str, span: Span) -> Iterator[Edge]:
        """`needs: [shot]` means every instance; `needs: ["shot[intro]"]` one."""
        wanted = parse(text)
        members = self.work.fanouts.get(wanted.node_id, {})
        if wanted.key is None:
            everyone = members.values() if self.work.nodes[wanted.node_id].is_fanout else (wanted,)
            yield from (Edge(at, EdgeKind.ORDER, span) for at in everyone)
        elif wanted.key in members:
            yield Edge(wanted, EdgeKind.ORDER, span)
        elif not self.work.nodes[wanted.node_id].is_fanout:
            message = f"'{wanted.node_id}' is no fan-out, so it has no instance '{wanted.key}'"
            self._refuse(Diagnostic("unknown-reference", message, span, f"write needs: [{wanted.node_id}]"))
        elif wanted.node_id in self.work.fanouts:
            message = f"fan-out '{wanted.node_id}' has no instance '{wanted.key}'"
            self._refuse(Diagnostic("unknown-reference", message, span, keys_hint(wanted.key, members)))


def _is_constant(reference: Reference) -> bool:
    """Whether it means the same for every instance."""
    return all(isinstance(step, str | int) for step in reference.steps)


def _spec(node: CompiledNode, each: Each | None, work: Work) -> ModelSpec:
    """The model, by its discriminator first, so that every later error speaks of it alone. Raises Stop."""
    own, section = node.inputs.get("model"), work.defaults.get(node.operation.name)
    given = own or (section.get("model") if section else None)
    if given is None or is_off(given):
        message = f"node {node.id} says no model"
        hint = work.catalogue.models_hint(node.operation.name)
        work.problems.append(Diagnostic("missing-input", message, node.with_span, hint))
        raise Stop
    name = work.plain(given, each)
    spec = work.catalogue.find(node.operation.name, name) if isinstance(name, str) else None
    if spec is None:
        problem = work.catalogue.unknown_model_problem(node.operation.name, str(name))
        span, notes = place_of(given, each)
        notes = notes if own else (*notes, applies(node))
        work.problems.append(Diagnostic(problem.code, problem.message, span, problem.hint, notes))
        raise Stop
    return spec


def _takes(node: CompiledNode, each: Each | None, work: Work) -> int:
    """How many takes; numbers count by value, and a CSV cell is read as one. Raises Stop."""
    if node.takes is None:
        return 1
    try:
        number = work.plain(node.takes, each)
    except Stop as stop:
        if stop.unset:
            return 1  # enough to check the rest
        raise
    if isinstance(number, str):
        number = cell_number(number)
    if isinstance(number, int | float) and not isinstance(number, bool) and number in range(1, MOST_TAKES + 1):
        return int(number)
    span, notes = place_of(node.takes, each)
    message = f"'takes' is a whole number from 1 to {MOST_TAKES}, and this is not"
    work.problems.append(Diagnostic("wrong-type", message, span, "write how many generations you want", notes))
    raise Stop
