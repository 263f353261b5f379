"""Tests (`is ...`). Owns their meaning; `defined` of a reference is the evaluator's, because it must not look further."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from flowrun.template.values import Undefined


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: object) -> bool:
    """Numbers count by value: 5.0 is an integer."""
    return _is_number(value) and float(value).is_integer()  # type: ignore[arg-type]  # a number, by the line before


def _remainder(value: Any, divisor: int) -> Any:
    """Of numbers only: on a text `%` would be formatting."""
    if not _is_number(value):
        raise TypeError(value)
    return value % divisor


TESTS: dict[str, Callable[..., Any]] = {
    "boolean": lambda value: isinstance(value, bool),
    "defined": lambda value: not isinstance(value, Undefined),
    "divisibleby": lambda value, number: _remainder(value, number) == 0,
    "eq": operator.eq,
    "equalto": operator.eq,
    "==": operator.eq,
    "even": lambda value: _remainder(value, 2) == 0,
    "false": lambda value: value is False,
    "float": lambda value: isinstance(value, float),
    "ge": operator.ge,
    ">=": operator.ge,
    "greaterthan": operator.gt,
    "gt": operator.gt,
    ">": operator.gt,
    "in": lambda value, container: value in container,
    "integer": _is_integer,
    "iterable": lambda value: isinstance(value, str | list | tuple | Mapping),
    "le": operator.le,
    "<=": operator.le,
    "lessthan": operator.lt,
    "lower": lambda value: value.islower(),
    "lt": operator.lt,
    "<": operator.lt,
    "mapping": lambda value: isinstance(value, Mapping),
    "ne": operator.ne,
    "!=": operator.ne,
    "none": lambda value: value is None,
    "number": _is_number,
    "odd": lambda value: _remainder(value, 2) == 1,
    "sequence": lambda value: isinstance(value, str | list | tuple | Mapping),
    "string": lambda value: isinstance(value, str),
    "true": lambda value: value is True,
    "undefined": lambda value: isinstance(value, Undefined),
    "upper": lambda value: value.isupper(),
}
