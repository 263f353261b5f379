"""What a schema error says to a person. Owns the words; which errors there are is `check`'s and the schema's.

Each sentence is told with the input's name as the API spells it, the values it would take, and what to type next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowrun.diagnostics.model import Severity
from flowrun.operations.model import MediaLeaf, Path, Problem, Schema, dotted
from flowrun.operations.near import nearest_name, nearest_value
from flowrun.secret import mask

SHOWN = 48  # characters of a value that are repeated in a message
NO_LIMIT = 2**53 - 1  # the description writes "any integer" as this maximum
TYPE_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}
KIND_WORDS: tuple[tuple[Any, str], ...] = (
    (MediaLeaf, "media"),
    (str, "text"),
    (int, "a whole number"),
    (float, "a number"),
    (Mapping, "a mapping"),
    (list | tuple, "a list"),
)
CODE_UNITS = "characters (UTF-16 code units: an emoji counts 2)"
ENTRIES = "entries"
MEDIA_WORDS = {"image": "an image", "video": "a video", "audio": "audio"}
UNITS = {"duration": " seconds"}


def shown(value: object) -> str:
    """A value as a message repeats it: short, keys and tokens masked."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    text = mask(str(value))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def listed(values: Sequence[object], word: str = "or") -> str:
    """``a, b or c``."""
    texts = [str(value) for value in values]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} {word} {texts[-1]}"


def type_word(value: object) -> str:
    """What kind of thing a value is."""
    if value is None or isinstance(value, bool):
        return shown(value)
    return next((word for kind, word in KIND_WORDS if isinstance(value, kind)), "something else")


def options_of(node: Schema) -> list[Any]:
    """The values a place takes, where they are few enough to be listed in the schema."""
    return list(node["enum"]) if "enum" in node else [node["const"]] if "const" in node else []


def bounds(node: Schema, low: str, high: str) -> str:
    """``2 to 10``, ``at least 1``, ``more than 0``."""
    least, most = node.get(low), node.get(high)
    above = node.get("exclusiveMinimum") if low == "minimum" else None
    if most is not None and most < NO_LIMIT and least is not None:
        return f"{least} to {most}" if least != most else f"exactly {least}"
    if above is not None:
        return f"more than {above}"
    return f"at most {most}" if least is None else f"at least {least}"


def takes(node: Schema) -> str:
    """What a place takes, in a few words; for hints."""
    if options := options_of(node):
        return listed(options)
    if "mediaSlot" in node:
        return f"{MEDIA_WORDS[node['mediaSlot']['kind']]}: a file, an https URL or a reference to a node's output"
    if "properties" in node:
        return f"a mapping with {listed(node.get('required') or list(node['properties']), 'and')}"
    types = node.get("type", ())
    words = listed([TYPE_WORDS[each] for each in ([types] if isinstance(types, str) else types)] or ["any value"])
    return f"{words}, {bounds(node, 'minimum', 'maximum')}" if "minimum" in node and "maximum" in node else words


def quoting_hint(value: object, node: Schema) -> str | None:
    """How to write the value so that it has the type that is taken."""
    types = node.get("type", ())
    if value is None:
        return "leave it out, or give it a value"
    if isinstance(value, str) and types in ("integer", "number", "boolean"):
        return f"it takes {takes(node)}, without quotes"
    if isinstance(value, bool | int | float) and types == "string":
        return f'put it in quotes: "{shown(value)}"; it takes {takes(node)}'
    return f"it takes {takes(node)}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One schema error, with what is needed to word it. `others`: the operation's other models that have an input."""

    model: str
    path: Path
    value: Any
    kind: Any  # jsonschema_rs.ValidationErrorKind
    node: Schema  # that holds the keyword
    owner: Schema  # that describes the whole place: `node`, or the decision it is a part of
    others: Mapping[str, Sequence[str]]

    @property
    def subject(self) -> str:
        return f"`{dotted(self.path)}`" if self.path else self.model

    @property
    def unit(self) -> str:
        return UNITS.get(str(self.path[-1]), "") if self.path else ""

    @property
    def is_slot(self) -> bool:
        return "mediaSlot" in self.owner


def _wrong_type(found: Finding) -> list[Problem]:
    wanted = (
        MEDIA_WORDS[found.owner["mediaSlot"]["kind"]]
        if found.is_slot
        else listed([TYPE_WORDS[each] for each in found.kind.types])
    )
    message = f"{found.subject} takes {wanted}, not {type_word(found.value)}"
    return [Problem(found.path, "wrong-type", message, quoting_hint(found.value, found.node))]


def _not_allowed(found: Finding) -> list[Problem]:
    options = options_of(found.node)
    message = f"{found.subject} cannot be {shown(found.value)} with {found.model}"
    near = nearest_value(found.value, options) if len(options) > 1 else None
    listing = f"it takes {listed(options)}"
    return [
        Problem(found.path, "not-allowed", message, f"did you mean {near}? {listing}" if near is not None else listing)
    ]


def _out_of_range(found: Finding) -> list[Problem]:
    range_ = bounds(found.node, "minimum", "maximum")
    message = f"{found.subject} is {shown(found.value)}{found.unit}; {found.model} takes {range_}{found.unit}"
    reached = found.kind.name in ("minimum", "maximum")
    return [
        Problem(
            found.path, "out-of-range", message, f"the nearest is {found.kind.limit}" if reached else f"take {range_}"
        )
    ]


