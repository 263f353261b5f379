"""The tool that makes overlays, on a few typed parameters of our own; and, long, on the official SDK's."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from flowrun.operations.catalogue import STRUCTURE_FILE, catalogue, shipped
from flowrun.operations.data import SHIPPED, schema_file
from flowrun.operations.overlay_file import media_slot

TOOL = Path(__file__).parents[2] / "tools" / "make_overlay.py"
SDK = "runwayml==5.24.0"


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_overlay", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_overlay"] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


tool = load_tool()

PAINT = '''
class Brush(TypedDict, total=False):
    model: Required[Literal["brush_2"]]

    picture_uri: Required[Annotated[str, PropertyInfo(alias="pictureUri")]]
    """Where the picture is: an address or bytes (`data:image/png;base64,...`)."""

    prompt_text: Annotated[str, PropertyInfo(alias="promptText")]
    """Words, up to 1,200 characters (measured in UTF-16 units)."""

    strokes: int
    """An integer from 1 to 9."""

    duration: Union[int, Literal["auto"]]
    size: Literal["small", "large"]
    thick: Literal[1, 2.5]
    wet: bool
    frames: Union[str, Iterable[Frame]]
    """A frame, or several."""

    ground: Ground
    extras: Dict[str, object]


class Frame(TypedDict, total=False):
    uri: Required[str]
    """Bytes too: `data:image/png;base64,...`."""

    at: Required[float]


class Canvas(TypedDict, total=False):
    type: Required[Literal["canvas"]]


class Wall(TypedDict, total=False):
    type: Required[Literal["wall"]]
    wide: bool


class Spray(TypedDict, total=False):
    model: Required[Literal["spray"]]
    reference_audio: Annotated[SequenceNotStr[str], PropertyInfo(alias="referenceAudio")]
    promptImage: Required[Union[str, Iterable[object]]]
    notes: SequenceNotStr[str]


Ground: TypeAlias = Union[Canvas, Wall]
PaintCreateParams: TypeAlias = Union[Brush, Spray]
'''
OPEN_ENTRY = {
    "type": "object",
    "properties": {"uri": media_slot("image")},
    "required": ["uri"],
    "additionalProperties": True,
}


def slot(kind: str) -> dict[str, Any]:
    return tool.media_slot(kind)  # type: ignore[no-any-return]


def models(text: str = PAINT, base: dict[str, Any] | None = None) -> dict[str, Any]:
    return tool.operation_models(text, "PaintCreateParams", base or {})  # type: ignore[no-any-return]


def test_inputs_have_the_apis_names_types_enums_and_bounds() -> None:
    brush = models()["brush_2"]
    inputs = brush["properties"]
    assert brush["required"] == ["model", "pictureUri"]
    assert inputs["model"] == {"type": "string", "const": "brush_2"}
    assert inputs["promptText"] == {"type": "string", "minLength": 1, "maxLength": 1200}
    assert inputs["strokes"] == {"type": "integer", "minimum": 1, "maximum": 9}
    assert inputs["duration"] == {"anyOf": [{"type": "integer"}, {"type": "string", "const": "auto"}]}
    assert inputs["size"] == {"type": "string", "enum": ["small", "large"]}
    assert inputs["thick"] == {"type": ["integer", "number"], "enum": [1, 2.5]}
    assert inputs["wet"] == {"type": "boolean"}
    assert inputs["extras"] == {"type": "object", "additionalProperties": {}}


def test_a_union_is_told_apart_by_a_tag_where_there_is_one() -> None:
    ground = models()["brush_2"]["properties"]["ground"]
    assert ground["discriminator"] == {"propertyName": "type"}
    assert [form["properties"]["type"]["const"] for form in ground["oneOf"]] == ["canvas", "wall"]


def test_media_is_told_by_its_documentation_its_company_or_its_name() -> None:
    brush, spray = models()["brush_2"]["properties"], models()["spray"]["properties"]
    assert brush["pictureUri"] == slot("image")
    entry = {
        "type": "object",
        "properties": {"uri": slot("image"), "at": {"type": "number"}},
        "required": ["uri", "at"],
    }
    assert brush["frames"] == {"anyOf": [slot("image"), {"type": "array", "items": entry}]}
    assert spray["referenceAudio"] == {"type": "array", "items": slot("audio")}
    assert spray["promptImage"]["anyOf"][0] == slot("image")
    uri = {**OPEN_ENTRY, "properties": {"uri": slot("image")}}
    assert spray["promptImage"]["anyOf"][1] == {"type": "array", "items": uri}
    assert spray["notes"] == {"type": "array", "items": {"type": "string"}}


def test_no_prose_is_kept() -> None:
    text = json.dumps(models())
    assert "Where the picture" not in text
    assert "description" not in text


def test_what_the_description_bounds_stays_bounded_and_its_order_too() -> None:
    base = {
        "brush_2": {
            "type": "object",
            "properties": {
                "wet": {"type": "boolean", "default": True},
                "model": {"type": "string", "const": "brush_2"},
                "size": {"type": "string", "enum": ["small"]},
                "duration": {"anyOf": [{"type": "integer", "minimum": 2}, {"type": "string", "const": "auto"}]},
                "gone": {"type": "string"},
            },
            "required": ["wet", "model"],
        }
    }
    brush = models(base=base)["brush_2"]
    inputs = brush["properties"]
    assert [*inputs][:4] == ["wet", "model", "size", "duration"]
    assert inputs["wet"] == {"type": "boolean", "default": True}
    assert inputs["duration"]["anyOf"][0] == {"type": "integer", "minimum": 2}
    assert inputs["size"]["enum"] == ["small", "large"]
    assert "gone" not in inputs
    assert brush["required"] == ["model", "pictureUri"]


@pytest.mark.parametrize("type_", ["bytes", "Callable[[int], str]", "a.b", "Tuple[int, int]"])
def test_a_type_that_the_tool_does_not_know_stops_it(type_: str) -> None:
    text = f'class A(TypedDict):\n    model: Literal["a"]\n    x: {type_}\nPaintCreateParams: TypeAlias = Union[A]\n'
    with pytest.raises((tool.TypesError, KeyError)):
        models(text)


def folder(root: Path, text: str = PAINT) -> list[str]:
    """An SDK of one operation, a base and facts; the tool's arguments."""
    (root / "types").mkdir()
    (root / "types" / "paint_create_params.py").write_text(text)
    (root / "_version.py").write_text('__version__ = "9.9.9"')
    (root / "base.json").write_text(json.dumps({"operations": {"paint": {"models": {}}}}))
    (root / "facts.json").write_text(json.dumps({"retired": {"old": {"since": None, "successor": "spray"}}}))
    return [str(root), str(root / "base.json"), str(root / "facts.json"), str(root / "out.json")]


