"""The script of a sandbox's behaviour. Owns its file format; `faults` carries it out.

    durations: {gen4_turbo: [20, 60], text_to_speech: 0.1, default: 0.5}   # seconds; a model before its operation
    credits: 500
    faults:
      - {on: image_to_video, match: {prompt: storm, nth: 1}, do: {fail: INTERNAL, message: "The renderer stumbled."}}
      - {on: tasks, do: {status: 503, times: 2}}
      - {on: download, match: {nth: [1, 3]}, do: {cut: 1000}}

A fault's `match` counts the requests that fit `on`, `model` and `prompt`; `nth` says which of them are hit. Without `nth` all
are, or the first `times` where that is given. Besides the places below, `on` may be any operation of the catalogue, one that an
overlay adds included.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from flowrun.diagnostics.model import Diagnostic, DiagnosticError
from flowrun.diagnostics.span import Span
from flowrun.operations.catalogue import catalogue
from flowrun.yaml_tree import Tree, follow, parse, plain

Place = Literal["generations", "tasks", "cancel", "organization", "usage", "uploads", "storage", "download", "any"]
PLACES: tuple[str, ...] = get_args(Place)
Seconds = Annotated[float, Field(ge=0, le=31_536_000, allow_inf_nan=False)]


def _ordered(seconds: list[float]) -> list[float]:
    if seconds[0] > seconds[1]:
        raise ValueError("a range is the fewest seconds, then the most")
    return seconds


Range = Annotated[list[Seconds], Field(min_length=2, max_length=2), AfterValidator(_ordered)]
Count = Annotated[int, Field(ge=1)]
Bytes = Count | Annotated[str, Field(pattern=r"^\d{1,6} ?([kMGT]i?B|B)$")]
_UNITS = {"": 0, "k": 1, "M": 2, "G": 3, "T": 4}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Match(_Strict):
    """Which requests a fault is for. A request about a task has the task's model and prompt."""

    model: str | None = Field(None, description="The model asked for.")
    prompt: str | None = Field(None, description="A text that stands somewhere in the prompt.")
    nth: Count | list[Count] | Literal["every"] | None = Field(
        None, description="Which of the matching requests, counted from 1 for each fault. Default: every one."
    )


