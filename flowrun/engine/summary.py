"""What a run came to, as a fold over its events: feed them in order and the summary is the same, live or replayed.

Owns the counting. Exit codes and words are others'.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from flowrun.engine import events as ev
from flowrun.engine.failure import Complaint, Verdict
from flowrun.engine.shortfall import Shortfall, Unfit, Waiting, shortfalls
from flowrun.engine.states import NodeState

_MADE = frozenset({NodeState.SUCCEEDED, NodeState.REUSED, NodeState.SKIPPED, NodeState.EXCLUDED})
_RETRIED = frozenset({Verdict.RETRY.value, Verdict.RESEND.value})


@dataclass(slots=True)
class Trouble:
    """The last thing that went wrong with a take of a node, or with the node before it had any.

    `charged`: credits it cost for sure, None: unknown; `problems`: what the API says of fields of the request.
    """

    address: str
    verdict: str
    code: str
    message: str
    hint: str | None = None
    task: str | None = None
    charged: int | None = None
    problems: tuple[Complaint, ...] = ()


@dataclass(slots=True)
class Summary:
    """`states`: by address, once settled; `submitted`: requests accepted; `credits`: what they cost, as far as it is known
    (estimates where the API said nothing); `troubles`: by unit, or by address where a node has none; `over`: units that no
    credits were left for; `caps`: what the caps left in the end; `waiting`: units whose model's day is used up; `daily`: how
    many generations a day has, by model; `left`: units whose task goes on at the API without us, with the task; `withdrawn`:
    those that an interrupt was to cancel, as (unit, cancelled | collected | failed | left, detail); `at`: the last event's
    time (epoch seconds)."""

    states: dict[str, NodeState] = field(default_factory=dict)
    submitted: int = 0
    reused: int = 0
    credits: int = 0
    unpriced: int = 0
    troubles: dict[str, Trouble] = field(default_factory=dict)
    over: dict[str, Unfit] = field(default_factory=dict)
    caps: tuple[ev.CapLeft, ...] = ()
    waiting: dict[str, Waiting] = field(default_factory=dict)
    daily: dict[str, int | None] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)
    exports: list[tuple[str, str, str]] = field(default_factory=list)
    recovered: list[tuple[str, str, str]] = field(default_factory=list)  # address, collected | failed | left, detail
    withdrawn: list[tuple[str, str, str]] = field(default_factory=list)
    interrupted: int = 0
    run: str = ""
    at: float = 0.0
    _models: dict[str, str] = field(default_factory=dict, repr=False)  # by unit
    _undone: dict[str, int | None] = field(default_factory=dict, repr=False)  # unit, or address not decided -> credits
    _spent: dict[str, int | None] = field(default_factory=dict, repr=False)

    def take_in(self, event: ev.Event) -> None:
        """The next event."""
        self.at = event.at
        match event:
            case ev.RunStarted() | ev.Interrupted():
                self._begun_or_stopped(event)
            case ev.Expanded(items=items):
                self.pending |= {item.address for item in items}
                self._undone |= {item.address: item.credits for item in items}
            case ev.LimitsRead() | ev.Queued() | ev.OverCap() | ev.CapsTold():
                self._limited(event)
            case ev.Decided():
                self._decided(event)
            case ev.Submitted(unit=unit, credits=credits):
                self.submitted += 1
                self._book(unit, credits)
            case ev.Stored(unit=unit, credits=credits):
                if (
                    unit in self._spent and credits is not None
                ):  # else another run counted it, or nothing better is known
                    self._book(unit, credits)
                self._undone.pop(unit, None)
            case ev.AttemptFailed():
                self._failed(event)
            case ev.Granted(unit=unit) | ev.Found(unit=unit):
                if isinstance(event, ev.Found):
                    self._undone.pop(unit, None)
                self.over.pop(unit, None)
                self.waiting.pop(unit, None)
                self.troubles.pop(unit, None)  # of an attempt before this one
            case ev.Left(unit=unit, task=str(task)):
                self.left[unit] = task
            case ev.Settled(address=address, state=state):
                self._settled(address, state)
            case ev.Exported(output=output, path=path, status=status):
                self.exports.append((output, path, status))
            case ev.Recovered() | ev.Withdrawn():
                self._taken_home(event)
            case ev.Halted() | ev.ExportFailed():
                self._failed_beside(event)

    def _begun_or_stopped(self, event: ev.RunStarted | ev.Interrupted) -> None:
        if isinstance(event, ev.RunStarted):
            self.run = event.run
        else:
            self.interrupted = max(self.interrupted, event.times)

    def _limited(self, event: ev.LimitsRead | ev.Queued | ev.OverCap | ev.CapsTold) -> None:
        match event:
            case ev.LimitsRead(models=models):
                self.daily |= {each.model: each.daily for each in models}
            case ev.Queued(unit=unit, limit="daily", until=until):
                self.waiting[unit] = Waiting(self._models.get(unit, ""), until)
            case ev.OverCap(unit=unit, cap=cap, left=left, credits=credits, until=until):
                self.over[unit] = Unfit(cap, credits, left, until)
            case ev.CapsTold(caps=caps, next_free=times):
                self.caps = caps
                told = {unit: times.get(each.model, each.until) for unit, each in self.waiting.items()}
                self.waiting = {unit: Waiting(self.waiting[unit].model, until) for unit, until in told.items()}

    def _decided(self, event: ev.Decided) -> None:
        known = {f"{event.address}#{spec.take}": spec for spec in event.units}
        self._models |= {unit: spec.model for unit, spec in known.items()}
        if known or event.decision != "blocked":  # what is blocked is still to be made
            self._undone.pop(event.address, None)
            self._undone |= {unit: spec.credits for unit, spec in known.items() if spec.decision == "run"}
        if event.decision == "failed":
            code, message = event.reason or "failed", event.detail or "cannot be decided"
            self.troubles[event.address] = Trouble(event.address, Verdict.FAIL.value, code, message)
        elif event.decision in ("rejected", "uncertain"):
            detail = event.detail or "an earlier request is unsettled"
            verdict = Verdict.REJECT if event.decision == "rejected" else Verdict.DOUBT
            self.troubles[event.address] = Trouble(event.address, verdict.value, event.decision, detail)

    def _book(self, unit: str, credits: int | None) -> None:
        """The newest word on what a unit cost replaces the one before."""
        before = self._spent.get(unit, 0)
        self._spent[unit] = credits
        self.credits += (credits or 0) - (before or 0)
        self.unpriced += (credits is None) - (before is None)

    def _failed(self, event: ev.AttemptFailed) -> None:
        address = event.unit.rpartition("#")[0]
        if event.charged is not None and event.unit in self._spent:
            self._book(event.unit, event.charged)
        if event.verdict in _RETRIED:
            self._spent.pop(event.unit, None)  # the next attempt is counted beside it
        self.over.pop(event.unit, None)
        self.waiting.pop(event.unit, None)
        if event.verdict == Verdict.PAUSE_MODEL.value:
            self.waiting[event.unit] = Waiting(self._models.get(event.unit, ""))
        if event.verdict == Verdict.REJECT.value or event.rejected:
            self._undone.pop(event.unit, None)
        self.troubles[event.unit] = Trouble(
            address,
            event.verdict,
            event.code,
            event.message,
            event.hint,
            event.task,
            event.charged,
            event.problems,
        )

    def _taken_home(self, event: ev.Recovered | ev.Withdrawn) -> None:
        if isinstance(event, ev.Recovered):
            self.recovered.append((event.address, event.status, event.detail))
            return
        self.withdrawn.append((event.unit, event.status, event.detail))
        self.left.pop(event.unit, None)
        if event.status == "left":
            self.left[event.unit] = event.task
        if event.credits is not None and event.unit in self._spent:
            self._book(event.unit, event.credits)

    def _failed_beside(self, event: ev.Halted | ev.ExportFailed) -> None:
        """Something no node is to blame for."""
        where, verdict = "this run", Verdict.STOP
        if isinstance(event, ev.ExportFailed):
            where, verdict = event.where, Verdict.FAIL
        key = event.code if verdict is Verdict.STOP else where
        self.troubles[key] = Trouble(where, verdict.value, event.code, event.message, event.hint)

    def _settled(self, address: str, state: NodeState) -> None:
        self.states[address] = state
        self.pending.discard(address)
        if state in _MADE:
            self._undone.pop(address, None)
        if state is NodeState.REUSED:
            self.reused += 1

    def counts(self) -> dict[str, int]:
        """Nodes by final state; `pending` are those that were not reached."""
        found: dict[str, int] = {}
        for state in self.states.values():
            found[state.value] = found.get(state.value, 0) + 1
        return {**found, **({"pending": len(self.pending)} if self.pending else {})}

    def still_to_make(self) -> tuple[int, int]:
        """Credits that everything may take which this run did not make, and how many takes of it have no known price."""
        return sum(each or 0 for each in self._undone.values()), sum(each is None for each in self._undone.values())

    def to_json(self) -> dict[str, Any]:
        """As `apply --json` and the run's last event give it."""
        return {
            "nodes": self.counts(),
            "submitted": self.submitted,
            "credits": self.credits,
            "unknown_prices": self.unpriced,
            "troubles": [_as_json(trouble) for trouble in self.troubles.values()],
            "over_cap": {unit: each.cap for unit, each in sorted(self.over.items())},
            "did_not_fit": [_plain(each) for each in shortfalls(self.over, self.caps)],
            "still_to_make": dict(zip(("credits", "unknown"), self.still_to_make(), strict=True)),
            "waiting": {unit: {"limit": "daily", **asdict(each)} for unit, each in sorted(self.waiting.items())},
            "left_at_api": dict(sorted(self.left.items())),
            "withdrawn": [{"unit": each[0], "status": each[1], "detail": each[2]} for each in self.withdrawn],
            "pending": sorted(self.pending),
            "recovered": [{"address": each[0], "status": each[1], "detail": each[2]} for each in self.recovered],
            "exports": [{"output": output, "path": path, "status": status} for output, path, status in self.exports],
        }


def _plain(shortfall: Shortfall) -> dict[str, Any]:
    return {**asdict(shortfall), "units": list(shortfall.units), "would_fit": list(shortfall.would_fit)}


def _as_json(trouble: Trouble) -> dict[str, Any]:
    return {**asdict(trouble), "problems": [asdict(each) for each in trouble.problems]}
