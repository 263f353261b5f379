"""From an instance and what is known of its upstream to a request. Owns evaluation of a whole input tree: each leaf
keeps its span, media slots get their media, and what is not known yet stays unknown, with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, TypeAlias

from flowrun.diagnostics.model import Diagnostic, Note
from flowrun.diagnostics.span import Span
from flowrun.graph.model import Instance
from flowrun.graph.outcomes import Artifact, AssetMedia
from flowrun.graph.places import below, cell_number, referred, row_part
from flowrun.graph.values import Expression, Literal, MapValue, SourcedText, Value, sourced
from flowrun.operations.model import UNKNOWN, Path, Slot, dotted
from flowrun.template import EnvValue, EvaluationError, SecretText, Unresolved
from flowrun.yaml_tree import Tree

_WORDS = {"boolean": "true or false", "integer": "a whole number", "number": "a number"}
_READ = frozenset({*_WORDS, "null"})  # the types that make a cell be read


@dataclass(frozen=True, slots=True)
class WrittenMedia:
    """A text in a media slot: a path, an https URL, an upload URI or a data URI. A path counts from `base`; `span`: where
    the text itself stands, if that is known."""

    text: str
    base: FilePath
    pin: str | None = None
    asset: str | None = None
    span: Span | None = field(default=None, compare=False)


Source: TypeAlias = WrittenMedia | Artifact


@dataclass(frozen=True, slots=True)
class MediaAt:
    """Media in one slot of one request."""

    path: Path
    slot: Slot
    source: Source


@dataclass(slots=True)
class Request:
    """`value`: plain JSON but for media (at the slots), EnvValue, SecretText and UNKNOWN. `waits`: what UNKNOWN waits for.

    `spans`: where each value is written; `rows`: the part of a row that it is, where it is nothing else.
    """

    value: dict[str, Any]
    spans: dict[Path, Span] = field(default_factory=dict)
    rows: dict[Path, Tree] = field(default_factory=dict)
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
        return self.spans.get(_nearest(path, self.spans))

    def place_at(self, path: Path) -> tuple[Span | None, tuple[Note, ...]]:
        """The smallest thing that must change for the value at `path`: the row it came from, with a note at the
        reference; else where it is written."""
        here, written = self.span_at(path), _nearest(path, self.spans)
        part = below(self.rows.get(written), path[len(written) :]) or self.rows.get(written)
        return (here, ()) if part is None or here is None else (part.span, (referred(here),))


def _nearest(path: Path, known: Mapping[Path, object]) -> Path:
    while path and path not in known:
        path = path[:-1]
    return path


def make_request(instance: Instance, scope: Mapping[str, Any]) -> Request:
    """Evaluate all inputs of an instance. Mistakes are collected in the request, not raised."""
    request = Request({})
    request.spans[()] = instance.node.decl.key_span
    making = _Making(instance, scope, request)
    request.value = {entry.name: making.value(entry.value, (entry.name,)) for entry in instance.request.entries}
    _fill_slots(instance, request)
    request.value = _finished(instance, request.value, (), request)
    return request


@dataclass(slots=True)
class _Making:
    """The evaluation of one request: what is not known yet is UNKNOWN."""

    instance: Instance
    scope: Mapping[str, Any]
    request: Request

    def value(self, value: Value, path: Path) -> Any:
        self.request.spans[path] = value.value_span if isinstance(value, Expression) else value.span
        if isinstance(value, MapValue):
            return {entry.name: self.value(entry.value, (*path, entry.name)) for entry in value.entries}
        if isinstance(value, Expression):
            return self._expression(value, path)
        if isinstance(value, Literal):
            return sourced(value.value, value.base, value.span)
        return [self.value(item, (*path, number)) for number, item in enumerate(value.items)]

    def _expression(self, value: Expression, path: Path) -> Any:
        try:
            found = evaluate(value, self.scope)
        except Unresolved as unresolved:
            self.request.waits.append(unresolved.what)
            return UNKNOWN
        except EvaluationError as error:
            self.request.problems.append(evaluation_problem(value, error))
            return UNKNOWN
        part = row_part(value, self.instance.each)
        if part is not None:
            self.request.rows[path] = part
        elif isinstance(found, Artifact | AssetMedia):
            self.request.spans[path] = _reference_to(found, value)
        # own containers, so that filling slots touches no variable; composed texts count paths from the expression's file
        return sourced(found, value.base, value.span)


def _reference_to(media: Artifact | AssetMedia, value: Expression) -> Span:
    """The one reference in the expression that can have given the media, else the whole of it."""
    wanted = ("nodes", media.address.node_id) if isinstance(media, Artifact) else ("assets", media.name)
    found = [each for each in value.template.references if (each.root, *each.steps[:1]) == wanted]
    return value.locate(found[0]) if len(found) == 1 else value.value_span


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
        source = _source(holder[last])
        if source is not None:
            request.media.append(MediaAt(slot.path, slot, source))
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
        return WrittenMedia(str(leaf), leaf.base, span=leaf.span)
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
    span, notes = request.place_at(path)
    message = f"{value.template_opaque} cannot be the value of '{dotted(path)}'"
    return Diagnostic(
        "artifact-in-text", message, span, "media go into media inputs only; elsewhere use a fact of it", notes
    )


def _cell(instance: Instance, text: SourcedText, path: Path, request: Request) -> Any:
    """A CSV cell alone in an input: a number or boolean where the input takes nothing else."""
    types = instance.spec.expected_types(path)
    if not types or not types <= _READ:
        return str(text)
    value = cell_number(text)
    if value is not None:
        return value
    here = request.span_at(path)
    wanted = " or ".join(_WORDS[name] for name in sorted(types & set(_WORDS)))
    message = f"the cell '{text}' is not {wanted}, which '{dotted(path)}' takes"
    notes = (referred(here),) if here else ()
    hint = "write a JSON number, true or false in this cell"
    request.problems.append(Diagnostic("bad-cell", message, text.span, hint, notes))
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
