"""What a user asks of a production, and what surrounds it. Owns both shapes; the CLI fills the first, a process the second."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowrun.clock import Clock, SystemClock
from flowrun.engine.ports import Offload


@dataclass(frozen=True, slots=True)
class Options:
    """Flags of `plan` and `apply`, named as on the command line. Credits are whole credits."""

    vars: tuple[str, ...] = ()
    vars_files: tuple[Path, ...] = ()
    profile: str | None = None
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    force: tuple[str, ...] = ()
    resend: tuple[str, ...] = ()
    retry_rejected: bool = False
    accept_gaps: bool = False
    sandbox: bool = False
    scenario: Path | None = None
    refresh: bool = False
    allow_outside: bool = False
    allow_unknown_models: bool = False
    allow_unknown_price: bool = False
    max_credits: int | None = None
    yes: bool = False
    fail_fast: bool = False
    wait_for_quota: bool = False
    cancel_on_interrupt: bool = False
    out: Path | None = None
    overwrite: bool = False
    prune: bool = False
    offline: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The process around: its environment and folder, time, threads, randomness, how https inputs are reached (an httpx
    transport and a resolver of names, None: the network), and the words of its command line (none: called from Python)."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    cwd: Path = field(default_factory=Path.cwd)
    clock: Clock = field(default_factory=SystemClock)
    offload: Offload = asyncio.to_thread
    rng: random.Random = field(default_factory=random.SystemRandom)
    web: Any = None
    resolve: Any = None
    command: tuple[str, ...] = ()

    def named(self, path: Path) -> Path:
        """`path` as this process can open it, and otherwise as it was given, so that messages show it so."""
        return path if path.is_absolute() or self.cwd == Path.cwd() else self.cwd / path
