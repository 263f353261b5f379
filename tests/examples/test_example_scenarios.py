"""The scenarios do to fox-trailer what their comments say, and it comes through."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowrun.engine import events as ev
from flowrun.engine.states import NodeState
from flowrun.production.applying import Applied
from flowrun.production.exits import Exit
from flowrun.sandbox.scenario import read_scenario
from tests.examples.stage import EXAMPLES, TINY, Stage

SCENARIOS = {path.stem: path for path in (EXAMPLES / "scenarios").glob("*.yaml")}
ALL = [
    "finale#1",
    "hero#1",
    "line#1",
    "reveal#1",
    "shot[leaping]#1",
    "shot[listening]#1",
    "shot[running]#1",
    "shot[waking]#1",
    "whoosh#1",
]


@pytest.fixture
def fox(tmp_path: Path) -> Stage:
    return Stage.of("fox-trailer", "fox-trailer.yaml", tmp_path)


def script(name: str) -> str:
    return TINY + SCENARIOS[name].read_text(encoding="utf-8")


def test_every_scenario_begins_with_what_it_does_and_can_be_read() -> None:
    assert set(SCENARIOS) == {"moderated", "lost-answer", "slow"}
    for name, path in SCENARIOS.items():
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# "), name
        read_scenario(text, path.name)


def test_a_moderated_shot_fails_alone_and_is_not_sent_again_unasked(fox: Stage) -> None:
    first = fox.apply(script("moderated"))
    assert (first.applied.exit, first.sent) == (Exit.FAILED, ALL)
    assert states(first.applied)["shot[leaping]"] is NodeState.REJECTED
    (trouble,) = first.applied.summary.troubles.values()
    assert (trouble.address, trouble.code) == ("shot[leaping]", "SAFETY.INPUT.TEXT")
    assert sorted(fox.exports("fox-trailer")) == [
        "effect.mp3", "narration.mp3", "reveal.mp4", "shots/listening.mp4", "shots/running.mp4", "shots/waking.mp4", "still.png",
    ]  # fmt: skip
    again = fox.apply(script("moderated"))
    assert (again.applied.exit, again.sent) == (Exit.FAILED, [])
    fox.edit("shots.csv", "leaps over a brook", "hops over a brook")
    changed = fox.apply(script("moderated"))
    assert (changed.applied.exit, changed.sent) == (Exit.DONE, ["shot[leaping]#1"])


def test_a_refusal_is_sent_again_when_asked(fox: Stage) -> None:
    fox.apply(script("moderated"))
    retried = fox.apply(retry_rejected=True)
    assert (retried.applied.exit, retried.sent) == (Exit.DONE, ["shot[leaping]#1"])


def test_a_lost_answer_is_never_sent_again_unasked(fox: Stage) -> None:
    first = fox.apply(script("lost-answer"))
    assert (first.applied.exit, len(first.sent)) == (Exit.UNKNOWN, len(ALL) - 1)
    (lost,) = (trouble.address for trouble in first.applied.summary.troubles.values())
    assert states(first.applied)[lost] is NodeState.UNCERTAIN
    assert "shot" in lost or lost == "reveal"
    again = fox.apply(script("lost-answer"))
    assert (again.applied.exit, again.sent) == (Exit.UNKNOWN, [])
    resent = fox.apply(script("lost-answer"), resend=(lost,))
    assert (resent.applied.exit, resent.sent) == (Exit.DONE, [f"{lost}#1"])
    assert fox.apply().sent == []


def test_a_slow_day_makes_films_one_by_one_and_all_of_them(fox: Stage) -> None:
    day = fox.apply(script("slow"))
    assert (day.applied.exit, day.sent) == (Exit.DONE, ALL)
    assert peak(day.events, "shot") == 1
    assert day.seconds > 25 + 4 * 40


def test_an_interrupted_slow_day_is_taken_up_without_a_second_request(fox: Stage) -> None:
    stopped = fox.apply(script("slow"), stop_at="shot[waking]#1")
    assert stopped.applied.exit is Exit.INTERRUPTED
    assert "shot[waking]#1" in stopped.applied.summary.left
    rest = fox.apply(script("slow"))
    assert rest.applied.exit is Exit.DONE
    assert "shot[waking]#1" not in rest.sent
    assert sorted(stopped.sent + rest.sent) == ALL


def states(applied: Applied) -> dict[str, NodeState]:
    return applied.summary.states


def peak(events: list[ev.Event], node: str) -> int:
    """The most tasks of a node that were at the API at one time."""
    most = level = 0
    for event in events:
        if isinstance(event, ev.Submitted | ev.Ended) and event.unit.startswith(node):
            level += 1 if isinstance(event, ev.Submitted) else -1
            most = max(most, level)
    return most
