"""Finding the rows a rule speaks of: which ones hold a slot, count in the day, take credits, make up an action.

Owns the choices, written once for every storage. What follows from the numbers is `rules`'.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from flowrun.ids import ActionKey, IntentId, OwnerId, RecipeKey, RunId, TaskId
from flowrun.ledger.protocol import (
    ActionFacts,
    CapLeft,
    Failed,
    Granted,
    IntentOutcome,
    IntentRow,
    LimitName,
    Limits,
    OpenTask,
    Over,
    TaskRow,
    Wait,
)
from flowrun.ledger.rules import (
    COMMITTED,
    DAY,
    RUNNING,
    UNCERTAIN_SLOT,
    UNDECIDED,
    Spent,
    action_facts,
    caps_left,
    day_is_full,
    fits_at,
    input_refusals,
    open_task,
    over_caps,
    place_frees,
    slots_are_held,
)
from flowrun.ledger.tables import ClaimRow, Tables, Where, where

BATCH = 500  # names in one query; SQLite's smallest limit is 999 variables
Item = TypeVar("Item")


def batches(items: Iterable[Item]) -> Iterator[tuple[Item, ...]]:
    """Each item once, in pieces of at most `BATCH`."""
    rest = iter(dict.fromkeys(items))
    while batch := tuple(islice(rest, BATCH)):
        yield batch


# ---- slots -----------------------------------------------------------------------------------------------------------


def _uncertain_with_slot(model: str | None, now: float) -> Where:
    models = None if model is None else (model,)
    return where(outcome=(IntentOutcome.UNCERTAIN,), model=models, after=("intended_at", now - UNCERTAIN_SLOT))


def slots(tables: Tables, model: str, now: float) -> int:
    """Reserved, intended and not decided (uncertain ones for a while), accepted and not ended; whoever's."""
    return (
        tables.claims.count(where(model=(model,)))
        + tables.intents.count(where(outcome=(IntentOutcome.OPEN,), model=(model,)))
        + tables.intents.count(_uncertain_with_slot(model, now))
        + tables.tasks.count(where(status=(RUNNING,), model=(model,)))
    )


def slots_by_model(tables: Tables, now: float) -> Mapping[str, int]:
    held = Counter(row.model for row in tables.claims.find(where()) if row.model is not None)
    held.update(row.model for row in tables.intents.find(where(outcome=(IntentOutcome.OPEN,))))
    held.update(row.model for row in tables.intents.find(_uncertain_with_slot(None, now)))
    held.update(row.model for row in tables.tasks.find(where(status=(RUNNING,))))
    return dict(sorted(held.items()))


# ---- the rolling day -------------------------------------------------------------------------------------------------


def _accepted_since(model: str, since: float) -> Where:
    return where(outcome=(IntentOutcome.ACCEPTED,), model=(model,), after=("decided_at", since))


def created(tables: Tables, model: str, since: float) -> int:
    """Accepted later than `since`, and what nobody has decided, however old: it keeps its place until someone does."""
    undecided = tables.intents.count(where(outcome=UNDECIDED, model=(model,)))
    return undecided + tables.intents.count(_accepted_since(model, since))


def _taken(tables: Tables, model: str, limits: Limits, now: float) -> int:
    """What counts in the day: created here, reserved here, created elsewhere."""
    reserved = tables.claims.count(where(model=(model,)))
    return limits.used_elsewhere + reserved + created(tables, model, now - DAY)


def _accepted(tables: Tables, model: str, now: float) -> list[float]:
    """When the creations that still count were accepted, earliest first."""
    return [at for at, _ in tables.intents.amounts(_accepted_since(model, now - DAY))]


def next_in_day(tables: Tables, model: str, limits: Limits, now: float) -> float | None:
    """When there is a place beside those that the day has now."""
    if limits.daily is None:
        return None
    taken = max(limits.daily, _taken(tables, model, limits, now))
    return place_frees(limits, taken, _accepted(tables, model, now))


# ---- credits ---------------------------------------------------------------------------------------------------------


def committed(tables: Tables, run: RunId) -> int:
    """Booked where booked, else estimated. One given up counts: by its run it was sent, and it may yet be charged."""
    spent = tables.intents.total(where(run=(run,), outcome=COMMITTED), "charged", "credits")
    return spent + tables.claims.total(where(run=(run,)), "credits")


def _in_day(project: str, now: float) -> Where:
    """Requests of a project in the rolling day, by when they were intended: whoever runs it, whatever became of them."""
    return where(project=(project,), outcome=COMMITTED, after=("intended_at", now - DAY))


def committed_in_day(tables: Tables, project: str, now: float) -> int:
    """Of all runs of a project, booked where booked, else estimated. What is only reserved counts until it is intended."""
    sent = tables.intents.total(_in_day(project, now), "charged", "credits")
    return sent + tables.claims.total(where(project=(project,)), "credits")


def pledged(tables: Tables, balance_at: float) -> int:
    """Credits a balance read at `balance_at` may not show yet: reserved, undecided, or accepted since (or just then)."""
    since = math.nextafter(balance_at, -math.inf)
    accepted = where(outcome=(IntentOutcome.ACCEPTED,), after=("decided_at", since))
    return (
        tables.claims.total(where(), "credits")
        + tables.intents.total(where(outcome=UNDECIDED), "credits")
        + tables.intents.total(accepted, "charged", "credits")
    )


