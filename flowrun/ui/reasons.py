"""Why a step is what it is, in a few words: the reason's documented name first, then what a person needs beside it."""

from __future__ import annotations

from itertools import groupby

from flowrun.ledger.evidence import counter_words
from flowrun.plan.model import Decision, Reason, Step, TakeStep, Why
from flowrun.ui.changes import field_names
from flowrun.ui.numbers import credits, moment
from flowrun.ui.paint import safe
from flowrun.ui.typed import listed

_GLOSSES = {
    Reason.NEW: "",
    Reason.RESULT_MISSING: "its files are gone from the store",
    Reason.RESULT_DAMAGED: "its files in the store are damaged",
    Reason.CACHE_OFF: "'cache: false' makes a new result each apply",
    Reason.FORCED: "one more result, as --force asks",
    Reason.RETAKE: "one more take of the same recipe",
    Reason.WHEN_FALSE: "its 'when' is false",
    Reason.NOT_SELECTED: "not made with these inputs",
}
_DECISIONS = {
    Decision.HIT: "unchanged",
    Decision.RESUME: "its task is in flight; nothing is paid again",
    Decision.UNCERTAIN: "needs your decision: see below",
    Decision.HELD: "kept although its inputs changed",
    Decision.GATED: "waits for an approval",
}
_TOLD_BELOW = (Decision.REJECTED, Decision.BLOCKED)
_MOST_FIELDS = 4


def reason_words(step: Step, *, alike: bool = True) -> str:
    """The reason of one step, or of a group whose details are `alike` or not."""
    parts = [_why(step, alike)]
    if takes := take_words(step.takes):
        parts.append(takes)
    return "; ".join(filter(None, parts))


def _why(step: Step, alike: bool) -> str:
    if step.problems:
        return f"{safe(step.problems[0].code)}: see below"
    if step.why is None:
        return _DECISIONS.get(step.decision, "")
    if step.decision in _TOLD_BELOW:
        return f"{step.why.reason.value}: see below"
    detail = _detail(step.why)
    if step.why.detail and not alike:
        detail += ", and the like"
    return f"{step.why.reason.value}: {detail}" if detail else step.why.reason.value


def _detail(why: Why) -> str:
    if why.changes:
        return listed(field_names(why.changes), _MOST_FIELDS)
    if why.reason is Reason.UPSTREAM_SKIPPED and why.detail:
        return f"{safe(why.detail)} is skipped"
    gloss = _GLOSSES.get(why.reason, "")
    told = why.detail is not None and why.reason not in (Reason.RESULT_MISSING, Reason.RESULT_DAMAGED)
    return safe(why.detail) if told else gloss


def take_words(takes: tuple[TakeStep, ...]) -> str:
    """``2 takes``, or where they differ ``take 1 hit, takes 2, 3 run``; "" for the one take that needs no word."""
    if len(takes) < 2:
        return "" if all(take.take == 1 for take in takes) else f"take {takes[0].take}"
    if len({take.decision for take in takes}) == 1:
        return f"{len(takes)} takes"
    return ", ".join(_same_takes(decision, list(group)) for decision, group in groupby(takes, lambda t: t.decision))


def _same_takes(decision: Decision, takes: list[TakeStep]) -> str:
    numbers = [str(take.take) for take in takes]
    names = (
        numbers[0] if len(numbers) == 1 else f"{numbers[0]}–{numbers[-1]}" if len(numbers) > 2 else ", ".join(numbers)
    )
    return f"{'take' if len(numbers) == 1 else 'takes'} {names} {decision.value}"


def uncertain_words(take: TakeStep) -> str:
    """What is known of a request that was never answered: when it was sent, what it may have cost."""
    if take.uncertain is None:
        return "an earlier request was never answered; it may have been accepted"
    row = take.uncertain
    cost = "an unknown price" if row.credits is None else f"up to {credits(row.credits)}"
    known = counter_words(row.evidence, row.model)
    text = f"a request of {moment(row.intended_at)} UTC was never answered; it may have been accepted, for {cost}"
    return f"{text}. {known}".removesuffix(".") if known else text
