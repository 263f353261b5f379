"""The registry knows which codes may be warnings, since those alone can be ignored."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import flowrun
from flowrun.diagnostics.codes import registry
from tests.diagnostics.test_literal_codes import CODE_AT, literals

ROOT = Path(flowrun.__file__).parent


def warned(tree: ast.AST) -> Iterator[str]:
    """Codes of the calls in which ``Severity.WARNING`` is spelled out."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        given = [*node.args, *(each.value for each in node.keywords)]
        if not any(isinstance(each, ast.Attribute) and each.attr == "WARNING" for each in given):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name in CODE_AT and len(node.args) > CODE_AT[name]:
            yield from literals(node.args[CODE_AT[name]])


def test_the_codes_of_warnings_are_marked_and_no_others() -> None:
    spelled = {code for path in ROOT.rglob("*.py") for code in warned(ast.parse(path.read_text(encoding="utf-8")))}
    assert len(spelled) > 8, "the search has lost its way"
    assert spelled == {name for name, code in registry().items() if code.warns}
