"""Rows of the live view: cells with fixed columns, so that nothing moves sideways from one frame to the next. Owns setting
them within a width."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flowrun.diagnostics.visible import width as columns_of
from flowrun.ui.paint import Paint
from flowrun.ui.tables import GAP, Cell, cut, padded


@dataclass(frozen=True, slots=True)
class Row:
    """Cells, and the columns that each but the last is given; the last one has what is left."""

    cells: tuple[Cell, ...]
    widths: tuple[int, ...] = ()


def note(text: str) -> Row:
    """A row of one quiet cell."""
    return Row((Cell(text, "quiet"),))


def set_rows(rows: Iterable[Row], room: int, paint: Paint) -> list[str]:
    """Each row as one line of at most `room` columns."""
    return [_set(row, room, paint) for row in rows]


def _set(row: Row, room: int, paint: Paint) -> str:
    parts: list[str] = []
    used = 0
    for place, cell in enumerate(row.cells):
        free = room - used - len(GAP) * bool(place)
        own = min(free, row.widths[place]) if place < len(row.cells) - 1 else free
        if own <= 0:
            break
        text = cut(cell.text, own)
        last = place == len(row.cells) - 1
        parts.append(paint(text, cell.kind) if last else padded(Cell(text, cell.kind, cell.right), own, paint))
        used += len(GAP) * bool(place) + (columns_of(text) if last else own)
    return GAP.join(parts).rstrip()
