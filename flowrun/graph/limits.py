"""The models that `limits:` names, held against the catalogue. Owns that check; what a limit does is the engine's."""

from __future__ import annotations

from collections.abc import Iterator

from flowrun.diagnostics.model import Diagnostic
from flowrun.diagnostics.suggest import did_you_mean
from flowrun.manifest.declared import Flow
from flowrun.operations.catalogue import Catalogue
from flowrun.yaml_tree import Mapping


def check_limits(flow: Flow, catalogue: Catalogue) -> Iterator[Diagnostic]:
    """Limits of models that nobody has, which would bind nothing."""
    limits = flow.manifest.tree.get("limits")
    concurrency = limits.get("concurrency") if isinstance(limits, Mapping) else None
    for entry in concurrency.entries if isinstance(concurrency, Mapping) else ():
        if not catalogue.open and not catalogue.operations_of(entry.name):
            message = f"no operation has a model '{entry.name[:64]}', so this limit would bind nothing"
            hint = did_you_mean(entry.name, _models(catalogue)) or "name a model as nodes do"
            yield Diagnostic("unknown-model", message, entry.key.span, hint)


def _models(catalogue: Catalogue) -> list[str]:
    """Those that can still be asked come first, so that likeness prefers them."""
    specs = [spec for operation in catalogue.operations.values() for spec in operation.models.values()]
    return [spec.model for spec in sorted(specs, key=lambda spec: spec.retired is not None)]
