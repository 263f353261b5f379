"""The rules that the schema cannot say, one test or more each."""

from __future__ import annotations

import re

import pytest

from flowrun.diagnostics.model import Severity
from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.operations.model import UNKNOWN, MediaLeaf, Problem
from flowrun.operations.rules import RULES, WINDOWS

from .requests import IMAGE, PAIRS, errors, good, spec_of, spec_of_today, the_error


def reference(tag: object) -> dict[str, object]:
    return {"uri": IMAGE, "tag": tag}


def frame(position: object) -> dict[str, object]:
    return {"uri": IMAGE, "position": position}


def test_every_rule_is_for_a_model_that_exists() -> None:
    assert all(any(operation == each[0] and model in (each[1], "*") for each in PAIRS) for operation, model, _ in RULES)
    assert set(WINDOWS) <= set(PAIRS)


@pytest.mark.parametrize("model", ["gen4_image", "gen4_image_turbo", "gemini_2.5_flash"])
def test_tags_are_unique(model: str) -> None:
    images = [reference("fox"), {"uri": IMAGE}, reference("fox")]
    problem = the_error("text_to_image", model, referenceImages=images)
    assert (problem.code, problem.path, problem.earlier) == (
        "duplicate-tag",
        ("referenceImages", 2, "tag"),
        ("referenceImages", 0, "tag"),
    )
    assert problem.message == "the tag `fox` of `referenceImages[2]` is taken by `referenceImages[0]`"
    assert errors("text_to_image", model, referenceImages=[reference("fox"), reference("dog"), {"uri": IMAGE}]) == []
    assert errors("text_to_image", model, referenceImages=[reference(UNKNOWN), reference(UNKNOWN)]) == []


def test_a_tag_that_stands_three_times_is_two_problems() -> None:
    found = errors("text_to_image", "gen4_image", referenceImages=[reference("fox")] * 3)
    assert [(each.path[1], each.earlier[1]) for each in found] == [(1, 0), (2, 0)]


@pytest.mark.parametrize("model", ["veo3.1", "veo3.1_fast", "gen3a_turbo"])
def test_positions_are_unique(model: str) -> None:
    problem = the_error("image_to_video", model, promptImage=[frame("first"), frame("first")])
    assert (problem.code, problem.path) == ("duplicate-position", ("promptImage", 1, "position"))
    assert problem.earlier == ("promptImage", 0, "position")
    assert errors("image_to_video", model, promptImage=[frame("last"), frame("first")]) == []
    assert errors("image_to_video", model, promptImage=[frame(UNKNOWN), frame("first")]) == []


@pytest.mark.parametrize("model", ["veo3.1", "veo3.1_fast"])
def test_never_only_a_last_frame(model: str) -> None:
    problem = the_error("image_to_video", model, promptImage=[frame("last")])
    assert (problem.code, problem.path) == ("only-last-frame", ("promptImage",))
    assert "position: first" in problem.hint
    assert errors("image_to_video", model, promptImage=[frame("first")]) == []
    assert errors("image_to_video", model, promptImage=[frame("last"), frame(UNKNOWN)]) == []
    assert errors("image_to_video", model, promptImage=[frame("last"), UNKNOWN]) == []


def test_one_model_takes_a_last_frame_alone() -> None:
    assert errors("image_to_video", "gen3a_turbo", promptImage=[frame("last")]) == []


def test_aleph_takes_one_reference() -> None:
    one = {"type": "image", "uri": MediaLeaf(MediaKind.IMAGE)}
    assert errors("video_to_video", "gen4_aleph", references=[one]) == []
    assert errors("video_to_video", "gen4_aleph", references=[]) == []
    assert the_error("video_to_video", "gen4_aleph", references=[one, one]).hint == "take 1 away"
    problem = the_error("video_to_video", "gen4_aleph", references=[one, one, one])
    assert (problem.code, problem.path, problem.hint) == ("too-many-references", ("references", 1), "take 2 away")
    assert "has 3 entries" in problem.message


