"""What an output is made from, written down as a text when its task is accepted. Owns recipes; `render` makes the media.

A recipe holds everything that decides the bytes, so its digest names them: equal recipes are made once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.operations.model import Path
from flowrun.operations.spec import ModelSpec

TYPES = {MediaKind.IMAGE: "image/png", MediaKind.VIDEO: "video/mp4", MediaKind.AUDIO: "audio/mpeg"}
USUAL_RATIO = "1280:720"  # where a request may leave it out
USUAL_SECONDS = 5.0  # where nothing says it
AUTOMATIC_SECONDS = 2.0  # of a sound effect whose length was left to the model
SHOWN_ELSEWHERE = frozenset({"model", "promptText", "ratio", "seed", "duration", "uri", "tag", "position", "type"})


@dataclass(frozen=True, slots=True)
class Source:
    """What a media input stands for: bytes kept as a blob, an output by its recipe's digest, or a host not asked.

    `mark` tells two addresses of one host apart.
    """

    kind: MediaKind
    blob: str | None = None
    recipe: str | None = None
    host: str | None = None
    mark: str = ""

    @property
    def content(self) -> str:
        """Equal for equal content."""
        if self.blob:
            return f"sha256:{self.blob}"
        return f"recipe:{self.recipe}" if self.recipe else f"host:{self.host}:{self.mark}"


@dataclass(frozen=True, slots=True)
class Input:
    """One resolved media input: where it stands in the request, what it is, and what is known of it."""

    path: Path
    source: Source
    facts: MediaFacts


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request as far as it decides its output. `variation`: how many equal requests came before it."""

    spec: ModelSpec
    produces: MediaKind
    body: Mapping[str, Any]
    inputs: tuple[Input, ...]
    variation: int
    tiny: bool


def recipe_of(wanted: Wanted) -> str:
    """The recipe, as canonical as its making: fields in one order, no spaces."""
    body, spec = wanted.body, wanted.spec
    document = {
        "format": 1,
        "kind": wanted.produces,
        "size": _size(wanted),
        "seconds": _seconds(wanted),
        "audio": wanted.produces is MediaKind.VIDEO and _has_sound(spec, body),
        "operation": " · ".join([spec.operation, *_further(wanted)]),
        "model": spec.model,
        "prompt": body.get("promptText", ""),
        "voice": body.get("voice", {}).get("presetId", ""),
        "seed": body.get("seed"),
        "variation": wanted.variation,
        "tiny": wanted.tiny,
        "sources": [_source(body, each) for each in wanted.inputs],
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def digest_of(recipe: str) -> str:
    return hashlib.sha256(recipe.encode()).hexdigest()


def facts_of(recipe: str) -> MediaFacts:
    """What is known of the media before it is made, as asked for: `tiny` media is smaller."""
    document = json.loads(recipe)
    kind = MediaKind(document["kind"])
    width, height = document["size"] or (None, None)
    return MediaFacts(kind, TYPES[kind], width, height, document["seconds"])


def _size(wanted: Wanted) -> list[int] | None:
    if wanted.produces is MediaKind.AUDIO:
        return None
    return [int(each) for each in str(wanted.body.get("ratio", USUAL_RATIO)).split(":")]


def _seconds(wanted: Wanted) -> float | None:
    """Asked for, or that of the media that is made over, or that of the text."""
    if wanted.produces is MediaKind.IMAGE:
        return None
    if "duration" in wanted.spec.inputs:
        return float(wanted.body.get("duration") or _left_out(wanted.spec))
    if wanted.spec.operation == "text_to_speech":
        from flowrun.media.sound import duration_of_speech  # loads the codecs

        return duration_of_speech(str(wanted.body["promptText"]))
    timed = (each.facts.duration for each in wanted.inputs if each.path[0] != "character")
    return next((seconds for seconds in timed if seconds), USUAL_SECONDS)


def _left_out(spec: ModelSpec) -> float:
    """The length where none is asked for: the API's default where it is known, else the one that is paid for."""
    if spec.operation == "sound_effect":
        return AUTOMATIC_SECONDS
    described = spec.inputs["duration"]
    return float(described.default or max(described.enum or (described.maximum or USUAL_SECONDS,)))


def _has_sound(spec: ModelSpec, body: Mapping[str, Any]) -> bool:
    """Of the video models only Google's make sound, and the oldest of them always."""
    return bool(body.get("audio", True)) if "audio" in spec.inputs else spec.model == "veo3"


def _further(wanted: Wanted) -> Iterator[str]:
    """What else was asked for, in words: shown in the output, and enough to make it another one."""
    for path, value in sorted(_leaves(wanted.body), key=str):
        if path[-1] not in SHOWN_ELSEWHERE and path not in {each.path for each in wanted.inputs}:
            yield f"{path[-1]} {value:g}" if isinstance(value, float) else f"{path[-1]} {value}"
    for each in wanted.inputs:
        if _role(wanted.body, each.path) == "other":
            yield f"{each.path[0]} {hashlib.sha256(each.source.content.encode()).hexdigest()[:8]}"


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _leaves(each, (*path, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _leaves(each, (*path, index))
    else:
        yield path, value


def _source(body: Mapping[str, Any], given: Input) -> dict[str, Any]:
    return {**asdict(given.source), "role": _role(body, given.path), "tag": _entry(body, given.path).get("tag", "")}


def _role(body: Mapping[str, Any], path: Path) -> str:
    """What an input is to the output: its `first` or `last` image, shown as a `reference`, or `other`."""
    if path[0] in ("promptImage", "videoUri", "character"):
        return str(_entry(body, path).get("position", "first"))
    return "reference" if path[0] == "referenceImages" else "other"


def _entry(body: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """The entry of a list that an input stands in; empty for one that stands in no list."""
    holder, index = body[str(path[0])], path[1] if len(path) > 1 else None
    return holder[index] if isinstance(holder, list) and isinstance(index, int) else {}
