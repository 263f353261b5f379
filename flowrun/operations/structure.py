"""Walking a request's schema. Owns where media slots are and which types a place takes; judges no value.

The shapes met in the API's descriptions: objects, lists, unions told apart by a tag (``type``) or by the value's shape,
and media slots, which the structure file marks with ``mediaSlot``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flowrun.media.facts import MediaKind
from flowrun.operations.model import Path, Schema, Slot, SlotPattern

ANY_INDEX = "*"
_NONE: Mapping[str, Any] = {}


def branches(node: Schema) -> list[Schema]:
    """The forms of a union; empty for what is none. A media slot is one form, whatever URIs it takes."""
    return [] if "mediaSlot" in node else list(node.get("oneOf") or node.get("anyOf") or ())


def tag_of(node: Schema) -> str | None:
    """The input whose value tells the forms of a union apart."""
    tag = node.get("discriminator", _NONE).get("propertyName")
    return str(tag) if tag else None


def tag_value(branch: Schema, tag: str) -> Any:
    return branch["properties"][tag]["const"]


def types_of(node: Schema) -> frozenset[str]:
    """JSON Schema names of the types that a place takes; empty: any."""
    if "mediaSlot" in node:
        return frozenset({"string"})
    if forms := branches(node):
        return frozenset().union(*map(types_of, forms))
    types = node.get("type", ())
    return frozenset({types} if isinstance(types, str) else types)


def _by_shape(node: Schema, value: object) -> list[Schema]:
    """The forms a value may mean: a list means the list, a mapping the object if there is one, all else the leaf."""
    shape = "array" if isinstance(value, list | tuple) else "object" if isinstance(value, Mapping) else None
    same = [form for form in branches(node) if shape in types_of(form)]
    return same or [form for form in branches(node) if not types_of(form) & {"array", "object"}]


def chosen(node: Schema, value: object) -> list[Schema]:
    """The forms of a union that `value` may mean: one, or all those a tag not known yet leaves open."""
    tag = tag_of(node)
    if tag is None:
        return _by_shape(node, value)
    given = value.get(tag) if isinstance(value, Mapping) else None
    return [form for form in branches(node) if tag_value(form, tag) == given] or branches(node)


def children(node: Schema, value: object) -> Iterator[tuple[str | int, Schema, Any]]:
    """Name or position, schema and value of what stands directly in a mapping or list, as far as the schema knows it."""
    if isinstance(value, Mapping):
        properties = node.get("properties", _NONE)
        yield from ((name, properties[name], value[name]) for name in value if name in properties)
    elif isinstance(value, list | tuple) and "items" in node:
        yield from ((index, node["items"], each) for index, each in enumerate(value))


def _found(node: Schema, value: object, path: Path) -> Iterator[Slot]:
    if mark := node.get("mediaSlot"):
        yield Slot(path, MediaKind(mark["kind"]), mark["dataUriLimit"])
        return
    for form in chosen(node, value) if branches(node) else ():
        yield from _found(form, value, path)
    for part, schema, below in children(node, value):
        yield from _found(schema, below, (*path, part))


def _merged(first: Slot, second: Slot) -> Slot:
    kind = first.kind if first.kind is second.kind else None
    return Slot(first.path, kind, min(first.data_uri_limit, second.data_uri_limit))


def slots(schema: Schema, request: object) -> tuple[Slot, ...]:
    """The media slots that stand in this request, in its order, found by structure: the leaves are not looked at."""
    by_path: dict[Path, Slot] = {}
    for slot in _found(schema, request, ()):
        known = by_path.get(slot.path)
        by_path[slot.path] = slot if known is None else _merged(known, slot)
    return tuple(by_path.values())


def slot_patterns(node: Schema, path: tuple[str, ...] = ()) -> Iterator[SlotPattern]:
    """All places where any request of this schema may hold media; one place twice where a tag decides its kind."""
    if mark := node.get("mediaSlot"):
        yield SlotPattern(path, MediaKind(mark["kind"]), mark["dataUriLimit"])
        return
    for form in branches(node):
        yield from slot_patterns(form, path)
    for name, schema in node.get("properties", _NONE).items():
        yield from slot_patterns(schema, (*path, name))
    if "items" in node:
        yield from slot_patterns(node["items"], (*path, ANY_INDEX))


def nodes_at(node: Schema, path: Path) -> Iterator[Schema]:
    """The schemas that speak of a place: several where a union leads there in several ways, none where nothing does."""
    if forms := branches(node):
        for form in forms:
            yield from nodes_at(form, path)
    elif not path:
        yield node
    elif isinstance(path[0], int):
        yield from nodes_at(node["items"], path[1:]) if "items" in node else ()
    elif path[0] in node.get("properties", _NONE):
        yield from nodes_at(node["properties"][path[0]], path[1:])


def expected_types(schema: Schema, path: Path) -> frozenset[str]:
    """JSON Schema names of the types taken at a place; empty where the API knows no such place."""
    return frozenset().union(*map(types_of, nodes_at(schema, path)))
