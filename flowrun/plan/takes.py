"""One take of a known recipe: found, in flight, in doubt, refused, or to be generated, and why. Owns the order in which
these are looked at; which take flows on is `flowing`'s."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from flowrun.action import ActionDoc
from flowrun.graph.address import Address
from flowrun.graph.model import Graph
from flowrun.ids import ActionKey, RecipeKey, TaskId
from flowrun.ledger.protocol import ActionFacts, Failed
from flowrun.plan.draft import Draft
from flowrun.plan.flowing import flowing
from flowrun.plan.model import Cost, Decision, Reason, TakeStep, Why
from flowrun.plan.reasons import cut, explain
from flowrun.plan.sources import Sources, Wishes
from flowrun.store.protocol import Defect, Found, Pick, Result, result_id_of

_NOTHING = Found()
_NO_FACTS = ActionFacts(ActionKey(""))
Refusal = tuple[TaskId, Failed]


@dataclass(frozen=True, slots=True)
class Known:
    """What was looked up for a batch of drafts."""

    results: Mapping[ActionKey, Found]
    facts: Mapping[ActionKey, ActionFacts]
    rejections: Mapping[RecipeKey, Refusal]
    picks: Mapping[RecipeKey, Pick | None]

    def found(self, doc: ActionDoc) -> Found:
        return self.results.get(doc.key, _NOTHING)

    def refusal(self, doc: ActionDoc) -> Refusal | None:
        """Why it is not sent again unasked: the recipe's input was refused, or this very action was."""
        return self.rejections.get(doc.recipe) or _own_refusal(self.facts.get(doc.key, _NO_FACTS))


@dataclass(frozen=True, slots=True)
class Case:
    """One take to decide. `target`: the take that a force without a number means."""

    draft: Draft
    doc: ActionDoc
    found: Found
    facts: ActionFacts
    refusal: Refusal | None
    pick: Pick | None
    target: int

    @property
    def address(self) -> Address:
        return self.draft.step.address

    @property
    def renewed(self) -> bool:
        """Whether `cache: false` asks for one more result of this take."""
        return self.draft.renews and self.doc.take == self.target


def case_of(draft: Draft, doc: ActionDoc, known: Known, target: int) -> Case:
    facts, pick = known.facts.get(doc.key, _NO_FACTS), known.picks[doc.recipe]
    return Case(draft, doc, known.found(doc), facts, known.refusal(doc), pick, target)


