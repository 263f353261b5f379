"""How a scalar stands in its file, and where each code point of its value comes from.

Owns the inverse of YAML's quoting, folding and chomping. The value itself comes from the parser: what is worked out
here is compared with it, and where the two differ the answer is the whole scalar, never a wrong place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from flowrun.diagnostics.span import Span
from flowrun.yaml_tree import blocks, flows

_BREAK = re.compile(r"\r\n|\n|\r")
Places = tuple[tuple[int, int], ...]  # for each code point of the value: its stretch of the raw text


class Style(StrEnum):
    PLAIN = "plain"
    SINGLE = "'"
    DOUBLE = '"'
    LITERAL = "|"
    FOLDED = ">"


@dataclass(frozen=True, slots=True)
class Written:
    """The scalar's own stretch of the file, from its first character (a quote, a block's `|`) to its end."""

    style: Style
    raw: str

    def locate(self, value: str, span: Span, offset: int, length: int) -> Span:
        """The span of ``value[offset:offset + length]``; `span` is the whole scalar's."""
        places = _places(self.style, self.raw, value)
        if places is None or offset < 0 or offset + length > len(places):
            return span
        if not places:
            return span
        start = places[offset][0] if offset < len(places) else places[-1][1]
        end = places[offset + length - 1][1] if length else start
        return Span(span.file, *_position(self.raw, span, start), *_position(self.raw, span, end))


def _position(raw: str, span: Span, offset: int) -> tuple[int, int]:
    """Line and column of an offset into the raw text of a scalar that begins at `span`."""
    breaks = list(_BREAK.finditer(raw, 0, offset))
    if not breaks:
        return span.line, span.column + offset
    return span.line + len(breaks), offset - breaks[-1].end() + 1


@lru_cache(maxsize=128)
def _places(style: Style, raw: str, value: str) -> Places | None:
    if style in (Style.LITERAL, Style.FOLDED):
        return blocks.places(raw, value, folded=style is Style.FOLDED)
    return flows.places(raw, value, style.value)
