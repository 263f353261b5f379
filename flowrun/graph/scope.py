"""What templates can name: vars, assets, nodes, each, flow, env. Owns how nodes look from inside a template.

A skipped node is not there (so that `is defined` and `default` work); a pending one is there, its artifact too, and only
its facts are unresolved. Of one that may yet be skipped it is not even known whether it is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flowrun.graph.address import Address, address
from flowrun.graph.model import CompiledNode, Each, Fanouts
from flowrun.graph.outcomes import Artifact, AssetMedia, Made, Outcome, Pending, Skipped, World
from flowrun.graph.values import sourced
from flowrun.manifest.declared import AssetDecl, Flow
from flowrun.store.protocol import StoredFile
from flowrun.template import EnvValue, Unresolved


@dataclass(frozen=True, slots=True)
class Unset:
    """What is unresolved because nobody gave a variable its value, which `validate` does not demand."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class NodesLookup:
    """`nodes`: by id. A fan-out that is not among `fanouts` could not be expanded."""

    nodes: Mapping[str, CompiledNode]
    fanouts: Fanouts
    world: World

    template_group = True
    template_opaque = "the nodes"

    def template_get(self, key: str | int) -> object:
        node = self.nodes[str(key)]
        if not node.is_fanout:
            return _member(node, address(node.id), self.world)
        if node.id not in self.fanouts:
            raise Unresolved(Unset(node.id))
        return FanoutLookup(node, self.fanouts[node.id], self.world)

    def template_keys(self) -> Iterable[str]:
        return self.nodes


def _member(node: CompiledNode, at: Address, world: World) -> InstanceLookup:
    outcome = world.outcome(at)
    if isinstance(outcome, Skipped):
        raise KeyError(str(at))
    if isinstance(outcome, Pending) and outcome.may_skip and not outcome.presumed:
        raise Unresolved(at)
    return InstanceLookup(node, at, outcome)


@dataclass(frozen=True, slots=True)
class FanoutLookup:
    """A fan-out: its instances by key, and `outputs`, what each of them made, in order."""

    node: CompiledNode
    members: Mapping[str, Address]
    world: World

    template_group = True
    template_opaque = "a fan-out"

    def template_get(self, key: str | int) -> object:
        if key == "outputs":
            return [each.template_get("output") for each in self._present()]
        if key == "takes":
            return [take for each in self._present() for take in each.takes()]
        return _member(self.node, self.members[str(key)], self.world)

    def template_keys(self) -> Iterable[str]:
        return ["outputs", "takes", *self.members]

    def _present(self) -> list[InstanceLookup]:
        """Those that are not skipped. Raises Unresolved while that is not known of one."""
        outcomes = [(at, self.world.outcome(at)) for at in self.members.values()]
        for at, outcome in outcomes:
            if isinstance(outcome, Pending) and outcome.may_skip:
                raise Unresolved(at)
        return [InstanceLookup(self.node, at, outcome) for at, outcome in outcomes if not isinstance(outcome, Skipped)]


@dataclass(frozen=True, slots=True)
class InstanceLookup:
    """One instance: `output`, `outputs`, `takes`."""

    node: CompiledNode
    at: Address
    outcome: Outcome

    template_opaque = "a node"

    def template_get(self, key: str | int) -> object:
        if key == "output":
            file = self.outcome.files[0] if isinstance(self.outcome, Made) else None
            return Artifact(self.at, 0, self.node.operation.produces, file)
        if key == "outputs":
            if not isinstance(self.outcome, Made):
                raise Unresolved(self.at)
            return [self._artifact(self.at, number, file) for number, file in enumerate(self.outcome.files)]
        if key == "takes":
            return self.takes()
        raise KeyError(key)

    def template_keys(self) -> Iterable[str]:
        return ("output", "outputs", "takes")

    def takes(self) -> list[Artifact]:
        """The first file of every take that has one. Raises Unresolved while one is still to come."""
        if not isinstance(self.outcome, Made) or self.outcome.takes is None:
            raise Unresolved(self.at)
        numbered = enumerate(self.outcome.takes, start=1)
        return [self._artifact(self.at.of_take(number), 0, files[0]) for number, files in numbered if files]

    def _artifact(self, at: Address, number: int, file: StoredFile) -> Artifact:
        return Artifact(at, number, self.node.operation.produces, file)


@dataclass(frozen=True, slots=True)
class VarsLookup:
    """`vars`: by name. A required one that nobody has set is not known yet; any other without a value is not there."""

    flow: Flow
    _values: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    template_opaque = "the variables"

    def template_get(self, key: str | int) -> object:
        name = str(key)
        if name not in self._values:
            self._values[name] = self._value(name)
        return self._values[name]

    def _value(self, name: str) -> Any:
        given = self.flow.values[name]
        if given.is_set:
            return sourced(given.value, given.base, given.span)
        if self.flow.manifest.vars[name].required:
            raise Unresolved(Unset(f"vars.{name}"))
        raise KeyError(name)

    def template_keys(self) -> Iterable[str]:
        return self.flow.values


@dataclass(frozen=True, slots=True)
class AssetsLookup:
    """`assets`: by name. One that speaks of a variable that nobody has set is not known yet."""

    declared: Mapping[str, AssetDecl]
    assets: Mapping[str, AssetMedia]

    template_opaque = "the assets"

    def template_get(self, key: str | int) -> object:
        if key in self.declared and key not in self.assets:
            raise Unresolved(Unset(f"assets.{key}"))
        return self.assets[str(key)]

    def template_keys(self) -> Iterable[str]:
        return self.declared


class ScopeSource:
    """What every scope of one flow shares. `assets` are evaluated already."""

    def __init__(self, flow: Flow, assets: Mapping[str, AssetMedia], nodes: Mapping[str, CompiledNode]) -> None:
        self.assets, self._nodes = assets, nodes
        self._base: dict[str, Any] = {
            "vars": VarsLookup(flow),
            "flow": {"name": flow.name, "profile": flow.profile},
        }
        self._shared = {
            **self._base,
            "assets": AssetsLookup(flow.assets, assets),
            "env": {name: EnvValue(name) for name in flow.env},
        }

    def base(self) -> dict[str, Any]:
        """`vars` and `flow`: the scope of assets and defaults."""
        return dict(self._base)

    def full(self, each: Each | None, world: World, fanouts: Fanouts) -> dict[str, Any]:
        """All of it, for one instance."""
        scope = {**self._shared, "nodes": NodesLookup(self._nodes, fanouts, world)}
        if each is not None:
            scope["each"] = each.scope()
        return scope
