"""The form of a schema that is checked against. Owns jsonschema_rs; the wording of what it finds is `wording`'s.

Three changes against the API's description, so that each error speaks of one form alone and at its smallest place:
a union becomes a decision (``if`` this tag, type or URI scheme ``then`` this form); an input the API does not know is
an error, as the live API has it; and text is laid out so that its length is its length in UTF-16 code units.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from flowrun.operations.model import UNKNOWN, MediaLeaf, Path, Schema
from flowrun.operations.structure import branches, tag_of, tag_value, types_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PLACEHOLDER_URI = "https://media.invalid/"  # the reserved name: stands in for media while the rest is checked
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class SchemaError(Protocol):
    """What is read of jsonschema_rs's errors."""

    @property
    def instance_path(self) -> list[str | int]: ...
    @property
    def schema_path(self) -> list[str | int]: ...
    @property
    def kind(self) -> Any: ...


class Validator(Protocol):
    def iter_errors(self, instance: Any) -> Iterator[SchemaError]: ...


def _decision(conditions: Iterable[tuple[Schema, Schema]]) -> list[dict[str, Any]]:
    return [{"if": condition, "then": form} for condition, form in conditions]


def _strict_slot(node: Schema) -> dict[str, Any]:
    """Text with one of the URI schemes, and then within the bounds of that scheme."""
    forms = [(form["pattern"], form) for form in node["anyOf"]]
    bounds = [{name: form[name] for name in ("minLength", "maxLength") if name in form} for _, form in forms]
    return {
        "mediaSlot": node["mediaSlot"],
        "type": "string",
        "pattern": "|".join(f"(?:{pattern})" for pattern, _ in forms),
        "allOf": _decision(({"pattern": pattern}, bound) for (pattern, _), bound in zip(forms, bounds, strict=True)),
    }


def _strict_tagged(forms: list[Schema], tag: str) -> dict[str, Any]:
    """An object whose tag decides; while the tag is missing or wrong, only that is an error."""
    values = [tag_value(form, tag) for form in forms]
    conditions = [{"required": [tag], "properties": {tag: {"const": value}}} for value in values]
    return {
        "type": "object",
        "required": [tag],
        "properties": {tag: {"type": "string", "enum": values}},
        "allOf": _decision(zip(conditions, map(strict, forms), strict=True)),
    }


def _strict_shaped(forms: list[Schema]) -> dict[str, Any]:
    """One of several types, and then the form of that type; where several have one type, any of them."""
    by_types: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for form in forms:
        by_types.setdefault(tuple(sorted(types_of(form))), []).append(strict(form))
    conditions = [{"type": list(each)} for each in by_types]
    chosen = [same[0] if len(same) == 1 else {"anyOf": same} for same in by_types.values()]
    return {
        "type": sorted(frozenset().union(*by_types)),
        "allOf": _decision(zip(conditions, chosen, strict=True)),
    }


def _strict_union(node: Schema) -> dict[str, Any]:
    forms, tag = branches(node), tag_of(node)
    if len(forms) == 1:
        return strict(forms[0])
    return _strict_tagged(forms, tag) if tag else _strict_shaped(forms)


def strict(node: Schema) -> dict[str, Any]:
    """The strict form of a schema of the structure file."""
    if "mediaSlot" in node:
        return _strict_slot(node)
    if branches(node):
        return _strict_union(node)
    form = dict(node)
    if "properties" in node:
        form["properties"] = {name: strict(schema) for name, schema in node["properties"].items()}
        form.setdefault("additionalProperties", False)
    if "items" in node:
        form["items"] = strict(node["items"])
    return form


@dataclass(frozen=True, slots=True)
class StrictSchema:
    """A strict schema with its compiled validator. Making one costs about a millisecond: once a model, on first use."""

    schema: Mapping[str, Any]
    validator: Validator = field(repr=False)


def compiled(schema: Schema) -> StrictSchema:
    """Raises ValueError for what is no JSON Schema."""
    import jsonschema_rs  # late: reading the catalogue needs no validator

    form = strict(schema)
    return StrictSchema(form, jsonschema_rs.Draft202012Validator(form))


def by_code_units(text: str) -> str:
    """Text with as many characters as `text` has UTF-16 code units, alike for every pattern and enum of the API.

    A lone surrogate, which cannot be validated (nor sent), counts one.
    """
    if text.isascii():
        return text
    return _SURROGATE.sub("\ufffd", _ASTRAL.sub("\ufffd\ufffd", text))


@dataclass(slots=True)
class Prepared:
    """A request made ready for a validator, and the places where it had to be filled in.

    `misplaced`: media where none is taken, and values that are none of JSON's; `odd_keys`: keys that are no text.
    """

    slots: frozenset[Path]
    unknown: list[Path] = field(default_factory=list)
    misplaced: list[Path] = field(default_factory=list)
    odd_keys: list[Path] = field(default_factory=list)

    def fill(self, value: object, path: Path = ()) -> Any:
        """`value` as JSON, with stand-ins where it has none."""
        if isinstance(value, str):
            return by_code_units(value)
        if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
            return value
        if isinstance(value, Mapping):
            return self._fill_mapping(value, path)
        if isinstance(value, list | tuple):
            return [self.fill(each, (*path, index)) for index, each in enumerate(value)]
        return self._stand_in(value, path)

    def _fill_mapping(self, value: Mapping[Any, Any], path: Path) -> dict[str, Any]:
        self.odd_keys += [
            (*path, key if isinstance(key, int) else str(key)) for key in value if not isinstance(key, str)
        ]
        return {key: self.fill(each, (*path, key)) for key, each in value.items() if isinstance(key, str)}

    def _stand_in(self, value: object, path: Path) -> str | None:
        if isinstance(value, MediaLeaf) and path in self.slots:
            return PLACEHOLDER_URI
        (self.unknown if value is UNKNOWN else self.misplaced).append(path)
        return None

    def hides(self, path: Path) -> bool:
        """Whether nothing can be said of a place, because it is not known or was replaced. Below such a place is nothing."""
        return path in self.unknown or path in self.misplaced
