"""The sums below a plan: nodes, credits by model, the balance after, the day's generations left, the time. Owns their words."""

from __future__ import annotations

from collections.abc import Iterator

from flowrun.plan.model import Cost, Decision
from flowrun.plan.whole import Plan
from flowrun.ui.numbers import cost, credits, duration, number, plural, priced, span
from flowrun.ui.paint import Paint, safe
from flowrun.ui.plan_budget import cap_lines
from flowrun.ui.plan_facts import PlanFacts
from flowrun.ui.plan_rows import KINDS
from flowrun.ui.shortfalls import soon
from flowrun.ui.tables import Cell, Piece, hanging, table, wrapped

_LABEL = 11  # columns of the label, its indent included
CREDITS = "Credits"
_WORDS = {Decision.HIT: "unchanged", Decision.SKIP: "skipped"}


def total_lines(facts: PlanFacts, paint: Paint, columns: int) -> list[str]:
    """Everything that is known; what is not known says so or has no line."""
    lines = _nodes(facts.plan, paint, columns)
    for label, text in known_totals(facts):
        lines += hanging(_labelled(label, ""), text, columns)
        lines += _by_model(facts.plan, paint) if label == CREDITS else ()
    return lines


def known_totals(facts: PlanFacts) -> list[tuple[str, str]]:
    """(label, text) of everything but the nodes; no label: it goes on from the one before."""
    return [*_money(facts), *_rest(facts)]


def node_counts(plan: Plan) -> list[tuple[Decision, str]]:
    """``3 run``, ``12 unchanged``, by decision."""
    return [(each, f"{number(count)} {_WORDS.get(each, each.value)}") for each, count in plan.counts.items()]


def _labelled(label: str, text: str) -> str:
    return f"  {label}".ljust(_LABEL) + text


def _nodes(plan: Plan, paint: Paint, columns: int) -> list[str]:
    pieces: list[Piece] = []
    for decision, words in node_counts(plan):
        pieces += [Piece(", ")] if pieces else []
        pieces.append(Piece(words, KINDS[decision]))
    heads = [_labelled("Nodes", ""), *[" " * _LABEL] * len(pieces)]
    lines = wrapped(pieces, columns - _LABEL, paint) or [""]
    return [head + line for head, line in zip(heads, lines, strict=False)]


def _money(facts: PlanFacts) -> Iterator[tuple[str, str]]:
    yield CREDITS, _credits(facts.plan.cost) + _sandboxed(facts)
    if facts.plan.needs_provider:
        yield "Balance", _balance(facts)
    yield from cap_lines(facts)


def _credits(total: Cost) -> str:
    unknown = f"unknown for {plural(total.unknown, 'generation')} without a known price" if total.unknown else ""
    if total.high:
        return f"{priced(total.low, total.high)}{', and ' if unknown else ''}{unknown}"
    return unknown or "none: nothing new is paid for"


def _sandboxed(facts: PlanFacts) -> str:
    paid = facts.provider == "sandbox" and (facts.plan.cost.high or facts.plan.cost.unknown)
    return " at Runway's prices; the sandbox charges nothing" if paid else ""


def _by_model(plan: Plan, paint: Paint) -> list[str]:
    rows = [[Cell(safe(model)), Cell(cost(known))] for model, known in plan.by_model.items()]
    return table(rows, paint, indent=" " * (_LABEL + 2))


def _balance(facts: PlanFacts) -> str:
    total, balance = facts.plan.cost, facts.balance
    if balance is None:
        return "unknown: the API was not asked, or did not answer"
    most = total.high if facts.cap is None else min(total.high, facts.cap)
    low, high = balance - most, balance - min(total.low, most)
    now = f"{credits(balance)} now"
    if low < 0:
        return f"{now}: {credits(-low)} too few for all of it; what fits runs, the rest waits for more"
    after = f"{span(low, high)}, less what is unknown, after" if total.unknown else f"{span(low, high)} after"
    return f"{now}, {after}" if total.high or total.unknown else now


def _rest(facts: PlanFacts) -> Iterator[tuple[str, str]]:
    label = "Today"
    for model, left in facts.daily_left.items():
        few, most = facts.plan.submissions_of(model)
        if most:
            yield label, _daily(model, left, few, most) + _later(facts, model)
            label = ""
    if facts.seconds is not None:
        yield "Time", f"about {duration(facts.seconds)}"


def _daily(model: str, left: int | None, few: int, most: int) -> str:
    if left is None:
        return f"{safe(model)}: no daily limit"
    words = f"{safe(model)}: {plural(left, 'generation')} left, this takes {span(few, most)}"
    return words + ("; the rest waits for the next (--on-quota wait)" if most > left else "")


def _later(facts: PlanFacts, model: str) -> str:
    if model not in facts.daily_next:
        return ""
    until = facts.daily_next[model]
    return ", within 24 hours at the latest" if until is None else f", free at {soon(until, facts.at)}"
