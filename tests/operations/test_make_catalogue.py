"""The tool, on a small description of our own: what it keeps, what it leaves behind, and that it is a function."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from flowrun.operations.data import document, schema_file

TOOL = Path(__file__).parents[2] / "tools" / "make_catalogue.py"
PROSE_KEYS = {"title", "description", "summary", "example", "examples", "tags", "info", "$schema"}


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_catalogue", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = load_tool()

URI = {
    "description": "Where the picture is.",
    "anyOf": [
        {"type": "string", "description": "web", "maxLength": 99, "pattern": "^https:\\/\\/.*"},
        {"type": "string", "maxLength": 555, "pattern": "^data:image\\/.*"},
    ],
}
PAINT = {
    "title": "brush_1",
    "type": "object",
    "x-vendor": {"note": "Not for you."},
    "properties": {
        "model": {"type": "string", "const": "brush_1"},
        "description": {"type": "string", "maxLength": 7, "description": "An input that happens to bear this name."},
        "picture": URI,
        "strokes": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3, "example": 4},
    },
    "required": ["model", "picture"],
}
DESCRIPTION: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"version": "2020-02-02", "title": "Paints", "description": "A long story about paints."},
    "servers": [{"url": "https://paints.example"}],
    "components": {
        "parameters": {
            "V": {"name": "V", "in": "header", "required": True, "description": "Which.", "schema": {"type": "string"}}
        }
    },
    "paths": {
        "/v1/paint": {
            "post": {
                "summary": "Paint",
                "x-codeSamples": [{"source": "paint(everything)"}],
                "parameters": [{"$ref": "#/components/parameters/V"}],
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"oneOf": [PAINT], "discriminator": {"propertyName": "model"}}}
                    }
                },
                "responses": {"200": {"description": "Painted."}},
            }
        },
        "/v1/paints/{id}": {
            "get": {
                "responses": {
                    "200": {
                        "description": "All paints.",
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "additionalProperties": {"type": "number", "description": "How much."},
                                    "propertyNames": {"type": "string"},
                                },
                                "examples": {"one": {"value": {"red": 1}}},
                            }
                        },
                    }
                }
            },
            "delete": {"responses": {"204": {"description": "Gone."}}},
        },
    },
}


def written(description: dict[str, Any]) -> bytes:
    return json.dumps(description).encode()


def texts(value: Any, inside: str = "") -> Iterator[tuple[str, str]]:
    """All texts of a document, each with the key it stands under."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from texts(each, name)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each, inside)
    elif isinstance(value, str):
        yield inside, value


def schema_keys(schema: Any) -> Iterator[str]:
    """The keywords of a JSON Schema; names of inputs are none."""
    for name, value in schema.items():
        yield name
        if name == "properties":
            for each in value.values():
                yield from schema_keys(each)
        elif name in ("anyOf", "oneOf"):
            for each in value:
                yield from schema_keys(each)
        elif name in ("items", "additionalProperties", "propertyNames") and isinstance(value, dict):
            yield from schema_keys(value)


def test_the_structure_is_kept_and_the_prose_is_not() -> None:
    source = written(DESCRIPTION)
    structure = tool.structure_of(source)
    assert structure == {
        "format": 1,
        "api_version": "2020-02-02",
        "source": {"sha256": hashlib.sha256(source).hexdigest()},
        "server": "https://paints.example",
        "operations": {
            "paint": {
                "method": "POST",
                "path": "/v1/paint",
                "parameters": [{"name": "V", "in": "header", "required": True, "schema": {"type": "string"}}],
                "discriminator": "model",
                "models": {
                    "brush_1": {
                        "type": "object",
                        "properties": {
                            "model": {"type": "string", "const": "brush_1"},
                            "description": {"type": "string", "maxLength": 7},
                            "picture": {
                                "mediaSlot": {"kind": "image", "dataUriLimit": 555},
                                "anyOf": [
                                    {"type": "string", "maxLength": 99, "pattern": "^https:\\/\\/.*"},
                                    {"type": "string", "maxLength": 555, "pattern": "^data:image\\/.*"},
                                ],
                            },
                            "strokes": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3},
                        },
                        "required": ["model", "picture"],
                    }
                },
                "responses": {"200": None},
            }
        },
        "endpoints": {
            "GET /v1/paints/{id}": {
                "method": "GET",
                "path": "/v1/paints/{id}",
                "parameters": [],
                "request": None,
                "responses": {
                    "200": {
                        "type": "object",
                        "additionalProperties": {"type": "number"},
                        "propertyNames": {"type": "string"},
                    }
                },
            },
            "DELETE /v1/paints/{id}": {
                "method": "DELETE",
                "path": "/v1/paints/{id}",
                "parameters": [],
                "request": None,
                "responses": {"204": None},
            },
        },
    }


def test_a_keyword_nobody_decided_on_stops_the_tool(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    description = copy.deepcopy(DESCRIPTION)
    paint = description["paths"]["/v1/paint"]["post"]["requestBody"]["content"]["application/json"]["schema"]["oneOf"][
        0
    ]
    paint["properties"]["strokes"]["unevaluatedItems"] = False
    source = tmp_path / "api.json"
    source.write_bytes(written(description))
    assert tool.main([str(source), str(tmp_path / "out.json")]) == 2
    assert "strokes/unevaluatedItems" in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


def test_writing_is_deterministic_and_check_finds_a_stale_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "api.json", tmp_path / "out.json"
    source.write_bytes(written(DESCRIPTION))
    assert tool.main([str(source), str(out), "--check"]) == 1
    assert "stale" in capsys.readouterr().err
    assert not out.exists()
    assert tool.main([str(source), str(out)]) == 0
    first = out.read_bytes()
    assert tool.main([str(source), str(out)]) == 0
    assert out.read_bytes() == first
    assert tool.main([str(source), str(out), "--check"]) == 0
    source.write_bytes(written({**DESCRIPTION, "openapi": "3.1.1"}))
    assert tool.main([str(source), str(out), "--check"]) == 1
    assert out.read_bytes() == first


def test_the_shipped_file_is_as_the_tool_writes_it() -> None:
    path = schema_file("runway-2024-11-06.json")
    assert path.read_text(encoding="utf-8") == tool.render(json.loads(path.read_text(encoding="utf-8")))


def test_no_prose_is_in_the_shipped_file() -> None:
    structure = document("runway-2024-11-06.json")
    listed = ("enum", "const", "pattern", "required", "default", "path", "server", "sha256", "name")
    assert [(key, text) for key, text in texts(structure) if key not in listed and len(text) > 12] == []
    assert [
        text
        for key, text in texts(structure)
        if key in ("enum", "const", "default") and (len(text) > 40 or " " in text)
    ] == []
    requests = [schema for operation in structure["operations"].values() for schema in operation["models"].values()]
    responses = [each for entry in structure["endpoints"].values() for each in entry["responses"].values() if each]
    keys = {key for schema in (*requests, *responses) for key in schema_keys(schema)}
    assert not keys & PROSE_KEYS
    assert not [key for key in keys if key.startswith("x-")]


def test_the_shipped_file_names_the_source_it_was_made_from() -> None:
    structure = document("runway-2024-11-06.json")
    assert structure["api_version"] == "2024-11-06"
    assert structure["source"]["sha256"] == "070c6a85ea564617ad844f58d24b4dbbedac5b6166bc31b49e4079342c35e1ea"
