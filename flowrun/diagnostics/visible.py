"""Text made safe and measurable for a terminal. Owns control characters, widths and the cut of long lines."""

from __future__ import annotations

import re
import unicodedata

TAB = "    "
_JOINERS = "\u200c\u200d"  # emoji and several scripts need them; they move nothing
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f]|[^\x00-\x7f]")


def visible(text: str) -> str:
    """`text` without anything a terminal would obey: controls, escapes and direction marks are shown as signs."""
    return _UNSAFE.sub(lambda found: _shown(found.group()), text)


def _shown(character: str) -> str:
    code = ord(character)
    if character == "\t":
        return TAB
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _JOINERS:
        return f"<U+{code:04X}>"
    return character


def width(text: str) -> int:
    """Columns that visible `text` takes on a terminal: wide characters and emoji two, marks none."""
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.combining(character) or character in _JOINERS or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
