"""What is told of a run beside its summary. Owns the shape alone; the command that ran fills it."""

from __future__ import annotations

from dataclasses import dataclass

from flowrun.ui.typed import Typed


@dataclass(frozen=True, slots=True)
class Ending:
    """`elapsed`: seconds; `cap`: the credits this apply might commit, `written`: as the manifest has it, which no flag raises;
    `flags`: those of the command that the next one needs too (``--profile draft``); `again`: as `Typed` has it."""

    file: str
    exit_code: int
    elapsed: float
    cap: int | None = None
    provider: str = "runway"
    flags: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    written: int | None = None

    @property
    def typed(self) -> Typed:
        return Typed(self.file, self.flags, self.again)
