"""From declared nodes to compiled ones: operations looked up, templates parsed, references listed. One pass, all its
mistakes at once. Owns no expansion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flowrun.diagnostics.model import Diagnostic
from flowrun.diagnostics.span import Span
from flowrun.diagnostics.suggest import suggest
from flowrun.graph.address import parse
from flowrun.graph.model import CompiledNode, Place
from flowrun.graph.values import Literal, MapValue, Value, compile_value, expressions
from flowrun.manifest.declared import Flow, NodeDecl
from flowrun.operations.catalogue import Catalogue
from flowrun.template import Guard
from flowrun.yaml_tree.tree import Mapping as TreeMapping
from flowrun.yaml_tree.tree import Tree

_KEYS_OF_ROOT = {  # which scope roots each key of a node may name
    "with": {"vars", "assets", "nodes", "each", "flow", "env"},
    "when": {"vars", "assets", "nodes", "each", "flow"},
    "takes": {"vars", "each"},
    "cache": {"vars", "assets", "nodes", "each", "flow"},
    "foreach": {"vars", "assets", "nodes", "flow"},
    "file": {"vars", "flow"},
}
_PARTS = {"each": ("key", "value", "index"), "flow": ("name", "profile")}


def compile_nodes(flow: Flow, catalogue: Catalogue, problems: list[Diagnostic]) -> dict[str, CompiledNode]:
    """Every node whose operation is known; what is wrong with any goes to `problems`."""
    found = (_compile(flow, decl, order, catalogue, problems) for order, decl in enumerate(flow.nodes.values()))
    nodes = {node.id: node for node in found if node is not None}
    for node in nodes.values():
        problems.extend(_misplaced(node, flow))
    return nodes


def _compile(
    flow: Flow, decl: NodeDecl, order: int, catalogue: Catalogue, problems: list[Diagnostic]
) -> CompiledNode | None:
    base, operation = flow.manifest.path.parent, catalogue.operations.get(decl.uses)
    if operation is None:
        problem = catalogue.unknown_operation_problem(decl.uses)
        problems.append(Diagnostic(problem.code, problem.message, decl.uses_span, problem.hint))
        return None

    def compiled(tree: Tree | None) -> Value | None:
        return None if tree is None else compile_value(tree, base, problems)

    inputs = compile_value(decl.inputs or TreeMapping((), decl.key_span), base, problems)
    fanning = decl.foreach
    values = {
        "with": inputs,
        "when": compiled(decl.when),
        "takes": compiled(decl.takes),
        "cache": compiled(decl.cache) if decl.cache is not False and decl.cache is not None else None,
        "foreach": compiled(fanning.source) if fanning and fanning.file is None else None,
        "file": compiled(fanning.file) if fanning else None,
    }
    places = tuple(_places(values))
    return CompiledNode(
        decl,
        operation,
        inputs if isinstance(inputs, MapValue) else MapValue((), decl.key_span),
        _key_span(flow, decl, "with"),
        values["when"],
        values["takes"],
        values["cache"],
        values["foreach"],
        values["file"],
        places,
        order,
    )


def _key_span(flow: Flow, decl: NodeDecl, key: str) -> Span:
    """Where a key of a node stands; the node's own key where it is not written."""
    tree: Tree | None = flow.manifest.tree
    for step in ("nodes", decl.id):
        tree = tree.get(step) if isinstance(tree, TreeMapping) else None
    entry = tree.entry(key) if isinstance(tree, TreeMapping) else None
    return entry.key.span if entry else decl.key_span


def _places(values: Mapping[str, Value | None]) -> Iterator[Place]:
    for key, value in values.items():
        if value is not None:
            for expression in expressions(value):
                for reference in expression.template.references:
                    yield Place(key, expression, reference)


def _misplaced(node: CompiledNode, flow: Flow) -> Iterator[Diagnostic]:
    """References to what is not there, or not there in this key."""
    for key, value in _values(node):
        yield from () if value is None else unknown_names(value, _KEYS_OF_ROOT[key])
    for place in node.places:
        if problem := _check_place(place, node, flow):
            yield problem
    for text, span in node.decl.needs:
        if problem := _check_need(text, span, flow):
            yield problem


