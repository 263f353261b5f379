"""The filters, tests and functions there are, and the one way to apply them. Owns the checks around every application.

No filter or test sees a secret, text filters see text only, and whatever comes back is within the limits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from flowrun.diagnostics.suggest import did_you_mean
from flowrun.template.errors import RefusalError
from flowrun.template.limits import Budget, check_items, check_length, check_number
from flowrun.template.listfilters import LIST_FILTERS
from flowrun.template.predicates import TESTS
from flowrun.template.textfilters import TEXT_FILTERS
from flowrun.template.values import Namespace, access, as_key, as_text, kind, no_secret

# `default` and `d` must see what is not defined; the evaluator does them itself.
FILTERS = frozenset({*TEXT_FILTERS, *LIST_FILTERS, "default", "d"})
_FAULTS = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError)


def _range(*args: int) -> list[int]:
    numbers = range(*args)
    check_items(numbers)
    return list(numbers)


FUNCTIONS: dict[str, Callable[..., object]] = {
    "dict": lambda **parts: parts,
    "namespace": lambda **parts: Namespace(parts),
    "range": _range,
}


class Library:
    """Filters, tests and functions within one budget. Every method raises RefusalError."""

    __slots__ = ("budget",)

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def filter(self, name: object, value: object, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        """`value` with the filter applied."""
        self._inspect(value, *args, *kwargs.values())
        if name in ("default", "d"):
            return self._default(value, *args, **kwargs)
        if isinstance(name, str) and name in TEXT_FILTERS:
            return self._text_filter(name, as_text(value), args, kwargs)
        if not isinstance(name, str) or name not in LIST_FILTERS:
            raise _unknown("filter", name, FILTERS)
        return self.made(_called(f"filter `{name}`", LIST_FILTERS[name], (self, value, *args), kwargs, value))

    def _text_filter(self, name: str, text: str, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        self.budget.charge(len(text) >> 3)
        return self.made(_called(f"filter `{name}`", TEXT_FILTERS[name], (text, *args), kwargs, text))

    def _default(self, value: object, fallback: object = "", boolean: object = False) -> object:
        """A value that is there: the fallback takes its place only when asked to do so for what is false."""
        return fallback if boolean and not value else value

    def test(self, name: object, value: object, args: tuple[object, ...]) -> bool:
        """Whether the test holds."""
        if not isinstance(name, str) or name not in TESTS:
            raise _unknown("test", name, TESTS)
        self._inspect(value, *args)
        return bool(_called(f"test `{name}`", TESTS[name], (value, *args), {}, value))

    def call(self, name: str, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        """What a function gives."""
        no_secret(*args, *kwargs.values())
        return self.made(_called(f"function `{name}`", FUNCTIONS[name], args, kwargs, None))

    def items(self, value: object) -> list[Any]:
        """What a loop over `value` sees: items of a list, keys of a mapping, characters of a text."""
        if not isinstance(value, list | tuple | str | Mapping):
            no_secret(value)
            raise RefusalError("bad-operation", f"{kind(value)} has no items to go through")
        self.budget.charge(len(value))
        return list(value)

    def dig(self, value: object, path: object) -> object:
        """The part at a dotted path (`a.b.0`), or Undefined."""
        for step in path.split(".") if isinstance(path, str) else [path]:
            value = access(value, int(step) if isinstance(step, str) and step.isdecimal() else as_key(step))
        return value

    def made(self, value: object) -> object:
        """`value`, now known to be within the limits and paid for."""
        if isinstance(value, str):
            check_length(len(value))
            self.budget.charge(len(value) >> 6)
        elif isinstance(value, list | dict):
            check_items(value)
            self.budget.weigh(value)
        else:
            check_number(value)
        return value

    def _inspect(self, *values: object) -> None:
        for value in values:
            self.budget.weigh(value, visit=no_secret)


def _unknown(what: str, name: object, table: Any) -> RefusalError:
    return RefusalError("bad-operation", f"there is no {what} `{name}`", did_you_mean(str(name), table))


def _called(
    what: str, function: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object], value: object
) -> object:
    try:
        _signature(function).bind(*args, **kwargs)
    except TypeError:
        raise RefusalError("bad-operation", f"the {what} does not take these arguments") from None
    try:
        return function(*args, **kwargs)
    except _FAULTS:
        to = f" to {kind(value)}" if value is not None else ""
        raise RefusalError("bad-operation", f"the {what} cannot be applied{to} with these arguments") from None


@cache
def _signature(function: Callable[..., object]) -> inspect.Signature:
    return inspect.signature(function)
