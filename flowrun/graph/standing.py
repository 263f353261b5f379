"""Who is certainly skipped before anything ran, and of whom only the run will tell. Owns `when` and how skipping spreads.

A node that refers to a skipped one is skipped too, unless each such reference is guarded; gathered lists leave skipped
instances out; order alone and `is defined` do not mind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowrun.diagnostics.model import Diagnostic
from flowrun.graph.address import Address
from flowrun.graph.check import in_instance
from flowrun.graph.model import Graph, Instance
from flowrun.graph.outcomes import Outcome, Pending, Skipped
from flowrun.graph.places import place_of
from flowrun.graph.request import evaluate, evaluation_problem
from flowrun.graph.scope import ScopeSource
from flowrun.graph.values import Expression, Literal, Value
from flowrun.template import EvaluationError, Unresolved

_OPEN = Pending(may_skip=True)


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
    span, notes = place_of(when, instance.each)
    hint = "compare it: {{ each.value.use == 'yes' }}"
    raise ConditionError(Diagnostic("wrong-type", f"'when' must be true or false, not {shown}", span, hint, notes))


def _condition(when: Value, scope: Mapping[str, Any]) -> Any:
    if not isinstance(when, Expression):
        return when.value if isinstance(when, Literal) else []
    try:
        return evaluate(when, scope)
    except EvaluationError as error:
        raise ConditionError(evaluation_problem(when, error)) from None


@dataclass(slots=True)
class Standing:
    """A world in which nothing was made yet. `presumed`: what may yet be skipped is taken to be made."""

    states: dict[Address, Outcome] = field(default_factory=dict)
    presumed: bool = False

    def outcome(self, address: Address) -> Outcome:
        found = self.states.get(address, Pending())
        return Pending(may_skip=True, presumed=True) if self.presumed and found == _OPEN else found


def settle(graph: Graph, source: ScopeSource, problems: list[Diagnostic]) -> Standing:
    """The world before the run. Mistakes in `when` go to `problems`."""
    standing = Standing()
    for instance in graph:
        standing.states[instance.address] = _state(instance, graph, source, standing, problems)
    return standing


def _state(
    instance: Instance, graph: Graph, source: ScopeSource, standing: Standing, problems: list[Diagnostic]
) -> Outcome:
    above = [standing.outcome(edge.source) for edge in instance.edges if edge.passes_skip]
    if Skipped() in above:
        return Skipped()
    otherwise = _OPEN if _OPEN in above else Pending()
    try:
        return otherwise if wanted(instance, source.full(instance.each, standing, graph.fanouts)) else Skipped()
    except Unresolved:
        return _OPEN
    except ConditionError as error:
        problems.append(in_instance(error.diagnostic, instance))
        return otherwise
