"""The scheduler: a pure state machine with one door, `handle(event, now) -> commands`.

Rules of this file:
- An instance is decided when everything upstream is settled, and settled once, when its outcome is known.
- What is ready starts in order of its longest remaining path; the ledger grants, the scheduler only asks, one at a time, and
  once everything that has happened is known.
- A model whose ledger said "wait" is asked again when one of its tasks ends, when a slot is seen to have come free
  elsewhere, or after `recheck` seconds. What is over a cap is parked, and asked again only when money came back. Once other
  limits were read, all that waits is asked again.
- A task in flight is taken up in a lane of its own: it needs no slot, and may be what holds the one others wait for.
  Once it was asked about, its unit waits like every other.
- A failure reaches only what is below it. An interrupt, a used-up purse and failing surroundings start nothing new.
- States move by TRANSITIONS alone, in `_move`. Queues and counts are views; `check_invariants` rebuilds and compares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Any

from flowrun.engine import events as ev
from flowrun.engine.commands import Admit, CarryOut, Command, Decide, Finish, Prepare, Settle, Stop, WakeAt
from flowrun.engine.failure import Verdict
from flowrun.engine.queue import ReadyQueue
from flowrun.engine.ready import Rank, is_startable, rank, ready
from flowrun.engine.records import RESUME, Instance, Unit, longest_paths, outcome_of
from flowrun.engine.states import IN_FLIGHT, Move, NodeState, moved

DAILY_RECHECK = 300.0  # seconds after which a model whose day is used up is asked again, if not sooner
PAUSE_CEILING = (
    900.0  # seconds between two requests that the API may refuse for the day's sake, unless it asks for more
)
RESENDS = 6  # of a request that was certainly not accepted; with doubling delays some minutes of an overloaded API
RESEND_CEILING = 300.0  # seconds between two of them, unless the API asks for more
RETRY_GROWTH = 8  # times the first delay, at most
_MOVE_OF = {
    "hit": Move.REUSE,
    "run": Move.GENERATE,
    "resume": Move.GENERATE,
    "uncertain": Move.DOUBT,
    "rejected": Move.REJECT,
    "excluded": Move.EXCLUDE,
}
_OUTCOME_OF = {
    "skip": NodeState.SKIPPED,
    "excluded": NodeState.EXCLUDED,
    "failed": NodeState.FAILED,
}


class InvariantError(Exception):
    """A bug in flowrun: a view of the scheduler does not follow from its states."""


def pause_of(delay: float, times: int) -> float:
    """Seconds that a model rests once the API has refused it for the day's sake so many times in a row."""
    return max(delay, min(PAUSE_CEILING, delay * 2.0 ** min(times - 1, 30)))


def unit_name(address: str, take: int) -> str:
    return f"{address}#{take}"


