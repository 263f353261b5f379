"""Making a case smaller that still breaks the same promise: whole rounds first, then processes, faults, nodes, at last single
fields back to what they usually are. Owns the order of trying; greedy, and over when nothing more can go, or the time is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, replace
from typing import Any

from tests.simulation.model import Case, Limits, Node, Round, Visit, mended

_PLAIN = Node("plain", "still", "plain")
_FIXED = ("name", "kind", "prompt", "rows")


def shrunk(case: Case, breaks: Callable[[Case], bool], time_left: Callable[[], bool] = lambda: True) -> Case:
    """The smallest case found. `breaks`: whether a case breaks the promise that `case` breaks."""
    found = True
    while found and time_left():
        found = False
        for smaller in _smaller(case):
            if not time_left():
                break
            if breaks(smaller):
                case, found = smaller, True
                break
    return case


def with_names(case: Case, deaths: Iterable[tuple[str, int] | None]) -> Case:
    """The case with each death at the operation where it was, by name: numbers of moments move with every change."""
    left = iter(deaths)
    rounds = [
        replace(each, visits=tuple(_named(visit, next(left, None)) for visit in each.visits)) for each in case.rounds
    ]
    return replace(case, rounds=tuple(rounds))


def _named(visit: Visit, death: tuple[str, int] | None) -> Visit:
    return visit if visit.death is None or death is None else replace(visit, death=death)


def _smaller(case: Case) -> Iterator[Case]:
    rounds = case.rounds
    for place in range(len(rounds)):
        yield replace(case, rounds=(*rounds[:place], *rounds[place + 1 :]))
    for place in range(len(case.nodes) if len(case.nodes) > 1 else 0):
        yield replace(case, nodes=mended((*case.nodes[:place], *case.nodes[place + 1 :])))
    for place, each in enumerate(rounds):
        for smaller in _smaller_rounds(each):
            yield replace(case, rounds=(*rounds[:place], smaller, *rounds[place + 1 :]))
    if case.limits != Limits():
        yield replace(case, limits=Limits())
    for place, node in enumerate(case.nodes):
        for less in _smaller_nodes(node):
            yield replace(case, nodes=mended((*case.nodes[:place], less, *case.nodes[place + 1 :])))


def _smaller_rounds(said: Round) -> Iterator[Round]:
    for name in ("visits", "faults", "edits"):
        parts = getattr(said, name)
        fewest = 1 if name == "visits" else 0
        for place in range(len(parts) if len(parts) > fewest else 0):
            yield replace(said, **{name: (*parts[:place], *parts[place + 1 :])})
    yield from _plainer(said, Round(), ("visits", "faults", "edits"))
    for place, visit in enumerate(said.visits):
        for plain in (*_plainer(visit, Visit(), ()), *_earlier(visit)):
            yield replace(said, visits=(*said.visits[:place], plain, *said.visits[place + 1 :]))


def _earlier(visit: Visit) -> Iterator[Visit]:
    """The same kind of death, sooner."""
    if isinstance(visit.death, tuple):
        for number in range(1, visit.death[1]):
            yield replace(visit, death=(visit.death[0], number))


def _smaller_nodes(node: Node) -> Iterator[Node]:
    for place in range(len(node.rows)):
        yield replace(node, rows=(*node.rows[:place], *node.rows[place + 1 :]))
    yield from _plainer(node, _PLAIN, _FIXED)


def _plainer(value: Any, plain: Any, but: tuple[str, ...]) -> Iterator[Any]:
    """The value with one field as it is in `plain`."""
    for each in fields(value):
        usual = getattr(plain, each.name)
        if each.name not in but and getattr(value, each.name) != usual:
            yield replace(value, **{each.name: usual})
