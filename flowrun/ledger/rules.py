"""What the ledger's facts mean, as pure functions over rows and numbers. No storage, no clock.

Owns the limits' arithmetic, how an intent's outcome may move and what may be intended. Finding the rows is `counting`'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flowrun.ids import ActionKey, RecipeKey, TaskId
from flowrun.ledger.protocol import (
    ActionFacts,
    Decision,
    Failed,
    Forgotten,
    IntentOutcome,
    IntentRow,
    LimitName,
    Limits,
    OpenTask,
    Over,
    Succeeded,
    TaskRow,
    Wait,
)

DAY = 24 * 3600.0  # the API counts creations over a rolling 24 hours, and so does a project's cap its credits
UNCERTAIN_SLOT = 30 * 60.0  # an unanswered request holds its slot this long after it was intended, and no longer
RUNNING = "open"  # a task's status until it has ended at the API
UNDECIDED = (IntentOutcome.OPEN, IntentOutcome.UNCERTAIN)  # may have been accepted, nobody knows
COMMITTED = tuple(outcome for outcome in IntentOutcome if outcome is not IntentOutcome.REFUSED)


def ages_out(since: float, span: float) -> float:
    """The first moment `t` at which ``since > t - span`` is false, so that waiting until then is never in vain."""
    moment = since + span
    while since > moment - span:  # rounding may fall one step short
        moment = math.nextafter(moment, math.inf)
    return moment


# ---- limits: what can never fit is said first, then what only has to wait --------------------------------------------


@dataclass(frozen=True, slots=True)
class Spent:
    """Credits committed already, estimated or booked: by the run, by its project in the rolling day, and what a balance does
    not show yet."""

    run: int = 0
    day: int = 0
    pledged: int = 0

    def and_more(self, credits: int) -> Spent:
        """With a further request."""
        return Spent(self.run + credits, self.day + credits, self.pledged + credits)


def caps_left(limits: Limits, spent: Spent) -> dict[LimitName, int]:
    """What each cap there is leaves; less than nothing where a charge was above its estimate."""
    caps = {
        LimitName.RUN_CAP: (limits.run_cap, spent.run),
        LimitName.DAY_CAP: (limits.day_cap, spent.day),
        LimitName.BALANCE: (limits.balance, spent.pledged),
    }
    return {name: most - taken for name, (most, taken) in caps.items() if most is not None}


def over_caps(limits: Limits, spent: Spent, credits: int | None) -> Over | None:
    """Of several caps the lowest holds. They bind known prices only: an unknown one is refused under a cap of run or day,
    unless it was allowed."""
    left = caps_left(limits, spent)
    capped = [left[name] for name in (LimitName.RUN_CAP, LimitName.DAY_CAP) if name in left]
    if credits is None and capped and not limits.allow_unknown_price:
        return Over(LimitName.UNKNOWN_PRICE, max(0, min(capped)))
    lowest = min(left, key=left.__getitem__, default=None)
    if lowest is None or left[lowest] >= (credits or 0):
        return None
    return Over(lowest, max(0, left[lowest]))


def fits_at(committed: Sequence[tuple[float, int]], lacking: int) -> float | None:
    """When enough of a rolling day's commitments (time, credits; earliest first) will have aged out for the `lacking`
    credits; None: never, or not by that."""
    for at, credits in committed:
        lacking -= credits
        if lacking <= 0:
            return ages_out(at, DAY)
    return None


def day_is_full(limits: Limits, taken: int) -> bool:
    """`taken`: creations that count in the rolling day, here and elsewhere."""
    return limits.daily is not None and taken >= limits.daily


def place_frees(limits: Limits, taken: int, accepted: Sequence[float]) -> float | None:
    """When the next place of a day that is full comes free: enough of the creations `accepted` at these times, earliest first,
    have aged out. None where that is for others' to do."""
    beyond = max(
        0, taken - (limits.daily or 0)
    )  # more than the limit where it was lowered, or filled elsewhere meanwhile
    return ages_out(accepted[beyond], DAY) if beyond < len(accepted) else None


def slots_are_held(limits: Limits, held: int, uncertain_since: float | None) -> Wait | None:
    """`uncertain_since`: when the earliest uncertain one that still holds a slot was intended."""
    if limits.concurrency is None or held < limits.concurrency:
        return None
    return Wait(LimitName.CONCURRENCY, None if uncertain_since is None else ages_out(uncertain_since, UNCERTAIN_SLOT))


