"""A person's word on an unanswered request, given under the name that `plan` shows or the one that `status` shows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from flowrun.diagnostics.model import DiagnosticError
from flowrun.ledger.location import ledger_path
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.plan.model import Decision
from flowrun.production.exits import Exit, FlowrunError
from tests.support.stage import Stage

FLOW = """
    flowrun: 1
    name: doubts
    nodes:
      star: {uses: text_to_image, with: {model: gen4_image, promptText: vanish, ratio: "1280:720"}}
"""
LOST = "faults: [{on: text_to_image, match: {prompt: vanish}, do: {lost: after}}]\n"


def doubted(root: Path, flow: str = FLOW) -> Stage:
    stage = Stage(root, flow, scenario=LOST)
    assert (stage.apply().exit, stage.submissions) == (Exit.UNKNOWN, 1)
    stage.scenario = ""
    return stage


def node_renamed(stage: Stage) -> str:
    stage.edit("star:", "sun:")
    return "sun"


def file_renamed(stage: Stage) -> str:
    stage.path.rename(stage.root / "other.yaml")
    stage.file = "other.yaml"
    return "star"


def both_renamed(stage: Stage) -> str:
    file_renamed(stage)
    return node_renamed(stage)


def another_manifest(stage: Stage) -> str:
    text = stage.path.read_text()
    stage.file = "second.yaml"
    stage.write(text.replace("doubts", "second").replace("star:", "moon:"))
    return "moon"


def a_twin(stage: Stage) -> str:
    text = stage.path.read_text()
    stage.write(text.replace("nodes:\n", "nodes:\n" + text.splitlines()[-1].replace("star:", "twin:") + "\n"))
    return "twin"


CHANGES = pytest.mark.parametrize("change", [node_renamed, file_renamed, both_renamed, another_manifest, a_twin])


@CHANGES
def test_the_name_that_the_plan_shows_can_be_forgotten(tmp_path: Path, change: Callable[[Stage], str]) -> None:
    stage = doubted(tmp_path)
    node = change(stage)
    assert {str(at): step.decision for at, step in stage.plan().steps.items()}[node] is Decision.UNCERTAIN
    assert stage.forget(node) == 1
    assert (stage.apply().exit, stage.submissions) == (Exit.DONE, 2)


@CHANGES
def test_the_name_that_the_plan_shows_can_be_given_its_task(tmp_path: Path, change: Callable[[Stage], str]) -> None:
    stage = doubted(tmp_path)
    (task,) = (row["id"] for row in stage.sandbox["submissions"])
    node = change(stage)
    assert stage.adopt(node, task) == f"{node}#1"
    assert (stage.apply().exit, stage.submissions) == (Exit.DONE, 1)


def test_what_was_sent_under_a_name_can_be_forgotten_whatever_became_of_the_manifest(tmp_path: Path) -> None:
    changed = doubted(tmp_path / "changed")
    changed.edit("vanish", "something else")
    assert changed.forget("star") == 1
    gone = doubted(tmp_path / "gone")
    gone.path.unlink()
    assert gone.forget("star") == 1
    broken = doubted(tmp_path / "broken")
    broken.write("flowrun: [")
    assert broken.forget("star") == 1


def test_a_name_that_means_nothing_says_so(tmp_path: Path) -> None:
    stage = doubted(tmp_path)
    with pytest.raises(FlowrunError, match="'sun' has no uncertain submission") as caught:
        stage.forget("sun")
    assert caught.value.exit is Exit.WRONG
    stage.file = "mistyped.yaml"
    with pytest.raises(DiagnosticError, match="mistyped"):
        stage.forget("star")


def test_a_mistyped_name_makes_no_store(tmp_path: Path) -> None:
    stage = Stage(tmp_path, FLOW)
    stage.file = "mistyped.yaml"
    with pytest.raises(DiagnosticError, match="mistyped"):
        stage.forget("star")
    assert not (tmp_path / ".flowrun").exists()


def requests_of(stage: Stage) -> dict[str, int]:
    """The numbers of what is uncertain, by prompt."""
    path = ledger_path(stage.root / ".flowrun" / "sandbox", "in-process")
    with closing(SqliteLedger(path, lambda: stage.now)) as ledger:
        docs = {row.intent: ledger.document(row.key) for row in ledger.uncertain()}
    return {str(doc.request["promptText"]): intent for intent, doc in docs.items() if doc}


def test_where_the_node_was_changed_it_is_asked_which_the_task_answers(tmp_path: Path) -> None:
    stage = doubted(tmp_path)
    stage.edit("vanish", "vanish again")
    stage.scenario = LOST
    assert (stage.apply().exit, stage.submissions) == (Exit.UNKNOWN, 2)
    later = stage.sandbox["submissions"][1]["id"]
    stage.scenario = ""
    numbers = requests_of(stage)
    with pytest.raises(FlowrunError, match="several") as caught:
        stage.adopt("star", later)
    assert all(f"{number} (sent as star#1, " in str(caught.value.hint) for number in numbers.values())
    assert stage.adopt("star", later, numbers["vanish again"]) == "star#1"
    assert (stage.apply().exit, stage.submissions) == (Exit.DONE, 2)
    assert stage.forget("star") == 1, "the one of before"


def crossed(root: Path) -> Stage:
    """Two requests without an answer, and the names of their nodes swapped since."""
    star = FLOW.rstrip().splitlines()[-1]
    moon = star.replace("star:", "moon:").replace("vanish", "vanish too")
    stage = Stage(root, f"{FLOW.rstrip()}\n{moon}\n", scenario=LOST)
    assert (stage.apply().exit, stage.submissions) == (Exit.UNKNOWN, 2)
    stage.scenario = ""
    for old, new in (("star:", "swap:"), ("moon:", "star:"), ("swap:", "moon:")):
        stage.edit(old, new)
    return stage


def test_where_names_were_swapped_nothing_is_guessed(tmp_path: Path) -> None:
    stage = crossed(tmp_path)
    tasks = {row["prompt"]: row["id"] for row in stage.sandbox["submissions"]}
    numbers = requests_of(stage)
    with pytest.raises(FlowrunError, match="several"):
        stage.forget("star")
    with pytest.raises(FlowrunError, match="several"):
        stage.adopt("star", tasks["vanish"])
    assert requests_of(stage) == numbers
    assert stage.adopt("star", tasks["vanish"], numbers["vanish"]) == "star#1"
    assert stage.forget("star", numbers["vanish too"]) == 1
    with pytest.raises(FlowrunError, match="of the number 99"):
        stage.forget("star", 99)
    assert (stage.apply().exit, stage.submissions) == (Exit.DONE, 3)


def test_what_another_project_sent_under_that_name_is_its_own(tmp_path: Path) -> None:
    stage = doubted(tmp_path)
    path = ledger_path(stage.root / ".flowrun" / "sandbox", "in-process")
    (tmp_path / "other").mkdir()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE intents SET origin = json_set(origin, '$.store', ?)", (str(tmp_path / "other"),))
    stage.edit("vanish", "something else")
    with pytest.raises(FlowrunError, match="'star' has no uncertain submission"):
        stage.forget("star")
    (tmp_path / "other").rmdir()
    assert stage.forget("star") == 1, "it was this one, before it moved"
