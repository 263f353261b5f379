"""What a simulated production is: nodes, rounds, faults, deaths, all decided beforehand, so that a case is a value that can be
printed, replayed and made smaller. Owns the shapes, and what an edit makes of nodes; `making` draws them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

EACH = "*"  # a reference to the upstream instance of the same key


@dataclass(frozen=True, slots=True)
class Kind:
    """One operation with one model. `refs`: the fewest and the most images it takes."""

    operation: str
    model: str
    makes: str
    refs: tuple[int, int]
    inputs: tuple[tuple[str, Any], ...]


KINDS: Mapping[str, Kind] = {
    "still": Kind("text_to_image", "gen4_image", "image", (0, 2), (("ratio", "1280:720"),)),
    "flash": Kind("text_to_image", "gemini_2.5_flash", "image", (0, 2), (("ratio", "1344:768"),)),
    "turbo": Kind("text_to_image", "gen4_image_turbo", "image", (1, 2), (("ratio", "1280:720"),)),
    "shot": Kind("image_to_video", "gen4_turbo", "video", (1, 1), (("ratio", "1280:720"), ("duration", 5))),
    "film": Kind("text_to_video", "veo3.1_fast", "video", (0, 0), (("ratio", "1280:720"), ("duration", 4))),
    "sound": Kind("sound_effect", "eleven_text_to_sound_v2", "audio", (0, 0), (("duration", 1.0),)),
}


@dataclass(frozen=True, slots=True)
class Ref:
    """An image made by an earlier node; `key` of a fan-out's instance, EACH for the same key."""

    node: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """`rows`: key and word of each instance, none: a single node. `gather`: a fan-out whose size stands in the prompt.
    `cache`: a salt, False, or "" for neither."""

    name: str
    kind: str
    prompt: str
    refs: tuple[Ref, ...] = ()
    rows: tuple[tuple[str, str], ...] = ()
    csv: bool = False
    gather: str = ""
    needs: tuple[str, ...] = ()
    when: bool = True
    takes: int = 1
    cache: str | bool = ""
    retry: int | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(key for key, _ in self.rows)

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(f"{self.name}[{key}]" for key in self.keys) or (self.name,)


Nodes = tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the manifest: credits, and generations at once by model. `day`: of the project, credits in any 24 hours."""

    credits: int | None = None
    day: int | None = None
    concurrency: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Edit:
    """`how`: prompt, row+, row-, rename, takes, salt, when, drop, add. `at`: which node, `to`: a number that decides the rest."""

    how: str
    at: int
    to: int


@dataclass(frozen=True, slots=True)
class Visit:
    """One process that applies, collects or cancels.

    `death`: the moment at which it dies, counted over its ledger, store and network operations, or over those of one name;
    `freeze`: such a moment, and seconds for which it stands still; `full`: such a moment, and how many writes from there on find
    the disk full; `interrupts`: numbers of the events, of all or of one name, at which a person presses Ctrl-C, and `cancels`:
    whether that cancels what is at the API; `host`: whether others can see it end; `force`: numbers of addresses.
    """

    command: str = "apply"
    delay: float = 0.0
    host: int = 0
    death: int | tuple[str, int] | None = None
    freeze: tuple[int | tuple[str, int], float] | None = None
    full: tuple[int | tuple[str, int], int] | None = None
    interrupts: tuple[int | tuple[str, int], ...] = ()
    cancels: bool = False
    max_credits: int | None = None
    force: tuple[int, ...] = ()
    select: tuple[int, ...] = ()
    retry_rejected: bool = False
    fail_fast: bool = False
    wait_for_quota: bool = False


@dataclass(frozen=True, slots=True)
class Round:
    """What happens between two looks at everything. `settles`: what the person says of uncertain requests; `words`: what is said
    of them while applies go on, after so many seconds; `gap`: seconds before it; `faults`: of the sandbox's scenario."""

    edits: tuple[Edit, ...] = ()
    settles: str = "leave"
    words: tuple[tuple[float, str], ...] = ()
    gap: float = 1.0
    tier: int = 3
    credits: int = 100_000
    duration: float = 20.0
    faults: tuple[Mapping[str, Any], ...] = ()
    visits: tuple[Visit, ...] = (Visit(),)


@dataclass(frozen=True, slots=True)
class Case:
    """`trusts`: whether the organization's counters may settle what nobody answered."""

    seed: int
    nodes: Nodes
    limits: Limits = Limits()
    trusts: bool = False
    rounds: tuple[Round, ...] = field(default_factory=tuple)


# -- edits


def edited(nodes: Nodes, edits: Iterable[Edit]) -> Nodes:
    for edit in edits:
        if nodes:
            nodes = mended(_EDITS[edit.how](nodes, nodes[edit.at % len(nodes)], edit.to))
    return nodes


def _swap(nodes: Nodes, old: Node, **change: Any) -> Nodes:
    return tuple(replace(each, **change) if each is old else each for each in nodes)


