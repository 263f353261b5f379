"""Values of variables: whether one fits its declaration, and how a ``--var`` or a vars file is read.

Owns the types of variables. Laying profiles over declarations is `profiles`' matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass
from typing import Any

from flowrun.diagnostics.model import Diagnostic, DiagnosticError, Note
from flowrun.diagnostics.span import Span
from flowrun.diagnostics.suggest import did_you_mean
from flowrun.manifest.declared import VarDecl
from flowrun.yaml_tree import Mapping, Scalar, Sequence, Tree, describe, from_plain, parse, plain
from flowrun.yaml_tree.core import resolve as resolve_scalar

FLAG = "--var"
_WORDS = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "list": "a list",
    "mapping": "a mapping",
    "media": "a path or address, as text",
}
_KINDS = {
    "text": "string",
    "an integer": "integer",
    "a number": "number",
    "a boolean": "boolean",
    "a list": "list",
    "a mapping": "mapping",
}


class WrongValueError(ValueError):
    """A value does not fit; `words` go on after the name of the variable."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


def accept(decl: VarDecl, tree: Tree) -> Any:
    """The plain value of `tree` for a variable. Raises WrongValueError."""
    value = _of_type(decl.type, tree)
    if decl.enum and value not in decl.enum:  # of one type, so that no boolean passes for a number
        raise WrongValueError(f"must be one of {', '.join(map(shown, decl.enum))}, and this is {shown(value)}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        _in_range(decl, value)
    return value


def _of_type(name: str | None, tree: Tree) -> Any:
    value = plain(tree)
    if name is None or name == _kind(tree) or (name == "media" and isinstance(value, str)):
        return value
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if name == "number" and number is not None:
        return number
    if name == "integer" and isinstance(number, float) and number.is_integer():
        return int(number)
    raise WrongValueError(f"must be {_WORDS[name]}, and this is {describe(tree)}")


def _in_range(decl: VarDecl, value: float) -> None:
    if decl.minimum is not None and not value >= decl.minimum:
        raise WrongValueError(f"must be {shown(decl.minimum)} or more, and this is {shown(value)}")
    if decl.maximum is not None and not value <= decl.maximum:
        raise WrongValueError(f"must be {shown(decl.maximum)} or less, and this is {shown(value)}")


def _kind(tree: Tree) -> str | None:
    return _KINDS.get(describe(tree))


def shown(value: object) -> str:
    """A value in a message: texts in backticks, numbers by value."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    whole = isinstance(value, float) and math.isfinite(value) and value.is_integer()
    return (
        f"{int(value):d}"
        if whole and isinstance(value, float)
        else f"`{value}`"
        if isinstance(value, str)
        else str(value)
    )


def declaration_problems(decl: VarDecl) -> Iterator[Diagnostic]:
    """What is wrong with a declaration in itself: its default, its choices, its range."""
    if decl.type not in (None, "integer", "number") and (decl.minimum is not None or decl.maximum is not None):
        hint = "take `minimum` and `maximum` out, or declare an integer or a number"
        yield Diagnostic("wrong-value", f"`{decl.name}` is of type {decl.type}, which has no range", decl.span, hint)
    if decl.minimum is not None and decl.maximum is not None and decl.minimum > decl.maximum:
        yield Diagnostic(
            "wrong-value", f"no value of `{decl.name}` lies between its minimum and maximum", decl.span, "swap them"
        )
    yield from _choice_problems(decl)
    if decl.default is not None:
        try:
            accept(decl, decl.default)
        except WrongValueError as wrong:
            hint = "change the default, or the declaration"
            yield Diagnostic("wrong-value", f"the default of `{decl.name}` {wrong.words}", decl.default.span, hint)


def _choice_problems(decl: VarDecl) -> Iterator[Diagnostic]:
    for choice in decl.enum:
        try:
            _of_type(decl.type, from_plain(choice, decl.span))
        except WrongValueError as wrong:
            yield Diagnostic(
                "wrong-value", f"a choice of `{decl.name}` {wrong.words}", decl.span, "change the choice or the type"
            )


# -- values from outside


@dataclass(frozen=True, slots=True)
class Told:
    """A value that came from a flag or a vars file, and where it stands."""

    decl: VarDecl
    value: Any
    span: Span


def from_flag(text: str, decls: AnyMapping[str, VarDecl]) -> Told:
    """Read one ``name=value``. Raises DiagnosticError."""
    name, equals, value = text.partition("=")
    span = Span(FLAG, 1, 1, 1, len(text) + 1)
    if not equals or not name:
        hint = "write `--var name=value`"
        raise DiagnosticError([Diagnostic("bad-var-flag", f"`{FLAG} {text}` is no name with a value", span, hint)])
    decl = _declared(name, span, decls, f"`{FLAG} {text}`: ")
    try:
        tree = _flag_tree(decl, value, Span(FLAG, 1, len(name) + 2, 1, len(text) + 1))
        return Told(decl, accept(decl, tree), span)
    except WrongValueError as wrong:
        raise DiagnosticError([_refused(decl, f"`{FLAG} {text}`", span, wrong)]) from None


def _flag_tree(decl: VarDecl, text: str, span: Span) -> Tree:
    """The value by its declared type, else its default's, else as text."""
    kind = decl.type or (_kind(decl.default) if decl.default else None) or "string"
    if kind in ("list", "mapping"):
        return _flag_flow(kind, text)
    value = resolve_scalar(text) if kind in ("integer", "number", "boolean") else text
    return Scalar(_of_type(kind, Scalar(value, span)), span, literal=True)


def _flag_flow(kind: str, text: str) -> Tree:
    example = {"list": "[a, b]", "mapping": "{a: 1}"}[kind]
    try:
        tree = parse(text, FLAG)
    except DiagnosticError as error:
        raise WrongValueError(
            f"must be {_WORDS[kind]} as YAML, like {example}: {error.diagnostics[0].message}"
        ) from None
    if not isinstance(tree, Sequence if kind == "list" else Mapping):
        raise WrongValueError(f"must be {_WORDS[kind]}, like {example}, and this is {describe(tree)}")
    return tree


def from_file(tree: Tree, decls: AnyMapping[str, VarDecl]) -> tuple[list[Told], list[Diagnostic]]:
    """Read a vars file's tree: a mapping of names to values."""
    told: list[Told] = []
    if not isinstance(tree, Mapping):
        hint = "write one `name: value` a line"
        message = f"a vars file must be a mapping, and this is {describe(tree)}"
        return told, [] if plain(tree) is None else [Diagnostic("wrong-kind", message, tree.span, hint)]
    problems: list[Diagnostic] = []
    for entry in tree.entries:
        try:
            decl = _declared(entry.name, entry.key.span, decls, "")
            told.append(Told(decl, accept(decl, entry.value), entry.value.span))
        except DiagnosticError as error:
            problems += error.diagnostics
        except WrongValueError as wrong:
            problems.append(_refused(decls[entry.name], f"`{entry.name}`", entry.value.span, wrong))
    return told, problems


def _declared(name: str, span: Span, decls: AnyMapping[str, VarDecl], lead: str) -> VarDecl:
    if name in decls:
        return decls[name]
    raise DiagnosticError([unknown_variable(name, span, decls, lead)])


def unknown_variable(name: str, span: Span, decls: AnyMapping[str, object], lead: str = "") -> Diagnostic:
    known = f"known: {', '.join(decls)}" if decls else "declare it under `vars`"
    return Diagnostic(
        "unknown-variable", f"{lead}the manifest has no variable `{name}`", span, did_you_mean(name, decls) or known
    )


def _refused(decl: VarDecl, lead: str, span: Span, wrong: WrongValueError) -> Diagnostic:
    notes = (Note(f"`{decl.name}` is declared here", decl.span),)
    return Diagnostic(
        "wrong-value", f"{lead}: `{decl.name}` {wrong.words}", span, "give a value that fits the declaration", notes
    )
