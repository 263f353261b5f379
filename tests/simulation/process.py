"""A process that is not one: a task of the virtual loop with an owner id, a clock that stands still while it is frozen, and a
moment at which it dies. Owns dying: from that moment on no port of it does anything, as nothing of a killed process does."""

from __future__ import annotations

import asyncio
import errno
import os
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.model import Visit
from tests.support.virtual_time import HangError, VirtualClock

WRITING = ("before ledger.", "before store.", "before blob.", "before export", "within export")
WITHIN_A_TRANSACTION = ("journal.write",)
NAPS = 20_000  # of one process, whatever it waits for: polls, pauses, looks at whether another has freed a slot


class Died(BaseException):
    """As if by SIGKILL: nobody catches it."""


@dataclass(slots=True, eq=False)
class Process:
    """`moments`: operations of its ports so far, one before and one after each."""

    name: str
    pid: int
    visit: Visit
    clock: VirtualClock
    tell: Callable[[str], None]
    moments: int = 0
    named: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    dead: str = ""
    stopped: int = 0
    over: bool = False
    naps: int = 0
    freezes: int = 0
    refusing: int = 0
    refused: int = 0
    sleepers: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def host(self) -> str:
        return f"host-{self.visit.host}"

    @property
    def lives(self) -> bool:
        return not (self.dead or self.over)

    @property
    def death(self) -> tuple[str, int] | None:
        """Where it died, in words that hold in a smaller case too."""
        return (self.dead, self.named[self.dead]) if self.dead else None

    def moment(self, name: str) -> None:
        """Before or after an operation. Raises Died, from the visit's death on."""
        if self.dead:
            raise Died(name)
        self.moments += 1
        self.named[name] += 1
        self._stand_still(name)
        if self.visit.death in (self.moments, (name, self.named[name])):
            self.dead = name
            self.tell(f"dies {name}")
            for each in list(self.sleepers):
                each.cancel()
            raise Died(name)
        self._find_room(name)

    def _find_room(self, name: str) -> None:
        """Raises OSError for a write while the disk is full, which it is for some writes from the visit's moment on."""
        if self.visit.full is not None and self.visit.full[0] in (self.moments, (name, self.named[name])):
            self.refusing = self.visit.full[1]
        if self.refusing and name.startswith(WRITING):
            self.refusing -= 1
            self.refused += 1
            self.tell(f"the disk is full {name}")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)

    def _stand_still(self, name: str) -> None:
        """As if by SIGSTOP and SIGCONT, wherever it is: everybody else goes on. But not within a transaction of the ledger, for
        which the others would wait in real time, and then say that the ledger is locked."""
        if self.visit.freeze is None or self.visit.freeze[0] not in (self.moments, (name, self.named[name])):
            return
        if name.endswith(WITHIN_A_TRANSACTION):
            return
        self.tell(f"stands still for {self.visit.freeze[1]:g} s {name}")
        self.freezes += 1
        self.clock.hold(self.visit.freeze[1], lambda context: context.get(RUNNING) is self)
        self.tell("goes on")

    def is_stopped_at(self, event: str) -> bool:
        """Count one more event; whether a person presses Ctrl-C at it."""
        self.events[event] += 1
        stops = bool({self.events.total(), (event, self.events[event])} & set(self.visit.interrupts))
        self.stopped += stops
        return stops

    async def thaw(self) -> None:
        """The dead do not go on. Raises Died."""
        if self.dead:
            raise Died("asleep")

    async def sleep(self, seconds: float) -> None:
        await self._asleep(max(0.0, seconds))
        await self.thaw()

    def now(self) -> float:
        return self.clock.now()

    async def _asleep(self, seconds: float) -> None:
        self.naps += 1
        if self.naps > NAPS:
            raise HangError(f"{self.name} has slept {NAPS:,} times, and no end is in sight")
        task = asyncio.current_task()
        assert task is not None
        self.sleepers.add(task)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.sleepers.discard(task)


RUNNING: ContextVar[Process | None] = ContextVar("process", default=None)


def moment(name: str) -> None:
    """A moment of the process that runs here, if one does."""
    process = RUNNING.get()
    if process is not None:
        process.moment(name)


def is_death(error: BaseException | None) -> bool:
    """Whether an error is what is left of a death."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(is_death, error.exceptions))
    if error is None:
        return False
    return isinstance(error, Died) or is_death(error.__context__) or is_death(error.__cause__)
