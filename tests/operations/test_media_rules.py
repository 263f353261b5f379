"""Formats and shapes of media: what is refused, what is only advised against, and what is not judged."""

from __future__ import annotations

import pytest

from flowrun.diagnostics.model import Severity
from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.media.types import extension
from flowrun.operations.catalogue import catalogue
from flowrun.operations.media_rules import DISCOURAGED_TYPES, FORMATS, SHAPES
from flowrun.operations.model import Path, Problem

from .requests import good, spec_of_today

URI = "https://media.example/a"
MEDIA_PATH: dict[tuple[str, str], Path] = {
    ("image_to_video", "gen4_turbo"): ("promptImage",),
    ("character_performance", "act_two"): ("reference", "uri"),
    ("voice_isolation", "eleven_voice_isolation"): ("audioUri",),
}
PLACE = dict(zip(MediaKind, MEDIA_PATH, strict=True))


def problems(place: tuple[str, str], path: Path, facts: MediaFacts) -> list[Problem]:
    return list(spec_of_today(*place).check(good(*place), {path: facts}.get))


def judged(media_type: str, *codecs: str) -> list[tuple[str, Severity]]:
    """What is said of media of this type, of a length and a shape that nobody minds."""
    kind = MediaKind(media_type.partition("/")[0])
    facts = MediaFacts(kind, media_type, None, None, 10.0, codecs)
    place = PLACE[kind]
    return [(each.code, each.severity) for each in problems(place, MEDIA_PATH[place], facts)]


@pytest.mark.parametrize(
    ("media_type", "codec"),
    [
        ("image/png", "png"),
        ("image/jpeg", "mjpeg"),
        ("image/webp", "webp"),
        ("video/mp4", "h264"),
        ("video/mp4", "hevc"),
        ("video/mp4", "av1"),
        ("video/quicktime", "prores"),
        ("video/x-matroska", "vp9"),
        ("video/webm", "vp8"),
        ("video/3gpp", "h263"),
        ("video/ogg", "theora"),
        ("audio/mpeg", "mp3"),
        ("audio/wav", "pcm_s24le"),
        ("audio/flac", "flac"),
        ("audio/mp4", "alac"),
        ("audio/aac", "aac"),
    ],
)
def test_what_the_api_takes(media_type: str, codec: str) -> None:
    assert judged(media_type, codec) == []
    assert judged(media_type) == [], "a codec that is not known is not judged"


@pytest.mark.parametrize(
    ("media_type", "codec"),
    [
        ("image/gif", "gif"),
        ("video/mp4", "mpeg4"),
        ("video/quicktime", "vp9"),
        ("video/webm", "h264"),
        ("audio/wav", "adpcm_ms"),
        ("audio/mp4", "opus"),
        ("audio/ogg", "opus"),
        ("audio/webm", "opus"),
    ],
)
def test_what_it_refuses(media_type: str, codec: str) -> None:
    assert judged(media_type, codec) == [("unsupported-format", Severity.ERROR)]


@pytest.mark.parametrize(
    ("media_type", "codec"),
    [("video/x-msvideo", "h264"), ("video/x-flv", "flv1"), ("video/mpeg", "mpeg2video"), ("video/quicktime", "mjpeg")],
)
def test_what_it_advises_against(media_type: str, codec: str) -> None:
    assert judged(media_type, codec) == [("discouraged-format", Severity.WARNING)]


def test_the_words_name_the_format_and_a_way_out() -> None:
    facts = MediaFacts(MediaKind.VIDEO, "video/webm", 1280, 720, 5.0, ("h264", "opus"))
    (problem,) = problems(("character_performance", "act_two"), ("reference", "uri"), facts)
    assert problem.message == (
        "`reference.uri` is video/webm with h264; the API takes MP4, MOV, WebM, MKV, 3GP and OGV"
    )
    assert problem.hint == "convert it to MP4 with H.264"


def test_every_type_in_the_tables_has_a_file_extension() -> None:
    """It names the upload, and by its name the API tells the type."""
    assert all(extension(each) != ".bin" for each in [*FORMATS, *DISCOURAGED_TYPES])


def test_every_shape_is_of_a_model_that_exists() -> None:
    assert all(catalogue().find(*place) is not None for place in SHAPES)


@pytest.mark.parametrize("place", SHAPES)
def test_the_window_of_each_model(place: tuple[str, str]) -> None:
    """A pixel is not much, a tenth is."""
    shape, spec = SHAPES[place], catalogue().find(*place)
    assert spec is not None
    checked = 0
    for pattern in spec.slot_patterns:
        path, request = _request(pattern.path, pattern.kind)
        for low, high, inside in ((shape.low, shape.high, True), (shape.low * 0.9, shape.high * 1.1, False)):
            for aspect in (low, high):
                facts = MediaFacts(pattern.kind, "image/png", round(1000 * aspect), 1000, 10.0)
                found = [each for each in spec.check(request, {path: facts}.get) if each.code == "aspect-window"]
                judged_here = pattern.kind in shape.kinds
                assert [each.path for each in found] == ([path] if judged_here and not inside else [])
                checked += judged_here
    assert checked >= 4


def _request(pattern: tuple[str, ...], kind: MediaKind) -> tuple[Path, dict[str, object]]:
    """A request with media at one place alone; what else is wrong with it does not matter."""
    path: Path = tuple(0 if part == "*" else part for part in pattern)
    value: object = URI
    for part in reversed(path):
        value = [value] if part == 0 else {part: value, **({"type": kind.value} if part == "uri" else {})}
    assert isinstance(value, dict)
    return path, value


@pytest.mark.parametrize(
    ("width", "height", "words"),
    [(2400, 1000, "too wide for gen4_turbo: 2400x1000"), (400, 1000, "too tall for gen4_turbo: 400x1000")],
)
def test_the_words_of_a_shape(width: int, height: int, words: str) -> None:
    facts = MediaFacts(MediaKind.IMAGE, "image/png", width, height)
    (problem,) = problems(("image_to_video", "gen4_turbo"), ("promptImage",), facts)
    assert words in problem.message
    assert "takes 0.5 to 2.358" in problem.message
    assert "shape" in str(problem.hint)


def test_a_shape_that_is_not_known_is_not_judged() -> None:
    facts = MediaFacts(MediaKind.IMAGE, "image/png", None, None)
    assert problems(("image_to_video", "gen4_turbo"), ("promptImage",), facts) == []


def test_media_of_another_kind_is_one_problem() -> None:
    facts = MediaFacts(MediaKind.AUDIO, "audio/ogg")
    found = problems(("image_to_video", "gen4_turbo"), ("promptImage",), facts)
    assert [each.code for each in found] == ["wrong-media-kind"]
