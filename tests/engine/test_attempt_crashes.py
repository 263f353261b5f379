"""Death, twins and cancellation at every point of an attempt: one submission, or a doubt that a person settles."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from flowrun.engine.attempt import execute
from flowrun.engine.failure import AttemptError, Verdict
from flowrun.ids import TaskId
from flowrun.ledger.protocol import Adopted, LimitName, Limits, Over
from flowrun.runway.errors import NotAcceptedError, SubmitFailure
from flowrun.runway.values import SandboxMark, TaskStatus
from flowrun.store.memory import MemoryResults
from tests.engine.fakes import DONE, MODEL, RUNNING, Crash, Process, World, a_doc, picture, seen
from tests.support.virtual_time import VirtualClock, run_virtual


def told(story: Callable[[World], Coroutine[Any, Any, Any]]) -> Any:
    async def main(clock: VirtualClock) -> Any:
        return await story(World(clock))

    return run_virtual(main)


# -- death: (where, method, whether its work was done, submissions at the API by then, whether it is in doubt)

DEATHS = [
    ("before the claim", "claim", False, 0, False),
    ("after the claim", "claim", True, 0, False),
    ("before the reservation", "reserve", False, 0, False),
    ("after the reservation", "reserve", True, 0, False),
    ("before the intent", "intend", False, 0, False),
    ("after the intent", "intend", True, 0, True),
    ("before the request left", "submit", False, 0, True),
    ("after the answer", "submit", True, 1, True),
    ("before the id is on record", "submitted", False, 1, True),
    ("after the id is on record", "submitted", True, 1, False),
    ("before a poll", "task", False, 1, False),
    ("after a poll", "task", True, 1, False),
    ("before the end is on record", "ended", False, 1, False),
    ("after the end is on record", "ended", True, 1, False),
    ("before the download", "download", False, 1, False),
    ("half a download", "half", False, 1, False),
    ("after the download", "download", True, 1, False),
    ("before the commit", "commit", False, 1, False),
    ("after the commit", "commit", True, 1, False),
    ("before the settlement", "settle", False, 1, False),
    ("after the settlement", "settle", True, 1, False),
]


@pytest.mark.parametrize(
    ("method", "after", "sent", "doubt"), [each[1:] for each in DEATHS], ids=[d[0] for d in DEATHS]
)
def test_a_death_at_any_point_pays_once(method, after, sent, doubt):
    async def story(world: World) -> None:
        anne, bob, doc = world.process(), world.process("bob"), a_doc()
        if method == "half":
            world.api.files["https://out.example/1"] = deque([Crash(), picture()])
        else:
            anne.fails[method] = (Crash(), after)
        with pytest.raises(Crash):
            await execute(anne.attempt(doc))
        assert len(world.api.bodies) == sent
        world.bury(anne)
        assert bool(world.ledger.uncertain()) == doubt
        if doubt:
            await stays_in_doubt(world, bob)
        carried = await execute(bob.attempt(doc))
        assert len(world.api.bodies) == 1
        assert world.stored(doc) == [carried.result.task] == ["task-1"]
        assert list(world.blobs.content.values()) == [picture()]
        assert not world.ledger.open()
        assert world.held == {}

    async def stays_in_doubt(world: World, bob: Process) -> None:
        """Nothing is sent until somebody says what became of it: here, that it is task-1."""
        sent = len(world.api.bodies)
        for _ in range(2):
            with pytest.raises(AttemptError) as caught:
                await execute(bob.attempt(a_doc()))
            assert caught.value.failure.verdict is Verdict.DOUBT
        assert len(world.api.bodies) == sent
        if not sent:
            await world.api.submit("/v1/text_to_image", {})
        (intent,) = world.ledger.uncertain()
        world.ledger.decide(intent.intent, Adopted(TaskId("task-1")))

    told(story)


def test_two_deaths_in_a_row():
    async def story(world: World) -> None:
        for number, method in enumerate(("task", "download", "commit", "settle")):
            process = world.process(f"owner-{number}")
            process.fails[method] = (Crash(), False)
            with pytest.raises(Crash):
                await execute(process.attempt(a_doc()))
            world.bury(process)
        assert (await execute(world.process("last").attempt(a_doc()))).result.task == "task-1"
        assert len(world.api.bodies) == 1

    told(story)


# -- two at once


@pytest.mark.parametrize("own_store", [False, True], ids=["one store", "two stores"])
@pytest.mark.parametrize("behind", [0.0, 0.5, 3.0, 13.0])
def test_two_owners_at_once_submit_once_and_both_have_it(own_store, behind):
    async def story(world: World) -> None:
        anne, bob = world.process(), world.process("bob")
        theirs = World(world.clock)
        if own_store:
            theirs.tables, theirs.api = world.tables, world.api
            bob.world = theirs

        async def late() -> Any:
            await world.clock.sleep(behind)
            return await execute(bob.attempt(a_doc()))

        one, two = await asyncio.gather(execute(anne.attempt(a_doc())), late())
        assert len(world.api.bodies) == 1
        assert one.result.id == two.result.id
        assert (one.made, two.made) == (True, False)
        assert world.stored(a_doc()) == ["task-1"]
        if own_store:
            assert theirs.stored(a_doc()) == ["task-1"]
        assert not world.ledger.open()

    told(story)


def test_one_owner_twice_at_once_submits_once():
    async def story(world: World) -> None:
        anne = world.process()
        answers = await asyncio.gather(
            execute(anne.attempt(a_doc())), execute(anne.attempt(a_doc())), return_exceptions=True
        )
        assert len(world.api.bodies) == 1
        codes = {each.failure.code for each in answers if isinstance(each, AttemptError)}
        assert codes <= {"claim-lost"}
        assert len(world.stored(a_doc())) == 1

    told(story)


def test_a_joiner_hears_of_a_failure_and_leaves_settling_to_the_owner():
    async def story(world: World) -> None:
        world.api.script = (RUNNING, seen("FAILED", failure_code="SAFETY.INPUT.TEXT", charged=5))
        anne, bob = world.process(), world.process("bob")
        answers = await asyncio.gather(
            execute(anne.attempt(a_doc())), execute(bob.attempt(a_doc())), return_exceptions=True
        )
        assert [each.failure.verdict for each in answers] == [Verdict.REJECT, Verdict.REJECT]
        assert len(world.api.bodies) == 1

    told(story)


async def dying(process: Process, method: str, *, after: bool) -> None:
    process.fails[method] = (Crash(), after)
    with pytest.raises(Crash):
        await execute(process.attempt(a_doc()))


@pytest.mark.parametrize("method", ["task", "download", "commit", "settle"])
def test_a_joiner_goes_on_alone_when_the_owner_dies_with_a_task(method):
    async def story(world: World) -> None:
        anne, bob = world.process(), world.process("bob")
        death = asyncio.create_task(dying(anne, method, after=False))
        await world.clock.sleep(2.0)
        carried = await execute(bob.attempt(a_doc()))
        await death
        assert carried.result.task == "task-1"
        assert len(world.api.bodies) == 1
        assert world.stored(a_doc()) == ["task-1"]

    told(story)


@pytest.mark.parametrize(("method", "doubt"), [("claim", False), ("intend", True)])
def test_a_joiner_starts_over_when_the_owner_dies_without_a_task(method, doubt):
    async def story(world: World) -> None:
        anne, bob = world.process(), world.process("bob")
        await dying(anne, method, after=True)
        joining = asyncio.create_task(execute(bob.attempt(a_doc())))
        await world.clock.sleep(60.0)
        assert not joining.done()
        assert not world.api.bodies
        world.bury(anne)
        if doubt:
            with pytest.raises(AttemptError) as caught:
                await joining
            assert caught.value.failure.verdict is Verdict.DOUBT
            return
        assert (await joining).made
        assert len(world.api.bodies) == 1

    told(story)


def test_a_joiner_starts_over_when_the_owner_was_refused():
    """It asks anew, with its own turn and its own credits: here they do not suffice."""

    async def story(world: World) -> None:
        anne, bob = world.process(), world.process("bob")
        world.api.answer_takes = 5.0
        world.api.submissions.append(NotAcceptedError("busy", SubmitFailure.OVERLOADED))
        first = asyncio.create_task(execute(anne.attempt(a_doc())))
        await world.clock.sleep(1.0)
        joining = asyncio.create_task(execute(bob.attempt(a_doc())))
        await world.clock.sleep(1.0)
        world.limits = Limits(run_cap=1)
        with pytest.raises(AttemptError):
            await first
        with pytest.raises(Exception, match="over run-cap") as caught:
            await joining
        assert caught.value.over == Over(LimitName.RUN_CAP, 1)
        assert world.claims == []

    told(story)


def test_a_joiner_that_starts_over_holds_nothing_before_its_turn():
    """Within a scheduler, whoever joined must ask again: nothing is sent in the middle of waiting for somebody else."""
    from flowrun.engine.attempt import Joined, admit, carry_out

    async def story(world: World) -> None:
        anne, bob = world.process(), world.process("bob")
        await dying(anne, "claim", after=True)
        joined = admit(bob.attempt(a_doc()))
        assert isinstance(joined, Joined)
        world.bury(anne)
        with pytest.raises(AttemptError) as caught:
            await carry_out(bob.attempt(a_doc()), joined)
        failure = caught.value.failure
        assert (failure.verdict, failure.code, failure.charged) == (Verdict.RESEND, "owner-gone", 0)
        assert (world.claims, world.held, world.api.bodies) == ([], {}, [])

    told(story)


def test_a_joiner_without_a_task_finds_what_was_made_meanwhile():
    async def story(world: World) -> None:
        anne, bob = world.process(), world.process("bob")
        world.api.script, world.api.sandbox = (DONE,), SandboxMark(poll=0.1)
        made = asyncio.create_task(execute(anne.attempt(a_doc())))
        await world.clock.sleep(0.1)
        carried = await execute(bob.attempt(a_doc()))
        assert not carried.made
        assert world.api.downloads.total() == 1
        await made

    told(story)


def test_a_joiner_without_a_task_takes_up_what_a_dead_owner_sent():
    async def story(world: World) -> None:
        anne, bob = world.process(), world.process("bob")
        death = asyncio.create_task(dying(anne, "submitted", after=True))
        await world.clock.sleep(0.1)
        joining = asyncio.create_task(execute(bob.attempt(a_doc())))
        await death
        world.bury(anne)
        carried = await joining
        assert (carried.made, len(world.api.bodies)) == (True, 1)
        assert not world.ledger.open()

    told(story)


# -- cancellation: where, and what the ledger knows then


async def cancelled_at(world: World, process: Process, seconds: float) -> None:
    work = asyncio.create_task(execute(process.attempt(a_doc())))
    await world.clock.sleep(seconds)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work


def test_cancelled_while_sending_it_is_doubt():
    async def story(world: World) -> None:
        world.api.answer_takes = 10.0
        await cancelled_at(world, world.process(), 5.0)
        (intent,) = world.ledger.uncertain()
        assert intent.evidence["error"] == "CancelledError"
        assert world.claims == []

    told(story)


@pytest.mark.parametrize("seconds", [1.5, 7.0, 12.0])
def test_cancelled_while_polling_the_task_stays_open(seconds):
    async def story(world: World) -> None:
        anne = world.process()
        world.api.script = (*[RUNNING] * 9, DONE)
        await cancelled_at(world, anne, seconds)
        assert [row.status for row, _ in world.ledger.open()] == ["open"]
        assert world.ledger.uncertain() == ()
        assert world.held == {MODEL: 1}
        world.ledger.retire(anne.owner)
        assert (await execute(world.process("bob").attempt(a_doc()))).made
        assert len(world.api.bodies) == 1

    told(story)


def test_cancelled_while_collecting_nothing_half_is_kept():
    async def story(world: World) -> None:
        world.api.script = (DONE,)
        work = asyncio.create_task(execute(world.process().attempt(a_doc())))
        while not world.api.downloads:
            await world.clock.sleep(0.1)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert [row.status for row, _ in world.ledger.open()] == [TaskStatus.SUCCEEDED]
        assert world.blobs.content == {}
        assert world.held == {}

    told(story)


def test_cancelled_while_waiting_for_a_turn_nothing_is_held():
    async def story(world: World) -> None:
        world.limits = Limits(concurrency=1)
        other = asyncio.create_task(execute(world.process().attempt(a_doc("other"))))
        await world.clock.sleep(0.5)
        await cancelled_at(world, world.process("bob"), 1.0)
        assert world.claims == ["key-other"]
        await other

    told(story)


def test_a_store_of_ones_own_is_not_a_store_of_the_ledger():
    """A joiner's commit does not settle: the owner's store still lacks the result."""

    async def story(world: World) -> None:
        anne, bob = world.process(), world.process("bob")
        death = asyncio.create_task(dying(anne, "commit", after=False))
        await world.clock.sleep(2.0)
        bob.world = World(world.clock)
        bob.world.tables, bob.world.api = world.tables, world.api
        assert isinstance(bob.world.results, MemoryResults)
        await execute(bob.attempt(a_doc()))
        await death
        assert world.stored(a_doc()) == []
        assert len(world.ledger.open()) == 1
        world.bury(anne)
        carol = world.process("carol")
        assert (await execute(carol.attempt(a_doc()))).made
        assert (len(world.api.bodies), world.stored(a_doc())) == (1, ["task-1"])

    told(story)
