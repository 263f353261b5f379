"""Selection: which instances a command may generate. Owns the small language of `--select` and `--exclude`.

``shot``, ``shot[intro]``, ``+cut`` (with ancestors), ``hero+`` (with descendants), ``tag:shots``, ``model:veo3.1``; a
comma unites, ``&`` intersects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from flowrun.diagnostics.suggest import suggest
from flowrun.graph.address import Address, parse
from flowrun.graph.model import Graph, Instance


class SelectionError(ValueError):
    """A selector that means nothing here. `hint` says what would."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def select(graph: Graph, include: Iterable[str], exclude: Iterable[str]) -> frozenset[Address]:
    """Addresses of all instances that `include` names (all, where it is empty) and `exclude` does not.

    Raises SelectionError.
    """
    wanted = list(include)
    chosen = set(graph.instances) if not wanted else _union(graph, wanted)
    return frozenset(chosen - _union(graph, exclude))


def _union(graph: Graph, texts: Iterable[str]) -> set[Address]:
    found: set[Address] = set()
    for text in texts:
        for part in _split(text, ","):
            found |= _intersection(graph, part)
    return found


def _split(text: str, separator: str) -> list[str]:
    """Parts outside of brackets."""
    return [part.strip() for part in re.split(rf"{separator}(?![^\[]*\])", text)]


def _intersection(graph: Graph, text: str) -> set[Address]:
    sets = [_term(graph, part) for part in _split(text, "&")]
    return set.intersection(*sets)


def _term(graph: Graph, text: str) -> set[Address]:
    name = text.removeprefix("+").removesuffix("+")
    found = _named(graph, name)
    result = set(found)
    if text.startswith("+"):
        result |= _reach(found, lambda at: graph.instances[at].waits_for)
    if text.endswith("+") and len(text) > 1:
        result |= _reach(found, graph.downstream)
    return result


def _reach(start: Iterable[Address], step: Callable[[Address], Iterable[Address]]) -> set[Address]:
    seen: set[Address] = set()
    frontier = list(start)
    while frontier:
        for at in step(frontier.pop()):
            if at not in seen:
                seen.add(at)
                frontier.append(at)
    return seen


def _named(graph: Graph, name: str) -> set[Address]:
    kind, mark, value = name.partition(":")
    if mark and kind in ("tag", "model"):
        return _by(graph, kind, value)
    try:
        at = parse(name).without_take()
    except ValueError as error:
        raise SelectionError(str(error), "select nodes, node[key], tag:NAME or model:NAME") from None
    if at in graph.instances:
        return {at}
    if at.key is None and at.node_id in graph.fanouts:
        return set(graph.fanouts[at.node_id])
    near = suggest(name, [*graph.nodes, *(str(each) for each in graph.instances)])
    raise SelectionError(f"there is no node '{name}'", f"did you mean {near}?" if near else _list(graph.nodes))


def _by(graph: Graph, kind: str, value: str) -> set[Address]:
    def has(instance: Instance) -> bool:
        names = instance.node.decl.tags if kind == "tag" else (instance.model,)
        return any(fnmatchcase(name, value) for name in names)

    found = {instance.address for instance in graph if has(instance)}
    if not found:
        known = (
            {tag for each in graph for tag in each.node.decl.tags} if kind == "tag" else {each.model for each in graph}
        )
        near = suggest(value, known)
        raise SelectionError(f"no node has the {kind} '{value}'", f"did you mean {near}?" if near else _list(known))
    return found


def _list(names: Iterable[str]) -> str:
    return f"there are {', '.join(sorted(names))}" if names else "there are none"
