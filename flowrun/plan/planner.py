"""The planner: one for `plan`, `apply` and every decision during a run. Owns the way from drafts to steps: lookups in
batches, which takes there are, and what becomes of them under a selection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from flowrun.action import ActionDoc
from flowrun.diagnostics.model import Severity
from flowrun.graph.address import Address
from flowrun.graph.model import Graph
from flowrun.graph.outcomes import Outcome, Pending
from flowrun.graph.scope import ScopeSource
from flowrun.ids import ActionKey
from flowrun.plan.draft import Draft, Drafter
from flowrun.plan.flowing import picked
from flowrun.plan.model import Cost, Decision, Reason, Step, TakeStep, Why
from flowrun.plan.sources import Sources, Wishes
from flowrun.plan.takes import Known, TakeDecider, case_of
from flowrun.store.protocol import Pick

_FOLD = (Decision.RUN, Decision.RESUME, Decision.UNCERTAIN, Decision.HIT, Decision.REJECTED)
_USABLE = (Decision.HIT, Decision.RESUME)


class Planner:
    """Decides instances whose upstream is settled in `known`, which the caller keeps up to date."""

    def __init__(self, graph: Graph, source: ScopeSource, sources: Sources, wishes: Wishes) -> None:
        self.graph, self.source, self.sources, self.wishes = graph, source, sources, wishes
        self.known: dict[Address, Outcome] = {}
        self._waiting: dict[Address, set[Address]] = {}  # maker -> the twins that wait for it
        self._drafter = Drafter(graph, source, sources, wishes)
        self._decider = TakeDecider(graph, sources, wishes, waits=self._waits)

    def outcome(self, address: Address) -> Outcome:
        """What is known of an instance; while it is pending, whether it will be skipped may be foreseen."""
        at = address.without_take()
        known = self.known.get(at)
        return self._drafter.foresight.outcome(at) if known is None or isinstance(known, Pending) else known

    def remake(self, made_again: Mapping[ActionKey, Address]) -> None:
        """Start over, knowing which keys get one more result in this plan."""
        self.known.clear()
        self._waiting.clear()
        self._decider.promised.clear()
        self._decider.remade = dict(made_again)

    def _waits(self, twin: Address, maker: Address) -> bool:
        """Whether a twin has to wait for `maker`: as long as that is still to come, and does not itself come after the twin,
        be it through other twins that wait. Who waits is remembered, so that no circle of waiting can close."""
        if not isinstance(self.outcome(maker), Pending) or self._comes_after(twin, maker):
            return False
        self._waiting.setdefault(maker, set()).add(twin)
        return True

    def _comes_after(self, start: Address, goal: Address) -> bool:
        """Whether `goal` waits for `start`, by the graph's edges and by twins that wait for each other."""
        seen, frontier = {start}, [start]
        while frontier:
            at = frontier.pop()
            fresh = {*self.graph.downstream(at), *self._waiting.get(at, ())} - seen
            seen |= fresh
            frontier.extend(fresh)
        return goal in seen

    def may_run(self, address: Address) -> bool:
        """Whether the selection lets the instance be generated."""
        return self._decider.may_run(address)

    def decide(self, address: Address) -> Step:
        return self.decide_all([address])[0]

    def decide_all(self, addresses: Iterable[Address]) -> list[Step]:
        """Decisions for instances that do not depend on each other, with lookups in batches."""
        drafts = [self._draft(address) for address in addresses]
        known = self._look_up(drafts)
        steps = [draft.step if draft.is_final else self._conclude(draft, known) for draft in drafts]
        return [self._refused_live(step) for step in steps]

    def _refused_live(self, step: Step) -> Step:
        """What the live API refuses is a warning until it would be sent there."""
        if not step.refused or not step.most_submissions or self.wishes.provider != "runway":
            return step
        errors = tuple(replace(each, severity=Severity.ERROR) for each in step.refused)
        return replace(step, decision=Decision.BLOCKED, problems=errors, takes=(), cost=Cost(), why=None, pick=None)

    def _draft(self, address: Address) -> Draft:
        draft = self._drafter.draft(self.graph.instances[address], self)
        open_ends = (Decision.UNDECIDED, Decision.BLOCKED)
        if draft.is_final and draft.step.decision in open_ends and not self._decider.may_run(address):
            return draft if draft.step.problems else replace(draft, step=_not_selected(draft.step))
        return draft

    def _look_up(self, drafts: Iterable[Draft]) -> Known:
        """Everything on record for the actions of these drafts."""
        ours = [draft for draft in drafts if not draft.is_final]
        picks = {draft.docs[0].recipe: self.sources.picks.get(draft.docs[0].recipe) for draft in ours}
        docs = [doc for draft in ours for doc in self._candidates(draft, picks[draft.docs[0].recipe])]
        keys = list(dict.fromkeys(doc.key for doc in docs))
        ledger = self.sources.ledger
        return Known(self.sources.results.lookup(keys), ledger.last(keys), ledger.rejections(picks), picks)

    def _candidates(self, draft: Draft, pick: Pick | None) -> list[ActionDoc]:
        """The takes asked for, and beyond them the picked one (lowering `takes` deletes nothing) and forced ones."""
        at, asked = draft.step.address, len(draft.docs)
        beyond = {each.take for each in self.wishes.forced if each.take and each.without_take() == at}
        beyond |= {pick.take} if pick is not None else set()
        extra = [draft.recipe.action(take) for take in sorted(beyond) if take > asked] if draft.recipe else []
        return [*draft.docs, *extra]

    def _conclude(self, draft: Draft, known: Known) -> Step:
        pick, docs = self._usable(draft, known)
        target = _target(docs, known, pick)
        takes = tuple(self._decider.decide(case_of(draft, doc, known, target)) for doc in docs)
        flows = picked(takes, pick)
        if not self._decider.may_run(draft.step.address):
            takes = _served(takes, flows)
            if not takes:
                return _not_selected(draft.step)
        total = sum((take.cost for take in takes), Cost())
        decision, why = _folded(takes)
        makers = (take.shared_with for take in takes if take.shared_with is not None)
        upstream = tuple(dict.fromkeys([*draft.step.upstream, *makers]))
        step = replace(draft.step, decision=decision, why=why, takes=takes, cost=total, pick=flows, upstream=upstream)
        return _with_lost_pick(step, known.picks[docs[0].recipe])

    def _usable(self, draft: Draft, known: Known) -> tuple[Pick | None, list[ActionDoc]]:
        """The pick, unless its take is neither asked for nor to be had; the takes that are left."""
        pick, asked = known.picks[draft.docs[0].recipe], len(draft.docs)
        at, forced = draft.step.address, self.wishes.forced
        docs = [
            doc
            for doc in self._candidates(draft, pick)
            if doc.take <= asked or known.found(doc).results or at.of_take(doc.take) in forced
        ]
        return (pick if pick and any(doc.take == pick.take for doc in docs) else None), docs


