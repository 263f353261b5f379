"""Text to syntax tree, with offsets. Owns jinja2's lexer and parser; what the tree means is `analysis` and `evaluator`.

jinja2 counts lines. Its lexer hands out tokens in order, though, and between two tokens it leaves out nothing but
whitespace, so each token's offset is found by walking along. The parser copies a token's line number onto the nodes
it makes of it, so tokens that carry their offset there yield a tree whose `lineno` is an offset. The lexer sees line
ends as `\\n`; where the text has others, offsets are translated back and literal text keeps its own.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from jinja2 import TemplateSyntaxError, nodes
from jinja2.lexer import Lexer, TokenStream
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from flowrun.template.errors import TemplateError
from flowrun.template.explain import explain
from flowrun.template.limits import CODE, MAX_BRACKETS, MAX_TEXT, MAX_TOKENS

# Only the grammar is used: no template is compiled to Python or run by jinja2. The sandboxed kind is a second lock.
_GRAMMAR = ImmutableSandboxedEnvironment(autoescape=False, keep_trailing_newline=True)
_LEXER = Lexer(_GRAMMAR)
_LINE_END = re.compile(r"\r\n|\r")
_ESCAPE = re.compile(r"\\(?:[\\'\"abfnrtv0-7\n]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})|\\")
_OPEN = {"(": ")", "[": "]", "{": "}"}
_TAGS = {"variable_begin", "block_begin", "comment_begin", "raw_begin"}


class Piece(NamedTuple):
    """One token as it stands in the text (line ends normalised)."""

    offset: int
    kind: str
    value: str

    @property
    def end(self) -> int:
        return self.offset + len(self.value)


@dataclass(eq=False, slots=True)
class Source:
    """A template's text and its tokens: where a node begins and ends."""

    text: str
    normal: str
    pieces: list[Piece] = field(default_factory=list)  # without whitespace
    _index: dict[int, int] = field(default_factory=dict)  # offset -> place in `pieces`
    _closing: dict[int, int] = field(default_factory=dict)  # offset of a bracket -> end of the one that closes it
    _opening: dict[int, int] = field(default_factory=dict)  # and back

    def original(self, offset: int) -> int:
        """An offset of the normalised text as an offset of the text itself."""
        if len(self.text) == len(self.normal):
            return offset
        shift = 0
        for match in _LINE_END.finditer(self.text):
            if match.start() - shift >= offset:
                break
            shift += len(match[0]) - 1
        return offset + shift

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Offset and length in the text itself."""
        first = self.original(start)
        return first, self.original(end) - first

    def span(self, node: nodes.Node) -> tuple[int, int]:
        """Offset and length of all that `node` was made of, but for brackets around it."""
        # the parser notes a comparison by the token after it
        parts = [part for _, part in descend([node]) if not isinstance(part, nodes.Compare | nodes.Operand)]
        starts = [part.lineno for part in parts if part.lineno in self._index]
        return self.place(*self._balanced(min(starts), max(self._end(start) for start in starts)))

    def chain(self, base: nodes.Node, last: nodes.Node) -> tuple[int, int]:
        """Offset and length of a name and the dots and subscripts after it; `last` is the outermost node."""
        return self.place(*self._balanced(base.lineno, self._end(last.lineno)))

    def token(self, node: nodes.Node) -> tuple[int, int]:
        """Offset and length of the token that `node` is known by: a filter's name, an opening bracket, a tag's word."""
        piece = self.pieces[self._index[node.lineno]]
        return self.place(piece.offset, piece.end)

    def knows(self, node: nodes.Node) -> bool:
        """Whether `node` was made of a token."""
        return node.lineno in self._index

    def after(self, node: nodes.Node, word: str) -> tuple[int, int]:
        """Offset and length of the first token `word` at or after the token of `node`."""
        following = self.pieces[self._index[node.lineno] :]
        piece = next(piece for piece in following if piece.value == word)
        return self.place(piece.offset, piece.end)

    def spelled(self, offset: int, length: int) -> str:
        """What stands there."""
        return self.text[offset : offset + length]

    def add(self, piece: Piece) -> None:
        self._index[piece.offset] = len(self.pieces)
        self.pieces.append(piece)

    def close(self, opened: int, end: int) -> None:
        self._closing[opened] = end
        self._opening[end] = opened

    def _balanced(self, start: int, end: int) -> tuple[int, int]:
        """The stretch with the other end of each bracket in it."""
        first, place = start, self._index[start]
        while place < len(self.pieces) and self.pieces[place].offset < end:
            piece = self.pieces[place]
            first = min(first, self._opening.get(piece.end, first))
            end = max(end, self._closing.get(piece.offset, end))
            place += 1
        return first, end

    def _end(self, offset: int) -> int:
        """Where the construct ends whose known token stands at `offset`."""
        place = self._index[offset]
        piece = self.pieces[place]
        if offset in self._closing:
            return self._closing[offset]
        if piece.value == ".":
            return self.pieces[place + 1].end
        if piece.value == "is":
            negated = self.pieces[place + 1].value == "not"
            return self.pieces[place + 1 + negated].end
        while piece.kind == "string" and self.pieces[place + 1].kind == "string":
            place, piece = place + 1, self.pieces[place + 1]
        return piece.end


def read(text: str) -> tuple[nodes.Template, Source]:
    """The tree of `text` and its source. Raises TemplateError."""
    if len(text) > MAX_TEXT:
        raise TemplateError("the template is too long", 0, 2, f"it may have {MAX_TEXT:,} characters", CODE)
    source = Source(text, _LINE_END.sub("\n", text))
    try:
        return _parsed(source), source
    except TemplateSyntaxError as error:
        raise _explained(source, error) from None
    except RecursionError:
        raise TemplateError("expressions are nested too deeply", 0, 2, "take it apart with {% set %}", CODE) from None


def _parsed(source: Source) -> nodes.Template:
    stream = _pieces(source)
    tokens = list(_LEXER.wrap((piece.offset, piece.kind, piece.value) for piece in stream))
    for token in tokens:
        if token.type == "string" and any("\ud800" <= char <= "\udfff" for char in token.value):
            raise TemplateError("this text holds half a character", *source.place(token.lineno, token.lineno + 1))
    parser = Parser(_GRAMMAR, "")
    parser.stream = TokenStream(iter(tokens), None, None)
    tree = parser.parse()
    if source.text != source.normal:
        for data in tree.find_all(nodes.TemplateData):
            start, length = source.place(data.lineno, data.lineno + len(data.data))
            data.data = source.spelled(start, length)
    return tree


def _explained(source: Source, error: TemplateSyntaxError) -> TemplateError:
    start, end, message, hint = explain(error.message or "", error.lineno, source.normal, source.pieces)
    return TemplateError(message, *source.place(start, end), hint)


def _pieces(source: Source) -> Iterator[Piece]:
    """The tokens with their offsets; a fault of the lexer is raised at the place it had come to."""
    at = 0
    brackets: list[int] = []
    raw = _LEXER.tokeniter(source.normal, None)
    while True:
        try:
            _, kind, value = next(raw)
        except StopIteration:
            return
        except TemplateSyntaxError as error:
            raise TemplateSyntaxError(error.message or "", at) from None
        at = _align(source.normal, at, value)
        piece = Piece(at, kind, value)
        at = piece.end
        if kind != "whitespace":
            source.add(piece)
            _check(source, piece, brackets)
        yield piece


def _align(text: str, at: int, value: str) -> int:
    """Where `value` stands at or after `at`: whitespace that `{%-` takes away is all that may lie between."""
    return text.index(value, at)


def _check(source: Source, piece: Piece, brackets: list[int]) -> None:
    if len(source.pieces) > MAX_TOKENS:
        raise TemplateError("the template has too many parts", 0, 2, "make files of it, or a list to loop over", CODE)
    if piece.kind == "operator":
        _match(source, piece, brackets)
    elif piece.kind == "string":
        _check_string(source, piece)
    elif piece.kind in ("integer", "float"):
        _check_literal(source, piece)
    elif piece.kind in _TAGS:
        brackets.clear()


def _match(source: Source, piece: Piece, brackets: list[int]) -> None:
    if piece.value in _OPEN:
        brackets.append(piece.offset)
        if len(brackets) > MAX_BRACKETS:
            place = source.place(piece.offset, piece.end)
            raise TemplateError("brackets are nested too deeply", *place, "take it apart with {% set %}", CODE)
    elif piece.value in _OPEN.values() and brackets:
        source.close(brackets.pop(), piece.end)


def _check_string(source: Source, piece: Piece) -> None:
    for escape in _ESCAPE.finditer(piece.value):
        if escape[0] == "\\":
            start = piece.offset + escape.start()
            place = source.place(start, start + 2)
            raise TemplateError("this backslash begins no known escape", *place, "a backslash itself is written \\\\")


def _check_literal(source: Source, piece: Piece) -> None:
    if len(piece.value) > 300 or not math.isfinite(float(ast.literal_eval(piece.value))):
        raise TemplateError("this number is too large", *source.place(piece.offset, piece.end), None, CODE)


def descend(found: Iterable[nodes.Node]) -> Iterator[tuple[int, nodes.Node]]:
    """The nodes and every node below them, with the depth, without recursion."""
    pending = [(1, node) for node in found]
    while pending:
        depth, node = pending.pop()
        yield depth, node
        pending += [(depth + 1, child) for child in node.iter_child_nodes()]
