"""What a node fans out over: rows from a data file, from the manifest or from an expression. Owns the reading of
`foreach`; what a key may be is manifest's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowrun.diagnostics.model import Diagnostic, DiagnosticError, Severity
from flowrun.diagnostics.span import Span
from flowrun.graph.model import CompiledNode, Each
from flowrun.graph.outcomes import Artifact, AssetMedia
from flowrun.graph.values import Expression, ListValue, Literal, MapValue, SourcedText, Value, sourced, sourced_tree
from flowrun.graph.work import Stop, Work
from flowrun.manifest.data import read_rows
from flowrun.manifest.fanout import Item, expand_items
from flowrun.yaml_tree import Entry, Scalar, Sequence, Tree, from_plain
from flowrun.yaml_tree import Mapping as TreeMapping


@dataclass(frozen=True, slots=True)
class _Source:
    """What is fanned out over. `tree` gives keys and places; `value`, the same with media in it, what rows are.

    `value` None: the tree is all there is, of a file in `base`. `placed`: parts of the tree have places of their own.
    """

    tree: Tree
    value: Any
    base: Path
    is_csv: bool = False
    placed: bool = True
    columns: tuple[Scalar, ...] = ()  # a CSV's headings


def rows(node: CompiledNode, work: Work) -> tuple[Each, ...]:
    """The rows of a fan-out node. Raises Stop."""
    foreach = node.decl.foreach
    try:
        source = _source(node, work)
        expanded = expand_items(source.tree, foreach.key if foreach else None, source.columns)
    except DiagnosticError as error:
        work.problems.extend(error.diagnostics)
        raise Stop from None
    work.problems.extend(expanded.warnings)
    if not expanded.items and not isinstance(source.tree, Scalar):  # a count of 0 says so itself
        work.problems.append(_empty(node))
    return tuple(_eaches(source, expanded.items))


def _empty(node: CompiledNode) -> Diagnostic:
    written = node.data_file or node.foreach
    span = written.value_span if isinstance(written, Expression) else written.span if written else node.decl.key_span
    lacks, hint = ("file has no rows", "add rows") if node.data_file else ("has no items", "add items")
    message = f"this {lacks}, so node {node.id} makes nothing"
    return Diagnostic("empty-fan-out", message, span, f"{hint}, or take the node out", severity=Severity.WARNING)


def _eaches(source: _Source, items: tuple[Item, ...]) -> Iterator[Each]:
    values = list(source.value.values()) if isinstance(source.value, Mapping) else source.value
    for item in items:
        if isinstance(values, list):
            value = values[item.index]
        elif isinstance(source.tree, Scalar):
            value = item.value.value if isinstance(item.value, Scalar) else None
        else:
            value = sourced_tree(item.value, source.base, cells=source.is_csv)
        yield Each(item.key, value, item.index, item.value if source.placed else None)


def _source(node: CompiledNode, work: Work) -> _Source:
    """Raises DiagnosticError, Stop."""
    if node.data_file is not None:
        return _of_file(node.data_file, work)
    if isinstance(node.foreach, Expression):
        value = sourced(work.static(node.foreach, None), work.base)
        _refuse_artifacts(value, node.foreach, work)
        return _Source(_shadow(value, node.foreach.span), value, work.base, placed=False)
    if node.foreach is None:
        raise Stop
    tree, value = _rendered(node.foreach, work)
    return _Source(tree, value, work.base)


def _of_file(written: Value, work: Work) -> _Source:
    """A data file; its path counts from where it is written. Raises DiagnosticError, Stop."""
    found = work.static(written, None) if isinstance(written, Expression) else _text(written)
    if not isinstance(found, str) or not found:
        hint = "write the path of a CSV, JSON or YAML file"
        work.problems.append(Diagnostic("bad-foreach", "the file of a foreach is a path", written.span, hint))
        raise Stop
    path = (found.base if isinstance(found, SourcedText) else work.base) / str(found)
    try:
        data = read_rows(path, work.read_data(path))
    except OSError as error:
        hint = "paths count from the manifest's folder; those of --var from the working directory"
        reason = (error.strerror or str(error)).lower()
        work.problems.append(Diagnostic("missing-file", f"cannot read '{found}': {reason}", written.span, hint))
        raise Stop from None
    work.problems.extend(data.warnings)
    return _Source(data.tree, None, path.parent, path.suffix.lower() == ".csv", columns=data.columns)


def _text(written: Value) -> object:
    return written.value if isinstance(written, Literal) else None


def _rendered(value: Value, work: Work) -> tuple[Tree, Any]:
    """What is written in the manifest, its templates evaluated. Raises Stop."""
    if isinstance(value, Literal):
        return Scalar(value.value, value.span, True), sourced(value.value, value.base, value.span)
    if isinstance(value, Expression):
        found = sourced(work.static(value, None), value.base, value.span)
        _refuse_artifacts(found, value, work)
        return _shadow(found, value.span), found
    if isinstance(value, ListValue):
        items = [_rendered(item, work) for item in value.items]
        return Sequence(tuple(tree for tree, _ in items), value.span), [each for _, each in items]
    return _rendered_mapping(value, work)


def _rendered_mapping(value: MapValue, work: Work) -> tuple[Tree, Any]:
    entries, found = [], {}
    for entry in value.entries:
        tree, found[entry.name] = _rendered(entry.value, work)
        entries.append(Entry(Scalar(entry.name, entry.key_span, True), tree))
    return TreeMapping(tuple(entries), value.span), found


def _refuse_artifacts(value: Any, expression: Expression, work: Work) -> None:
    """What nodes make has no place in rows: it is referred to where it is used. Raises Stop."""
    if any(isinstance(each, Artifact) for each in _leaves(value)):
        message = "rows have to be known before anything runs, and this is what a node will make"
        hint = "fan out over what that node fans out over, and refer to nodes.NAME[each.key].output in `with`"
        work.problems.append(Diagnostic("not-known-yet", message, expression.value_span, hint))
        raise Stop


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _shadow(value: Any, span: Span) -> Tree:
    """A tree for a value with assets in it: each stands by its name."""
    if isinstance(value, Mapping):
        return TreeMapping(
            tuple(Entry(Scalar(name, span, True), _shadow(each, span)) for name, each in value.items()), span
        )
    if isinstance(value, list):
        return Sequence(tuple(_shadow(each, span) for each in value), span)
    if isinstance(value, AssetMedia):
        return Scalar(value.name, span, True)
    try:
        return from_plain(value, span, literal=True)
    except TypeError:
        message = "nothing can fan out over this"
        hint = "name a part of it: a list, a mapping or an integer"
        raise DiagnosticError([Diagnostic("bad-foreach", message, span, hint)]) from None
