"""The driver: carries out what the scheduler orders, and feeds what happened back as events. Owns the one task group and
the only loop; it decides nothing.

The loop: take the next event, let the scheduler handle it, carry out its commands, until it says Finish. A command that
can be answered at once is; every other one becomes a task in the group that posts its answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from typing import Any

from flowrun.engine import commands as cmd
from flowrun.engine import events as ev
from flowrun.engine.attempt import (
    JOIN_CHECK,
    OWNER_GONE,
    Admission,
    FoundResult,
    Go,
    InDoubt,
    Joined,
    TakenUp,
    admit,
    carry_out,
)
from flowrun.engine.body import needs_preparing, prepare
from flowrun.engine.deciding import Deciding
from flowrun.engine.failure import AttemptError, Failure
from flowrun.engine.follow import poll_to_end
from flowrun.engine.placing import masked
from flowrun.engine.ports import HEARTBEAT, Attempt
from flowrun.engine.recovery import Recovery
from flowrun.engine.scheduler import Scheduler
from flowrun.engine.slots import SlotWatch
from flowrun.engine.states import NodeState
from flowrun.engine.submit import CLAIM_LOST
from flowrun.engine.verdicts import TIMED_OUT, of_bug, of_doubt, of_error
from flowrun.ids import ActionKey, OwnerId, TaskId
from flowrun.ledger.protocol import LimitName, Over, Wait
from flowrun.store.protocol import Result

UPLOADS_AT_ONCE = 4
_ASK_AGAIN = frozenset({OWNER_GONE, CLAIM_LOST})
LAST_LOOK = 30.0  # seconds that a finished run waits for what earlier runs left


@dataclass(slots=True)
class Driver:
    """One run. `gone` tells whether an owner's process has ended; `emit` hears every event, in order; `cancels`: after an
    interrupt somebody cancels what is left at the API."""

    scheduler: Scheduler
    deciding: Deciding
    emit: Callable[[ev.Event], None]
    gone: Callable[[OwnerId], bool]
    recovery: Recovery | None = None
    checks: bool = False
    cancels: bool = False
    _events: asyncio.Queue[ev.Event] = field(default_factory=asyncio.Queue)
    _admitted: dict[str, Go | TakenUp | Joined] = field(default_factory=dict)
    _makers: dict[ActionKey, asyncio.Future[Result]] = field(default_factory=dict)
    _twins: dict[str, asyncio.Future[Result]] = field(
        default_factory=dict
    )  # unit -> what it shares, though it may end at once
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _sent: dict[ActionKey, str] = field(default_factory=dict)  # key -> the unit first granted a request for it
    _polling: set[str] = field(default_factory=set)
    _waiting: dict[str, tuple[object, ...]] = field(default_factory=dict)  # unit -> the wait it was last told of
    _shared: set[str] = field(default_factory=set)  # units whose slot, if any, somebody else holds
    _at_api: dict[str, str] = field(default_factory=dict)  # unit -> its task
    _wakes: count[int] = field(default_factory=count)
    _answers: deque[ev.Event] = field(default_factory=deque)  # what was answered at once comes before what happened
    _stopping: bool = False
    _interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    _slots: SlotWatch = field(init=False)
    _bug: Exception | None = None  # raised once everything in flight has come to its end
    _uploads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(UPLOADS_AT_ONCE))
    _group: asyncio.TaskGroup | None = None

    def __post_init__(self) -> None:
        ports = self.deciding.ports
        self._slots = SlotWatch(ports, self.deciding.run, self._post, lambda error: self._post(self._halted(error)))

    async def run(self, first: ev.Expanded) -> None:
        """From the graph to Finish. After an error that nobody foresaw nothing new starts; it is raised once what was being
        sent and collected has come to its end, so that it makes no other request uncertain."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            beats = [group.create_task(self._beat()), group.create_task(self._slots.watch())]
            for name, walk in self.recovery.walks(self.deciding.resumed) if self.recovery else ():
                self._spawn(name, walk)
            self._events.put_nowait(first)
            await self._loop()
            await self._last_look()
            for task in (*beats, *self._tasks.values()):
                task.cancel()
        if self._bug is not None:
            raise self._bug

    async def _last_look(self) -> None:
        """At tasks of earlier runs, which what this run has done need not wait for long."""
        if self.recovery is None or self._stopping or self._bug is not None:
            return
        waits = [asyncio.create_task(self.recovery.looked()), asyncio.create_task(self._interrupted.wait())]
        await asyncio.wait(waits, timeout=LAST_LOOK, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()

    def interrupt(self, times: int) -> None:
        """Ask for a stop: once, nothing new starts; twice, now. From a signal handler."""
        self._interrupted.set()
        self._events.put_nowait(ev.Interrupted(self._now(), times, self.cancels and times == 1))

    def holds(self, unit: str) -> bool:
        """Whether the unit's task is one that this run submitted or took up, not one that it only follows."""
        return unit in self._at_api and unit not in self._shared

    def tell(self, event: ev.LimitsRead) -> None:
        """What the organization allows has changed, in the middle of the run."""
        self._post(event)

    async def _loop(self) -> None:
        while True:
            event = self._answers.popleft() if self._answers else await self._events.get()
            if not self._is_repeated(event):
                self.emit(event)
            more = bool(self._answers) or not self._events.empty()
            for command in self.scheduler.handle(event, self._now(), more=more):
                if isinstance(command, cmd.Finish):
                    self._hear_the_rest()
                    return
                self._do(command)
            if self.checks:
                self.scheduler.check_invariants()

    def _hear_the_rest(self) -> None:
        """What was answered at once with the last event, and would not be heard any more."""
        while self._answers:
            event = self._answers.popleft()
            self.emit(event)
            self.scheduler.handle(event, self._now())

    def _is_repeated(self, event: ev.Event) -> bool:
        """A full model is asked again and again; that it still is one is no news."""
        if isinstance(event, ev.Granted | ev.Found | ev.AttemptFailed):
            self._waiting.pop(event.unit, None)
        if not isinstance(event, ev.Queued):
            return False
        known = (event.limit, event.elsewhere, event.until if event.limit == LimitName.DAILY else None)
        before, self._waiting[event.unit] = self._waiting.get(event.unit), known
        if event.elsewhere:
            self._slots.refused(self.scheduler.units[event.unit].model)
        return before == known

    def _do(self, command: cmd.Command) -> None:
        match command:
            case cmd.Decide(address):
                self._spawn(f"decide {address}", self._decide(address))
            case cmd.Prepare(unit):
                self._spawn(f"prepare {unit}", self._prepare(unit))
            case cmd.Admit(unit):
                self._answers.append(self._admit(unit))
            case cmd.CarryOut(unit):
                self._spawn(unit, self._carry_out(unit))
            case cmd.Settle():
                self._settle(command)
            case cmd.WakeAt():
                self._spawn(f"wake {next(self._wakes)}", self._wake(command))
            case cmd.Stop(now):
                self._stop(now)
            case cmd.Finish():
                pass

    # -- carrying out

    def _settle(self, command: cmd.Settle) -> None:
        try:
            self.deciding.settle(command)
        except Exception as error:  # the outcome is known all the same; a pick is made again by the next apply
            self._answers.append(self._halted(error))
        self.emit(ev.Settled(self._now(), command.address, NodeState(command.state), command.take))

    async def _decide(self, address: str) -> None:
        try:
            self._post(await self.deciding.decide(address))
        except Exception as error:
            failure = self._failure_of(error)
            self._post(self.deciding.not_decided(address, failure.code, failure.message))
            self._post(self._halted(error))

    async def _prepare(self, unit: str) -> None:
        async with self._uploads:
            try:
                attempt = self._attempt(unit)
                await self.deciding.stash(unit)
                if needs_preparing(attempt.doc, attempt.ports, attempt.run):
                    await prepare(attempt)
            except Exception as error:
                self._post(self._failed(unit, self._failure_of(error)))
            else:
                self._post(ev.Prepared(self._now(), unit))

    def _admit(self, unit: str) -> ev.Event:
        attempt, now = self._attempt(unit), self._now()
        if (maker := self._makers.get(attempt.doc.key)) is not None:
            self._shared.add(unit)
            self._twins[unit] = maker
            return ev.Granted(now, unit, "shared")
        try:
            return self._admitted_as(unit, attempt, admit(attempt), now)
        except Exception as error:
            return self._failed(unit, self._failure_of(error))

    def _halted(self, error: Exception) -> ev.Halted:
        failure = self._failure_of(error)
        return ev.Halted(self._now(), failure.code, failure.message, failure.hint)

    def _failure_of(self, error: Exception) -> Failure:
        """What an error means for the attempt; one that nobody foresaw is kept, to be raised at the end."""
        failure = of_error(error)
        if failure is None:
            self._bug = self._bug or error
            failure = of_bug(error, None)
        return failure

    def _admitted_as(self, unit: str, attempt: Attempt, admission: Admission, now: float) -> ev.Event:
        match admission:
            case FoundResult(result):
                self.deciding.made[unit] = result
                return ev.Found(now, unit, result.id)
            case InDoubt(intent):
                return self._failed(unit, of_doubt(intent))
            case Wait(limit, until):
                elsewhere = self._held_elsewhere(attempt.doc.model) if limit is LimitName.CONCURRENCY else None
                return ev.Queued(now, unit, limit.value, until, elsewhere)
            case Over(cap, left, until):
                return ev.OverCap(now, unit, cap.value, left, attempt.doc.credits, until)
        if isinstance(admission, Go) and not self.deciding.anew.get(unit, True):
            self.deciding.ports.ledger.release(admission.claim)
            return self._failed(unit, self.deciding.gone())
        if isinstance(admission, Go) and not self._may_go(unit, attempt.doc.key):
            self.deciding.ports.ledger.release(admission.claim)
            return self._failed(unit, self.deciding.unshared())
        if isinstance(admission, Go) and (refusal := self.deciding.refused_meanwhile(unit)):
            self.deciding.ports.ledger.release(admission.claim)
            return self._failed(unit, refusal)
        self._admitted[unit] = admission
        if isinstance(admission, TakenUp | Joined) and admission.task is not None:
            self._at_api[unit] = admission.task.task
        self._makers[attempt.doc.key] = asyncio.get_running_loop().create_future()
        (self._shared.add if isinstance(admission, Joined) else self._shared.discard)(unit)
        how = {Go: "new", TakenUp: "resumed", Joined: "joined"}[type(admission)]
        return ev.Granted(now, unit, how)

    def _held_elsewhere(self, model: str) -> int:
        """Slots of a model that this run does not hold. Units that run here were granted theirs, until their task ends."""
        running = (unit for unit in self.scheduler.units.values() if unit.state is NodeState.RUNNING)
        ours = sum(1 for unit in running if unit.model == model and unit.name not in self._shared)
        return max(0, self.deciding.ports.ledger.in_flight().get(model, 0) - ours)

    def _may_go(self, unit: str, key: ActionKey) -> bool:
        """A twin that was to share what another makes does not pay a second time where that came to nothing."""
        sender = self._sent.setdefault(key, unit)
        return sender == unit or not self.deciding.shares[unit]

    async def _carry_out(self, unit: str) -> None:
        admission = self._admitted.pop(unit, None)
        self._post(await (self._follow(unit) if admission is None else self._make(unit, admission)))

    async def _make(self, unit: str, admission: Go | TakenUp | Joined) -> ev.Event:
        attempt = self._attempt(unit)
        if not isinstance(admission, Go):
            self._polling.add(unit)
            self._cancel_if_stopping(unit)
        maker = self._makers[attempt.doc.key]
        try:
            carried = await carry_out(attempt, admission)
        except Exception as error:
            _refuse(maker, error)
            failure = self._failure_of(error)
            if failure.code in _ASK_AGAIN:
                return self._queued_again(unit)
            if failure.code == TIMED_OUT and failure.task is not None:
                self._spawn(f"watch {failure.task}", self._watch(attempt, TaskId(failure.task)))
            return self._failed(unit, failure)
        except asyncio.CancelledError:
            maker.cancel()
            raise
        finally:
            self._makers.pop(attempt.doc.key, None)
            self._polling.discard(unit)
        result = self.deciding.made[unit] = carried.result
        maker.set_result(result)
        if not carried.made:
            return ev.Found(self._now(), unit, result.id)
        files = tuple(output.digest.sha256 for output in result.outputs)
        return ev.Stored(self._now(), unit, result.task, result.id, files, result.credits)

    def _queued_again(self, unit: str) -> ev.Queued:
        """Who had the action let go of it, and nothing was sent from here: that is no failure, however often it happens."""
        now = self._now()
        return ev.Queued(now, unit, LimitName.CONCURRENCY.value, now + JOIN_CHECK, None)

    async def _watch(self, attempt: Attempt, task: TaskId) -> None:
        """Nobody waits for the task any more, but for its end, which frees the slot."""
        patient = replace(attempt, doc=replace(attempt.doc, timeout=None), report=lambda event: None)
        with suppress(AttemptError, OSError):
            await poll_to_end(patient, task, False)

    async def _follow(self, unit: str) -> ev.Event:
        """A twin of one that is being made in this run: its result is ours."""
        self._polling.add(unit)
        maker = self._twins.pop(unit, None)
        try:
            if maker is not None:
                self.deciding.made[unit] = await asyncio.shield(maker)
        except Exception as error:
            failure = self._failure_of(error)
            return self._queued_again(unit) if failure.code in _ASK_AGAIN else self._failed(unit, failure)
        finally:
            self._polling.discard(unit)
        if unit in self.deciding.made:
            return ev.Found(self._now(), unit, self.deciding.made[unit].id)
        return self._failed(unit, self.deciding.lost_twin())

    async def _wake(self, command: cmd.WakeAt) -> None:
        """Not before its time, though the clock that sleeps and the clock that tells the time may differ a little."""
        while (left := command.at - self._now()) > 0:
            await self._clock.sleep(left)
        self._post(ev.Woke(self._now(), command.unit, command.model))

    # -- stopping

    def _stop(self, now: bool) -> None:
        """Let go of what only waits for the API; `now`: of what is being sent or collected too."""
        self._stopping = True
        for unit in list(self._tasks) if now else sorted(self._polling):
            if unit in self._tasks and unit in self.scheduler.units:
                self._tasks[unit].cancel()

    def _cancel_if_stopping(self, unit: str) -> None:
        if self._stopping and unit in self._tasks:
            self._tasks[unit].cancel()

    # -- odds and ends

    async def _beat(self) -> None:
        """Show that this process lives, and free what dead ones held."""
        ports = self.deciding.ports
        while True:
            await self._clock.sleep(HEARTBEAT)
            try:
                ports.ledger.heartbeat(self.deciding.run.owner)
                ports.ledger.reap(self.deciding.reap_after, self.gone)
                self._follow_what_is_left()
            except OSError:
                continue  # a full disk for a moment must not end requests that are on their way
            except Exception as error:
                self._post(self._halted(error))
                return

    def _follow_what_is_left(self) -> None:
        """A task may hold the slot that somebody here waits for, while the process that sent it has stopped or died since this
        run began: nobody would learn of its end, and nobody here would ever get the slot."""
        if self.recovery is None or self._stopping or not self._waiting:
            return
        models = {self.scheduler.units[unit].model for unit in self._waiting}
        followed = {name.partition(" ")[2] for name in self._tasks}
        for name, walk in self.recovery.walks_for_slots(models, self._makers, followed):
            self._spawn(name, walk)

    def _attempt(self, unit: str) -> Attempt:
        doc, origin = self.deciding.units[unit]
        place = self.deciding.placer(unit)
        return Attempt(doc, origin, unit, self.deciding.ports, self.deciding.run, self._report, place)

    def _report(self, event: ev.Event) -> None:
        """Hear of an attempt's progress at once, so that a stop knows what merely waits; then pass it on."""
        if isinstance(event, ev.Submitted):
            self._at_api[event.unit] = event.task
            self._polling.add(event.unit)
            self._cancel_if_stopping(event.unit)
        elif isinstance(event, ev.Ended):
            self._polling.discard(event.unit)
        self._post(event)

    def _failed(self, unit: str, failure: Failure) -> ev.AttemptFailed:
        """As an event; what the API said is in it, so nothing secret leaves here."""
        told = masked(failure, self.deciding.ports.mask)
        return ev.AttemptFailed(
            self._now(), unit, **{**asdict(told), "verdict": told.verdict.value, "problems": told.problems}
        )

    def _post(self, event: ev.Event) -> None:
        self._events.put_nowait(event)

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        if self._group is None:
            raise RuntimeError("the driver is not running")
        task = self._group.create_task(work, name=name)
        self._tasks[name] = task
        task.add_done_callback(lambda done: self._forget(name, done))

    def _forget(self, name: str, task: asyncio.Task[None]) -> None:
        """A unit that was cancelled is left, even where its task had not begun to run."""
        if self._tasks.get(name) is task:
            del self._tasks[name]
        if task.cancelled() and name in self.scheduler.units:
            self._post(ev.Left(self._now(), name, self._at_api.get(name)))

    @property
    def _clock(self) -> Any:
        return self.deciding.ports.clock

    def _now(self) -> float:
        return float(self._clock.now())


def _refuse(maker: asyncio.Future[Result], error: Exception) -> None:
    """Tell the twins; without any, nobody asks."""
    maker.set_exception(error)
    maker.exception()
