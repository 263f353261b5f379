"""The characters of a text before it is read. Owns encoding, line breaks, positions, and secrets in files."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from flowrun import secret
from flowrun.diagnostics.model import Diagnostic, DiagnosticError
from flowrun.diagnostics.span import Span

MARK = "\ufeff"
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")  # YAML 1.2, 5.1
_FOREIGN = re.compile("[\x85\u2028\u2029]")  # line breaks in YAML 1.1, plain characters in 1.2
_BREAK = re.compile(r"\r\n|\n|\r")
_SHOWN = 20  # as many bad characters as are worth a line each


class Lines:
    """Offsets of a text to lines and columns."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self._starts = [0, *(found.end() for found in _BREAK.finditer(text))]

    def span(self, start: int, end: int) -> Span:
        return Span(self.file, *self._position(start), *self._position(end))

    def _position(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


def decode(data: bytes, file: str) -> str:
    """The text of a UTF-8 file without its byte order mark. Raises DiagnosticError."""
    try:
        return data.decode("utf-8").removeprefix(MARK)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8").removeprefix(MARK)
        span = Lines(before, file).span(len(before), len(before))
        wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        hint = "it looks like UTF-16: save it again as UTF-8" if wide else "save the file again as UTF-8"
        message = f"the file is not UTF-8: the byte 0x{data[error.start]:02x} begins no character"
        raise DiagnosticError([Diagnostic("not-utf8", message, span, hint)]) from error


def problems(text: str, lines: Lines) -> Iterator[Diagnostic]:
    """Characters that no YAML or JSON text may hold, and API keys."""
    for count, found in enumerate(_FORBIDDEN.finditer(text)):
        if count == _SHOWN:
            return
        message = f"the control character U+{ord(found.group()):04X} cannot stand in a text file"
        hint = 'delete it; where it is meant, write it as an escape in double quotes, like "\\x07"'
        yield Diagnostic("control-character", message, lines.span(*found.span()), hint)
    for start, end in secret.key_places(text):
        yield key_found(lines.span(start, end))


def key_found(span: Span) -> Diagnostic:
    hint = "take it out, make a new key at Runway, and hand it over as the environment variable RUNWAYML_API_SECRET"
    return Diagnostic(
        "secret-in-file", "an API key stands in this file, where everyone who gets the file can use it", span, hint
    )


def without_foreign_breaks(text: str) -> tuple[str, dict[int, str]]:
    """`text` with the breaks of YAML 1.1 alone changed to characters it does not use, and the table to bring them back.

    libyaml speaks 1.1 and would end a line at them. Lengths and offsets stay.
    """
    if not _FOREIGN.search(text):
        return text, {}
    used = set(text)
    free = (code for code in range(0xF0000, 0xFFFFE) if chr(code) not in used)
    table = {ord(foreign): next(free) for foreign in "\x85\u2028\u2029"}
    return text.translate(table), {stand_in: chr(foreign) for foreign, stand_in in table.items()}
