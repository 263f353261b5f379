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
from flowrun.sandbox.output import USUAL_TYPES, Output

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
    output: Output
    body: Mapping[str, Any]
    inputs: tuple[Input, ...]
    variation: int
    tiny: bool


def recipe_of(wanted: Wanted) -> str:
    """The recipe, as canonical as its making: fields in one order, no spaces."""
    body, spec, output = wanted.body, wanted.spec, wanted.output
    document = {
        "format": 2,
        "kind": output.kind,
        "type": output.media_type,
        "size": output.size,
        "seconds": output.seconds,
        "count": output.count,
        "audio": output.kind is MediaKind.VIDEO and _has_sound(spec, body),
        "operation": " · ".join([spec.operation, *_further(wanted)]),
        "model": spec.model,
        "prompt": body.get("promptText", ""),
        "voice": str(body.get("voice", {}).get("presetId", "")),
        "seed": body.get("seed"),
        "variation": wanted.variation,
        "tiny": wanted.tiny,
        "sources": [_source(body, each) for each in wanted.inputs],
    }
    return _dumped(document)


def digest_of(recipe: str) -> str:
    return hashlib.sha256(recipe.encode()).hexdigest()


def read(recipe: str) -> dict[str, Any]:
    """A recipe's fields. One of format 1, which a kept state may hold, asks for one output of the usual type."""
    document = json.loads(recipe)
    return {"count": 1, "type": USUAL_TYPES[document["kind"]], **document}


def takes(recipe: str) -> list[str]:
    """One recipe for each output that a task's recipe asks for, each another take."""
    document = read(recipe)
    count, first = document["count"], document["variation"] * document["count"]
    if count == 1:
        return [recipe]
    return [_dumped({**document, "count": 1, "variation": first + number}) for number in range(count)]


def of_kind(recipe: str, kind: MediaKind) -> str:
    """The recipe of something else entirely, as long and as wide as a placeholder."""
    size, seconds = (None, 1.0) if kind is MediaKind.AUDIO else ((640, 360), None)
    document = {**read(recipe), "kind": kind, "type": USUAL_TYPES[kind], "size": size, "seconds": seconds}
    return _dumped({**document, "sources": []})


def facts_of(recipe: str) -> MediaFacts:
    """What is known of the media before it is made, as asked for: `tiny` media is smaller."""
    document = read(recipe)
    width, height = document["size"] or (None, None)
    return MediaFacts(MediaKind(document["kind"]), document["type"], width, height, document["seconds"])


def _dumped(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def _has_sound(spec: ModelSpec, body: Mapping[str, Any]) -> bool:
    """The models that have a switch make sound unless told not to, and the oldest of Google's always."""
    return bool(body.get("audio", True)) if "audio" in spec.inputs else spec.model == "veo3"


def _further(wanted: Wanted) -> Iterator[str]:
    """What else was asked for, in words: shown in the output, and enough to make it another one."""
    for path, value in sorted(leaves(wanted.body), key=str):
        if path[-1] not in SHOWN_ELSEWHERE and path not in {each.path for each in wanted.inputs}:
            yield f"{path[-1]} {value:g}" if isinstance(value, float) else f"{path[-1]} {value}"
    for each in wanted.inputs:
        if _role(wanted.body, each.path) == "other":
            yield f"{each.path[0]} {hashlib.sha256(each.source.content.encode()).hexdigest()[:8]}"


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """What stands in a request where nothing stands further in, by place."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from leaves(each, (*path, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from leaves(each, (*path, index))
    else:
        yield path, value


def _source(body: Mapping[str, Any], given: Input) -> dict[str, Any]:
    return {**asdict(given.source), "role": _role(body, given.path), "tag": _entry(body, given.path).get("tag", "")}


def _role(body: Mapping[str, Any], path: Path) -> str:
    """What an input is to the output: its `first` or `last` image, shown as a `reference`, or `other`."""
    if path[0] in ("promptImage", "promptVideo", "videoUri", "character"):
        return str(_entry(body, path).get("position", "first"))
    return "reference" if path[0] == "referenceImages" else "other"


def _entry(body: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """The entry of a list that an input stands in; empty for one that stands in no list."""
    holder, index = body[str(path[0])], path[1] if len(path) > 1 else None
    entry = holder[index] if isinstance(holder, list) and isinstance(index, int) else {}
    return entry if isinstance(entry, Mapping) else {}
