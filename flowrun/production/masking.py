"""Taking what must not be shown out of a text, where the secrets themselves are known. Owns the forms that a secret takes in a
text; keys and tokens of unknown value are known by their form, which is `secret`'s."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import ClassVar
from urllib.parse import quote, quote_plus

from flowrun.secret import MASK, mask

_QUERY = re.compile(r"(https?://[^\s\"'<>?#]*)[?#][^\s\"'<>]*", re.IGNORECASE)
_USER = re.compile(r"(https?://)[^\s/?#\"'<>@]*@", re.IGNORECASE)
SHORT = 4  # characters; a shorter value is masked only where it stands alone, else every line would be full of masks


class Masker:
    """Called with a text, gives it without `secrets`, API keys, signed URLs' tokens, and queries and users of URLs."""

    _all: ClassVar[set[str]] = set()  # whatever was a secret in this process, for a report of what nobody foresaw

    def __init__(self, secrets: Iterable[str]) -> None:
        known = self.learn(secrets)
        forms = {form for value in known for form in _forms(value)}
        ordered = sorted(forms, key=len, reverse=True)  # the whole before its part
        self._known = re.compile("|".join(map(_pattern, ordered))) if ordered else None

    @classmethod
    def learn(cls, secrets: Iterable[str]) -> set[str]:
        """Note what is a secret in this process, before anything can go wrong with it."""
        known = {value for value in secrets if value.strip()}
        cls._all.update(known)
        return known

    @classmethod
    def of_all(cls) -> Masker:
        """One that knows every secret that any other has known."""
        return cls(tuple(cls._all))

    def __call__(self, text: str) -> str:
        known = text if self._known is None else self._known.sub(MASK, text)
        return _USER.sub(r"\1", _QUERY.sub(rf"\1?{MASK}", mask(known)))


def _forms(value: str) -> Iterable[str]:
    """As it is, without the white space around it, and as JSON, Python and URLs write it."""
    for text in (value, value.strip()):
        yield from (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1])
        yield from (quote(text), quote(text, safe=""), quote_plus(text))
        yield from (line for line in text.splitlines() if len(line) >= 2 * SHORT)  # of a PEM key, each line


def _pattern(form: str) -> str:
    return re.escape(form) if len(form) >= SHORT else rf"(?<!\w){re.escape(form)}(?!\w)"
