"""What the catalogue holds: invariants of the structure file, and what is read from it at run time."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from flowrun.diagnostics.codes import registry
from flowrun.diagnostics.codes.operations import CODES
from flowrun.media.facts import MediaKind
from flowrun.operations import catalogue as catalogue_module
from flowrun.operations import data
from flowrun.operations.catalogue import catalogue as today
from flowrun.operations.catalogue import described as catalogue
from flowrun.operations.catalogue import typical_seconds, unknown_operation_problem
from flowrun.operations.model import UNKNOWN

from .requests import PAIRS, spec_of, spec_of_today

MODELS = {
    "gen3a_turbo", "gen4_turbo", "gen4_image", "gen4_image_turbo", "act_two", "gen4_aleph", "veo3", "veo3.1", "veo3.1_fast",
    "gemini_2.5_flash", "eleven_multilingual_v2", "eleven_text_to_sound_v2", "eleven_voice_isolation", "eleven_voice_dubbing",
    "eleven_multilingual_sts_v2",
}  # fmt: skip
PRODUCES = {
    "image_to_video": "video", "text_to_video": "video", "video_to_video": "video", "text_to_image": "image",
    "character_performance": "video", "sound_effect": "audio", "speech_to_speech": "audio", "text_to_speech": "audio",
    "voice_dubbing": "audio", "voice_isolation": "audio",
}  # fmt: skip
SLOTS = {
    ("image_to_video", "gen4_turbo"): ["promptImage image 5242880", "promptImage[].uri image 5242880"],
    ("image_to_video", "veo3"): ["promptImage image 5242880", "promptImage[].uri image 5242880"],
    ("text_to_video", "veo3"): [],
    ("video_to_video", "gen4_aleph"): ["videoUri video 16777216", "references[].uri image 5242880"],
    ("text_to_image", "gen4_image"): ["referenceImages[].uri image 5242880"],
    ("character_performance", "act_two"): [
        "character.uri image 5242880",
        "character.uri video 16777216",
        "reference.uri video 16777216",
    ],
    ("sound_effect", "eleven_text_to_sound_v2"): [],
    ("speech_to_speech", "eleven_multilingual_sts_v2"): ["media.uri audio 16777216", "media.uri video 16777216"],
    ("text_to_speech", "eleven_multilingual_v2"): [],
    ("voice_dubbing", "eleven_voice_dubbing"): ["audioUri audio 16777216"],
    ("voice_isolation", "eleven_voice_isolation"): ["audioUri audio 16777216"],
}


def test_all_operations_and_models_are_there() -> None:
    operations = catalogue().operations
    assert {name: str(each.produces) for name, each in operations.items()} == PRODUCES
    assert {model for each in operations.values() for model in each.models} == MODELS
    assert {(name, model) for name, each in operations.items() for model in each.models} == set(PAIRS)
    assert all(each.path == f"/v1/{name}" for name, each in operations.items())
    assert all(each.responses["200"]["required"] == ["id"] for each in operations.values())
    assert catalogue().api_version == "2024-11-06"
    assert catalogue().server == "https://api.dev.runwayml.com"


def test_the_other_endpoints_are_there() -> None:
    endpoints = catalogue().endpoints
    assert set(endpoints) == {
        "GET /v1/tasks/{id}", "DELETE /v1/tasks/{id}", "GET /v1/organization", "POST /v1/organization/usage", "POST /v1/uploads",
    }  # fmt: skip
    assert endpoints["POST /v1/uploads"].request["required"] == ["filename", "type"]
    assert endpoints["DELETE /v1/tasks/{id}"].responses == {"204": None}
    assert endpoints["GET /v1/tasks/{id}"].parameters[0]["name"] == "id"
    tier = endpoints["GET /v1/organization"].responses["200"]["properties"]["tier"]["properties"]["models"]
    assert set(tier["propertyNames"]["enum"]) == MODELS


@pytest.mark.parametrize("pair", SLOTS)
def test_media_slots(pair: tuple[str, str]) -> None:
    assert [f"{each} {each.kind} {each.data_uri_limit}" for each in spec_of(*pair).slot_patterns] == SLOTS[pair]


def test_inputs_are_told_with_their_bounds() -> None:
    turbo = spec_of("image_to_video", "gen4_turbo")
    duration, text, ratio = turbo.inputs["duration"], turbo.inputs["promptText"], turbo.inputs["ratio"]
    assert (duration.types, duration.minimum, duration.maximum, duration.required) == ({"integer"}, 2, 10, False)
    assert (text.types, text.minimum, text.maximum, text.is_media) == ({"string"}, 1, 1000, False)
    assert "1584:672" in ratio.enum
    assert ratio.required
    assert turbo.required == {"model", "promptImage", "ratio"}
    image = turbo.inputs["promptImage"]
    assert (image.types, image.media, image.is_media) == ({"string", "array"}, {MediaKind.IMAGE}, True)
    assert spec_of("image_to_video", "veo3.1").inputs["audio"].default is True
    assert spec_of("image_to_video", "veo3").inputs["duration"].enum == (8,)
    assert spec_of("voice_dubbing", "eleven_voice_dubbing").inputs["numSpeakers"].minimum == 0
    assert spec_of("character_performance", "act_two").inputs["character"].media == {MediaKind.IMAGE, MediaKind.VIDEO}


def test_who_accepts_a_seed() -> None:
    seeded = {model for operation, model in PAIRS if spec_of(operation, model).accepts_seed}
    assert seeded == {"gen4_turbo", "gen3a_turbo", "gen4_aleph", "gen4_image", "gen4_image_turbo", "act_two"}


def test_retired_models() -> None:
    retired = {model: found for operation, model in PAIRS if (found := spec_of_today(operation, model).retired)}
    assert not any(spec_of(*pair).retired for pair in PAIRS)
    assert set(retired) == {"gen3a_turbo", "gen4_aleph", "veo3"}
    assert retired["gen4_aleph"].since == date(2026, 7, 30)
    assert (retired["veo3"].since, retired["veo3"].successor) == (None, "veo3.1")


def test_finding() -> None:
    assert catalogue().find("text_to_image", "gen4_turbo") is None
    assert catalogue().find("nothing", "gen4_turbo") is None
    assert catalogue().operations_of("veo3") == ("image_to_video", "text_to_video")


def test_types_expected_at_a_place() -> None:
    turbo, act = spec_of("image_to_video", "gen4_turbo"), spec_of("character_performance", "act_two")
    assert turbo.expected_types(("promptImage",)) == {"string", "array"}
    assert turbo.expected_types(("promptImage", 0, "position")) == {"string"}
    assert turbo.expected_types(("promptImage", 0)) == {"object"}
    assert turbo.expected_types(("nothing",)) == set()
    assert turbo.expected_types(("ratio", 0)) == set()
    assert turbo.takes_number(("duration",))
    assert turbo.takes_number(("seed",))
    assert not turbo.takes_number(("ratio",))
    assert not turbo.takes_number(("nothing",))
    assert act.takes_boolean(("bodyControl",))
    assert not act.takes_boolean(("seed",))
    assert act.expected_types(("character", "uri")) == {"string"}


def test_unknown_operation() -> None:
    problem = unknown_operation_problem("text_to_imgae")
    assert (problem.code, problem.path) == ("unknown-operation", ())
    assert "did you mean text_to_image?" in problem.hint
    assert unknown_operation_problem("xyzzy").hint.startswith("the API has image_to_video,")


def test_unknown_model() -> None:
    problem = catalogue().unknown_model_problem("text_to_image", "gen4_turbo")
    assert (problem.code, problem.path) == ("unknown-model", ("model",))
    assert "that model belongs to image_to_video" in problem.hint
    assert "did you mean gen4_image?" in catalogue().unknown_model_problem("text_to_image", "gen4-image").hint
    hint = catalogue().unknown_model_problem("image_to_video", "xyzzy").hint
    assert hint == "image_to_video has gen4_turbo, veo3.1, gen3a_turbo, veo3.1_fast, veo3"
    assert "veo3," not in today().unknown_model_problem("image_to_video", "xyzzy").hint
    assert catalogue().unknown_model_problem("video_to_video", "xyzzy").hint == "video_to_video has gen4_aleph"


@pytest.mark.parametrize("pair", PAIRS)
def test_typical_seconds_are_given_for_all(pair: tuple[str, str]) -> None:
    assert 1 <= typical_seconds(*pair) <= 600


def test_typical_seconds_of_the_unknown() -> None:
    assert typical_seconds("image_to_video", "xyzzy") == 75
    assert typical_seconds("xyzzy", "xyzzy") == 60


def test_data_files_are_found_installed_before_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed, checkout = tmp_path / "installed", tmp_path / "checkout"
    for folder in (installed, checkout):
        folder.mkdir()
        (folder / "a.json").write_text("{}")
    (checkout / "b.json").write_text("{}")
    monkeypatch.setattr(data, "FOLDERS", (installed, checkout))
    assert data.schema_file("a.json") == installed / "a.json"
    assert data.schema_file("b.json") == checkout / "b.json"
    with pytest.raises(FileNotFoundError, match=r"c\.json is in none of"):
        data.schema_file("c.json")


def test_the_catalogue_is_read_once() -> None:
    assert catalogue() is catalogue()
    assert catalogue_module.Catalogue.load() == catalogue()


def test_importing_compiles_nothing() -> None:
    code = "import sys, flowrun.operations.catalogue as c; c.catalogue(); print('jsonschema_rs' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == "False"


def test_every_code_is_explained() -> None:
    assert {code.name for code in CODES} <= set(registry())


def test_the_unknown_shows_as_itself() -> None:
    assert repr(UNKNOWN) == "UNKNOWN"
