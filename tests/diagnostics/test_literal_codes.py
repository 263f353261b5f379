"""Every code that the sources spell out is in the registry, so that `flowrun explain` knows whatever a person may see."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import flowrun
from flowrun.diagnostics.codes import registry

ROOT = Path(flowrun.__file__).parent
KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
# constructors of mistakes, and the position of the code among their arguments
CODE_AT = {
    "Diagnostic": 0,
    "InputError": 0,
    "BadReference": 0,
    "RefusalError": 0,
    "Problem": 1,
    "EvaluationError": 3,
    "TemplateError": 4,
}


def literals(node: ast.expr) -> Iterator[str]:
    """The texts an argument may be: itself, or either side of a choice."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body)
        yield from literals(node.orelse)


ANSWERS = {"Diagnostic": 0}  # the sandbox's own refusals are the API's wording, not codes


def codes_in(tree: ast.AST, makers: dict[str, int]) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name in makers:
            at = makers[name]
            given = [node.args[at]] if len(node.args) > at else []
            given += [each.value for each in node.keywords if each.arg == "code"]
            for each in given:
                yield from literals(each)


def spelled() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        file = path.relative_to(ROOT)
        makers = ANSWERS if file.parts[0] == "sandbox" else CODE_AT
        for code in codes_in(ast.parse(path.read_text(encoding="utf-8")), makers):
            found.setdefault(code, []).append(str(file))
    return found


def test_every_code_in_the_sources_is_registered() -> None:
    found = spelled()
    assert len(found) > 60, "the search has lost its way"
    assert {code: files for code, files in found.items() if code not in registry()} == {}


def test_every_code_in_the_sources_is_kebab_case() -> None:
    assert [code for code in spelled() if not KEBAB.fullmatch(code)] == []


def test_the_search_sees_choices_and_keywords() -> None:
    text = 'Diagnostic("a" if x else "b", m); errors.InputError("c", m); Problem((), "d", m); TemplateError(m, 0, 1, code="e")'
    assert list(codes_in(ast.parse(text), CODE_AT)) == ["a", "b", "c", "d", "e"]
