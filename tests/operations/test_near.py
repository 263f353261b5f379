"""Which word was meant: names by spelling, values by nearness."""

from __future__ import annotations

import pytest

from flowrun.operations.near import nearest_name, nearest_value, words

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
