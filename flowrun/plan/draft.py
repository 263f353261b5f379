"""The first half of a decision: what can be said of an instance from its upstream alone, and the actions it asks for.
Owns blocking and unknown inputs; skipping is `skipping`'s, looking up what exists is `planner`'s."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flowrun.action import ActionDoc
from flowrun.diagnostics.model import Diagnostic
from flowrun.graph.check import check_request, look_at_media
from flowrun.graph.inputs import InputError, KnownMedia, PendingMedia, Seen, UnreadMedia, look_written
from flowrun.graph.model import Graph, Instance
from flowrun.graph.outcomes import World
from flowrun.graph.request import Request, WrittenMedia, evaluate, evaluation_problem, make_request
from flowrun.graph.scope import ScopeSource
from flowrun.graph.standing import ConditionError, wanted
from flowrun.graph.values import Expression, Literal, Value
from flowrun.operations.model import UNKNOWN, Path, dotted
from flowrun.operations.price import Price, estimate
from flowrun.operations.rules import LIVE_CODES
from flowrun.plan.action import ActionError, Recipe, recipe_of
from flowrun.plan.model import Cost, Decision, Reason, Step, Why
from flowrun.plan.reasons import cut, some
from flowrun.plan.skipping import Foresight, by_upstream
from flowrun.plan.sources import Sources, Wishes
from flowrun.template import EvaluationError, Unresolved


@dataclass(frozen=True, slots=True)
class Draft:
    """Either `step` is the whole answer, or `docs` (one a take) are to be looked up. `renews`: a new result each apply."""

    step: Step
    price: Price
    docs: tuple[ActionDoc, ...] = ()
    upstream_media: frozenset[str] = frozenset()
    recipe: Recipe | None = field(default=None, repr=False)
    renews: bool = False

    @property
    def is_final(self) -> bool:
        return not self.docs


class Drafter:
    """Makes drafts of one graph's instances in a given world."""

    def __init__(self, graph: Graph, source: ScopeSource, sources: Sources, wishes: Wishes) -> None:
        self._graph, self._source, self._sources, self._wishes = graph, source, sources, wishes
        self.foresight = Foresight(graph, source)

    def draft(self, instance: Instance, world: World) -> Draft:
        step = self._blank(instance)
        try:
            return self._draft(instance, world, step)
        except (ConditionError, DraftError) as error:
            return Draft(replace(step, decision=Decision.BLOCKED, problems=(error.diagnostic,)), UNPRICED)

    def _blank(self, instance: Instance) -> Step:
        return Step(
            instance.address,
            Decision.UNDECIDED,
            instance.node.operation.name,
            instance.model,
            seconds=self._seconds(instance),
            upstream=tuple(dict.fromkeys((*instance.waits_for, *self.foresight.waited_for(instance)))),
            wanted=instance.takes,
            beyond=self._beyond(instance),
        )

    def _draft(self, instance: Instance, world: World, step: Step) -> Draft:
        stopped = by_upstream(instance, world)
        if stopped is not None:
            return Draft(replace(step, decision=stopped[0], why=stopped[1]), _FREE)
        return self._conditional(instance, self._source.full(instance.each, world, self._graph.fanouts), step)

    def _conditional(self, instance: Instance, scope: Mapping[str, Any], step: Step) -> Draft:
        try:
            is_wanted = wanted(instance, scope)
        except Unresolved as unresolved:
            return self._unknown(instance, *self._waiting(step, [unresolved.what], "'when' "))
        if not is_wanted:
            return Draft(replace(step, decision=Decision.SKIP, why=Why(Reason.WHEN_FALSE)), _FREE)
        self.foresight.stays(instance.address)
        return self._requested(instance, scope, step)

    def _requested(self, instance: Instance, scope: Mapping[str, Any], step: Step) -> Draft:
        request = make_request(instance, scope)
        seen, problems = look_at_media(request, self._sources.inputs)
        problems += [*request.problems, *check_request(instance, request, seen)]
        errors = tuple(problem for problem in problems if problem.is_error)
        if errors:
            return Draft(replace(step, decision=Decision.BLOCKED, problems=errors), UNPRICED)
        step = replace(step, refused=tuple(problem for problem in problems if problem.code in LIVE_CODES))
        price = self._price(instance, request.value, seen)
        waits = [*(each.artifact.address for each in seen.values() if isinstance(each, PendingMedia)), *request.waits]
        unread = [each.url for each in seen.values() if isinstance(each, UnreadMedia)]
        if waits or unread:
            return self._unknown(instance, *self._waiting(step, waits, "", unread), price)
        try:
            salt = self._salt(instance, scope)
        except Unresolved as unresolved:
            return self._unknown(instance, *self._waiting(step, [unresolved.what], "'cache' "), price)
        return self._known(instance, request, seen, step, price, salt)

    def _unknown(self, instance: Instance, step: Step, why: Why, price: Price | None = None) -> Draft:
        price = price or self._price(instance, _literals(instance), {})
        return Draft(replace(step, why=why, cost=_at_most(price, step.wanted + step.beyond)), price)

    def _beyond(self, instance: Instance) -> int:
        """Forced takes that `takes` does not ask for."""
        named = {at.take for at in self._wishes.forced if at.without_take() == instance.address and at.take}
        return sum(1 for take in named if take > instance.takes)

    def _waiting(self, step: Step, waits: Iterable[object], who: str, unread: Iterable[str] = ()) -> tuple[Step, Why]:
        """What hides the inputs: an upstream, or https inputs that were not fetched yet, an asset's facts too.

        Raises DraftError.
        """
        urls, names = list(unread), []
        for what in dict.fromkeys(waits):
            url = self._unread_asset(what)
            urls += [url] if url else []
            names += [] if url else [str(what)]
        step = replace(step, unread=tuple(dict.fromkeys(urls)))
        if names:
            return step, Why(Reason.UPSTREAM_CHANGED, detail=cut(f"{who}waits for {some(dict.fromkeys(names))}"))
        count = len(step.unread)
        inputs = "1 https input was" if count == 1 else f"{count} https inputs were"
        return step, Why(Reason.INPUT_UNREAD, detail=f"{inputs} not fetched yet")

    def _unread_asset(self, what: object) -> str | None:
        """The URL behind an asset whose facts are asked for before it was fetched. Raises DraftError."""
        asset = self._source.assets.get(what) if isinstance(what, str) else None
        if asset is None:
            return None
        try:
            seen = look_written(WrittenMedia(asset.written, asset.base, asset.pin, asset.name), self._sources.inputs)
        except InputError as error:
            raise DraftError(Diagnostic(error.code, error.message, asset.span, error.hint)) from None
        return seen.url if isinstance(seen, UnreadMedia) else None

    def _known(
        self, instance: Instance, request: Request, seen: Mapping[Path, Seen], step: Step, price: Price, salt: Any
    ) -> Draft:  # fmt: skip
        recipe = recipe_of(
            instance,
            request,
            seen,
            provider=self._wishes.provider,
            api_version=self._sources.catalogue.api_version,
            salt=None if salt is False else salt,
            credits=price.high,
        )
        try:
            docs = tuple(recipe.action(take) for take in range(1, instance.takes + 1))
        except ActionError as error:
            raise DraftError(Diagnostic("no-key", str(error), instance.node.decl.key_span)) from None
        upstream = frozenset(dotted(path) for path, each in seen.items() if _is_upstream(each))
        return Draft(step, price, docs, upstream, recipe, salt is False)

    def _salt(self, instance: Instance, scope: Mapping[str, Any]) -> Any:
        """A text, a number, None for none, False for a new result each apply. Raises Unresolved, DraftError."""
        value = instance.node.salt
        if value is None:
            return False if instance.node.decl.cache is False else None
        salt = _plain(value, scope)
        if salt is None or salt is False or (isinstance(salt, str | int | float) and salt is not True):
            return salt
        shown = getattr(salt, "template_opaque", None) or repr(salt)
        message = f"'cache' must be a text or a number as salt, or false, not {cut(shown, 60)}"
        raise DraftError(Diagnostic("wrong-type", message, value.span, "write a word that tells two results apart"))

    def _price(self, instance: Instance, request: Mapping[str, Any], seen: Mapping[Path, Seen]) -> Price:
        def duration_of(path: Path) -> float | None:
            known = seen.get(path)
            return known.facts.duration if isinstance(known, KnownMedia) else None

        return estimate(instance.spec, request, duration_of)

    def _seconds(self, instance: Instance) -> float:
        kind = (instance.node.operation.name, instance.model)
        return self._wishes.seconds.get(kind) or self._sources.catalogue.typical_seconds(*kind)


class DraftError(Exception):
    """An instance that has no key: a mistake that only its upstream brought to light."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


UNPRICED = Price(None, None, "not known")
_FREE = Price(0, 0, "nothing is generated")


def _plain(value: Value, scope: Mapping[str, Any]) -> Any:
    """A literal's or a lone expression's value. Raises Unresolved, DraftError."""
    if not isinstance(value, Expression):
        return value.value if isinstance(value, Literal) else None
    try:
        found = evaluate(value, scope)
    except EvaluationError as error:
        raise DraftError(evaluation_problem(value, error)) from None
    return str(found) if isinstance(found, str) else found


def _literals(instance: Instance) -> dict[str, Any]:
    """The request as far as it is known without evaluating anything."""
    values = ((entry.name, entry.value) for entry in instance.request.entries)
    return {name: value.value if isinstance(value, Literal) else UNKNOWN for name, value in values}


def _at_most(price: Price, takes: int) -> Cost:
    return Cost(0, 0, takes) if price.high is None else Cost(0, price.high * takes, 0)


def _is_upstream(seen: Seen) -> bool:
    return isinstance(seen, KnownMedia) and seen.origin == "upstream"
