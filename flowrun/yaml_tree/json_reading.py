"""JSON text to tree (RFC 8259). Owns its scanner: libyaml refuses surrogate pairs, leading tabs and long keys."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import NoReturn

from flowrun import secret
from flowrun.diagnostics.model import Diagnostic, DiagnosticError, Note
from flowrun.diagnostics.span import Span
from flowrun.yaml_tree import characters
from flowrun.yaml_tree.flows import unescape
from flowrun.yaml_tree.tree import Entry, Mapping, PlainScalar, Scalar, Sequence, Tree
from flowrun.yaml_tree.written import Style, Written

MAX_DEPTH = 100
_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"((?:[^"\\\r\n\t]|\\.)*)"')
_ESCAPE = re.compile(
    r'\\(?:["\\/bfnrt]|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u(?![dD][89a-fA-F])[0-9a-fA-F]{4})'
)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,4000})(\.[0-9]+)?([eE][-+]?[0-9]+)?(?![0-9.])")
_WORD = re.compile(r"\w+")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


class _StopReadingError(Exception):
    """JSON has no second chance: after one syntax error nothing more can be said."""


def parse(text: str, lines: characters.Lines, found: list[Diagnostic]) -> Tree:
    """The value in `text`. Raises DiagnosticError with `found` and what comes to it."""
    reader = _Reader(text, lines, found)
    tree: Tree = Scalar(None, lines.span(0, 0))
    with suppress(_StopReadingError):
        tree = reader.document()
    if found:
        raise DiagnosticError(found)
    return tree


class _Reader:
    def __init__(self, text: str, lines: characters.Lines, found: list[Diagnostic]) -> None:
        self.text, self.lines, self.found, self.at = text, lines, found, 0

    def document(self) -> Tree:
        tree = self._value(1)
        if self._peek():
            self._fail("the document has ended before this", "take it out; one file is one JSON value")
        return tree

    def _value(self, depth: int) -> Tree:
        character = self._peek()
        if character in ("{", "[") and depth > MAX_DEPTH:
            self._fail(
                "lists and objects are nested too deeply here", f"at most {MAX_DEPTH} levels are read", "too-deep"
            )
        if character == "{":
            return self._mapping(depth)
        if character == "[":
            return self._sequence(depth)
        return self._string() if character == '"' else self._word()

    def _mapping(self, depth: int) -> Mapping:
        start, entries = self.at, dict[str, Entry]()
        more = self._opens("}")
        while more:
            if self._peek() != '"':
                self._fail(
                    "a key was expected here", 'write keys in double quotes, and no comma before the closing "}"'
                )
            key = self._string()
            self._expect(":")
            value = self._value(depth + 1)
            if self._is_new(key, entries):
                entries[str(key.value)] = Entry(key, value)
            more = self._goes_on("}")
        return Mapping(tuple(entries.values()), self._span(start))

    def _sequence(self, depth: int) -> Sequence:
        start, items = self.at, list[Tree]()
        more = self._opens("]")
        while more:
            items.append(self._value(depth + 1))
            more = self._goes_on("]")
        return Sequence(tuple(items), self._span(start))

    def _string(self) -> Scalar:
        start, found = self.at, _STRING.match(self.text, self.at)
        if found is None:
            self._fail(
                "this string is not closed on its line", "close it; write line breaks and tabs inside it as \\n and \\t"
            )
        self.at = found.end()
        value = self._unescaped(found[1], start + 1)
        span = self._span(start)
        if secret.looks_like_key(value) and not secret.looks_like_key(found[0]):
            self.found.append(characters.key_found(span))
        return Scalar(value, span, False, Written(Style.DOUBLE, found[0]))

    def _unescaped(self, raw: str, start: int) -> str:
        parts, at = [], 0
        while (backslash := raw.find("\\", at)) >= 0:
            escape = _ESCAPE.match(raw, backslash)
            if escape is None:
                self.at = start + backslash
                self._fail("this is no escape of JSON", "write `\\\\` for a backslash")
            parts += [raw[at:backslash], unescape(escape.group())]
            at = escape.end()
        return "".join([*parts, raw[at:]])

    def _word(self) -> Scalar:
        start = self.at
        value: PlainScalar
        if number := _NUMBER.match(self.text, start):
            self.at = number.end()
            value = float(number[0]) if number[1] or number[2] else int(number[0])
        else:
            word = _WORD.match(self.text, start)
            if word is None or word[0] not in _WORDS:
                self._fail(
                    "a value was expected here", "texts stand in double quotes; no comma before a closing bracket"
                )
            self.at, value = word.end(), _WORDS[word[0]]
        return Scalar(value, self._span(start))

    # -- marks between values

    def _peek(self) -> str:
        space = _SPACE.match(self.text, self.at)
        self.at = space.end() if space else self.at
        return self.text[self.at : self.at + 1]

    def _opens(self, end: str) -> bool:
        """Step over an opening bracket; whether anything stands in it."""
        self.at += 1
        empty = self._peek() == end
        self.at += empty
        return not empty

    def _goes_on(self, end: str) -> bool:
        if self._peek() not in (",", end):
            self._fail(f"a `,` or `{end}` was expected here", "look at what stands before it")
        self.at += 1
        return self.text[self.at - 1] == ","

    def _expect(self, mark: str) -> None:
        if self._peek() != mark:
            self._fail(f"a `{mark}` was expected here", "look at what stands before it")
        self.at += 1

    def _is_new(self, key: Scalar, entries: dict[str, Entry]) -> bool:
        earlier = entries.get(str(key.value))
        if earlier is not None:
            notes = (Note("it stands here already", earlier.key.span),)
            message = f"the key `{key.value}` stands twice in this object"
            self.found.append(
                Diagnostic("duplicate-key", message, key.span, "take one of the two out, or rename it", notes)
            )
        return earlier is None

    def _span(self, start: int) -> Span:
        return self.lines.span(start, self.at)

    def _fail(self, message: str, hint: str, code: str = "json-syntax") -> NoReturn:
        span = self.lines.span(self.at, min(self.at + 1, len(self.text)))
        self.found.append(Diagnostic(code, message, span, hint))
        raise _StopReadingError
