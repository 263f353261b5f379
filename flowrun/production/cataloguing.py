"""The catalogue that a project uses: the API's description with the overlays that its settings name. Owns reading a user's
overlay files; laying them is the catalogue's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from flowrun.diagnostics.model import Diagnostic, DiagnosticError
from flowrun.operations.catalogue import MODELS_FILE, PRICES_FILE, STRUCTURE_FILE, Catalogue, catalogue, shipped
from flowrun.operations.data import DEFAULT_OVERLAYS, document
from flowrun.production.options import Surroundings
from flowrun.settings.model import Settings
from flowrun.store.location import find_project


def catalogue_of(settings: Settings, *, open: bool = False) -> Catalogue:
    """`open`: models that it does not have pass, unchecked. Raises DiagnosticError for an overlay that cannot be used."""
    overlays = settings.catalogue.overlays
    if overlays == DEFAULT_OVERLAYS and not open:
        return catalogue()
    if all(isinstance(each, str) for each in overlays):
        return _of_shipped(tuple(map(str, overlays)), open)
    documents: list[Mapping[str, Any]] = []
    for each in overlays:
        documents.append(shipped(each) if isinstance(each, str) else _read(each, documents, settings))
    return Catalogue.load(documents, open=open)


def flow_schema_here(around: Surroundings) -> dict[str, Any]:
    """The editor's schema of manifests in the working folder's project, whose overlays may have models of its own.

    Raises DiagnosticError for settings and overlays that cannot be used.
    """
    from flowrun.production.configuring import settings_of

    settings = settings_of(find_project(around.cwd / "manifest"), around)
    if settings.catalogue.overlays == DEFAULT_OVERLAYS:
        shipped_one: dict[str, Any] = document("flow-1.json")
        return shipped_one
    from flowrun.manifest.json_schema import flow_schema

    return flow_schema(catalogue_of(settings))


@cache
def _of_shipped(names: tuple[str, ...], open: bool) -> Catalogue:
    return Catalogue.load(map(shipped, names), open=open)


def _read(path: Path, below: list[Mapping[str, Any]], settings: Settings) -> Mapping[str, Any]:
    from flowrun.operations.overlay_file import (
        read_overlay,  # late: it needs pydantic, and few have a file of their own
    )

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        span = settings.origin("catalogue.overlays").span
        message = f"the overlay {path} cannot be read: {reason}"
        raise DiagnosticError([Diagnostic("overlay-invalid", message, span, "check the path")]) from None
    tables = {"structure": document(STRUCTURE_FILE), "known": document(MODELS_FILE), "prices": document(PRICES_FILE)}
    return read_overlay(text, str(path), below, tables)
