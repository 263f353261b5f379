"""A text that must not be shown. Owns masking; where a secret comes from and goes to is its holder's matter."""

from __future__ import annotations

import re

MASK = "********"
_KEY = re.compile(r"key_[0-9a-fA-F]{128}")  # the API's key format: facts of the Runway API, section 1.1
_TOKEN = re.compile(
    r"((?:[?&;]|%3F|%26)(?:_jwt|token|signature|x-amz-[a-z-]+|policy|key-pair-id)=)[^&\s\"'#]+", re.IGNORECASE
)


class Secret:
    """A text whose `str`, `repr` and format are masked. `reveal()` is the one way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret is not pickled")


def without_query(url: str) -> str:
    """`url` with its query and fragment taken out: whatever they are called there, they may be somebody's token."""
    bare = re.split(r"[?#]", url, maxsplit=1)[0]
    return url if bare == url else f"{bare}?{MASK}"


def looks_like_key(text: str) -> bool:
    """Whether an API key stands somewhere in `text`."""
    return _KEY.search(text) is not None


def key_places(text: str) -> list[tuple[int, int]]:
    """Where API keys stand in `text`: offsets, ends exclusive."""
    return [found.span() for found in _KEY.finditer(text)]


def mask(text: str) -> str:
    """`text` with API keys and the bearer tokens of signed URLs taken out."""
    return _TOKEN.sub(rf"\g<1>{MASK}", _KEY.sub(f"key_{MASK}", text))
