"""The settings of a project, as one command uses them. Owns when they are read, the models they name held against the
catalogue, and what they mean for limits and warnings; reading them is `settings`'."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from flowrun.diagnostics.model import Diagnostic, DiagnosticError, in_order
from flowrun.diagnostics.suggest import did_you_mean
from flowrun.production.options import Options, Surroundings
from flowrun.settings.model import Layer, Settings
from flowrun.settings.reading import read_settings


def settings_of(project: Path, around: Surroundings, flags: Mapping[str, tuple[Any, str]] | None = None) -> Settings:
    """Raises DiagnosticError with every mistake in files and environment."""
    settings = read_settings(project, around.environ, flags=flags, cwd=around.cwd)
    problems = list(_unknown_models(settings))
    if problems:
        raise DiagnosticError(problems)
    return settings


def flag_settings(options: Options) -> dict[str, tuple[Any, str]]:
    """What the flags of a command say in the words of settings, for those who show them."""
    if options.scenario is not None:
        return {"provider.name": ("sandbox", "--scenario")}
    return {"provider.name": ("sandbox", "--sandbox")} if options.sandbox else {}


def _unknown_models(settings: Settings) -> Iterator[Diagnostic]:
    """Limits of models that nobody has, which would bind nothing."""
    if not settings.limits.concurrency:
        return
    from flowrun.production.cataloguing import catalogue_of

    known = list(dict.fromkeys(name for each in catalogue_of(settings).operations.values() for name in each.models))
    for model in settings.limits.concurrency:
        if model in known:
            continue
        origin = settings.origin(f"limits.concurrency.{model}")
        where = f"{origin.name}: " if origin.layer is Layer.ENVIRONMENT else ""
        message = f"{where}no operation has a model '{model[:64]}', so this limit would bind nothing"
        yield Diagnostic(
            "unknown-model", message, origin.span, did_you_mean(model, known) or "name a model as nodes do"
        )


def heard(found: Iterable[Diagnostic], settings: Settings) -> tuple[Diagnostic, ...]:
    """In order, without the warnings that `lint.ignore` names."""
    return in_order(each for each in found if not settings.ignores(each))


def lowered(manifest: Mapping[str, int], settings: Settings) -> dict[str, int]:
    """Generations in flight by model, where the manifest or the settings lower it: of two numbers the lower holds."""
    found = dict(manifest)
    for model, count in settings.limits.concurrency.items():
        found[model] = min(count, found.get(model, count))
    return found


def queue_ahead(manifest: int | None, settings: Settings) -> int:
    """The manifest's own word, else the settings'."""
    return settings.limits.queue_ahead if manifest is None else manifest
