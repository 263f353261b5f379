"""Which word was meant: names by spelling, values by nearness."""

from __future__ import annotations

import pytest

from flowrun.operations.near import by_nearness, nearest_name, nearest_value, words

INPUTS = ["promptText", "promptImage", "ratio", "duration", "seed", "audio", "model"]


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("prompt_text", "promptText"),
        ("PromptText", "promptText"),
        ("ration", "ratio"),
        ("image", "promptImage"),
        ("text", "promptText"),
        ("xyzzy", None),
        ("prompt", None),
        ("", None),
    ],
)
def test_names(asked: str, meant: str | None) -> None:
    assert nearest_name(asked, INPUTS) == meant


@pytest.mark.parametrize(
    ("value", "options", "near"),
    [
        (5.4, [4, 6, 8], 6),
        (99, [4, 6, 8], 8),
        (5, ["a"], None),
        (True, [1, 2], None),
        ("1792:1024", ["1280:720", "720:1280", "960:960"], "1280:720"),
        ("9:16", ["1280:720", "720:1280", "960:960"], "720:1280"),
        ("1900:1080", ["1280:720", "1920:1080"], "1920:1080"),
        ("0:5", ["1280:720"], None),
        ("Maia", ["Maya", "Mariah", "Mark"], "Maya"),
        (None, ["low", "auto"], None),
    ],
)
def test_values(value: object, options: list[object], near: object) -> None:
    assert nearest_value(value, options) == near


def test_words() -> None:
    assert words("promptImage") == {"prompt", "image"}
    assert words("data-uri_limit") == {"data", "uri", "limit"}


def test_names_that_share_words_come_first_then_those_that_look_alike() -> None:
    names = ["gen4_image", "muse_image", "gen4_turbo", "veo3", "veo3.1"]
    assert by_nearness("gen4-turb", names) == ["gen4_turbo", "gen4_image", "muse_image", "veo3", "veo3.1"]
    assert by_nearness("veo4", names)[:2] == ["veo3", "veo3.1"]
