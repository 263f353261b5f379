"""TOML text to plain values that know where they stand. Owns tomlkit; what values mean is `reading`'s.

Values come from the standard library's reader. Places come from tomlkit, which keeps each key and value as it was written
and in the order it was written in: following them through the text, comments blanked, gives every offset.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError
from tomlkit.items import AoT, Array, InlineTable, Table

from flowrun.diagnostics.model import Diagnostic, DiagnosticError, Note
from flowrun.diagnostics.span import Span
from flowrun.yaml_tree.characters import Lines

Way = tuple[str | int, ...]
_TOKEN = re.compile(  # strings of each kind first, so that a `#` inside one begins no comment
    r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*', re.DOTALL
)
_PLACE = re.compile(r"\s*\(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")
_PROBE = "flowrun-probe"
_LONGEST = 100  # lines of one statement that are looked through for its beginning


@dataclass(slots=True)
class Placed:
    """A document: plain values, and the spans of keys and values by the way to them."""

    values: dict[str, Any]
    keys: dict[Way, Span] = field(default_factory=dict)
    spans: dict[Way, Span] = field(default_factory=dict)

    def key(self, way: Way) -> Span | None:
        return self.keys.get(way) or self.value(way)

    def value(self, way: Way) -> Span | None:
        """The value's place; of a table with a heading, its heading's."""
        return self.spans.get(way) or self.keys.get(way) or (self.value(way[:-1]) if way else None)


def read_toml(text: str, file: str) -> Placed:
    """Raises DiagnosticError: at the first place that is not TOML, or that repeats a key."""
    lines = Lines(text, file)
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a ValueError: a number of thousands of digits
        raise DiagnosticError([_repeated(text, lines, error) or _unreadable(text, lines, error)]) from None
    return _placed(text, lines, values)


def _placed(text: str, lines: Lines, values: dict[str, Any]) -> Placed:
    walk = _Walk(text, lines, Placed(values))
    try:
        with suppress(_LostError):  # what was not reached is told at what is above it; no setting is an array of tables
            walk.container(tomlkit.parse(text).body, (), (), ())
    except ParseError as error:  # of what the standard library took: a newer TOML
        at = lines.span(_offset(text, error.line, error.col), _offset(text, error.line, error.col))
        raise DiagnosticError([_not_toml("cannot be read", at)]) from None
    except (TOMLKitError, ValueError, RecursionError) as error:
        what = "is nested too deeply" if isinstance(error, RecursionError) else "repeats a key"
        raise DiagnosticError([_not_toml(what, lines.span(0, 0))]) from None
    return walk.placed


class _LostError(Exception):
    """The text goes on otherwise than tomlkit tells: it moves the members of a scattered array of tables together."""


class _Walk:
    """Follows what was written through the text. `at`: how far it has come."""

    def __init__(self, text: str, lines: Lines, placed: Placed) -> None:
        self.text, self.lines, self.placed, self.at = _blanked(text), lines, placed, 0

    def container(self, body: Iterable[Any], way: Way, heading: tuple[str, ...], dotted: tuple[str, ...]) -> None:
        """`heading`: the keys that a table's heading here begins with; `dotted`: those that a dotted key here begins with."""
        for key, item in body:
            if key is not None:
                self._entry(key.as_string().strip(), item, (*way, key.key), heading, dotted)

    def _entry(self, raw: str, item: Any, way: Way, heading: tuple[str, ...], dotted: tuple[str, ...]) -> None:
        if isinstance(item, AoT):
            for index, table in enumerate(item.body):
                self._keys((*heading, raw), way)
                self.container(table.value.body, (*way, index), (*heading, raw), ())
        elif not isinstance(item, Table):
            self._keys((*dotted, raw), way)
            self._value(item, way)
        elif item.is_super_table():  # of a dotted key, or of a longer heading: it is written with each of its members
            self.container(item.value.body, way, (*heading, raw), (*dotted, raw))
        else:
            self._keys((*heading, raw), way)
            self.container(item.value.body, way, (*heading, raw), ())

    def _keys(self, raws: tuple[str, ...], way: Way) -> None:
        names = [step for step in range(len(way)) if not isinstance(way[step], int)][-len(raws) :]
        for raw, step in zip(raws, names, strict=False):
            self.placed.keys.setdefault(way[: step + 1], self._next(raw))

    def _value(self, item: Any, way: Way) -> None:
        raw = item.as_string() if hasattr(item, "as_string") else str(item).lower()
        self.placed.spans[way] = self._next(raw)
        end = self.at
        self.at = end - len(raw) + 1
        if isinstance(item, Array):
            for index, member in enumerate(item):
                self._value(member, (*way, index))
        elif isinstance(item, InlineTable):
            self.container(item.value.body, way, (), ())
        self.at = end

    def _next(self, raw: str) -> Span:
        start = self.text.find(_blanked(raw), self.at)
        if start < 0:
            raise _LostError
        self.at = start + len(raw)
        return self.lines.span(start, self.at)


