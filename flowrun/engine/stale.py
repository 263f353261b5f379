"""An upload that the API refuses because it forgot it early. Owns that judgement; a new upload is `body`'s.

A refusal costs nothing. A request that named an upload of some while ago is sent once more with a new one; one that named
an upload made just now is not, so this ends.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from flowrun.engine.body import sent_media
from flowrun.engine.ports import Attempt
from flowrun.runway.errors import InputProblem
from flowrun.runway.pace import UPLOAD_LIFE

JUST_NOW = 600.0  # seconds since which an upload cannot have been forgotten: making it again would be in vain

_OF_AN_UPLOAD = re.compile(r"runway://|\bupload|\bexpire|\basset|\bfetch|\bdownload|\bur[il]\b", re.IGNORECASE)


def give_up_uploads(attempt: Attempt, body: Mapping[str, Any], problems: tuple[InputProblem, ...]) -> bool:
    """Forget the uploads that the refused `body` named and that a complaint may be about. Whether a new one may go through."""
    refused = {text for problem in problems for text in _meant(problem, body)}
    named = dict(sent_media(attempt.doc.request, body))
    stale = {sha256: uri for sha256, uri in named.items() if uri in refused and uri.startswith("runway://")}
    old = [_forgotten(sha256, uri, attempt) for sha256, uri in stale.items()]  # every one of them is let go
    return any(old)


def _meant(problem: InputProblem, body: Mapping[str, Any]) -> Iterator[str]:
    """The texts at the complaint's place; in the whole body where it names none."""
    value: Any = body
    for part in problem.path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            break
    yield from _texts(value) if _OF_AN_UPLOAD.search(problem.message) else ()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)


def _forgotten(sha256: str, uri: str, attempt: Attempt) -> bool:
    """Whether it was made some while ago. One that is not remembered any more was let go by another request that named it."""
    ports, now = attempt.ports, attempt.now()
    is_new = now - ports.uploaded.get(uri, -math.inf) < JUST_NOW
    remembered = ports.uploads.get(ports.account, attempt.doc.inputs[sha256].digest, now)
    if remembered is None or remembered.uri != uri:
        return not is_new
    ports.uploads.set(replace(remembered, expires_at=now))
    return not is_new and remembered.expires_at - now < UPLOAD_LIFE - JUST_NOW