class Scheduler:
    """`fail_fast`: the first failure starts nothing new. `wait_for_quota`: wait for a used-up day, else park.
    `recheck`: seconds after which a full model is asked again, None: only when something ends. `in_order`: credits are scarce,
    so that nothing is asked about while what comes before it is still being decided or prepared."""

    def __init__(
        self,
        *,
        fail_fast: bool = False,
        wait_for_quota: bool = False,
        recheck: float | None = 5.0,
        in_order: bool = False,
    ) -> None:
        self.instances: dict[str, Instance] = {}
        self.units: dict[str, Unit] = {}
        self.stopping: str | None = None  # why nothing new starts
        self._fail_fast, self._wait_for_quota, self._recheck = fail_fast, wait_for_quota, recheck
        self._in_order = in_order
        self._ahead: list[tuple[float, int, str]] = []  # heap of what was being decided or prepared: its rank, its name
        self._queue = ReadyQueue(self._rank, self._startable)
        self._waiting: dict[str, float] = {}  # model -> not before; the ledger said so
        self._paused: dict[str, float] = {}  # model -> not before, whatever ends meanwhile; the API said so
        self._refused: Counter[str] = Counter()  # model -> times in a row that the API said so
        self._closed: set[str] = set()  # models whose day is used up
        self._deciding: set[str] = set()
        self._preparing: set[str] = set()
        self._busy: set[str] = set()  # view: claimed, or a task at the API
        self._sleeping: set[str] = set()  # view: backing off
        self._asking: str | None = None
        self._finished = False
        self._doors: dict[type[Any], Callable[[Any, float], Iterator[Command]]] = {
            ev.LimitsRead: self._limits_read,
            ev.Expanded: self._expanded,
            ev.Decided: self._decided,
            ev.Prepared: self._prepared,
            ev.Granted: self._granted,
            ev.Queued: self._held_up,
            ev.OverCap: self._over_cap,
            ev.Submitted: self._submitted,
            ev.Ended: self._ended,
            ev.Stored: self._stored,
            ev.Found: self._found,
            ev.AttemptFailed: self._attempt_failed,
            ev.SlotFreed: self._slot_freed,
            ev.Woke: self._woke,
            ev.Left: self._left,
            ev.Halted: self._halted,
            ev.Interrupted: self._interrupted,
        }

    def handle(self, event: ev.Event, now: float, *, more: bool = False) -> list[Command]:
        """Take in what happened; the orders that follow from it. `more`: something else has happened too, and follows at once;
        nothing is asked about before that is known, since it may come first."""
        door = self._doors.get(type(event))
        commands = list(door(event, now)) if door else []
        if not more:
            commands += self._admit(now)
        if not self._finished and self._is_done():
            self._finished = True
            commands.append(Finish())
        return commands

    # -- growing and deciding

    def _expanded(self, event: ev.Expanded, now: float) -> Iterator[Command]:
        for item in event.items:
            waits = {up for up in item.upstream if up not in self.instances or self.instances[up].outcome is None}
            self.instances[item.address] = Instance(item, waits)
        for item in event.items:
            for up in item.upstream:
                self.instances[up].downstream.append(item.address)
        for address, length in longest_paths(self.instances).items():
            self.instances[address].priority = length
        self._queue.rebuild(self.units.values())
        for item in sorted(event.items, key=lambda each: each.order):
            yield from self._decide_if_ready(item.address)

    def _decide_if_ready(self, address: str) -> Iterator[Command]:
        instance = self.instances[address]
        if not instance.waits and not instance.units and instance.outcome is None and self.stopping != "interrupted":
            self._deciding.add(address)
            self._put_ahead(instance, address)
            yield Decide(address)

    def _decided(self, event: ev.Decided, now: float) -> Iterator[Command]:
        self._deciding.discard(event.address)
        instance = self.instances[event.address]
        instance.pick, instance.retry = event.pick, event.retry
        if not event.units:
            yield from self._settle(instance, _OUTCOME_OF.get(event.decision, NodeState.BLOCKED), None)
            if event.decision == "failed" and self._fail_fast:
                self.stopping = self.stopping or "failed"
            return
        for spec in event.units:
            unit = Unit(
                unit_name(event.address, spec.take),
                event.address,
                spec.take,
                spec.model,
                credits=spec.credits,
                anew=spec.anew,
            )
            instance.units[spec.take] = self.units[unit.name] = unit
            self._move(unit, _MOVE_OF[spec.decision])
            if spec.decision == "resume":
                unit.lane = RESUME
            if unit.state is NodeState.READY and spec.prepare:
                self._preparing.add(unit.name)
                self._put_ahead(instance, unit.name)
                yield Prepare(unit.name)
            elif unit.state is NodeState.READY:
                self._queue.push(unit)
        yield from self._settle_if_known(instance)

    def _prepared(self, event: ev.Prepared, now: float) -> Iterator[Command]:
        self._preparing.discard(event.unit)
        self._queue.push(self.units[event.unit])
        yield from ()

    # -- asking the ledger

    def _admit(self, now: float) -> Iterator[Command]:
        if self._asking is not None or self.stopping:
            return
        unit = self._queue.first(lambda lane: self._is_shut(lane, now))
        if unit is not None and not self._must_wait(unit):
            self._asking = unit.name
            yield Admit(unit.name)

    def _put_ahead(self, instance: Instance, name: str) -> None:
        if self._in_order:
            heappush(self._ahead, (-instance.priority, instance.spec.order, name))

    def _must_wait(self, unit: Unit) -> bool:
        """Whether credits go to something else first. A task in flight takes none."""
        while self._ahead and self._ahead[0][2] not in self._deciding and self._ahead[0][2] not in self._preparing:
            heappop(self._ahead)
        return bool(self._ahead) and unit.lane != RESUME and self._ahead[0][:2] < self._rank(unit)[:2]

    def _is_shut(self, lane: str, now: float) -> bool:
        return lane in self._closed or max(self._waiting.get(lane, now), self._paused.get(lane, now)) > now

    def _granted(self, event: ev.Granted, now: float) -> Iterator[Command]:
        unit = self._answered(event.unit)
        self._move(unit, Move.GRANT)
        yield CarryOut(unit.name)

    def _held_up(self, event: ev.Queued, now: float) -> Iterator[Command]:
        unit = self._answered(event.unit)
        self._move(unit, Move.HOLD_UP)
        self._queue.push(unit)  # from the lane of tasks in flight to its model's
        if event.limit == "daily" and not self._wait_for_quota:
            self._closed.add(unit.model)
            return
        recheck = DAILY_RECHECK if event.limit == "daily" else self._recheck
        times = [event.until, None if self._recheck is None or recheck is None else now + recheck]
        known = [time for time in times if time is not None]
        self._waiting[unit.model] = min(known, default=float("inf"))
        if known:
            yield WakeAt(min(known), model=unit.model)

    def _over_cap(self, event: ev.OverCap, now: float) -> Iterator[Command]:
        unit = self._answered(event.unit)
        self._move(unit, Move.HOLD_UP)
        unit.parked = True
        yield from ()

    def _answered(self, name: str) -> Unit:
        if self._asking == name:
            self._asking = None
        unit = self.units[name]
        unit.lane = unit.model
        return unit

    def _limits_read(self, event: ev.LimitsRead, now: float) -> Iterator[Command]:
        """More may be allowed than when a limit said no, so everybody is asked about once more."""
        self._closed -= {each.model for each in event.models if each.daily_left != 0}
        self._waiting.clear()
        self._unpark()
        yield from ()

    # -- what became of it

    def _submitted(self, event: ev.Submitted, now: float) -> Iterator[Command]:
        """The API's own estimate may be lower than what was reserved."""
        unit = self.units[event.unit]
        del self._refused[unit.model]
        self._unpark_after(unit, event.credits)
        unit.credits = event.credits
        yield from ()

    def _ended(self, event: ev.Ended, now: float) -> Iterator[Command]:
        unit = self.units[event.unit]
        self._waiting.pop(unit.model, None)
        if event.status == "SUCCEEDED":
            self._move(unit, Move.END)
        yield from ()

    def _stored(self, event: ev.Stored, now: float) -> Iterator[Command]:
        unit = self.units[event.unit]
        self._move(unit, Move.STORE)
        self._unpark_after(unit, event.credits)
        yield from self._settle_if_known(self.instances[unit.item])

    def _found(self, event: ev.Found, now: float) -> Iterator[Command]:
        unit = self._answered(event.unit)
        self._move(unit, Move.REUSE)
        self._waiting.pop(unit.model, None)
        yield from self._settle_if_known(self.instances[unit.item])

    def _attempt_failed(self, event: ev.AttemptFailed, now: float) -> Iterator[Command]:
        unit = self._answered(event.unit)
        self._preparing.discard(unit.name)
        self._waiting.pop(unit.model, None)
        self._unpark_after(unit, event.charged)
        yield from self._judge(unit, event, now)
        yield from self._settle_if_known(self.instances[unit.item])

    def _judge(self, unit: Unit, event: ev.AttemptFailed, now: float) -> Iterator[Command]:
        verdict = Verdict(event.verdict)
        if verdict in (Verdict.RETRY, Verdict.RESEND) and not unit.anew:
            self._give_up(unit, Verdict.FAIL)
        elif verdict is Verdict.RETRY and unit.retries < self._allowed(unit, event):
            unit.retries += 1
            yield from self._back_off(unit, event.delay * min(RETRY_GROWTH, 2 ** (unit.retries - 1)), now)
        elif verdict is Verdict.RESEND and unit.resends < RESENDS:
            unit.resends += 1
            grown = min(RESEND_CEILING, event.delay * 2 ** (unit.resends - 1))
            yield from self._back_off(unit, max(event.delay, grown), now)
        elif verdict is Verdict.PAUSE_MODEL:
            self._refused[unit.model] += 1
            yield from self._pause_model(unit, now + pause_of(event.delay, self._refused[unit.model]))
        elif verdict is Verdict.PAUSE_RUN:
            self._move(unit, Move.HOLD_UP)
            self._queue.push(unit)
            self.stopping = self.stopping or "credits"
        else:
            rejected = verdict is Verdict.RETRY and event.rejected
            self._give_up(unit, Verdict.REJECT if rejected else verdict)

    def _allowed(self, unit: Unit, event: ev.AttemptFailed) -> int:
        asked = self.instances[unit.item].retry
        return event.attempts if asked is None else asked

    def _back_off(self, unit: Unit, delay: float, now: float) -> Iterator[Command]:
        self._move(unit, Move.RETRY)
        yield WakeAt(now + delay, unit=unit.name)

    def _pause_model(self, unit: Unit, until: float) -> Iterator[Command]:
        self._move(unit, Move.HOLD_UP)
        self._queue.push(unit)
        if not self._wait_for_quota:
            self._closed.add(unit.model)
            return
        self._paused[unit.model] = max(until, self._paused.get(unit.model, until))
        yield WakeAt(self._paused[unit.model], model=unit.model)

    def _give_up(self, unit: Unit, verdict: Verdict) -> None:
        self._move(unit, {Verdict.REJECT: Move.REJECT, Verdict.DOUBT: Move.DOUBT}.get(verdict, Move.FAIL))
        if verdict in (Verdict.STOP, Verdict.RESEND):
            self.stopping = self.stopping or "surroundings"
        elif self._fail_fast:
            self.stopping = self.stopping or "failed"

    def _slot_freed(self, event: ev.SlotFreed, now: float) -> Iterator[Command]:
        self._waiting.pop(event.model, None)
        yield from ()

    def _woke(self, event: ev.Woke, now: float) -> Iterator[Command]:
        if event.model is not None and self._waiting.get(event.model, float("inf")) <= now:
            del self._waiting[event.model]
        if event.unit is not None:
            unit = self.units[event.unit]
            self._move(unit, Move.WAKE)
            self._queue.push(unit)
        yield from ()

    def _left(self, event: ev.Left, now: float) -> Iterator[Command]:
        self.units[event.unit].left = True
        self._busy.discard(event.unit)
        yield from ()

    def _halted(self, event: ev.Halted, now: float) -> Iterator[Command]:
        self.stopping = self.stopping or "surroundings"
        yield from ()

    def _interrupted(self, event: ev.Interrupted, now: float) -> Iterator[Command]:
        self.stopping = "interrupted"
        yield Stop(now=event.times > 1)

    # -- outcomes

    def _settle_if_known(self, instance: Instance) -> Iterator[Command]:
        if instance.spec.whole and not all(unit.is_final for unit in instance.units.values()):
            return
        if instance.outcome is None and (outcome := outcome_of(instance.units, instance.pick)):
            yield from self._settle(instance, outcome.state, outcome.take)

    def _settle(self, instance: Instance, state: NodeState, take: int | None) -> Iterator[Command]:
        instance.outcome = state
        yield Settle(instance.spec.address, state, take)
        for down in instance.downstream:
            self.instances[down].waits.discard(instance.spec.address)
            yield from self._decide_if_ready(down)

    # -- states and views

    def _move(self, unit: Unit, move: Move) -> None:
        unit.state = moved(unit.state, move)
        for view, states in ((self._busy, IN_FLIGHT), (self._sleeping, {NodeState.BACKING_OFF})):
            (view.add if unit.state in states else view.discard)(unit.name)

    def _rank(self, unit: Unit) -> Rank:
        instance = self.instances[unit.item]
        return rank(unit, instance.spec.order, instance.priority)

    def _startable(self, unit: Unit) -> bool:
        return is_startable(unit, self._preparing)

    def _unpark_after(self, unit: Unit, charged: int | None) -> None:
        """Ask again for what was over a cap, where something cost less than was reserved for it."""
        if charged is not None and charged < (unit.credits or 1):
            self._unpark()

    def _unpark(self) -> None:
        for parked in self.units.values():
            if parked.parked:
                parked.parked = False
                self._queue.push(parked)

    def _is_done(self) -> bool:
        """Deciding is waited for, so that what is found below is settled too, unless somebody waits at the terminal."""
        if self._asking or self._busy:
            return False
        if self.stopping:
            return not self._deciding or self.stopping == "interrupted"
        idle = not (self._deciding or self._preparing or self._sleeping)
        return idle and all(lane in self._closed for lane in self._queue.lanes())

    def startable(self) -> tuple[str, ...]:
        """Units that could start now, best first: the incremental view of `ready`."""
        return self._queue.order()

    def check_invariants(self) -> None:
        """Raises InvariantError where a view and the states disagree. For tests, after every event."""
        for address, instance in self.instances.items():
            waits = {up for up in instance.spec.upstream if self.instances[up].outcome is None}
            _require(instance.waits == waits, f"{address} waits for {instance.waits}, not {waits}")
            _require(not (instance.units and instance.waits), f"{address} was decided before its upstream was settled")
        busy = {unit.name for unit in self.units.values() if unit.state in IN_FLIGHT and not unit.left}
        _require(busy == self._busy, f"in flight are {busy}, not {self._busy}")
        sleeping = {unit.name for unit in self.units.values() if unit.state is NodeState.BACKING_OFF}
        _require(sleeping == self._sleeping, f"backing off are {sleeping}, not {self._sleeping}")
        expected, found = ready(self.instances, self.units, self._preparing), self.startable()
        _require(expected == found, f"what could start is {expected}, but the queue has {found}")


def _require(condition: bool, text: str) -> None:
    if not condition:
        raise InvariantError(text)
