"""The page on media says what the tables of the code say."""

from __future__ import annotations

import re

import pytest

from flowrun.diagnostics.codes import registry
from flowrun.engine.collect import TRIES
from flowrun.operations.media_rules import SHAPES
from flowrun.operations.rules import WINDOWS
from flowrun.production.fetching import LARGEST_INPUT
from flowrun.runway import fetch, media_in, pace, transfer
from tests.docs.blocks import ROOT

PAGE = (ROOT / "docs" / "concepts" / "media.md").read_text(encoding="utf-8")
TEXT = " ".join(PAGE.split())


def test_every_shape_is_in_its_table() -> None:
    rows = [
        f"| `{operation}` | `{model}` | {', '.join(sorted(shape.kinds))} | {shape.low:g} | {shape.high:g} |"
        for (operation, model), shape in SHAPES.items()
    ]
    assert [line for line in PAGE.splitlines() if re.match(r"\| `\w+` \| `[\w.]+` \|", line)] == rows


def test_its_codes_are_codes() -> None:
    codes = re.findall(r"\| `([a-z-]+)` \|$", PAGE, re.MULTILINE)
    assert len(codes) == 6
    assert set(codes) <= set(registry())


@pytest.mark.parametrize(
    "said",
    [
        f"at most {media_in.LONGEST_URL} characters",
        f"{media_in.LARGEST_BY_URL['image'] // 10**6} MB image, {media_in.LARGEST_BY_URL['video'] // 10**6} MB video or sound",
        f"{media_in.SMALL_DATA_URI:,} characters",
        f"{media_in.LARGEST_DATA_URI:,} characters",
        f"{media_in.SMALLEST_UPLOAD} bytes to {media_in.LARGEST_UPLOAD // 10**6} MB",
        {3600.0: "lives for another hour"}[media_in.LIFE_LEFT],
        f"{pace.UPLOAD_LIFE / 3600:g} hours, of which the last is not used",
        {4: "four times at most"}[transfer.ATTEMPTS],
        f"at most {LARGEST_INPUT:,} bytes and {fetch.LONGEST / 60:g} minutes; at most {fetch.MOST_REDIRECTS} redirects",
        {8: "After eight tries"}[TRIES],
        "`act_two` lasts {0.low:g} to {0.high:g} seconds".format(WINDOWS["character_performance", "act_two"]).replace(
            "lasts ", "lasts from "
        ),
        "more than {0.low:g} and less than {0.high:g}".format(WINDOWS["voice_isolation", "eleven_voice_isolation"]),
    ],
)
def test_its_numbers_are_the_codes(said: str) -> None:
    assert said in TEXT