class Deed(_Strict):
    """What a fault does: one thing, told by the first fields, and more about it."""

    fail: str | None = Field(
        None, min_length=1, description="The task is accepted and ends FAILED with this failureCode."
    )
    message: str | None = Field(None, min_length=1, description="With `fail`: the text of `failure`.")
    cancelled: Literal[True] | None = Field(None, description="The task is accepted and ends CANCELLED.")
    takes: Seconds | None = Field(None, description="The task is accepted and runs for so many seconds.")
    delay: Seconds | None = Field(None, description="Seconds that the answer takes.")
    lost: Literal["before", "after"] | None = Field(
        None, description="The connection breaks instead of an answer, before or after the request was carried out."
    )
    status: int | None = Field(None, ge=400, le=599, description="An error answer; the request is not carried out.")
    body: str | None = Field(None, description="With `status`: the body as it is, instead of JSON with `error`.")
    headers: dict[str, str] | None = Field(None, description="With `status`: further headers, such as Retry-After.")
    cut: int | None = Field(None, ge=0, description="A download breaks off after so many bytes.")
    rate: Bytes | None = Field(None, description="A download comes slowly: so many bytes a second, as 5000 or `20 kB`.")
    pad: Bytes | None = Field(
        None, description="A film is longer by an empty box of so many bytes, such as `2 GB`; it stays a valid film."
    )
    wrong_content: Literal["html", "truncated", "empty", "other"] | None = Field(
        None,
        description="A download that looks complete, and is a web page, the first half of the media, nothing, or media of "
        "another kind.",
    )
    content_type: str | None = Field(
        None, min_length=1, pattern=r"^[\x20-\x7e]+$", description="A download says that it is of this type."
    )
    jump: float | None = Field(
        None, allow_inf_nan=False, description="The sandbox's clock jumps by so many seconds first."
    )
    tier: int | None = Field(None, ge=1, le=5, description="From this request on the account has this tier.")
    times: Count | None = Field(None, description="So many matching requests in a row, from each `nth` on.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"one of {', '.join(KINDS)} must be given, not {' and '.join(given) or 'none'}")
        for extra, owner in (("message", "fail"), ("body", "status"), ("headers", "status")):
            if getattr(self, extra) is not None and owner not in given:
                raise ValueError(f"{extra} belongs to {owner}, which is not given")
        return self


OF_TASKS = ("fail", "cancelled", "takes")
OF_DOWNLOADS = ("cut", "rate", "pad", "wrong_content", "content_type")
KINDS = (*OF_TASKS, "delay", "lost", "status", *OF_DOWNLOADS, "jump", "tier")
"""What a deed may be. Those of tasks belong where one is created, those of downloads to these."""


def bytes_of(size: int | str) -> int:
    """``2 GB`` is 2,000,000,000; with an i (``GiB``) the units are powers of 1024."""
    if isinstance(size, int):
        return size
    number, unit = re.findall(r"\d+|[A-Za-z]+", size)
    return int(number) * int((1024 if "i" in unit else 1000) ** _UNITS[unit.rstrip("B").rstrip("i")])


class Fault(_Strict):
    """One misbehaviour: at which endpoint, for which requests, and what."""

    on: str = Field(description="An endpoint; `generations` for all operations, `any` for everything.")
    match: Match = Match()
    do: Deed

    @field_validator("on")
    @classmethod
    def _known(cls, on: str, info: ValidationInfo) -> str:
        operations = catalogue().operations if info.context is None else info.context
        if on not in (*PLACES, *operations):
            raise ValueError(f"there is no place '{on[:64]}'; there are {', '.join((*PLACES, *operations))}")
        return on

    @model_validator(mode="after")
    def _fits(self) -> Self:
        creates = self.on in ("generations", "any") or self.on not in PLACES
        for kind in KINDS:
            if getattr(self.do, kind) is None:
                continue
            if kind in OF_TASKS and not creates:
                raise ValueError(
                    f"{kind} is for where tasks are created: on is {self.on}, should be an operation or generations"
                )
            if kind in OF_DOWNLOADS and self.on not in ("download", "any"):
                raise ValueError(f"{kind} is for downloads: on is {self.on}, should be download")
        return self


class Limit(_Strict):
    """What one model may do. A field that is left out is the tier's, null is no limit."""

    concurrent: Count | None = Field(None, description="Tasks that run at once.")
    daily: int | None = Field(None, ge=0, description="Tasks accepted within any 24 hours.")


class Scenario(_Strict):
    """How a sandbox behaves. All fields may be left out."""

    durations: dict[str, Seconds | Range] = Field(
        {},
        description="Seconds that tasks run, by model or operation; `default` for others. [20, 60] draws for each task, "
        "and draws the same for the same request whatever came before it.",
    )
    identical: bool = Field(False, description="Repeats of one request give equal bytes.")
    credits: int | None = Field(None, ge=0, description="The account's credits at the beginning. Default: 100000.")
    tier: int | None = Field(None, ge=1, le=5, description="The account's tier. Default: 3.")
    poll: Seconds | None = Field(None, description="Seconds between two polls of a task that the sandbox allows.")
    media: Literal["tiny", "normal"] = Field(
        "normal", description="tiny: output is small and quickly made, not at the asked size."
    )
    limits: dict[str, Limit] = Field(
        {}, description="Limits instead of the tier's, by model; `default` for others. null is no limit."
    )
    errors: Literal["issues", "plain"] = Field(
        "issues",
        description="What tells of a wrong request: a list of issues beside the sentence, or the sentence alone.",
    )
    refund_delay: Seconds = Field(0.0, description="Seconds after a task's end until its credits are given back.")
    url_ttl: Seconds = Field(86_400.0, description="Seconds that an output URL is valid.")
    upload_ttl: Seconds = Field(86_400.0, description="Seconds that an upload can be used.")
    faults: list[Fault] = []


def scenario_schema() -> dict[str, Any]:
    """The JSON Schema of a scenario file."""
    schema = Scenario.model_json_schema()
    on = schema["$defs"]["Fault"]["properties"]["on"]
    del on["type"]
    on["anyOf"] = [{"enum": [*PLACES, *catalogue().operations]}, {"type": "string", "pattern": "^[a-z][a-z0-9_]*$"}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A flowrun sandbox scenario"}


def read_scenario(text: str, file: str, operations: Iterable[str] | None = None) -> Scenario:
    """The scenario in a YAML text; `file` is shown in messages. An empty text is the default scenario. `operations`: the
    names of those that are served; usually those of the catalogue that ships.

    Raises DiagnosticError with everything found.
    """
    tree = parse(text, file)
    value = plain(tree)
    try:
        known = None if operations is None else tuple(operations)
        return Scenario.model_validate({} if value is None else value, context=known)
    except ValidationError as error:
        raise DiagnosticError(_diagnostics(tree, error)) from None


def read_deeds(text: str) -> tuple[Deed, ...]:
    """One `do`, or a list of them, as JSON. Raises ValueError with what is wrong."""
    try:
        return _DEEDS.validate_json(text if text.lstrip().startswith("[") else f"[{text}]")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'][1:])) or 'do'}: {first['msg']}") from None


_DEEDS: TypeAdapter[tuple[Deed, ...]] = TypeAdapter(tuple[Deed, ...])


def _diagnostics(tree: Tree, error: ValidationError) -> list[Diagnostic]:
    """One for each place: where a field takes several kinds of value, their complaints are joined."""
    found: dict[tuple[int | str, ...], tuple[Span, list[str]]] = {}
    for each in error.errors(include_url=False):
        path, span = follow(tree, each["loc"])
        if each["type"] == "missing":
            path = each["loc"]
        messages = found.setdefault(path, (span, []))[1]
        messages.append(_WORDS.get(each["type"], each["msg"].removeprefix("Value error, ")))
    return [
        Diagnostic("scenario-invalid", f"{'.'.join(map(str, path)) or 'scenario'}: {'; or: '.join(messages)}", span)
        for path, (span, messages) in found.items()
    ]


_WORDS = {
    "extra_forbidden": "there is no such field here",
    "missing": "this field must be given",
    "model_type": "this should be a mapping",
}
