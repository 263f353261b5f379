"""What `collect` and `cancel` say: a row a task, its cost, what to type next, in eighty columns and as Markdown."""

from __future__ import annotations

import pytest

from flowrun.diagnostics.visible import width
from flowrun.engine.visited import Fate, Visited
from flowrun.ui.visits_text import stakes_text, visits_markdown, visits_text
from tests.ui.ui_values import golden, intent, task_row

LOST = (
    "The API no longer knows the task; its result is lost, and its credits with it. (task 5f0c9f3e, about 25 credits)"
)


def everything() -> list[Visited]:
    def row(name: str, fate: Fate, **more: object) -> Visited:
        return Visited(task_row(f"{name}#1"), fate, **more)

    return [
        row("made", Fate.COLLECTED, kinds=("image", "image", "video"), charged=20),
        row("ended", Fate.CANCELLED, code="CANCELLED", message="It was cancelled.", hint="Apply again."),
        row("cheap", Fate.CANCELLED, charged=0, code="CANCELLED"),
        row("refused", Fate.FAILED, charged=25, code="SAFETY.INPUT", message="Refused.", hint="Change the prompt."),
        row("lost", Fate.GONE, code="TASK_GONE", message=LOST, hint="Apply again to generate it anew."),
        row("shot[a-key-that-is-rather-long-for-any-table-but-legal]", Fate.RUNNING, status="RUNNING", progress=0.394),
        row("queued", Fate.RUNNING, status="THROTTLED"),
        row("busy", Fate.KEPT, status="RUNNING"),
        row("theirs", Fate.ELSEWHERE, status="SUCCEEDED"),
        row("old", Fate.FOREIGN, code="task-not-told", message="Another key sent it.", hint="Apply with that key."),
        row("full", Fate.NOT_COLLECTED, code="disk-full", message="The disk is full.", hint="Free some.", outside=True),
        row("later", Fate.NOT_SEEN),
        row("quick", Fate.SETTLED),
    ]


@pytest.mark.parametrize("verb", ["collect", "cancel"])
def test_everything_that_can_become_of_a_task(verb: str) -> None:
    text = visits_text(verb, everything(), [intent()], flags=("--sandbox",))
    golden(f"visits_{verb}", text)
    assert all(width(line) <= 80 or "flowrun " in line for line in text.split("\n"))
    golden(f"markdown_visits_{verb}", visits_markdown(verb, everything(), [intent()], ("--sandbox",)))


def test_every_fate_has_its_words() -> None:
    assert {each.fate for each in everything()} == set(Fate)


@pytest.mark.parametrize("verb", ["collect", "cancel"])
def test_nothing_open_is_said_so(verb: str) -> None:
    assert "nothing is uncertain" in visits_text(verb, [], [])
    assert "flowrun forget" in visits_text(verb, [], [intent()])
    assert "nothing is uncertain" in visits_markdown(verb, [], [])


def test_nothing_is_asked_for_where_all_is_done() -> None:
    done = [Visited(task_row("a#1"), Fate.COLLECTED, kinds=("audio",))]
    assert visits_text("collect", done, []) == "1 task: 1 collected.\n\n  collected  a#1  audio, 25 credits"


def test_what_would_be_cancelled_is_shown_first() -> None:
    golden("stakes", stakes_text([task_row("a#1"), task_row("b#1", credits=None)], colour=False, width=80))