def _blanked(text: str) -> str:
    """The text with spaces for its comments, so that nothing is found in one."""
    return _TOKEN.sub(lambda found: " " * len(found[0]) if found[0].startswith("#") else found[0], text)


def _offset(text: str, line: int, column: int) -> int:
    return sum(len(each) + 1 for each in text.split("\n")[: line - 1]) + column


# -- what is no TOML


def _unreadable(text: str, lines: Lines, error: Exception) -> Diagnostic:
    found = _PLACE.search(str(error))
    at = _offset(text, int(found["line"]), int(found["column"]) - 1) if found and found["line"] else len(text)
    if isinstance(error, RecursionError):
        return _not_toml("is nested too deeply", lines.span(0, 0))
    return _not_toml(f"cannot be read: {_PLACE.sub('', str(error)).lower()}", lines.span(at, at))


def _not_toml(what: str, span: Span) -> Diagnostic:
    return Diagnostic("bad-toml", f"this TOML {what}", span, 'texts stand in quotes: account = "studio"')


def _repeated(text: str, lines: Lines, error: Exception) -> Diagnostic | None:
    """The later of two equal keys, with a note at the earlier; None where something else is wrong.

    Whatever stands before the statement that fails can be read; a statement that can be read alone clashes with it.
    """
    found = _PLACE.search(str(error))
    if found is None:
        return None
    line = int(found["line"] or text.count("\n") + 1)
    begin = _last_readable(text, line)
    statement = text[begin : _offset(text, line + 1, 0)]
    before = text[:begin]
    try:
        alone = _placed(statement, Lines(statement, lines.file), tomllib.loads(statement))
        probed = _placed(f"{before}\n{_PROBE} = 1\n", lines, tomllib.loads(f"{before}\n{_PROBE} = 1\n"))
    except (ValueError, DiagnosticError):
        return None
    if not alone.keys:
        return None
    return _clash(alone, probed, statement, before)


def _last_readable(text: str, line: int) -> int:
    """Where the statement begins that ends in `line`: after the most lines before it that can be read."""
    for above in range(line - 1, max(-1, line - _LONGEST), -1):
        begin = _offset(text, above + 1, 0)
        try:
            tomllib.loads(text[:begin])
        except ValueError:
            continue
        return begin
    return 0


def _clash(alone: Placed, probed: Placed, statement: str, before: str) -> Diagnostic:
    here = next((way[:-1] for way in probed.keys if way[-1] == _PROBE), ())
    way = min(alone.spans, key=len) if alone.spans else max(alone.keys, key=len)
    whole = way if statement.lstrip().startswith("[") else (*here, *way)
    earlier = next((probed.keys[whole[:end]] for end in range(len(whole), 0, -1) if whole[:end] in probed.keys), None)
    later = alone.keys[way]
    first = before.count("\n")
    span = Span(later.file, later.line + first, later.column, later.end_line + first, later.end_column)
    name = ".".join(map(str, whole))
    return Diagnostic(
        "setting-twice",
        f"`{name}` is given a second time, so it is not known which one holds",
        span,
        "take one of the two out",
        (Note("it is first given here", earlier),) if earlier else (),
    )
