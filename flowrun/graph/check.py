"""A request held against the catalogue, as far as it is known. Owns turning the catalogue's problems, which speak of
paths, into diagnostics, which point at places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from types import MappingProxyType
from typing import Any

from flowrun.diagnostics.model import Diagnostic, Note, Severity
from flowrun.diagnostics.span import Span
from flowrun.graph.inputs import InputError, InputFacts, KnownMedia, PendingMedia, Seen, UploadedMedia, look
from flowrun.graph.model import Instance
from flowrun.graph.outcomes import Artifact
from flowrun.graph.places import applies, referred
from flowrun.graph.request import MediaAt, Request, Source, WrittenMedia
from flowrun.media.facts import MediaFacts
from flowrun.operations.model import UNKNOWN, MediaLeaf, Path, Problem, Slot, dotted
from flowrun.runway.media_in import CannotTravel, transport_for
from flowrun.template import EnvValue, SecretText

_MOST_NOTES = 8


def look_at_media(request: Request, inputs: InputFacts) -> tuple[dict[Path, Seen], list[Diagnostic]]:
    """What is known of each piece of media in the request, and what is wrong with some."""
    seen: dict[Path, Seen] = {}
    problems: list[Diagnostic] = []
    for each in request.media:
        try:
            seen[each.path] = look(each.source, inputs)
        except InputError as error:
            span, notes = _media_place(each, request)
            problems.append(Diagnostic(error.code, error.message, span, error.hint, notes))
        else:
            if isinstance(seen[each.path], UploadedMedia) and not _is_asset(each.source):
                problems.append(hand_written(_media_place(each, request)[0]))
    return seen, problems


def _media_place(media: MediaAt, request: Request) -> tuple[Span | None, tuple[Note, ...]]:
    """Where a text that cannot be used as media stands: in a row, or as the value of a variable, with a note at its use."""
    here, notes = request.place_at(media.path)
    own = media.source.span if isinstance(media.source, WrittenMedia) else None
    if notes or here is None or own is None or _holds(own, here):
        return here, notes
    return own, (referred(here),)


def _holds(outer: Span, inner: Span) -> bool:
    begins = (outer.line, outer.column) <= (inner.line, inner.column)
    ends = (inner.end_line, inner.end_column) <= (outer.end_line, outer.end_column)
    return outer.file == inner.file and begins and ends


def _is_asset(source: Source) -> bool:
    """Assets are spoken of where they are declared."""
    return isinstance(source, WrittenMedia) and source.asset is not None


def hand_written(span: Span | None) -> Diagnostic:
    message = "this upload URI cannot be read, so it is known by its text alone, and it dies within 24 hours"
    return Diagnostic("upload-uri", message, span, "name the file itself instead", severity=Severity.WARNING)


def check_request(instance: Instance, request: Request, seen: Mapping[Path, Seen]) -> Iterator[Diagnostic]:
    """Everything the catalogue has against the request, each with its instance. Unknown parts are not judged."""
    return (in_instance(each, instance) for each in found_wrong(instance, request, seen))


def found_wrong(
    instance: Instance,
    request: Request,
    seen: Mapping[Path, Seen],
    foreseen: Mapping[Path, MediaFacts] = MappingProxyType({}),
) -> Iterator[Diagnostic]:
    """The same without the instance, so that what many instances meet can be folded. `foreseen`: facts of pending media."""

    def facts(path: Path) -> MediaFacts | None:
        known = seen.get(path)
        return known.facts if isinstance(known, KnownMedia) else foreseen.get(path)

    checkable = _checkable(request.value, (), seen)
    for problem in instance.spec.check(checkable, facts):
        yield _diagnostic(problem, instance, request)
    yield from _too_large(instance.spec.slots(checkable), request, seen)
    if instance.takes > 1 and instance.spec.accepts_seed and request.value.get("seed") is not None:
        message = f"{instance.takes} takes with one seed come out alike, and each is paid for"
        hint = "leave the seed away, and each take gets its own"
        yield Diagnostic("seed-repeated", message, request.span_at(("seed",)), hint, severity=Severity.WARNING)


def _too_large(slots: Iterable[Slot], request: Request, seen: Mapping[Path, Seen]) -> Iterator[Diagnostic]:
    """Media for which there is no way to the API, whatever happens until they are sent."""
    for slot in slots:
        known = seen.get(slot.path)
        if not isinstance(known, KnownMedia):
            continue
        size, limit = known.digest.size, slot.data_uri_limit
        way = transport_for(size, known.facts.media_type, data_limit=limit, https=known.url, now=0.0)
        if isinstance(way, CannotTravel):
            span, notes = request.place_at(slot.path)
            message = f"`{dotted(slot.path)}` cannot be sent: {way.reason}"
            yield Diagnostic("input-too-large", message, span, "make it shorter or compress it more", notes)


def _checkable(value: Any, path: Path, seen: Mapping[Path, Seen]) -> Any:
    """The request with leaves that the catalogue's check understands."""
    if isinstance(value, Mapping):
        return {name: _checkable(each, (*path, name), seen) for name, each in value.items()}
    if isinstance(value, list):
        return [_checkable(each, (*path, number), seen) for number, each in enumerate(value)]
    if isinstance(value, WrittenMedia | Artifact):
        return _media_leaf(value, seen.get(path))
    return UNKNOWN if isinstance(value, EnvValue | SecretText) else value


