"""Exit codes. Owns the table of the command line and the order in which several are told."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """What the program's end means."""

    DONE = 0
    FAILED = 1  # some node failed; everything independent of it still ran
    WRONG = 2  # the manifest or the command line is wrong; nothing ran
    STOPPED = 3  # a limit, a budget, a gate or a declined confirmation; rerun to go on
    LOCKED = 4  # --locked, and something would have to be generated
    DAMAGED = 5  # the store or the ledger is damaged
    UNKNOWN = 6  # an outcome at the API is unknown and needs a decision
    SURROUNDINGS = 7  # no key, key refused, API unreachable, disk full, no permission; nothing lost, rerun
    CHANGES = 10  # plan --detailed-exitcode: something to do
    BUG = 70
    INTERRUPTED = 130
    TERMINATED = 143


_ORDER = (
    Exit.INTERRUPTED,
    Exit.TERMINATED,
    Exit.BUG,
    Exit.DAMAGED,
    Exit.UNKNOWN,
    Exit.SURROUNDINGS,
    Exit.LOCKED,
    Exit.FAILED,
    Exit.STOPPED,
)


def first(exits: Iterable[Exit]) -> Exit:
    """The one that is told where several apply."""
    found = set(exits)
    return next((each for each in _ORDER if each in found), max(found, default=Exit.DONE))


class FlowrunError(Exception):
    """A command cannot go on. `message`: what happened and what it cost; `hint`: what to type next."""

    def __init__(self, code: Exit, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.exit, self.message, self.hint = code, message, hint
