"""The addresses of a manifest's instances, for completing a half-typed line: without store, settings and engine."""

from __future__ import annotations

from pathlib import Path

from flowrun.graph.build import build
from flowrun.manifest import read, resolve
from flowrun.operations.catalogue import catalogue
from flowrun.production.inputs import DiskInputs
from flowrun.store.location import find_project
from flowrun.store.memory import MemoryBlobs, MemoryUrls


def addresses(
    path: Path, *, vars: tuple[str, ...] = (), vars_files: tuple[Path, ...] = (), profile: str | None = None
) -> list[str]:
    """In the manifest's order. Raises DiagnosticError."""
    flow = resolve(read(path), cli_vars=vars, vars_files=vars_files, profile=profile, cwd=Path.cwd(), demand=False)
    inputs = DiskInputs(find_project(Path.cwd() / path), MemoryUrls(), MemoryBlobs(), allow_outside=True)
    graph, _ = build(flow, catalogue(), inputs, Path.read_bytes)
    return [str(each) for each in graph.instances]
