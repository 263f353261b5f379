"""The settings in force, by section, each with where it came from. Owns the types; `keys` declares, `reading` reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from flowrun.diagnostics.model import Diagnostic
from flowrun.diagnostics.span import Span
from flowrun.operations.data import DEFAULT_OVERLAYS
from flowrun.secret import Secret


class Layer(StrEnum):
    """Where a value may come from, the lowest first."""

    BUILT_IN = "built-in"
    USER = "user"  # the user's file
    PROJECT = "project"  # flowrun.toml
    ENVIRONMENT = "environment"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from. `name`: of the variable or the flag; `span`: of the value in a file."""

    layer: Layer
    name: str = ""
    span: Span | None = None

    def __str__(self) -> str:
        if self.span is not None:
            return str(self.span)
        return f"{self.layer.value} {self.name}" if self.layer is Layer.ENVIRONMENT else self.name or self.layer.value

    def to_json(self) -> dict[str, Any]:
        where = self.span and {"file": self.span.file, "line": self.span.line, "column": self.span.column}
        return {"layer": self.layer.value, "name": self.name or None, **(where or {})}


BUILT_IN = Origin(Layer.BUILT_IN)


@dataclass(frozen=True, slots=True)
class ProjectSettings:
    """`name` None: the folder's."""

    name: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """`name` None: chosen by key and address. `account`: the ledger's name; None: by the key's hash. `base_url` None: the
    API's own address. `resend_502`: whether a creation answered 502 counts as not accepted."""

    name: Literal["runway", "sandbox"] | None = None
    account: str | None = None
    base_url: str | None = None
    uncertain: Literal["stop", "trust-counters"] = "stop"
    resend_502: bool = True


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """`dir`: the store's folder, absolute; None: ``.flowrun`` in the project."""

    dir: Path | None = None
    remote: str | None = None
    mode: str | None = None
    records: str | None = None


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """`credits_per_day`: the most that the project may commit in any 24 hours. `concurrency`: generations in flight, by model,
    lower than the organization's. `queue_ahead`: how many more may wait at the API, where the manifest does not say."""

    credits_per_day: int | None = None
    concurrency: Mapping[str, int] = field(default_factory=dict)
    queue_ahead: int = 0


@dataclass(frozen=True, slots=True)
class CatalogueSettings:
    """`overlays`: names of those that ship, and paths; in the order in which they are laid."""

    base: str | None = None
    overlays: tuple[str | Path, ...] = DEFAULT_OVERLAYS


@dataclass(frozen=True, slots=True)
class LintSettings:
    """`ignore`: codes of warnings that nobody wants to hear of."""

    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """`command`: words are run as they stand, a text is run by the shell; None: nothing is run."""

    command: tuple[str, ...] | str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for one project in one process.

    `origins`: by dotted key (`limits.concurrency.gen4_turbo` for a model; `api_key` too); what is not in it is built in.
    `api_key`: of the environment or of a `.env` that git ignores. `warnings`: what does not stop anything.
    """

    project: ProjectSettings = ProjectSettings()
    provider: ProviderSettings = ProviderSettings()
    cache: CacheSettings = CacheSettings()
    limits: LimitSettings = field(default_factory=LimitSettings)
    catalogue: CatalogueSettings = CatalogueSettings()
    lint: LintSettings = LintSettings()
    notify: NotifySettings = NotifySettings()
    origins: Mapping[str, Origin] = field(default_factory=dict)
    api_key: Secret | None = None
    warnings: tuple[Diagnostic, ...] = ()

    def origin(self, key: str) -> Origin:
        """Where the value of a dotted key came from."""
        return self.origins.get(key, BUILT_IN)

    def ignores(self, diagnostic: Diagnostic) -> bool:
        """Whether it is a warning that `lint.ignore` names. Errors are never ignored."""
        return not diagnostic.is_error and diagnostic.code in self.lint.ignore
