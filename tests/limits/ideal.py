"""The best that can be asked of a run within limits: a greedy list schedule that sees every finish at once and starts what has
the longest path before it. Pure; owns the yardstick, not what is measured with it.

How long a task will take is not known before it ends, to nobody. So the order comes from expected seconds, as flowrun's own
does; what an order from the real ones would have come to can be asked for too.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Work:
    """One task. `seconds`: that it runs; `expected`: what it was thought to take; `after`: names of who must have ended."""

    model: str
    seconds: float
    after: tuple[str, ...] = ()
    expected: float = 0.0


def knowing(works: Mapping[str, Work]) -> dict[str, Work]:
    """As if every duration were known from the beginning."""
    return {name: replace(work, expected=work.seconds) for name, work in works.items()}


def _paths(works: Mapping[str, Work], length: Callable[[Work], float]) -> dict[str, float]:
    """Seconds from the start of each to the end of the longest chain below it. Who comes after stands later in `works`."""
    below: defaultdict[str, float] = defaultdict(float)
    paths: dict[str, float] = {}
    for name, work in reversed(works.items()):
        paths[name] = length(work) + below[name]
        for up in work.after:
            below[up] = max(below[up], paths[name])
    return paths


def list_schedule(works: Mapping[str, Work], limits: Mapping[str, int]) -> float:
    """Seconds until all have ended, with at most `limits` of a model at once."""
    return max(end for _, end in scheduled(works, limits).values())


def scheduled(works: Mapping[str, Work], limits: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """When each starts and ends, in seconds."""
    spans: dict[str, tuple[float, float]] = {}
    paths, now = _paths(works, lambda work: work.expected), 0.0
    waits = {name: len(set(work.after)) for name, work in works.items()}
    below: defaultdict[str, list[str]] = defaultdict(list)
    for name, work in works.items():
        for up in set(work.after):
            below[up].append(name)
    ready: defaultdict[str, list[tuple[float, int, str]]] = defaultdict(list)
    order = {name: place for place, name in enumerate(works)}
    running: list[tuple[float, str]] = []
    busy: Counter[str] = Counter()

    def offer(name: str) -> None:
        heapq.heappush(ready[works[name].model], (-paths[name], order[name], name))

    for name, count in waits.items():
        if not count:
            offer(name)
    while running or any(ready.values()):
        for model, queue in ready.items():
            while queue and busy[model] < limits[model]:
                name = heapq.heappop(queue)[2]
                busy[model] += 1
                spans[name] = (now, now + works[name].seconds)
                heapq.heappush(running, (spans[name][1], name))
        now, name = heapq.heappop(running)
        busy[works[name].model] -= 1
        for down in below[name]:
            waits[down] -= 1
            if not waits[down]:
                offer(down)
    return spans


def lower_bound(works: Mapping[str, Work], limits: Mapping[str, int]) -> float:
    """No schedule is shorter: the longest path, or a model's work over its limit."""
    work: defaultdict[str, float] = defaultdict(float)
    for each in works.values():
        work[each.model] += each.seconds
    longest = max(_paths(works, lambda work: work.seconds).values())
    return max(longest, *(work[model] / limits[model] for model in work))
