"""Settings, variables and inputs with where each came from, as columns. Owns these texts; the answers are production's.

Values are shown as JSON has them and cut to fit; places are never cut, so that they can be jumped to.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from flowrun.ui.paint import Paint, palette, safe
from flowrun.ui.tables import Cell, cut, table

Row = tuple[str, Any, str]  # name, plain value, where it came from
_UNSET = "(not set)"


def settings_text(rows: Iterable[Row], *, origins: bool, colour: bool = False, width: int = 80) -> str:
    """One line a setting."""
    return "\n".join(_lines(list(rows), palette(colour), origins, width, ""))


def parts_text(parts: Iterable[tuple[str, Sequence[Row]]], *, colour: bool = False, width: int = 80) -> str:
    """Parts of a manifest, each a heading with its lines below."""
    paint, lines = palette(colour), list[str]()
    for heading, rows in parts:
        lines += ["", paint(safe(heading), "bold"), *_lines(rows, paint, True, width, "  ")]
    return "\n".join(lines)


def _lines(rows: Sequence[Row], paint: Paint, origins: bool, width: int, indent: str) -> list[str]:
    names = max((len(name) for name, _, _ in rows), default=0)
    places = max((len(origin) for _, _, origin in rows), default=0) if origins else 0
    room = max(12, width - names - places - len(indent) - 4)
    return table([_row(row, room, origins) for row in rows], paint, indent=indent)


def _row(row: Row, room: int, origins: bool) -> list[Cell]:
    name, value, origin = row
    cells = [Cell(safe(name)), Cell(cut(safe(shown(value)), room), "quiet" if value in (None, [], {}) else "")]
    return [*cells, Cell(safe(origin), "quiet")] if origins else cells


def shown(value: Any) -> str:
    """A plain value on one line."""
    if value in (None, [], {}):
        return _UNSET
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
