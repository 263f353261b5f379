"""Values that may hold templates, compiled once: literals, expressions, lists, mappings, each with its span.

Owns the compiled form and the texts that remember where they came from; evaluating them is `request`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from flowrun.diagnostics.model import Diagnostic
from flowrun.diagnostics.span import Span
from flowrun.template import Reference, Template, TemplateError, parse
from flowrun.yaml_tree.tree import Mapping, Scalar, Sequence, Tree

_MARKS = re.compile(r"^\s*\{\{[-+]?\s*|\s*[-+]?\}\}\s*$")


class SourcedText(str):
    """A text from outside the expression that yields it: a relative path in it counts from `base`. `cell`: of a CSV."""

    __slots__ = ("base", "cell", "span")
    base: Path
    span: Span | None
    cell: bool

    @classmethod
    def of(cls, text: str, base: Path, span: Span | None = None, *, cell: bool = False) -> SourcedText:
        made = cls(text)
        made.base, made.span, made.cell = base, span, cell
        return made


@dataclass(frozen=True, slots=True)
class Literal:
    value: str | int | float | bool | None
    span: Span
    base: Path


@dataclass(frozen=True, slots=True)
class Expression:
    """A text with template syntax. `scalar` turns offsets into spans."""

    template: Template
    scalar: Scalar
    base: Path

    @property
    def span(self) -> Span:
        return self.scalar.span

    @property
    def sole(self) -> Reference | None:
        """The reference that is the whole of a lone expression, if one is."""
        references = self.template.references
        if not self.template.is_lone or not references:
            return None
        first, bare = references[0], _MARKS.sub("", self.template.text)
        return first if self.template.text[first.offset : first.offset + first.length] == bare else None

    @property
    def value_span(self) -> Span:
        """The smallest thing that gives the value: the sole reference, else the whole text."""
        return self.span if self.sole is None else self.locate(self.sole)

    def locate(self, reference: Reference) -> Span:
        return self.scalar.locate(reference.offset, reference.length)


@dataclass(frozen=True, slots=True)
class ListValue:
    items: tuple[Value, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class MapEntry:
    name: str
    key_span: Span
    value: Value
    inherited: bool = False  # from `defaults`


@dataclass(frozen=True, slots=True)
class MapValue:
    entries: tuple[MapEntry, ...]
    span: Span

    def get(self, name: str) -> Value | None:
        return next((entry.value for entry in self.entries if entry.name == name), None)

    def entry(self, name: str) -> MapEntry | None:
        return next((entry for entry in self.entries if entry.name == name), None)


Value: TypeAlias = Literal | Expression | ListValue | MapValue


def compile_value(tree: Tree, base: Path, problems: list[Diagnostic]) -> Value:
    """Parse every text in `tree` that may hold a template; syntax errors go to `problems`, at their own column."""
    if isinstance(tree, Sequence):
        return ListValue(tuple(compile_value(item, base, problems) for item in tree.items), tree.span)
    if isinstance(tree, Mapping):
        return MapValue(
            tuple(
                MapEntry(entry.name, entry.key.span, compile_value(entry.value, base, problems))
                for entry in tree.entries
            ),
            tree.span,
        )
    if tree.literal or not isinstance(tree.value, str):
        return Literal(tree.value, tree.span, base)
    return _compile_text(tree, tree.value, base, problems)


def _compile_text(scalar: Scalar, text: str, base: Path, problems: list[Diagnostic]) -> Value:
    try:
        template = parse(text)
    except TemplateError as error:
        problems.append(Diagnostic(error.code, error.message, scalar.locate(error.offset, error.length), error.hint))
        return Literal(None, scalar.span, base)
    return Literal(text, scalar.span, base) if template.is_literal else Expression(template, scalar, base)


def expressions(value: Value) -> Iterator[Expression]:
    """Every expression in the value, in written order."""
    if isinstance(value, Expression):
        yield value
    elif isinstance(value, ListValue):
        for item in value.items:
            yield from expressions(item)
    elif isinstance(value, MapValue):
        for entry in value.entries:
            yield from expressions(entry.value)


def sourced(value: Any, base: Path, span: Span | None = None, *, cell: bool = False) -> Any:
    """A copy of the value in containers of its own; texts that do not know yet where they came from learn it."""
    if type(value) is str:
        return SourcedText.of(value, base, span, cell=cell)
    if isinstance(value, list | tuple):
        return [sourced(item, base, span, cell=cell) for item in value]
    if isinstance(value, AnyMapping):
        return {str(key): sourced(item, base, span, cell=cell) for key, item in value.items()}
    return value


def sourced_tree(tree: Tree, base: Path, *, cells: bool = False) -> Any:
    """The plain value of a tree of data, each text with its own span."""
    if isinstance(tree, Sequence):
        return [sourced_tree(item, base, cells=cells) for item in tree.items]
    if isinstance(tree, Mapping):
        return {entry.name: sourced_tree(entry.value, base, cells=cells) for entry in tree.entries}
    return sourced(tree.value, base, tree.span, cell=cells)
