"""Counts and sums over chosen rows that are kept as rows come and go, so that asking again costs next to nothing.

Owns nothing but speed, for `memory`: a view can be thrown away and rebuilt from the rows at any time.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from typing import Any

from flowrun.ledger.tables import Where


def matches(row: object, among: Iterable[tuple[str, tuple[Any, ...]]]) -> bool:
    return all(getattr(row, column) in values for column, values in among)


def later(row: object, after: tuple[str, float] | None) -> bool:
    """An empty column is never later."""
    if after is None:
        return True
    value = getattr(row, after[0])
    return value is not None and value > after[1]


def amount(row: object, columns: Iterable[str]) -> int:
    """The first of these columns that is not empty, else 0."""
    return next((value for value in (getattr(row, column) for column in columns) if value is not None), 0)


class View:
    """The rows that match `among`: how many, the sum of an amount, and, with `ordered_by`, in that column's order."""

    def __init__(
        self, among: tuple[tuple[str, tuple[Any, ...]], ...], ordered_by: str | None, columns: tuple[str, ...]
    ):
        self._among = among
        self._ordered_by = ordered_by
        self._columns = columns
        self._count = self._total = 0
        self._order: list[tuple[float, int]] = []  # (value, amount)

    def add(self, row: object) -> None:
        if matches(row, self._among):
            self._count += 1
            self._total += amount(row, self._columns)
            if (entry := self._entry(row)) is not None:
                insort(self._order, entry)

    def remove(self, row: object) -> None:
        if matches(row, self._among):
            self._count -= 1
            self._total -= amount(row, self._columns)
            if (entry := self._entry(row)) is not None:
                del self._order[bisect_right(self._order, entry) - 1]

    def count(self, choice: Where) -> int:
        return self._count if choice.after is None else len(self._order) - self._first(choice.after[1])

    def total(self, choice: Where) -> int:
        return self._total if choice.after is None else sum(each for _, each in self._later(choice.after[1]))

    def amounts(self, since: float) -> list[tuple[float, int]]:
        """Those later in the column that orders it."""
        return list(self._later(since))

    def least(self, choice: Where) -> float | None:
        """Of the column that orders it."""
        first = 0 if choice.after is None else self._first(choice.after[1])
        return self._order[first][0] if first < len(self._order) else None

    def _entry(self, row: object) -> tuple[float, int] | None:
        value = None if self._ordered_by is None else getattr(row, self._ordered_by)
        return None if value is None else (value, amount(row, self._columns))

    def _first(self, since: float) -> int:
        return bisect_right(self._order, since, key=lambda entry: entry[0])

    def _later(self, since: float) -> Iterator[tuple[float, int]]:
        return iter(self._order[self._first(since) :])
