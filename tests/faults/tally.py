"""The sums of many deaths, as a table. Owns its columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tests.faults.killing import Outcome

COLUMNS: dict[str, Callable[[Outcome], int]] = {
    "cases": lambda each: 1,
    "struck": lambda each: each.died,
    "on the wire": lambda each: each.sent,
    "applies after": lambda each: each.taken.applies,
    "exit 6": lambda each: each.taken.unknown,
    "double submissions": lambda each: each.judged.doubles,
    "lost results": lambda each: each.judged.lost,
    "broken": lambda each: bool(each.wrong),
}
"""`struck`: died, or stood still, exactly there; `on the wire`: requests that had no answer on record then; `broken`: cases in
which any promise was."""


def table(outcomes: Sequence[Outcome]) -> str:
    """A row for each point, and their sum."""
    points = list(dict.fromkeys(each.point for each in outcomes))
    rows = [_row(point, [each for each in outcomes if each.point == point]) for point in points]
    width = max(map(len, [*points, "point"]))
    head = "  ".join(["point".ljust(width), *COLUMNS])
    return "\n".join([head, *(_line(row, width) for row in [*rows, _row("all", outcomes)])])


def _row(name: str, outcomes: Iterable[Outcome]) -> tuple[str, list[int]]:
    listed = list(outcomes)
    return name, [sum(int(count(each)) for each in listed) for count in COLUMNS.values()]


def _line(row: tuple[str, list[int]], width: int) -> str:
    name, numbers = row
    cells = (f"{number:,}".rjust(len(column)) for number, column in zip(numbers, COLUMNS, strict=True))
    return "  ".join([name.ljust(width), *cells])
