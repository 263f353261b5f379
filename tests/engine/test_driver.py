"""The driver with everything real but the planner: what is sent, and what becomes of it when the run is stopped."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from flowrun.action import ActionDoc
from flowrun.engine import events as ev
from flowrun.engine.commands import Settle
from flowrun.engine.driver import HEARTBEAT, Driver
from flowrun.engine.failure import Failure, Verdict
from flowrun.engine.ports import Place, unplaced
from flowrun.engine.scheduler import Scheduler, unit_name
from flowrun.engine.shortfall import Unfit
from flowrun.engine.summary import Summary
from flowrun.ledger.protocol import Limits
from flowrun.runway.errors import KeyRefusedError, NotAcceptedError, SubmitFailure
from tests.engine.fakes import DISK_FULL, DONE, MODEL, ORIGIN, RUNNING, World, a_doc, seen
from tests.support.virtual_time import VirtualClock, run_virtual


@dataclass
class Decisions:
    """Stands for planner and Deciding: each address has its documents, one a take."""

    process: Any
    docs: dict[str, tuple[ActionDoc, ...]]
    prepare: bool = False
    stash_error: BaseException | None = None
    resumed: frozenset[str] = frozenset()
    reap_after: float = 60.0
    units: dict[str, Any] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    settled: list[Settle] = field(default_factory=list)
    anew: dict[str, bool] = field(default_factory=dict)
    shares: dict[str, bool] = field(default_factory=lambda: defaultdict(bool))

    def __post_init__(self) -> None:
        self.ports = self.process.ports()
        self.run = self.process.attempt(a_doc()).run

    async def decide(self, address: str) -> ev.Decided:
        specs = []
        for take, doc in enumerate(self.docs[address], 1):
            self.units[unit_name(address, take)] = (doc, ORIGIN)
            specs.append(ev.UnitSpec(take, "run", doc.model, doc.credits, self.prepare))
        return ev.Decided(self.ports.clock.now(), address, "run", None, tuple(specs))

    def refused_meanwhile(self, unit: str) -> None:
        """Nobody else sends anything here."""

    async def stash(self, unit: str) -> None:
        if self.stash_error:
            raise self.stash_error

    def settle(self, command: Settle) -> None:
        self.settled.append(command)

    def placer(self, unit: str) -> Place:
        return unplaced

    def lost_twin(self) -> Failure:
        return Failure(Verdict.RESEND, "twin-lost", "gone", charged=0, delay=1.0)


@dataclass
class Play:
    """A run of these documents; what depends on what is `below`."""

    world: World
    docs: dict[str, tuple[ActionDoc, ...]]
    below: dict[str, tuple[str, ...]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    events: list[ev.Event] = field(default_factory=list)
    summary: Summary = field(default_factory=Summary)
    hook: Callable[[ev.Event], None] = lambda event: None

    def __post_init__(self) -> None:
        self.process = self.world.process()
        self.deciding = Decisions(self.process, self.docs)
        self.driver = Driver(Scheduler(**self.options), self.deciding, self.hear, lambda owner: False, checks=True)

    def hear(self, event: ev.Event) -> None:
        self.events.append(event)
        self.summary.take_in(event)
        self.hook(event)

    async def run(self) -> Play:
        items = tuple(ev.Item(name, self.below.get(name, ()), 1.0, place) for place, name in enumerate(self.docs))
        await self.driver.run(ev.Expanded(self.world.clock.now(), items))
        return self

    @property
    def kinds(self) -> list[str]:
        return [event.type for event in self.events]


def told(story: Callable[[World], Coroutine[Any, Any, Any]]) -> Any:
    async def main(clock: VirtualClock) -> Any:
        return await story(World(clock))

    return run_virtual(main, longest=86_400.0)


def test_a_chain_and_a_fan_out_within_two_slots():
    async def story(world: World) -> None:
        names = ["first", "a", "b", "c", "last"]
        play = Play(
            world,
            {name: (a_doc(name),) for name in names},
            {"a": ("first",), "b": ("first",), "c": ("first",), "last": ("a", "b", "c")},
        )
        await play.run()
        assert play.summary.counts() == {"succeeded": 5}
        assert (play.summary.submitted, play.summary.credits) == (5, 25)
        assert [each.address for each in play.deciding.settled][0::4] == ["first", "last"]
        assert world.held == {}
        flying, most = 0, 0
        for kind in play.kinds:
            flying += (kind == "granted") - (kind == "ended")
            most = max(most, flying)
        assert most == 2

    told(story)


def test_twins_share_one_request():
    async def story(world: World) -> None:
        play = await Play(world, {"a": (a_doc("same"),), "b": (a_doc("same"),)}).run()
        assert len(world.api.bodies) == 1
        assert play.summary.counts() == {"succeeded": 1, "reused": 1}

    told(story)


def test_twins_share_a_failure():
    async def story(world: World) -> None:
        world.api.script = (seen("FAILED", failure_code="SAFETY.INPUT.TEXT"),)
        play = await Play(world, {"a": (a_doc("same"),), "b": (a_doc("same"),)}).run()
        assert len(world.api.bodies) == 1
        assert play.summary.counts() == {"rejected": 2}

    told(story)


def test_an_overloaded_api_is_asked_again():
    async def story(world: World) -> None:
        world.api.submissions.extend(NotAcceptedError("503", SubmitFailure.OVERLOADED) for _ in range(3))
        play = await Play(world, {"a": (a_doc(),)}).run()
        assert play.summary.counts() == {"succeeded": 1}
        assert play.kinds.count("attempt-failed") == 3

    told(story)


def test_what_another_process_is_making_is_collected_here_too():
    async def story(world: World) -> None:
        from flowrun.engine.attempt import execute

        bob = asyncio.create_task(execute(world.process("bob").attempt(a_doc())))
        await world.clock.sleep(2.0)
        play = await Play(world, {"a": (a_doc(),)}).run()
        await bob
        assert play.summary.counts() == {"reused": 1}
        assert "granted" in play.kinds
        assert len(world.api.bodies) == 1

    told(story)


def test_an_empty_purse_at_the_ledger_parks_and_ends():
    async def story(world: World) -> None:
        world.limits = Limits(run_cap=7)
        play = await Play(world, {"a": (a_doc("a"),), "b": (a_doc("b"),)}).run()
        assert play.summary.counts() == {"succeeded": 1, "pending": 1}
        assert play.summary.over == {"b#1": Unfit("run-cap", 5, 2)}

    told(story)


@pytest.mark.parametrize("kind", ["granted", "submitted", "ended", "decided"])
@pytest.mark.parametrize("times", [1, 2])
def test_interrupted_at_any_event_it_ends_soon_and_nothing_is_lost(kind, times):
    async def story(world: World) -> None:
        world.api.script = (*[RUNNING] * 500, DONE) if kind == "submitted" else (DONE,)
        play = Play(world, {name: (a_doc(name),) for name in "abc"})

        def stop(event: ev.Event) -> None:
            if event.type == kind and "interrupted" not in play.kinds:
                for number in range(times):
                    play.driver.interrupt(number + 1)

        play.hook = stop
        began = world.clock.now()
        await play.run()
        assert world.clock.now() - began < 20.0
        place = play.kinds.index("interrupted")
        assert "granted" not in play.kinds[place:]
        world.ledger.retire(play.process.owner)
        recorded = len(world.ledger.tasks()) + len(world.ledger.uncertain())
        assert recorded == len(world.api.bodies)
        if times == 1:
            assert not world.ledger.uncertain()
        if kind == "submitted":
            assert [row.status for row, _ in world.ledger.open()][:1] == ["open"]
            assert "a#1" in play.summary.left
            assert play.summary.left["a#1"] == "task-1"

    told(story)


@pytest.mark.parametrize(("kind", "granted"), [("decided", []), ("granted", ["a#1"])])
def test_interrupted_twice_before_a_grant_is_acted_on_nothing_is_sent_and_it_ends(kind: str, granted: list[str]):
    """Nothing is granted once it was heard of; a task that never began to run is left all the same."""

    async def story(world: World) -> None:
        play = Play(world, {"a": (a_doc("a"),), "b": (a_doc("b"),)})

        def stop(event: ev.Event) -> None:
            if event.type == kind and kind not in play.kinds[:-1]:
                play.driver.interrupt(1)
                play.driver.interrupt(2)

        play.hook = stop
        await play.run()
        assert not world.api.bodies
        left = [event.unit for event in play.events if isinstance(event, ev.Left)]
        assert left == [event.unit for event in play.events if isinstance(event, ev.Granted)] == granted
        assert play.summary.left == {}  # nothing of them is at the API
        assert not world.ledger.uncertain()

    told(story)


def test_the_first_slot_goes_to_the_longest_chain_though_others_are_decided_before_it():
    async def story(world: World) -> None:
        world.limits = Limits(1)
        names = ["a", "b", "head", "middle", "end"]
        play = Play(world, {name: (a_doc(name),) for name in names}, {"middle": ("head",), "end": ("middle",)})
        await play.run()
        granted = [event.unit for event in play.events if isinstance(event, ev.Granted)]
        assert granted[0] == "head#1"
        assert len(granted) == 5

    told(story)


def test_interrupted_before_it_began():
    async def story(world: World) -> None:
        play = Play(world, {"a": (a_doc(),)})
        play.driver.interrupt(1)
        await play.run()
        assert play.kinds == ["interrupted"]

    told(story)


def test_a_full_disk_during_a_heartbeat_ends_nothing():
    async def story(world: World) -> None:
        world.api.script = (*[RUNNING] * 20, DONE)
        play = Play(world, {"a": (a_doc(),)})
        play.process.fails["heartbeat"] = (DISK_FULL, False)
        await play.run()
        assert play.summary.counts() == {"succeeded": 1}
        assert "heartbeat" not in play.process.fails
        (owner,) = world.ledger.owners()
        assert world.clock.now() - owner.heartbeat <= HEARTBEAT

    told(story)


@pytest.mark.parametrize("method", ["claim", "intend", "settle"])
def test_a_full_disk_of_the_ledger_stops_the_run_with_words(method):
    async def story(world: World) -> None:
        play = Play(world, {"a": (a_doc("a"),), "b": (a_doc("b"),)})
        play.process.fails[method] = (DISK_FULL, False)
        await play.run()
        assert play.driver.scheduler.stopping == "surroundings"
        assert {trouble.code for trouble in play.summary.troubles.values()} == {"disk-full"}

    told(story)


@pytest.mark.parametrize(
    ("error", "code"), [(DISK_FULL, "disk-full"), (KeyRefusedError("401"), "key-refused"), (None, None)]
)
def test_media_are_brought_first(error, code):
    async def story(world: World) -> None:
        play = Play(world, {"a": (a_doc(),)})
        play.deciding.prepare, play.deciding.stash_error = True, error
        await play.run()
        assert play.kinds[2] == ("attempt-failed" if error else "prepared")
        assert [trouble.code for trouble in play.summary.troubles.values()] == ([code] if error else [])

    told(story)


def test_a_bug_ends_everything_and_is_raised_and_what_was_sent_stays_on_record():
    async def story(world: World) -> None:
        play = Play(world, {"a": (a_doc("a"),), "b": (a_doc("b"),)})

        def broken(event: ev.Event) -> None:
            if event.type == "progressed":
                raise ZeroDivisionError("a bug")

        play.hook = broken
        with pytest.raises(ExceptionGroup):
            await play.run()
        assert len(world.ledger.open()) == 2
        assert world.held == {MODEL: 2}
        assert {row.status for row, _ in world.ledger.open()} == {"open"}

    told(story)
