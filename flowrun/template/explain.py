"""The parser's complaint in our words, at the place to change. Owns the wording; `syntax` knows where tokens are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from flowrun.diagnostics.suggest import did_you_mean

Fault = tuple[int, int, str, str | None]  # start, end, message, hint

_CLOSERS = {"variable_begin": "}}", "block_begin": "%}", "comment_begin": "#}", "raw_begin": "{% endraw %}"}
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_BLOCKS = ("if", "for", "set", "with", "macro", "call", "filter")
_INSIDE = {"else": "if", "elif": "if"}
_UNKNOWN_TAG = re.compile(r"Encountered unknown tag '(\w+)'")
_ENDS = re.compile(r"end of (print statement|statement block)")


class Token(Protocol):
    """As in `syntax.Piece`."""

    @property
    def offset(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def end(self) -> int: ...


def explain(message: str, offset: int, text: str, pieces: Sequence[Token]) -> Fault:
    """Where the fault lies, what it is, what to do."""
    unclosed = _unclosed_tag(text, pieces)
    if unclosed is not None:
        return unclosed
    tag = _UNKNOWN_TAG.match(message)
    if tag:
        return _unknown_tag(tag[1], offset, pieces)
    if message.startswith("Unexpected end of template"):
        return _open_block(pieces)
    here = next((piece for piece in pieces if piece.offset == offset), None)
    if here is None:
        return _stray(offset, text, pieces)
    return _misplaced(message, here)


def _unclosed_tag(text: str, pieces: Sequence[Token]) -> Fault | None:
    """The last opening without its end, if the text has none before the next opening."""
    opened = next((piece for piece in reversed(pieces) if piece.kind in _CLOSERS), None)
    if opened is None:
        return None
    raw = opened.kind == "raw_begin"
    closed = re.compile(r"\{%[-+]?\s*endraw\b" if raw else re.escape(_CLOSERS[opened.kind])).search(text, opened.end)
    following = None if raw or opened.kind == "comment_begin" else re.compile(r"\{\{|\{%").search(text, opened.end)
    if closed and not (following and following.start() < closed.start()):
        return None
    spelled = "{% raw %}" if raw else opened.value.rstrip("-+")
    end = opened.end if raw else opened.offset + 2
    return opened.offset, end, f"this `{spelled}` is never closed", f"close it with `{_CLOSERS[opened.kind]}`"


def _open_stack(pieces: Sequence[Token]) -> list[tuple[Token, Token]]:
    """The `{%` and the word of each block that is open at the end."""
    stack: list[tuple[Token, Token]] = []
    for place, (first, word) in enumerate(pairwise(pieces)):
        if first.kind != "block_begin" or word.kind != "name":
            continue
        if word.value.startswith("end") and stack:
            stack.pop()
        elif word.value in _BLOCKS and not (word.value == "set" and _assigns(pieces, place + 1)):
            stack.append((first, word))
    return stack


def _assigns(pieces: Sequence[Token], place: int) -> bool:
    """Whether the `{% set %}` whose word stands at `place` has its value in the tag, and so needs no end."""
    while place < len(pieces) and pieces[place].kind != "block_end":
        if pieces[place].value == "=":
            return True
        place += 1
    return False


def _open_block(pieces: Sequence[Token]) -> Fault:
    first, word = _open_stack(pieces)[-1]
    return (
        first.offset,
        word.end,
        f"this `{word.value}` block is never closed",
        f"close it with {{% end{word.value} %}}",
    )


def _unknown_tag(name: str, offset: int, pieces: Sequence[Token]) -> Fault:
    at = offset, offset + len(name)
    if not name.startswith("end") and name not in _INSIDE:
        return *at, f"there is no tag `{name}`", did_you_mean(name, (*_BLOCKS, "raw"))
    stack = _open_stack([piece for piece in pieces if piece.offset < offset - 1][:-1])
    if not stack:
        wanted = _INSIDE.get(name, name.removeprefix("end"))
        return *at, f"this `{name}` belongs to no open `{wanted}`", None
    word = stack[-1][1].value
    return *at, f"`{name}` cannot stand here: a `{word}` block is open", f"close it first, with {{% end{word} %}}"


def _open_bracket(pieces: Sequence[Token]) -> Token | None:
    """The innermost bracket of the last tag that is open at its end."""
    stack: list[Token] = []
    for piece in pieces:
        if piece.kind in _CLOSERS:
            stack.clear()
        elif piece.kind == "operator" and piece.value in _BRACKETS:
            stack.append(piece)
        elif piece.kind == "operator" and piece.value in _BRACKETS.values() and stack:
            stack.pop()
    return stack[-1] if stack else None


def _stray(offset: int, text: str, pieces: Sequence[Token]) -> Fault:
    """A character the lexer could not take."""
    char = text[offset : offset + 1]
    if char in ("'", '"'):
        return offset, offset + 1, "this text is never closed", f"close it with {char}"
    if char in (")", "]", "}"):
        opened = _open_bracket(pieces)
        if opened is None:
            return offset, offset + 1, f"this `{char}` closes nothing", None
        wanted = _BRACKETS[opened.value]
        return opened.offset, opened.end, f"this `{opened.value}` is never closed", f"close it with `{wanted}`"
    hint = {"&": "write `and`", "!": "write `not`", "=": "compare with `==`"}.get(char)
    return offset, offset + 1, f"`{char}` means nothing in an expression", hint


def _misplaced(message: str, here: Token) -> Fault:
    at = here.offset, here.end
    if here.kind in ("variable_end", "block_end"):
        return *at, "the expression is missing or not complete", None
    if _ENDS.search(message):
        hint = "join texts with `~`, apply a filter with `|`, compare with `==`"
        return *at, f"the expression has ended before `{here.value}`", hint
    if message.startswith("can't assign"):
        return *at, f"`{here.value}` cannot be given a value", None
    return *at, f"`{here.value}` cannot stand here", None
