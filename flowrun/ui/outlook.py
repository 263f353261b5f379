"""How long a run still takes: what remains of it, handed to the real scheduler in virtual time.

The estimate: a task in flight takes as long as its progress says, and where it tells none yet, its expected time, and more
once it has outlasted that; everything else takes its expected time. Expected times are the plan's, corrected by how long the
tasks of the model have taken in this run (of all models, where none of its own has). What nothing will come of in this run
(over a cap, below such a node, its model's day used up) is left out. Owns how often that is worth doing, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from flowrun.engine.estimate import Work, seconds_left
from flowrun.engine.events import UnitSpec
from flowrun.ui.board import Board
from flowrun.ui.board_rows import NodeRow, Phase, UnitRow

PACE = 1.0  # seconds between two estimates of a small run
NODES_A_SECOND = 100  # a run of a thousand nodes is looked at every ten seconds
_TAIL = 0.1  # of its whole time, which a task is given at least
_OUTLASTED = 1.25  # times what it has taken so far: the whole time of a task that is overdue
_TELLING = 0.25  # progress from which on it says more than the expected time
_WHOLE = frozenset({Phase.READY, Phase.QUEUED, Phase.PREPARING, Phase.RETRYING})
_PARTLY = frozenset({Phase.SENDING, Phase.RUNNING})
_NEVER = frozenset({Phase.OVER_CAP, Phase.LEFT})


@dataclass(frozen=True, slots=True)
class Remaining:
    """What a run still has before it: a snapshot, so that it can be reckoned with while the run goes on."""

    works: list[Work]
    slots: Mapping[str, int | None]

    def seconds(self) -> float:
        """Until all of it is done, at expected durations."""
        return seconds_left(self.works, self.slots.get)


def remaining(board: Board, now: float) -> Remaining:
    """What is left to do at `now`."""
    hopeless, factors = _hopeless(board), _factors(board, now)
    works = {at: work for at, node in board.nodes.items() if at not in hopeless and (work := _work(node, factors, now))}
    for at, work in works.items():
        upstream = () if board.nodes[at].is_decided else tuple(up for up in work.item.upstream if up in works)
        works[at] = replace(work, item=replace(work.item, upstream=upstream))
    slots = {row.name: None if row.limit is None else max(1, row.limit - row.others) for row in board.models.values()}
    return Remaining(list(works.values()), slots)


def _hopeless(board: Board) -> set[str]:
    """Nodes of which nothing more comes in this run: what they need is over a cap, left or paused; or those above them are."""
    found = {
        at for at, node in board.nodes.items() if node.is_decided and node.state is None and _is_stuck(board, node)
    }
    below: dict[str, list[str]] = {}
    for at, node in board.nodes.items() if found else ():
        for up in node.item.upstream:
            below.setdefault(up, []).append(at)
    pending = list(found)
    while pending:
        new = set(below.get(pending.pop(), ())) - found
        found |= new
        pending += new
    return found


def _is_stuck(board: Board, node: NodeRow) -> bool:
    units = [unit for unit in node.units.values() if unit.phase is not Phase.ENDED]
    return bool(units) and all(unit.phase in _NEVER or _is_paused(board, unit) for unit in units)


def _is_paused(board: Board, unit: UnitRow) -> bool:
    return unit.phase in _WHOLE and board.models[unit.model].paused is not None


def _factors(board: Board, now: float) -> dict[str, float]:
    """By model, what its expected seconds are to be multiplied with: as tasks that have ended say, or those that should have
    by now, or tell their progress."""
    known = {model: board.tempo.factor(model) for model in board.models}
    flying = [
        unit for unit in board.units.values() if unit.phase is Phase.RUNNING and not board.tempo.knows(unit.model)
    ]
    found = dict(known)
    for unit in flying:
        expected = board.nodes[unit.address].item.seconds
        if expected > 0:
            ratio = _whole(unit, expected * known[unit.model], now) / expected
            found[unit.model] = max(found[unit.model], ratio)
    slowest = max(found.values(), default=1.0)
    return found if board.tempo.knows_any else {model: max(slowest, factor) for model, factor in found.items()}


def _work(node: NodeRow, factors: Mapping[str, float], now: float) -> Work | None:
    """None where nothing is left to do."""
    item, model = node.item, node.item.model
    if node.is_decided:
        specs = tuple(_spec(unit) for unit in node.units.values() if unit.phase in _WHOLE | _PARTLY)
    else:
        specs = tuple(UnitSpec(take, "run", model) for take in range(1, item.takes + 1))
    if not specs:
        return None
    seconds = item.seconds * factors.get(specs[0].model, 1.0)
    flying = [unit for unit in node.units.values() if unit.phase in _PARTLY]
    left = {unit.take: _left(unit, seconds, now) for unit in flying}
    return Work(replace(item, seconds=seconds), specs, left)


def _spec(unit: UnitRow) -> UnitSpec:
    return UnitSpec(unit.take, "resume" if unit.phase in _PARTLY else "run", unit.model)


def _left(unit: UnitRow, expected: float, now: float) -> float:
    """Seconds that a unit in flight still needs."""
    whole = _whole(unit, expected, now)
    return max(whole - (now - _begin(unit)), _TAIL * whole)


def _whole(unit: UnitRow, expected: float, now: float) -> float:
    """Seconds that a unit in flight will have taken from its submission to its end."""
    if unit.progress is not None and unit.progress >= _TELLING and unit.submitted is not None:
        return (unit.progress_at - unit.submitted) / unit.progress
    return max(expected, _OUTLASTED * (now - _begin(unit)))


def _begin(unit: UnitRow) -> float:
    return unit.since if unit.submitted is None else unit.submitted


@dataclass(slots=True)
class Outlook:
    """The last estimate, and whether another one is due. `ends_at`: epoch seconds, None: not known."""

    ends_at: float | None = None
    _at: float = field(default=float("-inf"))
    _moves: int = -1

    def is_due(self, board: Board, now: float) -> bool:
        """Whether something has moved, and the last look is long enough ago for a graph of this size."""
        pace = max(PACE, len(board.nodes) / NODES_A_SECOND)
        return now - self._at >= pace and (board.moves != self._moves or now >= (self.ends_at or now))

    def begin(self, board: Board, now: float) -> Remaining | None:
        """A snapshot to reckon with; None where there is nothing to say of a run that is stopping, or waits for a new day."""
        self._at, self._moves = now, board.moves
        waits = any(row.paused and (row.queued or row.in_use) for row in board.models.values())
        if board.stopping or waits or board.started is None:
            self.ends_at = None
            return None
        return remaining(board, now)

    def finish(self, found: Remaining) -> None:
        """Reckon. Changes nothing but the estimate."""
        self.ends_at = self._at + found.seconds()

    def left(self, now: float) -> float | None:
        """Seconds from `now`, never negative."""
        return None if self.ends_at is None else max(0.0, self.ends_at - now)

    def look(self, board: Board, now: float) -> float | None:
        """All of it at once: seconds left at `now`, estimated anew where that is due."""
        if self.is_due(board, now) and (found := self.begin(board, now)) is not None:
            self.finish(found)
        return self.left(now)
