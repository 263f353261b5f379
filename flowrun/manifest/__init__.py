"""Manifests: from a YAML file to a flow with values. Owns pydantic's shape of it; what references mean is graph's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowrun.manifest.declared import (
    AssetDecl,
    Flow,
    ForeachDecl,
    Given,
    LimitsDecl,
    Manifest,
    NodeDecl,
    OutputDecl,
    ProfileDecl,
    VarDecl,
)

__all__ = [
    "AssetDecl",
    "Flow",
    "ForeachDecl",
    "Given",
    "LimitsDecl",
    "Manifest",
    "NodeDecl",
    "OutputDecl",
    "ProfileDecl",
    "VarDecl",
    "read",
    "resolve",
]


def read(path: Path, *, text: str | None = None) -> Manifest:
    """Read and check a manifest file; `text` stands in for its content. Warnings are in the result.

    Raises DiagnosticError with all that YAML finds, else with all that everything after it finds.
    """
    from flowrun.manifest import reading  # late: pydantic and jinja2 are loaded by the first manifest

    return reading.read(path, text=text)


def resolve(
    manifest: Manifest,
    *,
    cli_vars: Sequence[str] = (),
    vars_files: Sequence[Path] = (),
    profile: str | None = None,
    cwd: Path,
    demand: bool = True,
) -> Flow:
    """The manifest with its values: ``name=value`` flags, YAML or JSON vars files, a profile.

    Relative paths in flags, and those of the vars files, count from `cwd`. `demand` False leaves required variables unset.
    Raises DiagnosticError with all wrong, unknown and missing values.
    """
    from flowrun.manifest import resolving  # as above

    return resolving.resolve(
        manifest, cli_vars=cli_vars, vars_files=vars_files, profile=profile, cwd=cwd, demand=demand
    )
