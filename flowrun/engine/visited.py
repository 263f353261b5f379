"""What a visit to an open task came to, as a row for people and programs. Owns the words for that, and which of them mean that
the surroundings fail."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flowrun.engine.failure import Failure, Verdict
from flowrun.engine.visit import Collected, GoesOn, Kept, Visit
from flowrun.ledger.protocol import TaskRow
from flowrun.runway.errors import Afterwards
from flowrun.runway.values import Task


class Fate(StrEnum):
    """What became of a task."""

    COLLECTED = "collected"  # its files are in the store
    CANCELLED = "cancelled"  # at the API, by us or by anybody
    FAILED = "failed"  # it had ended without a result; settled
    GONE = "gone"  # the API does not know it any more: a lost result
    RUNNING = "running"  # goes on at the API
    KEPT = "kept"  # in the hands of a live flowrun, which settles it
    ELSEWHERE = "elsewhere"  # another project's, which collects it; its slot is free
    FOREIGN = "foreign"  # only the key that sent its request can ask about it
    NOT_COLLECTED = "not-collected"  # could not be had; on record
    NOT_SEEN = "not-seen"  # was not looked at; on record
    SETTLED = "settled"  # by another flowrun meanwhile


ON_RECORD = frozenset({Fate.RUNNING, Fate.FOREIGN, Fate.NOT_COLLECTED, Fate.NOT_SEEN})
_OF_CODE = {
    Afterwards.CANCELLED.value: Fate.CANCELLED,
    Afterwards.GONE.value: Fate.GONE,
    Afterwards.NOT_TOLD.value: Fate.NOT_COLLECTED,
    Afterwards.NOT_COLLECTED.value: Fate.NOT_COLLECTED,
    Afterwards.NO_OUTPUT.value: Fate.NOT_COLLECTED,
}


@dataclass(frozen=True, slots=True)
class Visited:
    """One task after a visit. `status`: its last word at the API, `progress`: 0 to 1, None: not told. `kinds`: media kinds of its
    files. `charged`: credits as the API told them, None: it did not, and the estimate counts. `outside`: the surroundings fail,
    so that others fare no better."""

    row: TaskRow
    fate: Fate
    status: str = ""
    progress: float | None = None
    kinds: tuple[str, ...] = ()
    charged: int | None = None
    code: str | None = None
    message: str | None = None
    hint: str | None = None
    outside: bool = False

    @property
    def credits(self) -> int | None:
        """What counts as spent for it: the API's word, else the estimate; None: no price is known."""
        return self.row.credits if self.charged is None else self.charged

    def to_json(self) -> dict[str, Any]:
        row = self.row
        told = {"status": self.status or None, "progress": self.progress, "kinds": list(self.kinds)}
        spent = {"credits": self.credits, "charged": self.charged}
        why = {"code": self.code, "message": self.message, "hint": self.hint}
        made_for = {"manifest": row.origin.manifest, "flow": row.origin.flow, "profile": row.origin.profile}
        names = {"task": row.task, "address": row.origin.address, "fate": self.fate.value, "model": row.model}
        return {**names, "run": row.run, **made_for, **told, **spent, **why}


def visited(row: TaskRow, found: Visit) -> Visited:
    """The row for a visit that came to its end."""
    if isinstance(found, Collected):
        kinds = tuple(output.facts.kind.value for output in found.result.outputs)
        return Visited(row, Fate.COLLECTED, "SUCCEEDED", kinds=kinds, charged=found.result.credits)
    if isinstance(found, GoesOn):
        return going_on(row, Fate.RUNNING, found.seen)
    return Visited(row, Fate.KEPT if isinstance(found, Kept) else Fate.SETTLED)


def going_on(row: TaskRow, fate: Fate, seen: Task) -> Visited:
    """The row for a task that was only looked at."""
    return Visited(row, fate, seen.word or seen.status.value, seen.progress)


def failed(row: TaskRow, failure: Failure, *, foreign: bool) -> Visited:
    """The row for a visit that ended in a failure. `foreign`: ours is not the key that sent the request."""
    fate = _OF_CODE.get(failure.code, Fate.FAILED)
    if failure.verdict is Verdict.STOP:
        fate = Fate.NOT_COLLECTED
    elif fate is Fate.NOT_COLLECTED and foreign:
        fate = Fate.FOREIGN
    return Visited(
        row,
        fate,
        charged=failure.charged,
        code=failure.code,
        message=failure.message,
        hint=failure.hint,
        outside=failure.verdict is Verdict.STOP,
    )


def not_seen(row: TaskRow) -> Visited:
    """The row for a task that nobody came to."""
    return Visited(row, Fate.NOT_SEEN)
