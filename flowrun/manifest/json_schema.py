"""The JSON Schema of manifests, for editors. Made from the models here and the catalogue, so that neither is said twice.

Owns what pydantic cannot tell of the models: unions, templates, and the places that the catalogue fills. What it refuses,
flowrun refuses, given that the node, profile or default in question comes to be used. Not the reverse: what references
mean, whether files exist and whether a request is whole needs values, and is `flowrun validate`'s.

Draft 7, since it is the latest draft that both of the common YAML editors' checkers know whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flowrun.manifest.checks import LATER
from flowrun.manifest.models import DURATION, ID, LONG_FOREACH, NAME, VAR_TYPES, Document
from flowrun.manifest.schema_inputs import TEMPLATE, by_operation, defaults, definitions, models, ref, uses
from flowrun.manifest.schema_sharing import shared
from flowrun.manifest.schema_words import KEYS
from flowrun.operations.catalogue import Catalogue
from flowrun.operations.model import Schema

DRAFT = "http://json-schema.org/draft-07/schema#"
MOST_TAKES = 100  # as the graph has it
_DURATION = re.sub(r"\(\?P<\w+>", "(", DURATION.pattern)  # JSON Schema's patterns have no names in them
_NEED = r"^[A-Za-z_][A-Za-z0-9_]*(\[[^\[\]]+\])?$"


def _told(pattern: str, words: str) -> dict[str, str]:
    """A pattern, and what an editor says of a text that does not have it."""
    return {"pattern": pattern, "patternErrorMessage": words}


_TAKES: Schema = {
    "type": ["integer", "string", "null"],
    "minimum": 1,
    "maximum": MOST_TAKES,
    **_told(TEMPLATE, "It takes a whole number from 1 on, or a template of `vars` and `each`."),
}
_REFERENCE: Schema = {"type": "string", **_told(r"\{\{", 'It takes a reference, such as "{{ nodes.hero.output }}".')}
_WHEN: Schema = {"type": ["boolean", "string", "null"], **_told(TEMPLATE, "It takes true, false or a template.")}
_PLAIN: Mapping[str, str] = {  # what a variable's type is called in JSON Schema
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "list": "array",
    "mapping": "object",
    "media": "string",
}


def flow_schema(catalogue: Catalogue) -> dict[str, Any]:
    """The schema of format 1, in a stable order."""
    shapes = _shapes(_places(catalogue))
    shapes["Node"] |= by_operation(catalogue)
    shapes["Variable"]["allOf"] = [_typed_default(name) for name in VAR_TYPES]
    shapes["Asset"]["oneOf"] = [_given("path"), _given("url")]
    shapes["LongForeach"] |= {"minProperties": 1, "oneOf": [_given("file"), _given("items")]}
    document = shapes.pop("Document")
    named = {**dict(sorted(shapes.items())), **_unions(), **shared(dict(definitions(catalogue)))}
    return {"$schema": DRAFT, "description": "A flowrun manifest.", **document, "definitions": named}


def _shapes(places: Mapping[tuple[str, str], Schema]) -> dict[str, Any]:
    """Every model as a closed mapping: pydantic's word on each key, unless `places` knows better."""
    made = Document.model_json_schema(ref_template="#/definitions/{model}")
    every = {**made.pop("$defs"), "Document": made}
    return {name: _shape(name, shape, places) for name, shape in every.items()}


def _shape(name: str, shape: Schema, places: Mapping[tuple[str, str], Schema]) -> dict[str, Any]:
    refused = LATER if name == "Node" else ()
    properties = {
        key: {"description": KEYS[name][key], **(places.get((name, key)) or _tidy(each))}
        for key, each in shape["properties"].items()
        if key not in refused
    }
    required = {"required": shape["required"]} if "required" in shape else {}
    return {"type": "object", "properties": properties, **required, "additionalProperties": False}


def _tidy(schema: Schema) -> dict[str, Any]:
    """Without titles and empty defaults, bounds by JSON Schema's names, `null` beside a type."""
    kept = {name: each for name, each in schema.items() if name != "title" and (name, each) != ("default", None)}
    if "ge" in kept:
        kept["minimum"] = kept.pop("ge")
    forms = [_tidy(each) for each in kept.pop("anyOf", ())]
    if len(forms) == 2 and forms[1] == {"type": "null"} and isinstance(forms[0].get("type"), str):
        return {**kept, **forms[0], "type": [forms[0]["type"], "null"]}
    return {**kept, "anyOf": forms} if forms else kept


def _places(catalogue: Catalogue) -> dict[tuple[str, str], Schema]:
    """Keys whose values pydantic knows as anything, or as less than they are: what functions and the catalogue check."""
    by_model = {name: {"type": "integer", "minimum": 1} for name in models(catalogue)}
    return {
        ("Document", "vars"): _named(ID, ref("AnyVariable")),
        ("Document", "assets"): _named(ID, ref("AnyAsset")),
        ("Document", "outputs"): _named(ID, ref("AnyOutput")),
        ("Document", "nodes"): _named(ID, ref("Node")),
        ("Document", "defaults"): defaults(catalogue),
        ("Document", "profiles"): _named(NAME, {"anyOf": [ref("Profile"), {"type": "null"}]}),
        ("Profile", "vars"): _named(ID, {}),
        ("Profile", "defaults"): {"$ref": "#/properties/defaults"},
        ("Limits", "concurrency"): {"type": ["object", "null"], "properties": by_model, "additionalProperties": False},
        ("Output", "from"): _REFERENCE,
        ("LongForeach", "items"): {"type": ["array", "object", "integer", "string", "null"]},
        ("Node", "uses"): uses(catalogue),
        ("Node", "with"): {"type": ["object", "null"]},
        ("Node", "foreach"): ref("Foreach"),
        ("Node", "needs"): {"type": ["array", "null"], "items": {"type": "string", "pattern": _NEED}},
        ("Node", "when"): _WHEN,
        ("Node", "takes"): _TAKES,
        ("Node", "timeout"): {
            "type": ["string", "null"],
            **_told(f"^{_DURATION}$", "It takes a time: 90s, 20m or 1h."),
        },
        ("Node", "cache"): {"anyOf": [{"type": ["string", "number", "null"]}, {"const": False}]},
    }


def _named(pattern: str, value: Schema) -> Schema:
    """A section, by ids or names."""
    return {"type": ["object", "null"], "patternProperties": {pattern: value}, "additionalProperties": False}


def _unions() -> dict[str, Schema]:
    """Values with a short and a long form."""
    bare = {"not": {"type": "object", "required": ["type"]}}
    short = {"not": {"minProperties": 1, "propertyNames": {"enum": sorted(LONG_FOREACH)}}}
    count = {"type": "integer", "minimum": 0}
    return {
        "AnyVariable": {"anyOf": [ref("Variable"), bare]},
        "AnyAsset": {"anyOf": [{"type": "string"}, ref("Asset")]},
        "AnyOutput": {"anyOf": [_REFERENCE, ref("Output")]},
        "Foreach": {
            "anyOf": [
                ref("LongForeach"),
                {"type": "object", **short},
                {"type": ["array", "null"]},
                count,
                ref("template"),
            ]
        },
    }


def _given(key: str) -> Schema:
    """A mapping in which the key has a value; a null counts as none. Told by `not`, which completes nothing twice."""
    return {"required": [key], "not": {"properties": {key: {"type": "null"}}}}


def _typed_default(name: str) -> Schema:
    """The default, and each choice, is of the variable's type."""
    form = {"type": [_PLAIN[name], "null"]}
    return {
        "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
        "then": {"properties": {"default": form, "enum": {"items": form}}},
    }
