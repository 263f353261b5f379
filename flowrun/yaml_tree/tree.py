"""The tree of a YAML text: values with spans. Owns the types and their plain form; reading text is `reading`'s."""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from flowrun.diagnostics.span import Span
from flowrun.yaml_tree.written import Written

PlainScalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. `literal`: data (a CSV cell, a ``--var``) that is never rendered as a template.

    `written` is how it stands in its file; None for values that come from no file.
    """

    value: PlainScalar
    span: Span
    literal: bool = False
    written: Written | None = field(default=None, repr=False, compare=False)

    def locate(self, offset: int, length: int = 0) -> Span:
        """Where `length` code points of the value, from `offset` on, stand in the file.

        The scalar's whole span where that cannot be said: a value from no file, or not a text.
        """
        if self.written is None or not isinstance(self.value, str):
            return self.span
        return self.written.locate(self.value, self.span, offset, length)


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple[Tree, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping with its value. The key's value is a text."""

    key: Scalar
    value: Tree

    @property
    def name(self) -> str:
        return str(self.key.value)


@dataclass(frozen=True, slots=True)
class Mapping:
    """Entries in the order written; no name twice."""

    entries: tuple[Entry, ...]
    span: Span
    _index: dict[str, Entry] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", {entry.name: entry for entry in self.entries})

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._index)

    def entry(self, name: str) -> Entry | None:
        return self._index.get(name)

    def get(self, name: str) -> Tree | None:
        found = self._index.get(name)
        return None if found is None else found.value


Tree: TypeAlias = Scalar | Sequence | Mapping


def plain(tree: Tree) -> Any:
    """The value without its places: str, int, float, bool, None, lists and str-keyed dicts."""
    if isinstance(tree, Scalar):
        return tree.value
    if isinstance(tree, Sequence):
        return [plain(item) for item in tree.items]
    return {entry.name: plain(entry.value) for entry in tree.entries}


def from_plain(value: Any, span: Span, *, literal: bool = False) -> Tree:
    """A tree for a value that was not written in a file; every part of it stands at `span`.

    Raises TypeError for a value that YAML's core schema has no form for.
    """
    if value is None or isinstance(value, str | int | float):
        return Scalar(value, span, literal)
    if isinstance(value, list | tuple):
        return Sequence(tuple(from_plain(item, span, literal=literal) for item in value), span)
    if isinstance(value, AnyMapping):
        entries = (
            Entry(Scalar(str(name), span, True), from_plain(item, span, literal=literal))
            for name, item in value.items()
        )
        return Mapping(tuple(entries), span)
    raise TypeError(f"no tree for {type(value).__name__}")


def describe(tree: Tree) -> str:
    """What a person would call it: `text`, `an integer`, `a list`."""
    if isinstance(tree, Sequence):
        return "a list"
    if isinstance(tree, Mapping):
        return "a mapping"
    names = {bool: "a boolean", int: "an integer", float: "a number", str: "text"}
    return names.get(type(tree.value), "nothing (null)")


def follow(tree: Tree, path: tuple[int | str, ...]) -> tuple[tuple[int | str, ...], Span]:
    """As much of `path` (keys and positions) as leads through the tree, and where it ends: for what others say of a path."""
    for index, step in enumerate(path):
        following = None
        if isinstance(tree, Mapping):
            following = tree.get(str(step))
        elif isinstance(tree, Sequence) and isinstance(step, int) and step < len(tree.items):
            following = tree.items[step]
        if following is None:
            return path[:index], tree.span
        tree = following
    return path, tree.span
