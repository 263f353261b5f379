"""Which of the accepted words was meant. Owns the guess; who offers it words the hint."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Any

from flowrun.diagnostics.suggest import suggest

_RATIO = re.compile(r"(\d{1,5}):(\d{1,5})")
_BEFORE_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def nearest_name(name: str, names: Iterable[str]) -> str | None:
    """The accepted name that `name` was meant to be, a snake_case spelling of it included; None where none is near."""
    accepted = list(names)
    return suggest(name, accepted) or _same_word(name, accepted)


def _same_word(name: str, names: Iterable[str]) -> str | None:
    """The one name that shares a word: ``prompt`` for ``promptText``, ``image`` for ``promptImage``; None for several."""
    asked = words(name)
    sharing = [each for each in names if asked & words(each)]
    return sharing[0] if len(sharing) == 1 else None


def by_nearness(name: str, names: Iterable[str]) -> list[str]:
    """The names, those first that share words with `name`, then those that look like it."""
    asked, likeness = words(name), SequenceMatcher(b=name.lower(), autojunk=False)

    def distance(other: str) -> tuple[int, float]:
        likeness.set_seq1(other.lower())
        return -len(asked & words(other)), -likeness.ratio()

    return sorted(names, key=distance)


def words(name: str) -> frozenset[str]:
    """The words a compound name is made of, lower case."""
    return frozenset(re.split(r"[^a-z0-9.]+", _BEFORE_CAPITAL.sub("_", name).lower())) - {""}


def _shape(ratio: str) -> tuple[float, float] | None:
    """Log of the aspect and of the area of a ``width:height``; None for what is none."""
    match = _RATIO.fullmatch(ratio)
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    return (math.log(width / height), math.log(width * height)) if width and height else None


def _distance(asked: tuple[float, float], option: tuple[float, float]) -> float:
    return 4 * abs(asked[0] - option[0]) + abs(asked[1] - option[1])  # a wrong shape is worse than a wrong size


def nearest_value(value: object, options: Sequence[Any]) -> Any:
    """The accepted value closest to `value`: numbers by distance, sizes by aspect and area, words by letters; or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        numbers = [each for each in options if isinstance(each, int | float)]
        return min(numbers, key=lambda each: abs(each - value), default=None)
    texts = [each for each in options if isinstance(each, str)]
    asked = _shape(str(value))
    shapes = {each: shape for each in texts if (shape := _shape(each))}
    if asked and shapes:
        return min(shapes, key=lambda each: _distance(asked, shapes[each]))
    return nearest_name(str(value), texts)
