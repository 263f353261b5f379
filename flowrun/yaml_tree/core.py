"""What a plain scalar means: YAML 1.2's core schema (chapter 10.3), nothing of 1.1. Owns resolution and `!!` tags."""

from __future__ import annotations

import re

from flowrun.yaml_tree.tree import PlainScalar

PREFIX = "tag:yaml.org,2002:"
_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?[0-9]{1,4000}|0o[0-7]{1,1300}|0x[0-9a-fA-F]{1,1000}")  # Python reads no longer ones
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class UnknownTagError(ValueError):
    """A tag outside the core schema."""


def resolve(text: str) -> PlainScalar:
    """The value of an untagged plain scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return int(text, 0 if text[1:2] in ("o", "x") else 10)
    if _FLOAT.fullmatch(text):
        return float(text)
    return float(text.replace(".", "", 1)) if _SPECIAL.fullmatch(text) else text


def tagged(text: str, tag: str) -> PlainScalar:
    """The value of a scalar with a tag. Raises UnknownTagError; ValueError for text that is no such value."""
    if tag in ("!", PREFIX + "str"):
        return text
    kinds: dict[str, tuple[type, ...]] = {
        "null": (type(None),), "bool": (bool,), "int": (int,), "float": (int, float),
    }  # fmt: skip
    kind = kinds.get(tag.removeprefix(PREFIX)) if tag.startswith(PREFIX) else None
    if kind is None:
        raise UnknownTagError(tag)
    value = resolve(text)
    if not isinstance(value, kind) or (isinstance(value, bool) and bool not in kind):
        raise ValueError(text)
    return float(value) if float in kind and value is not None else value
