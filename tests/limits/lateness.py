"""What was lost between a task's end and the next one's start: slots that stood idle while something could have had them. Pure.

Unlike the ratio to a schedule it does not depend on the order in which slots were given, only on how soon.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from tests.limits.ideal import Work


def late(works: Mapping[str, Work], started: Mapping[str, float], limits: Mapping[str, int]) -> float:
    """The share of all slot time, from the first start to the last end. `started`: in seconds, by name."""
    ended = {name: started[name] + work.seconds for name, work in works.items()}
    began = min(started.values())
    lost = sum(_lost(_changes(works, model, began, started, ended), limit) for model, limit in limits.items())
    return lost / (sum(limits.values()) * (max(ended.values()) - began))


def _changes(
    works: Mapping[str, Work], model: str, began: float, started: Mapping[str, float], ended: Mapping[str, float]
) -> Iterator[tuple[float, int, int]]:
    """Moments of one model, and by how many then more could start, and more run."""
    for name, work in works.items():
        if work.model == model:
            yield max([began, *(ended[each] for each in work.after)]), 1, 0
            yield started[name], -1, 1
            yield ended[name], 0, -1


def _lost(changes: Iterator[tuple[float, int, int]], limit: int) -> float:
    """Slot seconds."""
    by_moment: defaultdict[float, list[int]] = defaultdict(lambda: [0, 0])
    for moment, ready, running in changes:
        by_moment[moment][0] += ready
        by_moment[moment][1] += running
    lost, could, run, before = 0.0, 0, 0, 0.0
    for moment in sorted(by_moment):
        lost += (moment - before) * min(could, limit - run)
        could, run, before = could + by_moment[moment][0], run + by_moment[moment][1], moment
    return lost
