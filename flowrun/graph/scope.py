"""What templates can name: vars, assets, nodes, each, flow, env. Owns how nodes look from inside a template.

A skipped node is not there (so that `is defined` and `default` work); a pending one is there, its artifact too, and only
its facts are unresolved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flowrun.graph.address import Address, address
from flowrun.graph.model import CompiledNode, Each
from flowrun.graph.outcomes import Artifact, AssetMedia, Made, Skipped, World
from flowrun.graph.values import sourced
from flowrun.manifest.declared import Flow
from flowrun.template import EnvValue, Unresolved

ROOTS = ("vars", "assets", "nodes", "each", "flow", "env")


@dataclass(frozen=True, slots=True)
class NodesLookup:
    """`nodes`: by id."""

    nodes: Mapping[str, CompiledNode]
    fanouts: Mapping[str, tuple[Address, ...]]
    world: World

    template_opaque = "the nodes"

    def template_get(self, key: str | int) -> object:
        node = self.nodes[str(key)]
        if node.is_fanout:
            return FanoutLookup(node, self.fanouts.get(node.id, ()), self.world)
        return _member(node, address(node.id), self.world)

    def template_keys(self) -> Iterable[str]:
        return self.nodes


def _member(node: CompiledNode, at: Address, world: World) -> InstanceLookup:
    if isinstance(world.outcome(at), Skipped):
        raise KeyError(str(at))
    return InstanceLookup(node, at, world)


@dataclass(frozen=True, slots=True)
class FanoutLookup:
    """A fan-out: its instances by key, and `outputs`, what each of them made, in order."""

    node: CompiledNode
    members: tuple[Address, ...]
    world: World

    template_group = True
    template_opaque = "a fan-out"

    def template_get(self, key: str | int) -> object:
        if key == "outputs":
            return [_member(self.node, at, self.world).template_get("output") for at in self._present()]
        if key == "takes":
            return [take for at in self._present() for take in _takes(self.node, at, self.world)]
        found = next((at for at in self.members if at.key == str(key)), None)
        if found is None:
            raise KeyError(key)
        return _member(self.node, found, self.world)

    def template_keys(self) -> Iterable[str]:
        return [*(at.key or "" for at in self.members), "outputs", "takes"]

    def _present(self) -> list[Address]:
        return [at for at in self.members if not isinstance(self.world.outcome(at), Skipped)]


@dataclass(frozen=True, slots=True)
class InstanceLookup:
    """One instance: `output`, `outputs`, `takes`."""

    node: CompiledNode
    at: Address
    world: World

    template_opaque = "a node"

    def template_get(self, key: str | int) -> object:
        outcome = self.world.outcome(self.at)
        if key == "output":
            file = outcome.files[0] if isinstance(outcome, Made) else None
            return Artifact(self.at, 0, self.node.operation.produces, file)
        if key == "outputs":
            if not isinstance(outcome, Made):
                raise Unresolved(self.at)
            return _artifacts(self.node, self.at, outcome.files)
        if key == "takes":
            return _takes(self.node, self.at, self.world)
        raise KeyError(key)

    def template_keys(self) -> Iterable[str]:
        return ("output", "outputs", "takes")


def _artifacts(node: CompiledNode, at: Address, files: Iterable[Any]) -> list[Artifact]:
    return [Artifact(at, number, node.operation.produces, file) for number, file in enumerate(files)]


def _takes(node: CompiledNode, at: Address, world: World) -> list[Artifact]:
    outcome = world.outcome(at)
    if not isinstance(outcome, Made) or outcome.takes is None:
        raise Unresolved(at)
    return [
        Artifact(at.of_take(number), 0, node.operation.produces, files[0])
        for number, files in enumerate(outcome.takes, start=1)
        if files
    ]


@dataclass(frozen=True, slots=True)
class VarsLookup:
    """`vars`: by name. One that nobody has set is not known yet: `validate` demands no values."""

    flow: Flow

    template_opaque = "the variables"

    def template_get(self, key: str | int) -> object:
        given = self.flow.values[str(key)]
        if not given.is_set:
            raise Unresolved(f"vars.{key}")
        return sourced(given.value, given.base, given.span)

    def template_keys(self) -> Iterable[str]:
        return self.flow.values


@dataclass(frozen=True, slots=True)
class ScopeSource:
    """What every scope of one flow shares. `assets` are evaluated already."""

    flow: Flow
    assets: Mapping[str, AssetMedia]
    nodes: Mapping[str, CompiledNode]

    def base(self) -> dict[str, Any]:
        """`vars` and `flow`: the scope of assets and defaults."""
        return {"vars": VarsLookup(self.flow), "flow": {"name": self.flow.name, "profile": self.flow.profile}}

    def full(self, each: Each | None, world: World, fanouts: Mapping[str, tuple[Address, ...]]) -> dict[str, Any]:
        """All of it, for one instance."""
        scope = self.base()
        scope["assets"] = self.assets
        scope["nodes"] = NodesLookup(self.nodes, fanouts, world)
        scope["env"] = {name: EnvValue(name) for name in self.flow.env}
        if each is not None:
            scope["each"] = each.scope()
        return scope
