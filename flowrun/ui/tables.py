"""Text set in columns and lines that fit. Owns padding, cutting and wrapping by display width; words are the callers'.

Every text here must be `safe` already; colour is added last, so that it is never measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from flowrun.diagnostics.visible import width
from flowrun.ui.paint import Paint

GAP = "  "
_SPACES = re.compile(r"( +)")


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, its kind in the palette, and whether it is set to the right."""

    text: str
    kind: str = ""
    right: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of running text with one kind."""

    text: str
    kind: str = ""


def padded(cell: Cell, columns: int, paint: Paint) -> str:
    """The cell, painted and filled up to `columns`; what is wider stands out."""
    room = " " * max(0, columns - width(cell.text))
    shown = paint(cell.text, cell.kind)
    return room + shown if cell.right else shown + room


def cut(text: str, columns: int) -> str:
    """`text`, or as much of it as fits with a sign that there is more."""
    if width(text) <= columns:
        return text
    return _head(text, max(0, columns - 1)) + "…"


def cut_middle(text: str, columns: int) -> str:
    """As `cut`, keeping both ends: for addresses and paths, whose ends tell them apart."""
    if width(text) <= columns:
        return text
    tail = _head(text[::-1], max(0, columns - 1) // 2)[::-1]
    return _head(text, max(0, columns - 1 - width(tail))) + "…" + tail


def _head(text: str, columns: int) -> str:
    used = 0
    for at, character in enumerate(text):
        used += width(character)
        if used > columns:
            return text[:at]
    return text


def table(rows: Sequence[Sequence[Cell]], paint: Paint, *, indent: str = "") -> list[str]:
    """Rows as lines, each column as wide as its widest cell; nothing is cut, nothing trails."""
    widths = column_widths(rows)
    return [
        (indent + GAP.join(padded(cell, columns, paint) for cell, columns in zip(row, widths, strict=False))).rstrip()
        for row in rows
    ]


def column_widths(rows: Iterable[Sequence[Cell]]) -> list[int]:
    widths: list[int] = []
    for row in rows:
        widths += [0] * (len(row) - len(widths))
        widths = [max(known, width(cell.text)) for known, cell in zip(widths, _filled(row, len(widths)), strict=True)]
    return widths


def _filled(row: Sequence[Cell], columns: int) -> list[Cell]:
    return [*row, *([Cell("")] * (columns - len(row)))]


def wrapped(pieces: Iterable[Piece], columns: int, paint: Paint) -> list[str]:
    """Running text as lines of at most `columns`, broken at spaces; a word that is longer is broken where it must be."""
    lines: list[str] = []
    line, used = "", 0
    for text, kind in _words(pieces, max(8, columns)):
        blank = text.isspace()
        if used + width(text) > max(8, columns):
            if line.strip():
                lines.append(line.rstrip())
            line, used = "", 0
        if blank and not used:
            continue
        line, used = line + (text if blank else paint(text, kind)), used + width(text)
    return [*lines, line.rstrip()] if line.strip() else lines


def _words(pieces: Iterable[Piece], columns: int) -> Iterator[tuple[str, str]]:
    for piece in pieces:
        for word in filter(None, _SPACES.split(piece.text)):
            rest = word
            while width(rest) > columns and not rest.isspace():
                head = _head(rest, columns)
                yield head, piece.kind
                rest = rest[len(head) :]
            yield rest, piece.kind


def plain_wrapped(text: str, columns: int) -> list[str]:
    """`wrapped` for text of no kind."""
    return wrapped([Piece(text)], columns, lambda each, _kind: each)


def hanging(head: str, text: str, columns: int) -> list[str]:
    """`head`, then `text` wrapped beside it, its further lines below its first."""
    lead = " " * width(head)
    lines = plain_wrapped(text, columns - width(head)) or [""]
    return [(head + lines[0]).rstrip(), *(lead + line for line in lines[1:])]
