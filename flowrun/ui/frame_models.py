"""The models of the live view: slots in use, what waits for one, and why. Owns their words and which are shown."""

from __future__ import annotations

from flowrun.diagnostics.visible import width as columns_of
from flowrun.ui.board import Board
from flowrun.ui.board_rows import ModelRow
from flowrun.ui.numbers import moment, number, plural
from flowrun.ui.paint import safe
from flowrun.ui.rows import Row, note
from flowrun.ui.shortfalls import used_up
from flowrun.ui.tables import Cell

_SLOTS = 20  # columns of ``2 + 3 elsewhere of 5``


def model_rows(board: Board, most: int) -> list[Row]:
    """At most `most`, in an order that does not change; where there are more, those with something to tell come first."""
    known = [row for row in board.models.values() if row.is_known or row.in_use or row.queued]
    shown = known if len(known) <= most else _busiest(known, max(0, most - 1))
    name = max((columns_of(safe(row.name)) for row in known), default=0)
    rows = [
        Row((Cell(safe(row.name)), Cell(_slots(row)), Cell(_waits(row), _kind(row))), (name, _SLOTS)) for row in shown
    ]
    return rows if len(shown) == len(known) else [*rows, note(f"and {plural(len(known) - len(shown), 'more model')}")]


def why_queued(row: ModelRow) -> str:
    """What those that wait for a model wait for."""
    if row.paused is not None:
        return _why_paused(row)
    return "no free slot" if row.is_full else ""


def _why_paused(row: ModelRow) -> str:
    clock = None if row.until is None else f"{moment(row.until).partition(' ')[2]} UTC"
    if row.paused == "asked":
        return f"the API says the day is used up, asked again at {clock}"
    if row.paused != "daily":
        return f"{row.paused}{'' if clock is None else f' until {clock}'}"
    return f"{used_up(row.daily)}, next free {'within 24 h' if clock is None else f'at {clock}'}"


def _busiest(rows: list[ModelRow], most: int) -> list[ModelRow]:
    ranked = sorted(rows, key=lambda row: (not row.in_use, not (row.queued or row.over), not row.later))[:most]
    return [row for row in rows if any(row is each for each in ranked)]


def _slots(row: ModelRow) -> str:
    elsewhere = f" + {row.others} elsewhere" if row.others else ""
    if row.limit is None:
        return f"{row.in_use}{elsewhere} in use"
    return f"{row.in_use}{elsewhere} of {row.limit}{'' if elsewhere else ' slots'}"


def _waits(row: ModelRow) -> str:
    why = why_queued(row)
    parts = [
        f"{number(row.queued)} queued{': ' if why else ''}{why}" if row.queued else "",
        f"{number(row.over)} over the cap" if row.over else "",
        f"{number(row.later)} later" if row.later else "",
        _day(row),
    ]
    return ", ".join(filter(None, parts))


def _day(row: ModelRow) -> str:
    """Told where the day may not be enough."""
    scarce = row.daily_left is not None and row.daily_left < row.queued + row.later
    return f"{number(row.daily_left or 0)} left today" if scarce else ""


def _kind(row: ModelRow) -> str:
    return "warn" if row.paused and row.queued else "quiet"
