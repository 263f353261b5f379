"""`cancel`: end at the API what this project has in flight, all of it or what one run submitted. What has ended meanwhile is
collected or settled instead; owns which tasks are meant, and that a person agrees first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from flowrun.engine.round import cancelling
from flowrun.engine.visited import Fate
from flowrun.ids import RunId
from flowrun.ledger.protocol import TaskRow
from flowrun.production.binding import Bound, bound
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.loops import run_alone
from flowrun.production.mending import telling
from flowrun.production.options import Options, Surroundings
from flowrun.production.rounds import Interruptible, Rounded, Tell, at_work, carried_out, with_the_rest
from flowrun.store.location import find_project
from flowrun.store.protocol import AmbiguousRunError


@dataclass(frozen=True, slots=True)
class Stakes:
    """What would be cancelled, for whoever has to agree. `spends`: real credits were spent on it."""

    tasks: tuple[TaskRow, ...]
    provider: str

    @property
    def spends(self) -> bool:
        return self.provider == "runway" and bool(self.tasks)


Agree = Callable[[Stakes], bool]


def cancel(
    run: str | None = None,
    options: Options | None = None,
    around: Surroundings | None = None,
    *,
    confirm: Agree = lambda stakes: True,
    tell: Tell = lambda each: None,
    interruptible: Interruptible = lambda interrupt: None,
) -> Rounded:
    """For the project around the working folder; `run`: the id of a run or an unambiguous beginning of one, None: everything.
    `confirm` is asked once where there is something to cancel; the others as `collect` has them.

    Raises FlowrunError: no such run, not confirmed, no key, the API cannot be asked; RuntimeError inside a running event loop.
    """

    async def work() -> Rounded:
        return await cancel_async(run, options, around, confirm=confirm, tell=tell, interruptible=interruptible)

    return run_alone(work, "cancel")


async def cancel_async(
    run: str | None = None,
    options: Options | None = None,
    around: Surroundings | None = None,
    *,
    confirm: Agree = lambda stakes: True,
    tell: Tell = lambda each: None,
    interruptible: Interruptible = lambda interrupt: None,
) -> Rounded:
    """`cancel`, inside a running event loop."""
    around = around or Surroundings()
    folder = find_project(around.cwd / "manifest")
    with bound(folder, options or Options(), around, mends=True) as at, telling(at.mended), at_work(at) as opened:
        wanted = None if run is None else run_named(run, at)
        store = str(at.store.root)

        def is_meant(whose: str, sender: RunId) -> bool:
            return whose == store and wanted in (None, sender)

        rows = [(row, doc) for row, doc in opened if is_meant(row.origin.store, row.run)]
        uncertain = [row for row in at.ledger.uncertain() if is_meant(row.origin.store, row.run)]
        if rows and not confirm(Stakes(tuple(row for row, _ in rows), at.choice.name)):
            raise FlowrunError(Exit.STOPPED, "not confirmed: nothing was cancelled", "agree, or pass --yes")
        rounded = await carried_out(at, rows, cancelling, tell, interruptible)
    return with_the_rest(_judged(rounded), uncertain, at)


def _judged(rounded: Rounded) -> Rounded:
    """A task that goes on all the same was not cancelled, which is what was asked for."""
    goes_on = rounded.of(Fate.RUNNING) and rounded.exit is Exit.DONE
    return replace(rounded, exits=(Exit.FAILED,)) if goes_on else rounded


def run_named(text: str, at: Bound) -> RunId:
    """The run whose id is or begins with `text`: by the history, which may be lost, or by the ledger. Raises FlowrunError."""
    try:
        found = at.store.runs.get(text)
    except AmbiguousRunError as error:
        raise _several(text, error.candidates) from None
    if found is not None:
        return found[0].id
    store = str(at.store.root)
    known = sorted({row.run for row in at.ledger.tasks() if row.origin.store == store and row.run.startswith(text)})
    if text and len(known) > 1 and text not in known:
        raise _several(text, known)
    if not text or not known:
        raise FlowrunError(Exit.WRONG, f"there is no run '{text}'; nothing was cancelled", "flowrun runs lists them")
    return RunId(text) if text in known else known[0]


def _several(text: str, candidates: tuple[str, ...] | list[RunId]) -> FlowrunError:
    message = f"several runs begin with '{text}'; nothing was cancelled"
    return FlowrunError(Exit.WRONG, message, ", ".join(candidates))