@dataclass
class TakeDecider:
    """`promised`: which instance generates a key in this plan. `remade`: which one makes one more result of a key that has
    one; its twins wait for that (`waits`), since the pick is of the recipe and reaches them too. `resent`: keys that a
    person said to send again; kept, because the doubt is settled between plan and run."""

    graph: Graph
    sources: Sources
    wishes: Wishes
    promised: dict[ActionKey, Address] = field(default_factory=dict)
    remade: dict[ActionKey, Address] = field(default_factory=dict)
    waits: Callable[[Address, Address], bool] = lambda twin, maker: False
    resent: set[ActionKey] = field(default_factory=set)

    @cached_property
    def _forced_tasks(self) -> frozenset[TaskId]:
        """Tasks in flight that an earlier apply was made to start; read when the first task in flight is met."""
        return frozenset(row.task for row, _ in self.sources.ledger.open() if row.origin.forced)

    def may_run(self, address: Address) -> bool:
        return self.wishes.selected is None or address in self.wishes.selected

    def decide(self, case: Case) -> TakeStep:
        doc, facts = case.doc, case.facts
        collected = _is_collected(case)  # only the settling was missed
        if collected and not self._is_forced(case):
            return _hit(case)
        left = [row for row in facts.open_intents if self.sources.gone(row.owner)]
        if (facts.open_tasks and not collected) or len(left) < len(facts.open_intents):
            return self._resume(case)
        uncertain = [*facts.uncertain, *left]
        if not uncertain:
            return self._unclaimed(case)
        if not self._is_resent(case):
            return TakeStep(doc.take, Decision.UNCERTAIN, doc, uncertain=uncertain[0])
        self.resent.add(doc.key)
        return replace(self._unclaimed(case), given_up=tuple(row.intent for row in uncertain))

    def _unclaimed(self, case: Case) -> TakeStep:
        """What becomes of a take that nothing is in flight for, or in doubt."""
        doc = case.doc
        maker = self.remade.get(doc.key, case.address)
        if maker != case.address and self.may_run(case.address) and self.waits(case.address, maker):
            return _shared(case, maker)
        forced = self._is_forced(case)
        if case.found.results and not forced:
            return _hit(case)
        if case.refusal and not (self.wishes.retry_rejected and not self._is_spent(case)):
            why = Why(Reason.PREVIOUSLY_FAILED, detail=_failure_words(case.refusal[1]))
            return TakeStep(doc.take, Decision.REJECTED, doc, why, task=case.refusal[0])
        return self._generate(case, forced)

    def _resume(self, case: Case) -> TakeStep:
        """A task in flight is taken up, whoever wanted it; a request of a live owner is waited for."""
        facts = case.facts
        task = facts.open_tasks[0].task if facts.open_tasks else None
        forced = self._is_forced(case) or task in self._forced_tasks
        forced = forced or any(row.origin.forced for row in facts.open_intents)
        return TakeStep(case.doc.take, Decision.RESUME, case.doc, task=task, forced=forced)

    def _generate(self, case: Case, forced: bool) -> TakeStep:
        doc, price = case.doc, case.draft.price
        maker = self.promised.get(doc.key, case.address)
        if maker != case.address:
            return _shared(case, maker if self.waits(case.address, maker) else None)
        if self.may_run(case.address):
            self.promised[doc.key] = case.address
        cost = Cost(0, 0, 1) if price.high is None or price.low is None else Cost(price.low, price.high)
        return TakeStep(doc.take, Decision.RUN, doc, self._why(case, forced), cost, forced=forced)

    # -- what was asked for

    def _is_spent(self, case: Case) -> bool:
        """Whether what is asked for was sent already, for the saved plan that asks for it."""
        return case.doc.key in self.wishes.spent

    def _is_resent(self, case: Case) -> bool:
        wished = self.wishes.resend
        named = case.address in wished or case.address.of_take(case.doc.take) in wished
        return named and not self._is_spent(case)

    def _is_asked_once_more(self, case: Case) -> bool:
        """By --force: the take that is named, else the target."""
        bare = case.address in self.wishes.forced and case.doc.take == case.target
        return bare or case.address.of_take(case.doc.take) in self.wishes.forced

    def _is_forced(self, case: Case) -> bool:
        """Whether one more result is wanted. Selection narrows that too: an unselected node serves what it has."""
        if not self.may_run(case.address) or self._is_spent(case):
            return False
        again = case.doc.key in self.resent and bool(case.found.results)
        return again or case.renewed or self._is_asked_once_more(case)

    # -- why

    def _why(self, case: Case, forced: bool) -> Why:
        if case.doc.key in self.resent:
            return Why(Reason.PREVIOUSLY_FAILED, detail="an earlier submission was never answered; sent again as asked")
        if forced:
            return Why(Reason.FORCED if self._is_asked_once_more(case) else Reason.CACHE_OFF)
        if case.found.defects:
            return _defect(case.found)
        failure = case.refusal[1] if case.refusal else case.facts.failure
        if failure is not None:
            return Why(Reason.PREVIOUSLY_FAILED, detail=_failure_words(failure))
        return self._changed(case)

    def _changed(self, case: Case) -> Why:
        last = self._last(case)
        if last is None:
            return Why(Reason.NEW)
        why = explain(last.ingredients, case.doc.ingredients, case.draft.upstream_media)
        return Why(why.reason, why.changes, self._unused_pick(last, case))

    def _unused_pick(self, last: Result, case: Case) -> str | None:
        """A person's pick among the results of the recipe that was here before."""
        pick = self.sources.picks.get(last.recipe) if last.recipe != case.doc.recipe else None
        if pick is None or pick.by == "default":
            return None
        return f"take {pick.take} was picked for another recipe; that pick is kept and not used"

    def _last(self, case: Case) -> Result | None:
        """The last result here: one that flowed on, else (the index was rebuilt, or nothing flowed) one made here."""
        flow, at = self.graph.flow, case.address
        names = dict.fromkeys([str(at), str(at.of_take(case.doc.take)), str(at.of_take(1))])
        looked = (self.sources.results.last_at(self.wishes.provider, flow.name, flow.profile, name) for name in names)
        return next((result for result in looked if result is not None), None)


def _is_collected(case: Case) -> bool:
    """Whether an open task's result is here."""
    made = {result.id for result in case.found.results}
    return any(result_id_of(task.task) in made for task in case.facts.open_tasks)


def _shared(case: Case, maker: Address | None) -> TakeStep:
    """A twin makes it; this one pays nothing, and waits for it where `maker` is given."""
    why = Why(Reason.SHARED, detail=f"the same recipe as {maker}" if maker else "the same recipe as another node")
    return TakeStep(case.doc.take, Decision.RUN, case.doc, why, shared_with=maker)


def _hit(case: Case) -> TakeStep:
    result = flowing(case.found, case.doc.take, case.pick)
    why = None
    if case.pick is not None and case.pick.take == case.doc.take and case.pick.result != result.id:
        detail = f"the picked result {case.pick.result} is not to be had; {result.id} of the same take is used"
        why = Why(Reason.LOCK_DIFFERS, detail=cut(detail))
    return TakeStep(case.doc.take, Decision.HIT, case.doc, why, result=result)


def _defect(found: Found) -> Why:
    damaged = next((name for name, defect in found.defects if defect is Defect.DAMAGED), None)
    name = found.defects[0][0] if damaged is None else damaged
    return Why(Reason.RESULT_MISSING if damaged is None else Reason.RESULT_DAMAGED, detail=cut(name))


def _failure_words(failure: Failed) -> str:
    return cut(f"{failure.code}: {failure.message}")


def _own_refusal(facts: ActionFacts) -> Refusal | None:
    if facts.failure is None or not facts.failure.rejected or facts.failed_task is None:
        return None
    return facts.failed_task, facts.failure
