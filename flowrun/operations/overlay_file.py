"""A user's overlay, read from YAML or JSON. Owns its checking, with each mistake at its place; laying it is `overlay`'s."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flowrun.diagnostics.model import Diagnostic, DiagnosticError
from flowrun.operations.overlay import OverlayError, base_tables, lay_all
from flowrun.yaml_tree.reading import parse
from flowrun.yaml_tree.tree import Tree, follow, plain


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RetiredPart(_Part):
    """The live API refuses the model."""

    since: date | None = Field(None, description="The day since which the live API refuses it.")
    successor: str | None = Field(None, description="The model to use instead.")
    source: str | None = Field(None, description="Where this is known from.")


class CasePart(_Part):
    """Another price where an input has one of some values."""

    input: str
    values: list[Any] = Field(alias="in", min_length=1)
    credits: int = Field(ge=0)


class PricePart(_Part):
    """credits * ceil(quantity / every); the quantity is what an input, the characters of a text or the seconds of media say."""

    credits: int = Field(ge=0, description="Whole credits a unit.")
    unit: Literal["second", "image", "character", "call"] = Field(description="What is counted.")
    every: int = Field(1, ge=1, description="How many units one price is for.")
    input: str | None = Field(None, description="The input that holds the seconds.")
    text: str | None = Field(None, description="The input whose characters are counted.")
    media: list[str | int] | None = Field(None, description="Where the media stands whose seconds are counted.")
    when: list[CasePart] = Field(default_factory=list)
    at_least: int | None = Field(None, ge=0, description="The least a generation costs.")
    low: int | None = Field(None, ge=0)
    omitted: float | None = Field(None, ge=0, description="The quantity where the input is left out.")
    least_counted: float | None = Field(None, ge=0)
    note: str | None = None
    as_of: date = Field(description="The day the price was seen.")
    source: list[str] = Field(min_length=1, description="Where it was seen.")
    confidence: Literal["high", "medium", "low"] = "medium"


class ModelPart(_Part):
    """A model's request: a JSON Schema, or `like` another model of the operation with what differs."""

    like: str | None = Field(None, description="The model of the same operation that this one is like.")
    type: Literal["object"] = "object"
    properties: dict[str, dict[str, Any] | None] = Field(
        default_factory=dict, description="Inputs by name, each a JSON Schema; null takes one of `like`'s away."
    )
    required: list[str] | None = None


class OperationPart(_Part):
    """Models by name. `produces` and `path` are for an operation that the description has not."""

    produces: Literal["image", "video", "audio"] | None = None
    path: str | None = Field(None, pattern="^/v1/[a-z0-9_/]+$")
    models: dict[str, ModelPart] = Field(default_factory=dict)


class AnswersPart(_Part):
    cost: bool = Field(description="Whether the API says what a task costs.")


class Overlay(_Part):
    """What has changed at the API since its description."""

    format: Literal[1] = Field(description="The format's version.")
    about: str | None = None
    source: Any = None
    sources: dict[str, str] = Field(default_factory=dict)
    operations: dict[str, OperationPart] = Field(default_factory=dict)
    retired: dict[str, RetiredPart] = Field(default_factory=dict)
    prices: dict[str, PricePart] = Field(default_factory=dict)
    typical_seconds: dict[str, dict[str, float]] = Field(default_factory=dict)
    data_uri_characters: int | None = Field(None, ge=1, description="The longest data URI that the API takes.")
    answers: AnswersPart | None = None


def read_overlay(text: str, file: str, below: Sequence[Mapping[str, Any]], tables: Mapping[str, Any]) -> dict[str, Any]:
    """The document in `text`, checked as far as that goes without laying it over `below`, then with it.

    `tables`: the description's structure, what is known beside it, and prices, by these names. Raises DiagnosticError with
    everything found.
    """
    tree = parse(text, file)
    value = plain(tree)
    try:
        found = Overlay.model_validate({} if value is None else value)
    except ValidationError as error:
        problems = [_problem(tree, each["loc"], _words(each)) for each in error.errors(include_url=False)]
        raise DiagnosticError(problems) from None
    document: dict[str, Any] = json.loads(found.model_dump_json(by_alias=True, exclude_none=False, exclude_unset=True))
    try:
        lay_all(base_tables(tables["structure"], tables["known"], tables["prices"]), [*below, document])
    except OverlayError as error:
        raise DiagnosticError([_problem(tree, error.path, str(error))]) from None
    for name, schema in _schemas(document):
        _check_schema(tree, name, schema)
    return document


def _schemas(document: Mapping[str, Any]) -> list[tuple[tuple[str, ...], Any]]:
    return [
        (("operations", operation, "models", model, "properties", name), schema)
        for operation, entry in document.get("operations", {}).items()
        for model, request in entry.get("models", {}).items()
        for name, schema in request.get("properties", {}).items()
        if schema is not None
    ]


def _check_schema(tree: Tree, path: tuple[str, ...], schema: Any) -> None:
    import jsonschema_rs  # late: reading no overlay needs no validator

    try:
        jsonschema_rs.meta.validate(schema)
    except jsonschema_rs.ValidationError as error:
        raise DiagnosticError(
            [_problem(tree, (*path, *error.instance_path), f"this is no JSON Schema: {error.message}")]
        ) from None


def _words(error: Any) -> str:
    known = {
        "extra_forbidden": "an overlay has no such field here",
        "missing": "this field must be given",
        "model_type": "this should be a mapping",
    }
    return known.get(error["type"], str(error["msg"]))


def _problem(tree: Tree, path: tuple[str | int, ...], message: str) -> Diagnostic:
    shown = ".".join(map(str, path)) or "overlay"
    return Diagnostic(
        "overlay-invalid", f"{shown}: {message}", follow(tree, path)[1], "flowrun schema overlay-1 prints the format"
    )