def _rename(nodes: Nodes, node: Node, to: int) -> Nodes:
    name = f"r{to % 5}_{node.name.rpartition('_')[2]}"
    if any(each.name == name for each in nodes):
        return nodes

    def called(other: str) -> str:
        return name if other == node.name else other

    return tuple(
        replace(
            each,
            name=called(each.name),
            refs=tuple(replace(ref, node=called(ref.node)) for ref in each.refs),
            gather=called(each.gather),
            needs=tuple(map(called, each.needs)),
        )
        for each in nodes
    )


def _row_more(nodes: Nodes, node: Node, to: int) -> Nodes:
    row = (f"k{to % 6}", f"word {to % 3}")
    return nodes if not node.rows or row[0] in node.keys else _swap(nodes, node, rows=(*node.rows, row))


def _row_less(nodes: Nodes, node: Node, to: int) -> Nodes:
    gone = to % max(1, len(node.rows))
    rows = tuple(row for place, row in enumerate(node.rows) if place != gone)
    return _swap(nodes, node, rows=rows) if rows else nodes


_EDITS = {
    "prompt": lambda nodes, node, to: _swap(nodes, node, prompt=f"{node.prompt.partition(' v')[0]} v{to % 3}"),
    "row+": _row_more,
    "row-": _row_less,
    "rename": _rename,
    "takes": lambda nodes, node, to: _swap(nodes, node, takes=1 + to % 3),
    "salt": lambda nodes, node, to: _swap(nodes, node, cache=("", "salt", "pepper", False)[to % 4]),
    "when": lambda nodes, node, to: _swap(nodes, node, when=not node.when),
    "drop": lambda nodes, node, to: tuple(each for each in nodes if each is not node) if len(nodes) > 1 else nodes,
}


def mended(nodes: Nodes) -> Nodes:
    """The nodes with references only to what is there, and as many as each kind takes."""
    known: dict[str, Node] = {}
    for node in nodes:
        refs = tuple(_mended(ref, node, known[ref.node]) for ref in node.refs if _shows(known.get(ref.node)))
        fewest, most = KINDS[node.kind].refs
        kind = node.kind if len(refs) >= fewest else {"shot": "film", "turbo": "flash"}[node.kind]
        gathers = node.gather if known.get(node.gather) and known[node.gather].rows else ""
        needs = tuple(each for each in node.needs if each in known)
        most = KINDS[kind].refs[1]
        known[node.name] = replace(node, kind=kind, refs=refs[:most], gather=gathers, needs=needs)
    return tuple(known.values())


def _shows(node: Node | None) -> bool:
    return node is not None and KINDS[node.kind].makes == "image"


def _mended(ref: Ref, node: Node, upstream: Node) -> Ref:
    if not upstream.rows:
        return Ref(upstream.name)
    if ref.key == EACH and node.rows and set(node.keys) <= set(upstream.keys):
        return ref
    return ref if ref.key in upstream.keys else Ref(upstream.name, upstream.keys[0])


# -- the manifest


def manifest(nodes: Nodes, limits: Limits) -> tuple[str, dict[str, str]]:
    """Its text, and data files by name."""
    document: dict[str, Any] = {"flowrun": 1, "name": "sim", "nodes": {each.name: _node(each) for each in nodes}}
    document["outputs"] = {f"o_{each.name}": _output(each) for each in nodes}
    said: dict[str, Any] = {"concurrency": dict(limits.concurrency)} if limits.concurrency else {}
    if limits.credits is not None:
        said["credits"] = limits.credits
    if said:
        document["limits"] = said
    files = {f"{each.name}.csv": _csv(each) for each in nodes if each.csv and each.rows}
    return json.dumps(document, indent=1), files


def _csv(node: Node) -> str:
    return "id,word\n" + "".join(f"{key},{word}\n" for key, word in node.rows)


def _output(node: Node) -> str:
    return f"{{{{ nodes.{node.name}.{'outputs' if node.rows else 'output'} }}}}"


def _node(node: Node) -> dict[str, Any]:
    kind = KINDS[node.kind]
    said: dict[str, Any] = {"uses": kind.operation}
    word = ("{{ each.value.word }} " if node.csv else "{{ each.value }} ") if node.rows else ""
    count = f" {{{{ nodes.{node.gather}.outputs | length }}}} of them" if node.gather else ""
    said["with"] = {"model": kind.model, "promptText": f"{word}{node.prompt}{count}", **dict(kind.inputs)}
    images = [f"{{{{ nodes.{_place(ref)}.output }}}}" for ref in node.refs]
    if kind.operation == "image_to_video":
        said["with"]["promptImage"] = images[0]
    elif images:
        said["with"]["referenceImages"] = [{"uri": each} for each in images]
    if node.rows:
        said["foreach"] = {"file": f"{node.name}.csv", "key": "id"} if node.csv else dict(node.rows)
    if node.needs:
        said["needs"] = list(node.needs)
    if not node.when:
        said["when"] = "{{ 1 == 2 }}"
    if node.takes > 1:
        said["takes"] = node.takes
    if node.cache != "":
        said["cache"] = node.cache
    if node.retry is not None:
        said["retry"] = node.retry
    return said


def _place(ref: Ref) -> str:
    if not ref.key:
        return ref.node
    return f"{ref.node}[each.key]" if ref.key == EACH else f"{ref.node}['{ref.key}']"
