"""Twice as many instances are about twice as much work: counted in function calls, so that no clock is involved."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from tests.graph.making import STILL, Project, shot


def calls(work: Callable[[], object]) -> int:
    count = 0

    def counted(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def fan_out(count: int) -> tuple[Project, str]:
    rows = "id,prompt\n" + "".join(f"r{number},prompt {number}\n" for number in range(count))
    still = STILL.replace("a fox", "'{{ each.value.prompt }}'").replace("uses:", "foreach: {file: rows.csv}, uses:")
    film = shot("{{ nodes.still[each.key].output }}", foreach="{file: rows.csv}")
    return Project({"rows.csv": rows}), f"nodes:\n  still: {still}\n  film: {film}\n"


def chain(count: int) -> tuple[Project, str]:
    first = f"  n0: {STILL}\n"
    text = STILL.replace("ratio:", "referenceImages: [{uri: '{{ nodes.n%d.output }}', tag: fox}], ratio:")
    return Project(), "nodes:\n" + first + "".join(f"  n{at}: {text % (at - 1)}\n" for at in range(1, count))


def variable(count: int) -> tuple[Project, str]:
    rows = "".join(f"    - {{id: r{number}, p: prompt {number}}}\n" for number in range(count))
    still = STILL.replace("a fox", "'{{ vars.rows[each.index].p }}'").replace(
        "uses:", "foreach: '{{ vars.rows }}', uses:"
    )
    return Project(), f"vars:\n  rows:\n{rows}nodes:\n  still: {still}\n"


def mistaken(count: int) -> tuple[Project, str]:
    project, text = fan_out(count)
    return project, text.replace("each.key]", "each.key ~ 'x']").replace("prompt }}", "promt }}")


@pytest.mark.parametrize("production", [fan_out, chain, variable, mistaken])
def test_work_grows_with_the_graph_and_no_faster(production: Callable[[int], tuple[Project, str]]) -> None:
    def build(count: int) -> int:
        project, text = production(count)
        return calls(lambda: (project.refused if production is mistaken else project.built)(text))

    build(200)  # templates are parsed once, and that is not counted
    assert build(200) < 8 * build(25) * 1.2
