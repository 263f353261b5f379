"""From references to edges. Owns what each form of reference to a node means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from flowrun.diagnostics.suggest import suggest
from flowrun.graph.address import Address, address
from flowrun.graph.model import CompiledNode, Edge, EdgeKind, Fanouts, Place
from flowrun.graph.outcomes import facts_of
from flowrun.media.facts import MediaKind
from flowrun.template import WILDCARD, Guard

MEMBERS = ("output", "outputs", "takes")
_COMPARED = 1000  # keys that a suggestion looks at
_SHOWN = 8  # keys that a hint lists
_WORDS = {MediaKind.IMAGE: "an image", MediaKind.VIDEO: "a video", MediaKind.AUDIO: "audio"}


class BadReference(Exception):
    """A reference that cannot be followed; carries what to say of it. The hint is made only when it is shown."""

    def __init__(self, code: str, message: str, hint: Callable[[], str]) -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


def edges_of(
    place: Place, scope: Mapping[str, Any], nodes: Mapping[str, CompiledNode], fanouts: Fanouts
) -> Iterator[Edge]:
    """The edges that one reference to `nodes` makes. Raises BadReference, EvaluationError."""
    if place.reference.root != "nodes" or not place.reference.steps:
        return
    steps = place.reference.resolve(scope)
    guard = place.reference.guard
    targets, rest, gather = _targets(nodes[str(steps[0])], steps[1:], fanouts, guard)
    kind = EdgeKind.PRESENCE if guard is Guard.DEFINED else EdgeKind.FACT if _is_fact(rest) else EdgeKind.DATA
    whole = "takes" in steps[1:3]
    for target in targets:
        yield Edge(target, kind, place.span, guard is not Guard.NONE, gather, whole)


_Targets = tuple[tuple[Address, ...], tuple[Any, ...], bool]


def _targets(node: CompiledNode, steps: tuple[Any, ...], fanouts: Fanouts, guard: Guard) -> _Targets:
    """Whom the steps after the node's id mean, what is left of the steps, and whether they are gathered."""
    if not node.is_fanout:
        _check_member(node, node.id, steps, guard)
        return (address(node.id),), steps[1:], False
    if node.id not in fanouts:
        return (), (), False
    members = fanouts[node.id]
    if steps and steps[0] in ("outputs", "takes"):
        _check_fact(node, f"{node.id}.{steps[0]}", steps[1:], guard)
        return tuple(members.values()), steps[1:], True
    if steps and steps[0] == "output":
        raise _fanout_as_one(node.id, members)
    if not steps and guard is Guard.NONE:
        raise _fanout_as_one(node.id, members)
    if not steps or steps[0] is WILDCARD:
        _check_member(node, f"{node.id}[...]", steps[1:], guard if steps else Guard.DEFINED)
        return tuple(members.values()), steps[2:], False
    return _one(node, str(steps[0]), steps[1:], members, guard), steps[2:], False


def _one(
    node: CompiledNode, key: str, steps: tuple[Any, ...], members: Mapping[str, Address], guard: Guard
) -> tuple[Address, ...]:
    """The instance of that key; none where the reference copes with there being none."""
    if key not in members:
        if guard is Guard.NONE:
            raise _no_member(node.id, key, members)
        return ()
    _check_member(node, f"{node.id}['{key}']", steps, guard)
    return (members[key],)


def _check_member(node: CompiledNode, name: str, steps: tuple[Any, ...], guard: Guard) -> None:
    if not steps:
        if guard is Guard.NONE:
            raise BadReference("bare-node", f"'{name}' alone is no value", lambda: f"write nodes.{name}.output")
        return
    if steps[0] not in MEMBERS and steps[0] is not WILDCARD:
        raise BadReference("unknown-reference", f"'{name}' has no '{steps[0]}'", lambda: _member_hint(name, steps[0]))
    rest = steps[1:] if steps[0] == "output" else steps[2:] if len(steps) > 1 and not isinstance(steps[1], str) else ()
    _check_fact(node, f"{name}.{steps[0]}", rest, guard)


def _member_hint(name: str, member: object) -> str:
    near = suggest(str(member), MEMBERS)
    return f"did you mean .{near}?" if near else f"write nodes.{name}.output"


def _check_fact(node: CompiledNode, name: str, rest: tuple[Any, ...], guard: Guard) -> None:
    """What is asked of an artifact must be a fact that its kind of media has."""
    wanted = next((step for step in rest if isinstance(step, str)), None)
    kind: MediaKind = node.operation.produces
    if wanted is None or wanted in facts_of(kind) or guard is not Guard.NONE:
        return

    def hint() -> str:
        near = suggest(wanted, facts_of(kind))
        return f"did you mean .{near}?" if near else f"{_WORDS[kind]} has {', '.join(facts_of(kind))}"

    raise BadReference("unknown-reference", f"'{name}' is {_WORDS[kind]} and has no '{wanted}'", hint)


def _fanout_as_one(node_id: str, members: Mapping[str, Address]) -> BadReference:
    key = next(iter(members), "KEY")
    return BadReference(
        "fan-out-as-one",
        f"'{node_id}' is a fan-out and has no single output",
        lambda: f"write nodes.{node_id}['{key}'].output for one, or nodes.{node_id}.outputs for all",
    )


def _no_member(node_id: str, key: str, members: Mapping[str, Address]) -> BadReference:
    return BadReference(
        "unknown-reference", f"fan-out '{node_id}' has no instance '{key}'", lambda: keys_hint(key, members)
    )


def keys_hint(key: str, members: Mapping[str, Address]) -> str:
    """What may have been meant by a key that no instance has."""
    near = suggest(key, islice(members, _COMPARED))
    if near:
        return f"did you mean '{near}'?"
    more = " ..." if len(members) > _SHOWN else ""
    return f"its keys are {', '.join(islice(members, _SHOWN))}{more}" if members else "it has no instances"


def _is_fact(rest: tuple[Any, ...]) -> bool:
    return any(isinstance(step, str) for step in rest)
