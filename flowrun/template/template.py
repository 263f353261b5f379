"""One template: parsed once, then asked what it refers to and what it comes to. Owns the joining of the parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from jinja2 import nodes

from flowrun.template.analysis import Findings, UnknownName, analyse
from flowrun.template.blocks import Runner
from flowrun.template.errors import EvaluationError
from flowrun.template.evaluator import Frame
from flowrun.template.limits import CODE
from flowrun.template.references import Reference
from flowrun.template.syntax import Source, read
from flowrun.template.values import Key

_CACHED = 4096  # parsed templates kept


@dataclass(frozen=True, slots=True)
class Template:
    """An immutable parsed text; any number of threads may evaluate it.

    `is_literal`: it has no template syntax, and its value is the text unchanged. `is_lone`: it is one `{{ expression }}`
    with nothing but whitespace around, and its value keeps its type. `references` and `unknown_names` (name, offset,
    length) come in source order; a reference is as in `Reference`.
    """

    text: str
    is_literal: bool = True
    is_lone: bool = False
    references: tuple[Reference, ...] = ()
    unknown_names: tuple[UnknownName, ...] = ()
    _source: Source | None = field(default=None, repr=False, compare=False)
    _body: tuple[nodes.Node, ...] = field(default=(), repr=False, compare=False)

    def evaluate(self, scope: Mapping[str, object]) -> object:
        """The value in `scope`, a mapping from root names to values, mappings and `Lookup`s.

        A lone expression gives its value as it is (an EnvValue and an artifact too); anything else gives text, or
        SecretText where a secret was put out. Nothing in a value is rendered again. Raises EvaluationError, Unresolved.
        """
        if self._source is None:
            return self.text
        runner = Runner(self._source, scope)
        try:
            return runner.whole(self._body[0]) if self.is_lone else runner.render(self._body, Frame())
        except RecursionError:
            raise EvaluationError("this is nested too deeply to be evaluated", 0, 2, CODE) from None


@lru_cache(_CACHED)
def parse(text: str) -> Template:
    """The template in `text`. Raises TemplateError with offset and length in code points of `text`."""
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return Template(text)
    tree, source = read(text)

    def subscript(node: nodes.Expr, scope: Mapping[str, object]) -> Key:
        return Runner(source, scope).key(node)

    findings = analyse(tree, source, subscript)
    return _template(tree, source, findings)


def _template(tree: nodes.Template, source: Source, findings: Findings) -> Template:
    lone = _lone(tree.body)
    body = tuple(tree.body) if lone is None else (lone,)
    return Template(source.text, False, lone is not None, findings.references, findings.unknown_names, source, body)


def _lone(body: list[nodes.Node]) -> nodes.Node | None:
    """The expression, if it is all there is."""
    if not all(isinstance(node, nodes.Output) for node in body):
        return None
    parts = [part for node in body if isinstance(node, nodes.Output) for part in node.nodes]
    found = [part for part in parts if not (isinstance(part, nodes.TemplateData) and not part.data.strip())]
    return found[0] if len(found) == 1 and not isinstance(found[0], nodes.TemplateData) else None
