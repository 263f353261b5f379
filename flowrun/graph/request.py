"""From an instance and what is known of its upstream to a request. Owns evaluation of a whole input tree: each leaf
keeps its span, media slots get their media, and what is not known yet stays unknown, with the reason."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, TypeAlias

from flowrun.diagnostics.model import Diagnostic
from flowrun.diagnostics.span import Span
from flowrun.graph.model import Instance
from flowrun.graph.outcomes import Artifact, AssetMedia
from flowrun.graph.values import Expression, Literal, MapValue, SourcedText, Value
from flowrun.operations.model import UNKNOWN, Path, Slot
from flowrun.template import EnvValue, EvaluationError, SecretText, Unresolved


@dataclass(frozen=True, slots=True)
class WrittenMedia:
    """A text in a media slot: a path, an https URL, an upload URI or a data URI. A path counts from `base`."""

    text: str
    base: FilePath
    pin: str | None = None
    asset: str | None = None


Source: TypeAlias = WrittenMedia | Artifact


@dataclass(frozen=True, slots=True)
class MediaAt:
    """Media in one slot of one request."""

    path: Path
    slot: Slot
    source: Source
    span: Span


@dataclass(slots=True)
class Request:
    """`value`: plain JSON but for media (at the slots), EnvValue, SecretText and UNKNOWN. `waits`: what UNKNOWN waits for."""

    value: dict[str, Any]
    spans: dict[Path, Span] = field(default_factory=dict)
    media: list[MediaAt] = field(default_factory=list)
    waits: list[object] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)

    @property
    def is_known(self) -> bool:
        """Whether nothing in it is still to come; artifacts that do not exist yet are."""
        pending = any(isinstance(each.source, Artifact) and each.source.file is None for each in self.media)
        return not self.waits and not pending

    def span_at(self, path: Path) -> Span | None:
        """The span of the value at `path`, or of the nearest thing around it."""
        while path and path not in self.spans:
            path = path[:-1]
        return self.spans.get(path)


def make_request(instance: Instance, scope: Mapping[str, Any]) -> Request:
    """Evaluate all inputs of an instance. Mistakes are collected in the request, not raised."""
    request = Request({})
    request.spans[()] = instance.node.decl.key_span
    request.value = {
        entry.name: _evaluate(entry.value, (entry.name,), scope, request) for entry in instance.request.entries
    }
    _fill_slots(instance, request)
    request.value = _finished(instance, request.value, (), request)
    return request


def _evaluate(value: Value, path: Path, scope: Mapping[str, Any], request: Request) -> Any:
    request.spans[path] = value.span
    if isinstance(value, MapValue):
        return {entry.name: _evaluate(entry.value, (*path, entry.name), scope, request) for entry in value.entries}
    if isinstance(value, Expression):
        return _evaluate_expression(value, scope, request)
    if isinstance(value, Literal):
        return SourcedText.of(value.value, value.base, value.span) if isinstance(value.value, str) else value.value
    return [_evaluate(item, (*path, number), scope, request) for number, item in enumerate(value.items)]


def _evaluate_expression(value: Expression, scope: Mapping[str, Any], request: Request) -> Any:
    try:
        found = evaluate(value, scope)
    except Unresolved as unresolved:
        request.waits.append(unresolved.what)
        return UNKNOWN
    except EvaluationError as error:
        request.problems.append(evaluation_problem(value, error))
        return UNKNOWN
    return _copied(found)


def _copied(value: Any) -> Any:
    """Own containers, so that filling slots here touches no variable."""
    if isinstance(value, Mapping):
        return {str(name): _copied(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(each) for each in value]
    return value


def evaluate(value: Expression, scope: Mapping[str, Any]) -> Any:
    """The expression's value; a text that it composes counts its relative paths from the expression's file.

    Raises EvaluationError, Unresolved.
    """
    found = value.template.evaluate(scope)
    return SourcedText.of(found, value.base, value.span) if type(found) is str else found


def evaluation_problem(value: Expression, error: EvaluationError) -> Diagnostic:
    span = value.scalar.locate(error.offset, error.length) if error.offset >= 0 else value.span
    return Diagnostic(error.code, error.message, span, error.hint)


def _fill_slots(instance: Instance, request: Request) -> None:
    for slot in instance.spec.slots(request.value):
        holder, last = _holder(request.value, slot.path)
        leaf = holder[last]
        source = _source(leaf)
        if source is not None:
            span = request.span_at(slot.path) or instance.node.decl.key_span
            request.media.append(MediaAt(slot.path, slot, source, span))
            holder[last] = _Placed(source)


@dataclass(frozen=True, slots=True)
class _Placed:
    """Marks a leaf that its slot has taken."""

    source: Source


def _holder(value: Any, path: Path) -> tuple[Any, Any]:
    for step in path[:-1]:
        value = value[step]
    return value, path[-1]


def _source(leaf: object) -> Source | None:
    if isinstance(leaf, Artifact):
        return leaf
    if isinstance(leaf, AssetMedia):
        return WrittenMedia(leaf.written, leaf.base, leaf.pin, leaf.name)
    if isinstance(leaf, SourcedText):
        return WrittenMedia(str(leaf), leaf.base)
    return None


def _finished(instance: Instance, value: Any, path: Path, request: Request) -> Any:
    """Plain values; cells read as numbers where only those fit; artifacts outside of slots refused."""
    if isinstance(value, Mapping):
        return {name: _finished(instance, each, (*path, name), request) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finished(instance, each, (*path, number), request) for number, each in enumerate(value)]
    if isinstance(value, _Placed):
        return value.source
    if isinstance(value, Artifact | AssetMedia):
        request.problems.append(_misplaced_media(value, path, request))
        return UNKNOWN
    if isinstance(value, SourcedText):
        return _cell(instance, value, path, request) if value.cell else str(value)
    return value


def _misplaced_media(value: Artifact | AssetMedia, path: Path, request: Request) -> Diagnostic:
    where = ".".join(str(step) for step in path)
    message = f"{value.template_opaque} cannot be the value of '{where}'"
    return Diagnostic("artifact-in-text", message, request.span_at(path), "media go into media inputs only")


def _cell(instance: Instance, text: SourcedText, path: Path, request: Request) -> Any:
    """A CSV cell alone in an input: a number or boolean where the input takes nothing else."""
    types = instance.spec.expected_types(path)
    if not types or "string" in types:
        return str(text)
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, bool | int | float):
        return value
    where = ".".join(str(step) for step in path)
    wanted = " or ".join(sorted(types))
    message = f"'{text}' is no {wanted}, which '{where}' takes"
    request.problems.append(
        Diagnostic("bad-cell", message, text.span, "write a JSON number, true or false in this cell")
    )
    return UNKNOWN


def secrets_in(value: Any) -> Iterator[str]:
    """Names of the environment variables whose values will stand in the request."""
    if isinstance(value, Mapping):
        for each in value.values():
            yield from secrets_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from secrets_in(each)
    elif isinstance(value, EnvValue):
        yield value.name
    elif isinstance(value, SecretText):
        yield from (part.name for part in value.parts if isinstance(part, EnvValue))
