"""One visit to each of some open tasks, a few at once, each told as it ends. Owns that a round ends soon: where the surroundings
fail, or somebody asks it to stop, the tasks that were not visited yet stay as they are, on record."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from flowrun.action import ActionDoc
from flowrun.engine.cancel import call_off, cancel
from flowrun.engine.failure import AttemptError
from flowrun.engine.follow import is_foreign, look
from flowrun.engine.ports import HEARTBEAT, Attempt, Ports, Run
from flowrun.engine.verdicts import disk_errors
from flowrun.engine.visit import Kept, attempt_at, visit
from flowrun.engine.visited import Fate, Visited, failed, going_on, not_seen, visited
from flowrun.ledger.protocol import Limits, TaskRow
from flowrun.store.protocol import Picks

AT_ONCE = 4
PATIENCE = 3  # looks that fail in a row, some 20 seconds, before a task is let be
NOTHING = Limits(concurrency=0)  # of a round nothing is sent, so it never reserves

Errand = Callable[[Attempt, TaskRow, Picks], Awaitable[Visited]]


async def collecting(attempt: Attempt, row: TaskRow, picks: Picks) -> Visited:
    """Collect the task if it has succeeded; else tell how it stands. Raises AttemptError."""
    found = await visit(attempt, row, picks, look)
    if not isinstance(found, Kept):
        return visited(row, found)
    with disk_errors(row.task):
        return going_on(row, Fate.KEPT, await look(attempt, row.task))


async def following(attempt: Attempt, row: TaskRow) -> Visited:
    """See whether the task of another store has ended, which frees its slot. Raises AttemptError."""
    with disk_errors(row.task):
        seen = await look(attempt, row.task)
    return going_on(row, Fate.ELSEWHERE if seen.status.terminal else Fate.RUNNING, seen)


async def cancelling(attempt: Attempt, row: TaskRow, picks: Picks) -> Visited:
    """Cancel the task, whoever waits for it, unless it has ended. Raises AttemptError."""
    return visited(row, await cancel(attempt, row, picks))


async def withdrawing(attempt: Attempt, row: TaskRow, picks: Picks) -> Visited:
    """Cancel the task, unless it has ended or another live process has it. Raises AttemptError."""
    return visited(row, await visit(attempt, row, picks, call_off))


@dataclass(slots=True)
class Round:
    """`errand`: what is done at a task of the store `store`; at one of another it is always `following`. `tell` hears of each
    task as its visit ends."""

    ports: Ports
    run: Run
    store: str
    picks: Picks
    errand: Errand
    tell: Callable[[Visited], None] = lambda each: None
    _visits: list[asyncio.Task[Visited]] = field(default_factory=list)
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _stopped: bool = False

    def stop(self) -> None:
        """Now: what was not visited to its end stays on record. From a signal handler."""
        self._stopped = True
        for each in self._visits:
            each.cancel()

    async def visit_all(self, rows: Iterable[tuple[TaskRow, ActionDoc]]) -> tuple[Visited, ...]:
        """A row for each, in the order given. Raises what nobody foresaw, once all visits have ended."""
        wanted = list(rows)
        beat = asyncio.create_task(self._beat())
        self._visits = [asyncio.create_task(self._visit(row, doc)) for row, doc in wanted]
        try:
            done = await asyncio.gather(*self._visits, return_exceptions=True)
        finally:
            beat.cancel()
        found: list[Visited] = []
        for (row, _), each in zip(wanted, done, strict=True):
            if isinstance(each, asyncio.CancelledError):
                found.append(not_seen(row))
                self.tell(found[-1])
            elif isinstance(each, BaseException):
                raise each
            else:
                found.append(each)
        return tuple(found)

    async def _visit(self, row: TaskRow, doc: ActionDoc) -> Visited:
        async with self._gate:
            found = not_seen(row) if self._stopped else await self._carry_out(row, doc)
        self._stopped = self._stopped or found.outside
        self.tell(found)
        return found

    async def _carry_out(self, row: TaskRow, doc: ActionDoc) -> Visited:
        run = replace(self.run, patience=PATIENCE, limits=lambda model: NOTHING)
        attempt = attempt_at(row, doc, self.ports, run, lambda event: None)
        try:
            if row.origin.store != self.store:
                return await following(attempt, row)
            return await self.errand(attempt, row, self.picks)
        except AttemptError as error:
            masked = replace(error.failure, message=self.ports.mask(error.failure.message))
            return failed(row, masked, foreign=is_foreign(attempt, row.task))

    async def _beat(self) -> None:
        """Show that this process lives, so that nobody takes over what it is downloading."""
        while True:
            await self.ports.clock.sleep(HEARTBEAT)
            with suppress(OSError):
                self.ports.ledger.heartbeat(self.run.owner)
