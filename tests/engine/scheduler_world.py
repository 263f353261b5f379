"""A little world around the scheduler: it answers orders from scripts, in any order a seed picks, and watches every step.

Slots, caps, days and other processes are plain numbers here. `World.run` fails where a promise is broken; what a case
should come to says `expected`, by recursion over the graph.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from flowrun.engine import commands as cmd
from flowrun.engine import events as ev
from flowrun.engine.failure import Verdict
from flowrun.engine.ready import ready
from flowrun.engine.records import RESUME, Unit
from flowrun.engine.scheduler import Scheduler, pause_of, unit_name
from flowrun.engine.states import USABLE, NodeState

START = 1000.0
PAUSE = 60.0  # seconds a refused model rests
REFUSALS = {  # nothing was accepted
    "fail": Verdict.FAIL,
    "resend": Verdict.RESEND,
    "quota": Verdict.PAUSE_MODEL,
    "broke": Verdict.PAUSE_RUN,
    "stop": Verdict.STOP,
}
TASK_FAILURES = {  # a task ended without success
    "task-fail": Verdict.FAIL,
    "reject": Verdict.REJECT,
    "retry": Verdict.RETRY,
    "retry-rejected": Verdict.RETRY,
}
AT_ADMISSION = ("found", "doubt-at-admission", "disk-at-admission")
OTHERS = ("ok", "joined", "joined-early", "doubt", "collect-stop")
TOKENS = (*REFUSALS, *TASK_FAILURES, *AT_ADMISSION, *OTHERS)
STOPPING = {"broke", "stop", "collect-stop", "disk-at-admission"}
POLICY = 1  # further attempts the world's policy allows


@dataclass(frozen=True)
class Take:
    """`script`: what becomes of each attempt; then it is ok. `prepare`: "", "ok" or "fail"."""

    decision: str = "run"
    script: tuple[str, ...] = ()
    prepare: str = ""
    charged: int = 2


@dataclass(frozen=True)
class Node:
    """`word`: a decision without units. Names are numbers, so that order is manifest order."""

    name: str
    upstream: tuple[str, ...] = ()
    seconds: float = 1.0
    model: str = "a"
    takes: tuple[Take, ...] = (Take(),)
    word: str = ""
    pick: int | None = None
    retry: int | None = None


@dataclass(frozen=True)
class Case:
    """`slots`, `daily`: by model. `others`: slots another process holds for three seconds. `cap`: credits, 2 a unit.
    `grows`: how many nodes come only after `grow_after` events. `interrupts`: after how many events."""

    nodes: tuple[Node, ...]
    slots: dict[str, int] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)
    daily: dict[str, int] = field(default_factory=dict)
    cap: int | None = None
    fail_fast: bool = False
    wait_for_quota: bool = True
    interrupts: tuple[int, ...] = ()
    grows: int = 0
    grow_after: int = 3
    seed: int = 0


@dataclass
class Flight:
    """A granted unit: the facts still to come, and whether it merely waits for the API."""

    facts: list[tuple[str, ev.Event]]
    polling: bool = False


class World:
    def __init__(self, case: Case) -> None:
        self.case = case
        self.rng = random.Random(case.seed)
        self.scheduler = Scheduler(fail_fast=case.fail_fast, wait_for_quota=case.wait_for_quota, recheck=1.0)
        self.now = START
        self.nodes: dict[str, Node] = {}
        self.log: list[tuple[ev.Event, float, bool]] = []
        self.said: list[list[cmd.Command]] = []
        self.pending: list[ev.Event] = []  # may happen in any order
        self.wakes: list[tuple[float, ev.Woke]] = []
        self.flights: dict[str, Flight] = {}
        self.attempts: Counter[str] = Counter()
        self.holding: dict[str, str] = {}  # unit -> model, whose slot it holds
        self.permitted: set[str] = set()  # granted, and not carried out yet
        self.granted_today: Counter[str] = Counter()
        self.reserved: dict[str, int] = {}
        self.spent = 0
        self.told_to_wait: dict[str, float] = {}  # model -> when asking again may be of use
        self.paused: dict[str, float] = {}
        self.refusals: Counter[str] = Counter()
        self.outcomes: dict[str, tuple[NodeState, int | None]] = {}
        self.finished = 0
        self.asked: list[str] = []

    # -- the run

    def run(self) -> World:
        born = self.case.nodes[: len(self.case.nodes) - self.case.grows]
        self.feed(self.expansion(born))
        late = self.case.nodes[len(born) :]
        while not self.finished:
            if late and len(self.log) >= self.case.grow_after:
                event, late = self.expansion(late), ()
            elif len(self.log) in self.case.interrupts:
                event = ev.Interrupted(self.now, 1 + self.case.interrupts.index(len(self.log)))
            else:
                event = self.next_event()
            self.feed(event)
            assert len(self.log) < 2000, f"no end: {self.picture()}"
        self.check_end()
        return self

    def expansion(self, nodes: tuple[Node, ...]) -> ev.Expanded:
        self.nodes |= {node.name: node for node in nodes}
        for node in nodes:
            for number, take in enumerate(node.takes, 1):
                if take.decision == "resume":  # its task is at the API already, slots or no slots
                    self.holding[unit_name(node.name, number)] = node.model
        return ev.Expanded(
            self.now, tuple(ev.Item(node.name, node.upstream, node.seconds, int(node.name)) for node in nodes)
        )

    def next_event(self) -> ev.Event:
        """Something that can happen now, whichever the seed picks; else the next alarm."""
        self.now += self.rng.choice([0.0, 0.1, 0.7])
        soon = [*self.pending, *(flight.facts[0] for flight in self.flights.values() if flight.facts)]
        due = [wake for wake in self.wakes if wake[0] <= self.now]
        if due or not soon:
            assert self.wakes, f"a hang: {self.picture()}"
            wake = min(due or self.wakes, key=lambda each: each[0])
            self.wakes.remove(wake)
            self.now = max(self.now, wake[0])
            return wake[1]
        chosen = self.rng.choice(soon)
        if isinstance(chosen, tuple):
            return self.advance(chosen)
        self.pending.remove(chosen)
        return chosen

    def advance(self, fact: tuple[str, ev.Event]) -> ev.Event:
        """The next fact of a unit in flight, with what it does to slots and credits."""
        effect, event = fact
        unit = event.unit
        flight = self.flights[unit]
        flight.facts.pop(0)
        if isinstance(event, ev.Submitted):
            flight.polling = True
        if isinstance(event, ev.Ended):
            flight.polling = False
        if effect == "free":
            self.holding.pop(unit, None)
        if isinstance(event, ev.Stored | ev.AttemptFailed | ev.Found):
            self.book(unit, event)
            del self.flights[unit]
        return event

    def book(self, unit: str, event: ev.Event) -> None:
        estimate = self.reserved.pop(unit, 0)
        charged = getattr(event, "credits", getattr(event, "charged", 0))
        self.spent += estimate if charged is None else charged

    def feed(self, event: ev.Event) -> None:
        """One event and all that is answered at once."""
        answers = [event]
        while answers:
            event = answers.pop(0)
            self.hear(event)
            more = bool(answers)
            self.log.append((event, self.now, more))
            commands = self.scheduler.handle(event, self.now, more=more)
            self.said.append(commands)
            for command in commands:
                answers += self.obey(command)
            self.scheduler.check_invariants()
            assert self.scheduler.startable() == ready(
                self.scheduler.instances, self.scheduler.units, self.scheduler._preparing
            )
        self.check_no_idle_slot()

    def hear(self, event: ev.Event) -> None:
        """What makes a full model worth asking again."""
        if isinstance(event, ev.Ended | ev.AttemptFailed | ev.Found):
            self.told_to_wait.pop(self.scheduler.units[event.unit].model, None)
        if isinstance(event, ev.Woke) and event.model and self.now >= self.told_to_wait.get(event.model, 0.0):
            self.told_to_wait.pop(event.model, None)
        if isinstance(event, ev.AttemptFailed) and event.verdict == Verdict.PAUSE_MODEL:
            model = self.scheduler.units[event.unit].model
            self.refusals[model] += 1
            self.paused[model] = self.now + pause_of(PAUSE, self.refusals[model])
        if isinstance(event, ev.Submitted):
            del self.refusals[self.scheduler.units[event.unit].model]

    # -- obeying

    def obey(self, command: cmd.Command) -> Iterator[ev.Event]:
        assert not self.finished, f"{command} after Finish"
        match command:
            case cmd.Decide(address):
                assert all(up in self.outcomes for up in self.nodes[address].upstream)
                self.pending.append(self.decided(self.nodes[address]))
            case cmd.Prepare(unit):
                fails = self.take(unit).prepare == "fail"
                failure = self.failure(unit, Verdict.FAIL)
                self.pending.append(failure if fails else ev.Prepared(self.now, unit))
            case cmd.Admit(unit):
                self.check_priority(unit)
                self.check_use(unit)
                self.asked.append(unit)
                yield self.admitted(unit)
            case cmd.CarryOut(unit):
                assert unit in self.permitted, f"{unit} is carried out unasked"
                self.permitted.remove(unit)
                self.flights[unit] = Flight(list(self.facts(unit)))
            case cmd.Settle(address, state, take):
                assert address not in self.outcomes, f"{address} is settled twice"
                self.outcomes[address] = (NodeState(state), take)
            case cmd.WakeAt(at, unit, model):
                self.wakes.append((at, ev.Woke(at, unit, model)))
            case cmd.Stop(now):
                for unit in [unit for unit, flight in self.flights.items() if now or flight.polling]:
                    del self.flights[unit]
                    self.pending.append(ev.Left(self.now, unit, None))
            case cmd.Finish():
                self.finished += 1

    def decided(self, node: Node) -> ev.Decided:
        above = [self.outcomes[up][0] for up in node.upstream]
        word = word_from_above(above) or node.word
        if word:
            return ev.Decided(self.now, node.name, word, None)
        units = tuple(
            ev.UnitSpec(number, take.decision, node.model, 2, bool(take.prepare) and take.decision == "run")
            for number, take in enumerate(node.takes, 1)
        )
        return ev.Decided(self.now, node.name, node.takes[0].decision, None, units, node.pick, node.retry)

    def admitted(self, unit: str) -> ev.Event:
        token, model = self.token(unit), self.model(unit)
        if self.is_take_up(unit):
            self.permitted.add(unit)
            return ev.Granted(self.now, unit, "resumed")
        self.holding.pop(unit, None)  # a task that was gone by the time we asked
        if token in AT_ADMISSION:
            self.attempts[unit] += 1
            verdict = Verdict.DOUBT if token == "doubt-at-admission" else Verdict.STOP
            return ev.Found(self.now, unit, "r") if token == "found" else self.failure(unit, verdict)
        if token in ("joined", "joined-early"):  # another process has it, with its slot and its credits
            self.permitted.add(unit)
            return ev.Granted(self.now, unit, "joined")
        if self.case.cap is not None and self.spent + sum(self.reserved.values()) + 2 > self.case.cap:
            return ev.OverCap(self.now, unit, "run-cap", 0)
        if self.granted_today[model] >= self.case.daily.get(model, 99) and self.now < START + 20.0:
            self.told_to_wait[model] = min(self.now + 1.0, START + 20.0)
            return ev.Queued(self.now, unit, "daily", START + 20.0)
        if self.used(model) >= self.case.slots.get(model, 99):
            self.told_to_wait[model] = self.now + 1.0
            return ev.Queued(self.now, unit, "concurrency", None)
        self.holding[unit], self.reserved[unit] = model, 2
        self.granted_today[model] += 1
        self.permitted.add(unit)
        return ev.Granted(self.now, unit, "new")

    def used(self, model: str) -> int:
        """Another process lets go after three seconds, and the API is done with what nobody took up after five."""
        others = self.case.others.get(model, 0) if self.now < START + 3.0 else 0
        ended = {unit for unit in self.holding if self.now >= START + 5.0 and not self.attempts[unit]}
        return others + sum(1 for unit, held in self.holding.items() if held == model and unit not in ended)

    def is_take_up(self, unit: str) -> bool:
        gone = self.token(unit) in REFUSALS or self.token(unit) in AT_ADMISSION
        return self.take(unit).decision == "resume" and self.attempts[unit] == 0 and not gone

    def facts(self, unit: str) -> Iterator[tuple[str, ev.Event]]:
        """What happens to a granted unit: (effect, event)."""
        token, resumed, now = self.token(unit), self.is_take_up(unit), self.now
        self.attempts[unit] += 1
        if token in REFUSALS:
            yield "free", self.failure(unit, REFUSALS[token])
            return
        if token == "joined-early":
            yield "free", ev.Found(now, unit, "r")
            return
        if token == "doubt":
            yield "free", self.failure(unit, Verdict.DOUBT, charged=None)
            return
        if not resumed and token != "joined":
            yield "", ev.Submitted(now, unit, "t", 2)
        if token in TASK_FAILURES:
            yield "free", ev.Ended(now, unit, "t", "FAILED")
            yield "", self.failure(unit, TASK_FAILURES[token], rejected=token == "retry-rejected")
            return
        yield "free", ev.Ended(now, unit, "t", "SUCCEEDED")
        if token == "joined":
            yield "", ev.Found(now, unit, "r")
        elif token == "collect-stop":
            yield "", self.failure(unit, Verdict.STOP, charged=None)
        else:
            yield "", ev.Stored(now, unit, "t", "r", (), self.take(unit).charged)

    def failure(
        self, unit: str, verdict: Verdict, *, charged: int | None = 0, rejected: bool = False
    ) -> ev.AttemptFailed:
        delay = PAUSE if verdict is Verdict.PAUSE_MODEL else 2.0
        return ev.AttemptFailed(
            self.now, unit, verdict.value, "code", "text", charged=charged, delay=delay, attempts=POLICY,
            rejected=rejected or verdict is Verdict.REJECT,
        )  # fmt: skip

    def take(self, unit: str) -> Take:
        name, _, number = unit.partition("#")
        return self.nodes[name].takes[int(number) - 1]

    def model(self, unit: str) -> str:
        return self.nodes[unit.partition("#")[0]].model

    def token(self, unit: str) -> str:
        script = self.take(unit).script
        return script[self.attempts[unit]] if self.attempts[unit] < len(script) else "ok"

    # -- watching

    def shut(self, unit: Unit) -> bool:
        """Whether the world itself said that asking for this unit is of no use."""
        if unit.lane == RESUME:
            return False
        model = unit.model
        return (
            model in self.told_to_wait
            or self.paused.get(model, 0.0) > self.now
            or (model in self.paused and not self.case.wait_for_quota)
            or (model in self.scheduler._closed and self.granted_today[model] >= self.case.daily.get(model, 99))
        )

    def check_priority(self, chosen: str) -> None:
        """Nobody better is passed over, unless the world said that asking is of no use."""
        order = ready(self.scheduler.instances, self.scheduler.units, self.scheduler._preparing)
        for better in order[: order.index(chosen)]:
            assert self.shut(self.scheduler.units[better]), f"{chosen} was asked for before {better}"

    def check_use(self, chosen: str) -> None:
        """Nobody is asked for while it is known to be of no use; a task in flight is, once."""
        unit = self.scheduler.units[chosen]
        if self.take(chosen).decision == "resume" and not self.attempts[chosen] and unit.lane == RESUME:
            return
        assert self.paused.get(unit.model, 0.0) <= self.now, f"{chosen} is asked for while its model rests"
        assert self.told_to_wait.get(unit.model, 0.0) <= self.now, f"{chosen} is asked for in vain"

    def check_no_idle_slot(self) -> None:
        """Once all answers are in, whatever could start has been asked for."""
        if self.finished or self.scheduler.stopping:
            return
        idle = [name for name in self.scheduler.startable() if not self.shut(self.scheduler.units[name])]
        assert not idle, f"{idle} could start, and nobody asks"

    def check_end(self) -> None:
        assert self.finished == 1
        assert not self.flights, "in flight at the end"
        if not self.scheduler.stopping:
            assert not self.pending
            self.check_all_settled()
        self.check_replay()

    def check_all_settled(self) -> None:
        """What is open has a reason: credits that do not suffice, a day that is used up, or something like that above."""
        units = self.scheduler.units.values()
        stuck = {
            unit.item for unit in units if unit.parked or (unit.model in self.scheduler._closed and not unit.is_final)
        }
        for name in self.nodes:
            if name in self.outcomes:
                continue
            above = [up for up in self.nodes[name].upstream if up not in self.outcomes]
            assert above or name in stuck, f"{name} is open for no reason: {self.picture()}"
        room = None if self.case.cap is None else self.case.cap - self.spent
        for unit in self.scheduler.units.values():
            assert not unit.parked or (room is not None and room < 2), f"{unit.name} would fit into {room} credits"

    def check_replay(self) -> None:
        """The same events give the same orders and states."""
        again = Scheduler(fail_fast=self.case.fail_fast, wait_for_quota=self.case.wait_for_quota, recheck=1.0)
        assert [again.handle(event, now, more=more) for event, now, more in self.log] == self.said
        assert again.units == self.scheduler.units
        assert again.instances == self.scheduler.instances

    def picture(self) -> str:
        return f"units {self.scheduler.units}, outcomes {self.outcomes}, log {[event for event, _, _ in self.log[-5:]]}"


# -- the oracle


def word_from_above(above: list[NodeState]) -> str:
    """What the planner says of a node below these: blocked outweighs skipped."""
    barred = [state for state in above if state not in USABLE]
    if not barred:
        return ""
    return "skip" if all(state is NodeState.SKIPPED for state in barred) else "blocked"


def end_of(take: Take, retry: int | None) -> NodeState:
    """Where one take ends when nothing stops the run."""
    fixed = {"hit": NodeState.REUSED, "uncertain": NodeState.UNCERTAIN, "rejected": NodeState.REJECTED}
    if take.decision in fixed:
        return fixed[take.decision]
    if take.prepare == "fail" and take.decision == "run":
        return NodeState.FAILED
    retries = POLICY if retry is None else retry
    for token in take.script:
        if token in ("found", "joined", "joined-early"):
            return NodeState.REUSED
        if token in ("doubt", "doubt-at-admission"):
            return NodeState.UNCERTAIN
        if token == "ok":
            break
        if token in ("retry", "retry-rejected") and retries == 0:
            return NodeState.REJECTED if token == "retry-rejected" else NodeState.FAILED
        if token in ("fail", "task-fail", "stop", "collect-stop", "disk-at-admission"):
            return NodeState.FAILED
        if token == "reject":
            return NodeState.REJECTED
        retries -= token in ("retry", "retry-rejected")
    return NodeState.SUCCEEDED


def expected(nodes: dict[str, Node], name: str) -> tuple[NodeState, int | None]:
    """The outcome of a node, by plain recursion."""
    node = nodes[name]
    word = word_from_above([expected(nodes, up)[0] for up in node.upstream]) or node.word
    if word:
        words = {"skip": NodeState.SKIPPED, "excluded": NodeState.EXCLUDED, "failed": NodeState.FAILED}
        return words.get(word, NodeState.BLOCKED), None
    ends = [end_of(take, node.retry) for take in node.takes]
    if node.pick is not None and node.pick <= len(ends):
        picked = ends[node.pick - 1]
        return picked, node.pick if picked in USABLE else None
    for number, state in enumerate(ends, 1):
        if state in USABLE:
            return state, number
        if state is NodeState.UNCERTAIN:
            return state, None
    return (NodeState.FAILED if NodeState.FAILED in ends else NodeState.REJECTED), None
