"""Diagnostics as a list in Markdown: severity, message, place, code, notes, hint. Owns that form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flowrun.diagnostics.escaping import code, markdown
from flowrun.diagnostics.model import Diagnostic
from flowrun.diagnostics.span import Span

_SIGNS = {"error": "❌", "warning": "⚠️"}


def items(diagnostics: Iterable[Diagnostic]) -> list[str]:
    """One item of a list each, of one or more lines, without a line break at the end."""
    return ["\n".join(_item(each)) for each in diagnostics]


def _item(diagnostic: Diagnostic) -> Iterator[str]:
    kind = str(diagnostic.severity)
    yield f"- {_SIGNS[kind]} **{kind}**{_at(diagnostic.span)}: {markdown(diagnostic.message)} ({code(diagnostic.code)})"
    for note in diagnostic.notes:
        yield f"  - note{_at(note.span)}: {markdown(note.message)}"
    if diagnostic.hint:
        yield f"  - 💡 {markdown(diagnostic.hint)}"


def _at(span: Span | None) -> str:
    return f" at {code(span)}" if span else ""
