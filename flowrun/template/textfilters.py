"""Filters whose operand is text. Owns what each may cost: nothing grows past the limit before it is measured.

Every function takes the operand already spelled as text. What jinja2 has as a pure function of text is taken from it.
"""

from __future__ import annotations

import html
import posixpath
import re
import unicodedata
from collections.abc import Callable
from urllib.parse import quote

from jinja2.filters import do_filesizeformat, do_title, do_wordcount

from flowrun.template.errors import RefusalError
from flowrun.template.limits import CODE, MAX_TEXT, check_length
from flowrun.template.values import as_text

_MAX_KEY = 80  # code points of a key: the manifest's rule
_SPEC = re.compile(
    r"%(?:\((?P<name>[^()]*)\))?[-#0 +]*(?P<width>\*|\d*)(?:\.(?P<precision>\*|\d*))?(?P<kind>.?)", re.DOTALL
)
_MAX_WIDTH = 1000  # of one place in `format`
_MAX_NUMBER = 1300  # digits of the largest number there is
_SCHEME = re.compile(r"[?#].*", re.DOTALL)
_TAG = re.compile(r"<[^<>]*>")


def center(text: str, width: int = 80) -> str:
    check_length(width)
    return text.center(width)


def indent(text: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    """`width`: a number of spaces, or the text to put before each line."""
    check_length(width if isinstance(width, int) else len(width))
    margin = " " * width if isinstance(width, int) else width
    lines = text.split("\n")
    check_length(len(text) + len(margin) * len(lines))
    padded = [margin + line if (line or blank) and (place or first) else line for place, line in enumerate(lines)]
    return "\n".join(padded)


def replace(text: str, old: object, new: object, count: int | None = None) -> str:
    before, after = as_text(old), as_text(new)
    found = min(text.count(before), MAX_TEXT if count is None else max(count, 0))
    check_length(len(text) + found * (len(after) - len(before)))
    return text.replace(before, after, -1 if count is None else max(count, 0))


def truncate(text: str, length: int = 255, killwords: bool = False, end: str = "...", leeway: int = 5) -> str:
    """At most `length` code points, `end` included; between words unless `killwords`."""
    if length < len(end):
        raise RefusalError("bad-operation", f"`truncate` cannot end with {len(end)} characters in a length of {length}")
    if len(text) <= length + leeway:
        return text
    kept = text[: length - len(end)]
    return (kept if killwords else kept.rsplit(" ", 1)[0]) + end


def wordwrap(text: str, width: int = 79, break_long_words: bool = True, wrapstring: str = "\n") -> str:
    """Each line broken between words so that it has at most `width` code points."""
    if width < 1:
        raise ValueError(width)
    lines = [part for line in text.split("\n") for part in _wrapped(line, width, break_long_words)]
    check_length(len(text) + len(lines) * (1 + len(wrapstring)))
    return wrapstring.join(lines)


def _wrapped(line: str, width: int, break_long_words: bool) -> list[str]:
    """One pass: the standard library's wrapping is quadratic in the length of a word."""
    lines: list[list[str]] = [[]]
    used = 0
    for word in line.split(" "):
        if lines[-1] and used + 1 + len(word) > width:
            if not word:  # spaces at a break are dropped
                continue
            lines.append([])
        used = used + 1 + len(word) if lines[-1] else len(word)
        lines[-1].append(word)
        while break_long_words and used > width and len(lines[-1]) == 1:
            chunks = [word[at : at + width] for at in range(0, len(word), width)]
            lines[-1:] = [[chunk] for chunk in chunks]
            used = len(chunks[-1])
    return [" ".join(words) for words in lines]


def formatted(text: str, *args: object, **kwargs: object) -> str:
    """printf-style formatting; every width is bounded, and the size of the whole is known beforehand."""
    values: tuple[object, ...] | dict[str, object] = tuple(map(_formattable, args))
    if kwargs:
        values = {name: _formattable(value) for name, value in kwargs.items()}
    room = 0
    for spec in _SPEC.finditer(text):
        widths = (spec["width"], spec["precision"] or "")
        if (
            spec["kind"] == "("
            or "*" in widths
            or any(len(width) > 4 or int(width or 0) > _MAX_WIDTH for width in widths)
        ):
            raise RefusalError(CODE, f"a place in `format` has a plain name and a width up to {_MAX_WIDTH:,}")
        room += _MAX_NUMBER + (2 * _MAX_WIDTH if any(widths) else 0)
    longest = max((len(value) for value in [*args, *kwargs.values()] if isinstance(value, str)), default=0)
    check_length(len(text) + room + text.count("%") * longest)
    return text % values


def _formattable(value: object) -> object:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else as_text(value)


def trim(text: str, chars: str | None = None) -> str:
    return text.strip(chars)


def striptags(text: str) -> str:
    """Without `<tags>`, whitespace collapsed."""
    return " ".join(_TAG.sub("", text).split())


def urlencode(text: str) -> str:
    return quote(text, safe="/")


def slug(text: str) -> str:
    """`text` as a key: lower case, accents off, anything but letters and digits a single hyphen, at most 80 code points."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not "\u0300" <= char <= "\u036f")
    kept = "".join(char if unicodedata.category(char)[0] in "LNM" else "-" for char in plain.lower())
    return re.sub("-+", "-", unicodedata.normalize("NFC", kept))[:_MAX_KEY].strip("-")


def basename(text: str) -> str:
    """The last part of a path or URL, without query or fragment of the latter."""
    path = _SCHEME.sub("", text) if "://" in text else text
    return posixpath.basename(path.rstrip("/"))


def stem(text: str) -> str:
    """The last part of a path or URL without its last extension."""
    return posixpath.splitext(basename(text))[0]


def filesize(text: str, binary: bool = False) -> str:
    return do_filesizeformat(text, binary)


TEXT_FILTERS: dict[str, Callable[..., object]] = {
    "basename": basename,
    "capitalize": lambda text: text.capitalize(),
    "center": center,
    "e": html.escape,
    "escape": html.escape,
    "filesizeformat": filesize,
    "forceescape": html.escape,
    "format": formatted,
    "indent": indent,
    "lower": lambda text: text.lower(),
    "replace": replace,
    "safe": lambda text: text,
    "slug": slug,
    "stem": stem,
    "string": lambda text: text,
    "striptags": striptags,
    "title": do_title,
    "trim": trim,
    "truncate": truncate,
    "upper": lambda text: text.upper(),
    "urlencode": urlencode,
    "wordcount": do_wordcount,
    "wordwrap": wordwrap,
}
