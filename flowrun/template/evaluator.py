"""The value of an expression in a scope. Owns evaluation; blocks and text around expressions are `blocks`.

It walks the syntax tree and never touches a Python attribute of a value, so there is nothing to break out of. What is
not defined travels as `Undefined` to the one place that may want it (`default`, `is defined`) and is an error at every
other. Refusals get their place here: the innermost expression that was refused, or the filter's name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from jinja2 import nodes

from flowrun.diagnostics.suggest import did_you_mean
from flowrun.template.analysis import unwind
from flowrun.template.errors import EvaluationError, RefusalError
from flowrun.template.library import FILTERS, FUNCTIONS, Library
from flowrun.template.limits import Budget, check_length
from flowrun.template.operators import combine, compare
from flowrun.template.syntax import Source
from flowrun.template.values import (
    Key,
    Namespace,
    Undefined,
    access,
    as_key,
    as_text,
    is_lookup,
    kind,
    no_secret,
    opaque,
    truth,
)

Result = TypeVar("Result")


@dataclass(eq=False, slots=True)
class Frame:
    """Names bound in the template; an inner frame sees the outer ones."""

    outer: Frame | None = None
    names: dict[str, object] = field(default_factory=dict)

    def holder(self, name: str) -> Frame | None:
        """The innermost frame that binds `name`."""
        frame: Frame | None = self
        while frame is not None and name not in frame.names:
            frame = frame.outer
        return frame


@dataclass(eq=False, slots=True)
class Macro:
    """A macro, or the body of a `call` block, with the frame it was written in."""

    node: nodes.Macro | nodes.CallBlock
    frame: Frame
    template_opaque = "a macro"


class Evaluator(ABC):
    """One evaluation of one template in one scope."""

    def __init__(self, source: Source, scope: Mapping[str, object]) -> None:
        self.source = source
        self.scope = scope
        self.budget = Budget()
        self.library = Library(self.budget)
        self.captured: list[object] = []  # texts of the filter blocks that are being filtered, innermost last

    @abstractmethod
    def invoke(self, macro: Macro, args: list[object], kwargs: dict[str, object]) -> object:
        """The text a macro makes."""

    def value(self, node: nodes.Node, frame: Frame) -> object:
        """What `node` comes to. Raises EvaluationError, Unresolved."""
        found = self.maybe(node, frame)
        if not isinstance(found, Undefined):
            return found
        hint = found.hint() if callable(found.hint) else found.hint
        raise EvaluationError(found.message, found.offset, found.length, "undefined-reference", hint)

    def maybe(self, node: nodes.Node, frame: Frame) -> object:
        """As `value`, with Undefined for what is not there."""
        try:
            self.budget.charge(1)
            found = _VISITS[type(node)](self, node, frame)
        except RefusalError as refusal:
            raise self.placed(refusal, node) from None
        if isinstance(found, Undefined) and found.offset < 0:
            return self._located(found, node)
        return found

    def key(self, node: nodes.Node) -> Key:
        """What a subscript comes to. Raises EvaluationError, Unresolved."""
        return self.at(node, as_key, self.value(node, Frame()))

    def text(self, node: nodes.Node, frame: Frame) -> str:
        """What `node` comes to, as text."""
        return self.at(node, as_text, self.value(node, frame))

    def at(self, node: nodes.Node, check: Callable[[Any], Result], found: object) -> Result:
        """`check` of what `node` came to; a refusal gets the place of `node`."""
        try:
            return check(found)
        except RefusalError as refusal:
            raise self.placed(refusal, node) from None

    def placed(self, refusal: RefusalError, node: nodes.Node) -> EvaluationError:
        """A refusal with the place of `node`."""
        offset, length = self._place(node)
        return EvaluationError(refusal.message, offset, length, refusal.code, refusal.hint)

    def _place(self, node: nodes.Node) -> tuple[int, int]:
        return self.source.token(node) if isinstance(node, nodes.Filter) else self.source.span(node)

    def _located(self, found: Undefined, node: nodes.Node) -> Undefined:
        offset, length = self._place(node)
        if not isinstance(node, nodes.Getattr | nodes.Getitem):
            return replace(found, offset=offset, length=length)
        spelled = " ".join(self.source.spelled(offset, length).split())
        message = f"`{spelled}` is not defined: {found.message}"
        method = isinstance(node, nodes.Getattr) and found.hint is None and node.attr in FILTERS
        hint = f"values have no methods; use a filter: `| {spelled.rpartition('.')[2]}`" if method else found.hint
        return Undefined(message, hint, offset, length)

    def name(self, node: nodes.Name, frame: Frame) -> object:
        holder = frame.holder(node.name)
        if holder is not None:
            return holder.names[node.name]
        if node.name in self.scope:
            return self.scope[node.name]
        return Undefined(f"`{node.name}` is not available here", partial(did_you_mean, node.name, self.scope))

    def part(self, node: nodes.Getattr | nodes.Getitem, frame: Frame) -> object:
        return self._step(self.maybe(node.node, frame), node, frame)

    def _step(self, base: object, node: nodes.Getattr | nodes.Getitem, frame: Frame) -> object:
        if isinstance(base, Undefined):
            return base
        if isinstance(node, nodes.Getattr):
            return access(base, node.attr)
        if isinstance(node.arg, nodes.Slice):
            return self._slice(base, node.arg, frame)
        return access(base, as_key(self.value(node.arg, frame)))

    def _slice(self, base: object, node: nodes.Slice, frame: Frame) -> object:
        no_secret(base)
        ends: list[Any] = [
            None if end is None else self.value(end, frame) for end in (node.start, node.stop, node.step)
        ]
        whole = all(end is None or (isinstance(end, int) and not isinstance(end, bool)) for end in ends)
        if not isinstance(base, str | list | tuple) or not whole or ends[2] == 0:
            raise RefusalError(
                "bad-operation", f"{kind(base)} cannot be cut like this", "use integers, and no step of 0"
            )
        cut: Any = base[slice(*ends)]
        return self.library.made(list(cut) if isinstance(cut, tuple) else cut)

    def call(self, node: nodes.Call, frame: Frame) -> object:
        args, kwargs = self.arguments(node, frame)
        name = called_name(node)
        if frame.holder(name) is None and name in FUNCTIONS:
            return self.library.call(name, tuple(args), kwargs)
        return self.invoke(self.called(name, frame), args, kwargs)

    def called(self, name: str, frame: Frame) -> Macro:
        """The macro of that name."""
        holder = frame.holder(name)
        found = holder.names[name] if holder else None
        if not isinstance(found, Macro):
            raise RefusalError("bad-operation", f"`{name}` cannot be called: there is no such macro here")
        return found

    def arguments(self, node: nodes.Call | nodes.Filter, frame: Frame) -> tuple[list[object], dict[str, object]]:
        """Values of the arguments, by position and by name."""
        args = [self.value(arg, frame) for arg in node.args]
        return args, {str(pair.key): self.value(pair.value, frame) for pair in node.kwargs}

    def filter(self, node: nodes.Filter, frame: Frame) -> object:
        if node.name in ("default", "d"):
            return self._default(node, frame)
        operand = self.captured[-1] if node.node is None else self.value(node.node, frame)
        args, kwargs = self.arguments(node, frame)
        return self.library.filter(node.name, operand, tuple(args), kwargs)

    def _default(self, node: nodes.Filter, frame: Frame) -> object:
        """The fallback is evaluated only where it is needed."""
        given = {str(pair.key): pair.value for pair in node.kwargs}
        names = ("default_value", "boolean")
        if len(node.args) + len(given) > 2 or not set(given) <= set(names[len(node.args) :]):
            raise RefusalError("bad-operation", "the filter `default` takes a value and, if wanted, `true`")
        given |= dict(zip(names, node.args, strict=False))
        found = self.captured[-1] if node.node is None else self.maybe(node.node, frame)
        no_secret(found)
        wanted = isinstance(found, Undefined)
        if not wanted and "boolean" in given:
            wanted = truth(self.value(given["boolean"], frame)) and not truth(found)
        if not wanted:
            return found
        return self.value(given["default_value"], frame) if "default_value" in given else ""

    def test(self, node: nodes.Test, frame: Frame) -> bool:
        if node.name in ("defined", "undefined"):
            return self._is_defined(node.node, frame) is (node.name == "defined")
        args = tuple(self.value(arg, frame) for arg in node.args)
        return self.library.test(node.name, self.value(node.node, frame), args)

    def _is_defined(self, node: nodes.Node, frame: Frame) -> bool:
        """Looks no further than the first object that is found by lookup and is no group; that one is there."""
        base, steps = unwind(node)
        found = self.maybe(base, frame)
        bound = isinstance(base, nodes.Name) and frame.holder(base.name) is not None
        for step in steps:
            if bound and is_lookup(found) and not getattr(found, "template_group", False):
                return True
            found = self._step(found, step, frame)
            bound = True
        no_secret(found)
        return not isinstance(found, Undefined)

    def arithmetic(self, node: nodes.BinExpr, frame: Frame) -> object:
        left, right = self.value(node.left, frame), self.value(node.right, frame)
        self.at(node.left, no_secret, left)
        self.at(node.right, no_secret, right)
        return self.library.made(combine(type(node), left, right))

    def sign(self, node: nodes.Neg | nodes.Pos, frame: Frame) -> object:
        found = self.value(node.node, frame)
        self.at(node.node, no_secret, found)
        if not isinstance(found, int | float):
            raise RefusalError("bad-operation", f"{kind(found)} has no sign")
        return -found if isinstance(node, nodes.Neg) else +found

    def both(self, node: nodes.And, frame: Frame) -> object:
        left = self.value(node.left, frame)
        return self.value(node.right, frame) if self.at(node.left, truth, left) else left

    def either(self, node: nodes.Or, frame: Frame) -> object:
        left = self.value(node.left, frame)
        return left if self.at(node.left, truth, left) else self.value(node.right, frame)

    def negation(self, node: nodes.Not, frame: Frame) -> bool:
        return not self.holds(node.node, frame)

    def holds(self, node: nodes.Node, frame: Frame) -> bool:
        """Whether `node` comes to what counts as true."""
        return self.at(node, truth, self.value(node, frame))

    def choice(self, node: nodes.CondExpr, frame: Frame) -> object:
        if self.holds(node.test, frame):
            return self.maybe(node.expr1, frame)
        if node.expr2 is None:
            return Undefined("this has no value: its condition is false", "add an `else`")
        return self.maybe(node.expr2, frame)

    def comparison(self, node: nodes.Compare, frame: Frame) -> bool:
        left = self._compared(node.expr, frame)
        for operand in node.ops:
            right = self._compared(operand.expr, frame)
            if not compare(operand.op, left, right):
                return False
            left = right
        return True

    def _compared(self, node: nodes.Expr, frame: Frame) -> object:
        found = self.value(node, frame)
        self.at(node, partial(self.budget.weigh, visit=no_secret), found)
        return found

    def joined(self, node: nodes.Concat, frame: Frame) -> object:
        texts = [self.text(part, frame) for part in node.nodes]
        check_length(sum(map(len, texts)))
        return self.library.made("".join(texts))

    def constant(self, node: nodes.Const, _: Frame) -> object:
        return node.value

    def listing(self, node: nodes.List | nodes.Tuple, frame: Frame) -> list[object]:
        made = [self.value(item, frame) for item in node.items]
        self.budget.weigh(made, visit=no_internal)
        return made

    def mapping(self, node: nodes.Dict, frame: Frame) -> dict[str, object]:
        made: dict[str, object] = {}
        for pair in node.items:
            key = self.value(pair.key, frame)
            if not isinstance(key, str):
                raise RefusalError("bad-operation", f"{kind(key)} cannot be a key of a mapping", "keys are texts")
            made[key] = self.value(pair.value, frame)
        self.budget.weigh(made, visit=no_internal)
        return made


def called_name(node: nodes.Call) -> str:
    """What is called; `analysis` lets only names be called."""
    return node.node.name if isinstance(node.node, nodes.Name) else ""


def no_internal(value: object) -> None:
    """Raises RefusalError for what has a meaning only inside the template."""
    if isinstance(value, Macro | Namespace):
        raise RefusalError(
            "bad-operation", f"{opaque(value)} is no value", "call the macro, or name a field of the namespace"
        )


_VISITS: dict[type[nodes.Node], Callable[[Any, Any, Frame], object]] = {
    nodes.Name: Evaluator.name,
    nodes.Getattr: Evaluator.part,
    nodes.Getitem: Evaluator.part,
    nodes.Call: Evaluator.call,
    nodes.Filter: Evaluator.filter,
    nodes.Test: Evaluator.test,
    nodes.And: Evaluator.both,
    nodes.Or: Evaluator.either,
    nodes.Not: Evaluator.negation,
    nodes.CondExpr: Evaluator.choice,
    nodes.Compare: Evaluator.comparison,
    nodes.Concat: Evaluator.joined,
    nodes.Const: Evaluator.constant,
    nodes.List: Evaluator.listing,
    nodes.Tuple: Evaluator.listing,
    nodes.Dict: Evaluator.mapping,
    nodes.Neg: Evaluator.sign,
    nodes.Pos: Evaluator.sign,
    **dict.fromkeys(
        (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow), Evaluator.arithmetic
    ),
}
