"""Skipping: what `when` says, what an upstream that is skipped or stopped means, and who will be skipped, told ahead.

`is defined` asks only whether a node is skipped and waits for nothing else, so that has to be known before the node was
decided. Where it hangs on nothing that another node makes, it is: `foresee` tells. Where it does not, the one who asks
waits after all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from flowrun.diagnostics.model import Diagnostic
from flowrun.graph.address import Address
from flowrun.graph.model import Edge, EdgeKind, Graph, Instance
from flowrun.graph.outcomes import Barred, Outcome, Pending, Skipped, World
from flowrun.graph.request import evaluate, evaluation_problem
from flowrun.graph.scope import ScopeSource
from flowrun.graph.values import Expression, Literal, Value
from flowrun.plan.model import Decision, Reason, Why
from flowrun.plan.reasons import cut
from flowrun.template import EvaluationError, Unresolved


class DraftError(Exception):
    """An instance that cannot be decided: a mistake that only its upstream brought to light."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def plain_value(value: Value, scope: Mapping[str, Any]) -> Any:
    """A literal's or a lone expression's value; None for a form that holds other values. Raises Unresolved, DraftError."""
    if not isinstance(value, Expression):
        return value.value if isinstance(value, Literal) else None
    try:
        found = evaluate(value, scope)
    except EvaluationError as error:
        raise DraftError(evaluation_problem(value, error)) from None
    return str(found) if isinstance(found, str) else found


def in_words(value: Any) -> str:
    """A value in an error: an artifact by its name, long things cut."""
    return cut(getattr(value, "template_opaque", None) or repr(value), 60)


def is_wanted(instance: Instance, scope: Mapping[str, Any]) -> bool:
    """What `when` says. Raises Unresolved, DraftError."""
    if instance.node.when is None:
        return True
    wanted = plain_value(instance.node.when, scope)
    if wanted is None and isinstance(instance.node.when, Literal):
        return True  # an empty `when:` asks for nothing
    if not isinstance(wanted, bool):
        message = f"'when' must be true or false, not {in_words(wanted)}"
        hint = "compare it: {{ each.value.use == 'yes' }}"
        raise DraftError(Diagnostic("wrong-type", message, instance.node.when.span, hint))
    return wanted


def by_upstream(instance: Instance, world: World) -> tuple[Decision, Why] | None:
    """Blocked, skipped, or None for go on. Blocked wins: what failed may come back, what is skipped will not."""
    skipped: Address | None = None
    for edge in instance.edges:
        outcome = world.outcome(edge.source)
        if edge.kind is not EdgeKind.PRESENCE and isinstance(outcome, Barred):
            return Decision.BLOCKED, Why(Reason.UPSTREAM_BLOCKED, detail=cut(f"{edge.source} {outcome.why}"))
        if _hands_on_skipping(edge) and isinstance(outcome, Skipped):
            skipped = skipped or edge.source
    return None if skipped is None else (Decision.SKIP, Why(Reason.UPSTREAM_SKIPPED, detail=str(skipped)))


def _hands_on_skipping(edge: Edge) -> bool:
    return edge.kind in (EdgeKind.DATA, EdgeKind.FACT) and not edge.guarded and not edge.gather


# -- told ahead


class Fate(Enum):
    STAYS = "stays"
    SKIPPED = "skipped"
    OPEN = "open"  # hangs on something that a node makes


@dataclass(frozen=True, slots=True)
class _Foreseen:
    """The world before anything ran, but for who is skipped in it. Asking for one whose fate is open is unresolved."""

    fates: dict[Address, Fate] = field(default_factory=dict)

    def outcome(self, address: Address) -> Outcome:
        fate = self.fates[address.without_take()]
        if fate is Fate.OPEN:
            raise Unresolved(address)
        return Skipped() if fate is Fate.SKIPPED else Pending()


def asks_for_presence(graph: Graph) -> bool:
    return any(edge.kind is EdgeKind.PRESENCE for instance in graph for edge in instance.edges)


def foresee(graph: Graph, source: ScopeSource) -> Mapping[Address, Fate]:
    """The fate of every instance; the graph's order has those first that others speak of."""
    world = _Foreseen()
    for instance in graph:
        world.fates[instance.address] = _fate(instance, world, source, graph)
    return world.fates


def _fate(instance: Instance, world: _Foreseen, source: ScopeSource, graph: Graph) -> Fate:
    above = {world.fates[edge.source] for edge in instance.edges if _hands_on_skipping(edge)}
    if Fate.SKIPPED in above:
        return Fate.SKIPPED
    try:
        if not is_wanted(instance, source.full(instance.each, world, graph.fanouts)):
            return Fate.SKIPPED
    except Unresolved:
        return Fate.OPEN
    except DraftError:
        return Fate.STAYS  # an error where it is decided
    return Fate.OPEN if Fate.OPEN in above else Fate.STAYS