def _media_leaf(source: WrittenMedia | Artifact, seen: Seen | None) -> Any:
    if isinstance(seen, KnownMedia):
        return MediaLeaf(seen.facts.kind)
    if isinstance(seen, PendingMedia):
        return MediaLeaf(seen.artifact.kind)
    if isinstance(seen, UploadedMedia):
        return seen.uri
    return MediaLeaf(source.kind if isinstance(source, Artifact) else None)


def _diagnostic(problem: Problem, instance: Instance, request: Request) -> Diagnostic:
    span, notes = request.place_at(problem.path)
    if problem.missing is not None:
        span, notes = _key_that_lacks(problem.path, instance, span), ()
    elif problem.code == "unknown-input" and (key := _key_span(problem.path, instance)):
        span, notes = key, ()
    if problem.earlier is not None:
        notes = (*notes, Note("the earlier one is here", request.span_at(problem.earlier)))
    if _inherited(problem.path, instance):
        notes = (*notes, applies(instance.node))
    return Diagnostic(problem.code, problem.message, span, problem.hint, notes, problem.severity)


def in_instance(diagnostic: Diagnostic, instance: Instance) -> Diagnostic:
    """The diagnostic with a note that tells which instance of a fan-out it is about."""
    if instance.each is None:
        return diagnostic
    return replace(diagnostic, notes=(*diagnostic.notes, Note(f"in instance {instance.address}")))


def folded(found: Iterable[tuple[Instance, Diagnostic]]) -> Iterator[Diagnostic]:
    """One diagnostic for one mistake, though many instances meet it; the notes name a few of those."""
    groups: dict[Diagnostic, list[tuple[Instance, Diagnostic]]] = {}
    for instance, diagnostic in found:
        groups.setdefault(replace(diagnostic, notes=()), []).append((instance, diagnostic))
    for group in groups.values():
        notes = dict.fromkeys(note for _, each in group for note in each.notes)
        shown = (*islice(notes, _MOST_NOTES), *_more(len(notes) - _MOST_NOTES, "place"))
        first = in_instance(replace(group[0][1], notes=shown), group[0][0])
        instances = len({instance.address for instance, _ in group if instance.each})
        yield replace(first, notes=(*first.notes, *_more(instances - 1, "instance")))


def _more(count: int, what: str) -> tuple[Note, ...]:
    return (Note(f"and in {count:,} more {what}{'s' if count > 1 else ''}"),) if count > 0 else ()


def _inherited(path: Path, instance: Instance) -> bool:
    entry = instance.request.entry(str(path[0])) if path else None
    return entry is not None and entry.inherited


def _key_that_lacks(path: Path, instance: Instance, span: Span | None) -> Span | None:
    """Where something is missing, the key of the mapping that lacks it."""
    if path:
        return _key_span(path, instance) or span
    return instance.node.with_span


def _key_span(path: Path, instance: Instance) -> Span | None:
    """The span of the key at `path`, where it is written as one."""
    value: Any = instance.request
    span: Span | None = None
    for step in path:
        if hasattr(value, "entry") and (entry := value.entry(str(step))):
            span, value = entry.key_span, entry.value
        elif hasattr(value, "items") and isinstance(step, int) and step < len(value.items):
            value = value.items[step]
        else:
            return None
    return span
