"""What a template sees of a value: its keys, its truth, its text. Owns the rules that keep secrets and artifacts whole.

A dot or a subscript is a key of a mapping or an index of a list or text, never a Python attribute. Text has one
spelling: booleans and numbers as in JSON (`true`, `5`, `5.0`); null, lists, mappings and artifacts are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Protocol, TypeGuard

from flowrun.diagnostics.suggest import did_you_mean
from flowrun.template.errors import RefusalError
from flowrun.template.limits import check_number

Key = str | int
_COMPARED = 1000  # names a suggestion looks at; a fan-out may have very many


class Lookup(Protocol):
    """An object of the scope that finds its parts when asked.

    It may also have: `template_keys() -> Iterable[str]`, the names a suggestion may offer; `template_group = True`,
    where `is defined` must ask for the member as well (a fan-out, a module); `template_opaque`, see `opaque`.
    """

    def template_get(self, key: str | int) -> object:
        """The part called `key`. Raises KeyError (undefined) or Unresolved."""


@dataclass(frozen=True, slots=True)
class EnvValue:
    """A secret by name. The value itself never enters a template."""

    name: str


@dataclass(frozen=True, slots=True)
class SecretText:
    """A text with secrets in it; neighbouring texts are joined, in order."""

    parts: tuple[str | EnvValue, ...]


@dataclass(frozen=True, slots=True)
class Undefined:
    """The absence of a value, kept until something wants the value. `offset` is -1 until it is known where."""

    message: str
    hint: str | Callable[[], str | None] | None = None  # looked for only when it is shown
    offset: int = -1
    length: int = 0


@dataclass(eq=False, slots=True)
class Namespace:
    """What `namespace()` makes: the one thing a template can change inside a loop. It lives for one evaluation."""

    fields: dict[str, object] = field(default_factory=dict)
    template_opaque = "a namespace"

    def template_get(self, key: str | int) -> object:
        return self.fields[str(key)]

    def template_keys(self) -> Iterable[str]:
        return self.fields


def is_lookup(value: object) -> TypeGuard[Lookup]:
    return hasattr(value, "template_get")


def is_secret(value: object) -> TypeGuard[EnvValue | SecretText]:
    return isinstance(value, EnvValue | SecretText)


def opaque(value: object) -> str | None:
    """The phrase of an object that must not become text ("an artifact (image)"), else None."""
    phrase = None if isinstance(value, str | int | float | list | dict) else getattr(value, "template_opaque", None)
    return phrase if isinstance(phrase, str) else None


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (type(None), "null"),
    (bool, "a boolean"),
    ((int, float), "a number"),
    (str, "a text"),
    (Mapping, "a mapping"),
    ((list, tuple), "a list"),
    ((EnvValue, SecretText), "a secret"),
)


def kind(value: object) -> str:
    """A value's kind in words, with its article."""
    for types, phrase in _KINDS:
        if isinstance(value, types):
            return phrase
    return opaque(value) or "an object"


def no_secret(*values: object) -> None:
    """Raises RefusalError when one of the values is a secret."""
    if any(is_secret(value) for value in values):
        raise RefusalError(
            "secret-in-expression",
            "a secret can be put out, and nothing else",
            "write {{ env.NAME }} by itself or inside text, without filter, test or operator",
        )


def as_text(value: object) -> str:
    """The one spelling of a value in text. Raises RefusalError for what has none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        check_number(value)
        return str(value)
    no_secret(value)
    raise _no_text(value)


def _no_text(value: object) -> RefusalError:
    phrase = opaque(value)
    if phrase is not None:
        hint = "use it alone in a media input, or put one of its facts into the text"
        return RefusalError("artifact-in-text", f"{phrase} cannot be part of a text", hint)
    if value is None:
        return RefusalError(
            "null-in-text", "null cannot be part of a text", "give it a text with `default('...', true)`"
        )
    hint = "make it text with the filter `join` or `tojson`"
    return RefusalError("structure-in-text", f"{kind(value)} cannot be part of a text", hint)


def truth(value: object) -> bool:
    """Python's truth of a value. Raises RefusalError for secrets."""
    no_secret(value)
    return bool(value)


def as_key(value: object) -> Key:
    """A subscript as a key. Numbers count by value, so `5.0` is 5. Raises RefusalError for what cannot be one."""
    no_secret(value)
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise RefusalError("bad-operation", f"{kind(value)} cannot be a subscript", "use a text or an integer")


def access(value: object, key: Key) -> object:
    """The part of `value` called `key`, or Undefined. Raises RefusalError for secrets, Unresolved where the value does."""
    no_secret(value)
    try:
        if is_lookup(value):
            return value.template_get(key)
        if isinstance(value, Mapping) or (isinstance(value, list | tuple | str) and isinstance(key, int)):
            return value[key]  # type: ignore[index]  # of a text, list or tuple the key is an integer here
    except (KeyError, IndexError):
        pass
    return _missing(value, key)


def _missing(value: object, key: Key) -> Undefined:
    if is_lookup(value) or isinstance(value, Mapping):
        return Undefined(f"there is no `{key}` in it", partial(_closest, str(key), value))
    if isinstance(value, list | tuple | str) and isinstance(key, int):
        return Undefined(f"{kind(value)} of length {len(value)} has no position {key}", "positions count from 0")
    return Undefined(f"{kind(value)} has no `{key}`")


def _closest(key: str, value: object) -> str | None:
    return did_you_mean(key, islice(_known_keys(value), _COMPARED))


def _known_keys(value: object) -> Iterable[str]:
    """The names by which a value's parts can be asked for, as far as it tells."""
    tell = getattr(value, "template_keys", None)
    if callable(tell):
        yield from map(str, tell())
    elif isinstance(value, Mapping):
        yield from (key for key in value if isinstance(key, str))