def of_length(
    operation: str, model: str, path: tuple[str, ...], seconds: float | None, kind: MediaKind
) -> list[Problem]:
    media_type = {MediaKind.VIDEO: "video/mp4", MediaKind.AUDIO: "audio/mpeg", MediaKind.IMAGE: "image/png"}[kind]
    facts = {path: MediaFacts(kind, media_type, duration=seconds)}
    return [each for each in spec_of(operation, model).check(good(operation, model), facts.get) if each.is_error]


@pytest.mark.parametrize(("seconds", "good_"), [(2.999, False), (3, True), (30, True), (30.001, False), (None, True)])
def test_a_performance_lasts_3_to_30_seconds(seconds: float | None, good_: bool) -> None:
    found = of_length("character_performance", "act_two", ("reference", "uri"), seconds, MediaKind.VIDEO)
    assert [(each.code, each.path) for each in found] == ([] if good_ else [("duration-window", ("reference", "uri"))])


@pytest.mark.parametrize(
    ("seconds", "good_"), [(4.6, False), (4.61, True), (3599.9, True), (3600, False), (None, True)]
)
def test_sound_to_isolate_lasts_more_than_4_6_seconds_and_less_than_an_hour(seconds: float | None, good_: bool) -> None:
    found = of_length("voice_isolation", "eleven_voice_isolation", ("audioUri",), seconds, MediaKind.AUDIO)
    assert [(each.code, each.path) for each in found] == ([] if good_ else [("duration-window", ("audioUri",))])


def test_the_words_of_a_window() -> None:
    long, short = (
        of_length("character_performance", "act_two", ("reference", "uri"), seconds, MediaKind.VIDEO)[0]
        for seconds in (31.5, 1)
    )
    assert long.message == "`reference.uri` is 31.5 seconds long; it must be from 3 to 30 seconds"
    assert (long.hint, short.hint) == ("cut it shorter", "take a longer one")
    sound = of_length("voice_isolation", "eleven_voice_isolation", ("audioUri",), 3600, MediaKind.AUDIO)[0]
    assert sound.message.endswith("it must be more than 4.6 and less than 3600 seconds")
    assert sound.hint == "cut it shorter"


def test_no_window_where_the_media_is_not_known() -> None:
    facts = {("reference", "uri"): MediaFacts(MediaKind.VIDEO, "video/mp4", duration=99)}
    act = ("character_performance", "act_two")
    assert spec_of(*act).check(good(*act, reference=UNKNOWN), facts.get) == ()


@pytest.mark.parametrize(
    ("operation", "model", "successor"),
    [
        ("image_to_video", "gen3a_turbo", "gen4_turbo"),
        ("text_to_video", "veo3", "veo3.1"),
        ("video_to_video", "gen4_aleph", "aleph2"),
    ],
)
def test_a_retired_model_is_a_warning(operation: str, model: str, successor: str) -> None:
    (problem,) = spec_of_today(operation, model).check(good(operation, model))
    assert (problem.code, problem.path, problem.severity) == ("retired-model", ("model",), Severity.WARNING)
    assert problem.hint.startswith(f"its successor is {successor}; of this operation, ")
    assert model not in problem.hint.split(", ")
    assert re.search(r"operation, (\S+, ){3}\S+ and \d+ more can be used$", problem.hint), "a few, not two dozen"
    assert not problem.is_error


def test_the_warning_says_since_when_where_that_is_known() -> None:
    (aleph,) = spec_of_today("video_to_video", "gen4_aleph").check(good("video_to_video", "gen4_aleph"))
    (veo,) = spec_of_today("text_to_video", "veo3").check(good("text_to_video", "veo3"))
    assert aleph.message == "gen4_aleph is retired: the live API refuses it since 2026-07-30"
    assert veo.message == "veo3 is retired: the live API refuses it"
