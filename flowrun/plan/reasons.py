"""Why a step would run: the last result's ingredients held against today's, field by field. Owns the order of reasons, and
the length of what is said beside one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flowrun.action import MEDIA, TEXT, URI
from flowrun.plan.model import Change, Reason, Why

LONGEST = 240  # characters of a detail: two or three lines of a terminal
FEW = 3  # names that a detail lists
_ABSENT = object()
_LEAVES = (MEDIA, URI, TEXT)  # marks of an action document: a mapping to look at, one value in meaning
_NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class _Difference:
    path: str
    old: Any
    new: Any

    @property
    def is_other_media(self) -> bool:
        """Media before and after, with other bytes. Media that came or went is an edit, as any other input's."""
        return _is_media(self.old) and _is_media(self.new)

    def told(self) -> Change:
        return Change(self.path, _shown(self.old), _shown(self.new))


def changes_between(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """Every leaf that differs between two sets of ingredients, in path order; the take aside."""
    return tuple(difference.told() for difference in _differences(old, new))


def explain(old: Mapping[str, Any], new: Mapping[str, Any], upstream: frozenset[str]) -> Why:
    """The reason for a new generation, given the last one's ingredients. `upstream`: dotted paths of today's media that
    come from other nodes. The most telling change gives the reason: model, then the user's inputs, files, salt, upstream."""
    found = _differences(old, new)
    if not found:
        return Why(Reason.RETAKE)
    return Why(_reason(found, upstream), tuple(difference.told() for difference in found))


def _reason(found: Iterable[_Difference], upstream: frozenset[str]) -> Reason:
    media = {each.path for each in found if each.is_other_media}
    paths = {each.path for each in found} - media
    if paths & {"model", "operation"}:
        return Reason.MODEL_CHANGED
    if paths - {"salt"}:
        return Reason.INPUT_CHANGED
    if media - upstream:
        return Reason.FILE_CHANGED
    return Reason.SALT_CHANGED if paths else Reason.UPSTREAM_CHANGED


# -- differences


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[_Difference]:
    """Fields of the request by their own names, the other ingredients beside them."""
    found = [*_walk(_around(old), _around(new), ""), *_walk(old.get("request", {}), new.get("request", {}), "")]
    return sorted(found, key=lambda each: _path_order(each.path))


def _around(ingredients: Mapping[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in ingredients.items() if name not in ("request", "take")}


def _path_order(path: str) -> list[tuple[int, str]]:
    """The third reference before the tenth."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in _NUMBER.split(path)]


def _walk(old: Any, new: Any, path: str) -> Iterator[_Difference]:
    if _is_plain_mapping(old) and _is_plain_mapping(new):
        for name in dict.fromkeys((*old, *new)):
            below = f"{path}.{name}" if path else str(name)
            yield from _walk(old.get(name, _ABSENT), new.get(name, _ABSENT), below)
    elif isinstance(old, list) and isinstance(new, list):
        for number in range(max(len(old), len(new))):
            yield from _walk(_at(old, number), _at(new, number), f"{path}[{number}]")
    elif not _is_same(old, new):
        yield _Difference(path, old, new)


def _at(items: list[Any], number: int) -> Any:
    return items[number] if number < len(items) else _ABSENT


def _is_plain_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and not any(mark in value for mark in _LEAVES)


def _is_same(old: Any, new: Any) -> bool:
    """As in canonical JSON: numbers by value, and true is no number."""
    return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)


def _is_media(value: Any) -> bool:
    return isinstance(value, Mapping) and MEDIA in value


def _shown(value: Any) -> Any:
    """Media as ``sha256:...``, what is not there as None; texts with environment variables keep their marks."""
    if value is _ABSENT:
        return None
    if _is_media(value):
        return f"sha256:{value[MEDIA]}"
    if isinstance(value, Mapping):
        return {name: _shown(each) for name, each in value.items()}
    return [_shown(each) for each in value] if isinstance(value, list) else value


# -- details


def cut(text: str, longest: int = LONGEST) -> str:
    """On one line, at a length that somebody reads."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def some(names: Iterable[object]) -> str:
    """``a, b, c and 4 more``."""
    listed = [str(name) for name in names]
    shown = ", ".join(listed[:FEW])
    return shown if len(listed) <= FEW else f"{shown} and {len(listed) - FEW} more"
