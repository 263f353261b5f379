"""The public way in from Python: a path and options as values. Owns what may stand for them; reading is `production`'s."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowrun.production.kept import open_production
from flowrun.production.options import Options, Surroundings
from flowrun.production.production import Production


def load(path: str | Path, *, vars: Mapping[str, Any] | None = None, **options: Any) -> Production:
    """A production from a manifest, or from a saved plan. `vars` as values or texts; `options` as the fields of Options,
    where one text will do for a list of one and for a path: ``load("a.yaml", force="hero", max_credits=400)``.

    Raises DiagnosticError, whose `diagnostics` tell file, line and column of every mistake; TypeError for an option that
    does not exist.
    """
    given = tuple(
        f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in (vars or {}).items()
    )
    read_as = {name: _option(name, value) for name, value in options.items()}
    return open_production(Path(path), Options(vars=given, **read_as), Surroundings())


async def load_async(path: str | Path, *, vars: Mapping[str, Any] | None = None, **options: Any) -> Production:
    """`load`, inside a running event loop: it works in another thread."""
    return await asyncio.to_thread(lambda: load(path, vars=vars, **options))


def _option(name: str, value: Any) -> Any:
    if name in ("select", "exclude", "force", "resend"):
        return (value,) if isinstance(value, str) else tuple(value)
    if name == "vars_files":
        return tuple(map(Path, [value] if isinstance(value, str | Path) else value))
    return Path(value) if name in ("scenario", "out") and value is not None else value