# ---- all limits at once ----------------------------------------------------------------------------------------------


def verdict(
    tables: Tables, limits: Limits, now: float, *, run: RunId, project: str, model: str, credits: int | None
) -> Granted | Wait | Over:
    """May `run` reserve this for `project`? Only what a limit asks for is counted."""
    over = over_caps(limits, spent(tables, limits, now, run, project), credits)
    if over is not None:
        return _dated(tables, over, limits, now, project, credits or 0)
    return _wait(tables, model, limits, now) or Granted()


def spent(tables: Tables, limits: Limits, now: float, run: RunId, project: str) -> Spent:
    """What each cap that there is asks for."""
    return Spent(
        0 if limits.run_cap is None else committed(tables, run),
        0 if limits.day_cap is None else committed_in_day(tables, project, now),
        0 if limits.balance is None else pledged(tables, limits.balance_at),
    )


def _dated(tables: Tables, over: Over, limits: Limits, now: float, project: str, credits: int) -> Over:
    """With the time at which the day has room for it."""
    if over.cap is not LimitName.DAY_CAP or limits.day_cap is None:
        return over
    lacking = committed_in_day(tables, project, now) + credits - limits.day_cap
    return replace(over, until=fits_at(_commitments(tables, project, now), lacking))


def _commitments(tables: Tables, project: str, now: float) -> list[tuple[float, int]]:
    return tables.intents.amounts(_in_day(project, now), "charged", "credits")


def left(tables: Tables, limits: Limits, now: float, run: RunId, project: str) -> tuple[CapLeft, ...]:
    """Of every cap there is, with the time at which the day gets credits back."""
    caps = {
        LimitName.RUN_CAP: limits.run_cap,
        LimitName.DAY_CAP: limits.day_cap,
        LimitName.BALANCE: limits.balance,
    }
    since = None if limits.day_cap is None else fits_at(_commitments(tables, project, now), 1)
    found = caps_left(limits, spent(tables, limits, now, run, project))
    return tuple(
        CapLeft(name, caps[name] or 0, max(0, rest), since if name is LimitName.DAY_CAP else None)
        for name, rest in found.items()
    )


def _wait(tables: Tables, model: str, limits: Limits, now: float) -> Wait | None:
    if limits.daily is not None:
        taken = _taken(tables, model, limits, now)
        if day_is_full(limits, taken):
            return Wait(LimitName.DAILY, place_frees(limits, taken, _accepted(tables, model, now)))
    if limits.concurrency is None:
        return None
    earliest = tables.intents.least(_uncertain_with_slot(model, now), "intended_at")
    return slots_are_held(limits, slots(tables, model, now), earliest)


# ---- actions and owners ----------------------------------------------------------------------------------------------


def facts_of(tables: Tables, keys: Iterable[ActionKey]) -> dict[ActionKey, ActionFacts]:
    """By key; those of which there is nothing to say are left out."""
    found = {}
    for batch in batches(keys):
        intents = _by_key(tables.intents.find(where(key=batch, outcome=UNDECIDED)))
        tasks = _by_key(tables.tasks.find(where(key=batch)))
        facts = (action_facts(key, intents[key], tasks[key]) for key in batch if key in intents or key in tasks)
        found.update({each.key: each for each in facts if each != ActionFacts(each.key)})
    return found


KeyedRow = TypeVar("KeyedRow", IntentRow, TaskRow)


def _by_key(rows: Iterable[KeyedRow]) -> defaultdict[ActionKey, list[KeyedRow]]:
    found: defaultdict[ActionKey, list[KeyedRow]] = defaultdict(list)
    for row in rows:
        found[row.key].append(row)
    return found


def open_tasks(tables: Tables, key: ActionKey) -> tuple[OpenTask, ...]:
    return tuple(open_task(row) for row in tables.tasks.find(where(key=(key,), settled=(False,))))


def other_holder(tables: Tables, held: ClaimRow | None, key: ActionKey, owner: OwnerId) -> OwnerId | None:
    """Who else has the action: by its claim, or, where a settled task took that away, by a request on its way."""
    if held is not None:
        return None if held.owner == owner else held.owner
    on_its_way = tables.intents.find(where(key=(key,), outcome=(IntentOutcome.OPEN,)))
    return next((row.owner for row in on_its_way if row.owner != owner), None)


def refusals_of(tables: Tables, recipes: Iterable[RecipeKey]) -> dict[RecipeKey, tuple[TaskId, Failed]]:
    found = {}
    for batch in batches(recipes):
        found.update(input_refusals(tables.tasks.find(where(recipe=batch))))
    return found


def requests(tables: Tables, since: float, before: float) -> tuple[tuple[IntentRow, tuple[TaskRow, ...]], ...]:
    """What was asked for in the period and not refused, oldest first, each with its tasks."""
    chosen = where(outcome=COMMITTED, after=("intended_at", math.nextafter(since, -math.inf)))
    rows = sorted((row for row in tables.intents.find(chosen) if row.intended_at < before), key=_intended_at)
    tasks: defaultdict[IntentId | None, list[TaskRow]] = defaultdict(list)
    for batch in batches(row.key for row in rows):
        for task in tables.tasks.find(where(key=batch)):
            tasks[task.intent].append(task)
    return tuple((row, tuple(tasks[row.intent])) for row in rows)


def _intended_at(row: IntentRow) -> float:
    return row.intended_at
