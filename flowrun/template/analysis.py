"""What can be said of a template without a scope. Owns the walk that finds references, unknown names and what is not allowed.

The walk follows jinja2's scoping: a loop, `with`, `macro`, `call` and `filter` block is a scope of its own, an `if` is
none. Only the node types named here exist: the rest of the language (`include`, `import`, `extends`, `block`, method
calls, spread arguments) is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial

from jinja2 import nodes

from flowrun.diagnostics.suggest import did_you_mean
from flowrun.template.errors import TemplateError
from flowrun.template.library import FILTERS, FUNCTIONS
from flowrun.template.limits import CODE, MAX_DEPTH
from flowrun.template.predicates import TESTS
from flowrun.template.references import ROOTS, Chain, Dynamic, Guard, Reference, chain_of, covers
from flowrun.template.syntax import Source, descend
from flowrun.template.values import Key

Facts = frozenset[Chain]  # targets whose `is defined` has been answered with yes
Subscript = Callable[[nodes.Expr, Mapping[str, object]], Key]  # a dynamic subscript's value in a scope
UnknownName = tuple[str, int, int]

_NOTHING: Facts = frozenset()
_OPERATORS = (nodes.BinExpr, nodes.UnaryExpr, nodes.Compare, nodes.Operand, nodes.Concat, nodes.CondExpr)
_VALUES = (nodes.Literal, nodes.Pair, nodes.Keyword, nodes.Name, nodes.NSRef, nodes.Getattr, nodes.Getitem, nodes.Slice)
_BLOCKS = (nodes.If, nodes.For, nodes.With, nodes.Macro, nodes.CallBlock, nodes.FilterBlock)
_SETS = (nodes.Assign, nodes.AssignBlock)
_ALLOWED = (*_OPERATORS, *_VALUES, *_BLOCKS, *_SETS, nodes.Output, nodes.Call, nodes.Filter, nodes.Test)


@dataclass(frozen=True, slots=True)
class Findings:
    """References and unknown names (name, offset, length), each in source order."""

    references: tuple[Reference, ...]
    unknown_names: tuple[UnknownName, ...]


def analyse(tree: nodes.Template, source: Source, subscript: Subscript) -> Findings:
    """Walk the tree. Raises TemplateError for what the language lacks."""
    for depth, node in descend(tree.body):
        _allow(depth, node, source)
    walk = _Walk(source, subscript)
    walk.body(tree.body, _Place(set(), _NOTHING))
    return Findings(
        tuple(sorted(walk.references, key=lambda found: (found.offset, -found.length))),
        tuple(sorted(walk.unknown, key=lambda found: found[1])),
    )


def _allow(depth: int, node: nodes.Node, source: Source) -> None:
    if depth > MAX_DEPTH:
        where = source.token(node) if source.knows(node) else (0, 2)
        raise TemplateError("this is nested too deeply", *where, "take it apart with {% set %}", CODE)
    if not _is_allowed(type(node)):
        known = next(part for _, part in descend([node]) if source.knows(part))
        where = source.token(known)
        raise TemplateError(f"`{source.spelled(*where)}` is not available in a template", *where)
    if isinstance(node, nodes.For) and node.recursive:
        raise TemplateError("a loop cannot be recursive", *source.token(node))
    if isinstance(node, nodes.Call | nodes.Filter | nodes.Test) and (node.dyn_args or node.dyn_kwargs):
        raise TemplateError("arguments cannot be spread with `*` or `**`", *source.token(node), "write them one by one")
    if isinstance(node, nodes.Filter):
        _known("filter", node.name, FILTERS, node, source)
    if isinstance(node, nodes.Test) and node.kwargs:
        raise TemplateError("a test takes no named arguments", *source.token(node))
    if isinstance(node, nodes.Test):
        _known("test", node.name, TESTS, node, source)
    if isinstance(node, nodes.Call) and not isinstance(node.node, nodes.Name):
        hint = "values have no methods; use a filter: `value | upper`"
        raise TemplateError("only functions and macros can be called", *source.span(node.node), hint)


@cache
def _is_allowed(kind: type[nodes.Node]) -> bool:
    return issubclass(kind, _ALLOWED)


def _known(what: str, name: str, table: Iterable[str], node: nodes.Node, source: Source) -> None:
    if name not in table:
        # a dotted name is spelled in several tokens, and a test's own token is its `is`
        where = source.after(node, name.partition(".")[0])
        raise TemplateError(f"there is no {what} `{name}`", *where, did_you_mean(name, table), "unknown-filter")


def unwind(node: nodes.Node) -> tuple[nodes.Node, list[nodes.Getattr | nodes.Getitem]]:
    """The innermost value of a chain and its steps in reading order; a slice ends a chain."""
    steps: list[nodes.Getattr | nodes.Getitem] = []
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
            break
        steps.append(node)
        node = node.node
    return node, steps[::-1]


def constant_key(node: nodes.Expr) -> Key | None:
    """A subscript that is written out: a text, an integer, a negative integer."""
    if isinstance(node, nodes.Neg) and isinstance(node.node, nodes.Const):
        value = node.node.value
        return -value if isinstance(value, int) and not isinstance(value, bool) else None
    if isinstance(node, nodes.Const) and isinstance(node.value, str | int) and not isinstance(node.value, bool):
        return node.value
    return None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the walk stands: names bound here, and what is known to be defined."""

    names: set[str]
    facts: Facts

    def inner(self, *names: str) -> _Place:
        return _Place(self.names | set(names), self.facts)

    def knowing(self, facts: Facts) -> _Place:
        return _Place(self.names, self.facts | facts)