# ---- what became of an intent: certain facts replace guesses and words, never the other way round --------------------


def refused(row: IntentRow, at: float) -> IntentRow:
    """Certainly not accepted, even where it was reaped or given up meanwhile; a task on record is never taken away."""
    if row.outcome in (IntentOutcome.ACCEPTED, IntentOutcome.REFUSED):
        return row
    return replace(row, outcome=IntentOutcome.REFUSED, decided_at=at)


def lost(row: IntentRow, evidence: Mapping[str, Any]) -> IntentRow:
    """Uncertain, if nothing better is known by now. The evidence is added to what was read before the request."""
    if row.outcome not in UNDECIDED:
        return row
    return replace(row, outcome=IntentOutcome.UNCERTAIN, evidence={**row.evidence, **evidence})


def noted(row: IntentRow, evidence: Mapping[str, Any]) -> IntentRow:
    """What is known more of it moves nothing."""
    return replace(row, evidence={**row.evidence, **evidence})


def reaped(row: IntentRow) -> IntentRow:
    """Rule 3: the request may have left."""
    return replace(row, outcome=IntentOutcome.UNCERTAIN)


def accepted(row: IntentRow, task: TaskId, at: float, credits: int | None = None) -> IntentRow:
    """Rule 4: whatever became of it. `credits`: a better estimate, where there is one. An acceptance keeps its time."""
    decided = row.decided_at if row.outcome is IntentOutcome.ACCEPTED else at
    known = row.credits if credits is None else credits
    return replace(row, outcome=IntentOutcome.ACCEPTED, task=task, decided_at=decided, credits=known)


def given_up(row: IntentRow, decision: Decision, at: float) -> IntentRow:
    """What the person said is kept with the evidence."""
    said = decision.said if isinstance(decision, Forgotten) else "resend"
    return replace(row, outcome=IntentOutcome.GIVEN_UP, decided_at=at, evidence={**row.evidence, "decision": said})


# ---- tasks and actions -----------------------------------------------------------------------------------------------


def settled(row: TaskRow, outcome: Succeeded | Failed, credits: int | None, at: float) -> TaskRow:
    """A task that is settled has ended, whether anyone saw that or not: it must not hold its slot for ever."""
    failure = outcome if isinstance(outcome, Failed) else None
    seen = row if row.status != RUNNING else replace(row, status="FAILED" if failure else "SUCCEEDED", ended_at=at)
    return replace(seen, settled=True, settled_at=at, charged=credits, failure=failure)


def open_task(row: TaskRow) -> OpenTask:
    status = None if row.status == RUNNING else row.status
    return OpenTask(row.task, row.key, row.submitted_at, status, row.origin.store)


def by_settlement(rows: Iterable[TaskRow]) -> list[TaskRow]:
    """The settled ones, earliest settled first; in the order of submission where the clock cannot tell."""
    return sorted((row for row in rows if row.settled), key=lambda row: row.settled_at or 0.0)


def action_facts(key: ActionKey, intents: Iterable[IntentRow], tasks: Iterable[TaskRow]) -> ActionFacts:
    """Derived from all undecided intents and all tasks of one action."""
    rows, known = tuple(intents), tuple(tasks)
    last = next(reversed(by_settlement(known)), None)
    return ActionFacts(
        key,
        open_tasks=tuple(open_task(row) for row in known if not row.settled),
        open_intents=tuple(row for row in rows if row.outcome is IntentOutcome.OPEN),
        uncertain=tuple(row for row in rows if row.outcome is IntentOutcome.UNCERTAIN),
        failure=last.failure if last else None,
        failed_task=last.task if last and last.failure else None,
    )


def may_intend(facts: ActionFacts) -> bool:
    """Rule 2."""
    return not (facts.open_tasks or facts.open_intents or facts.uncertain)


def input_refusals(tasks: Iterable[TaskRow]) -> dict[RecipeKey, tuple[TaskId, Failed]]:
    """The last refusal of each recipe's input, unless a task of the recipe succeeded after it."""
    found: dict[RecipeKey, tuple[TaskId, Failed]] = {}
    for row in by_settlement(tasks):
        if row.failure is None:
            found.pop(row.recipe, None)
        elif row.failure.input_refused:
            found[row.recipe] = (row.task, row.failure)
    return found
