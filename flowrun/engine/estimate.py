"""How long a run will take and what of it fits its caps: the real scheduler in virtual time, on expected task durations; of
a plan, or of what a running apply still has before it.

Owns a little world in which every request is granted while a slot is free and its credits fit, and every task takes just its
expected time and costs just its estimate.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count

from flowrun.engine import commands as cmd
from flowrun.engine import events as ev
from flowrun.engine.scheduler import Scheduler
from flowrun.ledger.protocol import Limits
from flowrun.ledger.rules import Spent, over_caps
from flowrun.plan.model import Cost, Decision, Reason, Step
from flowrun.plan.whole import Plan

_BUSY = {Decision.RUN, Decision.UNDECIDED, Decision.RESUME}
Concurrency = Callable[[str], int | None]  # model -> generations at once, None: no limit


@dataclass(frozen=True, slots=True)
class Work:
    """One instance still to be done. `units`: as the scheduler is told of them, ``resume`` for a task that holds a slot
    already; without any there is nothing to do. `left`: by take, seconds that its task still needs, where that is not the
    item's expected time."""

    item: ev.Item
    units: tuple[ev.UnitSpec, ...] = ()
    left: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Portion:
    """One take that would be sent. `credits`: what it costs at most, None: unknown."""

    address: str
    take: int
    credits: int | None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a plan comes to, if everything that may run does and costs its most. `seconds`: from start to the last file of what
    fits; `fits`: in the order in which they start; `over`: by the cap that has no room for them; `behind`: wait for one that
    does not fit."""

    seconds: float
    fits: tuple[Portion, ...] = ()
    over: Mapping[str, tuple[Portion, ...]] = field(default_factory=dict)
    behind: tuple[Portion, ...] = ()


def foresee(plan: Plan, concurrency: Concurrency, limits: Limits) -> Foreseen:
    """`concurrency` by model, None: no limit; `limits`: what each cap leaves for this plan."""
    steps = enumerate(plan.steps.values())
    works = [_work(step, order) for order, step in steps]
    world = _World({work.item.address: work for work in works}, concurrency, limits)
    return Foreseen(world.run(), world.sent(), world.over(), world.behind())


def expected_seconds(plan: Plan, concurrency: Concurrency) -> float:
    """Seconds from start to the last file, whatever it costs; `concurrency` by model, None: no limit."""
    return foresee(plan, concurrency, Limits()).seconds


def seconds_left(works: list[Work], concurrency: Concurrency) -> float:
    """Seconds until everything in `works` is done. An item's upstream must be among them."""
    return _World({work.item.address: work for work in works}, concurrency).run()


def _work(step: Step, order: int) -> Work:
    seconds = step.seconds if step.decision in _BUSY else 0.0
    item = ev.Item(str(step.address), tuple(map(str, step.upstream)), seconds, order)
    return Work(item, tuple(_units(step)))


def _units(step: Step) -> list[ev.UnitSpec]:
    if step.decision is Decision.HIT:
        return [ev.UnitSpec(1, "hit", step.model)]
    if step.decision not in _BUSY:
        return []
    if not step.takes:  # not known yet: each take costs its share
        count = max(1, step.wanted + step.beyond)
        return [_unit(take, step.model, _share(step.cost, count)) for take in range(1, count + 1)]
    shared = step.why is not None and step.why.reason is Reason.SHARED
    found = [take for take in step.takes if take.decision is not Decision.HIT] or [step.takes[0]]
    return [_unit(take.take, step.model, take.cost, shared or take.is_shared) for take in found]


def _unit(take: int, model: str, cost: Cost, shared: bool = False) -> ev.UnitSpec:
    return ev.UnitSpec(take, "hit" if shared else "run", model, None if cost.unknown else cost.high)


