"""Checking a request against its model's schema. Owns the order of the checks and which of several errors is told.

What the schema cannot say is `rules`'; the words are `wording`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowrun.media.facts import MediaFacts, MediaKind
from flowrun.operations import wording
from flowrun.operations.model import UNKNOWN, MediaLeaf, Path, Problem, Schema, Slot, dotted
from flowrun.operations.strict import Prepared, SchemaError, StrictSchema

FactsOf = Callable[[Path], MediaFacts | None]
MOST_TELLING = (
    "unknown-input",
    "wrong-type",
    "wrong-media-kind",
    "not-allowed",
    "bad-pattern",
)  # of several errors at one place


def no_facts(_path: Path) -> None:
    """Nothing is known of any media."""


def value_at(value: Any, path: Iterable[str | int]) -> Any:
    """What stands at a place of a request; UNKNOWN where nothing does."""
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return UNKNOWN
    return value


def _nodes(schema: Schema, path: Sequence[str | int]) -> Iterator[Any]:
    node: Any = schema
    yield node
    for part in path:
        node = node[part]
        yield node


@dataclass(frozen=True, slots=True)
class Checker:
    """What a model is checked with. `others`: the operation's other models that have an input; `media`: places that take it."""

    model: str
    form: StrictSchema
    others: Mapping[str, Sequence[str]]
    media: Sequence[str]

    def finding(self, request: object, error: SchemaError) -> wording.Finding:
        """A validator's error, with what is needed to word it."""
        nodes = [node for node in _nodes(self.form.schema, error.schema_path[:-1]) if isinstance(node, Mapping)]
        decides = len(nodes) > 2 and "mediaSlot" in nodes[-3] and nodes[-1] is nodes[-2].get("then")
        owner, path = nodes[-3] if decides else nodes[-1], tuple(error.instance_path)
        return wording.Finding(self.model, path, value_at(request, path), error.kind, nodes[-1], owner, self.others)


def _rank(problem: Problem) -> int:
    return MOST_TELLING.index(problem.code) if problem.code in MOST_TELLING else len(MOST_TELLING)


def most_telling(problems: Iterable[Problem]) -> list[Problem]:
    """One problem for one place: a text where a number is taken is not, besides, none of the accepted values."""
    best: dict[tuple[Path, str | None], Problem] = {}
    for problem in problems:
        place = (problem.path, problem.missing)
        if place not in best or _rank(problem) < _rank(best[place]):
            best[place] = problem
    return list(best.values())


def in_request_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Sorted by place; within a list by position."""
    return tuple(sorted(problems, key=_place))


def _place(problem: Problem) -> tuple[list[tuple[bool, str | int]], str]:
    return [(isinstance(part, str), part) for part in problem.path], problem.missing or ""


def _misplaced(request: object, path: Path, media: Sequence[str]) -> Problem:
    """A value that is none of JSON's, or media where none is taken. `media`: the places that take it."""
    if not isinstance(value_at(request, path), MediaLeaf):
        message = f"`{dotted(path)}` holds a value that cannot be sent"
        return Problem(path, "wrong-type", message, "give a number, text, a list or a mapping")
    places = wording.listed(media) if media else "no input of this model"
    hint = f"media goes into {places}; elsewhere use a fact of it, such as `.duration`"
    return Problem(path, "wrong-type", f"`{dotted(path)}` itself takes no media", hint)


def _odd_key(path: Path) -> Problem:
    return Problem(path, "unknown-input", f"the name `{dotted(path)}` is no text", "names of inputs are text")


def kind_problems(slots: Iterable[Slot], request: object, facts: FactsOf) -> Iterator[Problem]:
    """Media of another kind than its slot takes, as far as kinds are known: by the stand-in, else by the facts."""
    for slot in slots:
        kind = _kind_at(value_at(request, slot.path), slot.path, facts)
        if kind is not None and slot.kind is not None and kind is not slot.kind:
            wanted, given = wording.MEDIA_WORDS[slot.kind], wording.MEDIA_WORDS[kind]
            message = f"`{dotted(slot.path)}` takes {wanted}, not {given}"
            hint = f"give it {wanted}: a file, an https URL or a reference to a node's output"
            yield Problem(slot.path, "wrong-media-kind", message, hint)


def _kind_at(leaf: object, path: Path, facts: FactsOf) -> MediaKind | None:
    if isinstance(leaf, MediaLeaf) and leaf.kind is not None:
        return leaf.kind
    known = facts(path)
    return known.kind if known else None


def schema_problems(checker: Checker, slots: Sequence[Slot], request: object) -> tuple[list[Problem], Prepared]:
    """What the model's schema says against a request, one problem a place, and what was not known while checking."""
    prepared = Prepared(frozenset(slot.path for slot in slots))
    instance = prepared.fill(request)
    findings = [checker.finding(request, error) for error in checker.form.validator.iter_errors(instance)]
    said = [problem for found in findings if not prepared.hides(found.path) for problem in wording.problems_of(found)]
    said += [_misplaced(request, path, checker.media) for path in prepared.misplaced]
    said += map(_odd_key, prepared.odd_keys)
    return most_telling(said), prepared
