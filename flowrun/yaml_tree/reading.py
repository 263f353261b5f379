"""Text to tree. Owns the walk over the parser's events, its bounds, and what YAML allows that we do not.

libyaml's marks are exact in code points (tests hold it to that), so the C parser is used where it is built in. The tree
is made from events and not from its node graph: depth and alias expansion are bounded while they are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn, TypeGuard

import yaml

from flowrun import secret
from flowrun.diagnostics.model import Diagnostic, DiagnosticError, Note
from flowrun.diagnostics.span import Span
from flowrun.yaml_tree import characters, core, json_reading, problems
from flowrun.yaml_tree.tree import Entry, Mapping, PlainScalar, Scalar, Sequence, Tree
from flowrun.yaml_tree.written import Style, Written

MAX_DEPTH = 100
MAX_EXPANDED = 100_000  # nodes that stand in the tree by alias only
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TOO_DEEP = "exceeded maximum nesting depth"  # libyaml's own bound, 1,000 levels, in what PyYAML brings since 6.0.4
_PROPERTIES = re.compile(r"(?:(?:&[^\s,\[\]{}]+|!<[^>\s]*>|![^\s,\[\]{}]*)(?:\s+(?:#[^\r\n]*\s+)*|$))*")


def parse(text: str, file: str) -> Tree:
    """See `flowrun.yaml_tree.parse`."""
    text = text.removeprefix(characters.MARK)
    lines = characters.Lines(text, file)
    found = list(characters.problems(text, lines))
    if any(each.code == "control-character" for each in found):
        raise DiagnosticError(found)
    if file.lower().endswith(".json"):
        return json_reading.parse(text, lines, found)
    reader = _Reader(text, lines, found)
    try:
        tree = reader.document()
    except _ScannedTooDeepError as error:
        reader = _Reader(text[: error.at - 1], lines, list(characters.problems(text, lines)))
        tree = reader.document()
    if reader.found:
        raise DiagnosticError(reader.found)
    return tree


class _ScannedTooDeepError(Exception):
    """The scanner, which looks ahead, met its own bound on depth at offset `at`, before this reader had come to its smaller
    one. What stands before it is deep enough to be refused where it becomes too deep."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


class _StopReadingError(Exception):
    """What was found makes the rest unreadable."""


@dataclass(frozen=True, slots=True)
class _Anchored:
    tree: Tree
    size: int  # nodes, aliases expanded
    height: int  # levels below its own


