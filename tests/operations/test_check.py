"""Checking requests: one problem a place, at the smallest place, in words; and agreement with the plain schema."""

from __future__ import annotations

import time
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.operations.model import UNKNOWN, MediaLeaf, Problem
from flowrun.operations.spec import model_spec

from .requests import IMAGE, PAIRS, VIDEO, VOICE, errors, good, spec_of, the_error

TURBO = ("image_to_video", "gen4_turbo")
VEO = ("image_to_video", "veo3.1")
STILL = ("text_to_image", "gen4_image")
ACT = ("character_performance", "act_two")
SPEECH = ("text_to_speech", "eleven_multilingual_v2")
THRESHOLD = "publicFigureThreshold"
DUB = ("voice_dubbing", "eleven_voice_dubbing")


@pytest.mark.parametrize("pair", PAIRS)
def test_a_good_request_has_no_errors(pair: tuple[str, str]) -> None:
    assert errors(*pair) == []


@pytest.mark.parametrize("pair", PAIRS)
def test_every_required_input_is_missed(pair: tuple[str, str]) -> None:
    spec = spec_of(*pair)
    found = [each for each in spec.check({}) if each.is_error]
    assert {each.missing for each in found} == spec.required
    assert {(each.path, each.code) for each in found} == {((), "missing-input")}


@pytest.mark.parametrize("pair", PAIRS)
def test_an_input_the_api_does_not_know_is_an_error(pair: tuple[str, str]) -> None:
    problem = the_error(*pair, wibble=1)
    assert (problem.path, problem.code) == (("wibble",), "unknown-input")
    assert "it takes " in problem.hint


def test_snake_case_is_an_error_with_the_name_that_was_meant() -> None:
    problem = the_error(*TURBO, prompt_image=IMAGE)
    assert (problem.path, problem.code) == (("prompt_image",), "unknown-input")
    assert problem.hint.startswith("did you mean `promptImage`?")


def test_an_input_of_another_model_is_said_to_be_so() -> None:
    problem = the_error(*TURBO, audio=True)
    assert problem.hint == "`audio` is an input of veo3.1 and veo3.1_fast: change the model or take it out"


