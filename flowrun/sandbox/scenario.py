"""The script of a sandbox's behaviour. Owns its file format; `faults` carries it out.

    durations: {gen4_turbo: 2, text_to_speech: 0.1, default: 0.5}   # seconds; a model before its operation
    credits: 500
    faults:
      - {on: image_to_video, match: {prompt: storm, nth: 1}, do: {fail: INTERNAL, message: "The renderer stumbled."}}
      - {on: tasks, do: {status: 503, times: 2}}
      - {on: download, match: {nth: [1, 3]}, do: {cut: 1000}}

A fault's `match` counts the requests that fit `on`, `model` and `prompt`; `nth` says which of them are hit. Without `nth` all
are, or the first `times` where that is given.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from flowrun.diagnostics.model import Diagnostic, DiagnosticError
from flowrun.diagnostics.span import Span
from flowrun.yaml_tree import Tree, follow, parse, plain

Operation = Literal[
    "image_to_video",
    "text_to_video",
    "video_to_video",
    "text_to_image",
    "character_performance",
    "sound_effect",
    "speech_to_speech",
    "text_to_speech",
    "voice_dubbing",
    "voice_isolation",
]
Place = Literal[
    Operation, "generations", "tasks", "cancel", "organization", "usage", "uploads", "storage", "download", "any"
]
OPERATIONS: tuple[str, ...] = get_args(Operation)
Seconds = Annotated[float, Field(ge=0, le=31_536_000, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


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
    """What a fault does. Just one of `fail`, `cancelled`, `delay`, `lost`, `status`, `cut`, `wrong_content`, `jump`, `tier`."""

    fail: str | None = Field(
        None, min_length=1, description="The task is accepted and ends FAILED with this failureCode."
    )
    message: str | None = Field(None, min_length=1, description="With `fail`: the text of `failure`.")
    cancelled: Literal[True] | None = Field(None, description="The task is accepted and ends CANCELLED.")
    delay: Seconds | None = Field(None, description="Seconds that the answer takes.")
    lost: Literal["before", "after"] | None = Field(
        None, description="The connection breaks instead of an answer, before or after the request was carried out."
    )
    status: int | None = Field(None, ge=400, le=599, description="An error answer; the request is not carried out.")
    body: str | None = Field(None, description="With `status`: the body as it is, instead of JSON with `error`.")
    headers: dict[str, str] | None = Field(None, description="With `status`: further headers, such as Retry-After.")
    cut: int | None = Field(None, ge=0, description="A download breaks off after so many bytes.")
    wrong_content: Literal["html", "truncated"] | None = Field(
        None, description="A download that is a web page, or the first half of the media, and looks complete."
    )
    jump: float | None = Field(
        None, allow_inf_nan=False, description="The sandbox's clock jumps by so many seconds first."
    )
    tier: int | None = Field(None, ge=1, le=5, description="From this request on the account has this tier.")
    times: Count | None = Field(None, description="So many matching requests in a row, from each `nth` on.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        kinds = ("fail", "cancelled", "delay", "lost", "status", "cut", "wrong_content", "jump", "tier")
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"one of {', '.join(kinds)} must be given, not {' and '.join(given) or 'none'}")
        for extra, owner in (("message", "fail"), ("body", "status"), ("headers", "status")):
            if getattr(self, extra) is not None and owner not in given:
                raise ValueError(f"{extra} belongs to {owner}, which is not given")
        return self


class Fault(_Strict):
    """One misbehaviour: at which endpoint, for which requests, and what."""

    on: Place
    match: Match = Match()
    do: Deed

    @model_validator(mode="after")
    def _fits(self) -> Self:
        generation = self.on in (*OPERATIONS, "generations", "any")
        if (self.do.fail or self.do.cancelled) and not generation:
            raise ValueError(
                f"a task can only fail where it is created: on is {self.on}, should be an operation or generations"
            )
        if (self.do.cut is not None or self.do.wrong_content) and self.on not in ("download", "any"):
            raise ValueError(f"only downloads are cut or have wrong content: on is {self.on}, should be download")
        return self


class Scenario(_Strict):
    """How a sandbox behaves. All fields may be left out."""

    durations: dict[str, Seconds] = Field(
        {}, description="Seconds that tasks run, by model or operation; `default` for others."
    )
    identical: bool = Field(False, description="Repeats of one request give equal bytes.")
    credits: int | None = Field(None, ge=0, description="The account's credits at the beginning. Default: 100000.")
    tier: int | None = Field(None, ge=1, le=5, description="The account's tier. Default: 3.")
    poll: Seconds | None = Field(None, description="Seconds between two polls of a task that the sandbox allows.")
    media: Literal["tiny", "normal"] = Field(
        "normal", description="tiny: output is small and quickly made, not at the asked size."
    )
    url_ttl: Seconds = Field(86_400.0, description="Seconds that an output URL is valid.")
    upload_ttl: Seconds = Field(86_400.0, description="Seconds that an upload can be used.")
    faults: list[Fault] = []


def scenario_schema() -> dict[str, Any]:
    """The JSON Schema of a scenario file."""
    schema = Scenario.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A flowrun sandbox scenario"}


def read_scenario(text: str, file: str) -> Scenario:
    """The scenario in a YAML text; `file` is shown in messages. An empty text is the default scenario.

    Raises DiagnosticError with everything found.
    """
    tree = parse(text, file)
    value = plain(tree)
    try:
        return Scenario.model_validate({} if value is None else value)
    except ValidationError as error:
        raise DiagnosticError(_diagnostics(tree, error)) from None


def read_deed(text: str) -> Deed:
    """One `do`, as JSON. Raises ValueError with what is wrong."""
    try:
        return Deed.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'do'}: {first['msg']}") from None


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