def _target(docs: Sequence[ActionDoc], known: Known, pick: Pick | None) -> int:
    """The take that one more result is made of where no number was given: the picked one, as far as there is one."""
    if pick is not None:
        return pick.take
    return next((doc.take for doc in docs if known.found(doc).results), docs[0].take)


def _served(takes: Sequence[TakeStep], flows: int | None) -> tuple[TakeStep, ...]:
    """What an unselected instance gives without generating: nothing, where a take to be generated might flow instead."""
    kept = tuple(take for take in takes if take.decision is not Decision.RUN)
    if len(kept) == len(takes):
        return kept
    serves = any(take.take == flows and take.decision in _USABLE for take in kept)
    return kept if serves else ()


def _folded(takes: Sequence[TakeStep]) -> tuple[Decision, Why | None]:
    """The decision that says most of all takes, and its reason; that a twin makes it only where that is so of all."""
    decision = next(each for each in _FOLD if any(take.decision is each for take in takes))
    told = [take for take in takes if take.decision is decision]
    return decision, next((take.why for take in told if not take.is_shared), told[0].why)


def _with_lost_pick(step: Step, pick: Pick | None) -> Step:
    """Say so where a picked take is not to be had any more and another flows on."""
    lost = pick is not None and step.pick is not None and all(take.take != pick.take for take in step.takes)
    if not lost or pick is None or step.decision is not Decision.HIT or step.why is not None:
        return step
    detail = f"the picked take {pick.take} is not to be had; take {step.pick} is used"
    return replace(step, why=Why(Reason.LOCK_DIFFERS, detail=detail))


def _not_selected(step: Step) -> Step:
    return replace(step, decision=Decision.EXCLUDED, why=Why(Reason.NOT_SELECTED), takes=(), cost=Cost(), unread=())
