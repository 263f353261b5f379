"""Requests for any operation and model of a catalogue, made from its schemas: the least that is taken, and with every input."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from flowrun.media.facts import MediaKind
from flowrun.media.film import FilmSpec, make_film
from flowrun.operations.catalogue import Catalogue
from flowrun.operations.structure import branches
from tests.sandbox.visitor import data_uri, png, sound

TEXTS = {
    "promptText": "Two foxes, and a fish.",
    "tag": "fish",
    "languageCode": "en",
    "ratio": "1280:720",
    "backgroundColor": "#ffffff",
}
NUMBERS = {"duration": 5, "seed": 7, "outputCount": 2, "numVariants": 3, "numSpeakers": 2}
UNTYPED = re.compile(r"(image|video|audio|reference)s?$", re.IGNORECASE)


@cache
def film_uri() -> str:
    return data_uri(make_film(FilmSpec(64, 36, 3.5, tiny=True)), "video/mp4")


@cache
def sound_uri() -> str:
    return data_uri(sound(5.0), "audio/mpeg")


@cache
def image_uri() -> str:
    return data_uri(png())


def media(kind: str) -> str:
    return {"video": film_uri, "audio": sound_uri}.get(kind.lower(), image_uri)()


def request(catalogue: Catalogue, operation: str, model: str, *, full: bool) -> dict[str, Any]:
    schema = catalogue.operations[operation].models[model].schema
    return {name: value(node, name, full) for name, node in asked(schema, full).items()}


def asked(schema: Mapping[str, Any], full: bool) -> dict[str, Any]:
    return {name: node for name, node in schema["properties"].items() if full or name in schema.get("required", ())}


def value(node: Mapping[str, Any], name: str, full: bool) -> Any:
    """Something that the schema takes. `full`: with every further input, and of a union the last form."""
    if "mediaSlot" in node:
        return media(MediaKind(node["mediaSlot"]["kind"]).value)
    if forms := branches(node):
        return value(forms[-1 if full else 0], name, full)
    if "const" in node:
        return node["const"]
    if "enum" in node:
        return node["enum"][0]
    makers = {"object": _mapping, "array": _list, "boolean": _true, "string": _text, None: _untyped}
    return makers.get(node.get("type"), _number)(node, name, full)


def _mapping(node: Mapping[str, Any], name: str, full: bool) -> Any:
    return {each: value(schema, each, full) for each, schema in asked({"properties": {}, **node}, full).items()}


def _list(node: Mapping[str, Any], name: str, full: bool) -> Any:
    return [value(node["items"], name, full)]


def _true(node: Mapping[str, Any], name: str, full: bool) -> Any:
    return True


def _text(node: Mapping[str, Any], name: str, full: bool) -> Any:
    found = UNTYPED.search(name)
    return TEXTS.get(name, media(found[1]) if found else "text")


def _untyped(node: Mapping[str, Any], name: str, full: bool) -> Any:
    found = UNTYPED.search(name)
    return {"uri": media(found[1] if found else "image")}


def _number(node: Mapping[str, Any], name: str, full: bool) -> Any:
    low = node.get("minimum", 0)
    return max(low, min(NUMBERS.get(name, low), node.get("maximum", 100)))
