"""A user's overlay file: its schema, the short form of media, and what would stop flowrun later found at once."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from flowrun.diagnostics.model import DiagnosticError
from flowrun.media.facts import MediaKind
from flowrun.operations.catalogue import MODELS_FILE, PRICES_FILE, STRUCTURE_FILE, Catalogue, shipped
from flowrun.operations.data import SHIPPED, document, schema_file
from flowrun.operations.overlay_file import overlay_schema, read_overlay
from flowrun.operations.price import estimate
from flowrun.operations.spec import ModelSpec
from tests.operations.requests import IMAGE

TABLES = {"structure": document(STRUCTURE_FILE), "known": document(MODELS_FILE), "prices": document(PRICES_FILE)}
MODEL = "format: 1\noperations: {image_to_video: {models: {house: {properties: %s}}}}\n"


def read(text: str) -> dict[str, Any]:
    return read_overlay(text, "mine.yaml", [shipped("runwayml-5.24.0")], TABLES)


def house(properties: str, operation: str = "image_to_video") -> ModelSpec:
    found = Catalogue.load([read(MODEL % properties)]).find(operation, "house")
    assert found is not None
    return found


def refused(text: str) -> tuple[str, int, int]:
    with pytest.raises(DiagnosticError) as caught:
        read(text)
    (found,) = caught.value.diagnostics
    assert found.code == "overlay-invalid"
    assert found.span is not None
    return found.message, found.span.line, found.span.column


# -- the schema


def test_the_schema_is_current_and_takes_what_ships() -> None:
    made = overlay_schema()
    written = schema_file("overlay-1.json").read_text(encoding="utf-8")
    assert written == json.dumps(made, ensure_ascii=False, indent=2) + "\n", "run python tools/make_schemas.py"
    check = jsonschema_rs.validator_for(made)
    for name in SHIPPED:
        assert check.is_valid(shipped(name))
    assert check.is_valid(
        {"format": 1, "operations": {"text_to_image": {"models": {"a": {"properties": {"b": None}}}}}}
    )
    assert not check.is_valid({})
    assert not check.is_valid({"format": 2})
    assert not check.is_valid({"format": 1, "retire": {}})
    assert not check.is_valid({"format": 1, "prices": {"a": {"credits": 1, "unit": "frame"}}})


def test_every_key_is_described_and_none_is_titled_after_itself() -> None:
    made = overlay_schema()
    for name, part in {**made["$defs"], "Overlay": made}.items():
        assert part.get("description"), name
        for key, each in part["properties"].items():
            assert "title" not in each
            assert each.get("description") or "$ref" in json.dumps(each), (name, key)


# -- media


def test_media_has_a_short_form() -> None:
    spec = house(
        "{still: {media: image, description: a frame}, clips: {type: array, items: {media: video}}, media: {}}"
    )
    assert [(str(each), each.kind) for each in spec.slot_patterns] == [
        ("still", MediaKind.IMAGE),
        ("clips[]", MediaKind.VIDEO),
    ]
    assert spec.check({"model": "house", "still": IMAGE, "media": 7}) == ()
    (wrong,) = spec.check({"model": "house", "still": "a fox"})
    assert wrong.code == "bad-pattern"
    assert {slot.data_uri_limit for slot in spec.slots({"still": IMAGE})} == {5_000_000}


def test_another_kind_is_told_at_its_place() -> None:
    message, line, column = refused(MODEL % "{still: {anyOf: [{media: picture}]}}")
    assert message.endswith("still.anyOf.0.media: 'picture' is no kind of media; there are image, video, audio")
    assert (line, column) == (2, 85)


# -- what would fail later


@pytest.mark.parametrize(
    "properties",
    [
        "{still: {mediaSlot: {kind: image}}}",
        "{still: {$ref: '#/nowhere'}}",
        "{voice: {oneOf: [{type: object}, {type: string}], discriminator: {propertyName: type}}}",
        "{text: {type: string, pattern: '(?<'}}",
    ],
)
def test_a_schema_that_cannot_be_checked_with_is_refused_when_it_is_read(properties: str) -> None:
    message, line, _ = refused(MODEL % properties)
    assert message.startswith("operations.image_to_video.models.house")
    assert line == 2


def test_what_is_left_out_or_null_is_not_known() -> None:
    mine = read(
        """
format: 1
answers: null
data_uri_characters: null
retired: {gen4_image: {}, gen4_turbo: {since: null, successor: null}}
prices: {act_two: {credits: 3, unit: call, at_least: null, note: null, as_of: 2026-11-23, source: [a mail]}}
"""
    )
    own = Catalogue.load([shipped("runwayml-5.24.0"), mine])
    for operation, model in (("text_to_image", "gen4_image"), ("image_to_video", "gen4_turbo")):
        spec = own.find(operation, model)
        assert spec is not None
        assert spec.retired is not None
        assert (spec.retired.since, spec.retired.successor) == (None, None)
    acting = own.find("character_performance", "act_two")
    assert acting is not None
    assert estimate(acting, {}, lambda path: None).high == 3
    assert own.tells_cost


def test_null_takes_an_input_away() -> None:
    mine = "format: 1\noperations: {text_to_image: {models: {house: {like: gen4_image, properties: {seed: null}}}}}\n"
    found = Catalogue.load([read(mine)]).find("text_to_image", "house")
    assert found is not None
    assert not found.accepts_seed
