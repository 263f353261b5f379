"""Diagnostics as text for people and as values for machines. Owns both forms; where they are sent is the caller's matter.

Every text passes `secret.mask`, and nothing a terminal would obey leaves this module but the colours it was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from flowrun import secret
from flowrun.diagnostics.model import Diagnostic, Note
from flowrun.diagnostics.span import Span
from flowrun.diagnostics.visible import visible, width

Sources = Callable[[str], str | None]  # the text of a file by the name its spans bear; None: not to be had
_BREAK = re.compile(r"\r\n|\n|\r")
_WINDOW = 100  # code points of a long line that are shown around the place
_COLOURS = {"error": "1;31", "warning": "1;33", "bold": "1", "quiet": "34", "hint": "36"}


def to_text(diagnostics: Iterable[Diagnostic], sources: Sources, colour: bool) -> str:
    """All of them, each with its source line, the place underlined, its notes and its hint; a blank line between them."""
    paint = _painted if colour else _plain
    lines = cache(lambda file: _lines(sources(file)))  # a file is cut into lines once, however much is wrong with it
    return "\n".join("\n".join(_block(each, lines, paint)) + "\n" for each in diagnostics)


def to_json(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Plain values: code, severity, message, hint, span and notes."""
    return [_value(each) for each in diagnostics]


def _value(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "code": diagnostic.code,
        "severity": str(diagnostic.severity),
        "message": secret.mask(diagnostic.message),
        "hint": None if diagnostic.hint is None else secret.mask(diagnostic.hint),
        "span": _span(diagnostic.span),
        "notes": [{"message": secret.mask(note.message), "span": _span(note.span)} for note in diagnostic.notes],
    }


def _span(span: Span | None) -> dict[str, Any] | None:
    return None if span is None else asdict(span) | {"file": secret.mask(span.file)}


# -- text

Paint = Callable[[str, str], str]


def _plain(text: str, _kind: str) -> str:
    return text


def _painted(text: str, kind: str) -> str:
    return f"\x1b[{_COLOURS[kind]}m{text}\x1b[0m"


def _safe(text: str) -> str:
    return visible(secret.mask(text))


@dataclass(frozen=True, slots=True)
class _Page:
    """What one diagnostic is set with. `margin`: room for the longest line number and a space on each side."""

    lines: Callable[[str], list[str]]
    margin: str
    paint: Paint


def _block(diagnostic: Diagnostic, lines: Callable[[str], list[str]], paint: Paint) -> Iterator[str]:
    kind = str(diagnostic.severity)
    yield paint(f"{kind}[{diagnostic.code}]", kind) + paint(f": {_safe(diagnostic.message)}", "bold")
    hidden = diagnostic.code == "secret-in-file"  # a key may be spread over lines, where no mask finds it
    page = _Page(_no_lines if hidden else lines, _margin(diagnostic), paint)
    if diagnostic.span:
        yield from _place(diagnostic.span, page, "^", kind)
    for note in diagnostic.notes:
        yield from _note(note, page)
    if diagnostic.hint:
        yield f"{page.margin}{paint('= hint:', 'hint')} {_safe(diagnostic.hint)}"


def _note(note: Note, page: _Page) -> Iterator[str]:
    yield f"{page.margin}{page.paint('= note:', 'quiet')} {_safe(note.message)}"
    if note.span:
        yield from _place(note.span, page, "-", "quiet")


def _margin(diagnostic: Diagnostic) -> str:
    spans = [diagnostic.span, *(note.span for note in diagnostic.notes)]
    return " " * (max(len(str(span.line if span else 1)) for span in spans) + 2)


def _place(span: Span, page: _Page, sign: str, kind: str) -> Iterator[str]:
    margin, paint = page.margin, page.paint
    yield f"{margin[:-1]}{paint('-->', 'quiet')} {_safe(str(span))}"
    lines = page.lines(span.file)
    if not 0 < span.line <= len(lines):
        return
    text, start, end = _excerpt(lines[span.line - 1], span)
    bar = paint("|", "quiet")
    yield f"{paint(str(span.line).rjust(len(margin) - 1), 'quiet')} {bar} {text}".rstrip()
    more = f" … to line {span.end_line}" if span.end_line > span.line else ""
    yield f"{margin}{bar} {' ' * start}{paint(sign * max(1, end - start), kind)}{more}"


def _no_lines(_file: str) -> list[str]:
    return []


def _lines(text: str | None) -> list[str]:
    return [] if text is None else _BREAK.split(text.removeprefix("\ufeff"))


def _excerpt(line: str, span: Span) -> tuple[str, int, int]:
    """The line as shown, and the columns on the terminal between which the place stands."""
    start = min(span.column - 1, len(line))
    end = min(span.end_column - 1, len(line)) if span.end_line == span.line else len(line)
    masked = secret.mask(line)
    start, end = _moved(line, masked, start), _moved(line, masked, max(start, end))
    first, last = max(0, start - _WINDOW // 2), min(len(masked), max(end, start) + _WINDOW // 2, start + _WINDOW)
    before, inside, after = masked[first:start], masked[start : min(end, last)], masked[min(end, last) : last]
    lead = ("… " if first else "") + visible(before)
    text = lead + visible(inside) + visible(after) + (" …" if last < len(masked) else "")
    return text, width(lead), width(lead) + width(visible(inside))


def _moved(line: str, masked: str, at: int) -> int:
    """Where an offset of the line falls in its masked form: the parts before and after what was masked stay as they are."""
    if line == masked:
        return at
    same = next((i for i, (a, b) in enumerate(zip(line, masked, strict=False)) if a != b), min(len(line), len(masked)))
    if at <= same:
        return at
    return max(same, len(masked) - (len(line) - at)) if line[at:] == masked[len(masked) - (len(line) - at) :] else same
