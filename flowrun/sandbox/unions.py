"""Complaints as the live API nests them. Owns turning flat issues into those of unions.

Where an input may have several forms (a text or a list), the live service says "Invalid input" of the whole and lists, form by
form, what is wrong with each. Sources: bodies that the API's own scripts take apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from flowrun.operations import structure
from flowrun.operations.model import Path, Schema
from flowrun.sandbox.messages import Issue

TOP = "Invalid input"


def nested(schema: Schema, body: Any, issues: Iterable[Issue]) -> tuple[Issue, ...]:
    """The issues, those within a union gathered under it, where the first of them stood."""
    flat: list[Issue] = []
    unions: dict[Path, list[Issue]] = {}
    for issue in issues:
        place = _union_over(schema, body, issue.path)
        if place is None:
            flat.append(issue)
        elif place in unions:
            unions[place].append(issue)
        else:
            unions[place] = [issue]
            flat.append(Issue(place, TOP, "invalid_union"))
    return tuple(_filled(schema, body, each, unions.get(each.path)) for each in flat)


def _filled(schema: Schema, body: Any, union: Issue, inner: list[Issue] | None) -> Issue:
    if inner is None or union.message != TOP:
        return union
    node, value = _at(schema, body, union.path)
    meant = structure.chosen(node, value)
    forms = tuple(_form(form, union.path, inner if form in meant else None) for form in structure.branches(node))
    return Issue(union.path, TOP, "invalid_union", forms)


def _form(form: Schema, place: Path, inner: list[Issue] | None) -> tuple[Issue, ...]:
    """What is wrong with one form, its places told from the union's."""
    if inner is None:
        return (Issue((), f"Expected {' or '.join(sorted(structure.types_of(form)))}.", "invalid_type"),)
    return tuple(Issue(each.path[len(place) :], each.message, each.code) for each in inner)


def _union_over(schema: Schema, body: Any, path: Path) -> Path | None:
    """The place of the outermost union, of those whose forms nothing tells apart, that a place lies in."""
    for depth, (node, _) in enumerate(_walk(schema, body, path)):
        if len(structure.branches(node)) > 1 and structure.tag_of(node) is None:
            return path[:depth]
    return None


def _at(schema: Schema, body: Any, path: Path) -> tuple[Schema, Any]:
    return [*_walk(schema, body, path)][len(path)]


def _walk(node: Schema, value: Any, path: Path) -> Iterator[tuple[Schema, Any]]:
    """Schema and value of the body and of each place towards `path`, as far as the schema knows them."""
    yield node, value
    for part in path:
        forms = structure.chosen(node, value) if structure.branches(node) else [node]
        below = {name: found for form in forms for name, *found in structure.children(form, value)}
        if part not in below:
            return
        node, value = below[part]
        yield node, value
