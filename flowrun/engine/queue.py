"""What could start, in order: longest remaining path first, then the manifest's order. A view; the states are the truth."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

from flowrun.engine.ready import Rank
from flowrun.engine.records import Unit


class ReadyQueue:
    """Units by lane. What has left its lane or the ready states since it was pushed is dropped when it comes up."""

    def __init__(self, rank: Callable[[Unit], Rank], startable: Callable[[Unit], bool]) -> None:
        self._rank = rank
        self._startable = startable
        self._heaps: dict[str, list[tuple[Rank, str, Unit]]] = {}
        self._held: set[tuple[str, str]] = set()  # lane and name of what is in a heap: once is enough

    def push(self, unit: Unit) -> None:
        if (unit.lane, unit.name) not in self._held:
            self._held.add((unit.lane, unit.name))
            heapq.heappush(self._heaps.setdefault(unit.lane, []), (self._rank(unit), unit.name, unit))

    def rebuild(self, units: Iterable[Unit]) -> None:
        """From the states, after ranks have changed."""
        self._heaps.clear()
        self._held.clear()
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

    def order(self) -> tuple[str, ...]:
        """All that could start, best first, for the check of invariants."""
        lanes = self._heaps.items()
        found = [(rank, name) for lane, heap in lanes for rank, name, unit in heap if self._waits(unit, lane)]
        return tuple(name for _, name in sorted(found))

    def _waits(self, unit: Unit, lane: str) -> bool:
        return unit.lane == lane and self._startable(unit)

    def _top(self, lane: str) -> tuple[Rank, str, Unit] | None:
        heap = self._heaps[lane]
        while heap and not self._waits(heap[0][2], lane):
            self._held.discard((lane, heapq.heappop(heap)[1]))
        return heap[0] if heap else None
