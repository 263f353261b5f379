"""Tasks that earlier runs left at the API: looked at in every run, collected when they are done, whatever became of their
manifest. Owns that walk; a task that this run's own plan takes up is the scheduler's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from flowrun.action import ActionDoc
from flowrun.engine import events as ev
from flowrun.engine.failure import AttemptError
from flowrun.engine.follow import poll_to_end
from flowrun.engine.ports import Attempt, Ports, Run
from flowrun.engine.visit import Collected, attempt_at, visit
from flowrun.engine.visited import ON_RECORD, failed
from flowrun.ids import ActionKey, TaskId
from flowrun.ledger.protocol import TaskRow
from flowrun.runway.values import Task
from flowrun.store.protocol import Picks


@dataclass(slots=True)
class Recovery:
    """`store`: the folder whose tasks we collect; those of other stores are only followed to their end, which frees their
    slots. `picks`: a result that was forced flows on, also where it is collected here."""

    ports: Ports
    run: Run
    store: str
    picks: Picks
    emit: Callable[[ev.Event], None]
    _looks: list[asyncio.Event] = field(default_factory=list)

    def walks(self, planned: Collection[ActionKey]) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        """One coroutine for each open task that is not planned, with a name."""
        return self._walks((row, doc) for row, doc in self.ports.ledger.open() if row.key not in planned)

    def walks_for_slots(
        self, models: Collection[str], planned: Collection[ActionKey], followed: Collection[str]
    ) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        """The same for tasks that may still hold a slot of one of `models`, but those that are `followed` already."""
        left = ((row, doc) for row, doc in self.ports.ledger.open() if row.ended_at is None and row.model in models)
        return self._walks((row, doc) for row, doc in left if row.key not in planned and row.task not in followed)

    def _walks(self, rows: Iterable[tuple[TaskRow, ActionDoc]]) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        return [(f"recover {row.task}", self._recover(row, doc)) for row, doc in rows]

    async def looked(self) -> None:
        """Until every task has been looked at once, and what had ended by then is collected."""
        for look in self._looks:
            await look.wait()

    async def _recover(self, row: TaskRow, doc: ActionDoc) -> None:
        look = asyncio.Event()
        self._looks.append(look)

        def report(event: ev.Event) -> None:
            if isinstance(event, ev.Progressed):  # it goes on at the API: nobody has to wait for it
                look.set()

        attempt = attempt_at(row, doc, self.ports, self.run, report)
        try:
            await self._follow(attempt, row)
        except AttemptError as error:  # what goes wrong with an old task must not reach this run's own
            found = failed(row, error.failure, foreign=False)  # on record it is either way
            status = "left" if found.fate in ON_RECORD else "failed"
            self._tell(attempt, row, status, self.ports.mask(error.failure.message))
        except Exception as error:
            self._tell(attempt, row, "left", self.ports.mask(str(error)) or type(error).__name__)
        finally:
            look.set()

    async def _follow(self, attempt: Attempt, row: TaskRow) -> None:
        if row.origin.store != self.store:
            await _to_its_end(attempt, row.task)
            return
        found = await visit(attempt, row, self.picks, _to_its_end)
        if isinstance(found, Collected) and found.now:
            self._tell(attempt, row, "collected", found.result.id)

    def _tell(self, attempt: Attempt, row: TaskRow, status: str, detail: str) -> None:
        self.emit(ev.Recovered(attempt.now(), row.origin.address, row.task, status, detail))


async def _to_its_end(attempt: Attempt, task: TaskId) -> Task:
    """Whatever the node's timeout, which is for who waits for it."""
    return await poll_to_end(replace(attempt, doc=replace(attempt.doc, timeout=None)), task, True)
