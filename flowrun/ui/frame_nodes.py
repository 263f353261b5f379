"""The nodes of the live view: a row for each that is active or has failed, one for all that wait alike. Owns their words,
and which of them are shown where there is not room for all.

An active take keeps its row for as long as it is active, and its outcome stays there until another one starts: rows do not
jump. What does not fit is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from flowrun.diagnostics.visible import width as columns_of
from flowrun.ui.board import Board
from flowrun.ui.board_rows import NodeRow, Phase, UnitRow
from flowrun.ui.frame_models import why_queued
from flowrun.ui.numbers import duration, elapsed, plural, spent
from flowrun.ui.paint import safe
from flowrun.ui.rows import Row, note
from flowrun.ui.tables import Cell, cut_middle

LINGER = 3.0  # seconds that the outcome of a take keeps its row where there is not room for all
_WORD = 18  # columns of ``in the API's queue``
_BAR = 10
_ROOM_FOR_BARS = 64
_ROOM_FOR_MODELS = 100
_GROUPED = ("queued", "uploading", "over the cap", "sharing", "waiting")
_CAPS = {
    "run-cap": "no credits left under --max-credits or limits.credits",
    "balance": "no credits left in the account",
    "unknown-price": "has no known price",
}
_STATUS = {"RUNNING": "running", "THROTTLED": "in the API's queue"}
_HOW = {"resumed": "taken up", "joined": "another flowrun's"}
_KINDS = {"made": "good", "reused": "good", "failed": "bad", "rejected": "bad", "uncertain": "bad"}


def node_rows(board: Board, now: float, room: int, lines: int) -> list[Row]:
    """At most `lines` rows for lines of `room` columns."""
    name = _name_columns(board, room)
    lanes = list(board.lanes)
    failures = [each for each in board.failures if each not in lanes and _still_failed(board, each)]
    grouped = groups(board)
    kept = _shares(len(lanes), len(failures), len(grouped), lines)
    return [
        *_lanes(board, now, room, name, lanes, kept[0]),
        *_failures(board, name, failures, kept[1]),
        *_groups(grouped, name, kept[2]),
    ]


def _name_columns(board: Board, room: int) -> int:
    """The same for the whole run: as wide as the widest address, unless that takes too much."""
    widest = max((columns_of(safe(address)) for address in board.nodes), default=0)
    return max(8, min(widest + 4, room * 2 // 5))  # four for a take, or for a count


def _shares(lanes: int, failures: int, grouped: int, lines: int) -> tuple[int, int, int]:
    """How many lines each part has. What is active comes first; a quarter is kept for each of the others."""
    if lanes + failures + grouped <= lines:
        return lanes, failures, grouped
    quarter = max(1, lines // 4)
    for_failures = min(failures, quarter)
    for_groups = min(grouped, quarter, lines - for_failures)
    for_lanes = min(lanes, max(0, lines - for_failures - for_groups))
    spare = lines - for_failures - for_groups - for_lanes
    more = min(spare, failures - for_failures)
    return for_lanes, for_failures + more, for_groups + min(spare - more, grouped - for_groups)


# -- what is active


def _lanes(board: Board, now: float, room: int, name: int, lanes: Sequence[str], lines: int) -> list[Row]:
    units = [board.units[each] for each in lanes]
    if len(units) <= lines:
        return [_lane(board, unit, now, room, name) for unit in units]
    shown = _chosen(units, lines, now)
    if hidden := _hidden(units, shown):
        shown = shown[: lines - 1]
        hidden = _hidden(units, shown)
    rows = [_lane(board, unit, now, room, name) for unit in shown]
    return [*rows, note(f"{'and ' if rows else ''}{hidden} more active")][:lines] if hidden else rows


def _chosen(units: Sequence[UnitRow], lines: int, now: float) -> list[UnitRow]:
    """Those that are active before those that have ended, each where it stands. What has just ended is not taken away at
    once: as a rule another one starts in its place, and the rows below would go up and down again."""
    ranks = [not (unit.is_active or now - unit.since < LINGER) for unit in units]
    first = sorted(range(len(units)), key=lambda at: (ranks[at], at))[:lines]
    return [units[at] for at in sorted(first)]


def _hidden(units: Sequence[UnitRow], shown: Sequence[UnitRow]) -> int:
    return sum(unit.is_active for unit in units) - sum(unit.is_active for unit in shown)


def _lane(board: Board, unit: UnitRow, now: float, room: int, name: int) -> Row:
    head = (Cell(cut_middle(_unit_name(board, unit), name)), Cell(_word(unit, now), _KINDS.get(unit.outcome, "")))
    widths = (name, _WORD)
    since = unit.since if unit.submitted is None else unit.submitted
    if unit.phase is not Phase.RUNNING:
        return Row((*head, Cell(_text(unit), "quiet")), widths)
    cells = [Cell(_percent(unit.progress)), Cell(elapsed(now - since))]
    own = [4, 4]
    if room >= _ROOM_FOR_BARS:
        cells.insert(0, Cell(_bar(unit.progress)))
        own.insert(0, _BAR + 2)
    if room >= _ROOM_FOR_MODELS:
        cells.append(Cell(f"{safe(unit.model)}, {spent(unit.credits)}", "quiet"))
        own.append(0)
    return Row((*head, *cells), (*widths, *own))


def _word(unit: UnitRow, now: float) -> str:
    match unit.phase:
        case Phase.SENDING:
            return "sending"
        case Phase.RUNNING:
            return _STATUS.get(unit.status) or _HOW.get(unit.how, "accepted")
        case Phase.COLLECTING:
            return "downloading"
        case Phase.RETRYING:
            return f"again in {duration(unit.again_at - now)}"
        case Phase.LEFT:
            return "left at the API"
        case Phase.ENDED:
            return unit.outcome
    return unit.phase.value


def _text(unit: UnitRow) -> str:
    """What is to be said beside the word."""
    if unit.phase is Phase.RETRYING or unit.outcome in ("failed", "rejected", "uncertain"):
        return safe(unit.message)
    if unit.outcome == "made":
        return f"{'' if unit.took is None else f'in {duration(unit.took)}, '}{spent(unit.credits)}"
    return ""


def _unit_name(board: Board, unit: UnitRow) -> str:
    """The address; with its take where the node has several."""
    return safe(unit.address if len(board.nodes[unit.address].units) == 1 else unit.name)


def _bar(progress: float | None) -> str:
    if progress is None:
        return ""
    full = int(_BAR * min(1.0, max(0.0, progress)))
    return f"[{'#' * full}{'.' * (_BAR - full)}]"


def _percent(progress: float | None) -> str:
    return "" if progress is None else f"{int(100 * min(1.0, max(0.0, progress)))}%".rjust(4)


# -- what has failed


def _still_failed(board: Board, name: str) -> bool:
    return name not in board.units or board.units[name].phase is Phase.ENDED


def _failures(board: Board, name: int, failures: Sequence[str], lines: int) -> list[Row]:
    """The newest; the whole message of each stands above the view."""
    if not failures or not lines:
        return []
    if len(failures) <= lines:
        return [_failure(board, each, name) for each in failures]
    shown = failures[len(failures) - lines + 1 :]
    more = note(f"{'and ' if shown else ''}{len(failures) - len(shown)} more failed, told above")
    return [*(_failure(board, each, name) for each in shown), more]


def _failure(board: Board, failed: str, name: int) -> Row:
    unit, trouble = board.units.get(failed), board.summary.troubles.get(failed)
    outcome = unit.outcome if unit is not None else board.nodes[failed].counted
    shown = safe(failed) if unit is None else _unit_name(board, unit)
    message = safe(trouble.message) if trouble is not None else ""
    return Row((Cell(cut_middle(shown, name)), Cell(outcome, "bad"), Cell(message, "quiet")), (name, _WORD))


# -- what waits


@dataclass(slots=True)
class Group:
    """Nodes of one fan-out that wait alike."""

    kind: str
    why: str
    nodes: list[NodeRow] = field(default_factory=list)

    @property
    def name(self) -> str:
        first = self.nodes[0].item.address
        return safe(first if len(self.nodes) == 1 else f"{_base(first)} ({len(self.nodes)})")


def groups(board: Board) -> list[Group]:
    """By what they wait for: a slot before an upload, before credits, before a twin, before what is above them."""
    found: dict[tuple[str, str, str], Group] = {}
    for node in board.nodes.values():
        if node.counted in _GROUPED:
            why = _why(board, node)
            key = (node.counted, _base(node.item.address), why)
            found.setdefault(key, Group(node.counted, why)).nodes.append(node)
    return sorted(found.values(), key=lambda group: _GROUPED.index(group.kind))


def _groups(found: Sequence[Group], name: int, lines: int) -> list[Row]:
    if not lines:
        return []
    shown = found if len(found) <= lines else found[: lines - 1]
    rows = [
        Row((Cell(cut_middle(group.name, name)), Cell(group.kind), Cell(group.why, "quiet")), (name, _WORD))
        for group in shown
    ]
    rest = sum(len(group.nodes) for group in found[len(shown) :])
    return (
        [*rows, note(f"{'and ' if rows else ''}{plural(rest, 'more node')} that wait{'s' * (rest == 1)}")]
        if rest
        else rows
    )


def _why(board: Board, node: NodeRow) -> str:
    if node.counted == "waiting":
        return _above(board, node)
    unit = next((each for each in node.units.values() if each.phase is not Phase.ENDED), None)
    if unit is None:
        return ""
    if node.counted == "over the cap":
        return _CAPS.get(unit.why, unit.why)
    if node.counted == "sharing":
        return "another node of this run makes it"
    why = why_queued(board.models[unit.model]) if node.counted == "queued" else ""
    return f"{safe(unit.model)}{': ' if why else ''}{why}"


def _above(board: Board, node: NodeRow) -> str:
    """The nodes it waits for, each fan-out once."""
    names = list(dict.fromkeys(_base(up) for up in board.waits_for(node)))
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return f"for {safe(', '.join(names[:2]))}{more}" if names else ""


def _base(address: str) -> str:
    """The address without the key of its last segment."""
    return address[: address.rindex("[")] if address.endswith("]") else address
