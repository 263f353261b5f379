"""What `flowrun status` and `flowrun plan` say of things that lie under a former key, and what an apply says while another is at
work there."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest

from flowrun.action import ActionDoc
from flowrun.ids import ActionKey, OwnerId, RecipeKey, RunId, TaskId
from flowrun.ledger.location import account_of, ledger_path
from flowrun.ledger.protocol import Limits, Mine, Origin
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.secret import Secret
from tests.cli.console import Console, Said

OLD, NEW = ("key_" + digits * 64 for digits in ("0a", "0b"))
FORMER = account_of(Secret(OLD))
FLOW = """
flowrun: 1
name: one
nodes:
  fox: {uses: text_to_image, with: {model: gen4_image, promptText: a fox, ratio: "1280:720"}}
"""


@pytest.fixture
def project(console: Console) -> Console:
    """A task in flight and a request without an answer, under the key of before."""
    console.file("flow.yaml", FLOW)
    console.file(f".flowrun/ledgers/{FORMER}", b"")
    with closing(SqliteLedger(ledger_path(console.root / "state", FORMER), time.time)) as ledger:
        leave(ledger, console.root, "a", TaskId("1f0c3b52-8a54-4c1e-9f3b-2d6f0a7c9e11"))
        leave(ledger, console.root, "b", None)
    return console


def with_the_new_key(project: Console, *words: str) -> Said:
    return project(*words, RUNWAYML_API_SECRET=NEW, FLOWRUN_STATE_DIR=str(project.root / "state"))


def leave(ledger: SqliteLedger, root: Path, name: str, task: TaskId | None, *, owner: str = "host/1/1/x") -> None:
    path = "/v1/text_to_image"
    doc = ActionDoc(ActionKey(name), RecipeKey(name), "runway", "v", "text_to_image", "gen4_image", path, {})
    origin = Origin(str(root / ".flowrun"), str(root), "one", "", "flow.yaml", f"{name}#1")
    claim = ledger.claim(doc, origin, RunId("r"), OwnerId(owner))
    assert isinstance(claim, Mine)
    ledger.reserve(claim.claim, "gen4_image", 5, Limits())
    intent = ledger.intend(claim.claim, "d", {})
    if task is not None:
        ledger.submitted(intent, task)
    else:
        ledger.lost(intent, {})


def test_status_tells_the_account(project: Console) -> None:
    said = with_the_new_key(project, "status")
    assert said.code == 0
    assert said.out.startswith(f"Under the former account {FORMER}; the next apply takes this up")
    assert "1 task at the API" in said.out
    assert "Uncertain: these need your decision (1)" in said.out
    assert "Nothing is in flight" not in said.out


def test_status_tells_the_account_to_programs_and_pages(project: Console) -> None:
    document = with_the_new_key(project, "status", "--json").document
    assert [row["account"] for row in (*document["open"], *document["uncertain"])] == [FORMER, FORMER]
    page = with_the_new_key(project, "status", "--format", "markdown").out
    assert page.startswith(f"Under the former account {FORMER};")


def test_an_apply_while_another_is_at_work_there_says_what_to_do(project: Console) -> None:
    said = with_the_new_key(project, "apply", "flow.yaml", "--yes")
    assert said.code == 2
    assert f"another flowrun is at work in this project under the account '{FORMER}'" in said.err
    assert "nothing was submitted" in said.err
    assert "hint: wait until it has ended, and run this again" in said.err
    assert with_the_new_key(project, "status", "--json").document["open"][0]["account"] == FORMER, "nothing was moved"


def test_to_forget_takes_it_up_first(project: Console) -> None:
    with closing(SqliteLedger(ledger_path(project.root / "state", FORMER), time.time)) as ledger:
        ledger.retire(OwnerId("host/1/1/x"))
    said = with_the_new_key(project, "forget", "flow.yaml", "b")
    assert said.code == 0
    document = with_the_new_key(project, "status", "--json").document
    assert document["uncertain"] == []
    assert [row["account"] for row in document["open"]] == [account_of(Secret(NEW))]
