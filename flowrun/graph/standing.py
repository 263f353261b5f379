"""Who is certainly skipped before anything ran, and of whom only the run will tell. Owns `when` and how skipping spreads.

A node that refers to a skipped one is skipped too, unless each such reference is guarded; gathered lists leave skipped
instances out; order alone and `is defined` do not mind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flowrun.diagnostics.model import Diagnostic
from flowrun.graph.address import Address
from flowrun.graph.model import Edge, EdgeKind, Graph, Instance
from flowrun.graph.outcomes import Outcome, Pending, Skipped
from flowrun.graph.places import place_of
from flowrun.graph.request import evaluate, evaluation_problem
from flowrun.graph.scope import ScopeSource
from flowrun.graph.values import Expression, Literal, Value
from flowrun.template import EvaluationError, Unresolved


class ConditionError(Exception):
    """A `when` that is neither true nor false."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def wanted(instance: Instance, scope: Mapping[str, Any]) -> bool:
    """What `when` says. Raises ConditionError; Unresolved while it cannot be told."""
    when = instance.node.when
    if when is None:
        return True
    found = _condition(when, scope)
    if isinstance(found, bool):
        return found
    shown = "a list or mapping" if isinstance(found, list | Mapping) else repr(found)
    span, notes = place_of(when, None)
    hint = "compare it: {{ each.value.use == 'yes' }}"
    raise ConditionError(Diagnostic("wrong-type", f"'when' must be true or false, not {shown}", span, hint, notes))


def _condition(when: Value, scope: Mapping[str, Any]) -> Any:
    if not isinstance(when, Expression):
        return when.value if isinstance(when, Literal) else []
    try:
        return evaluate(when, scope)
    except EvaluationError as error:
        raise ConditionError(evaluation_problem(when, error)) from None


def passes_skip(edge: Edge) -> bool:
    """Whether a skipped source skips who refers to it by this edge."""
    return edge.kind in (EdgeKind.DATA, EdgeKind.FACT) and not edge.guarded and not edge.gather


@dataclass(slots=True)
class Standing:
    """A world in which nothing was made yet. `presumed`: what may yet be skipped is taken to be made."""

    states: dict[Address, Outcome] = field(default_factory=dict)
    presumed: bool = False

    def outcome(self, address: Address) -> Outcome:
        found = self.states.get(address, Pending())
        return Pending(True, presumed=True) if self.presumed and found == Pending(True) else found


def settle(graph: Graph, source: ScopeSource, problems: list[Diagnostic]) -> tuple[Graph, Standing]:
    """The graph with those marked that may be skipped, and the world before the run. Mistakes in `when` go to `problems`."""
    standing = Standing()
    instances: dict[Address, Instance] = {}
    for instance in graph:
        state = _by_upstream(instance, standing)
        if state != Skipped():
            state = _by_condition(instance, graph, source, standing, state, problems)
        standing.states[instance.address] = state
        instances[instance.address] = _marked(instance, standing)
    return replace(graph, instances=instances), standing


def _by_upstream(instance: Instance, standing: Standing) -> Outcome:
    above = {standing.outcome(edge.source) for edge in instance.edges if passes_skip(edge)}
    return next((state for state in (Skipped(), Pending(True)) if state in above), Pending())


def _by_condition(
    instance: Instance,
    graph: Graph,
    source: ScopeSource,
    standing: Standing,
    otherwise: Outcome,
    problems: list[Diagnostic],
) -> Outcome:
    try:
        return otherwise if wanted(instance, source.full(instance.each, standing, graph.fanouts)) else Skipped()
    except Unresolved:
        return Pending(True)
    except ConditionError as error:
        problems.append(error.diagnostic)
        return otherwise


def _marked(instance: Instance, standing: Standing) -> Instance:
    may_skip = standing.states[instance.address] == Pending(True)
    if not may_skip and not any(standing.outcome(edge.source) == Pending(True) for edge in instance.edges):
        return instance
    edges = tuple(replace(edge, open=standing.outcome(edge.source) == Pending(True)) for edge in instance.edges)
    return replace(instance, edges=edges, may_skip=may_skip)
