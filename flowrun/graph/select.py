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
from flowrun.graph.edges import keys_hint
from flowrun.graph.model import Graph, Instance

_FORMS = "select node, node[key], +node, node+, tag:NAME or model:NAME"
_SHOWN = 20


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
    return set.intersection(*(_term(graph, part) for part in _split(text, "&")))


def _term(graph: Graph, text: str) -> set[Address]:
    if not text.strip("+ "):
        raise SelectionError("a selector is empty", _FORMS)
    found = _named(graph, text.removeprefix("+").removesuffix("+"))
    result = set(found)
    if text.startswith("+"):
        result |= _reach(found, lambda at: graph.instances[at].waits_for)
    if text.endswith("+"):
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
    if mark and kind == "tag":
        return _by(graph, kind, value, lambda instance: instance.node.decl.tags)
    if mark and kind == "model":
        return _by(graph, kind, value, lambda instance: (instance.model,))
    at = _address(name)
    if at in graph.instances:
        return {at}
    if at.key is None and at.node_id in graph.nodes and len(at.segments) == 1:
        return set(graph.of_node(at.node_id))
    raise _unknown(graph, at)


def _address(name: str) -> Address:
    try:
        at = parse(name)
    except ValueError as error:
        raise SelectionError(str(error), _FORMS) from None
    if at.take is not None:
        raise SelectionError(f"'{name}' is one take, and instances are selected", f"write {at.without_take()}")
    return at


def _unknown(graph: Graph, at: Address) -> SelectionError:
    members = graph.fanouts.get(at.node_id) if len(at.segments) == 1 else None
    if at.key is not None and members is not None:
        return SelectionError(f"fan-out '{at.node_id}' has no instance '{at.key}'", keys_hint(at.key, members))
    if at.key is not None and at.node_id in graph.nodes and len(at.segments) == 1:
        return SelectionError(f"'{at.node_id}' is no fan-out, so it has no instance '{at.key}'", f"write {at.node_id}")
    near = suggest(str(at), graph.nodes)
    return SelectionError(f"there is no node '{at}'", f"did you mean {near}?" if near else _list(graph.nodes))


def _by(graph: Graph, kind: str, value: str, names: Callable[[Instance], Iterable[str]]) -> set[Address]:
    """Instances with a tag or model that fits; `*` stands for anything."""
    found = {each.address for each in graph if any(fnmatchcase(name, value) for name in names(each))}
    if found:
        return found
    known = {name for each in graph for name in names(each)}
    near = suggest(value, known)
    raise SelectionError(f"no node has the {kind} '{value}'", f"did you mean {kind}:{near}?" if near else _list(known))


def _list(names: Iterable[str]) -> str:
    known = sorted(names)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"there are {', '.join(known[:_SHOWN])}{more}" if known else "there are none"
