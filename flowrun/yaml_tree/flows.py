"""Plain and quoted scalars backwards: which stretch of the raw text gave each code point of the value.

Owns escapes and the folding of flow scalars (YAML 1.2, chapter 7.3). JSON strings are double-quoted scalars here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_GAP = re.compile(r"[ \t\r\n]+")
_BREAK = re.compile(r"\r\n|\n|\r")
_ESCAPE = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)"
)
_NAMED = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b",
    " ": " ", '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip
Piece = tuple[str, int, int]  # a code point of the value, and its stretch of the raw text


def places(raw: str, value: str, quote: str) -> tuple[tuple[int, int], ...] | None:
    """Per code point of `value` its stretch of `raw`; None where `raw` does not read as `value`."""
    quoted = quote in ("'", '"')
    pieces = list(_pieces(raw, quote, 1, len(raw) - 1) if quoted else _pieces(raw, "", 0, len(raw)))
    if "".join(piece[0] for piece in pieces) != value:
        return None
    return tuple((start, end) for _, start, end in pieces)


def _pieces(raw: str, quote: str, at: int, stop: int) -> Iterator[Piece]:
    while at < stop:
        if gap := _GAP.match(raw, at, stop):
            yield from _gap(raw, gap.start(), gap.end())
            at = gap.end()
        elif quote == '"' and raw[at] == "\\":
            pieces, at = _escaped(raw, at, stop)
            yield from pieces
        else:
            width = 2 if quote == "'" == raw[at] else 1
            yield raw[at], at, at + width
            at += width


def _gap(raw: str, start: int, end: int) -> Iterator[Piece]:
    """White space: itself within a line; one break folds to a space, more to one line feed fewer."""
    breaks = [found.span() for found in _BREAK.finditer(raw, start, end)]
    if not breaks:
        yield from ((raw[at], at, at + 1) for at in range(start, end))
    elif len(breaks) == 1:
        yield " ", start, end
    else:
        yield from (("\n", *place) for place in breaks[1:])


def _escaped(raw: str, at: int, stop: int) -> tuple[list[Piece], int]:
    """The code point of one escape; or, for an escaped line break, what is left of the blank lines after it."""
    if broken := _BREAK.match(raw, at + 1, stop):
        gap = _GAP.match(raw, broken.end(), stop)
        end = gap.end() if gap else broken.end()
        return [("\n", *found.span()) for found in _BREAK.finditer(raw, broken.end(), end)], end
    found = _ESCAPE.match(raw, at, stop)
    if found is None:
        return [], stop
    return [(unescape(found.group()), *found.span())], found.end()


def unescape(escape: str) -> str:
    """The text of one escape with its backslash; a pair of surrogates, as JSON writes them, is one code point."""
    if escape[1] not in "xuU":
        return _NAMED.get(escape[1], "")
    if len(escape) == 12:
        high, low = int(escape[2:6], 16), int(escape[8:], 16)
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
    number = int(escape[2:], 16) if len(escape) > 2 else 0x110000
    return chr(number) if number < 0x110000 else ""
