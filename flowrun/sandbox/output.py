"""What a request asks its output to be: of which type, how large, how long, how many. Owns reading that from any request.

Models say the same in many ways: pixels (``1280:720``), a shape (``16:9``) beside a resolution, ``auto`` after what they are
given, or nothing at all. Where the API's description sets no bound, the sandbox sets one of what it can make in a moment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.media.probe import kind_of
from flowrun.operations.model import Path
from flowrun.operations.spec import ModelSpec
from flowrun.operations.wording import options_of

USUAL_RATIO = "1280:720"  # where a request may leave it out
USUAL_SIDE = 720  # pixels of the shorter side, where only a shape is told
USUAL_SECONDS = 5.0  # where nothing says it
AUTOMATIC_SECONDS = 2.0  # of a sound effect whose length was left to the model
LONGEST = {
    MediaKind.VIDEO: 60.0,
    MediaKind.AUDIO: 600.0,
}  # seconds that a request may ask for, where its model sets no bound
LONGEST_MADE = 3600.0  # seconds of what is made over media or from a text
MOST = 10  # outputs of one task: the most that any model makes
MOST_PIXELS, LONGEST_SIDE = 20_000_000, 16_384
USUAL_TYPES = {MediaKind.IMAGE: "image/png", MediaKind.VIDEO: "video/mp4", MediaKind.AUDIO: "audio/mpeg"}
COUNTS = ("outputCount", "numVariants")
FORMATS = ("outputFormat", "format")
TYPES = {  # of the formats that are made; what is not here (ProRes, HDR, sequences of images) comes as the usual type
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg_opus": "audio/ogg",
}
_SIDES = {"480p": 480, "720p": 720, "768p": 768, "1080p": 1080, "1k": 1024, "2k": 1440, "4k": 2160}
_PAIR = re.compile(r"(\d{1,5}):(\d{1,5})")
_FOLLOWING = re.compile(r"(?:auto|adaptive)(?:_(\w+))?")
_SHAPE_AT_MOST = 64  # numbers up to here are a shape, greater ones pixels
_FLATTEST = 4.0  # width by height, or height by width, of an output that follows its input


class OutputError(ValueError):
    """What is asked for at `path` cannot be made."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True, slots=True)
class Output:
    """`size`: width and height in pixels, None for sound; `seconds`: None for images."""

    kind: MediaKind
    media_type: str
    size: tuple[int, int] | None
    seconds: float | None
    count: int


def output_of(
    spec: ModelSpec, produces: MediaKind, body: Mapping[str, Any], given: Sequence[tuple[Path, MediaFacts]]
) -> Output:
    """`given`: what is known of the request's media, by place. Raises OutputError."""
    facts = [each for _, each in given]
    size = None if produces is MediaKind.AUDIO else _size(spec, produces, body, facts)
    return Output(produces, _type(produces, body), size, _seconds(spec, produces, body, given), _count(body))


def _type(produces: MediaKind, body: Mapping[str, Any]) -> str:
    asked = next((TYPES[body[name]] for name in FORMATS if body.get(name) in TYPES), None)
    return asked if asked is not None and kind_of(asked) is produces else USUAL_TYPES[produces]


def _count(body: Mapping[str, Any]) -> int:
    for name in COUNTS:
        if name in body:
            if not 1 <= body[name] <= MOST:
                raise OutputError((name,), f"Expected 1 to {MOST}.")
            return int(body[name])
    return 1


# how large


def _size(
    spec: ModelSpec, produces: MediaKind, body: Mapping[str, Any], given: Sequence[MediaFacts]
) -> tuple[int, int]:
    name = next((each for each in ("ratio", "targetAspectRatio") if each in body), "ratio")
    width, height = _pixels(str(body.get(name) or _left_out_ratio(spec)), name, str(body.get("resolution", "")), given)
    if produces is MediaKind.VIDEO:  # H.264 has no odd sizes
        width, height = width // 2 * 2, height // 2 * 2
    if min(width, height) < 2 or max(width, height) > LONGEST_SIDE or width * height > MOST_PIXELS:
        raise OutputError((name,), f"An output of {width} x {height} pixels is not possible.")
    return width, height


def _left_out_ratio(spec: ModelSpec) -> str:
    options = list(map(str, options_of(spec.inputs["ratio"].schema))) if "ratio" in spec.inputs else []
    if USUAL_RATIO in options:
        return USUAL_RATIO
    return options[0] if options else "auto"


def _pixels(ratio: str, name: str, resolution: str, given: Sequence[MediaFacts]) -> tuple[int, int]:
    if (follows := _FOLLOWING.fullmatch(ratio)) is not None:
        return _shaped(_shape_of(given), _side(follows[1] or resolution))
    pair = _PAIR.fullmatch(ratio)
    if pair is None or "0" in (pair[1].lstrip("0") or "0", pair[2].lstrip("0") or "0"):
        raise OutputError((name,), "Expected a ratio, such as 1280:720.")
    width, height = int(pair[1]), int(pair[2])
    return _shaped(width / height, _side(resolution)) if max(width, height) <= _SHAPE_AT_MOST else (width, height)


def _side(resolution: str) -> int:
    return _SIDES.get(resolution.lower(), USUAL_SIDE)


def _shape_of(given: Sequence[MediaFacts]) -> float:
    """That of the first image or film among the inputs, as far as it is known and usual."""
    shapes = (each.width / each.height for each in given if each.width and each.height)
    return max(1 / _FLATTEST, min(next(shapes, 16 / 9), _FLATTEST))


def _shaped(shape: float, side: int) -> tuple[int, int]:
    longer = round(side * max(shape, 1 / shape) / 2) * 2
    return (longer, side) if shape >= 1 else (side, longer)


# how long


def _seconds(
    spec: ModelSpec, produces: MediaKind, body: Mapping[str, Any], given: Sequence[tuple[Path, MediaFacts]]
) -> float | None:
    """Asked for, or that of the media that is made over, or that of the text."""
    if produces is MediaKind.IMAGE:
        return None
    asked = body.get("duration")
    if isinstance(asked, int | float):
        if not 0 < asked <= LONGEST[produces]:
            raise OutputError(("duration",), f"Expected more than 0 and at most {LONGEST[produces]:g} seconds.")
        return float(asked)
    return min(_unasked(spec, body, given), LONGEST_MADE)


def _unasked(spec: ModelSpec, body: Mapping[str, Any], given: Sequence[tuple[Path, MediaFacts]]) -> float:
    if spec.operation == "text_to_speech":
        from flowrun.media.sound import duration_of_speech  # loads the codecs

        return duration_of_speech(str(body.get("promptText", "")))
    if spec.operation == "sound_effect":
        return AUTOMATIC_SECONDS
    if "duration" in spec.inputs and (usual := _left_out_seconds(spec)) is not None:
        return usual
    timed = (facts.duration for path, facts in given if path[0] != "character")
    return next((seconds for seconds in timed if seconds), USUAL_SECONDS)


def _left_out_seconds(spec: ModelSpec) -> float | None:
    """The API's default where it is known, else the longest that can be asked for: it is the one that is paid for."""
    described = spec.inputs["duration"]
    known = [described.default, *sorted(filter(_is_number, described.enum), reverse=True), described.maximum]
    return next((float(each) for each in known if _is_number(each)), None)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)
