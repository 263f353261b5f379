"""What values settings take. Owns, for each kind: its check, its form in an environment variable, and its JSON Schema."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from flowrun.diagnostics.suggest import did_you_mean
from flowrun.operations.data import SHIPPED

_PATH = r"/|\.(yaml|yml|json)$"
_UNSHOWABLE = re.compile(r"[\x00-\x1f\x7f]")
_NO_HOME = ("names a home folder that this system does not know", "write the path in full")


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a value. `path` leads to the part that is."""

    message: str
    hint: str | None = None
    path: tuple[str | int, ...] = ()


class WrongTextError(Exception):
    """The text of an environment variable has not the form of its kind."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class Kind(Protocol):
    """`takes`: in words, after "takes"."""

    @property
    def takes(self) -> str: ...

    def problems(self, value: Any) -> Iterable[Wrong]:
        """What is wrong with a plain TOML value; nothing for a good one."""
        ...

    def made(self, value: Any, base: Path) -> Any:
        """The value as flowrun keeps it, of one without problems. `base`: the folder that relative paths count from."""
        ...

    def of_text(self, text: str) -> Any:
        """The plain value that an environment variable spells. Raises WrongTextError."""
        ...

    def schema(self) -> dict[str, Any]: ...


def called(value: Any) -> str:
    """What a person would call a TOML value."""
    names = {bool: "a boolean", int: "an integer", float: "a number", str: "text", list: "an array", dict: "a table"}
    return names.get(type(value), "a date or time")


@dataclass(frozen=True, slots=True)
class Text:
    """A text. `pattern`: what it must match whole; `rule`: that in words; `check`: what else is wrong with it."""

    takes: str = "text"
    pattern: str = r"[^\x00-\x1f\x7f]+"
    rule: str = "a text on one line that is not empty"
    check: Callable[[str], Wrong | None] | None = None

    def problems(self, value: Any) -> Iterator[Wrong]:
        if not isinstance(value, str):
            yield Wrong(f"takes {self.takes}, not {called(value)}")
        elif not re.fullmatch(self.pattern, value):
            yield Wrong(f"takes {self.rule}")
        elif self.check is not None and (wrong := self.check(value)):
            yield wrong

    def made(self, value: Any, base: Path) -> str:
        return str(value)

    def of_text(self, text: str) -> str:
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{self.pattern}$"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def takes(self) -> str:
        return " or ".join(f'"{word}"' for word in self.words)

    def problems(self, value: Any) -> Iterator[Wrong]:
        if value not in self.words:
            near = did_you_mean(value, self.words) if isinstance(value, str) else None
            yield Wrong(f"takes {self.takes}" + ("" if isinstance(value, str) else f", not {called(value)}"), near)

    def made(self, value: Any, base: Path) -> str:
        return str(value)

    def of_text(self, text: str) -> str:
        return text

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Flag:
    takes: str = "true or false"

    def problems(self, value: Any) -> Iterator[Wrong]:
        if not isinstance(value, bool):
            yield Wrong(f"takes {self.takes}, not {called(value)}")

    def made(self, value: Any, base: Path) -> bool:
        return bool(value)

    def of_text(self, text: str) -> bool:
        if text not in ("true", "false"):
            raise WrongTextError(f"takes {self.takes}", "write true or false, in small letters")
        return text == "true"

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Count:
    """A whole number from `least` to `most`."""

    least: int = 0
    most: int = 1_000_000_000

    @property
    def takes(self) -> str:
        return f"a whole number from {self.least}"

    def problems(self, value: Any) -> Iterator[Wrong]:
        if type(value) is not int:
            yield Wrong(f"takes {self.takes}, not {called(value)}")
        elif not self.least <= value <= self.most:
            yield Wrong(f"takes {self.takes} to {self.most}, not {value}")

    def made(self, value: Any, base: Path) -> int:
        return int(value)

    def of_text(self, text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
            raise WrongTextError(f"takes {self.takes}", "write digits alone")
        return int(text)

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Counts:
    """A table of names to whole numbers."""

    each: Count = Count(least=1)
    takes: str = "a table of models to whole numbers, like { gen4_turbo = 2 }"

    def problems(self, value: Any) -> Iterator[Wrong]:
        if not isinstance(value, dict):
            yield Wrong(f"takes {self.takes}, not {called(value)}")
            return
        for name, number in value.items():
            if isinstance(number, dict):
                yield Wrong(
                    f"'{name}' takes a whole number, not a table", f'quote a name with a dot: "{name}.…"', (name,)
                )
                continue
            yield from (Wrong(f"'{name}' {wrong.message}", wrong.hint, (name,)) for wrong in self.each.problems(number))

    def made(self, value: Any, base: Path) -> dict[str, int]:
        return dict(value)

    def of_text(self, text: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for part in _parts(text):
            name, equals, number = (each.strip() for each in part.partition("="))
            if not name or not equals or name in found:
                hint = "write it like gen4_turbo=2,veo3.1=1, each model once"
                raise WrongTextError("takes models with numbers", hint)
            found[name] = self.each.of_text(number)
        return found

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": self.each.schema()}


@dataclass(frozen=True, slots=True)
class Words:
    """An array of texts. `check`: what is wrong with one; `known`: those there are, where the list is closed."""

    takes: str = "an array of texts"
    check: Callable[[str], Wrong | None] | None = None
    known: Callable[[], tuple[str, ...]] | None = None

    def problems(self, value: Any) -> Iterator[Wrong]:
        if not isinstance(value, list):
            yield Wrong(f"takes {self.takes}, not {called(value)}")
            return
        for at, word in enumerate(value):
            if not isinstance(word, str):
                yield Wrong(f"takes {self.takes}, and this is {called(word)}", None, (at,))
            elif self.check is not None and (wrong := self.check(word)):
                yield Wrong(wrong.message, wrong.hint, (at,))

    def made(self, value: Any, base: Path) -> tuple[Any, ...]:
        return tuple(dict.fromkeys(value))

    def of_text(self, text: str) -> list[str]:
        return _parts(text)

    def schema(self) -> dict[str, Any]:
        items: Mapping[str, Any] = {"enum": list(self.known())} if self.known else {"type": "string"}
        return {"type": "array", "items": dict(items)}


def _overlay_problem(word: str) -> Wrong | None:
    if _is_path(word):
        return None if _has_home(word) else Wrong(*_NO_HOME)
    if word in SHIPPED:
        return None
    known = f"those that ship: {', '.join(SHIPPED)}; a file ends in .yaml or .json"
    return Wrong(f"there is no overlay '{word[:64]}'", did_you_mean(word, SHIPPED) or known)


@dataclass(frozen=True, slots=True)
class Overlays(Words):
    """Overlays of the catalogue, in order: each the name of one that ships, or a path."""

    takes: str = "an array of overlays: names of those that ship, or paths"
    check: Callable[[str], Wrong | None] | None = _overlay_problem

    def made(self, value: Any, base: Path) -> tuple[Any, ...]:
        words = dict.fromkeys(value)
        return tuple(base / Path(word).expanduser() if _is_path(word) else word for word in words)

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": {"anyOf": [{"enum": list(SHIPPED)}, {"type": "string", "pattern": _PATH}]}}


def _is_path(word: str) -> bool:
    return re.search(_PATH, word) is not None


@dataclass(frozen=True, slots=True)
class Folder:
    """A path; ``~`` is the user's home."""

    takes: str = "a path, as text"

    def problems(self, value: Any) -> Iterator[Wrong]:
        if not isinstance(value, str):
            yield Wrong(f"takes {self.takes}, not {called(value)}")
        elif not value.strip() or _UNSHOWABLE.search(value):
            yield Wrong("takes a path on one line that is not empty")
        elif not _has_home(value):
            yield Wrong(*_NO_HOME)

    def made(self, value: Any, base: Path) -> Path:
        return base / Path(value).expanduser()

    def of_text(self, text: str) -> str:
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1}


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: an array of words, run as it stands, or one text, run by the shell."""

    takes: str = "a command: an array of words, or one text for the shell"

    def problems(self, value: Any) -> Iterator[Wrong]:
        words = value if isinstance(value, list) else [value]
        if not isinstance(value, str | list):
            yield Wrong(f"takes {self.takes}, not {called(value)}")
        elif not words or (isinstance(words[0], str) and not words[0].strip()):
            yield Wrong("takes a command that is not empty", "take the key out to run nothing")
        for at, word in enumerate(value if isinstance(value, list) else ()):
            if not isinstance(word, str) or "\0" in word:
                yield Wrong(f"takes an array of texts, and this is {called(word)}", None, (at,))

    def made(self, value: Any, base: Path) -> tuple[str, ...] | str:
        return value if isinstance(value, str) else tuple(value)

    def of_text(self, text: str) -> str:
        return text

    def schema(self) -> dict[str, Any]:
        words = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        return {"anyOf": [{"type": "string", "pattern": r"\S"}, words]}


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _has_home(path: str) -> bool:
    with suppress(RuntimeError):  # no such user, or no home at all
        Path(path).expanduser()
        return True
    return False


def address_problem(text: str) -> Wrong | None:
    """What is wrong with an address of the API: a live key must not travel without TLS, save to this machine itself."""
    if wrong := address_shape_problem(text):
        return wrong
    parts = urlsplit(text)
    if parts.scheme == "http" and not is_loopback(host := parts.hostname or ""):
        return Wrong(f"would send the key to {host} without TLS", "use https; http is for this machine alone")
    return None


def address_shape_problem(text: str) -> Wrong | None:
    """What keeps a text from being an address of an API at all. Never shows it: a password may stand in it."""
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return Wrong("is no address", "write https://host[:port]")
    if not is_whole or parts.query or parts.fragment or "@" in parts.netloc:
        return Wrong("takes an address of the form https://host[:port][/path]")
    return None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
