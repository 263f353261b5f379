"""Did you mean."""

from __future__ import annotations

import pytest

from flowrun.diagnostics.suggest import did_you_mean, suggest

NAMES = ["promptText", "promptImage", "ratio", "duration", "nodes", "seed"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("prompt_text", "promptText"), ("PROMPT-IMAGE", "promptImage"), ("promptTxt", "promptText"), ("nodse", "nodes"),
        ("rato", "ratio"), ("ratioo", "ratio"), ("dur", "duration"), ("prompt", None), ("zzz", None), ("", None), ("se", None),
        ("sede", "seed"),
    ],
)  # fmt: skip
def test_suggestions(word: str, expected: str | None) -> None:
    assert suggest(word, NAMES) == expected


def test_the_nearest_wins_and_then_the_first() -> None:
    assert suggest("abcx", ["abyy", "abcd", "abce"]) == "abcd"
    assert suggest("abc", []) is None


def test_as_a_hint() -> None:
    assert did_you_mean("nods", NAMES) == "did you mean `nodes`?"
    assert did_you_mean("qqqqqq", NAMES) is None
