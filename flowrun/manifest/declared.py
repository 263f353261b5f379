"""What a manifest declares, each part with its place. Owns the types; `building` makes them from a tree that has its shape."""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from flowrun.diagnostics.model import Diagnostic
from flowrun.diagnostics.span import Span
from flowrun.yaml_tree import Mapping, Scalar, Tree


@dataclass(frozen=True, slots=True)
class VarDecl:
    """A variable. `type` None: a bare value was given. `default` None: there is none. `span`: of its name."""

    name: str
    span: Span
    type: str | None = None
    default: Tree | None = None
    enum: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    required: bool = False
    description: str | None = None


@dataclass(frozen=True, slots=True)
class AssetDecl:
    """A named file or address. `path_or_url` may be a template of `vars` and `flow`; `sha256` has hex digits alone."""

    name: str
    span: Span
    path_or_url: Scalar
    sha256: str | None = None
    license: str | None = None
    consent: str | None = None
    description: str | None = None
    is_url: bool | None = None  # None: the value itself tells


@dataclass(frozen=True, slots=True)
class OutputDecl:
    """What is exported, and where to below the output folder. Both may be templates."""

    name: str
    span: Span
    source: Scalar
    path: Scalar | None = None


@dataclass(frozen=True, slots=True)
class ForeachDecl:
    """What a node fans out over: `source` (a literal tree or a template's scalar) or `file`; `key` names a record's field."""

    span: Span
    source: Tree | None = None
    file: Scalar | None = None
    key: Scalar | None = None


@dataclass(frozen=True, slots=True)
class NodeDecl:
    """One entry of `nodes`. `timeout` in seconds RUNNING at the API; `cache`: a salt, False (a new result each apply) or None.

    `inputs` is the node's `with`; a null in it takes a default away.
    """

    id: str
    key_span: Span
    uses: str
    uses_span: Span
    inputs: Mapping | None = None
    foreach: ForeachDecl | None = None
    when: Tree | None = None
    needs: tuple[tuple[str, Span], ...] = ()
    takes: Tree | None = None
    tags: tuple[str, ...] = ()
    retry: int | None = None
    timeout: float | None = None
    cache: Tree | Literal[False] | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class LimitsDecl:
    """`credits`: the most one apply may commit. `concurrency` by model. `queue_ahead`: generations that may wait at the API."""

    credits: int | None = None
    concurrency: AnyMapping[str, int] = field(default_factory=dict)
    queue_ahead: int | None = None


@dataclass(frozen=True, slots=True)
class ProfileDecl:
    """Overlays, as written."""

    name: str
    span: Span
    vars: Mapping | None = None
    defaults: Mapping | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """One manifest file, read and checked in itself. `file` is its name in spans; `defaults` are without any profile."""

    path: Path
    file: str
    text: str
    tree: Mapping
    name: str
    description: str | None
    vars: AnyMapping[str, VarDecl]
    assets: AnyMapping[str, AssetDecl]
    defaults: AnyMapping[str, Mapping]
    profiles: AnyMapping[str, ProfileDecl]
    nodes: AnyMapping[str, NodeDecl]
    outputs: AnyMapping[str, OutputDecl]
    limits: LimitsDecl
    env: tuple[str, ...]
    warnings: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """A variable's value. `base`: the folder that media paths in it are relative to. `is_set` False: nobody gave one."""

    value: Any
    span: Span
    base: Path
    type: str | None
    declared: Span
    is_set: bool = True


@dataclass(frozen=True, slots=True)
class Flow:
    """A manifest with its values and profile: what the graph is made from. `profile` '': none.

    `defaults` are keyed by operation or ``operation/model``, the profile laid over them.
    """

    manifest: Manifest
    profile: str
    name: str
    values: AnyMapping[str, Given]
    assets: AnyMapping[str, AssetDecl]
    defaults: AnyMapping[str, Mapping]
    nodes: AnyMapping[str, NodeDecl]
    outputs: AnyMapping[str, OutputDecl]
    limits: LimitsDecl
    env: tuple[str, ...]
    warnings: tuple[Diagnostic, ...] = ()
