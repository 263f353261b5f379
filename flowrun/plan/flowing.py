"""Which take flows on, and what a step lets others know before it was carried out. Owns the rule of picks in a plan.

The engine has the same rule over states (`engine.records.outcome_of`): a forced take, else the pick, else the lowest take
that has a result once every lower one has ended without.
"""

from __future__ import annotations

from collections.abc import Sequence

from flowrun.graph.outcomes import Barred, Made, Outcome, Pending, Skipped
from flowrun.plan.model import Decision, Step, TakeStep
from flowrun.store.protocol import Found, Pick, Result, StoredFile

_BARRED = {
    Decision.BLOCKED: "is blocked",
    Decision.EXCLUDED: "is not selected and was not made with these inputs",
    Decision.UNCERTAIN: "is uncertain",
    Decision.REJECTED: "was rejected",
}


def picked(takes: Sequence[TakeStep], pick: Pick | None) -> int | None:
    """The number of the take that flows on, as far as that is fixed."""
    forced = next((take.take for take in takes if take.forced), None)
    if forced is not None:
        return forced
    if pick is not None and any(take.take == pick.take for take in takes):
        return pick.take
    first = _first_not_ended(takes)
    return first.take if first is not None and first.decision is Decision.HIT else None


def _first_not_ended(takes: Sequence[TakeStep]) -> TakeStep | None:
    """The lowest take that did not end without a result."""
    return next((take for take in takes if take.decision is not Decision.REJECTED), None)


def flowing(found: Found, take: int, pick: Pick | None) -> Result:
    """The result of a take that is used: the picked one while it is to be had, else the oldest. A forced one that was
    committed after the pick is picked as good as: whoever made it may have died before writing that down."""
    since = pick.at if pick is not None else 0.0
    forced = [result for result in found.results if result.forced and result.committed_at > since]
    if forced and (pick is None or pick.take == take):
        return forced[-1]
    if pick is not None and pick.take == take:
        return next((result for result in found.results if result.id == pick.result), found.results[0])
    return found.results[0]


def outcome_of_step(step: Step) -> Outcome:
    """What a step lets others know before it was carried out."""
    if step.decision is Decision.SKIP:
        return Skipped()
    if not step.takes:
        return Barred(_BARRED[step.decision]) if step.decision in _BARRED else Pending()
    by_number = {take.take: take for take in step.takes}
    take = _first_not_ended(step.takes) if step.pick is None else by_number[step.pick]
    if take is None:
        return Barred(_BARRED[Decision.REJECTED])
    if take.result is not None:
        return Made(take.result.outputs, _all_takes(step))
    return Barred(_BARRED[take.decision]) if take.decision in _BARRED else Pending()


def _all_takes(step: Step) -> tuple[tuple[StoredFile, ...], ...] | None:
    """Files of all takes asked for; None while one of them is missing. One beyond them is in no list."""
    results = {take.take: take.result for take in step.takes}
    asked = [results.get(number) for number in range(1, step.wanted + 1)]
    made = tuple(result.outputs for result in asked if result is not None)
    return made if len(made) == step.wanted else None
