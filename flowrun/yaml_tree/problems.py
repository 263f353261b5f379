"""What the YAML scanner trips over, in our words. Owns the table from its complaints to messages and hints."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

from flowrun.diagnostics.model import Diagnostic, Note
from flowrun.yaml_tree.characters import Lines

_BARE_TEMPLATE = re.compile(r"(?:^|[:\-,\[]\s+)(\{\{)", re.MULTILINE)
QUOTE_TEMPLATE = 'put the value in quotes: "{{ … }}"; a bare brace begins a mapping in YAML'


@dataclass(frozen=True, slots=True)
class _Case:
    code: str
    message: str
    hint: str
    at_context: bool = False  # point to where the broken thing began


_CASES = {
    "mapping values are not allowed": _Case(
        "yaml-syntax",
        "a second `:` makes no sense here",
        "put a text that holds `: ` in quotes; if this line is a key of its own, indent it like its neighbours",
    ),
    "did not find expected key": _Case(
        "yaml-syntax",
        "this does not fit the mapping around it",
        "indent it like the keys beside it; where text follows a closing quote or brace, quote all of it",
    ),
    "did not find expected '-' indicator": _Case(
        "yaml-syntax", "this does not fit the list around it", "begin each item with `- `, all at one indentation"
    ),
    "did not find expected ',' or ']'": _Case(
        "yaml-syntax",
        "the list opened here is not closed properly",
        "separate its items by `,` and close it with `]`",
        True,
    ),
    "did not find expected ',' or '}'": _Case(
        "yaml-syntax",
        "the mapping opened here is not closed properly",
        "separate its entries by `,` and close it with `}`",
        True,
    ),
    "found unexpected end of stream": _Case("yaml-syntax", "the quote opened here is never closed", "close it", True),
    "found unexpected document indicator": _Case(
        "yaml-syntax", "the quote opened here runs into a `---` or `...` line", "close it", True
    ),
    "could not find expected ':'": _Case(
        "yaml-syntax", "this line is no `key: value`", "write a `:` and a space after the key, or indent the line"
    ),
    "found unknown escape character": _Case(
        "yaml-syntax",
        "in double quotes a backslash begins an escape, and this is none",
        "write `\\\\` for a backslash, or use single quotes",
    ),
    "hexdecimal number": _Case(
        "yaml-syntax", "this escape has too few hexadecimal digits", "write \\xNN, \\uNNNN or \\UNNNNNNNN"
    ),
    "invalid Unicode character": _Case(
        "yaml-syntax", "this escape names no character", "write a code point above U+FFFF as \\UNNNNNNNN"
    ),
    "block sequence entries are not allowed": _Case(
        "yaml-syntax", "a list cannot begin here", "put the first `- ` on a line of its own, indented"
    ),
    "found a tab character": _Case("tab-indent", "a tab cannot indent in YAML", "indent with spaces"),
    "did not find expected node content": _Case(
        "yaml-syntax", "a value was expected here", "take the stray character out, or quote it"
    ),
    "did not find expected <document start>": _Case(
        "yaml-syntax",
        "the document has ended before this",
        "begin all top-level keys in one column; take out what follows a closing brace or quote",
    ),
    "indentation indicator": _Case(
        "yaml-syntax", "this is no indentation indicator", "write 1 to 9 after `|` or `>`, or nothing"
    ),
    "did not find expected comment or line break": _Case(
        "yaml-syntax", "nothing but a comment may follow here", "begin the text on the next line"
    ),
    "alphabetic or numeric": _Case(
        "yaml-syntax", "an anchor or alias needs a name", "quote the value, if it begins with `&` or `*`"
    ),
    "tag handle": _Case("unknown-tag", "this tag is not known", "quote the value, if it begins with `!`"),
    "while scanning a tag": _Case("unknown-tag", "this is no tag", "quote the value, if it begins with `!`"),
    "incompatible YAML document": _Case("yaml-syntax", "this is not YAML 1", "take the `%YAML` line out"),
    "directive": _Case(
        "yaml-syntax", "a `%` at the beginning of a line is a directive, and this one is unknown", "take the line out"
    ),
}
_OTHER = _Case("yaml-syntax", "this is not YAML", "compare the line with its neighbours: indentation, quotes, colons")
_TAB = _Case("tab-indent", "a tab cannot indent in YAML", "indent with spaces")


def of_scanner(error: yaml.MarkedYAMLError, text: str, lines: Lines) -> Diagnostic:
    """The diagnostic for a scanner's or parser's complaint about `text`."""
    at = _offset(error.problem_mark, text)
    begin = _offset(error.context_mark, text) if error.context_mark else at
    case = _case(error, text[at : at + 1])
    start = begin if case.at_context else at
    notes = (Note("it was noticed here", lines.span(at, at)),) if case.at_context and at != begin else ()
    span = lines.span(start, min(start + 1, len(text)))
    return Diagnostic(case.code, case.message, span, _template_hint(text, begin, at) or case.hint, notes)


def _offset(mark: object, text: str) -> int:
    return min(int(getattr(mark, "index", 0)), len(text))


def _case(error: yaml.MarkedYAMLError, character: str) -> _Case:
    problem = f"{error.problem or ''}; {error.context or ''}"
    if "cannot start any token" in problem:
        return _TAB if character == "\t" else _reserved(character)
    return next((case for words, case in _CASES.items() if words in problem), _OTHER)


def _reserved(character: str) -> _Case:
    return _Case("yaml-syntax", f"no unquoted value begins with `{character}` in YAML", "put the value in quotes")


def _template_hint(text: str, begin: int, at: int) -> str | None:
    """The commonest cause of all: a template without quotes somewhere on the lines concerned."""
    for place in {begin, at}:
        start = max(text.rfind("\n", 0, place), text.rfind("\r", 0, place)) + 1
        line = text[start : at + 1] if start <= at else ""
        if _BARE_TEMPLATE.search(line):
            return QUOTE_TEMPLATE
    return None
