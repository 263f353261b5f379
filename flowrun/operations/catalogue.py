"""The catalogue of the API's operations and models, read from data. Owns reading it and finding things in it.

``schemas/runway-2024-11-06.json`` is the structure of the API's own description; ``schemas/models.json`` and ``prices.json``
have what that does not say; overlays (`overlay`) have what changed since. A new or a retired model is a change of data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from typing import Any

from flowrun.media.facts import MediaKind
from flowrun.operations.data import DEFAULT_OVERLAYS, SHIPPED, document
from flowrun.operations.model import Problem, Retired, Schema
from flowrun.operations.near import by_nearness, nearest_name
from flowrun.operations.overlay import Tables, base_tables, lay_all
from flowrun.operations.spec import ModelSpec, model_spec, open_spec

STRUCTURE_FILE = "runway-2024-11-06.json"
MODELS_FILE = "models.json"
PRICES_FILE = "prices.json"
NAMED = 8  # models that a hint lists; the reference and the editor's schema have them all


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of generation: its endpoint and the models that do it. `responses`: JSON Schema by status, None: no body."""

    name: str
    path: str
    produces: MediaKind
    models: Mapping[str, ModelSpec]
    responses: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint that starts no generation. Schemas are JSON Schema; None: no body."""

    method: str
    path: str
    parameters: tuple[Mapping[str, Any], ...]
    request: Mapping[str, Any] | None
    responses: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What the API can do. `endpoints` are keyed ``GET /v1/tasks/{id}``; `source` is the description's SHA-256; `tells_cost`:
    whether its answers say what a task costs; `open`: whether models that are not in it pass, unchecked."""

    api_version: str
    operations: Mapping[str, Operation]
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict, repr=False)
    server: str = ""
    source: str = ""
    seconds: Mapping[str, Any] = field(default_factory=dict, repr=False)
    tells_cost: bool = False
    open: bool = False

    @classmethod
    def load(cls, overlays: Iterable[Mapping[str, Any]] = (), *, open: bool = False) -> Catalogue:
        """Read from the data files, with overlay documents laid over them in turn.

        Raises FileNotFoundError where the installation is damaged, OverlayError for an overlay that does not fit.
        """
        structure = document(STRUCTURE_FILE)
        tables = lay_all(base_tables(structure, document(MODELS_FILE), document(PRICES_FILE)), overlays)
        return replace(from_tables(tables, structure), open=open)

    def find(self, operation: str, model: str) -> ModelSpec | None:
        found = self.operations.get(operation)
        if found is None:
            return None
        known = found.models.get(model)
        return open_spec(operation, model, found.models) if known is None and self.open else known

    def operations_of(self, model: str) -> tuple[str, ...]:
        """Names of the operations that `model` does."""
        return tuple(name for name, each in self.operations.items() if model in each.models)

    def typical_seconds(self, operation: str, model: str) -> float:
        """About how long a task takes once it runs, before anything was learned: a guess of ours, in seconds."""
        by_model = self.seconds["operations"].get(operation, {})
        return float(by_model.get(model, by_model.get("*", self.seconds["otherwise"])))

    def unknown_operation_problem(self, name: str) -> Problem:
        near = nearest_name(name, self.operations)
        listing = f"the API has {', '.join(self.operations)}"
        hint = f"did you mean {near}? {listing}" if near else listing
        return Problem((), "unknown-operation", f"there is no operation {name[:64]!r}", hint)

    def models_hint(self, operation: str, near: str = "") -> str:
        """Which models an operation, which must be known, has: the few that are nearest to a name, or the first."""
        has = self._current(operation)
        if len(has) <= NAMED:
            return f"{operation} has {', '.join(has)}"
        named = (by_nearness(near, has) if near else has)[:NAMED]
        return f"{operation} has {', '.join(named)} and {len(has) - NAMED} more: `flowrun schema flow` lists all"

    def _current(self, operation: str) -> list[str]:
        models = self.operations[operation].models
        return [name for name, spec in models.items() if not spec.retired] or [*models]

    def unknown_model_problem(self, operation: str, model: str) -> Problem:
        """For a model that `operation`, which must be known, does not have."""
        near, elsewhere = nearest_name(model, self._current(operation)), self.operations_of(model)
        hint = self.models_hint(operation, model)
        if elsewhere:
            hint = f"that model belongs to {' and '.join(elsewhere)}; {hint}"
        elif near:
            hint = f"did you mean {near}? {hint}"
        return Problem(("model",), "unknown-model", f"{operation} has no model {model[:64]!r}", hint)


def shipped(name: str) -> Mapping[str, Any]:
    """An overlay that ships, by its name. Raises KeyError."""
    found: Mapping[str, Any] = document(SHIPPED[name])
    return found


@cache
def catalogue() -> Catalogue:
    """The one that is used unless somebody says otherwise: the description with the overlays that ship. Read on first use."""
    return Catalogue.load(map(shipped, DEFAULT_OVERLAYS))


@cache
def described() -> Catalogue:
    """The bare description, and nothing that has changed since."""
    return Catalogue.load()


def _retired(tables: Tables, model: str) -> Retired | None:
    entry = tables.retired.get(model)
    if entry is None:
        return None
    since = entry.get("since")
    return Retired(date.fromisoformat(since) if since else None, entry.get("successor"))


def _others(models: Mapping[str, Any], model: str) -> dict[str, tuple[str, ...]]:
    """Which other models of an operation have an input, by input."""
    having: dict[str, tuple[str, ...]] = {}
    for other, schema in models.items():
        for name in schema["properties"] if other != model else ():
            having[name] = (*having.get(name, ()), other)
    return having


def _spec(operation: str, model: str, models: Mapping[str, Schema], tables: Tables) -> ModelSpec:
    described = tables.described.get(operation, {}).get(model)
    return model_spec(
        operation,
        model,
        models[model],
        retired=_retired(tables, model),
        others=_others(models, model),
        alternatives=tuple(name for name in models if name not in tables.retired),
        limit=tables.data_uri_limit,
        price=tables.prices.get(model),
        described=described if described is not None and described != models[model] else None,
    )


def _operation(name: str, tables: Tables) -> Operation:
    entry, schemas = tables.operations[name], tables.models[name]
    models = {model: _spec(name, model, schemas, tables) for model in schemas}
    return Operation(name, entry["path"], MediaKind(tables.produces[name]), models, entry["responses"])


def _endpoint(entry: Mapping[str, Any]) -> Endpoint:
    return Endpoint(entry["method"], entry["path"], tuple(entry["parameters"]), entry["request"], entry["responses"])


def from_tables(tables: Tables, structure: Mapping[str, Any]) -> Catalogue:
    """A catalogue from its tables. Raises KeyError for an operation without a kind."""
    return Catalogue(
        structure["api_version"],
        {name: _operation(name, tables) for name in tables.operations},
        {name: _endpoint(entry) for name, entry in tables.endpoints.items()},
        structure["server"],
        structure["source"]["sha256"],
        tables.seconds,
        tables.tells_cost,
    )


def typical_seconds(operation: str, model: str) -> float:
    """`Catalogue.typical_seconds` of the one that ships."""
    return catalogue().typical_seconds(operation, model)


def unknown_operation_problem(name: str) -> Problem:
    return catalogue().unknown_operation_problem(name)


def unknown_model_problem(operation: str, model: str) -> Problem:
    return catalogue().unknown_model_problem(operation, model)