@dataclass(slots=True)
class _Walk:
    source: Source
    subscript: Subscript
    references: list[Reference] = field(default_factory=list)
    unknown: list[UnknownName] = field(default_factory=list)

    def body(self, found: Sequence[nodes.Node], at: _Place) -> None:
        for node in found:
            self.visit(node, at)

    def visit(self, node: nodes.Node, at: _Place) -> None:
        step = _VISITS.get(type(node))
        if step is not None:
            step(self, node, at)
        else:
            self.body(list(node.iter_child_nodes()), at)

    def chain(self, node: nodes.Node, at: _Place, guard: Guard = Guard.NONE) -> None:
        """A name with the dots and subscripts after it."""
        base, steps = unwind(node)
        if isinstance(base, nodes.Name) and base.name in ROOTS and base.name not in at.names:
            keys = tuple(self._step(step, at) for step in steps)
            self.references.append(
                Reference(
                    base.name, keys, *self.source.chain(base, node), self._guard(guard, chain_of(base.name, keys), at)
                )
            )
        elif isinstance(base, nodes.Name):
            self._name(base, at)
        else:
            self.body(list(base.iter_child_nodes()) if base is node else [base], at)
        self.body([step.arg for step in steps if isinstance(step, nodes.Getitem)], at)

    def _step(self, step: nodes.Getattr | nodes.Getitem, at: _Place) -> str | int | Dynamic:
        if isinstance(step, nodes.Getattr):
            return step.attr
        key = constant_key(step.arg)
        if key is not None:
            return key
        offset, length = self.source.span(step.arg)
        names = [*step.arg.find_all(nodes.Name), step.arg]
        local = any(isinstance(name, nodes.Name) and name.name in at.names for name in names)
        text = self.source.spelled(offset, length)
        return Dynamic(text, offset, length, local, partial(self.subscript, step.arg))

    def _guard(self, guard: Guard, chain: Chain, at: _Place) -> Guard:
        if guard is Guard.NONE and any(covers(tested, chain) for tested in at.facts):
            return Guard.DEFAULT
        return guard

    def _name(self, node: nodes.Name, at: _Place) -> None:
        if node.name not in at.names and node.name not in FUNCTIONS:
            self.unknown.append((node.name, *self.source.token(node)))

    def call(self, node: nodes.Call, at: _Place) -> None:
        name = node.node.name if isinstance(node.node, nodes.Name) else ""
        if name not in at.names and name not in FUNCTIONS:
            hint = did_you_mean(name, (*FUNCTIONS, *at.names))
            where = self.source.token(node.node)
            raise TemplateError(f"there is no function `{name}`", *where, hint, "unknown-filter")
        self.body([*node.args, *node.kwargs], at)

    def filter(self, node: nodes.Filter, at: _Place) -> None:
        if node.node is not None:
            self._operand(node.node, at, Guard.DEFAULT if node.name in ("default", "d") else Guard.NONE)
        self.body([*node.args, *node.kwargs], at)

    def test(self, node: nodes.Test, at: _Place) -> None:
        self._operand(node.node, at, Guard.DEFINED if node.name in ("defined", "undefined") else Guard.NONE)
        self.body([*node.args, *node.kwargs], at)

    def _operand(self, node: nodes.Expr, at: _Place, guard: Guard) -> None:
        if isinstance(node, nodes.Name | nodes.Getattr | nodes.Getitem):
            self.chain(node, at, guard)
        else:
            self.visit(node, at)

    def both(self, node: nodes.And, at: _Place) -> None:
        self.visit(node.left, at)
        self.visit(node.right, at.knowing(self.facts(node.left, True, at)))

    def either(self, node: nodes.Or, at: _Place) -> None:
        self.visit(node.left, at)
        self.visit(node.right, at.knowing(self.facts(node.left, False, at)))

    def choice(self, node: nodes.CondExpr, at: _Place) -> None:
        self.visit(node.test, at)
        self.visit(node.expr1, at.knowing(self.facts(node.test, True, at)))
        if node.expr2 is not None:
            self.visit(node.expr2, at.knowing(self.facts(node.test, False, at)))

    def branches(self, node: nodes.If, at: _Place) -> None:
        for branch in (node, *node.elif_):
            self.visit(branch.test, at)
            self.body(branch.body, at.knowing(self.facts(branch.test, True, at)))
            at = at.knowing(self.facts(branch.test, False, at))
        self.body(node.else_, at)

    def loop(self, node: nodes.For, at: _Place) -> None:
        self.visit(node.iter, at)
        inner = at.inner(*_targets(node.target))
        if node.test is not None:
            self.visit(node.test, inner)
            inner = inner.knowing(self.facts(node.test, True, inner))
        self.body(node.body, inner.inner("loop"))
        self.body(node.else_, at.inner())

    def assign(self, node: nodes.Assign, at: _Place) -> None:
        self.visit(node.node, at)
        self._bind(node.target, at)

    def assign_block(self, node: nodes.AssignBlock, at: _Place) -> None:
        self.body(node.body, at.inner())
        if node.filter is not None:
            self.visit(node.filter, at)
        self._bind(node.target, at)

    def _bind(self, target: nodes.Expr, at: _Place) -> None:
        if isinstance(target, nodes.NSRef) and target.name not in at.names:
            self.unknown.append((target.name, *self.source.token(target)))
        at.names.update(_targets(target))

    def scoped(self, node: nodes.With, at: _Place) -> None:
        self.body(node.values, at)
        self.body(node.body, at.inner(*(name for target in node.targets for name in _targets(target))))

    def filtered(self, node: nodes.FilterBlock, at: _Place) -> None:
        self.visit(node.filter, at)
        self.body(node.body, at.inner())

    def macro(self, node: nodes.Macro, at: _Place) -> None:
        at.names.add(node.name)
        # what is known where a macro is written need not hold where it is called
        self._callable(node, _Place(at.names, _NOTHING))

    def call_block(self, node: nodes.CallBlock, at: _Place) -> None:
        self.call(node.call, at)
        self._callable(node, at)

    def _callable(self, node: nodes.Macro | nodes.CallBlock, at: _Place) -> None:
        self.body(node.defaults, at)
        self.body(node.body, at.inner("caller", *(arg.name for arg in node.args)))

    def facts(self, node: nodes.Node, outcome: bool, at: _Place) -> Facts:
        """The targets that are certainly defined when `node` comes out as `outcome`."""
        if isinstance(node, nodes.Not):
            return self.facts(node.node, not outcome, at)
        if isinstance(node, nodes.And | nodes.Or):
            left, right = self.facts(node.left, outcome, at), self.facts(node.right, outcome, at)
            return left | right if isinstance(node, nodes.And) is outcome else left & right
        if isinstance(node, nodes.Test) and node.name == ("defined" if outcome else "undefined"):
            base, steps = unwind(node.node)
            if isinstance(base, nodes.Name) and base.name in ROOTS and base.name not in at.names:
                return frozenset([chain_of(base.name, tuple(self._step(step, at) for step in steps))])
        return _NOTHING


def _targets(target: nodes.Node) -> list[str]:
    """The names a loop, `set` or `with` binds."""
    names = [target, *target.find_all(nodes.Name)]
    return [name.name for name in names if isinstance(name, nodes.Name)]


_VISITS: dict[type[nodes.Node], Callable[..., None]] = {
    nodes.Name: _Walk.chain,
    nodes.Getattr: _Walk.chain,
    nodes.Getitem: _Walk.chain,
    nodes.Call: _Walk.call,
    nodes.Filter: _Walk.filter,
    nodes.Test: _Walk.test,
    nodes.And: _Walk.both,
    nodes.Or: _Walk.either,
    nodes.CondExpr: _Walk.choice,
    nodes.If: _Walk.branches,
    nodes.For: _Walk.loop,
    nodes.Assign: _Walk.assign,
    nodes.AssignBlock: _Walk.assign_block,
    nodes.With: _Walk.scoped,
    nodes.FilterBlock: _Walk.filtered,
    nodes.Macro: _Walk.macro,
    nodes.CallBlock: _Walk.call_block,
}
