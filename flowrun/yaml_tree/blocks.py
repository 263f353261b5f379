"""Block scalars backwards: which stretch of the raw text gave each code point of the value.

Owns indentation, chomping and folding of block scalars (YAML 1.2, chapter 8.1). The raw text begins at the `|` or `>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_HEADER = re.compile(r"[|>](?P<signs>[-+1-9]*)[^\r\n]*(?:\r\n|\n|\r|$)")
_LINE = re.compile(r"([^\r\n]*)(\r\n|\n|\r|$)")
Place = tuple[int, int]


def places(raw: str, value: str, *, folded: bool) -> tuple[Place, ...] | None:
    """Per code point of `value` its stretch of `raw`; None where `raw` does not read as `value`.

    A written indentation indicator counts from the parent, which is not in the raw text: what fits the value is taken.
    """
    header = _HEADER.match(raw)
    if header is None:
        return None
    signs = header["signs"]
    lines = [found for found in _LINE.finditer(raw, header.end()) if found.group()]
    for indent in _indents(signs, lines):
        reading = _Reading(folded, indent)
        reading.read(lines, signs)
        if "".join(reading.text) == value:
            return tuple(reading.places)
    return None


def _indents(signs: str, lines: list[re.Match[str]]) -> Iterable[int]:
    written = signs.strip("+-")
    leads = [len(line[1]) - len(line[1].lstrip(" ")) for line in lines]
    if written:
        return range(int(written), max([int(written), *leads]) + 1)
    return (_detected(lines, leads),)


def _detected(lines: list[re.Match[str]], leads: list[int]) -> int:
    """The deepest of the leading blank lines and the first line with content."""
    deepest = 1
    for line, lead in zip(lines, leads, strict=True):
        deepest = max(deepest, lead)
        if line[1].strip(" "):
            break
    return deepest


@dataclass(slots=True)
class _Reading:
    folded: bool
    indent: int
    text: list[str] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    held: Place | None = None  # the break after the last line with content
    blank: list[Place] = field(default_factory=list)  # the breaks of empty lines since
    deeper: bool = False  # whether the last line with content began with white space

    def read(self, lines: list[re.Match[str]], signs: str) -> None:
        for line in lines:
            if not line[1][: self.indent].strip(" ") and len(line[1]) > self.indent:
                self._content(line)
            elif not line[1].strip(" "):
                self.blank += [line.span(2)] if line[2] else []
            else:
                break
        if "-" not in signs and self.held:
            self._put("\n", self.held)
        if "+" in signs:
            self._flush()

    def _content(self, line: re.Match[str]) -> None:
        begin, deeper = line.start() + self.indent, line[1][self.indent] in " \t"
        if self.held and self.folded and not self.deeper and not deeper:
            if not self.blank:
                self._put(" ", (self.held[0], begin))
        elif self.held:
            self._put("\n", self.held)
        self._flush()
        for at in range(begin, line.end(1)):
            self._put(line.string[at], (at, at + 1))
        self.deeper, self.held = deeper, line.span(2) if line[2] else None

    def _flush(self) -> None:
        for place in self.blank:
            self._put("\n", place)
        self.blank = []

    def _put(self, character: str, place: Place) -> None:
        self.text.append(character)
        self.places.append(place)
