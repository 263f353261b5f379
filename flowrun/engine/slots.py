"""Seeing that a slot has come free that no unit of this run held. A unit's task tells of its end; that any other has ended,
another process's above all, stands in the ledger alone. Owns what is waited for and when to look; who gets a free slot stays the
ledger's word.

Looking costs next to nothing as long as nobody writes, so it can be done several times a second. Without it a slot would be idle
until a full model is asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flowrun.engine.events import SlotFreed
from flowrun.engine.ports import Ports, Run

LOOK = 0.2  # seconds between two looks
LOOK_SELDOM = 2.0  # where no slot has changed hands for a while
QUIET = 10.0  # looks are as far apart as one such part of the time since one did


@dataclass(slots=True)
class SlotWatch:
    """Over one run. `tell` hears of slots that have come free, `fail` of an error that ends the watch."""

    ports: Ports
    run: Run
    tell: Callable[[SlotFreed], None]
    fail: Callable[[Exception], None]
    _full: set[str] = field(default_factory=set)  # models with slots that others hold
    _seen: int | None = None
    _held: Mapping[str, int] = field(default_factory=dict)
    _moved: float = 0.0  # when a slot was last seen to have changed hands
    _contended: asyncio.Event = field(default_factory=asyncio.Event)

    def refused(self, model: str) -> None:
        """Something waits for a slot of a model, and others hold some. It will be told once that one has come free."""
        if not self._full:
            self._moved = self.ports.clock.now()
        self._full.add(model)
        self._contended.set()

    async def watch(self) -> None:
        """Until it is cancelled. A full disk for a moment ends nothing."""
        while True:
            await self._contended.wait()
            await self.ports.clock.sleep(min(LOOK_SELDOM, max(LOOK, (self.ports.clock.now() - self._moved) / QUIET)))
            try:
                before, self._seen = self._seen, self.ports.ledger.changes()
                if self._seen != before:
                    self._tell_freed()
            except OSError:
                self._seen = None
            except Exception as error:
                self.fail(error)
                return

    def _tell_freed(self) -> None:
        for model in self._freed():
            self.tell(SlotFreed(self.ports.clock.now(), model))

    def _freed(self) -> list[str]:
        held = self.ports.ledger.in_flight()
        if held != self._held:
            self._held, self._moved = held, self.ports.clock.now()
        limits = {model: self.run.limits(model).concurrency for model in self._full}
        found = sorted(model for model, limit in limits.items() if limit is None or held.get(model, 0) < limit)
        self._full.difference_update(found)
        if not self._full:
            self._contended.clear()
        return found
