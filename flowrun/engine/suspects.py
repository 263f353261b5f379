"""Which inputs a failed task may be about. Owns that guess: the API names no field, only a code whose last part may tell a
kind of input, and may be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flowrun.action import MEDIA, ActionDoc
from flowrun.runway.errors import InputProblem
from flowrun.runway.policy import rule_for

PROMPT = "promptText"
_GUESS = "the code points here, which is the API's guess"
_ANY = "perhaps this one; the code does not say which"
_BY_KIND = ("SAFETY.INPUT", "INPUT_PREPROCESSING.SAFETY")  # the last part tells the kind of input
_OF_MEDIA = ("ASSET.INVALID",)
Path = tuple[str | int, ...]


def suspects(code: str | None, doc: ActionDoc) -> tuple[InputProblem, ...]:
    """The inputs that a failure code may mean; none where it tells of no input."""
    prefix, kind = rule_for(code).prefix, (code or "").strip().upper().rpartition(".")[2]
    if prefix in _BY_KIND and kind == "TEXT":
        return (InputProblem((PROMPT,), _GUESS),) if PROMPT in doc.request else ()
    media = dict(_media(doc.request, (), doc))
    if prefix in _BY_KIND:
        return tuple(InputProblem(path, _GUESS) for path, found in media.items() if found == kind.lower())
    if prefix in _OF_MEDIA:
        return tuple(InputProblem(path, _GUESS if len(media) == 1 else _ANY) for path in media)
    return ()


def _media(value: Any, path: Path, doc: ActionDoc) -> Iterator[tuple[Path, str]]:
    """Each media input with its kind: image, video, audio."""
    if isinstance(value, Mapping):
        if MEDIA in value:
            yield path, doc.inputs[value[MEDIA]].media_type.partition("/")[0]
        else:
            for name, each in value.items():
                yield from _media(each, (*path, name), doc)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _media(each, (*path, number), doc)
