"""The first half of a decision: what can be said of an instance from its upstream alone, and the actions it asks for.
Owns skipping, blocking and unknown inputs; looking up what exists is `planner`'s."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flowrun.action import ActionDoc
from flowrun.diagnostics.model import Diagnostic
from flowrun.graph.address import Address
from flowrun.graph.check import check_request, look_at_media
from flowrun.graph.inputs import KnownMedia, PendingMedia, Seen, UnreadMedia
from flowrun.graph.model import EdgeKind, Graph, Instance
from flowrun.graph.outcomes import Barred, Pending, Skipped, World
from flowrun.graph.request import Request, evaluate, evaluation_problem, make_request
from flowrun.graph.scope import ScopeSource
from flowrun.graph.values import Expression, Literal, Value
from flowrun.operations.model import UNKNOWN as UNKNOWN_INPUT
from flowrun.operations.model import Path, dotted
from flowrun.operations.price import Price, estimate
from flowrun.plan.action import ActionError, Recipe, recipe_of
from flowrun.plan.model import Cost, Decision, Reason, Step, Why
from flowrun.plan.sources import Sources, Wishes
from flowrun.template import EvaluationError, Unresolved


@dataclass(frozen=True, slots=True)
class Draft:
    """Either `step` is the whole answer, or `docs` (one a take) are to be looked up."""

    step: Step
    price: Price
    docs: tuple[ActionDoc, ...] = ()
    upstream_media: frozenset[str] = frozenset()
    is_final: bool = True
    recipe: Recipe | None = field(default=None, repr=False)


class Drafter:
    """Makes drafts of one graph's instances in a given world."""

    def __init__(self, graph: Graph, source: ScopeSource, sources: Sources, wishes: Wishes) -> None:
        self._graph, self._source, self._sources, self._wishes = graph, source, sources, wishes

    def draft(self, instance: Instance, world: World) -> Draft:
        step = Step(
            instance.address,
            Decision.UNDECIDED,
            instance.node.operation.name,
            instance.model,
            seconds=self._seconds(instance),
            upstream=instance.waits_for,
        )
        scope = self._source.full(instance.each, world, self._graph.fanouts)
        early = _by_upstream(instance, world) or self._by_condition(instance, scope)
        if early is not None:
            price = self._price(instance, Request({}), {}) if early[0] is Decision.UNDECIDED else _FREE
            cost = _at_most(price, instance.takes) if early[0] is Decision.UNDECIDED else Cost()
            return Draft(replace(step, decision=early[0], why=early[1], cost=cost), price)
        return self._requested(instance, scope, step)

    def _by_condition(self, instance: Instance, scope: Mapping[str, Any]) -> tuple[Decision, Why | None] | None:
        """What `when` says: None for go on."""
        if instance.node.when is None:
            return None
        try:
            wanted = _plain(instance.node.when, scope)
        except Unresolved as unresolved:
            return Decision.UNDECIDED, Why(Reason.UPSTREAM_CHANGED, detail=f"'when' waits for {unresolved.what}")
        except EvaluationError as error:
            raise DraftError(evaluation_problem(_expression(instance.node.when), error)) from None
        if not isinstance(wanted, bool):
            hint = "compare it: {{ each.value.use == 'yes' }}"
            message = f"'when' must be true or false, not {wanted!r}"
            raise DraftError(Diagnostic("wrong-type", message, instance.node.when.span, hint))
        return None if wanted else (Decision.SKIP, Why(Reason.WHEN_FALSE))

    def _requested(self, instance: Instance, scope: Mapping[str, Any], step: Step) -> Draft:
        request = make_request(instance, scope)
        seen, problems = look_at_media(request, self._sources.inputs)
        problems += [*request.problems, *check_request(instance, request, seen)]
        price = self._price(instance, request, seen)
        errors = tuple(problem for problem in problems if problem.is_error)
        if errors:
            return Draft(replace(step, decision=Decision.BLOCKED, problems=errors), price)
        unread = tuple(each.url for each in seen.values() if isinstance(each, UnreadMedia))
        pending = [str(each.artifact.address) for each in seen.values() if isinstance(each, PendingMedia)]
        waits = [*dict.fromkeys([*pending, *(str(what) for what in request.waits)])]
        if unread or waits:
            why = _unknown(waits, unread)
            return Draft(replace(step, why=why, unread=unread, cost=_at_most(price, instance.takes)), price)
        return self._known(instance, scope, request, seen, step, price)

    def _known(
        self, instance: Instance, scope: Mapping[str, Any], request: Request, seen: Mapping[Path, Seen], step: Step,
        price: Price,
    ) -> Draft:  # fmt: skip
        recipe = recipe_of(
            instance,
            request,
            seen,
            provider=self._wishes.provider,
            api_version=self._sources.catalogue.api_version,
            salt=self._salt(instance, scope),
            credits=price.high,
        )
        try:
            docs = tuple(recipe.action(take) for take in range(1, instance.takes + 1))
        except ActionError as error:
            raise DraftError(Diagnostic("no-key", str(error), instance.node.decl.key_span)) from None
        upstream = frozenset(dotted(path) for path, each in seen.items() if _origin(each) == "upstream")
        return Draft(step, price, docs, upstream, False, recipe)

    def _salt(self, instance: Instance, scope: Mapping[str, Any]) -> Any:
        if instance.node.salt is None:
            return None
        try:
            return _plain(instance.node.salt, scope)
        except EvaluationError as error:
            raise DraftError(evaluation_problem(_expression(instance.node.salt), error)) from None

    def _price(self, instance: Instance, request: Request, seen: Mapping[Path, Seen]) -> Price:
        def duration_of(path: Path) -> float | None:
            known = seen.get(path)
            return known.facts.duration if isinstance(known, KnownMedia) else None

        value = request.value or {entry.name: _literal(entry.value) for entry in instance.request.entries}
        return estimate(instance.spec, value, duration_of)

    def _seconds(self, instance: Instance) -> float:
        kind = (instance.node.operation.name, instance.model)
        return self._wishes.seconds.get(kind) or self._sources.catalogue.typical_seconds(*kind)


