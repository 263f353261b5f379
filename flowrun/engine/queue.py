"""What could start, in order: longest remaining path first, then the manifest's order. A view; the states are the truth."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

from flowrun.engine.records import Unit

Rank = tuple[float, int, int]  # minus the remaining path, the manifest's order, the take


class ReadyQueue:
    """Units by lane. What has left the ready states since it was pushed is dropped when it comes up."""

    def __init__(self, rank: Callable[[Unit], Rank], startable: Callable[[Unit], bool]) -> None:
        self._rank = rank
        self._startable = startable
        self._heaps: dict[str, list[tuple[Rank, str, Unit]]] = {}

    def push(self, unit: Unit) -> None:
        heapq.heappush(self._heaps.setdefault(unit.lane, []), (self._rank(unit), unit.name, unit))

    def rebuild(self, units: Iterable[Unit]) -> None:
        """From the states, after ranks have changed."""
        self._heaps.clear()
        for unit in units:
            if self._startable(unit):
                self.push(unit)

    def first(self, closed: Callable[[str], bool]) -> Unit | None:
        """The best unit of all lanes that are not `closed`; it stays in the queue."""
        tops = [top for lane in self._heaps if not closed(lane) and (top := self._top(lane))]
        return min(tops)[2] if tops else None

    def lanes(self) -> tuple[str, ...]:
        """Those with something to start."""
        return tuple(lane for lane in self._heaps if self._top(lane))

    def names(self) -> set[str]:
        """All that could start, for the check of invariants."""
        return {unit.name for heap in self._heaps.values() for _, _, unit in heap if self._startable(unit)}

    def _top(self, lane: str) -> tuple[Rank, str, Unit] | None:
        heap = self._heaps[lane]
        while heap and not self._startable(heap[0][2]):
            heapq.heappop(heap)
        return heap[0] if heap else None
