"""After an interrupt with `--cancel-on-interrupt`: what the run has at the API is cancelled, what has finished is collected. Owns
which tasks are the run's, and what is told of each; the care is the engine's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flowrun.action import ActionDoc
from flowrun.engine import events as ev
from flowrun.engine.ports import Ports, Run
from flowrun.engine.round import Round, withdrawing
from flowrun.engine.visited import Fate, Visited
from flowrun.ledger.protocol import TaskRow
from flowrun.production.binding import Bound

_STATUS = {
    Fate.COLLECTED: "collected",
    Fate.CANCELLED: "cancelled",
    Fate.FAILED: "failed",
    Fate.GONE: "failed",
    Fate.SETTLED: "failed",
}
_WHY = {
    Fate.SETTLED: "another flowrun saw its end before this one, and found no result",
    Fate.RUNNING: "the API goes on with it",
    Fate.KEPT: "another flowrun waits for it",
    Fate.NOT_SEEN: "there was no time to cancel it",
}


def rows_of_run(bound: Bound, run: Run, taken_up: Mapping[str, str]) -> list[tuple[TaskRow, ActionDoc]]:
    """Open tasks of our store that the run submitted, one that it stopped waiting for too, or took up: `taken_up`, by task."""
    rows = bound.ledger.open(str(bound.store.root))
    return [(row, doc) for row, doc in rows if row.run == run.id or row.task in taken_up]


def withdrawal(
    bound: Bound, ports: Ports, run: Run, units: Mapping[str, str], emit: Callable[[ev.Event], None]
) -> Round:
    """The round that does it. `units`: the take that each task was for, by task."""

    def tell(each: Visited) -> None:
        task = each.row.task
        unit = units.get(task, each.row.origin.address)
        status, detail = _STATUS.get(each.fate, "left"), each.message or _WHY.get(each.fate, "")
        emit(ev.Withdrawn(bound.around.clock.now(), unit, task, status, detail, each.charged))

    store = bound.store
    return Round(ports, run, str(store.root), store.picks, withdrawing, tell)