class DraftError(Exception):
    """An instance that cannot be decided: a mistake that only its upstream brought to light."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


UNPRICED = Price(None, None, "not known")
_FREE = Price(0, 0, "nothing is generated")


def _by_upstream(instance: Instance, world: World) -> tuple[Decision, Why | None] | None:
    """Blocked, skipped, or None for go on. Blocked wins: what failed may come back, what is skipped will not."""
    skipped: Address | None = None
    for edge in instance.edges:
        outcome = world.outcome(edge.source)
        if edge.kind is not EdgeKind.PRESENCE and isinstance(outcome, Barred):
            detail = f"{edge.source} {outcome.why}"
            return Decision.BLOCKED, Why(Reason.UPSTREAM_BLOCKED, detail=detail)
        matters = edge.kind is not EdgeKind.ORDER and not edge.guarded and not edge.gather
        if matters and isinstance(outcome, Skipped):
            skipped = skipped or edge.source
    return None if skipped is None else (Decision.SKIP, Why(Reason.UPSTREAM_SKIPPED, detail=str(skipped)))


def pending_order(instance: Instance, world: World) -> bool:
    """Whether something that it only `needs` is still to come. That hides nothing from the plan."""
    return any(
        isinstance(world.outcome(edge.source), Pending) for edge in instance.edges if edge.kind is EdgeKind.ORDER
    )


def _unknown(waits: Iterable[str], unread: tuple[str, ...]) -> Why:
    names = list(waits)
    if names:
        return Why(Reason.UPSTREAM_CHANGED, detail=f"waits for {', '.join(names)}")
    return Why(Reason.INPUT_UNREAD, detail=f"{len(unread)} https input(s) not fetched yet")


def _plain(value: Value, scope: Mapping[str, Any]) -> Any:
    if isinstance(value, Expression):
        found = evaluate(value, scope)
        return str(found) if isinstance(found, str) else found
    return _literal(value)


def _literal(value: Value) -> Any:
    return value.value if isinstance(value, Literal) else UNKNOWN_INPUT


def _expression(value: Value) -> Expression:
    if not isinstance(value, Expression):
        raise TypeError("a literal cannot fail to evaluate")
    return value


def _at_most(price: Price, takes: int) -> Cost:
    return Cost(0, 0, takes) if price.high is None else Cost(0, price.high * takes, 0)


def _origin(seen: Seen) -> str | None:
    return seen.origin if isinstance(seen, KnownMedia) else None