def _share(cost: Cost, count: int) -> Cost:
    return Cost(high=-(-cost.high // count), unknown=cost.unknown)


@dataclass
class _World:
    works: Mapping[str, Work]
    concurrency: Concurrency
    limits: Limits = field(default_factory=Limits)
    now: float = 0.0
    scheduler: Scheduler = field(default_factory=lambda: Scheduler(recheck=None, in_order=True))
    _agenda: list[tuple[float, int, ev.Event]] = field(default_factory=list)
    _number: count[int] = field(default_factory=count)
    _used: Counter[str] = field(default_factory=Counter)
    _spent: Spent = field(default_factory=Spent)
    _sent: list[str] = field(default_factory=list)  # units, in the order of starting
    _over: dict[str, str] = field(default_factory=dict)  # unit -> cap

    def run(self) -> float:
        units = [(work, spec) for work in self.works.values() for spec in work.units]
        self._flying = {f"{work.item.address}#{spec.take}" for work, spec in units if spec.decision == "resume"}
        self._used.update(spec.model for _, spec in units if spec.decision == "resume")
        self._post(0.0, ev.Expanded(0.0, tuple(work.item for work in self.works.values())))
        last = 0.0
        while self._agenda:
            self.now, _, event = heapq.heappop(self._agenda)
            last = self.now
            if isinstance(event, ev.Ended):
                self._used[self.scheduler.units[event.unit].model] -= 1
            for command in self.scheduler.handle(event, self.now):
                self._do(command)
        return last

    def sent(self) -> tuple[Portion, ...]:
        """What costs nothing, because it is at the API already, is left out."""
        return tuple(each for each in map(self._portion, self._sent) if each.credits != 0)

    def over(self) -> dict[str, tuple[Portion, ...]]:
        caps = dict.fromkeys(self._over.values())
        return {cap: tuple(self._portion(unit) for unit, each in self._over.items() if each == cap) for cap in caps}

    def behind(self) -> tuple[Portion, ...]:
        """What was never come to."""
        late = (work for address, work in self.works.items() if not self.scheduler.instances[address].units)
        return tuple(
            Portion(work.item.address, spec.take, spec.credits)
            for work in late
            for spec in work.units
            if spec.decision == "run"
        )

    def _portion(self, name: str) -> Portion:
        unit = self.scheduler.units[name]
        return Portion(unit.item, unit.take, unit.credits)

    def _post(self, after: float, event: ev.Event) -> None:
        heapq.heappush(self._agenda, (self.now + after, next(self._number), event))

    def _do(self, command: cmd.Command) -> None:
        match command:
            case cmd.Decide(address):
                self._post(0.0, self._decided(address))
            case cmd.Admit(unit):
                self._post(0.0, self._admitted(unit))
            case cmd.CarryOut(unit):
                self._carry_out(unit)
            case cmd.Prepare(unit):
                self._post(0.0, ev.Prepared(self.now, unit))

    def _decided(self, address: str) -> ev.Decided:
        units = self.works[address].units
        return ev.Decided(self.now, address, units[0].decision if units else "skip", None, units)

    def _admitted(self, unit: str) -> ev.Event:
        model = self.scheduler.units[unit].model
        if unit in self._flying:
            return ev.Granted(self.now, unit, "resumed")
        credits = self.scheduler.units[unit].credits
        if over := over_caps(self.limits, self._spent, credits):
            self._over[unit] = over.cap.value
            return ev.OverCap(self.now, unit, over.cap.value, over.left, credits)
        limit = self.concurrency(model)
        if limit is not None and self._used[model] >= max(1, limit):
            return ev.Queued(self.now, unit, "concurrency", None)
        self._used[model] += 1
        self._spent = self._spent.and_more(credits or 0)
        self._sent.append(unit)
        return ev.Granted(self.now, unit, "new")

    def _carry_out(self, unit: str) -> None:
        known = self.scheduler.units[unit]
        work = self.works[known.item]
        seconds = work.left.get(known.take, work.item.seconds)
        self._post(seconds, ev.Ended(self.now + seconds, unit, "", "SUCCEEDED"))
        self._post(seconds, ev.Stored(self.now + seconds, unit, "", "", (), None))
