"""Diagnostics as GitHub's workflow commands: a line each, which its runner turns into an annotation at the place.

Owns the escapes and properties of those commands (docs.github.com, "Workflow commands for GitHub Actions"). A message is one
line of text to us; notes and hint follow it within the same annotation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from flowrun.diagnostics.escaping import safe
from flowrun.diagnostics.model import Diagnostic
from flowrun.diagnostics.span import Span

Where = Callable[[str], str | None]  # a span's file as the repository names it; None: no file that lies in it
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


def commands(diagnostics: Iterable[Diagnostic], where: Where) -> list[str]:
    """One command a diagnostic, in their order."""
    return [annotation(str(each.severity), each.code, _words(each), each.span, where) for each in diagnostics]


def annotation(kind: str, title: str, lines: Iterable[str], span: Span | None, where: Where) -> str:
    """One command. `kind`: error, warning or notice; `title`: what stands above the message, whose `lines` are masked here."""
    properties = {**_place(span, where), "title": safe(title)}
    told = ",".join(f"{name}={str(value).translate(_PROPERTY)}" for name, value in properties.items())
    return f"::{kind} {told}::" + "\n".join(map(safe, lines)).translate(_DATA)


def _place(span: Span | None, where: Where) -> Mapping[str, object]:
    """Columns are told within one line only: an annotation over several has none."""
    file = where(span.file) if span else None
    if span is None or file is None:
        return {}
    place: dict[str, object] = {"file": safe(file), "line": span.line}
    if span.end_line != span.line:
        return place | {"endLine": span.end_line}
    return place | {"col": span.column, "endLine": span.end_line, "endColumn": span.end_column}


def _words(diagnostic: Diagnostic) -> Iterator[str]:
    yield diagnostic.message
    for note in diagnostic.notes:
        yield f"note: {note.message} ({note.span})" if note.span else f"note: {note.message}"
    if diagnostic.hint:
        yield f"hint: {diagnostic.hint}"