def _counted(found: Finding, code: str, size: int, unit: str) -> Problem:
    """Too many or too few of something. The bounds' names end alike: ``maxItems``, ``minLength``."""
    thing = "Items" if unit == ENTRIES else "Length"
    low, high = f"min{thing}", f"max{thing}"
    message = f"{found.subject} has {size} {unit}; {found.model} takes {bounds(found.node, low, high)}"
    too_long = code == "too-long"
    hint = f"take {size - found.node[high]} away" if too_long else f"add {found.node[low] - size} or more"
    return Problem(found.path, code, message, hint)


def _text_length(found: Finding, code: str) -> list[Problem]:
    size = len(found.value.encode("utf-16-le", "surrogatepass")) // 2
    if found.is_slot:
        return [_uri_length(found, code, size)]
    if not size:
        hint = f"it takes {bounds(found.node, 'minLength', 'maxLength')} characters"
        return [Problem(found.path, code, f"{found.subject} is empty", hint)]
    return [_counted(found, code, size, CODE_UNITS)]


def _uri_length(found: Finding, code: str, size: int) -> Problem:
    too_long = code == "too-long"
    limit = f"at most {found.node['maxLength']}" if too_long else f"at least {found.node['minLength']}"
    message = f"the URI in {found.subject} has {size} characters; the API takes {limit}"
    hint = (
        "name the file by its path: it is then sent in a way that fits its size"
        if too_long
        else "write the whole address"
    )
    return Problem(found.path, code, message, hint)


def _list_length(found: Finding, code: str) -> list[Problem]:
    return [_counted(found, code, len(found.value), ENTRIES)]


def _bad_pattern(found: Finding) -> list[Problem]:
    if found.is_slot:
        return [_bad_uri(found)]
    message = f"{found.subject} is {shown(found.value)!r}, which has not the form {found.kind.pattern}"
    hint = "lower-case letters, digits and underscores, beginning with a letter" if found.path[-1] == "tag" else None
    return [Problem(found.path, "bad-pattern", message, hint)]


def _bad_uri(found: Finding) -> Problem:
    kind = found.owner["mediaSlot"]["kind"]
    given = found.value[5:].split("/", 1)[0] if found.value.startswith("data:") else None
    if given in MEDIA_WORDS:
        message = f"{found.subject} takes {MEDIA_WORDS[kind]}, not {MEDIA_WORDS[given]}"
        return Problem(found.path, "wrong-media-kind", message, f"give it {takes(found.owner)}")
    message = f"{found.subject} is {shown(found.value)!r}, which is no address that the API takes"
    return Problem(
        found.path, "bad-pattern", message, f"it takes an https:// URL, a runway:// URI or a data:{kind}/ URI"
    )


def _missing(found: Finding) -> list[Problem]:
    name = found.kind.property
    message = f"{found.subject} needs `{name}`"
    node = found.node.get("properties", {}).get(name, {})
    return [
        Problem(
            found.path,
            "missing-input",
            message,
            f"add `{name}`: {takes(node)}" if node else f"add `{name}`",
            missing=name,
        )
    ]


def unknown_input(found: Finding, name: str) -> Problem:
    """An input that neither this model nor, maybe, any other of the operation has."""
    known = list(found.node.get("properties", {}))
    near, others = nearest_name(name, known), () if found.path else found.others.get(name, ())
    holder = found.subject if not found.path else f"{found.subject} of {found.model}"
    hint = f"it takes {listed(known, 'and')}"
    if near:
        hint = f"did you mean `{near}`? {hint}"
    if others:
        hint = f"`{name}` is an input of {listed(others, 'and')}: change the model or take it out"
    return Problem((*found.path, name), "unknown-input", f"{holder} has no input `{shown(name)}`", hint)


def _unknown_inputs(found: Finding) -> list[Problem]:
    return [unknown_input(found, name) for name in found.kind.unexpected]


WORDING: Mapping[str, Callable[[Finding], list[Problem]]] = {
    "type": _wrong_type,
    "enum": _not_allowed,
    "const": _not_allowed,
    "minimum": _out_of_range,
    "maximum": _out_of_range,
    "exclusiveMinimum": _out_of_range,
    "exclusiveMaximum": _out_of_range,
    "minLength": lambda found: _text_length(found, "too-short"),
    "maxLength": lambda found: _text_length(found, "too-long"),
    "minItems": lambda found: _list_length(found, "too-short"),
    "maxItems": lambda found: _list_length(found, "too-long"),
    "pattern": _bad_pattern,
    "required": _missing,
    "additionalProperties": _unknown_inputs,
}


def problems_of(found: Finding) -> list[Problem]:
    """The problems one schema error amounts to: several for several unknown inputs."""
    word = WORDING.get(found.kind.name)
    if word is not None:
        return word(found)
    return [
        Problem(
            found.path,
            "not-allowed",
            f"{found.subject} is not what {found.model} takes",
            f"it takes {takes(found.node)}",
        )
    ]


def unknown_model_warning(operation: str, model: str) -> Problem:
    """Of a model that is let through although no catalogue has it."""
    message = f"no catalogue has {operation} with {model[:64]!r}: nothing of this request is checked, and its price is unknown"
    hint = "a mistake in it is found by the API only; an overlay in flowrun.toml makes the model known"
    return Problem(("model",), "unchecked-model", message, hint, Severity.WARNING)
