"""A round over an account's open tasks, whatever became of their manifests: what `collect` and `cancel` have in common. Owns how
such a command opens, ends and may be interrupted, and its exit codes. It needs no manifest, and sends nothing that costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from flowrun.action import ActionDoc
from flowrun.engine.ports import Run
from flowrun.engine.round import NOTHING, Errand, Round
from flowrun.engine.visited import Fate, Visited
from flowrun.ids import RunId
from flowrun.ledger.protocol import IntentRow, TaskRow
from flowrun.production.binding import Bound
from flowrun.production.exits import Exit, FlowrunError, first
from flowrun.production.loops import to_the_end
from flowrun.production.organization import read_organization
from flowrun.production.porting import make_ports
from flowrun.production.provider import KEY
from flowrun.production.taking_over import begin_work
from flowrun.store.location import is_no_more

Rows = Sequence[tuple[TaskRow, ActionDoc]]
Tell = Callable[[Visited], None]
Interruptible = Callable[[Callable[[int], None]], None]  # is given the round's interrupt(exit code)


@dataclass(frozen=True, slots=True)
class Rounded:
    """What a round came to. `tasks`: a row each, oldest first; `uncertain`: requests whose answer never came, which no round can
    settle; `exits`: all that apply, `exit` the one that is told; `warnings`: what was damaged and is put right."""

    tasks: tuple[Visited, ...]
    uncertain: tuple[IntentRow, ...]
    provider: str
    exits: tuple[Exit, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def exit(self) -> Exit:
        return first(self.exits)

    def of(self, *fates: Fate) -> list[Visited]:
        """The tasks with one of these fates."""
        return [each for each in self.tasks if each.fate in fates]


@contextmanager
def at_work(at: Bound) -> Iterator[Rows]:
    """Every open task of the account, once what dead processes held is free and what former accounts left is taken up. Raises
    FlowrunError."""
    try:
        begin_work(at)
        yield at.ledger.open()
    finally:
        with suppress(OSError):  # else the next reaper does it
            at.ledger.retire(at.owner)


async def carried_out(at: Bound, rows: Rows, errand: Errand, tell: Tell, interruptible: Interruptible) -> Rounded:
    """Visit each of `rows`. Raises FlowrunError where the API cannot be asked at all: nothing was touched then."""
    if not rows:
        return Rounded((), (), at.choice.name)
    if at.choice.key is None:
        message = f"no key: {len(rows)} open tasks are on record, and the API cannot be asked about them"
        raise FlowrunError(Exit.SURROUNDINGS, message, f"set {KEY} in the environment; nothing is lost")
    signals: list[Exit] = []
    try:
        await read_organization(at, {})  # that key and address are good, before a 404 could end a task
        run = Run(RunId("round"), at.owner, lambda model: NOTHING, is_gone=is_no_more)
        store = at.store
        whole = Round(make_ports(at, at.client()), run, str(store.root), store.picks, errand, tell)

        def interrupt(code: int = Exit.INTERRUPTED) -> None:
            signals.append(Exit(code))
            whole.stop()

        interruptible(interrupt)
        found = await to_the_end(whole.visit_all(rows), interrupt)
        with suppress(OSError):  # what became of them stands in no journal
            at.written.back_up()
    finally:
        await at.close_client()
    return Rounded(found, (), at.choice.name, tuple(_exits(found, signals)))


def _exits(found: Sequence[Visited], signals: Sequence[Exit]) -> list[Exit]:
    if signals:
        return [signals[0]]
    if any(each.outside or each.fate is Fate.NOT_SEEN for each in found):
        return [Exit.SURROUNDINGS]
    lost = any(each.fate in (Fate.GONE, Fate.FOREIGN, Fate.NOT_COLLECTED) for each in found)
    return [Exit.FAILED] if lost else [Exit.DONE]


def with_the_rest(rounded: Rounded, rows: Sequence[IntentRow], at: Bound) -> Rounded:
    """The same, with the requests that somebody has to decide about, and what was mended on the way."""
    return replace(rounded, uncertain=tuple(rows), warnings=tuple(at.mended))