@pytest.mark.parametrize(
    ("pair", "changes", "path", "code", "words"),
    [
        (TURBO, {"duration": 12}, ("duration",), "out-of-range", "is 12 seconds; gen4_turbo takes 2 to 10 seconds"),
        (TURBO, {"duration": 1}, ("duration",), "out-of-range", "2 to 10"),
        (TURBO, {"duration": 2.5}, ("duration",), "wrong-type", "takes a whole number, not a number"),
        (TURBO, {"duration": "5"}, ("duration",), "wrong-type", "takes a whole number, not text"),
        (TURBO, {"duration": True}, ("duration",), "wrong-type", "a whole number, not true"),
        (TURBO, {"seed": 2**32}, ("seed",), "out-of-range", "0 to 4294967295"),
        (TURBO, {"seed": 10**40}, ("seed",), "out-of-range", "0 to 4294967295"),
        (TURBO, {"ratio": "1792:1024"}, ("ratio",), "not-allowed", "cannot be 1792:1024 with gen4_turbo"),
        (TURBO, {"ratio": 1280}, ("ratio",), "wrong-type", "takes text, not a whole number"),
        (TURBO, {"ratio": []}, ("ratio",), "wrong-type", "takes text, not a list"),
        (TURBO, {"promptText": ""}, ("promptText",), "too-short", "is empty"),
        (TURBO, {"promptText": {}}, ("promptText",), "wrong-type", "not a mapping"),
        (TURBO, {"promptImage": []}, ("promptImage",), "too-short", "has 0 entries; gen4_turbo takes exactly 1"),
        (TURBO, {"promptImage": 3}, ("promptImage",), "wrong-type", " not a whole number"),
        (TURBO, {"promptImage": [3]}, ("promptImage", 0), "wrong-type", "takes a mapping, not a whole number"),
        (TURBO, {"promptImage": "http://media.example/a.png"}, ("promptImage",), "bad-pattern", "no address"),
        (TURBO, {"promptImage": "https://a"}, ("promptImage",), "too-short", "at least 13"),
        (TURBO, {"promptImage": "https://" + "a" * 2048}, ("promptImage",), "too-long", "at most 2048"),
        (TURBO, {"promptImage": "data:video/mp4;base64,AAAA"}, ("promptImage",), "wrong-media-kind", "an image, not a video"),
        (TURBO, {"promptImage": "data:text/plain,AAAA"}, ("promptImage",), "bad-pattern", "no address"),
        (TURBO, {"contentModeration": {THRESHOLD: "high"}}, ("contentModeration", THRESHOLD), "not-allowed", "high"),
        (TURBO, {"contentModeration": {"level": 1}}, ("contentModeration", "level"), "unknown-input", "has no input `level`"),
        (TURBO, {"model": "veo3"}, ("model",), "not-allowed", "cannot be veo3 with gen4_turbo"),
        (VEO, {"duration": 5}, ("duration",), "not-allowed", "cannot be 5"),
        (("image_to_video", "veo3"), {"duration": 6}, ("duration",), "not-allowed", "cannot be 6"),
        (VEO, {"audio": "yes"}, ("audio",), "wrong-type", "takes true or false, not text"),
        (VEO, {"promptImage": [{"uri": IMAGE, "position": "middle"}]}, ("promptImage", 0, "position"), "not-allowed", "middle"),
        (STILL, {"referenceImages": [{"uri": IMAGE}] * 4}, ("referenceImages",), "too-long", "has 4 entries;"),
        (STILL, {"referenceImages": [{"uri": IMAGE, "tag": "Fox"}]}, ("referenceImages", 0, "tag"), "bad-pattern", "'Fox'"),
        (STILL, {"referenceImages": [{"uri": IMAGE, "tag": "ab"}]}, ("referenceImages", 0, "tag"), "too-short", "takes 3 to 16"),
        (STILL, {"referenceImages": [{"url": IMAGE, "uri": IMAGE}]}, ("referenceImages", 0, "url"), "unknown-input", "[0]`"),
        (("text_to_image", "gen4_image_turbo"), {"referenceImages": []}, ("referenceImages",), "too-short", "takes 1 to 3"),
        (ACT, {"character": {"type": "gif", "uri": IMAGE}}, ("character", "type"), "not-allowed", "cannot be gif"),
        (ACT, {"character": {"type": "image", "uri": 3}}, ("character", "uri"), "wrong-type", "an image, not a whole number"),
        (ACT, {"character": IMAGE}, ("character",), "wrong-type", "takes a mapping, not text"),
        (ACT, {"expressionIntensity": 0}, ("expressionIntensity",), "out-of-range", "1 to 5"),
        (SPEECH, {"voice": {"type": "runway-preset", "presetId": "Maia"}}, ("voice", "presetId"), "not-allowed", "Maia"),
        (SPEECH, {"voice": {"type": "own"}}, ("voice", "type"), "not-allowed", "own"),
        (DUB, {"numSpeakers": 0}, ("numSpeakers",), "out-of-range", "takes more than 0"),
        (DUB, {"targetLang": "xx"}, ("targetLang",), "not-allowed", "xx"),
        (("sound_effect", "eleven_text_to_sound_v2"), {"duration": 0.4}, ("duration",), "out-of-range", "0.5 to 30"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_where_it_is(pair: Any, changes: Any, path: Any, code: str, words: str) -> None:
    found = [each for each in errors(*pair, **changes) if each.missing is None]
    assert [(each.path, each.code) for each in found] == [(path, code)]
    assert words in found[0].message


@pytest.mark.parametrize(
    ("pair", "changes", "hint"),
    [
        (TURBO, {"duration": "5"}, "it takes a whole number, 2 to 10, without quotes"),
        (TURBO, {"duration": 12}, "the nearest is 10"),
        (
            TURBO,
            {"ratio": "1792:1024"},
            "did you mean 1280:720? it takes 1280:720, 720:1280, 1104:832, 832:1104, 960:960 or 1584:672",
        ),
        (TURBO, {"promptText": 5}, 'put it in quotes: "5"; it takes text'),
        (TURBO, {"promptText": []}, "it takes text"),
        (TURBO, {"promptText": "x" * 1003}, "take 3 away"),
        (
            TURBO,
            {"promptImage": "ftp://media.example"},
            "it takes an https:// URL, a runway:// URI or a data:image/ URI",
        ),
        (STILL, {"referenceImages": [{"uri": IMAGE, "tag": "ab"}]}, "add 1 or more"),
        (STILL, {"referenceImages": 3}, "it takes a list"),
        (ACT, {"reference": 3}, "it takes a mapping with type and uri"),
        (("image_to_video", "veo3"), {"duration": 6}, "it takes 8"),
        (DUB, {"numSpeakers": 0}, "take more than 0"),
    ],
)
def test_hints_say_what_to_type_next(pair: Any, changes: Any, hint: str) -> None:
    assert the_error(*pair, **changes).hint == hint


def test_null_is_no_value() -> None:
    request = {**good(*TURBO), "duration": None, "promptImage": None}
    found = {each.path: each for each in spec_of(*TURBO).check(request)}
    assert set(found) == {("duration",), ("promptImage",)}
    assert found["duration",].message == "`duration` takes a whole number, not null"
    assert found["duration",].hint == "leave it out, or give it a value"


def test_the_errors_of_a_union_speak_of_its_tagged_form() -> None:
    found = errors(*ACT, character={"type": "video", "url": VIDEO}, reference={"uri": VIDEO})
    assert [(each.path, each.code, each.missing) for each in found] == [
        (("character",), "missing-input", "uri"),
        (("character", "url"), "unknown-input", None),
        (("reference",), "missing-input", "type"),
    ]
    assert found[0].message == "`character` needs `uri`"
    assert found[1].hint.startswith("did you mean `uri`?")
    untagged = {"uri": "data:video/mp4;base64,AAAA", "wibble": 1}
    assert [(each.missing, each.hint) for each in errors(*ACT, character=untagged)] == [
        ("type", "add `type`: image or video")
    ]


def test_several_unknown_inputs_are_several_problems_in_order() -> None:
    found = errors(*TURBO, wobble=1, wibble=1, duration=99)
    assert [each.path for each in found] == [("duration",), ("wibble",), ("wobble",)]


def test_positions_of_a_list_are_sorted_as_numbers() -> None:
    spec = model_spec(
        "o", "m", {"type": "object", "properties": {"list": {"type": "array", "items": {"type": "string"}}}}
    )
    found = spec.check({"list": [1] * 11})
    assert [each.path[1] for each in found] == list(range(11))


def test_numbers_count_by_value() -> None:
    assert errors(*TURBO, duration=5.0, seed=7.0) == []
    assert errors(*VEO, duration=8.0) == []
    assert errors(*ACT, expressionIntensity=3.0) == []


def test_text_is_counted_in_utf16_code_units() -> None:
    fox = "\U0001f98a"
    assert errors(*TURBO, promptText=fox * 500) == []
    problem = the_error(*TURBO, promptText=fox * 500 + "x")
    assert (problem.code, problem.hint) == ("too-long", "take 1 away")
    assert "has 1001 characters (UTF-16 code units" in problem.message
    assert errors(*TURBO, promptText="é" * 1000) == []
    assert errors(*TURBO, promptText="\ud83d" * 1000) == []
    assert the_error(*TURBO, promptText="\ud83d" * 1001).code == "too-long"


@given(st.text(min_size=1, max_size=600))
def test_length_agrees_with_the_encoding(text: str) -> None:
    text *= 2
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    assert bool(errors(*TURBO, promptText=text)) is (units > 1000)


def test_nothing_is_said_at_or_below_the_unknown() -> None:
    unknown = dict.fromkeys(spec_of(*TURBO).inputs, UNKNOWN)
    assert spec_of(*TURBO).check(unknown) == ()
    assert errors(*ACT, character={"type": UNKNOWN, "uri": UNKNOWN}, reference=UNKNOWN) == []
    assert errors(*VEO, promptImage=[UNKNOWN, {"uri": IMAGE, "position": UNKNOWN}]) == []
    assert errors(*SPEECH, voice={**VOICE, "presetId": UNKNOWN}) == []
    assert [each.path for each in errors(*TURBO, duration=UNKNOWN, seed=-1)] == [("seed",)]


def test_the_name_of_an_unknown_value_is_checked_all_the_same() -> None:
    assert the_error(*TURBO, prompt_text=UNKNOWN).code == "unknown-input"


@pytest.mark.parametrize("kind", [None, *MediaKind])
def test_media_must_be_of_the_slots_kind(kind: MediaKind | None) -> None:
    leaf = MediaLeaf(kind)
    wrong = kind in (MediaKind.AUDIO, MediaKind.VIDEO)
    expected = [(("promptImage",), "wrong-media-kind")] if wrong else []
    assert [(each.path, each.code) for each in errors(*TURBO, promptImage=leaf)] == expected
    nested = errors(*TURBO, promptImage=[{"uri": leaf, "position": "first"}])
    assert [(each.path, each.code) for each in nested] == (
        [(("promptImage", 0, "uri"), "wrong-media-kind")] if wrong else []
    )


def test_the_message_of_wrong_media() -> None:
    problem = the_error(*TURBO, promptImage=MediaLeaf(MediaKind.AUDIO))
    assert problem.message == "`promptImage` takes an image, not audio"
    assert problem.hint == "give it an image: a file, an https URL or a reference to a node's output"


def test_a_tag_beside_media_must_agree_with_it() -> None:
    assert errors(*ACT, character={"type": "video", "uri": MediaLeaf(MediaKind.VIDEO)}) == []
    assert the_error(*ACT, character={"type": "image", "uri": MediaLeaf(MediaKind.VIDEO)}).path == ("character", "uri")
    assert errors(*ACT, character={"type": UNKNOWN, "uri": MediaLeaf(MediaKind.VIDEO)}) == []


def test_facts_tell_the_kind_of_an_address() -> None:
    facts = {("promptImage",): MediaFacts(MediaKind.AUDIO, "audio/mpeg")}
    assert [each.code for each in spec_of(*TURBO).check(good(*TURBO), facts.get)] == ["wrong-media-kind"]
    sound = good(*TURBO, promptImage="data:audio/mpeg;base64,AAAA")
    assert [each.code for each in spec_of(*TURBO).check(sound, facts.get)] == ["wrong-media-kind"]


@pytest.mark.parametrize(
    ("pair", "changes", "path", "hint"),
    [
        (STILL, {"promptText": MediaLeaf()}, ("promptText",), "media goes into referenceImages[].uri; "),
        (STILL, {"referenceImages": MediaLeaf()}, ("referenceImages",), "media goes into referenceImages[].uri; "),
        (SPEECH, {"promptText": MediaLeaf()}, ("promptText",), "media goes into no input of this model; "),
        (TURBO, {"promptText": MediaLeaf()}, ("promptText",), "media goes into promptImage or promptImage[].uri; "),
    ],
)
def test_media_where_none_is_taken(pair: Any, changes: Any, path: Any, hint: str) -> None:
    problem = the_error(*pair, **changes)
    assert (problem.path, problem.code) == (path, "wrong-type")
    assert problem.hint.startswith(hint)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", object()])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    problem = the_error(*TURBO, duration=value)
    assert (problem.path, problem.code) == (("duration",), "wrong-type")
    assert problem.message == "`duration` holds a value that cannot be sent"


def test_names_must_be_text() -> None:
    found = errors(*TURBO, contentModeration={1: "x", 2.5: "y"})
    assert [(each.path, each.code) for each in found] == [
        (("contentModeration", 1), "unknown-input"),
        (("contentModeration", "2.5"), "unknown-input"),
    ]


def test_long_values_and_keys_are_not_repeated() -> None:
    key = "key_" + "ab" * 64
    problem = the_error(*TURBO, ratio=key)
    assert "abab" not in problem.message + problem.hint
    problem = the_error(*TURBO, ratio="x" * 500)
    assert len(problem.message) < 120


def test_a_data_uri_of_megabytes() -> None:
    small = "data:image/png;base64," + "A" * 5_000_000
    assert errors(*TURBO, promptImage=small) == []
    problem = the_error(*TURBO, promptImage=small + "A" * 300_000)
    assert (problem.path, problem.code) == (("promptImage",), "too-long")
    assert "5300022 characters; the API takes at most 5242880" in problem.message
    assert problem.hint.startswith("name the file by its path")
    assert errors(*DUB, audioUri="data:audio/mpeg;base64," + "A" * 6_000_000) == []


def test_checking_is_fast_enough_to_do_for_every_instance() -> None:
    spec, request = spec_of(*TURBO), good(*TURBO)
    spec.check(request)
    start = time.process_time()
    for _ in range(200):
        spec.check(request)
    assert time.process_time() - start < 0.4  # ten times what it takes


def test_a_keyword_without_words_of_its_own_is_still_a_problem() -> None:
    schema = {"type": "object", "properties": {"n": {"multipleOf": 5}, "m": {"enum": ["a", "b"]}}, "required": ["k"]}
    found = model_spec("o", "m", schema).check({"n": 3})
    assert [(each.path, each.code) for each in found] == [((), "missing-input"), (("n",), "not-allowed")]
    assert found[0].hint == "add `k`"
    assert found[1] == Problem(("n",), "not-allowed", "`n` is not what m takes", "it takes any value")


def test_the_form_of_a_text_without_a_hint() -> None:
    schema = {
        "type": "object",
        "properties": {"code": {"type": "string", "pattern": "^x", "minLength": 2}, "n": {"minimum": 3}},
    }
    found = model_spec("o", "m", schema).check({"code": "yy", "n": 1})
    assert [(each.path, each.code, each.hint) for each in found] == [
        (("code",), "bad-pattern", None),
        (("n",), "out-of-range", "the nearest is 3"),
    ]
    assert found[1].message == "`n` is 1; m takes at least 3"


SCRAPS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 40), st.floats(allow_nan=False, allow_infinity=False, width=16),
    st.sampled_from(["", "x", "1280:720", "image", "video", "first", "last", IMAGE, "data:image/png,AAAA", "Maya", "de", "fox"]),
    st.just([]), st.just({}), st.just([{"uri": IMAGE, "position": "first"}]), st.just([{"uri": IMAGE, "tag": "fox"}]),
    st.just({"type": "video", "uri": VIDEO}), st.just({"type": "image", "uri": VIDEO}), st.just(VOICE),
)  # fmt: skip


@given(st.data())
def test_a_request_is_refused_just_where_the_plain_schema_refuses_it(data: st.DataObject) -> None:
    pair = data.draw(st.sampled_from(PAIRS))
    spec = spec_of(*pair)
    request = good(*pair)
    for name in data.draw(st.lists(st.sampled_from(sorted(spec.inputs)), max_size=2)):
        request[name] = data.draw(SCRAPS)
    for name in data.draw(st.lists(st.sampled_from(sorted(spec.inputs)), max_size=1)):
        request.pop(name, None)
    beyond = {"unknown-input", "only-last-frame", "retired-model", "duplicate-position"}
    said = [each for each in spec.check(request) if each.code not in beyond]
    assert (said == []) is jsonschema_rs.is_valid(spec.schema, request)
