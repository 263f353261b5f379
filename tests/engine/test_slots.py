"""A slot that another process has freed is seen in the ledger: soon, once, and without asking while nobody writes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from flowrun.engine import events as ev
from flowrun.engine.attempt import execute
from flowrun.engine.commands import Admit
from flowrun.engine.slots import LOOK_SELDOM, SlotWatch
from flowrun.ledger.protocol import LedgerDamagedError, Limits
from tests.engine.fakes import DISK_FULL, DONE, MODEL, RUNNING, Process, World, a_doc
from tests.engine.test_scheduler import NOW, decided, feed, grow, running, spec
from tests.support.virtual_time import VirtualClock, run_virtual


class Watched:
    """Anne makes something with the only slot of a model; Bob waits for it."""

    def __init__(self, clock: VirtualClock) -> None:
        self.world = World(clock, Limits(concurrency=1))
        self.world.api.script = (*[RUNNING] * 5, DONE)
        self.bob = self.world.process("bob")
        self.told: list[ev.SlotFreed] = []
        self.failed: list[Exception] = []
        self.watch = SlotWatch(self.bob.ports(), self.bob.attempt(a_doc()).run, self.told.append, self.failed.append)

    async def play(self, anne: Process) -> list[ev.Ended]:
        watching = asyncio.create_task(self.watch.watch())
        await execute(anne.attempt(a_doc("b")))
        await self.world.clock.sleep(60.0)
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        return [event for event in anne.reports if isinstance(event, ev.Ended)]


def watched(story: Callable[[Watched], Awaitable[None]]) -> None:
    run_virtual(lambda clock: story(Watched(clock)))


def test_a_slot_that_another_frees_is_told_of_once_and_soon() -> None:
    async def story(seen: Watched) -> None:
        seen.watch.refused(MODEL)
        [ended] = await seen.play(seen.world.process("anne"))
        [told] = seen.told
        assert told.model == MODEL
        assert ended.at <= told.at <= ended.at + LOOK_SELDOM + 1e-6

    watched(story)


def test_who_waits_for_nothing_does_not_look() -> None:
    async def story(seen: Watched) -> None:
        seen.bob.fails["changes"] = (AssertionError("looked"), False)
        await seen.play(seen.world.process("anne"))
        assert (seen.told, seen.failed) == ([], [])

    watched(story)


def test_while_nobody_writes_nothing_is_counted() -> None:
    async def story(seen: Watched) -> None:
        looks: list[float] = []
        ledger = seen.watch.ports.ledger._target
        known = ledger.in_flight
        ledger.in_flight = lambda: looks.append(seen.world.clock.now()) or known()
        seen.watch.refused(MODEL)
        await seen.play(seen.world.process("anne"))
        assert len(looks) < 15, "a look a write, of some 300 in a minute and a half"

    watched(story)


def test_a_full_disk_for_a_moment_ends_no_watch_and_a_damaged_ledger_does() -> None:
    async def story(seen: Watched) -> None:
        seen.bob.fails["changes"] = (DISK_FULL, False)
        seen.watch.refused(MODEL)
        await seen.play(seen.world.process("anne"))
        assert (len(seen.told), seen.failed) == (1, [])
        seen.bob.fails["changes"] = (LedgerDamagedError("broken"), False)
        seen.watch.refused(MODEL)
        await seen.watch.watch()
        assert [str(each) for each in seen.failed] == ["broken"]

    watched(story)


def test_a_full_model_is_asked_again_at_once_when_another_process_frees_a_slot() -> None:
    scheduler = running()
    grow(scheduler, ("y", (), 1.0))
    decided(scheduler, "y", spec())
    feed(scheduler, ev.Queued(NOW, "y#1", "concurrency", None, 1))
    assert feed(scheduler, ev.SlotFreed(NOW, "other")) == []
    assert feed(scheduler, ev.SlotFreed(NOW, "m")) == [Admit("y#1")]
