"""What a production should come to, by a plain recursive evaluation of its nodes. Knows nothing of flowrun: no plan, no key, no
cache, no order; each address is what its node says, with what its upstream is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.simulation.model import EACH, KINDS, Node, Nodes, Ref


@dataclass(frozen=True, slots=True)
class Wanted:
    """One address: what is asked for, and the addresses whose images go in, in order."""

    operation: str
    model: str
    prompt: str
    images: tuple[str, ...]
    takes: int


def evaluate(nodes: Nodes) -> Mapping[str, Wanted | None]:
    """By address; None: skipped."""
    known = {node.name: node for node in nodes}
    return {at: _wanted(at, node, known) for node in nodes for at in node.addresses}


def _wanted(at: str, node: Node, known: Mapping[str, Node]) -> Wanted | None:
    key = at.partition("[")[2].rstrip("]")
    images = tuple(_address(ref, key) for ref in node.refs)
    if not node.when or any(_of(each, known) is None for each in images):
        return None
    words = [dict(node.rows)[key]] if node.rows else []
    words.append(node.prompt)
    if node.gather:
        there = [each for each in known[node.gather].addresses if _of(each, known) is not None]
        words.append(f"{len(there)} of them")
    kind = KINDS[node.kind]
    return Wanted(kind.operation, kind.model, " ".join(words), images, node.takes)


def _of(at: str, known: Mapping[str, Node]) -> Wanted | None:
    return _wanted(at, known[at.partition("[")[0]], known)


def _address(ref: Ref, key: str) -> str:
    if not ref.key:
        return ref.node
    return f"{ref.node}[{key if ref.key == EACH else ref.key}]"
