"""Overlays: models added, changed and retired by data alone; what only an overlay refuses; a user's own file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowrun.diagnostics.model import DiagnosticError, Severity
from flowrun.media.facts import MediaKind
from flowrun.operations.catalogue import (
    MODELS_FILE,
    PRICES_FILE,
    STRUCTURE_FILE,
    Catalogue,
    catalogue,
    described,
    shipped,
)
from flowrun.operations.data import document
from flowrun.operations.model import MediaLeaf
from flowrun.operations.overlay import OverlayError, base_tables, lay
from flowrun.operations.overlay_file import read_overlay
from flowrun.operations.price import estimate

from .requests import IMAGE, PAIRS, good, spec_of, spec_of_today

TABLES = {
    "structure": document(STRUCTURE_FILE),
    "known": document(MODELS_FILE),
    "prices": document(PRICES_FILE),
}
TURBO = ("image_to_video", "gen4_turbo")


def read(text: str) -> dict[str, Any]:
    return read_overlay(text, "mine.yaml", [shipped("runwayml-5.24.0")], TABLES)


def refused(text: str) -> list[tuple[str, int, int]]:
    with pytest.raises(DiagnosticError) as caught:
        read(text)
    found = caught.value.diagnostics
    assert all(each.code == "overlay-invalid" for each in found)
    return [(each.message, each.span.line, each.span.column) for each in found if each.span]


def test_the_description_alone_has_its_models_and_the_overlay_todays() -> None:
    assert sum(len(each.models) for each in described().operations.values()) == len(PAIRS) == 18
    today = {(name, model) for name, each in catalogue().operations.items() for model in each.models}
    assert len(today - {pair for pair in PAIRS if spec_of_today(*pair).retired}) == 93
    assert (described().tells_cost, catalogue().tells_cost) == (False, True)


def test_what_an_overlay_says_nothing_of_stays() -> None:
    assert spec_of_today(*TURBO).schema == spec_of(*TURBO).schema
    assert spec_of_today(*TURBO).described is None


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if not spec_of_today(*pair).retired])
def test_good_requests_of_the_description_are_good_today(pair: tuple[str, str]) -> None:
    assert not spec_of_today(*pair).check(good(*pair))


def test_every_model_of_the_overlay_compiles_and_refuses_an_unknown_input() -> None:
    for operation in catalogue().operations.values():
        for model, spec in operation.models.items():
            found = spec.check({"model": model, "xyzzy": 1})
            assert any(each.path == ("xyzzy",) for each in found), (operation.name, model)


def test_a_value_that_only_the_overlay_refuses_is_a_warning_with_a_code_of_its_own() -> None:
    overlay = {
        "operations": {TURBO[0]: {"models": {TURBO[1]: {"like": TURBO[1], "properties": {"duration": {"maximum": 8}}}}}}
    }
    spec = Catalogue.load([overlay]).find(*TURBO)
    assert spec is not None
    (problem,) = spec.check(good(*TURBO, duration=9))
    assert (problem.code, problem.severity, problem.path) == ("live-refuses", Severity.WARNING, ("duration",))
    assert problem.message.startswith("the live API refuses this today: ")
    (worse,) = spec.check(good(*TURBO, duration=99))
    assert (worse.code, worse.severity) == ("out-of-range", Severity.ERROR)
    assert spec.check(good(*TURBO, duration=8)) == ()


def test_a_value_that_only_the_overlay_takes_is_taken() -> None:
    ratio = {"ratio": {"enum": ["1280:720", "640:360"]}}
    overlay = {"operations": {TURBO[0]: {"models": {TURBO[1]: {"like": TURBO[1], "properties": ratio}}}}}
    spec = Catalogue.load([overlay]).find(*TURBO)
    assert spec is not None
    assert spec.check(good(*TURBO, ratio="640:360")) == ()


def test_a_model_that_nobody_knows_passes_where_that_is_wanted() -> None:
    assert catalogue().find("text_to_image", "xyzzy") is None
    spec = Catalogue.load(open=True).find("image_to_video", "xyzzy")
    assert spec is not None
    assert not spec.known
    request = {"model": "xyzzy", "promptImage": MediaLeaf(MediaKind.IMAGE), "anything": {"at": ["all"]}}
    (warning,) = spec.check(request)
    assert (warning.code, warning.severity) == ("unchecked-model", Severity.WARNING)
    assert [str(slot.path) for slot in spec.slots(request)] == ["('promptImage',)"]
    assert not estimate(spec, request, lambda path: None).is_known
    assert Catalogue.load(open=True).find("xyzzy", "xyzzy") is None


def test_a_users_own_overlay_adds_retires_and_prices() -> None:
    mine = read(
        """
