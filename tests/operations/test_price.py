"""Prices: the published examples, what stays unknown, and where bounds hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrun.operations.catalogue import Catalogue
from flowrun.operations.data import document
from flowrun.operations.model import UNKNOWN
from flowrun.operations.price import Price, estimate

from .requests import PAIRS, good, spec_of

TURBO = ("image_to_video", "gen4_turbo")
VEO = ("image_to_video", "veo3.1")
FAST = ("text_to_video", "veo3.1_fast")
STILL = ("text_to_image", "gen4_image")
ACT = ("character_performance", "act_two")
SOUND = ("sound_effect", "eleven_text_to_sound_v2")
SPEECH = ("text_to_speech", "eleven_multilingual_v2")
ISOLATION = ("voice_isolation", "eleven_voice_isolation")
DUB = ("voice_dubbing", "eleven_voice_dubbing")
STS = ("speech_to_speech", "eleven_multilingual_sts_v2")
ALEPH = ("video_to_video", "gen4_aleph")


def price(pair: tuple[str, str], seconds: float | None = None, /, **changes: Any) -> Price:
    return estimate(spec_of(*pair), good(*pair, **changes), lambda _path: seconds)


def range_of(pair: tuple[str, str], seconds: float | None = None, **changes: Any) -> tuple[int | None, int | None]:
    found = price(pair, seconds, **changes)
    return found.low, found.high


def without(pair: tuple[str, str], name: str) -> dict[str, Any]:
    return {key: value for key, value in good(*pair).items() if key != name}


@pytest.mark.parametrize(
    ("pair", "changes", "credits_"),
    [
        (TURBO, {"duration": 5}, 25),
        (TURBO, {"duration": 10.0}, 50),
        (("image_to_video", "gen3a_turbo"), {"duration": 5}, 25),
        (VEO, {"duration": 8, "audio": True}, 320),
        (VEO, {"duration": 8, "audio": False}, 160),
        (FAST, {"duration": 8, "audio": True}, 120),
        (FAST, {"duration": 8, "audio": False}, 80),
        (FAST, {"duration": 8}, 120),
        (("text_to_video", "veo3"), {}, 320),
        (STILL, {"ratio": "1920:1080"}, 8),
        (STILL, {"ratio": "1280:720"}, 5),
        (STILL, {"ratio": "720:960"}, 5),
        (STILL, {"ratio": "1024:1024"}, 8),
        (("text_to_image", "gen4_image_turbo"), {"ratio": "1920:1080"}, 2),
        (("text_to_image", "gemini_2.5_flash"), {}, 5),
        (SPEECH, {"promptText": "x" * 1000}, 20),
        (SPEECH, {"promptText": "x" * 51}, 2),
        (SPEECH, {"promptText": "x"}, 1),
        (SPEECH, {"promptText": "\U0001f98a" * 26}, 2),
    ],
)
def test_prices_that_are_certain(pair: tuple[str, str], changes: dict[str, Any], credits_: int) -> None:
    assert range_of(pair, **changes) == (credits_, credits_)


def test_ten_stills_cost_eighty_cents() -> None:
    assert 10 * price(STILL).high * document("prices.json")["dollars_per_credit"] == pytest.approx(0.80)


@pytest.mark.parametrize(
    ("pair", "seconds", "expected"),
    [
        (ACT, 3, (15, 15)),
        (ACT, 7.3, (37, 40)),  # how a fraction of a second is rounded is not published
        (ACT, 30, (150, 150)),
        (ISOLATION, 60, (10, 10)),
        (ISOLATION, 61, (11, 11)),
        (ISOLATION, 60.00000000000001, (10, 10)),  # a float's last bit is no credit
        (DUB, 3, (2, 2)),
        (DUB, 0.2, (1, 1)),
        (STS, 9, (3, 3)),
        (STS, 9.1, (4, 4)),
        (ALEPH, 4, (60, 60)),
        (ALEPH, 20, (75, 300)),
    ],
)
def test_prices_by_the_length_of_media(pair: tuple[str, str], seconds: float, expected: tuple[int, int]) -> None:
    assert range_of(pair, seconds) == expected


def test_a_length_not_known_yet_is_bounded_by_rules_or_else_unknown() -> None:
    assert range_of(ACT) == (15, 150)
    assert range_of(ISOLATION) == (1, 600)
    for pair in (DUB, STS, ALEPH):
        assert range_of(pair) == (None, None)
        assert not price(pair).is_known
        assert "of a length not known yet" in price(pair).basis


def test_the_path_that_is_asked_for() -> None:
    asked: list[tuple[str | int, ...]] = []
    for pair in PAIRS:
        estimate(spec_of(*pair), good(*pair), asked.append)
    assert asked == [("videoUri",), ("reference", "uri"), ("media", "uri"), ("audioUri",), ("audioUri",)]


def test_an_input_left_out_or_not_known_is_bounded_by_the_schema() -> None:
    assert range_of(TURBO, duration=None) == (10, 50)
    assert range_of(TURBO, duration=UNKNOWN) == (10, 50)
    assert range_of(TURBO, duration="5") == (10, 50)
    assert range_of(TURBO, duration=float("nan")) == (10, 50)
    assert range_of(TURBO, duration=True) == (10, 50)
    assert range_of(VEO, duration=None, audio=None) == (160, 320)
    assert range_of(VEO, duration=8, audio=UNKNOWN) == (160, 320)
    assert range_of(VEO, duration=UNKNOWN, audio=UNKNOWN) == (80, 320)
    assert range_of(("image_to_video", "veo3"), duration=None) == (320, 320)
    assert range_of(("image_to_video", "gen3a_turbo"), duration=None) == (50, 50)  # the schema has a default
    assert range_of(STILL, ratio=UNKNOWN) == (5, 8)
    assert range_of(SPEECH, promptText=UNKNOWN) == (1, 20)


def test_sound_effects_are_estimated_at_the_most_that_is_said() -> None:
    assert range_of(SOUND, duration=None) == (1, 2)
    assert range_of(SOUND, duration=0.5) == (1, 2)
    assert range_of(SOUND, duration=12.2) == (1, 13)
    assert range_of(SOUND, duration=UNKNOWN) == (1, 30)
    assert price(SOUND).confidence == "low"


def test_an_unknown_price_stays_unknown() -> None:
    unknown = estimate(replace(spec_of(*TURBO), price=None), good(*TURBO), lambda _path: None)
    assert unknown == Price(None, None, "no price of gen4_turbo is known", "none")
    assert not unknown.is_known


def test_the_basis_says_how() -> None:
    assert price(TURBO).basis == "5 credits for each second, 5 seconds (duration)"
    assert price(SPEECH, promptText="x" * 7).basis == "1 credit for each 50 characters, 7 characters (promptText)"
    assert price(ACT).basis == "5 credits for each second, 3 to 30 seconds (reference.uri)"
    assert price(STILL).basis.startswith("8 credits for each image, 1 image; 5 for 720p")
    assert price(STILL, ratio=UNKNOWN).basis.startswith("5 to 8 credits for each image")


@pytest.mark.parametrize("pair", PAIRS)
def test_every_model_has_a_price_with_date_and_source(pair: tuple[str, str]) -> None:
    table = document("prices.json")
    entry = table["models"][pair[1]]
    assert date.fromisoformat(entry["as_of"]) <= date.fromisoformat(table["as_of"])
    assert entry["source"]
    assert set(entry["source"]) <= set(table["sources"])
    assert entry["confidence"] in {"high", "medium", "low"}
    found = price(pair, 10)
    assert found.is_known
    assert (found.confidence, found.as_of) == (entry["confidence"], entry["as_of"])


def test_the_inputs_that_prices_name_exist() -> None:
    table = document("prices.json")["models"]
    for pair in PAIRS:
        entry, spec = table[pair[1]], spec_of(*pair)
        for case in entry.get("when", []):
            options = spec.inputs[case["input"]].enum
            assert not options or set(case["in"]) <= set(options)
        assert {entry.get("input"), entry.get("text")} <= {None, *spec.inputs}
        assert "media" not in entry or spec.expected_types(tuple(entry["media"])) == {"string"}


def test_720p_is_where_a_side_is_720() -> None:
    cheap = document("prices.json")["models"]["gen4_image"]["when"][0]["in"]
    assert set(cheap) == {each for each in spec_of(*STILL).inputs["ratio"].enum if "720" in each.split(":")}


def test_a_table_of_ones_own() -> None:
    own = Catalogue.load([{"prices": {"gen4_turbo": {**spec_of(*TURBO).price, "credits": 7}}}])
    assert estimate(own.find(*TURBO), good(*TURBO), lambda _path: None).high == 35


@given(st.floats(0.001, 4000), st.sampled_from([ACT, ISOLATION, DUB, STS, ALEPH]))
def test_estimates_are_whole_ordered_and_never_nothing(seconds: float, pair: tuple[str, str]) -> None:
    low, high = range_of(pair, seconds)
    assert isinstance(low, int)
    assert isinstance(high, int)
    assert 1 <= low <= high