def _values(node: CompiledNode) -> tuple[tuple[str, Value | None], ...]:
    return (
        ("with", node.inputs),
        ("when", node.when),
        ("takes", node.takes),
        ("cache", node.salt),
        ("foreach", node.foreach),
        ("file", node.data_file),
    )


def _check_need(text: str, span: Span, flow: Flow) -> Diagnostic | None:
    """`needs` names nodes or instances; whether the instance exists is seen when fan-outs are expanded."""
    try:
        at = parse(text)
    except ValueError as error:
        return Diagnostic("bad-need", str(error), span, "write needs: [node] or needs: ['node[key]']")
    if at.take is not None or len(at.segments) > 1:
        return Diagnostic("bad-need", f"'{text}' is no node of this manifest", span, f"write needs: [{at.node_id}]")
    if at.node_id in flow.nodes:
        return None
    near = suggest(at.node_id, flow.nodes)
    hint = f"did you mean {near}?" if near else "name a node of this manifest"
    return Diagnostic("unknown-reference", f"there is no node '{at.node_id}'", span, hint)


def unknown_names(value: Value, allowed: set[str]) -> Iterator[Diagnostic]:
    """Names in templates that are no root of any scope."""
    for expression in expressions(value):
        for name, offset, length in expression.template.unknown_names:
            span = expression.scalar.locate(offset, length)
            near = suggest(name, allowed)
            hint = f"did you mean {near}?" if near else f"names start with {', '.join(sorted(allowed))}"
            yield Diagnostic("unknown-name", f"there is no '{name}' in templates", span, hint)


def _check_place(place: Place, node: CompiledNode, flow: Flow) -> Diagnostic | None:
    root = place.reference.root
    if root not in _KEYS_OF_ROOT[place.key]:
        where = "the file of a foreach" if place.key == "file" else f"'{place.key}'"
        return Diagnostic("misplaced-reference", f"'{root}' cannot be used in {where}", place.span, _why_not(root))
    if root == "each" and not node.is_fanout:
        message = f"'each' is only there in a node with 'foreach', and {node.id} has none"
        return Diagnostic("misplaced-reference", message, place.span, "add foreach, or name a variable instead")
    return check_name(place, flow)


def _why_not(root: str) -> str:
    if root == "env":
        return "secrets may stand in 'with' only, so that they decide nothing and name nothing"
    return "its value has to be known before anything runs: use vars"


def check_name(place: Place, flow: Flow) -> Diagnostic | None:
    """The first step of a reference must name something declared; a node's is its id, written out."""
    root, steps = place.reference.root, place.reference.steps
    if root == "nodes" and steps and not isinstance(steps[0], str):
        message = "which node is meant must be known before anything runs"
        return Diagnostic(
            "dynamic-node", message, place.span, "write its id, as in nodes.hero; a key may vary: nodes.shot[each.key]"
        )
    if not steps or not isinstance(steps[0], str):
        return None
    if root in _PARTS:
        return _check_part(place, root, steps[0])
    declared = {"vars": flow.values, "assets": flow.assets, "nodes": flow.nodes, "env": flow.env}[root]
    if steps[0] in declared:
        return None
    kind = {"vars": "variable", "assets": "asset", "nodes": "node", "env": "environment variable"}[root]
    near = suggest(steps[0], declared)
    hint = f"did you mean {root}.{near}?" if near else _declare(root)
    return Diagnostic("unknown-reference", f"there is no {kind} '{steps[0]}'", place.span, hint)


def _check_part(place: Place, root: str, step: str) -> Diagnostic | None:
    if step in _PARTS[root] or place.reference.guard is not Guard.NONE:
        return None
    near = suggest(step, _PARTS[root])
    known = ", ".join(f"{root}.{name}" for name in _PARTS[root])
    hint = f"did you mean {root}.{near}?" if near else f"there are {known}; a row's own fields are each.value.NAME"
    return Diagnostic("unknown-reference", f"'{root}' has no '{step}'", place.span, hint)


def _declare(root: str) -> str:
    return "list its name under 'env:' at the top of the manifest" if root == "env" else f"declare it under '{root}:'"


def is_off(value: Value | None) -> bool:
    """A value that was taken away: an explicit null."""
    return isinstance(value, Literal) and value.value is None
