"""The rows of the live view's model: takes, nodes, models. Owns what each knows of itself; the fold is `board`'s."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum

from flowrun.engine.events import Item
from flowrun.engine.states import NodeState


class Phase(StrEnum):
    """Where one take is, as a person watching sees it."""

    PREPARING = "preparing"  # its inputs are being uploaded
    READY = "ready"
    QUEUED = "queued"
    OVER_CAP = "over-cap"
    SHARING = "sharing"  # another node of this run makes it
    SENDING = "sending"
    RUNNING = "running"  # a task at the API
    COLLECTING = "collecting"
    RETRYING = "retrying"
    LEFT = "left"  # its task goes on at the API without us
    ENDED = "ended"


ACTIVE = frozenset({Phase.SENDING, Phase.RUNNING, Phase.COLLECTING, Phase.RETRYING})
_KINDS = (  # of a node with takes in these phases, the first that applies
    (frozenset({Phase.SENDING, Phase.RUNNING, Phase.COLLECTING}), "running"),
    (frozenset({Phase.RETRYING}), "retrying"),
    (frozenset({Phase.PREPARING}), "uploading"),
    (frozenset({Phase.READY, Phase.QUEUED}), "queued"),
    (frozenset({Phase.SHARING}), "sharing"),
    (frozenset({Phase.OVER_CAP}), "over the cap"),
    (frozenset({Phase.LEFT}), "left at the API"),
)
_WITHDRAWN = {  # of a node whose takes an interrupt was to cancel, the first that applies; its outcome stays open
    "cancelled": "cancelled at the API",
    "failed": "ended at the API",
    "collected": "collected",
}


@dataclass(slots=True)
class UnitRow:
    """One take. `since`: when its phase began; `is_ours`: it holds one of the slots this run was granted; `submitted`: when,
    if by this run; `took`: seconds from there to its files; `why`: the limit, cap or code that its phase comes from;
    `outcome`: made, reused, failed, rejected, uncertain or cancelled, once ended; `withdrawn`: what became of its task after an
    interrupt that cancels."""

    name: str
    address: str
    take: int
    model: str
    phase: Phase = Phase.ENDED
    since: float = 0.0
    how: str = ""
    is_ours: bool = False
    task: str | None = None
    submitted: float | None = None
    took: float | None = None
    status: str = ""
    progress: float | None = None
    progress_at: float = 0.0
    credits: int | None = None
    why: str = ""
    message: str = ""
    again_at: float = 0.0
    tries: int = 0
    outcome: str = ""
    withdrawn: str = ""

    @property
    def is_active(self) -> bool:
        return self.phase in ACTIVE


@dataclass(slots=True)
class NodeRow:
    """One node of the graph. `state`: its outcome; `counted`: the kind under which the board has it."""

    item: Item
    units: dict[int, UnitRow] = field(default_factory=dict)
    is_decided: bool = False
    state: NodeState | None = None
    counted: str = "waiting"

    def kind(self) -> str:
        """Its outcome; or else what it does, or waits for."""
        if self.state is not None:
            return self.state.value
        phases = {unit.phase for unit in self.units.values()}
        if not phases:
            return "waiting"
        withdrawn = {unit.withdrawn for unit in self.units.values()} - {""}
        if withdrawn and phases == {Phase.ENDED}:
            return next(kind for status, kind in _WITHDRAWN.items() if status in withdrawn)
        return next((kind for some, kind in _KINDS if phases & some), "running")


@dataclass(slots=True)
class ModelRow:
    """One model. `limit`: generations this run may have in flight, None: no limit; `in_use`: those it has; `elsewhere`: slots
    that others held when a take last had to wait; `queued`: takes that could start; `later`: takes of nodes that are not
    decided; `over`: takes over a cap; `paused`: the limit that closes it (``asked`` where the API itself said so), `until`
    when that may change; `daily`: generations it has a day."""

    name: str
    limit: int | None = None
    daily_left: int | None = None
    daily: int | None = None
    is_known: bool = False
    in_use: int = 0
    queued: int = 0
    later: int = 0
    over: int = 0
    elsewhere: int = 0
    paused: str | None = None
    until: float | None = None

    @property
    def others(self) -> int:
        """Slots held elsewhere, as far as that is known and matters: while something waits, and never beyond the limit."""
        if not self.queued:
            return 0
        return self.elsewhere if self.limit is None else max(0, min(self.elsewhere, self.limit - self.in_use))

    @property
    def is_full(self) -> bool:
        return self.limit is not None and self.in_use + self.others >= self.limit


_SLOWEST, _FASTEST = 20.0, 0.05


@dataclass(slots=True)
class Tempo:
    """How long tasks took in this run, against what was expected of them."""

    _took: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _expected: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def took(self, model: str, seconds: float, expected: float) -> None:
        """One task of a model has ended."""
        self._took[model] += max(0.0, seconds)
        self._expected[model] += expected

    def knows(self, model: str) -> bool:
        """Whether one of the model's tasks has ended."""
        return self._expected[model] > 0

    @property
    def knows_any(self) -> bool:
        return any(seconds > 0 for seconds in self._expected.values())

    def factor(self, model: str) -> float:
        """By what the expected seconds of a model are to be multiplied: as its own tasks say, else those of all models."""
        own = self.knows(model)
        took = self._took[model] if own else sum(self._took.values())
        expected = self._expected[model] if own else sum(self._expected.values())
        return 1.0 if expected <= 0 else min(_SLOWEST, max(_FASTEST, took / expected))
