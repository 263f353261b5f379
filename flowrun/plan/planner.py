"""The planner: one for `plan`, `apply` and every decision during a run. Owns the second half of a decision: what exists,
what is in flight, what was refused, and which take flows on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from flowrun.action import ActionDoc
from flowrun.graph.address import Address
from flowrun.graph.model import Graph
from flowrun.graph.outcomes import Barred, Made, Outcome, Pending, Skipped
from flowrun.graph.scope import ScopeSource
from flowrun.ids import ActionKey, RecipeKey, TaskId
from flowrun.ledger.protocol import ActionFacts, Failed
from flowrun.plan.draft import UNPRICED, Draft, Drafter, DraftError
from flowrun.plan.model import Cost, Decision, Reason, Step, TakeStep, Why
from flowrun.plan.reasons import explain
from flowrun.plan.sources import Sources, Wishes
from flowrun.store.protocol import Defect, Found, Pick, Result, StoredFile

_NOTHING = Found()
_NO_FACTS = ActionFacts(ActionKey(""))
_FOLD = (Decision.RUN, Decision.RESUME, Decision.UNCERTAIN, Decision.HIT, Decision.REJECTED)
_BARRED = {
    Decision.BLOCKED: "is blocked",
    Decision.EXCLUDED: "is not selected and was never made",
    Decision.UNCERTAIN: "is uncertain",
    Decision.REJECTED: "was rejected",
}


@dataclass(frozen=True, slots=True)
class _Known:
    """What was looked up for a batch of drafts."""

    results: Mapping[ActionKey, Found]
    facts: Mapping[ActionKey, ActionFacts]
    rejections: Mapping[RecipeKey, tuple[TaskId, Failed]]


class Planner:
    """Decides instances whose upstream is settled in `outcomes`, which the caller keeps up to date."""

    def __init__(self, graph: Graph, source: ScopeSource, sources: Sources, wishes: Wishes) -> None:
        self.graph, self.source, self.sources, self.wishes = graph, source, sources, wishes
        self.known: dict[Address, Outcome] = {}
        self._drafter = Drafter(graph, source, sources, wishes)
        self._promised: dict[ActionKey, Address] = {}  # who generates a key in this plan

    def outcome(self, address: Address) -> Outcome:
        return self.known.get(address.without_take(), Pending())

    def decide(self, address: Address) -> Step:
        return self.decide_all([address])[0]

    def decide_all(self, addresses: Iterable[Address]) -> list[Step]:
        """Decisions for instances that do not depend on each other, with lookups in batches."""
        drafts = [self._draft(address) for address in addresses]
        known = self._look_up([doc for draft in drafts for doc in draft.docs])
        return [draft.step if draft.is_final else self._conclude(draft, known) for draft in drafts]

    def _draft(self, address: Address) -> Draft:
        instance = self.graph.instances[address]
        try:
            draft = self._drafter.draft(instance, self)
        except DraftError as error:
            return Draft(_failed(instance.address, error, instance.node.operation.name, instance.model), UNPRICED)
        if draft.step.decision is Decision.UNDECIDED and draft.is_final and not self._may_run(address):
            return replace(draft, step=_not_selected(draft.step))
        return draft

    def _look_up(self, docs: list[ActionDoc]) -> _Known:
        keys = [doc.key for doc in docs]
        recipes = list(dict.fromkeys(doc.recipe for doc in docs))
        ledger = self.sources.ledger
        return _Known(self.sources.results.lookup(keys), ledger.last(keys), ledger.rejections(recipes))

    def _conclude(self, draft: Draft, known: _Known) -> Step:
        pick = self.sources.picks.get(draft.docs[0].recipe)
        docs = self._with_picked(draft, pick)
        takes = tuple(self._take(draft, doc, known, pick) for doc in docs)
        decision = next(each for each in _FOLD if any(take.decision is each for take in takes))
        if decision is Decision.RUN and not self._may_run(draft.step.address):
            takes = tuple(take for take in takes if take.decision is not Decision.RUN)
            if not takes or all(take.decision is not Decision.HIT for take in takes):
                return _not_selected(draft.step)
            decision = next(each for each in _FOLD if any(take.decision is each for take in takes))
        first = next(take for take in takes if take.decision is decision)
        total = sum((take.cost for take in takes), Cost())
        step = replace(draft.step, decision=decision, why=first.why, takes=takes, cost=total)
        return replace(step, pick=_picked(takes, pick))

    def _with_picked(self, draft: Draft, pick: Pick | None) -> tuple[ActionDoc, ...]:
        """The asked-for takes, and a picked one beyond them: lowering `takes` deletes nothing."""
        if pick is None or draft.recipe is None or pick.take <= len(draft.docs):
            return draft.docs
        extra = draft.recipe.action(pick.take)
        return (*draft.docs, extra) if self.sources.results.lookup([extra.key]) else draft.docs

    def _may_run(self, address: Address) -> bool:
        return self.wishes.selected is None or address in self.wishes.selected

    # -- one take

    def _take(self, draft: Draft, doc: ActionDoc, known: _Known, pick: Pick | None) -> TakeStep:
        found, facts = known.results.get(doc.key, _NOTHING), known.facts.get(doc.key, _NO_FACTS)
        forced = self._is_forced(draft, doc, pick)
        if facts.open_tasks or facts.open_intents:
            task = facts.open_tasks[0].task if facts.open_tasks else None
            return TakeStep(doc.take, Decision.RESUME, doc, task=task, forced=forced)
        if facts.uncertain and not self._is_resent(draft.step.address, doc.take):
            return TakeStep(doc.take, Decision.UNCERTAIN, doc, uncertain=facts.uncertain[0])
        if found.results and not forced:
            return TakeStep(doc.take, Decision.HIT, doc, result=_flowing(found.results, doc.take, pick))
        refusal = known.rejections.get(doc.recipe) or _rejection(facts)
        if refusal and not self.wishes.retry_rejected and not forced:
            why = Why(Reason.PREVIOUSLY_FAILED, detail=f"{refusal[1].code}: {refusal[1].message}")
            return TakeStep(doc.take, Decision.REJECTED, doc, why, task=refusal[0])
        return self._generate(draft, doc, found, facts, forced)

    def _generate(self, draft: Draft, doc: ActionDoc, found: Found, facts: ActionFacts, forced: bool) -> TakeStep:
        address = draft.step.address
        maker = self._promised.get(doc.key, address)
        if maker != address:
            why = Why(Reason.SHARED, detail=f"the same recipe as {maker}")
            return TakeStep(doc.take, Decision.RUN, doc, why)
        if self._may_run(address):
            self._promised[doc.key] = address
        price = draft.price
        cost = Cost(0, 0, 1) if price.high is None or price.low is None else Cost(price.low, price.high)
        return TakeStep(doc.take, Decision.RUN, doc, self._why(draft, doc, found, facts), cost, forced=forced)

    def _is_forced(self, draft: Draft, doc: ActionDoc, pick: Pick | None) -> bool:
        address = draft.step.address
        if self.graph.instances[address].node.decl.cache is False:
            return doc.take == (pick.take if pick else 1)
        if address.of_take(doc.take) in self.wishes.forced:
            return True
        return address in self.wishes.forced and doc.take == (pick.take if pick else 1)

    def _is_resent(self, address: Address, take: int) -> bool:
        return address in self.wishes.resend or address.of_take(take) in self.wishes.resend

    def _why(self, draft: Draft, doc: ActionDoc, found: Found, facts: ActionFacts) -> Why:
        address = draft.step.address
        if self.graph.instances[address].node.decl.cache is False:
            return Why(Reason.CACHE_OFF)
        if address in self.wishes.forced or address.of_take(doc.take) in self.wishes.forced:
            return Why(Reason.FORCED)
        if found.defects:
            damaged = any(defect is Defect.DAMAGED for _, defect in found.defects)
            return Why(Reason.RESULT_DAMAGED if damaged else Reason.RESULT_MISSING, detail=found.defects[0][0])
        if facts.failure is not None:
            return Why(Reason.PREVIOUSLY_FAILED, detail=f"{facts.failure.code}: {facts.failure.message}")
        last = self._last(address)
        return explain(last.ingredients, doc.ingredients, draft.upstream_media) if last else Why(Reason.NEW)

    def _last(self, address: Address) -> Result | None:
        flow = self.graph.flow
        return self.sources.results.last_at(self.wishes.provider, flow.name, flow.profile, str(address))


def outcome_of_step(step: Step) -> Outcome:
    """What a step lets others know before it was carried out."""
    if step.decision is Decision.SKIP:
        return Skipped()
    if step.decision in _BARRED:
        return Barred(_BARRED[step.decision])
    made = next((take for take in step.takes if take.take == step.pick), None)
    if made is None or made.result is None:
        return Pending()
    return Made(made.result.outputs, _all_takes(step))


def _all_takes(step: Step) -> tuple[tuple[StoredFile, ...], ...] | None:
    if any(take.result is None for take in step.takes):
        return None
    return tuple(take.result.outputs for take in step.takes if take.result)


def _picked(takes: tuple[TakeStep, ...], pick: Pick | None) -> int | None:
    """The take that flows on, as far as it is fixed: a forced one, the pick, or the first that has a result already with
    none before it that may still get one."""
    forced = next((take.take for take in takes if take.forced), None)
    if forced is not None:
        return forced
    if pick is not None and any(take.take == pick.take for take in takes):
        return pick.take
    for take in takes:
        if take.decision is Decision.HIT:
            return take.take
        if take.decision is not Decision.REJECTED:
            return None
    return None


def _flowing(results: tuple[Result, ...], take: int, pick: Pick | None) -> Result:
    """The picked result of a take, else the oldest."""
    if pick is not None and pick.take == take:
        return next((result for result in results if result.id == pick.result), results[0])
    return results[0]


def _rejection(facts: ActionFacts) -> tuple[TaskId, Failed] | None:
    if facts.failure is None or not facts.failure.rejected or facts.failed_task is None:
        return None
    return facts.failed_task, facts.failure


def _not_selected(step: Step) -> Step:
    return replace(step, decision=Decision.EXCLUDED, why=Why(Reason.NOT_SELECTED), takes=(), cost=Cost(), unread=())


def _failed(address: Address, error: DraftError, operation: str, model: str) -> Step:
    return Step(address, Decision.BLOCKED, operation, model, problems=(error.diagnostic,))
