"""A user's overlay, read from YAML or JSON. Owns its checking, with each mistake at its place; laying it is `overlay`'s."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flowrun.diagnostics.model import Diagnostic, DiagnosticError
from flowrun.operations.overlay import OverlayError, base_tables, lay_all
from flowrun.operations.strict import compiled
from flowrun.operations.structure import slot_patterns
from flowrun.yaml_tree.reading import parse
from flowrun.yaml_tree.tree import Tree, follow, plain

KINDS = ("image", "video", "audio")
DATA_URI_LIMIT = 5_000_000  # characters, as the live API has it for all media


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RetiredPart(_Part):
    """The live API refuses the model."""

    since: date | None = Field(None, description="The day since which the live API refuses it.")
    successor: str | None = Field(None, description="The model to use instead.")
    source: str | None = Field(None, description="Where this is known from.")


class CasePart(_Part):
    """Another price where an input has one of some values."""

    input: str = Field(description="The input that decides.")
    values: list[Any] = Field(alias="in", min_length=1, description="The values that this price is for.")
    credits: int = Field(ge=0, description="Whole credits a unit.")


class PricePart(_Part):
    """credits * ceil(quantity / every); the quantity is what an input, the characters of a text or the seconds of media say."""

    credits: int = Field(ge=0, description="Whole credits a unit.")
    unit: Literal["second", "image", "character", "call"] = Field(description="What is counted.")
    every: int = Field(1, ge=1, description="How many units one price is for.")
    input: str | None = Field(None, description="The input that holds the seconds.")
    text: str | None = Field(None, description="The input whose characters are counted.")
    media: list[str | int] | None = Field(None, description="Where the media stands whose seconds are counted.")
    when: list[CasePart] = Field(default_factory=list, description="Other prices; the first that holds counts.")
    at_least: int | None = Field(None, ge=0, description="The least a generation costs.")
    low: int | None = Field(None, ge=0, description="The low end of an estimate, where it is not what is reckoned.")
    omitted: float | None = Field(None, ge=0, description="The quantity where the input is left out.")
    least_counted: float | None = Field(None, ge=0, description="The fewest seconds of media that are surely counted.")
    note: str | None = Field(None, description="A word to add where the price is shown.")
    as_of: date = Field(description="The day the price was seen.")
    source: list[str] = Field(min_length=1, description="Where it was seen.")
    confidence: Literal["high", "medium", "low"] = Field("medium", description="How sure the price is.")


class ModelPart(_Part):
    """A model's request: a JSON Schema, or `like` another model of the operation with what differs."""

    like: str | None = Field(None, description="The model of the same operation that this one is like.")
    type: Literal["object"] = Field("object", description="A request is always a mapping.")
    properties: dict[str, dict[str, Any] | None] = Field(
        default_factory=dict,
        description="Inputs by name, each a JSON Schema; {media: image}, {media: video} or {media: audio} is a place that "
        "takes media; null takes one of `like`'s away.",
    )
    required: list[str] | None = Field(None, description="Inputs that a request must have; else those of `like`.")


class OperationPart(_Part):
    """Models by name. `produces` and `path` are for an operation that the description has not."""

    produces: Literal["image", "video", "audio"] | None = Field(None, description="What a new operation makes.")
    path: str | None = Field(None, pattern="^/v1/[a-z0-9_/]+$", description="Its endpoint, where it is not /v1/NAME.")
    models: dict[str, ModelPart] = Field(default_factory=dict, description="By name.")


class AnswersPart(_Part):
    """What the API's answers hold."""

    cost: bool = Field(description="Whether the API says what a task costs.")


class Overlay(_Part):
    """What has changed at the API since its description."""

    format: Literal[1] = Field(description="The format's version.")
    about: str | None = Field(None, description="For people.")
    source: Any = Field(None, description="For people: what it was made from.")
    sources: dict[str, str] = Field(default_factory=dict, description="For people: where each part is known from.")
    operations: dict[str, OperationPart] = Field(default_factory=dict, description="Models added or changed.")
    retired: dict[str, RetiredPart] = Field(default_factory=dict, description="Models, by name.")
    prices: dict[str, PricePart] = Field(default_factory=dict, description="By model.")
    typical_seconds: dict[str, dict[str, float]] = Field(
        default_factory=dict, description="About how long a task runs, by operation and model; `*` is any model."
    )
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
    document: dict[str, Any] = json.loads(found.model_dump_json(by_alias=True, exclude_none=True, exclude_unset=True))
    for path, schema in _schemas(document):
        _check_schema(tree, path, schema)
    try:
        document = _with_slots(document)
        laid = lay_all(base_tables(tables["structure"], tables["known"], tables["prices"]), [*below, document])
    except OverlayError as error:
        raise DiagnosticError([_problem(tree, error.path, str(error))]) from None
    for operation, entry in document.get("operations", {}).items():
        for model in entry.get("models", {}):
            _check_request(tree, ("operations", operation, "models", model), laid.models[operation][model])
    return document


def overlay_schema() -> dict[str, Any]:
    """The JSON Schema of overlay files, for editors."""
    made = Overlay.model_json_schema(by_alias=True)
    about = (
        "What has changed at the API since its description: a file that `[catalogue] overlays` in flowrun.toml names."
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "overlay-1.json",
        **_untitled(made),
        "title": "flowrun overlay",
        "description": about,
    }


def _untitled(schema: Any) -> Any:
    """Without the titles and empty defaults that pydantic makes of names."""
    if isinstance(schema, list):
        return [_untitled(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {key: _untitled(each) for key, each in schema.items() if (key, each) != ("default", None)}
    if isinstance(made.get("title"), str):
        del made["title"]
    return made


def media_slot(kind: str) -> dict[str, Any]:
    """A place that takes media: an https address, an upload, or the bytes themselves."""
    forms = (("^https:\\/\\/.*", 2048), ("^runway:\\/\\/.*", 5000), (f"^data:{kind}\\/.*", DATA_URI_LIMIT))
    texts = [{"type": "string", "minLength": 13, "maxLength": most, "pattern": pattern} for pattern, most in forms]
    return {"mediaSlot": {"kind": kind, "dataUriLimit": DATA_URI_LIMIT}, "anyOf": texts}


def _with_slots(value: Any, path: tuple[str | int, ...] = ()) -> Any:
    """With `{media: image}` told in full; an input that bears the name `media` has a schema there, not a kind.

    Raises OverlayError for a kind that is none.
    """
    if isinstance(value, list):
        return [_with_slots(each, (*path, index)) for index, each in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    kind = value.get("media")
    if not isinstance(kind, str):
        return {key: _with_slots(each, (*path, key)) for key, each in value.items()}
    if kind not in KINDS:
        raise OverlayError((*path, "media"), f"'{kind[:64]}' is no kind of media; there are {', '.join(KINDS)}")
    return media_slot(kind)


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


def _check_request(tree: Tree, path: tuple[str, ...], schema: Mapping[str, Any]) -> None:
    """Schemas that are JSON Schema may still be none that requests can be checked with: a reference that leads nowhere, a
    form without its tag, a slot that is half written."""
    try:
        compiled(schema)
        list(slot_patterns(schema))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        reason = str(error).partition("\n")[0]
        message = f"requests of this model cannot be checked with these inputs: {type(error).__name__}: {reason}"
        raise DiagnosticError([_problem(tree, path, message)]) from None


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
