"""The yardstick, on cases small enough to be done by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.limits.graphs import DEEPEST, MODELS, films
from tests.limits.ideal import Work, knowing, list_schedule, lower_bound
from tests.limits.lateness import late

ALONE = {"a": Work("m", 5.0), "b": Work("m", 3.0), "c": Work("m", 4.0)}
CHAIN = {"x": Work("m", 2.0), "y": Work("n", 3.0, ("x",)), "z": Work("m", 4.0, ("y",))}
# two short ones first in the manifest, and one at the head of a long chain
HEAD = {
    "s": Work("m", 4.0, expected=4.0),
    "t": Work("m", 4.0, expected=4.0),
    "h": Work("m", 1.0, expected=1.0),
    "long": Work("n", 9.0, ("h",), expected=9.0),
}
DIAMOND = {
    "top": Work("m", 1.0),
    "l": Work("m", 2.0, ("top",)),
    "r": Work("m", 6.0, ("top",)),
    "end": Work("m", 1.0, ("l", "r")),
}


@pytest.mark.parametrize(
    ("works", "limits", "seconds", "bound"),
    [
        ({"a": Work("m", 7.0)}, {"m": 1}, 7.0, 7.0),
        (ALONE, {"m": 1}, 12.0, 12.0),
        (ALONE, {"m": 3}, 5.0, 5.0),
        (ALONE, {"m": 2}, 7.0, 6.0),  # a and b, then c after b: 3 + 4
        (CHAIN, {"m": 1, "n": 1}, 9.0, 9.0),
        ({**CHAIN, "w": Work("m", 5.0)}, {"m": 1, "n": 1}, 11.0, 11.0),  # x 0-2, w 2-7, y 2-5, z 7-11
        (HEAD, {"m": 1, "n": 1}, 10.0, 10.0),  # h first: then s and t beside its chain
        (DIAMOND, {"m": 2}, 8.0, 8.0),
        (DIAMOND, {"m": 1}, 10.0, 10.0),
    ],
)
def test_by_hand(works: dict[str, Work], limits: dict[str, int], seconds: float, bound: float) -> None:
    assert (list_schedule(works, limits), lower_bound(works, limits)) == (seconds, bound)


def test_the_order_comes_from_what_was_expected() -> None:
    wrong = {name: replace(work, expected=0.0 if work.model == "n" else work.seconds) for name, work in HEAD.items()}
    assert list_schedule(wrong, {"m": 1, "n": 1}) == 18.0, "the head of the chain goes last"
    assert list_schedule(knowing(wrong), {"m": 1, "n": 1}) == 10.0


@pytest.mark.parametrize(
    ("started", "lost"),
    [
        ({"a": 0.0, "b": 0.0, "c": 3.0}, 0.0),  # two slots: c follows b at once
        ({"a": 0.0, "b": 0.0, "c": 3.5}, 0.5),
        ({"c": 0.0, "b": 4.0, "a": 4.0}, 4.0),  # one of the slots is used by nobody while a or b could have had it
        ({"a": 0.0, "b": 5.0, "c": 8.0}, 8.0),  # nor here, but nothing else was left at the end
    ],
)
def test_what_is_lost_is_what_something_waited_for(started: dict[str, float], lost: float) -> None:
    wall = max(started[name] + work.seconds for name, work in ALONE.items())
    assert late(ALONE, started, {"m": 2}) == pytest.approx(lost / (2 * wall))


def test_nothing_is_lost_to_what_has_to_wait() -> None:
    assert late(CHAIN, {"x": 0.0, "y": 2.0, "z": 5.0}, {"m": 1, "n": 1}) == 0.0
    assert late(CHAIN, {"x": 0.0, "y": 2.5, "z": 6.5}, {"m": 1, "n": 1}) == pytest.approx(1.5 / (2 * 10.5))


@pytest.mark.parametrize("limit", [1, 3, 10])
def test_greedy_is_within_what_is_known_of_it(limit: int) -> None:
    """Graham's bound, model by model: no sum of waits exceeds every model's work beside the longest path."""
    graph = enumerate(films(200, 3).values())
    works = {film.name: Work(film.model, 20.0 + 7 * (number % 6), film.after) for number, film in graph}
    limits = dict.fromkeys(MODELS, limit)
    found, bound = list_schedule(works, limits), lower_bound(works, limits)
    assert bound <= found <= (len(MODELS) + 1) * bound


def test_graphs_have_as_many_nodes_of_each_model_and_real_chains() -> None:
    graph = films(500, 1)
    assert Counter(film.model for film in graph.values()) == dict.fromkeys(MODELS, 125)
    depth: dict[str, int] = {}
    for name, film in graph.items():
        depth[name] = 1 + max((depth[each] for each in film.after), default=0)
    assert max(depth.values()) == DEEPEST
    assert sum(len(film.after) for film in graph.values()) > 300
    assert films(500, 1) == graph != films(500, 2)
