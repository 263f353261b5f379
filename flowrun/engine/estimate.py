"""How long a run will take: the real scheduler in virtual time, on expected task durations; of a plan, or of what a running
apply still has before it.

Owns a little world in which every request is granted while a slot is free, and every task takes just its expected time.
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
from flowrun.plan.model import Decision, Reason, Step
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


def expected_seconds(plan: Plan, concurrency: Concurrency) -> float:
    """Seconds from start to the last file, if everything that may run does; `concurrency` by model, None: no limit."""
    steps = enumerate(plan.steps.values())
    return seconds_left([_work(step, order) for order, step in steps], concurrency)


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
    found = [take.take for take in step.takes if take.decision is not Decision.HIT] or [1]
    shared = step.why is not None and step.why.reason is Reason.SHARED
    return [ev.UnitSpec(take, "hit" if shared else "run", step.model) for take in found]


@dataclass
class _World:
    works: Mapping[str, Work]
    concurrency: Concurrency
    now: float = 0.0
    scheduler: Scheduler = field(default_factory=lambda: Scheduler(recheck=None))
    _agenda: list[tuple[float, int, ev.Event]] = field(default_factory=list)
    _number: count[int] = field(default_factory=count)
    _used: Counter[str] = field(default_factory=Counter)

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
        limit = self.concurrency(model)
        if limit is not None and self._used[model] >= max(1, limit):
            return ev.Queued(self.now, unit, "concurrency", None)
        self._used[model] += 1
        return ev.Granted(self.now, unit, "new")

    def _carry_out(self, unit: str) -> None:
        known = self.scheduler.units[unit]
        work = self.works[known.item]
        seconds = work.left.get(known.take, work.item.seconds)
        self._post(seconds, ev.Ended(self.now + seconds, unit, "", "SUCCEEDED"))
        self._post(seconds, ev.Stored(self.now + seconds, unit, "", "", (), None))
