"""How long an apply will take: the real scheduler over a plan, in virtual time, on expected task durations.

Owns a little world in which every request is granted while a slot is free, and every task takes just its expected time.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count

from flowrun.engine import commands as cmd
from flowrun.engine import events as ev
from flowrun.engine.scheduler import Scheduler
from flowrun.plan.model import Decision, Reason, Step
from flowrun.plan.whole import Plan

_BUSY = {Decision.RUN, Decision.UNDECIDED, Decision.RESUME}


def expected_seconds(plan: Plan, concurrency: Callable[[str], int | None]) -> float:
    """Seconds from start to the last file, if everything that may run does; `concurrency` by model, None: no limit."""
    return _World(plan, concurrency).run()


@dataclass
class _World:
    plan: Plan
    concurrency: Callable[[str], int | None]
    now: float = 0.0
    scheduler: Scheduler = field(default_factory=lambda: Scheduler(recheck=None))
    _agenda: list[tuple[float, int, ev.Event]] = field(default_factory=list)
    _number: count[int] = field(default_factory=count)
    _used: Counter[str] = field(default_factory=Counter)

    def run(self) -> float:
        self._steps = {str(address): step for address, step in self.plan.steps.items()}
        items = tuple(
            ev.Item(name, tuple(map(str, step.upstream)), step.seconds if step.decision in _BUSY else 0.0, order)
            for order, (name, step) in enumerate(self._steps.items())
        )
        self._post(0.0, ev.Expanded(0.0, items))
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
                self._post(0.0, self._decided(address, self._steps[address]))
            case cmd.Admit(unit):
                self._post(0.0, self._admitted(unit))
            case cmd.CarryOut(unit):
                self._work(unit)
            case cmd.Prepare(unit):
                self._post(0.0, ev.Prepared(self.now, unit))

    def _decided(self, address: str, step: Step) -> ev.Decided:
        if step.decision not in _BUSY:
            word = "hit" if step.decision is Decision.HIT else step.decision.value
            takes: Iterable[int] = (1,) if step.decision is Decision.HIT else ()
            units = tuple(ev.UnitSpec(take, word, step.model) for take in takes)
            return ev.Decided(self.now, address, "skip" if not units else word, None, units)
        found = [take.take for take in step.takes if take.decision is not Decision.HIT] or [1]
        shared = step.why is not None and step.why.reason is Reason.SHARED
        word = "hit" if shared else "run"
        return ev.Decided(self.now, address, word, None, tuple(ev.UnitSpec(take, word, step.model) for take in found))

    def _admitted(self, unit: str) -> ev.Event:
        model = self.scheduler.units[unit].model
        limit = self.concurrency(model)
        if limit is not None and self._used[model] >= max(1, limit):
            return ev.Queued(self.now, unit, "concurrency", None)
        self._used[model] += 1
        return ev.Granted(self.now, unit, "new")

    def _work(self, unit: str) -> None:
        known = self.scheduler.units[unit]
        seconds = self._steps[known.item].seconds
        self._post(seconds, ev.Ended(self.now + seconds, unit, "", "SUCCEEDED"))
        self._post(seconds, ev.Stored(self.now + seconds, unit, "", "", (), None))
