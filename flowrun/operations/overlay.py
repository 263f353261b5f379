"""Overlays: what has changed since the API's description, as data laid over it. Owns laying one over the tables.

An overlay adds models and operations, retires models, and changes prices and limits. Documents come from `schemas/`, or
from a user's file by way of `overlay_file`; neither the tables nor the documents are changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flowrun.operations.model import Schema

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything a catalogue is made from. `models`: request schemas by operation and model, as they hold now; `described`:
    those of the description alone, by the same names. `operations` and `endpoints` are the description's entries.

    `retired`, `prices`: by model; `data_uri_limit`: characters, None: as the schemas say; `tells_cost`: whether tasks say
    what they cost.
    """

    operations: Json
    endpoints: Json
    models: Mapping[str, Mapping[str, Schema]]
    described: Mapping[str, Mapping[str, Schema]]
    produces: Json
    seconds: Json
    retired: Json
    prices: Json
    data_uri_limit: int | None = None
    tells_cost: bool = False


class OverlayError(ValueError):
    """An overlay does not fit what it is laid over. `path`: where in the document."""

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.path = path


def base_tables(structure: Json, known: Json, prices: Json) -> Tables:
    """The description, and what ships beside it."""
    models = {name: entry["models"] for name, entry in structure["operations"].items()}
    return Tables(
        operations=structure["operations"],
        endpoints=structure["endpoints"],
        models=models,
        described=models,
        produces=known["produces"]["operations"],
        seconds=known["typical_seconds"],
        retired={},
        prices=prices["models"],
    )


def lay(tables: Tables, overlay: Json) -> Tables:
    """The tables with an overlay on top. Raises OverlayError."""
    for name, entry in overlay.get("operations", {}).items():
        tables = _with_operation(tables, name, entry)
    answers, limit = overlay.get("answers", {}), overlay.get("data_uri_characters", tables.data_uri_limit)
    return replace(
        tables,
        retired={**tables.retired, **overlay.get("retired", {})},
        prices={**tables.prices, **overlay.get("prices", {})},
        seconds=_with_seconds(tables.seconds, overlay.get("typical_seconds", {})),
        data_uri_limit=limit,
        tells_cost=answers.get("cost", tables.tells_cost),
    )


def lay_all(tables: Tables, overlays: Iterable[Json]) -> Tables:
    for overlay in overlays:
        tables = lay(tables, overlay)
    return tables


def _with_operation(tables: Tables, name: str, entry: Json) -> Tables:
    if name not in tables.operations:
        tables = _with_new_operation(tables, name, entry)
    models = dict(tables.models[name])
    for model, schema in entry.get("models", {}).items():
        models[model] = _schema(models, model, schema, ("operations", name, "models", model))
    return replace(tables, models={**tables.models, name: models})


def _with_new_operation(tables: Tables, name: str, entry: Json) -> Tables:
    """One that the description has not: answered like the others, at the path that is its name."""
    if "produces" not in entry:
        raise OverlayError(("operations", name), f"'{name}' is a new operation: say what it 'produces'")
    like = next(iter(tables.operations.values()))
    made = {**like, "path": entry.get("path", f"/v1/{name}"), "models": {}}
    return replace(
        tables,
        operations={**tables.operations, name: made},
        models={**tables.models, name: {}},
        produces={**tables.produces, name: entry["produces"]},
    )


def _schema(models: Mapping[str, Schema], model: str, entry: Json, path: tuple[str, ...]) -> Schema:
    """A model's request schema: whole, or told by what differs from another model's."""
    if "like" not in entry:
        return {**entry, "properties": _named(model, entry.get("properties", {}))}
    other = models.get(entry["like"])
    if other is None:
        known = ", ".join(models) or "none"
        raise OverlayError((*path, "like"), f"the operation has no model '{entry['like']}'; it has {known}")
    changes = entry.get("properties", {})
    kept = {name: schema for name, schema in other["properties"].items() if name not in changes}
    changed = {
        name: _changed(other["properties"].get(name), schema) for name, schema in changes.items() if schema is not None
    }
    properties = _named(model, {**kept, **changed})
    required = entry.get("required", other.get("required", ()))
    return {**other, "properties": properties, "required": [name for name in required if name in properties]}


def _changed(before: Schema | None, change: Json) -> Schema:
    """An input whose type stands is changed keyword by keyword; another type, or a new input, is told whole."""
    return {**before, **change} if before is not None and "type" not in change and "anyOf" not in change else change


def _named(model: str, properties: Json) -> dict[str, Any]:
    return {**properties, "model": {"type": "string", "const": model}}


def _with_seconds(known: Json, more: Json) -> Json:
    operations = {name: {**known["operations"].get(name, {}), **times} for name, times in more.items()}
    return {**known, "operations": {**known["operations"], **operations}}
