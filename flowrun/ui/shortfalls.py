"""What did not fit a cap or the day's generations: how much, what is left, when or with what it would run. Owns these words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from flowrun.engine.shortfall import Shortfall, days_used_up, shortfalls
from flowrun.engine.summary import Summary
from flowrun.ui.ending import Ending
from flowrun.ui.numbers import are, credits, duration, moment, number, plural
from flowrun.ui.paint import safe
from flowrun.ui.typed import listed

DAY_CAP = "limits.credits_per_day"
MOST_NAMES = 6
_DAY = 24 * 3600.0

Part = tuple[str, list[tuple[str, str]]]  # (what did not run, the ways on)


def soon(at: float, now: float) -> str:
    """``14:05 UTC, in 3 h 12 min``; with its date where that is not today or tomorrow."""
    if at <= now:
        return "now"
    clock = moment(at) if at - now > _DAY else moment(at).partition(" ")[2]
    return f"{clock} UTC, in {duration(at - now)}"


def used_up(daily: int | None) -> str:
    """That a model's day has no generation left."""
    if daily == 0:
        return "it has no generations a day"
    return f"the day's {'' if daily is None else f'{number(daily)} '}generations are used"


def next_free(until: float | None, now: float) -> str:
    """When the next one is free: when our own oldest is a day old; nobody knows of those that were made elsewhere."""
    return (
        "the next is free within 24 hours at the latest" if until is None else f"the next is free at {soon(until, now)}"
    )


def addresses(units: Iterable[str]) -> list[str]:
    """Of takes, each once."""
    return list(dict.fromkeys(unit.rpartition("#")[0] or unit for unit in units))


# -- caps


def cap_parts(summary: Summary, ending: Ending) -> Iterator[Part]:
    """One for each cap that something did not fit."""
    tellers = {"run-cap": _run_cap, "day-cap": _day_cap, "balance": _balance, "unknown-price": _unknown_price}
    for short in shortfalls(summary.over, summary.caps):
        yield tellers.get(short.cap, _balance)(short, summary, ending)


def _run_cap(short: Shortfall, summary: Summary, ending: Ending) -> Part:
    typed, (needed, unknown) = ending.typed, summary.still_to_make()
    text = f"Did not fit the {'cap' if ending.cap is None else f'cap of {credits(ending.cap)}'}: {_portion(short)}"
    leave = ["--allow-unknown-price"] if unknown else []
    ways = []
    if not needed:  # of a run whose takes had no estimates
        return text, [("then go on:", typed.apply())]
    if ending.written is None or needed <= ending.written:
        ways = [("all of it in one apply:", typed.once_more("--max-credits", str(needed), *leave))]
    else:
        text += (
            f" All of it in one apply takes {credits(needed)}: raise limits.credits in {ending.file}, and apply again."
        )
    if _fits_anew(summary, ending.cap):
        words = [] if ending.cap is None or ending.cap == ending.written else ["--max-credits", str(ending.cap)]
        ways.append(("as much as the same cap allows anew:", typed.once_more(*words)))
    return text + _beside(summary, needed), ways


def _fits_anew(summary: Summary, cap: int | None) -> bool:
    """Whether another apply under the same cap, which counts from nothing, would get on."""
    return cap is not None and any(each.credits is not None and each.credits <= cap for each in summary.over.values())


def _day_cap(short: Shortfall, summary: Summary, ending: Ending) -> Part:
    needed, _ = summary.still_to_make()
    cap = "the project's day" if short.most is None else f"the project's {credits(short.most)} in 24 hours"
    text = f"Did not fit {cap} ({DAY_CAP}): {_portion(short)}"
    if short.until is not None:
        text += f" The first of them fits again at {soon(short.until, summary.at)}."
    if short.most is not None and short.left is not None:
        enough = max(short.most, short.most - short.left + needed)
        text += f" With {DAY_CAP} = {enough} all of it would fit now."
    return text, [("then go on:", ending.typed.apply())]


def _balance(short: Shortfall, summary: Summary, ending: Ending) -> Part:
    needed, _ = summary.still_to_make()
    text = f"Did not fit the balance: {_portion(short)}"
    if short.left is not None and needed > short.left:
        text += f" Buy {credits(needed - short.left)} or more for all of it, and apply again."
    return text, [("then go on:", ending.typed.apply())]


def _unknown_price(short: Shortfall, _: Summary, ending: Ending) -> Part:
    names = listed(addresses(short.units), MOST_NAMES)
    text = f"Has no known price, so it does not run under a cap: {names}; allow it and apply again."
    return text, [("then go on:", ending.typed.once_more("--allow-unknown-price"))]


def _portion(short: Shortfall) -> str:
    """Which, how many, what they take together, what is left, and what of them that is enough for."""
    names = addresses(short.units)
    text = listed(names, MOST_NAMES)
    if short.credits:
        text += f"; {plural(len(names), 'node')}, {credits(short.credits)}{' together' if len(short.units) > 1 else ''}"
    if short.left is not None:
        text += f"; {credits(short.left)} {are(short.left)} left"
    if short.would_fit:
        text += f", enough for {listed(addresses(short.would_fit), MOST_NAMES)}"
    return f"{text}."


def _beside(summary: Summary, needed: int) -> str:
    """What other caps leave, where that is not enough either."""
    words = {"day-cap": f"the project's day ({DAY_CAP})", "balance": "the balance"}
    low = [
        f"{words[each.cap]} has {number(each.left)}"
        for each in summary.caps
        if each.cap in words and each.left < needed
    ]
    return f" But {' and '.join(low)} left." if low else ""


# -- the day's generations


def quota_parts(summary: Summary, ending: Ending) -> Iterator[Part]:
    """One for each model whose day is used up; what to type with the last."""
    found = list(days_used_up(summary.waiting).items())
    for place, (model, (units, until)) in enumerate(found, 1):
        ways = [
            ("apply again then:", ending.typed.apply()),
            ("or wait for it:", ending.typed.once_more("--on-quota", "wait")),
        ]
        yield _quota(summary, model, units, until), ways if place == len(found) else []


def _quota(summary: Summary, model: str, units: Sequence[str], until: float | None) -> str:
    names = addresses(units)
    waits = f"{plural(len(names), 'node')} {'waits' if len(names) == 1 else 'wait'}: {listed(names, MOST_NAMES)}"
    name = f"{safe(model)}: " if model else ""
    told = f"{name}{used_up(summary.daily.get(model))}; {next_free(until, summary.at)}; {waits}."
    return told if name else told[:1].upper() + told[1:]
