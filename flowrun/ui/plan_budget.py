"""What of a plan fits its caps, in the order in which it will run, and what does not. Owns the words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from flowrun.engine.estimate import Foreseen, Portion
from flowrun.ledger.protocol import CapLeft, LimitName
from flowrun.ui.numbers import are, credits, number, plural, priced
from flowrun.ui.plan_facts import PlanFacts
from flowrun.ui.shortfalls import DAY_CAP, MOST_NAMES, soon
from flowrun.ui.typed import listed

_UNKNOWN = "; without a known price nothing runs under a cap, unless --allow-unknown-price is given"


def cap_lines(facts: PlanFacts) -> Iterator[tuple[str, str]]:
    """(label, text) of each cap and of what it means for this plan; nothing where there is no cap."""
    unknown = _UNKNOWN if facts.plan.cost.unknown else ""
    day = next((each for each in facts.left if each.cap is LimitName.DAY_CAP), None)
    if facts.cap is not None:
        yield "Cap", f"{credits(facts.cap)} at most in one apply{unknown}"
    if day is not None:
        yield "Day cap", _day(day, facts.at) + ("" if facts.cap is not None else unknown)
    if facts.foreseen is not None and facts.foreseen.over:
        yield "Fits", _fits(facts.foreseen)
        yield from (("", _over(cap, portions, facts)) for cap, portions in facts.foreseen.over.items())
        if facts.foreseen.behind:
            yield "", f"after those, not in this apply: {_names(facts.foreseen.behind)}"


def fits_in_short(facts: PlanFacts) -> str:
    """For a single line: how much of it fits; nothing where all does."""
    found = facts.foreseen
    return f"; {_sum(found.fits)} of them fit" if found is not None and found.over else ""


def _day(day: CapLeft, now: float) -> str:
    text = f"{credits(day.most)} at most in any 24 hours in this project ({DAY_CAP}), {number(day.left)} left"
    return text if day.until is None or day.left == day.most else f"{text}; more at {soon(day.until, now)}"


def _fits(found: Foreseen) -> str:
    if not found.fits:
        return "none of it"
    return f"{priced(_sum_of(found.fits))}, in this order: {_names(found.fits)}"


def _over(cap: str, portions: Sequence[Portion], facts: PlanFacts) -> str:
    names = _names(portions)
    if cap == LimitName.UNKNOWN_PRICE:
        return f"without a known price: {names} {_do(portions)} not run, unless --allow-unknown-price is given"
    return f"over the {_CAPS[cap]}: {_sum(portions)} of {names}{_way(cap, facts)}"


_CAPS: Mapping[str, str] = {LimitName.RUN_CAP: "cap", LimitName.DAY_CAP: "day's cap", LimitName.BALANCE: "balance"}


def _way(cap: str, facts: PlanFacts) -> str:
    """What would make all of the plan fit."""
    most = facts.plan.cost.high
    own = next((each for each in facts.left if each.cap == cap), None)
    if own is None:
        return ""
    if cap == LimitName.RUN_CAP and (facts.written is None or most <= facts.written):
        return f"; all of it takes --max-credits {most}"
    if cap == LimitName.RUN_CAP:
        return f"; all of it takes limits.credits: {most} in the manifest"
    if cap == LimitName.DAY_CAP:
        return f"; all of it takes {DAY_CAP} = {own.most - own.left + most}"
    return f"; {credits(max(0, most - own.left))} more would be enough for all of it"


def _names(portions: Iterable[Portion]) -> str:
    return listed(list(dict.fromkeys(each.address for each in portions)), MOST_NAMES)


def _do(portions: Sequence[Portion]) -> str:
    return "does" if are(len({each.address for each in portions})) == "is" else "do"


def _sum_of(portions: Iterable[Portion]) -> int:
    return sum(each.credits or 0 for each in portions)


def _sum(portions: Sequence[Portion]) -> str:
    unknown = sum(each.credits is None for each in portions)
    return credits(_sum_of(portions)) + (f" and {plural(unknown, 'generation')} of unknown price" if unknown else "")
