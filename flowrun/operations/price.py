"""What a generation costs, as an estimate in whole credits. Owns reading an entry of the table of prices.

A price is ``credits * ceil(quantity / every)``. Where the API's rounding of a fraction is not published, the low end
rounds the product and the high end the quantity. What is not known stays None, never 0; where the schema or a rule
bounds an unknown quantity, the price is bounded too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flowrun.operations.check import value_at
from flowrun.operations.model import UNKNOWN, InputSpec, Path, dotted
from flowrun.operations.rules import WINDOWS
from flowrun.operations.spec import ModelSpec
from flowrun.operations.structure import nodes_at
from flowrun.operations.wording import options_of

DurationOf = Callable[[Path], float | None]


@dataclass(frozen=True, slots=True)
class Price:
    """Credits from-to, both None where unknown. `basis` says in words how it was found; `confidence`: high, medium, low.

    `as_of` is the ISO date the price was seen, `source` where.
    """

    low: int | None
    high: int | None
    basis: str
    confidence: str = "high"
    as_of: str | None = None
    source: str | None = None

    @property
    def is_known(self) -> bool:
        return self.high is not None


@dataclass(frozen=True, slots=True)
class Range:
    """A quantity known to lie from `low` to `high`, ends included."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"


def _numbers(node: Mapping[str, Any]) -> Range | None:
    """Between which numbers a schema lets a value be."""
    options = options_of(node) or [node.get("minimum"), node.get("maximum")]
    known = all(
        isinstance(each, int | float) for each in options
    )  # a word among them, such as "auto", may mean any number
    return Range(min(options), max(options)) if known else None


def _of_input(spec: ModelSpec, request: Any, entry: Mapping[str, Any]) -> Range | None:
    """Seconds (or what else is counted) that an input gives, or that it may be where it was left out or is not known."""
    name, value = entry["input"], value_at(request, (entry["input"],))
    described = spec.inputs.get(name) or InputSpec(name, False, frozenset())
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return Range(value, value)
    if name not in request and described.default is not None:
        return Range(described.default, described.default)
    if name not in request and "omitted" in entry:
        return Range(entry["omitted"], entry["omitted"])
    return _numbers(described.schema)


def _of_media(spec: ModelSpec, entry: Mapping[str, Any], duration_of: DurationOf) -> Range | None:
    """Seconds of the media that is counted; while not known, what the rules let them be."""
    path = tuple(entry["media"])
    seconds = duration_of(path)
    if seconds is not None:
        return Range(min(seconds, entry.get("least_counted", seconds)), seconds)
    window = WINDOWS.get((spec.operation, spec.model))
    return Range(window.low, window.high) if window and window.path == path else None


def _of_text(spec: ModelSpec, request: Any, entry: Mapping[str, Any]) -> Range | None:
    """Characters of a text, in UTF-16 code units; while not known, what the schema lets them be."""
    text = value_at(request, (entry["text"],))
    if isinstance(text, str):
        size = len(text.encode("utf-16-le", "surrogatepass")) // 2
        return Range(size, size)
    node = next(iter(nodes_at(spec.schema, (entry["text"],))), {})
    return Range(node["minLength"], node["maxLength"]) if "minLength" in node and "maxLength" in node else None


def _quantity(spec: ModelSpec, request: Any, entry: Mapping[str, Any], duration_of: DurationOf) -> Range | None:
    if "input" in entry:
        return _of_input(spec, request, entry)
    if "media" in entry:
        return _of_media(spec, entry, duration_of)
    return _of_text(spec, request, entry) if "text" in entry else Range(1, 1)


def _rates(spec: ModelSpec, request: Any, entry: Mapping[str, Any]) -> Iterator[int]:
    """Credits a unit: one, or all that an input not known yet leaves open."""
    for case in entry.get("when", ()):
        value = value_at(request, (case["input"],))
        if case["input"] not in request:
            value = spec.inputs[case["input"]].default if case["input"] in spec.inputs else None
        if value in case["in"]:
            yield case["credits"]
            return
        if value is UNKNOWN:
            yield case["credits"]
    yield entry["credits"]


def _counted(entry: Mapping[str, Any]) -> str:
    place = dotted(tuple(entry["media"])) if "media" in entry else entry.get("input") or entry.get("text")
    return f" ({place})" if place else ""


def _basis(entry: Mapping[str, Any], rates: Range, quantity: Range | None) -> str:
    every = f"{entry['every']} {entry['unit']}s" if "every" in entry else entry["unit"]
    of = (
        f"{quantity} {entry['unit']}{'' if quantity == Range(1, 1) else 's'}"
        if quantity
        else "of a length not known yet"
    )
    text = f"{rates} credit{'' if rates == Range(1, 1) else 's'} for each {every}, {of}{_counted(entry)}"
    return f"{text}; {entry['note']}" if "note" in entry else text


def _whole(number: float) -> int:
    return math.ceil(round(number, 6))  # 0.1 + 0.2 seconds are three tenths, not one credit more


def _credits(entry: Mapping[str, Any], rates: Range, quantity: Range) -> tuple[int, int]:
    every, least = entry.get("every", 1), entry.get("at_least", 1)
    low = entry.get("low", _whole(rates.low * quantity.low / every))
    high = _whole(rates.high * _whole(quantity.high / every))
    return max(low, entry.get("low", least)), max(high, least)


def estimate(spec: ModelSpec, request: Mapping[str, Any], duration_of: DurationOf) -> Price:
    """What one generation of `request` costs. `duration_of(path)`: seconds of the media there, None while not known.

    Values not known yet are `UNKNOWN`.
    """
    entry = spec.price
    if entry is None:
        return Price(None, None, f"no price of {spec.model} is known", "none")
    options = list(_rates(spec, request, entry))
    rates, quantity = Range(min(options), max(options)), _quantity(spec, request, entry, duration_of)
    low, high = _credits(entry, rates, quantity) if quantity else (None, None)
    source = ", ".join(entry["source"])
    return Price(low, high, _basis(entry, rates, quantity), entry.get("confidence", "medium"), entry["as_of"], source)
