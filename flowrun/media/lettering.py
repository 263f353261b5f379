"""Text in pictures: any text, wrapped to a width, in the font that comes with Pillow.

Owns cleaning, wrapping and measuring. The font covers Latin scripts; what it lacks is drawn as its empty box, never an
error. Control characters and lone surrogates, which cannot be drawn, become spaces and replacement marks.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from PIL import ImageFont
from PIL.ImageDraw import ImageDraw

_READ_AT_MOST = 2000  # characters; more could not be legible on any picture
_LINE_HEIGHT = 1.32
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of text that fit; `line_height` and `width` in pixels."""

    lines: tuple[str, ...]
    font: Font
    line_height: int
    width: int

    @property
    def height(self) -> int:
        return self.line_height * len(self.lines)

    def draw(self, onto: ImageDraw, at: tuple[int, int], fill: int | tuple[int, ...]) -> None:
        x, y = at
        for number, line in enumerate(self.lines):
            onto.text((x, y + number * self.line_height), line, font=self.font, fill=fill)


@lru_cache(maxsize=64)
def font(size: int) -> Font:
    """The bundled font at `size` pixels."""
    return ImageFont.load_default(size)


def cleaned(text: str) -> str:
    """One line of drawable text: white space and control characters as single spaces, surrogates replaced."""
    drawable = "".join(_drawable(each) for each in text[:_READ_AT_MOST])
    return " ".join(drawable.split())


def _drawable(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":
        return "\ufffd"
    return " " if category in ("Cc", "Zl", "Zp") else character


def fitted(text: str, width: int, size: int, most_lines: int) -> Block:
    """Wrap `text` to `width` pixels at font size `size`; beyond `most_lines` it ends in an ellipsis."""
    face = font(size)
    lines = _wrapped(cleaned(text), width, face)
    if len(lines) > most_lines:
        lines = lines[:most_lines]
        lines[-1] = _shortened(lines[-1] + " …", width, face)
    widest = max((_length(line, face) for line in lines), default=0)
    return Block(tuple(lines), face, round(size * _LINE_HEIGHT), round(widest))


def _length(text: str, face: Font) -> float:
    return face.getlength(text)


def _wrapped(text: str, width: int, face: Font) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and _length(joined, face) <= width:
            lines[-1] = joined
        else:
            lines.extend(_pieces(word, width, face))
    return lines


def _pieces(word: str, width: int, face: Font) -> list[str]:
    """A word as it stands, or cut where it is wider than a line: an address, or a script without spaces."""
    pieces = [word]
    while _length(pieces[-1], face) > width and len(pieces[-1]) > 1:
        rest = pieces.pop()
        keep = max(1, int(len(rest) * width / _length(rest, face)))
        while keep > 1 and _length(rest[:keep], face) > width:
            keep -= 1
        pieces += [rest[:keep], rest[keep:]]
    return pieces


def _shortened(line: str, width: int, face: Font) -> str:
    while len(line) > 2 and _length(line, face) > width:
        line = line[:-3].rstrip() + "…"
    return line
