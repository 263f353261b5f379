"""Operators on two values. Owns their meaning and what they may cost; sizes are known before anything is made."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from jinja2 import nodes

from flowrun.template.errors import RefusalError
from flowrun.template.limits import CODE, MAX_BITS, check_items, check_length
from flowrun.template.values import as_text, kind, no_secret, opaque

Binary = Callable[[Any, Any], Any]

_SYMBOLS: dict[type[nodes.Node], tuple[str, Binary]] = {
    nodes.Sub: ("-", operator.sub),
    nodes.Div: ("/", operator.truediv),
    nodes.FloorDiv: ("//", operator.floordiv),
    nodes.Mod: ("%", operator.mod),
    nodes.Pow: ("**", operator.pow),
    nodes.Mul: ("*", operator.mul),
    nodes.Add: ("+", operator.add),
}
_COMPARISONS: dict[str, tuple[str, Binary]] = {
    "eq": ("==", operator.eq),
    "ne": ("!=", operator.ne),
    "lt": ("<", operator.lt),
    "lteq": ("<=", operator.le),
    "gt": (">", operator.gt),
    "gteq": (">=", operator.ge),
    "in": ("in", lambda item, container: item in container),
    "notin": ("not in", lambda item, container: item not in container),
}
COMPARISONS = frozenset(_COMPARISONS)


def combine(node: type[nodes.Node], left: Any, right: Any) -> object:
    """`left` and `right` by an arithmetic operator. Raises RefusalError."""
    no_secret(left, right)
    symbol, operation = _SYMBOLS[node]
    if not _fits(symbol, left, right):
        raise _unfit(symbol, left, right)
    try:
        result = operation(left, right)
    except (ArithmeticError, TypeError, ValueError):
        raise RefusalError("bad-operation", f"`{symbol}` has no result for these numbers") from None
    if isinstance(result, complex):
        raise RefusalError("bad-operation", "a root of a negative number is no number here")
    return result


def compare(name: str, left: Any, right: Any) -> bool:
    """`left` and `right` by a comparison of jinja2's name. Raises RefusalError."""
    symbol, operation = _COMPARISONS[name]
    try:
        return bool(operation(left, right))
    except TypeError:
        raise _unfit(symbol, left, right) from None


def _unfit(symbol: str, left: object, right: object) -> RefusalError:
    texts = symbol == "+" and (isinstance(left, str) or isinstance(right, str))
    hint = "join texts with `~`, or turn a text into a number with the filter `int` or `float`" if texts else None
    return RefusalError("bad-operation", f"`{symbol}` cannot be applied to {kind(left)} and {kind(right)}", hint)


def _fits(symbol: str, left: Any, right: Any) -> bool:
    """Whether the operator takes these kinds. Raises RefusalError where the result would be too large."""
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    if symbol == "+":
        return numbers or _joins(left, right)
    if symbol == "*":
        return _bounded(left, right) if numbers else _repeats(left, right) or _repeats(right, left)
    if symbol == "**" and numbers:
        return _bounded_power(left, right)
    return numbers


def _joins(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        check_length(len(left) + len(right))
        return True
    for text, other in ((left, right), (right, left)):
        if isinstance(text, str) and opaque(other):
            as_text(other)  # refuses, and says why
    return isinstance(left, list) and isinstance(right, list)


def _repeats(what: Any, times: Any) -> bool:
    if not isinstance(times, int) or not isinstance(what, str | list):
        return False
    if isinstance(what, str):
        check_length(len(what) * times)
    else:
        check_items(range(len(what) * times))
    return True


def _bounded(left: Any, right: Any) -> bool:
    if isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() + right.bit_length() - 1)
    return True


def _bounded_power(base: Any, exponent: Any) -> bool:
    if isinstance(base, int) and isinstance(exponent, int) and abs(base) > 1:
        _check_bits((abs(base).bit_length() - 1) * max(exponent, 0))
    return True


def _check_bits(bits: int) -> None:
    if bits > MAX_BITS:
        raise RefusalError(CODE, f"a number made in a template has at most {MAX_BITS} bits")
