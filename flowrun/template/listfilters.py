"""Filters on lists, mappings and numbers. Owns their meaning; `library` checks operands and sizes around them.

Each takes the tools first, then the operand as it is. Lists come back as lists, pairs as lists of two.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any, Protocol

from flowrun.template.errors import RefusalError
from flowrun.template.limits import check_items, check_length
from flowrun.template.values import Undefined, as_text, kind, truth

_MAX_PRECISION = 20  # decimal places of `round`; a double has 17 digits
_MAX_INDENT = 16  # of `tojson`


class Tools(Protocol):
    """What a filter may ask of the evaluation it runs in."""

    def items(self, value: object) -> list[Any]:
        """What a loop over `value` would see. Raises RefusalError."""

    def dig(self, value: object, path: object) -> object:
        """The part at a dotted path, or Undefined."""

    def filter(self, name: object, value: object, args: tuple[object, ...], kwargs: dict[str, object]) -> object: ...

    def test(self, name: object, value: object, args: tuple[object, ...]) -> bool: ...


class Group(list[object]):
    """One group of `groupby`: a pair that also answers to `grouper` and `list`."""

    def template_get(self, key: str | int) -> object:
        return self[{"grouper": 0, "list": 1}[key]] if isinstance(key, str) else self[key]


def first(tools: Tools, value: object) -> object:
    found = tools.items(value)
    return found[0] if found else Undefined("`first` of an empty list is not defined")


def last(tools: Tools, value: object) -> object:
    found = tools.items(value)
    return found[-1] if found else Undefined("`last` of an empty list is not defined")


def length(_: Tools, value: object) -> int:
    if not isinstance(value, str | list | tuple | Mapping):
        raise RefusalError("bad-operation", f"{kind(value)} has no length")
    return len(value)


def pairs(_: Tools, value: object) -> list[object]:
    """Key and value of a mapping, in its order."""
    if not isinstance(value, Mapping):
        raise RefusalError("bad-operation", f"{kind(value)} has no items; only a mapping has")
    return [[key, part] for key, part in value.items()]


def dictsort(
    _: Tools, value: Mapping[str, object], case_sensitive: bool = False, by: str = "key", reverse: bool = False
) -> list[object]:
    place = {"key": 0, "value": 1}[by]
    found = sorted(value.items(), key=lambda pair: _folded(pair[place], case_sensitive), reverse=reverse)
    return [list(pair) for pair in found]


def reverse(tools: Tools, value: object) -> object:
    return value[::-1] if isinstance(value, str) else tools.items(value)[::-1]


def join(tools: Tools, value: object, separator: object = "", attribute: object = None) -> str:
    between = as_text(separator)
    texts = [as_text(item) for item in _picked(tools, tools.items(value), attribute)]
    check_length(sum(map(len, texts)) + len(between) * len(texts))
    return between.join(texts)


def total(tools: Tools, value: object, attribute: object = None, start: float = 0) -> object:
    return sum(_picked(tools, tools.items(value), attribute), start)


def sort(
    tools: Tools, value: object, reverse: bool = False, case_sensitive: bool = False, attribute: object = None
) -> list[object]:
    """`attribute` may name several, separated by commas."""
    paths = attribute.split(",") if isinstance(attribute, str) else [attribute]

    def key(item: object) -> list[Any]:
        return [_folded(_part(tools, item, path), case_sensitive) for path in paths]

    return sorted(tools.items(value), key=key, reverse=reverse)


def unique(tools: Tools, value: object, case_sensitive: bool = False, attribute: object = None) -> list[object]:
    """The first of each, in order."""
    found: dict[Any, object] = {}
    for item in tools.items(value):
        found.setdefault(_folded(_part(tools, item, attribute), case_sensitive), item)
    return list(found.values())


def smallest(tools: Tools, value: object, case_sensitive: bool = False, attribute: object = None) -> object:
    return _extreme(min, tools, value, case_sensitive, attribute)


def largest(tools: Tools, value: object, case_sensitive: bool = False, attribute: object = None) -> object:
    return _extreme(max, tools, value, case_sensitive, attribute)


def _extreme(choose: Any, tools: Tools, value: object, case_sensitive: bool, attribute: object) -> object:
    found = tools.items(value)
    if not found:
        return Undefined("the smallest or largest of an empty list is not defined")
    return choose(found, key=lambda item: _folded(_part(tools, item, attribute), case_sensitive))


def groupby(
    tools: Tools, value: object, attribute: object, default: object = None, case_sensitive: bool = False
) -> list[object]:
    """Groups in the order of what they have in common."""
    groups: dict[Any, Group] = {}
    for item in tools.items(value):
        shared = _part(tools, item, attribute, default)
        group = groups.setdefault(_folded(shared, case_sensitive), Group([shared, []]))
        group[1].append(item)  # type: ignore[attr-defined]  # the second of a Group is a list
    return [groups[key] for key in sorted(groups)]


def batch(tools: Tools, value: object, linecount: int, fill_with: object = None) -> list[object]:
    """Lists of `linecount` items, the last filled up."""
    check_items(range(linecount))
    found = tools.items(value)
    rows: list[list[object]] = [found[at : at + linecount] for at in range(0, len(found), linecount)]
    if rows and fill_with is not None:
        rows[-1] = rows[-1] + [fill_with] * (linecount - len(rows[-1]))
    return list(rows)


def slices(tools: Tools, value: object, count: int, fill_with: object = None) -> list[object]:
    """`count` lists, as equal as can be, longer ones first."""
    check_items(range(count))
    found = tools.items(value)
    size, extra = divmod(len(found), count)
    starts = [number * size + min(number, extra) for number in range(count + 1)]
    rows = [found[begin:end] for begin, end in pairwise(starts)]
    fill = [] if fill_with is None or not extra else [fill_with]
    return [row + fill if number >= extra else row for number, row in enumerate(rows)]


def mapped(tools: Tools, value: object, name: object = None, *args: object, **kwargs: object) -> list[object]:
    """A filter on each item, or the part called `attribute` of each."""
    if name is not None:
        return [tools.filter(name, item, args, kwargs) for item in tools.items(value)]
    attribute, default = kwargs.pop("attribute"), kwargs.pop("default", None)
    if kwargs:
        raise TypeError("too many arguments")
    return [_part(tools, item, attribute, default) for item in tools.items(value)]


def select(tools: Tools, value: object, name: object = None, *args: object) -> list[object]:
    return [item for item in tools.items(value) if _passes(tools, item, name, args)]


def reject(tools: Tools, value: object, name: object = None, *args: object) -> list[object]:
    return [item for item in tools.items(value) if not _passes(tools, item, name, args)]


def selectattr(tools: Tools, value: object, attribute: object, name: object = None, *args: object) -> list[object]:
    return [item for item in tools.items(value) if _passes(tools, tools.dig(item, attribute), name, args)]


def rejectattr(tools: Tools, value: object, attribute: object, name: object = None, *args: object) -> list[object]:
    return [item for item in tools.items(value) if not _passes(tools, tools.dig(item, attribute), name, args)]


def _passes(tools: Tools, item: object, name: object, args: tuple[object, ...]) -> bool:
    if isinstance(item, Undefined):
        return tools.test(name, item, args) if name in ("defined", "undefined") else False
    return truth(item) if name is None else tools.test(name, item, args)


def rounded(_: Tools, value: float, precision: int = 0, method: str = "common") -> float:
    """`method`: common, ceil or floor. With a precision of 0 too, the result is a number with a point."""
    if not -_MAX_PRECISION <= precision <= _MAX_PRECISION or method not in ("common", "ceil", "floor"):
        raise ValueError(precision, method)
    if method == "common":
        return round(float(value), precision)
    scale = 10.0**precision
    return (math.ceil if method == "ceil" else math.floor)(value * scale) / scale


def to_integer(_: Tools, value: object, default: int = 0, base: int = 10) -> int:
    """A number rounded towards zero, or the one a text spells, else `default`."""
    if isinstance(value, int | float):
        return int(value)
    text = as_text(value)
    try:
        return int(text, base)
    except ValueError:
        pass
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        return default


def to_float(_: Tools, value: object, default: float = 0.0) -> float:
    """A number with a point, or the one a text spells, else `default`."""
    try:
        return float(value if isinstance(value, int | float) else as_text(value))
    except ValueError:
        return default


def tojson(_: Tools, value: object, indent: int | None = None) -> str:
    """JSON with sorted keys, so that equal mappings give equal text."""
    if indent is not None and not 0 <= indent <= _MAX_INDENT:
        raise ValueError(indent)
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, indent=indent, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return as_text(value)  # which refuses: json asks only for what is no text or number


def _picked(tools: Tools, found: Iterable[object], attribute: object) -> list[Any]:
    return [_part(tools, item, attribute) for item in found]


def _part(tools: Tools, item: object, path: object, default: object = None) -> Any:
    """The part of `item` at `path`, `item` itself without one. Raises RefusalError when there is none and no default."""
    if path is None:
        return item
    part = tools.dig(item, path)
    if not isinstance(part, Undefined):
        return part
    if default is None:
        raise RefusalError("undefined-reference", f"an item has no `{path}`: {part.message}")
    return default


def _folded(value: Any, case_sensitive: bool) -> Any:
    return value if case_sensitive or not isinstance(value, str) else value.lower()


LIST_FILTERS: dict[str, Callable[..., object]] = {
    "abs": lambda _, value: abs(value),
    "batch": batch,
    "count": length,
    "dictsort": dictsort,
    "first": first,
    "float": to_float,
    "groupby": groupby,
    "int": to_integer,
    "items": pairs,
    "join": join,
    "last": last,
    "length": length,
    "list": lambda tools, value: tools.items(value),
    "map": mapped,
    "max": largest,
    "min": smallest,
    "reject": reject,
    "rejectattr": rejectattr,
    "reverse": reverse,
    "round": rounded,
    "select": select,
    "selectattr": selectattr,
    "slice": slices,
    "sort": sort,
    "sum": total,
    "tojson": tojson,
    "unique": unique,
}
