"""What a run left undone for want of credits or of the day's generations, and what it would take. Owns the sums over a
summary's takes; the words are ui's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flowrun.engine.events import CapLeft


@dataclass(frozen=True, slots=True)
class Unfit:
    """A take that did not fit. `credits`: its estimate, None: unknown; `left`: what its cap left when it was asked; `until`:
    when (epoch seconds) a day's cap has room for it by itself."""

    cap: str
    credits: int | None = None
    left: int | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A take whose model's day is used up. `until`: when (epoch seconds) the next generation is free, None: nobody knows."""

    model: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Shortfall:
    """The takes that did not fit one cap, in the order in which they were asked about. `credits`: their sum; `unknown`: how
    many have no known price; `left` of `most`: what the cap leaves; `would_fit`: those that together still fit what is left
    of every cap; `until`: when the first of them fits by itself."""

    cap: str
    units: tuple[str, ...]
    credits: int
    unknown: int
    most: int | None
    left: int | None
    would_fit: tuple[str, ...]
    until: float | None


def shortfalls(over: Mapping[str, Unfit], caps: Sequence[CapLeft]) -> list[Shortfall]:
    """One for each cap that something did not fit."""
    return [_shortfall(cap, over, caps) for cap in dict.fromkeys(each.cap for each in over.values())]


def _shortfall(cap: str, over: Mapping[str, Unfit], caps: Sequence[CapLeft]) -> Shortfall:
    mine = {unit: each for unit, each in over.items() if each.cap == cap}
    own = next((each for each in caps if each.cap == cap), None)
    last = next(reversed(mine.values()))
    return Shortfall(
        cap,
        tuple(mine),
        sum(each.credits or 0 for each in mine.values()),
        sum(each.credits is None for each in mine.values()),
        own.most if own else None,
        own.left if own else last.left,
        _fitting(mine, min((each.left for each in caps), default=0)),
        _earliest(each.until for each in mine.values()),
    )


def _fitting(units: Mapping[str, Unfit], left: int) -> tuple[str, ...]:
    found = []
    for unit, each in units.items():
        if each.credits is not None and each.credits <= left:
            found.append(unit)
            left -= each.credits
    return tuple(found)


def days_used_up(waiting: Mapping[str, Waiting]) -> dict[str, tuple[tuple[str, ...], float | None]]:
    """By model, the takes that wait for its day, and when the next generation is free."""
    models = dict.fromkeys(each.model for each in waiting.values())
    return {model: _of_model(model, waiting) for model in models}


def _of_model(model: str, waiting: Mapping[str, Waiting]) -> tuple[tuple[str, ...], float | None]:
    mine = {unit: each for unit, each in waiting.items() if each.model == model}
    return tuple(mine), _earliest(each.until for each in mine.values())


def _earliest(times: Iterable[float | None]) -> float | None:
    return min((time for time in times if time is not None), default=None)