class _Reader:
    """One pass over one text's events. Collects diagnostics in `found`."""

    def __init__(self, text: str, lines: characters.Lines, found: list[Diagnostic]) -> None:
        self.text, self.lines, self.found = text, lines, found
        readable, self._restore = characters.without_foreign_breaks(text)
        self._events: Iterator[Any] = iter(yaml.parse(readable, Loader=_LOADER))
        self._anchors: dict[str, _Anchored | None] = {}  # None: still being read
        self._count = 0  # nodes so far, aliases expanded
        self._expanded = 0  # those among them that came by alias
        self._deepest = 0

    def document(self) -> Tree:
        tree: Tree = Scalar(None, self.lines.span(0, 0))
        try:
            for event in self._events:
                if isinstance(event, yaml.DocumentStartEvent):
                    tree = self._first_document(event, tree)
        except yaml.MarkedYAMLError as error:
            if error.problem == _TOO_DEEP and error.problem_mark is not None:
                raise _ScannedTooDeepError(error.problem_mark.index) from None
            self._unreadable(problems.of_scanner(error, self.text, self.lines))
        except _StopReadingError:
            pass
        return tree

    def _unreadable(self, last: Diagnostic) -> None:
        """A bare template breaks what follows it on its line: said once is enough."""
        templates = {each.span.line for each in self.found if each.code == "unquoted-template" and each.span}
        if last.span is None or last.span.line not in templates:
            self.found.append(last)

    def _first_document(self, event: Any, tree: Tree) -> Tree:
        if self._count:
            hint = "one file is one document: put the rest into a file of its own"
            self._stop("several-documents", "a second YAML document begins here", self._span(event), hint)
        return self._node(next(self._events), 1) if not self._count else tree

    def _node(self, event: Any, depth: int) -> Tree:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        if depth > MAX_DEPTH:
            hint = f"at most {MAX_DEPTH} levels are read"
            self._stop("too-deep", "lists and mappings are nested too deeply here", self._span(event), hint)
        self._count += 1
        self._deepest = max(self._deepest, depth)
        if event.anchor is None:
            return self._plain_node(event, depth)
        return self._anchored(event, depth)

    def _plain_node(self, event: Any, depth: int) -> Tree:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        allowed = "seq" if isinstance(event, yaml.SequenceStartEvent) else "map"
        if event.tag not in (None, "!", core.PREFIX + allowed):
            self._unknown_tag(event)
        return self._sequence(event, depth) if allowed == "seq" else self._mapping(event, depth)

    # -- anchors and aliases

    def _anchored(self, event: Any, depth: int) -> Tree:
        count, outer = self._count, self._deepest
        self._anchors[event.anchor], self._deepest = None, depth
        tree = self._plain_node(event, depth)
        self._anchors[event.anchor] = _Anchored(tree, self._count - count + 1, self._deepest - depth)
        self._deepest = max(outer, self._deepest)
        return tree

    def _alias(self, event: Any, depth: int) -> Tree:
        span, name = self._span(event), event.anchor
        target = self._anchors.get(name)
        if target is None:
            self._bad_alias(name, span)
            return Scalar(None, span)
        self._count += target.size
        self._expanded += target.size
        self._deepest = max(self._deepest, depth + target.height)
        if self._expanded > MAX_EXPANDED or self._deepest > MAX_DEPTH:
            bound = (
                f"more than {MAX_EXPANDED:,} values"
                if self._expanded > MAX_EXPANDED
                else f"more than {MAX_DEPTH} levels"
            )
            hint = "write out what is meant, or use `defaults` and `foreach` to say things once"
            self._stop("alias-bomb", f"with this alias `*{name}` the aliases expand to {bound}", span, hint)
        return target.tree

    def _bad_alias(self, name: str, span: Span) -> None:
        if name in self._anchors:
            self._error(
                "recursive-alias", f"`*{name}` stands inside its own `&{name}`", span, "a value cannot hold itself"
            )
            return
        hint = "quote the value, if the `*` is meant as text; an anchor must stand before its aliases"
        self._error("unknown-alias", f"there is no anchor `&{name}` before this", span, hint)

    # -- scalars

    def _scalar(self, event: Any) -> Scalar:
        start, end = self._begin(event), event.end_mark.index
        style = Style(event.style) if event.style else Style.PLAIN
        raw = self.text[start:end]
        shown = raw.rstrip(" \t\r\n") if style in (Style.LITERAL, Style.FOLDED) else raw
        span = self.lines.span(start, start + len(shown))
        value = self._value(event, self._text(event.value), style, span)
        if isinstance(value, str) and secret.looks_like_key(value) and not secret.looks_like_key(raw):
            self.found.append(characters.key_found(span))
        return Scalar(value, span, False, Written(style, raw) if isinstance(value, str) else None)

    def _text(self, value: str) -> str:
        return value.translate(self._restore) if self._restore else value

    def _value(self, event: Any, text: str, style: Style, span: Span) -> PlainScalar:
        if event.tag is None:
            return core.resolve(text) if style is Style.PLAIN else text
        try:
            return core.tagged(text, event.tag)
        except core.UnknownTagError:
            self._unknown_tag(event)
        except ValueError:
            kind = event.tag.removeprefix(core.PREFIX)
            self._error(
                "bad-tag",
                f"the tag says `!!{kind}`, but the value is none",
                span,
                "take the tag out, or write such a value",
            )
        return text

    # -- lists and mappings

    def _sequence(self, event: Any, depth: int) -> Sequence:
        items: list[Tree] = []
        while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(inner, depth + 1))
        return Sequence(tuple(items), self._whole(event, inner, items[-1].span if items else None))

    def _mapping(self, event: Any, depth: int) -> Mapping:
        entries: dict[str, Entry] = {}
        last: Span | None = None
        while not isinstance(inner := next(self._events), yaml.MappingEndEvent):
            key = self._node(inner, depth + 1)
            value = self._node(next(self._events), depth + 1)
            last = value.span
            if self._key_is_good(key, inner, event) and self._is_new(key, entries):
                entries[str(key.value)] = Entry(key, value)
        return Mapping(tuple(entries.values()), self._whole(event, inner, last))

    def _key_is_good(self, key: Tree, event: Any, mapping: Any) -> TypeGuard[Scalar]:
        if not isinstance(key, Scalar):
            self._collection_key(event, mapping)
            return False
        if key.value == "<<" and event.__class__ is yaml.ScalarEvent and not event.style:
            hint = "flowrun has no merge keys: say shared inputs once under `defaults`"
            self._error("merge-key", "`<<` does not merge here", key.span, hint)
            return False
        if not isinstance(key.value, str):
            self._error(
                "key-not-text",
                "a key must be text, and this is read as another kind of value",
                key.span,
                "put it in quotes",
            )
            return False
        return True

    def _collection_key(self, event: Any, mapping: Any) -> None:
        start, end = self._begin(mapping), self._begin(event)
        if end - start == 1 and self.text[start : start + 2] == "{{":
            span = self.lines.span(start, start + 2)
            self._error("unquoted-template", "this template is not in quotes", span, problems.QUOTE_TEMPLATE)
            return
        self._error(
            "key-not-text", "a list or a mapping cannot be a key", self.lines.span(end, end + 1), "use a text as key"
        )

    def _is_new(self, key: Scalar, entries: dict[str, Entry]) -> bool:
        earlier = entries.get(str(key.value))
        if earlier is None:
            return True
        note = Note("it stands here already", earlier.key.span)
        message = f"the key `{key.value}` stands twice in this mapping"
        self.found.append(
            Diagnostic("duplicate-key", message, key.span, "take one of the two out, or rename it", (note,))
        )
        return False

    # -- places and errors

    def _begin(self, event: Any) -> int:
        """Offset of a node's first character, its anchor and tag left out."""
        start: int = event.start_mark.index
        if event.anchor is None and event.tag is None:
            return start
        properties = _PROPERTIES.match(self.text, start)
        end: int = event.end_mark.index
        return min(properties.end() if properties else start, max(start, end))

    def _span(self, event: Any) -> Span:
        start = event.start_mark.index
        return self.lines.span(start, max(start, event.end_mark.index))

    def _whole(self, event: Any, end: Any, last: Span | None) -> Span:
        """A collection's span. A block's end mark is where the next thing begins, so its last value tells the end."""
        if event.flow_style or last is None:
            return self.lines.span(self._begin(event), end.end_mark.index)
        start = self.lines.span(self._begin(event), self._begin(event))
        return Span(
            start.file, start.line, start.column, *max((last.end_line, last.end_column), (start.line, start.column))
        )

    def _unknown_tag(self, event: Any) -> None:
        span = self.lines.span(event.start_mark.index, max(event.start_mark.index, self._begin(event)))
        hint = "take it out; quote the value, if it begins with `!`"
        self._error("unknown-tag", f"the tag `{event.tag}` is not known", span, hint)

    def _error(self, code: str, message: str, span: Span, hint: str) -> None:
        self.found.append(Diagnostic(code, message, span, hint))

    def _stop(self, code: str, message: str, span: Span, hint: str) -> NoReturn:
        self._error(code, message, span, hint)
        raise _StopReadingError