format: 1
operations:
  text_to_image:
    models:
      house_image: {like: gen4_image, properties: {ratio: {enum: ["1:1"]}, seed: null}}
  image_to_text:
    produces: audio
    models: {reader: {properties: {image: {type: string}}, required: [model, image]}}
retired: {gen4_image: {since: 2026-12-01, successor: house_image}}
prices: {house_image: {credits: 3, unit: image, as_of: 2026-11-23, source: [a mail]}}
typical_seconds: {text_to_image: {house_image: 9}}
"""
    )
    own = Catalogue.load([shipped("runwayml-5.24.0"), mine])
    spec = own.find("text_to_image", "house_image")
    assert spec is not None
    assert spec.check({"model": "house_image", "promptText": "a fox", "ratio": "1:1"}) == ()
    (unknown,) = spec.check({"model": "house_image", "promptText": "a fox", "ratio": "1:1", "seed": 1})
    assert unknown.code == "unknown-input"
    assert estimate(spec, {"promptText": "a"}, lambda path: None).high == 3
    assert own.typical_seconds("text_to_image", "house_image") == 9
    assert own.operations["image_to_text"].path == "/v1/image_to_text"
    old = own.find("text_to_image", "gen4_image")
    assert old is not None
    assert old.retired is not None
    assert old.retired.successor == "house_image"


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("format: 1\nretire: {}\n", "retire: an overlay has no such field here", (2, 9)),
        ("about: x\n", "format: this field must be given", (1, 1)),
        (
            "format: 1\noperations: {xyzzy: {}}\n",
            "operations.xyzzy: 'xyzzy' is a new operation: say what it 'produces'",
            (2, 21),
        ),
        (
            "format: 1\noperations: {text_to_image: {models: {a: {like: b}}}}\n",
            "operations.text_to_image.models.a.like: the operation has no model 'b'",
            (2, 49),
        ),
        (
            "format: 1\noperations: {text_to_image: {models: {a: {properties: {b: {type: 7}}}}}}\n",
            "operations.text_to_image.models.a.properties.b.type: this is no JSON Schema",
            (2, 66),
        ),
        (
            "format: 1\nprices: {a: {credits: -1, unit: image, as_of: 2026-01-01, source: [x]}}\n",
            "prices.a.credits: ",
            (2, 23),
        ),
    ],
)
def test_a_mistake_in_an_overlay_is_shown_where_it_stands(text: str, message: str, place: tuple[int, int]) -> None:
    (found,) = refused(text)
    assert found[0].startswith(message)
    assert found[1:] == place


def test_an_overlay_that_does_not_fit_says_where() -> None:
    tables = base_tables(TABLES["structure"], TABLES["known"], TABLES["prices"])
    with pytest.raises(OverlayError) as caught:
        lay(tables, {"operations": {"xyzzy": {"models": {}}}})
    assert caught.value.path == ("operations", "xyzzy")


def test_the_shipped_overlay_says_where_its_facts_are_from() -> None:
    found = shipped("runwayml-5.24.0")
    assert found["source"] == {"package": "runwayml", "version": "5.24.0"}
    known = document(PRICES_FILE)["sources"]
    assert all(set(price["source"]) <= set(known) for price in found["prices"].values())
    assert all(entry["source"] for entry in found["retired"].values())
    assert Path(__file__).is_file()
    assert IMAGE.startswith("https://")


def test_a_hint_names_the_few_models_that_are_nearest_and_never_a_retired_one() -> None:
    problem = catalogue().unknown_model_problem("image_to_video", "seedance3")
    assert problem.hint is not None
    named, _, rest = problem.hint.partition(" more: ")
    assert named.startswith("did you mean seedance2? image_to_video has seedance2, ")
    assert named.count(",") == 7
    assert named.endswith(" and 17")
    assert rest == "`flowrun schema flow` lists all"
    assert "veo3," not in (catalogue().unknown_model_problem("image_to_video", "veo4").hint or "")
    assert "did you mean veo3?" not in (catalogue().unknown_model_problem("image_to_video", "veo4").hint or "")
    assert catalogue().models_hint("image_to_video").startswith("image_to_video has gen4_turbo, veo3.1, veo3.1_fast, ")
    assert catalogue().models_hint("voice_isolation") == "voice_isolation has eleven_voice_isolation"
