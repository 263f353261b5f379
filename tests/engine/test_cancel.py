"""Cancelling one task: what it costs where the API tells, and whose 404 means what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flowrun.engine.attempt import execute
from flowrun.engine.cancel import cancel
from flowrun.engine.failure import AttemptError
from flowrun.engine.ports import CANCELLING, SPEAKER
from flowrun.engine.round import withdrawing
from flowrun.engine.visit import GoesOn, Kept, attempt_at
from flowrun.engine.visited import Fate, failed
from flowrun.runway.errors import GoneError
from flowrun.store.memory import MemoryPicks
from tests.engine.fakes import RUNNING, Process, World, a_doc, seen
from tests.support.virtual_time import run_virtual

GONE = GoneError("404", status=404)
KEY, OTHER = "key-1", "key-2"


def played(story: Callable[[World], Any]) -> Any:
    return run_virtual(lambda clock: story(World(clock)))


async def in_flight(world: World, speaker: str = KEY) -> tuple[Any, Any]:
    """A task that a process has sent and left."""
    process = world.process()
    world.api.script = (RUNNING,)
    attempt = process.attempt(a_doc())
    sending = asyncio.create_task(execute(replace(attempt, ports=replace(attempt.ports, speaker=speaker))))
    await world.clock.sleep(8.0)
    sending.cancel()
    world.ledger.retire(process.owner)
    ((row, doc),) = world.ledger.open()
    return row, doc


def visitor(world: World, row: Any, doc: Any, speaker: str = KEY) -> Any:
    process: Process = world.process("bob")
    attempt = process.attempt(doc)
    return attempt_at(row, doc, replace(attempt.ports, speaker=speaker), attempt.run, lambda event: None)


@pytest.mark.parametrize(("told", "booked"), [(3, 3), (0, 0), (None, None)])
def test_a_cost_that_the_api_tells_of_a_cancelled_task_is_booked(told: int | None, booked: int | None) -> None:
    async def story(world: World) -> None:
        row, doc = await in_flight(world)
        world.api.after_deletion = (seen("CANCELLED", charged=told),)
        with pytest.raises(AttemptError) as caught:
            await cancel(visitor(world, row, doc), row, MemoryPicks())
        assert (caught.value.failure.code, caught.value.failure.charged) == ("CANCELLED", booked)
        (settled,) = world.ledger.tasks()
        assert (settled.settled, settled.charged, settled.status) == (True, booked, "CANCELLED")
        assert world.ledger.committed(row.run) == (5 if booked is None else booked)
        assert world.claims == []

    played(story)


def test_a_task_that_goes_on_all_the_same_stays_open_and_is_nobodys() -> None:
    async def story(world: World) -> None:
        row, doc = await in_flight(world)
        world.api.after_deletion = (RUNNING,)
        assert isinstance(await cancel(visitor(world, row, doc), row, MemoryPicks()), GoesOn)
        assert (len(world.ledger.open()), world.claims, world.api.deleted) == (1, [], [row.task])
        assert world.ledger.evidence(row.task)[CANCELLING] == KEY

    played(story)


@pytest.mark.parametrize(("asker", "fate"), [(KEY, Fate.CANCELLED), (OTHER, Fate.CANCELLED), ("key-3", Fate.FOREIGN)])
def test_a_404_is_our_cancelling_to_whoever_sent_or_cancelled_and_nothing_to_a_third_key(
    asker: str, fate: Fate
) -> None:
    async def story(world: World) -> None:
        row, doc = await in_flight(world)
        assert world.ledger.evidence(row.task)[SPEAKER] == KEY
        world.ledger.note(row.task, {CANCELLING: OTHER})
        world.api.polls[row.task].clear()
        world.api.polls[row.task].append(GONE)
        with pytest.raises(AttemptError) as caught:
            await cancel(visitor(world, row, doc, asker), row, MemoryPicks())
        foreign = fate is Fate.FOREIGN
        assert failed(row, caught.value.failure, foreign=foreign).fate is fate
        assert len(world.ledger.open()) == int(foreign)
        assert world.api.deleted == []

    played(story)


def test_a_404_without_our_note_is_a_lost_result() -> None:
    async def story(world: World) -> None:
        row, doc = await in_flight(world)
        world.api.polls[row.task].clear()
        world.api.polls[row.task].append(GONE)
        with pytest.raises(AttemptError, match="about 5 credits") as caught:
            await cancel(visitor(world, row, doc), row, MemoryPicks())
        assert caught.value.failure.code == "TASK_GONE"

    played(story)


def test_what_a_live_process_has_in_hand_is_settled_by_whoever_sees_its_end_first() -> None:
    async def story(world: World) -> None:
        row, doc = await in_flight(world)
        world.ledger.claim(doc, row.origin, row.run, world.process().owner)
        world.api.after_deletion = (GONE,)
        with pytest.raises(AttemptError) as caught:
            await cancel(visitor(world, row, doc), row, MemoryPicks())
        assert caught.value.failure.code == "CANCELLED"
        assert world.ledger.open() == ()

    played(story)


def test_a_finished_task_that_a_live_process_has_in_hand_is_its_own() -> None:
    async def story(world: World) -> None:
        row, doc = await in_flight(world)
        world.ledger.claim(doc, row.origin, row.run, world.process().owner)
        world.api.polls[row.task].clear()
        world.api.polls[row.task].append(seen("SUCCEEDED"))
        assert isinstance(await cancel(visitor(world, row, doc), row, MemoryPicks()), Kept)
        assert (world.api.deleted, len(world.ledger.open())) == ([], 1)

    played(story)


def test_a_run_that_withdraws_leaves_what_another_live_process_has_taken_over() -> None:
    """It was frozen, taken for dead, and is interrupted after it woke: the task that it once sent is another's now."""

    async def story(world: World) -> None:
        row, doc = await in_flight(world)
        world.ledger.claim(doc, row.origin, row.run, world.process().owner)
        world.api.after_deletion = (GONE,)
        found = await withdrawing(visitor(world, row, doc), row, MemoryPicks())
        assert (found.fate, world.api.deleted, len(world.ledger.open())) == (Fate.KEPT, [], 1)

    played(story)
