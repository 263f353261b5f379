"""The nine rules of the ledger's seam, each taken away in the real code, with a case in which that must be noticed. Owns the nine
mistakes and their cases; what is noticed, and by which check, is `world`'s and `checking`'s."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from flowrun.engine import attempt as attempts
from flowrun.engine import recovery
from flowrun.engine.attempt import Admission, Go
from flowrun.engine.ports import Attempt
from flowrun.ledger.protocol import BusyActionError, Granted, IntentOutcome, Mine, StaleClaimError, Succeeded
from flowrun.ledger.tables import ClaimRow, where
from flowrun.ledger.transactions import FactLedger
from flowrun.store.protocol import Result
from tests.simulation.bugs import Patches, resend_on_timeout
from tests.simulation.model import Case, Node, Round, Visit

FOX = (Node("a", "still", "fox"),)
TWO = (Node("a", "still", "fox"), Node("b", "film", "owl"))
RESERVED, INTENDED, SENT = "after ledger.reserve", "after ledger.intend", "after POST v1/text_to_image, unanswered"


@dataclass(frozen=True, slots=True)
class Rule:
    """`away`: the patches that take it away; `case`: where that shows; `kinds`: the promises that it breaks there."""

    away: Callable[[], Patches]
    case: Case
    kinds: frozenset[str]


def _fence_intend() -> Patches:
    real = FactLedger._current

    def current(self: FactLedger, claim: Any) -> Any:
        try:
            return real(self, claim)
        except StaleClaimError:
            held = self._tables.claims.get(claim.key)
            origin = held.origin if held else self._tables.intents.find(where(key=(claim.key,)))[-1].origin
            return ClaimRow(claim.key, claim.owner, claim.run, claim.fence, origin, "gen4_image", 5)

    return [(FactLedger, "_current", current)]


def _one_at_a_time() -> Patches:
    return [(FactLedger, "_alone", lambda self, key: None)]


def _reap_uncertain() -> Patches:
    real = FactLedger._let_go

    def let_go(self: FactLedger, owner: Any) -> None:
        for row in self._tables.intents.find(where(owner=(owner,), outcome=(IntentOutcome.OPEN,))):
            self._tables.intents.put(replace(row, outcome=IntentOutcome.REFUSED))
        real(self, owner)

    return [(FactLedger, "_let_go", let_go)]


def _keep_late_id() -> Patches:
    real = FactLedger._accept

    def accept(self: FactLedger, row: Any, *args: Any) -> None:
        if row.outcome is IntentOutcome.OPEN or "decision" in row.evidence:
            real(self, row, *args)

    return [(FactLedger, "_accept", accept)]


def _own_intent() -> Patches:
    real = FactLedger.refused

    def refused(self: FactLedger, intent: Any) -> None:
        newest = self._tables.intents.find(where())[-1]
        real(self, replace(intent, intent=newest.intent))

    return [(FactLedger, "refused", refused)]


def _look_again() -> Patches:
    def admit_mine(attempt: Attempt, mine: Mine) -> Admission:
        reserved = attempt.ports.ledger.reserve(
            mine.claim, attempt.doc.model, attempt.doc.credits, attempt.run.limits(attempt.doc.model)
        )
        return Go(mine.claim) if isinstance(reserved, Granted) else reserved

    return [(attempts, "_admit_mine", admit_mine)]


def _collect_first() -> Patches:
    claiming = FactLedger.claim

    def claim(self: FactLedger, *args: Any) -> Any:
        answer = claiming(self, *args)
        return replace(answer, open_tasks=()) if isinstance(answer, Mine) else answer

    def alone(self: FactLedger, key: Any) -> None:
        facts = self._facts(key)
        if facts.open_intents or facts.uncertain:
            raise BusyActionError

    nobody = (recovery.Recovery, "walks", lambda self, planned: [])
    return [(FactLedger, "claim", claim), (FactLedger, "_alone", alone), nobody]


def _store_first() -> Patches:
    real = attempts.collect

    async def collect(attempt: Attempt, seen: Any, submitted_at: float) -> Result:
        attempt.ports.ledger.settle(seen.id, Succeeded(), seen.charged)
        return await real(attempt, seen, submitted_at)

    return [(attempts, "collect", collect)]


def _case(*visits: Visit, nodes: tuple[Node, ...] = FOX, **said: Any) -> Case:
    return Case(0, nodes, rounds=(Round(visits=visits or (Visit(),), **said),))


def _once(on: str, **does: Any) -> dict[str, Any]:
    return {"on": on, "match": {"nth": 1}, "do": {**does, "times": 1}}


RULES: dict[str, Rule] = {
    "fence-intend": Rule(
        _fence_intend,
        _case(Visit(freeze=((RESERVED, 1), 200.0)), Visit(delay=70.0)),
        frozenset({"paid-twice"}),
    ),
    "one-at-a-time": Rule(
        _one_at_a_time,
        _case(
            Visit(freeze=((SENT, 1), 200.0)),
            Visit(delay=70.0),
            Visit(delay=100.0, freeze=((RESERVED, 1), 130.0)),
            words=((80.0, "forget"),),
            duration=300.0,
        ),
        frozenset({"needless"}),
    ),
    "reap-uncertain": Rule(_reap_uncertain, _case(Visit(death=(SENT, 1))), frozenset({"paid-twice", "called-refused"})),
    "keep-late-id": Rule(
        _keep_late_id, _case(Visit(freeze=((SENT, 1), 100.0)), Visit(delay=70.0)), frozenset({"id-lost"})
    ),
    "own-intent": Rule(
        _own_intent,
        _case(
            Visit(death=("before ledger.submitted", 1)),
            nodes=TWO,
            faults=(
                _once("text_to_image", delay=5.0),
                _once("text_to_image", status=503),
                _once("text_to_video", delay=9.0),
            ),
        ),
        frozenset({"called-refused", "paid-twice"}),
    ),
    "lost-uncertain": Rule(
        resend_on_timeout, _case(faults=(_once("text_to_image", lost="after"),)), frozenset({"paid-twice"})
    ),
    "look-again": Rule(
        _look_again,
        _case(Visit(freeze=(("before ledger.claim", 1), 100.0)), Visit(delay=1.0)),
        frozenset({"paid-twice"}),
    ),
    "collect-first": Rule(
        _collect_first,
        _case(Visit(death=("after ledger.submitted", 1)), Visit(delay=70.0)),
        frozenset({"paid-twice", "needless"}),
    ),
    "store-first": Rule(
        _store_first,
        _case(Visit(death=("after ledger.settle", 1))),
        frozenset({"lost", "paid-twice"}),
    ),
}
