"""What the API asks of media itself: formats and shapes, as tables. Owns these and their judgement of facts.

How long media may be is `rules.WINDOWS`; which kind goes where the schema says; how large a file may be hangs on the way
it travels, which is not the catalogue's. A fact that is not known is not judged.
Sources: the API's page on inputs as restated in 2026 (formats, shapes; no page gives a ceiling of pixels), its skills
files (no GIF), types of its SDK 5.24.0 where a shape stands beside an input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from flowrun.diagnostics.model import Severity
from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.operations.check import FactsOf
from flowrun.operations.model import Problem, Slot, dotted

ANY_CODEC: frozenset[str] = frozenset()
_H26X = frozenset({"h264", "hevc"})

# By true media type: the codecs (FFmpeg's names) of the picture, or of the sound where there is none.
FORMATS: Mapping[str, frozenset[str]] = {
    "image/jpeg": ANY_CODEC,
    "image/png": ANY_CODEC,
    "image/webp": ANY_CODEC,
    "video/mp4": _H26X | {"av1"},
    "video/quicktime": _H26X | {"prores"},
    "video/x-matroska": ANY_CODEC,
    "video/webm": frozenset({"vp8", "vp9", "av1"}),
    "video/3gpp": ANY_CODEC,
    "video/ogg": ANY_CODEC,
    "audio/mpeg": ANY_CODEC,
    "audio/wav": frozenset({"pcm"}),
    "audio/flac": ANY_CODEC,
    "audio/mp4": frozenset({"aac", "alac"}),
    "audio/aac": ANY_CODEC,
}
# Taken, but the API advises against them.
DISCOURAGED_TYPES = frozenset({"video/mpeg", "video/x-msvideo", "video/x-flv"})
DISCOURAGED_CODECS = frozenset({"mjpeg", "mpeg2video", "mpeg1video"})

_NAMED = {MediaKind.IMAGE: "PNG, JPEG and WebP", MediaKind.VIDEO: "MP4, MOV, WebM, MKV, 3GP and OGV"}
_NAMED[MediaKind.AUDIO] = "MP3, WAV (PCM), FLAC, M4A (AAC, ALAC) and AAC"
_BEST = {MediaKind.IMAGE: "PNG or JPEG", MediaKind.VIDEO: "MP4 with H.264", MediaKind.AUDIO: "MP3 or WAV"}


@dataclass(frozen=True, slots=True)
class Shape:
    """Width divided by height, from `low` to `high`, of media of these kinds."""

    low: float
    high: float
    kinds: frozenset[MediaKind] = frozenset({MediaKind.IMAGE, MediaKind.VIDEO})

    def holds(self, width: int, height: int) -> bool:
        """With a pixel's grace, for sizes that were rounded."""
        return (width + 1) / height >= self.low and width / (height + 1) <= self.high


_IMAGES = frozenset({MediaKind.IMAGE})
_VEO, _GROK = Shape(0.5, 2.0, _IMAGES), Shape(0.4, 2.5, _IMAGES)

SHAPES: Mapping[tuple[str, str], Shape] = {
    ("image_to_video", "gen4_turbo"): Shape(0.5, 2.358, _IMAGES),
    ("character_performance", "act_two"): Shape(0.5, 2.358),
    ("video_to_video", "gen4_aleph"): Shape(0.5, 2.358, frozenset({MediaKind.VIDEO})),
    ("image_to_video", "veo3"): _VEO,
    ("image_to_video", "veo3.1"): _VEO,
    ("image_to_video", "veo3.1_fast"): _VEO,
    ("text_to_image", "gemini_2.5_flash"): Shape(0.25, 4.0, _IMAGES),
    ("image_to_video", "grok_imagine_1_5"): _GROK,  # this and the next: the SDK's types
    ("image_to_video", "grok_imagine_1_5_lite"): _GROK,
}


def media_problems(operation: str, model: str, slots: Sequence[Slot], facts: FactsOf) -> Iterator[Problem]:
    """What is wrong with the media in these slots, as far as their facts are known."""
    shape = SHAPES.get((operation, model))
    for slot in slots:
        known = facts(slot.path)
        if known is not None and slot.kind in (None, known.kind):
            yield from format_problems(slot, known) if known.media_type else ()  # nobody has seen it yet
            yield from shape_problems(slot, known, shape, model)


def format_problems(slot: Slot, facts: MediaFacts) -> Iterator[Problem]:
    """A container or codec that the API does not take, or does not like."""
    codec, where = _codec(facts), f"`{dotted(slot.path)}`"
    if facts.media_type in DISCOURAGED_TYPES or (facts.kind is MediaKind.VIDEO and codec in DISCOURAGED_CODECS):
        message = f"{where} is {_described(facts)}, which the API may take but advises against"
        yield Problem(slot.path, "discouraged-format", message, _advice(facts), Severity.WARNING)
        return
    taken = FORMATS.get(facts.media_type)
    if taken is None or (taken and codec and codec not in taken):
        message = f"{where} is {_described(facts)}; the API takes {_NAMED[facts.kind]}"
        yield Problem(slot.path, "unsupported-format", message, _advice(facts))


def shape_problems(slot: Slot, facts: MediaFacts, shape: Shape | None, model: str) -> Iterator[Problem]:
    """Media too wide or too tall for the model."""
    width, height = facts.width, facts.height
    if shape is None or facts.kind not in shape.kinds or not width or not height or shape.holds(width, height):
        return
    what, turn = ("wide", "narrower") if width > height else ("tall", "wider")
    message = (
        f"`{dotted(slot.path)}` is too {what} for {model}: {width}x{height} has a width of {width / height:.3g} heights, "
        f"and it takes {shape.low:g} to {shape.high:g}"
    )
    yield Problem(slot.path, "aspect-window", message, f"crop or pad it to a {turn} shape")


def _codec(facts: MediaFacts) -> str:
    first = facts.codecs[0] if facts.codecs else ""
    return "pcm" if first.startswith("pcm_") else first


def _described(facts: MediaFacts) -> str:
    codec = f" with {facts.codecs[0]}" if facts.codecs and facts.kind is not MediaKind.IMAGE else ""
    return f"{facts.media_type}{codec}"


def _advice(facts: MediaFacts) -> str:
    return f"convert it to {_BEST[facts.kind]}"
