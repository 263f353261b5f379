"""The places of a request's schema: every input there is, however deep, and every form it may take. Owns listing them, telling
which of them a request uses, and making requests that use all.

``promptImage (image)`` and ``promptImage[].uri (image)`` are two places, as two forms of one input are; so are the first and the
last position of a frame.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import jsonschema_rs

from flowrun.operations.structure import branches

FRAMES = "position"  # an input of a list's entries, each entry having another of its options
UNDESCRIBED = "not described: "
Fill = Callable[[str, Mapping[str, Any]], Any]


def places(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Every place, some of them twice."""
    if "mediaSlot" in schema:
        yield f"{path} ({schema['mediaSlot']['kind']})"
    elif forms := branches(schema):
        for form in forms:
            yield from places(form, path)
    elif "properties" in schema:
        for name, each in schema["properties"].items():
            yield from places(each, f"{path}.{name}".lstrip("."))
    elif "items" in schema:
        yield from places(schema["items"], f"{path}[]")
    elif told := _told(schema, path):
        yield from (f"{path} {each}" for each in told)
    else:
        yield path


def _told(leaf: Mapping[str, Any], path: str) -> Sequence[Any]:
    """The options of a leaf that are told apart: what names a form, and the positions of frames."""
    return [leaf["const"]] if "const" in leaf else leaf.get("enum", ()) if path.endswith(f".{FRAMES}") else ()


def used(schema: Mapping[str, Any], value: Any, path: str = "") -> Iterator[str]:
    """The places where a valid request has something; of an input that nothing describes, that."""
    if "mediaSlot" in schema:
        yield f"{path} ({schema['mediaSlot']['kind']})"
    elif forms := branches(schema):
        for form in forms:
            if jsonschema_rs.Draft202012Validator(form).is_valid(value):
                yield from used(form, value, path)
                return
    elif "properties" in schema:
        for name, each in value.items():
            below = f"{path}.{name}".lstrip(".")
            described = schema["properties"].get(name)
            yield from used(described, each, below) if described is not None else (UNDESCRIBED + below,)
    elif "items" in schema:
        for each in value:
            yield from used(schema["items"], each, f"{path}[]")
    else:
        yield f"{path} {value}" if _told(schema, path) else path


def requests(schema: Mapping[str, Any], fill: Fill) -> list[dict[str, Any]]:
    """The fewest requests, by going through the forms in turn, that use every place. `fill` gives the value of a leaf, by its
    name. Raises AssertionError where they do not."""
    missing, found = set(places(schema)), []
    for turn in range(4):
        new = missing & set(used(schema, _value(schema, "", turn, partial(_addressed, fill))))
        if new:
            found.append(_value(schema, "", turn, fill))
        missing -= new
        if not missing:
            return found
    raise AssertionError(f"no request uses {', '.join(sorted(missing))}")


def _addressed(fill: Fill, name: str, node: Mapping[str, Any]) -> Any:
    """With media as an address, where a manifest may have a template."""
    return "https://example.com/media" if "mediaSlot" in node else fill(name, node)


def _value(node: Mapping[str, Any], name: str, turn: int, fill: Fill) -> Any:
    if "mediaSlot" not in node and (forms := branches(node)):
        return _value(forms[-1 - turn % len(forms)], name, turn, fill)  # the last form has the most in it
    if "properties" in node:
        return {each: _value(below, each, turn, fill) for each, below in node["properties"].items()}
    if "items" in node:
        return list(_entries(node, name, turn, fill))
    return node["const"] if "const" in node else fill(name, node)


def _entries(node: Mapping[str, Any], name: str, turn: int, fill: Fill) -> Iterator[Any]:
    """One of each form, or of each position."""
    item = node["items"]
    forms = (branches(item) if "mediaSlot" not in item else ()) or [item]
    for form in itertools.islice(forms, node.get("maxItems")):
        made = _value(form, name, turn, fill)
        options = form.get("properties", {}).get(FRAMES, {}).get("enum", ())
        yield from ({**made, FRAMES: each} for each in options) if options else (made,)