def test_the_overlay_is_written_and_a_stale_one_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = folder(tmp_path)
    assert tool.main([*arguments, "--check"]) == 1
    assert "is stale" in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()
    assert tool.main(arguments) == tool.main([*arguments, "--check"]) == 0
    made = json.loads((tmp_path / "out.json").read_text())
    assert made["source"] == {"package": "runwayml", "version": "9.9.9"}
    assert [*made["operations"]["paint"]["models"]] == ["brush_2", "spray"]
    assert made["retired"]["old"]["successor"] == "spray"


# -- the overlay that ships


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The official SDK's package folder, unpacked and not installed; FLOWRUN_TEST_SDK names one that is there already."""
    if known := os.environ.get("FLOWRUN_TEST_SDK"):
        return Path(known)
    root = tmp_path_factory.mktemp("sdk")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(root), SDK]
    subprocess.run(command, check=True, timeout=120)
    with zipfile.ZipFile(next(root.glob("*.whl"))) as wheel:
        wheel.extractall(root)
    return root / "runwayml"


@pytest.mark.long
def test_the_overlay_that_ships_is_what_the_tool_makes(sdk: Path, tmp_path: Path) -> None:
    written = schema_file(SHIPPED["runwayml-5.24.0"])
    known = json.loads(written.read_text(encoding="utf-8"))
    facts = {name: each for name, each in known.items() if name not in ("format", "source", "operations")}
    (tmp_path / "facts.json").write_text(json.dumps(facts))
    base, out = schema_file(STRUCTURE_FILE), tmp_path / "out.json"
    assert tool.main([str(sdk), str(base), str(tmp_path / "facts.json"), str(out)]) == 0
    assert out.read_bytes() == written.read_bytes()


@pytest.mark.long
def test_every_model_of_the_sdk_is_in_the_overlay(sdk: Path) -> None:
    """Read off the types in another way than the tool's: the constants of every `model`."""
    found = set()
    for operation in catalogue().operations:
        text = (sdk / "types" / f"{operation}_create_params.py").read_text(encoding="utf-8")
        names = [line.split('Literal["')[1].split('"')[0] for line in text.splitlines() if line.startswith(MODEL_LINE)]
        assert len(names) == len(set(names)) > 0
        found |= {(operation, name) for name in names}
    overlay = shipped("runwayml-5.24.0")
    assert found == {(name, model) for name, each in overlay["operations"].items() for model in each["models"]}
    assert len(found) == 93


MODEL_LINE = '    model: Required[Literal["'
