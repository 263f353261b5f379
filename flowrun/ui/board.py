"""The live view's model: where every node, every take and every model stands, as a fold over a run's events.

Owns the counting. Words and columns are `frame`'s, the terminal is `live`'s. Times are epoch seconds and come from the
events; whoever asks for something that depends on the moment brings the moment.

Invariant, after every event: the counts by kind add up to the number of nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from flowrun.engine import events as ev
from flowrun.engine.failure import Verdict
from flowrun.engine.states import NodeState
from flowrun.engine.summary import Summary
from flowrun.ui.board_rows import ACTIVE, ModelRow, NodeRow, Phase, Tempo, UnitRow
from flowrun.ui.retries import Retries

_DECIDED = {"run": Phase.READY, "resume": Phase.READY}
_OUTCOMES = {Verdict.REJECT: "rejected", Verdict.DOUBT: "uncertain"}


class Board:
    """`lanes`: rows for what is active, a unit's for as long as it is; its outcome stays there until another one starts.
    `failures`: units that failed, in order. `moves`: grows with whatever changes how long the run will take."""

    def __init__(self) -> None:
        self.summary = Summary()
        self.started: ev.RunStarted | None = None
        self.ended: ev.RunEnded | None = None
        self.nodes: dict[str, NodeRow] = {}
        self.units: dict[str, UnitRow] = {}
        self.models: dict[str, ModelRow] = {}
        self.counts: Counter[str] = Counter()
        self.lanes: list[str] = []
        self.failures: list[str] = []
        self.tempo = Tempo()
        self.stopping: str | None = None  # why nothing new starts
        self.interrupts = 0
        self.cancels = False
        self.moves = 0
        self._balance: int | None = None  # credits, after everything booked by `_booked`
        self._booked = 0
        self._retries = Retries()
        self._doors: dict[type[Any], Callable[[Any], None]] = {
            ev.RunStarted: self._run_started,
            ev.LimitsRead: self._limits_read,
            ev.Expanded: self._expanded,
            ev.Decided: self._decided,
            ev.Halted: self._halted,
            ev.Interrupted: self._interrupted,
            ev.Settled: self._settled,
            ev.RunEnded: self._run_ended,
        }
        self._unit_doors: dict[type[Any], Callable[[UnitRow, Any], None]] = {
            ev.Prepared: self._prepared,
            ev.Queued: self._queued,
            ev.OverCap: self._over_cap,
            ev.Granted: self._granted,
            ev.Submitted: self._submitted,
            ev.Progressed: self._progressed,
            ev.Ended: self._task_ended,
            ev.Stored: self._stored,
            ev.Found: self._found,
            ev.AttemptFailed: self._failed,
            ev.Woke: self._woke,
            ev.Left: self._left,
            ev.Withdrawn: self._withdrawn,
        }

    def take_in(self, event: ev.Event) -> None:
        """The next event."""
        self.summary.take_in(event)
        if (door := self._doors.get(type(event))) is not None:
            door(event)
        unit = self.units.get(getattr(event, "unit", None) or "")
        if unit is not None and (unit_door := self._unit_doors.get(type(event))) is not None:
            unit_door(unit, event)
            self._recount(self.nodes[unit.address])

    # -- what is asked of it

    @property
    def done(self) -> int:
        """Nodes that have their outcome."""
        return len(self.summary.states)

    @property
    def balance(self) -> int | None:
        """The account's credits, less what this run has booked since they were read. None: not known."""
        return None if self._balance is None else self._balance - (self.summary.credits - self._booked)

    @property
    def at_api(self) -> int:
        """Tasks of this run that are at the API now, or were left there."""
        return len(self.there)

    @property
    def there(self) -> list[str]:
        """Addresses of the takes whose tasks these are."""
        there = (unit for unit in self.units.values() if unit.phase in (Phase.RUNNING, Phase.LEFT))
        return [unit.address for unit in there if unit.task is not None]

    def elapsed(self, now: float) -> float:
        """Seconds since the run began."""
        return 0.0 if self.started is None else max(0.0, (self.ended.at if self.ended else now) - self.started.at)

    def waits_for(self, node: NodeRow) -> list[str]:
        """Addresses upstream of the node that have no outcome yet."""
        return [up for up in node.item.upstream if up in self.nodes and self.nodes[up].state is None]

    # -- the run

    def _run_started(self, event: ev.RunStarted) -> None:
        self.started = event
        self._retries.started(event)

    def _run_ended(self, event: ev.RunEnded) -> None:
        self.ended = event

    def _limits_read(self, event: ev.LimitsRead) -> None:
        """The API takes a task's credits off the balance when it has ended, so those in flight are still in it."""
        for limit in event.models:
            row = self._model(limit.model)
            row.limit, row.daily_left, row.is_known = limit.concurrency, limit.daily_left, True
            row.daily = limit.daily
        in_flight = sum(
            unit.credits or 0 for unit in self.units.values() if unit.phase is Phase.RUNNING and unit.is_ours
        )
        self._balance, self._booked = event.balance - in_flight, self.summary.credits
        self.moves += 1

    def _expanded(self, event: ev.Expanded) -> None:
        for item in event.items:
            self.nodes[item.address] = NodeRow(item)
            self.counts["waiting"] += 1
            if item.model:
                self._model(item.model).later += item.takes
        self.moves += 1

    def _halted(self, event: ev.Halted) -> None:
        self.stopping = self.stopping or "surroundings"

    def _interrupted(self, event: ev.Interrupted) -> None:
        self.stopping, self.interrupts = "interrupted", max(self.interrupts, event.times)
        self.cancels = event.cancels

    # -- nodes

    def _decided(self, event: ev.Decided) -> None:
        self._retries.decided(event)
        node = self.nodes.get(event.address)
        if node is None:
            return
        node.is_decided = True
        if node.item.model:
            self._model(node.item.model).later -= node.item.takes
        for spec in event.units:
            unit = UnitRow(f"{event.address}#{spec.take}", event.address, spec.take, spec.model, credits=spec.credits)
            node.units[spec.take] = self.units[unit.name] = unit
            phase = Phase.PREPARING if spec.prepare else _DECIDED.get(spec.decision, Phase.ENDED)
            self._enter(unit, phase, event.at)
        self.moves += 1
        self._recount(node)

    def _settled(self, event: ev.Settled) -> None:
        node = self.nodes.get(event.address)
        if node is None:
            return
        node.state = event.state
        if event.state in (NodeState.FAILED, NodeState.REJECTED, NodeState.UNCERTAIN) and not node.units:
            self.failures.append(event.address)
        self.moves += 1
        self._recount(node)

    def _recount(self, node: NodeRow) -> None:
        kind = node.kind()
        if kind != node.counted:
            self.counts[node.counted] -= 1
            self.counts[kind] += 1
            node.counted = kind

    # -- units

    def _prepared(self, unit: UnitRow, event: ev.Prepared) -> None:
        self._enter(unit, Phase.READY, event.at)

    def _queued(self, unit: UnitRow, event: ev.Queued) -> None:
        model = self._model(unit.model)
        if event.limit == "concurrency":
            model.elsewhere = event.elsewhere or 0
        else:
            model.paused, model.until = event.limit, event.until
        unit.why = event.limit
        self._enter(unit, Phase.QUEUED, event.at)

    def _over_cap(self, unit: UnitRow, event: ev.OverCap) -> None:
        unit.why = event.cap
        self._enter(unit, Phase.OVER_CAP, event.at)

    def _granted(self, unit: UnitRow, event: ev.Granted) -> None:
        unit.how, unit.task, unit.status, unit.progress = event.how, None, "", None
        if event.how == "new":
            self._model(unit.model).paused = None
        phases = {"new": Phase.SENDING, "shared": Phase.SHARING}
        self._enter(unit, phases.get(event.how, Phase.RUNNING), event.at)
        self._hold(unit, event.how in ("new", "resumed"))
        if event.how != "shared":
            self._take_lane(unit)

    def _submitted(self, unit: UnitRow, event: ev.Submitted) -> None:
        unit.task, unit.credits, unit.submitted = event.task, event.credits, event.at
        self._retries.submitted(event)
        model = self._model(unit.model)
        model.daily_left = None if model.daily_left is None else max(0, model.daily_left - 1)
        self._enter(unit, Phase.RUNNING, event.at)

    def _progressed(self, unit: UnitRow, event: ev.Progressed) -> None:
        unit.task, unit.status = event.task, event.status
        unit.progress, unit.progress_at = event.progress, event.at
        self.moves += 1

    def _task_ended(self, unit: UnitRow, event: ev.Ended) -> None:
        self._hold(unit, False)
        if event.status == "SUCCEEDED":
            if unit.submitted is not None:
                self.tempo.took(unit.model, event.at - unit.submitted, self.nodes[unit.address].item.seconds)
            self._enter(unit, Phase.COLLECTING, event.at)

    def _stored(self, unit: UnitRow, event: ev.Stored) -> None:
        unit.credits = event.credits
        unit.took = None if unit.submitted is None else event.at - unit.submitted
        self._end(unit, "made", event.at)

    def _found(self, unit: UnitRow, event: ev.Found) -> None:
        self._end(unit, "reused", event.at)

    def _failed(self, unit: UnitRow, event: ev.AttemptFailed) -> None:
        verdict, again = Verdict(event.verdict), self._retries.again(event)
        unit.why, unit.message = event.code, event.message
        self._hold(unit, False)
        if verdict is Verdict.PAUSE_MODEL:
            model, pause = self._model(unit.model), self._retries.pause(event)
            model.paused, model.until = ("daily", None) if pause is None else ("asked", event.at + pause)
            self._enter(unit, Phase.QUEUED, event.at)
        elif verdict is Verdict.PAUSE_RUN:
            self.stopping = self.stopping or "credits"
            self._enter(unit, Phase.QUEUED, event.at)
        elif again is not None:
            unit.again_at, unit.tries = event.at + again, unit.tries + 1
            self._enter(unit, Phase.RETRYING, event.at)
        else:
            self._give_up(unit, event, verdict)

    def _give_up(self, unit: UnitRow, event: ev.AttemptFailed, verdict: Verdict) -> None:
        if verdict in (Verdict.STOP, Verdict.RESEND):
            self.stopping = self.stopping or "surroundings"
        rejected = verdict is Verdict.RETRY and event.rejected
        self.failures.append(unit.name)
        self._end(unit, "rejected" if rejected else _OUTCOMES.get(verdict, "failed"), event.at)

    def _woke(self, unit: UnitRow, event: ev.Woke) -> None:
        self._enter(unit, Phase.READY, event.at)

    def _left(self, unit: UnitRow, event: ev.Left) -> None:
        unit.task = event.task
        self._hold(unit, False)
        self._enter(unit, Phase.LEFT, event.at)

    def _withdrawn(self, unit: UnitRow, event: ev.Withdrawn) -> None:
        if event.status != "left":
            unit.withdrawn = event.status
            self._end(unit, _WITHDRAWN[event.status], event.at)

    def _end(self, unit: UnitRow, outcome: str, at: float) -> None:
        self._hold(unit, False)
        unit.outcome = outcome
        self._enter(unit, Phase.ENDED, at)

    # -- views

    def _enter(self, unit: UnitRow, phase: Phase, at: float) -> None:
        """The unit's one way from a phase to another; its model's counts go with it."""
        model = self._model(unit.model)
        model.queued += (phase in _WAITS) - (unit.phase in _WAITS)
        model.over += (phase is Phase.OVER_CAP) - (unit.phase is Phase.OVER_CAP)
        unit.phase, unit.since = phase, at
        self.moves += 1

    def _hold(self, unit: UnitRow, holds: bool) -> None:
        self._model(unit.model).in_use += holds - unit.is_ours
        unit.is_ours = holds

    def _take_lane(self, unit: UnitRow) -> None:
        """Its own from an attempt before, else the first whose unit is not active any more."""
        if unit.name in self.lanes:
            return
        free = next((at for at, name in enumerate(self.lanes) if self.units[name].phase not in ACTIVE), None)
        if free is None:
            self.lanes.append(unit.name)
        else:
            self.lanes[free] = unit.name

    def _model(self, name: str) -> ModelRow:
        return self.models.setdefault(name, ModelRow(name))


_WITHDRAWN = {"collected": "made", "cancelled": "cancelled", "failed": "failed"}
_WAITS = frozenset({Phase.READY, Phase.QUEUED})
