"""From the value of a foreach to items with keys. Owns the rules of keys; evaluating the value and reading files come before."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from flowrun.diagnostics.model import Diagnostic, DiagnosticError, Note, Severity
from flowrun.diagnostics.span import Span
from flowrun.diagnostics.suggest import did_you_mean
from flowrun.yaml_tree import Entry, Mapping, Scalar, Sequence, Tree, describe

MAX_ITEMS = 10_000
MAX_KEY = 80
_FORBIDDEN = frozenset("'\"[]#,&/\\")
_SLUG = 'keys stand in addresses and file names; the `slug` filter makes one of any text: "{{ title | slug }}"'


@dataclass(frozen=True, slots=True)
class Item:
    """One instance to be. `index` counts from 0. `span`: of what gave the key."""

    key: str
    value: Tree
    index: int
    span: Span


@dataclass(frozen=True, slots=True)
class Expansion:
    items: tuple[Item, ...]
    warnings: tuple[Diagnostic, ...] = ()


def expand_items(source: Tree, key_field: Scalar | None = None, columns: tuple[Scalar, ...] = ()) -> Expansion:
    """A mapping's entries by key, a list's items by their own or their field's key, or 1 to n for an integer n.

    `key_field` names the field of records that is the key; without it `key`, then `id`. `columns`: the headings, where the
    items are the rows of a table. Raises DiagnosticError with every bad key, at its row; with one for a table without the
    key's column; for a value that is none of the three; and beyond 10,000 items.
    """
    size = _size(source)
    if size > MAX_ITEMS:
        hint = "split the production into several manifests"
        message = f"this fans out to {size:,} instances, and {MAX_ITEMS:,} is the most"
        raise DiagnosticError([Diagnostic("fan-out-too-large", message, source.span, hint)])
    if key_field is not None and columns and key_field.value not in [column.value for column in columns]:
        raise DiagnosticError([_no_column(key_field, columns)])
    expanding = _Expanding(key_field)
    items = tuple(expanding.items(source))
    problems = [*expanding.problems, *_repeated(items)]
    if any(each.is_error for each in problems):
        raise DiagnosticError(problems)
    return Expansion(items, tuple(problems))


def _size(source: Tree) -> int:
    if isinstance(source, Scalar):
        return _count(source)
    return len(source.entries if isinstance(source, Mapping) else source.items)


def _no_column(field: Scalar, columns: tuple[Scalar, ...]) -> Diagnostic:
    """One mistake, not one for each row."""
    names = [str(column.value) for column in columns]
    first, last = columns[0].span, columns[-1].span
    span = Span(first.file, first.line, first.column, last.end_line, last.end_column)
    here = f"its columns: {', '.join(names)}"
    near = did_you_mean(str(field.value), names)
    notes = (Note("the field is named here", field.span),)
    message = f"no column is headed `{field.value}`, which is to be the key"
    return Diagnostic("missing-key-field", message, span, f"{near} {here}" if near else here, notes)


def _count(source: Scalar) -> int:
    number = _integer(source)
    if number is not None and number >= 0:
        return number
    hint = "write a list, a mapping, an integer from 0 on, or `{file: …}` for a CSV, JSON or YAML file"
    found = "a negative number" if number is not None else describe(source)
    raise DiagnosticError([Diagnostic("bad-foreach", f"nothing can fan out over {found}", source.span, hint)])


def _integer(tree: Tree) -> int | None:
    """The integer that a scalar is, numbers counting by value."""
    value = tree.value if isinstance(tree, Scalar) else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


class _Expanding:
    def __init__(self, key_field: Scalar | None) -> None:
        self.key_field = key_field
        self.problems: list[Diagnostic] = []

    def items(self, source: Tree) -> Iterator[Item]:
        if isinstance(source, Mapping):
            yield from self._of_mapping(source)
        elif isinstance(source, Sequence):
            yield from self._of_list(source)
        else:
            numbers = range(1, _count(source) + 1)
            yield from (Item(str(n), Scalar(n, source.span, True), n - 1, source.span) for n in numbers)

    def _of_mapping(self, source: Mapping) -> Iterator[Item]:
        if self.key_field is not None:
            hint = "take `key` out, or write the items as a list"
            message = "the items are a mapping, so they have keys already"
            self.problems.append(Diagnostic("bad-foreach", message, self.key_field.span, hint))
        for index, entry in enumerate(source.entries):
            if self._is_good(entry.name, entry.key.span):
                yield Item(entry.name, entry.value, index, entry.key.span)

    def _of_list(self, source: Sequence) -> Iterator[Item]:
        field = self._field(source)
        numbered = False
        for index, tree in enumerate(source.items):
            own = self._own_key(tree, field)
            if own is None:
                numbered, own = True, (str(index + 1), tree.span)
            if own[0] is not None and self._is_good(own[0], own[1]):
                yield Item(own[0], tree, index, own[1])
        if numbered:
            self._numbered(source)

    def _field(self, source: Sequence) -> str | None:
        """The field of the records that is their key: the one named, else `key` or `id`, if any record has it."""
        if self.key_field is not None:
            return str(self.key_field.value)
        names = {name for tree in source.items if isinstance(tree, Mapping) for name in tree.keys}
        return next((name for name in ("key", "id") if name in names), None)

    def _own_key(self, tree: Tree, field: str | None) -> tuple[str | None, Span] | None:
        """Key and its place; a key None where a problem was noted; None for an item without a key of its own."""
        if isinstance(tree, Mapping):
            return None if field is None else self._of_record(tree, field)
        if isinstance(tree, Scalar) and isinstance(tree.value, str):
            return tree.value, tree.span
        number = _integer(tree)
        return None if number is None else (str(number), tree.span)

    def _of_record(self, record: Mapping, field: str) -> tuple[str | None, Span]:
        entry = record.entry(field)
        if entry is None:
            self.problems.append(self._without(record, field))
            return None, record.span
        return self._of_cell(entry), entry.value.span

    def _of_cell(self, entry: Entry) -> str | None:
        tree = entry.value
        number = _integer(tree)
        if number is not None:
            return str(number)
        if isinstance(tree, Scalar) and isinstance(tree.value, str):
            return tree.value
        message = f"a key must be text or an integer, and this is {describe(tree)}"
        self.problems.append(Diagnostic("bad-key", message, tree.span, "write a text, or name another field as `key`"))
        return None

    def _without(self, record: Mapping, field: str) -> Diagnostic:
        notes = () if self.key_field is None else (Note("the field is named here", self.key_field.span),)
        hint = did_you_mean(field, record.keys) or f"its fields: {', '.join(record.keys) or 'none'}"
        return Diagnostic(
            "missing-key-field", f"this record has no field `{field}` to be its key", record.span, hint, notes
        )

    def _numbered(self, source: Sequence) -> None:
        message = "items without a key are numbered: inserting or sorting rows gives every later one a new name"
        hint = "name a field of the records: `foreach: {items: …, key: <field>}`"
        self.problems.append(Diagnostic("numbered-items", message, source.span, hint, severity=Severity.WARNING))

    def _is_good(self, key: str, span: Span) -> bool:
        reason = _fault(key)
        if reason:
            self.problems.append(Diagnostic("bad-key", reason, span, _SLUG))
        return reason is None


def _fault(key: str) -> str | None:
    """Why a text is no key."""
    if not key.strip():
        return "a key must not be empty"
    if len(key) > MAX_KEY:
        return f"a key has at most {MAX_KEY} characters, and this has {len(key)}"
    if not unicodedata.is_normalized("NFC", key):
        return f"the key `{key}` is not in Unicode's composed form (NFC), so two that look alike would differ"
    bad = next((one for one in key if one in _FORBIDDEN or unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp")), None)
    if bad is None:
        return None
    name = f"`{bad}`" if bad in _FORBIDDEN else f"the control character U+{ord(bad):04X}"
    return f"the key `{key}` has {name} in it"


def _repeated(items: tuple[Item, ...]) -> Iterator[Diagnostic]:
    seen: dict[str, Item] = {}
    for item in items:
        earlier = seen.setdefault(item.key.casefold(), item)
        if earlier is not item:
            same = "stands twice" if earlier.key == item.key else f"differs from `{earlier.key}` by letter case alone"
            notes = (Note("it stands here already", earlier.span),)
            yield Diagnostic(
                "repeated-key", f"the key `{item.key}` {same}", item.span, "give each row a key of its own", notes
            )
