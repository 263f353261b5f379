"""Media slots of concrete requests: by structure, whatever the leaf is."""

from __future__ import annotations

from typing import Any

import pytest

from flowrun.media.facts import MediaKind
from flowrun.operations.model import UNKNOWN, MediaLeaf

from .requests import spec_of, spec_of_today

LEAVES = ["https://media.example/a.png", object(), UNKNOWN, MediaLeaf(), {"$media": "ab"}, None, 3]


def found(operation: str, model: str, request: Any) -> list[tuple[tuple[str | int, ...], str | None]]:
    return [(slot.path, slot.kind) for slot in spec_of(operation, model).slots(request)]


@pytest.mark.parametrize("leaf", LEAVES)
def test_slots_are_found_by_structure(leaf: object) -> None:
    assert found("image_to_video", "veo3.1", {"promptImage": leaf}) == [(("promptImage",), "image")]
    positions = [{"uri": leaf, "position": "first"}, {"position": "last", "uri": leaf}]
    expected = [(("promptImage", 0, "uri"), "image"), (("promptImage", 1, "uri"), "image")]
    assert found("image_to_video", "veo3.1", {"promptImage": positions}) == expected
    assert found("text_to_image", "gen4_image", {"referenceImages": [{"tag": "fox"}, {"uri": leaf}]}) == [
        (("referenceImages", 1, "uri"), "image")
    ]
    assert found(
        "video_to_video", "gen4_aleph", {"references": ({"type": "image", "uri": leaf},), "videoUri": leaf}
    ) == [
        (("references", 0, "uri"), "image"),
        (("videoUri",), "video"),
    ]
    assert found("voice_dubbing", "eleven_voice_dubbing", {"audioUri": leaf}) == [(("audioUri",), "audio")]


@pytest.mark.parametrize(("tag", "kind"), [("image", "image"), ("video", "video"), (UNKNOWN, None), ("gif", None)])
def test_a_tag_decides_the_kind(tag: object, kind: str | None) -> None:
    assert found("character_performance", "act_two", {"character": {"uri": 1, "type": tag}}) == [
        (("character", "uri"), kind)
    ]


def test_without_a_tag_a_lone_form_is_meant() -> None:
    assert found("character_performance", "act_two", {"reference": {"uri": 1}}) == [(("reference", "uri"), "video")]
    assert found("speech_to_speech", "eleven_multilingual_sts_v2", {"media": {"uri": 1}}) == [(("media", "uri"), None)]


def test_what_is_not_there_has_no_slot() -> None:
    assert found("image_to_video", "veo3.1", {"promptText": "a fox", "other": {"uri": 1}}) == []
    assert found("text_to_image", "gen4_image", {"referenceImages": UNKNOWN}) == []
    assert found("character_performance", "act_two", {"character": UNKNOWN, "reference": "x"}) == []


def test_the_limit_is_the_lower_of_the_description_and_today() -> None:
    slots = spec_of_today("character_performance", "act_two").slots({"character": {"uri": 1}, "reference": {"uri": 1}})
    assert [slot.data_uri_limit for slot in slots] == [5_000_000, 5_000_000]
    assert slots[1].kind is MediaKind.VIDEO
