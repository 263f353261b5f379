"""Random productions, built as data and written as YAML: their edges are those of the construction, whatever the nodes are
called and however the file is ordered."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from tests.graph.making import Built, built

Edge = tuple[str, str, str]  # source, kind, target


@dataclass(frozen=True)
class Ref:
    """How one node speaks of an earlier one. `key`: of the instance meant by `one`."""

    to: str
    form: str  # output | one | own | gather | fact | asked | guarded | needs | need_one
    key: str = ""


@dataclass(frozen=True)
class Node:
    name: str
    keys: tuple[str, ...] | None  # None: a single node
    refs: tuple[Ref, ...]

    @property
    def addresses(self) -> list[str]:
        return [self.name] if self.keys is None else [f"{self.name}[{key}]" for key in self.keys]


KEYS = st.lists(st.sampled_from(["a", "b", "c c", "d.1", "é", "5"]), min_size=1, max_size=4, unique=True)
SINGLE = ("output", "fact", "asked", "guarded", "needs")
FANNED = ("one", "gather", "one_fact", "need_one", "needs")


@st.composite
def productions(draw: st.DrawFn) -> list[Node]:
    nodes: list[Node] = []
    for number in range(draw(st.integers(1, 7))):
        keys = draw(st.none() | KEYS.map(tuple))
        refs = [draw(refs_to(up, keys)) for up in nodes if draw(st.booleans())]
        nodes.append(Node(f"n{number}", keys, tuple(refs)))
    return nodes


@st.composite
def refs_to(draw: st.DrawFn, up: Node, keys: tuple[str, ...] | None) -> Ref:
    if up.keys is None:
        return Ref(up.name, draw(st.sampled_from(SINGLE)))
    own = keys is not None and set(keys) <= set(up.keys)
    form = draw(st.sampled_from((*FANNED, "own") if own else FANNED))
    return Ref(up.name, form, draw(st.sampled_from(up.keys)))


# -- written as YAML


def expression(ref: Ref) -> str:
    one = f"nodes.{ref.to}[{ref.key!r}]"
    return {
        "output": f"nodes.{ref.to}.output is none",
        "fact": f"nodes.{ref.to}.output.width",
        "asked": f"nodes.{ref.to} is defined",
        "guarded": f"nodes.{ref.to}.output.width | default(3)",
        "one": f"{one}.output is none",
        "one_fact": f"{one}.output.height",
        "own": f"nodes.{ref.to}[each.key].output.sha256",
        "gather": f"nodes.{ref.to}.outputs | length",
    }[ref.form]


def manifest(nodes: list[Node], *, reverse: bool = False) -> str:
    ordered = nodes[::-1] if reverse else nodes
    return json.dumps({"nodes": {node.name: written(node, reverse) for node in ordered}}, ensure_ascii=False)[1:-1]


def written(node: Node, reverse: bool) -> dict[str, object]:
    texts = ["{{ " + expression(ref) + " }}" for ref in node.refs if "need" not in ref.form]
    with_ = {"model": "gen4_image", "promptText": "fox " + " ".join(texts), "ratio": "1920:1080"}
    keys: dict[str, object] = {"uses": "text_to_image", "with": with_}
    needs = [ref.to if ref.form == "needs" else f"{ref.to}[{ref.key}]" for ref in node.refs if "need" in ref.form]
    if needs:
        keys["needs"] = needs
    if node.keys is not None:
        keys["foreach"] = list(node.keys)
    if reverse:
        keys["with"] = dict(reversed(with_.items()))
    return dict(reversed(keys.items())) if reverse else keys


def graph_of(nodes: list[Node], *, reverse: bool = False) -> Built:
    return built("{flowrun: 1, " + manifest(nodes, reverse=reverse) + "}", whole=True)


# -- the oracle


def expected(nodes: list[Node]) -> set[Edge]:
    by_name = {node.name: node for node in nodes}
    return {
        (source, kind, target)
        for node in nodes
        for at, target in enumerate(node.addresses)
        for ref in node.refs
        for source, kind in sources(ref, by_name[ref.to], node.keys[at] if node.keys else "")
    }


def sources(ref: Ref, up: Node, own: str) -> list[tuple[str, str]]:
    kind = {"fact": "fact", "guarded": "fact", "one_fact": "fact", "own": "fact", "asked": "presence"}
    kind |= {"needs": "order", "need_one": "order"}
    if up.keys is None or ref.form in ("gather", "needs"):
        return [(address, kind.get(ref.form, "data")) for address in up.addresses]
    key = own if ref.form == "own" else ref.key
    return [(f"{up.name}[{key}]", kind.get(ref.form, "data"))]


@given(productions())
def test_the_edges_are_those_of_the_construction(nodes: list[Node]) -> None:
    found = graph_of(nodes)
    assert found.edges() == expected(nodes)
    assert found.addresses == [address for node in nodes for address in node.addresses]


@given(productions())
def test_everybody_comes_after_what_it_speaks_of(nodes: list[Node]) -> None:
    seen: set[object] = set()
    graph = graph_of(nodes, reverse=True).graph
    for instance in graph:
        assert {edge.source for edge in instance.edges} <= seen
        seen.add(instance.address)
    below = {(up, down) for up in graph.instances for down in graph.downstream(up)}
    assert below == {(up, each.address) for each in graph for up in each.waits_for}


@given(productions(), st.randoms(use_true_random=False))
def test_names_mean_nothing(nodes: list[Node], random) -> None:
    names = [f"n{number}" for number in range(len(nodes))]
    random.shuffle(names)
    to = {node.name: f"z_{name}" for node, name in zip(nodes, names, strict=True)}
    renamed = [
        Node(to[node.name], node.keys, tuple(replace(ref, to=to[ref.to]) for ref in node.refs)) for node in nodes
    ]

    def moved(address: str) -> str:
        name, bracket, rest = address.partition("[")
        return to[name] + bracket + rest

    assert graph_of(renamed).edges() == {(moved(a), kind, moved(b)) for a, kind, b in graph_of(nodes).edges()}


@given(productions())
def test_the_order_of_the_file_means_nothing(nodes: list[Node]) -> None:
    forward, backward = graph_of(nodes), graph_of(nodes, reverse=True)
    assert forward.edges() == backward.edges()
    assert set(forward.addresses) == set(backward.addresses)
    for address in forward.addresses:
        one, other = forward.request(address), backward.request(address)
        assert one.value == other.value
        assert one.waits == other.waits
