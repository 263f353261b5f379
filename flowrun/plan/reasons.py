"""Why a step would run: the last result's ingredients held against today's, field by field. Owns the order of reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flowrun.action import MEDIA
from flowrun.plan.model import Change, Reason, Why

_ABSENT = object()


def changes_between(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """Every leaf that differs between two sets of ingredients, in path order; the take aside."""
    left = {**old, "take": None}
    right = {**new, "take": None}
    return tuple(sorted(_differences(left, right, ""), key=lambda change: change.path))


def _differences(old: Any, new: Any, path: str) -> Iterator[Change]:
    if isinstance(old, Mapping) and isinstance(new, Mapping) and not (MEDIA in old or MEDIA in new):
        for name in dict.fromkeys((*old, *new)):
            below = f"{path}.{name}" if path else str(name)
            yield from _differences(old.get(name, _ABSENT), new.get(name, _ABSENT), below)
    elif isinstance(old, list) and isinstance(new, list):
        for number in range(max(len(old), len(new))):
            before = old[number] if number < len(old) else _ABSENT
            after = new[number] if number < len(new) else _ABSENT
            yield from _differences(before, after, f"{path}[{number}]")
    elif old != new:
        yield Change(path, _shown(old), _shown(new))


def _shown(value: Any) -> Any:
    if value is _ABSENT:
        return None
    if isinstance(value, Mapping) and MEDIA in value:
        return f"sha256:{value[MEDIA]}"
    return value


def explain(old: Mapping[str, Any], new: Mapping[str, Any], upstream: frozenset[str]) -> Why:
    """The reason for a new generation, given the last one's ingredients. `upstream`: dotted paths of today's media that
    come from other nodes. The most telling change gives the reason: model, then the user's inputs, files, salt, upstream."""
    changes = tuple(_without_prefix(change) for change in changes_between(old, new))
    if not changes:
        return Why(Reason.RETAKE)
    return Why(_reason(changes, upstream), changes)


def _without_prefix(change: Change) -> Change:
    return Change(change.path.removeprefix("request."), change.old, change.new)


def _reason(changes: tuple[Change, ...], upstream: frozenset[str]) -> Reason:
    paths = {change.path for change in changes}
    if paths & {"model", "operation"}:
        return Reason.MODEL_CHANGED
    media = {change.path for change in changes if _is_media(change)}
    if paths - media - {"salt"}:
        return Reason.INPUT_CHANGED
    if media - upstream:
        return Reason.FILE_CHANGED
    if "salt" in paths:
        return Reason.SALT_CHANGED
    return Reason.UPSTREAM_CHANGED


def _is_media(change: Change) -> bool:
    return any(isinstance(side, str) and side.startswith("sha256:") for side in (change.old, change.new))
