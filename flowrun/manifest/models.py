"""The shape of a manifest as pydantic models: which keys there are and what kind of value each takes.

Owns shapes alone, so that a JSON Schema can be made from them. Spans, templates and meaning are added by the other files
here. A union's tag stands in angle brackets, which no key can hold: places of errors leave it out.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
)
from pydantic_core import PydanticCustomError

ID = r"^[A-Za-z_][A-Za-z0-9_]*$"
NAME = r"^[a-z0-9][a-z0-9_-]*$"
DURATION = re.compile(r"(?P<count>[0-9]+(?:\.[0-9]+)?)(?P<unit>[smh])")
VarType = Literal["string", "integer", "number", "boolean", "list", "mapping", "media"]
VAR_TYPES: tuple[str, ...] = get_args(VarType)
LONG_FOREACH = frozenset(("file", "items", "key"))


def _whole(value: object) -> object:
    """Numbers count by value: 5.0 is 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def has_template(text: object) -> bool:
    return isinstance(text, str) and any(mark in text for mark in ("{{", "{%", "{#"))


def _duration(text: object) -> object:
    found = DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None or float(found["count"]) <= 0:
        raise PydanticCustomError("expected", "a time such as 90s, 20m or 1h")
    return text


def _template_or(words: str, *kinds: type) -> AfterValidator:
    """A value of one of the kinds (a boolean is no number), a text with a template in it, or nothing."""

    def check(value: object) -> object:
        value = _whole(value) if int in kinds else value
        if value is None or has_template(value) or type(value) in kinds:
            return value
        raise PydanticCustomError("expected", "{words}", {"words": words})

    return AfterValidator(check)


def _takes(value: object) -> object:
    if isinstance(value, int) and value < 1:
        raise PydanticCustomError("expected", "1 or more")
    return value


def _salt(value: object) -> object:
    if value is True or isinstance(value, list | dict):
        raise PydanticCustomError("expected", "a text or a number as salt, or false")
    return value


def _when(value: object) -> object:
    if value is None or isinstance(value, bool) or has_template(value):
        return value
    raise PydanticCustomError(
        "expected", "a template that gives a boolean, such as {example}", {"example": '"{{ vars.final }}"'}
    )


Id = Annotated[str, StringConstraints(pattern=ID)]
Name = Annotated[str, StringConstraints(pattern=NAME)]
Whole = Annotated[int, BeforeValidator(_whole)]
Natural = Annotated[int, BeforeValidator(_whole), Field(ge=0)]
Positive = Annotated[int, BeforeValidator(_whole), Field(ge=1)]
Inputs = dict[str, Any]


class Shape(BaseModel):
    """Closed, and without conversions: `"5"` is no integer."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Variable(Shape):
    """A declared variable."""

    type: VarType
    default: Any = None
    enum: Annotated[list[str | int | float | bool], Field(min_length=1)] | None = None
    minimum: float | None = None
    maximum: float | None = None
    required: bool = False
    description: str | None = None


class Asset(Shape):
    """A named file or address, in the long form."""

    path: str | None = None
    url: str | None = None
    sha256: Annotated[str, StringConstraints(pattern=r"^(sha256:)?[0-9a-f]{64}$")] | None = None
    license: str | None = None
    consent: str | None = None
    description: str | None = None


class Output(Shape):
    """An exported result, in the long form."""

    from_: str = Field(alias="from")
    path: str | None = None
    description: str | None = None


class LongForeach(Shape):
    """What to fan out over, and which field of its records is the key."""

    file: str | None = None
    items: Any = None
    key: str | None = None


class Limits(Shape):
    credits: Natural | None = None
    concurrency: dict[str, Positive] | None = None
    queue_ahead: Natural | None = None


class Profile(Shape):
    vars: dict[str, Any] | None = None
    defaults: dict[str, Inputs | None] | None = None


def _is_declaration(value: Any) -> str:
    return "<declared>" if isinstance(value, dict) and "type" in value else "<bare>"


def _text_or_mapping(value: Any) -> str | None:
    return "<text>" if isinstance(value, str) else "<long>" if isinstance(value, dict) else None


def _foreach_form(value: Any) -> str | None:
    if isinstance(value, dict):
        return "<long>" if value and value.keys() <= LONG_FOREACH else "<mapping>"
    if isinstance(value, list):
        return "<list>"
    count = isinstance(value, int | float) and not isinstance(value, bool)
    return "<count>" if count else "<template>" if isinstance(value, str) else None


def _form(choose: Any, words: str) -> Discriminator:
    return Discriminator(choose, custom_error_type="expected", custom_error_message=words)


AnyVariable = Annotated[
    Annotated[Variable, Tag("<declared>")] | Annotated[Any, Tag("<bare>")], _form(_is_declaration, "a value")
]
AnyAsset = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[Asset, Tag("<long>")],
    _form(_text_or_mapping, "a path, an https address or a mapping with `path` or `url`"),
]
AnyOutput = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[Output, Tag("<long>")],
    _form(_text_or_mapping, "a reference or a mapping with `from`"),
]
Foreach = Annotated[
    Annotated[LongForeach, Tag("<long>")]
    | Annotated[dict[str, Any], Tag("<mapping>")]
    | Annotated[list[Any], Tag("<list>")]
    | Annotated[Natural, Tag("<count>")]
    | Annotated[str, _template_or("a list, a mapping, an integer, a template or {file: …}", list), Tag("<template>")],
    _form(_foreach_form, "a list, a mapping, an integer, a template or {file: …}"),
]


class Node(Shape):
    """One entry of `nodes`. `matrix`, `hold` and `gate` are known words that cannot be used yet."""

    uses: str
    with_: Inputs | None = Field(default=None, alias="with")
    foreach: Foreach | None = None
    needs: list[str] | None = None
    when: Annotated[Any, AfterValidator(_when)] = True
    takes: Annotated[Any, _template_or("an integer or a template", int), AfterValidator(_takes)] = 1
    tags: list[Id] | None = None
    retry: Natural | None = None
    timeout: Annotated[str, BeforeValidator(_duration)] | None = None
    cache: Annotated[Any, AfterValidator(_salt)] = None
    description: str | None = None
    matrix: Any = None
    hold: Any = None
    gate: Any = None


class Document(Shape):
    """The whole manifest."""

    flowrun: Literal[1]
    name: Name | None = None
    description: str | None = None
    vars: dict[Id, AnyVariable] | None = None
    assets: dict[Id, AnyAsset] | None = None
    defaults: dict[str, Inputs | None] | None = None
    profiles: dict[Name, Profile | None] | None = None
    nodes: dict[Id, Node] | None = None
    outputs: dict[Id, AnyOutput] | None = None
    limits: Limits | None = None
    env: list[Id] | None = None
