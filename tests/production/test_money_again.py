"""More ways in which work could be lost or paid twice, or a run be ended by what merely watches it: each was seen to happen."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from flowrun.action import ActionDoc
from flowrun.engine import events as ev
from flowrun.ids import ActionKey, OwnerId, RecipeKey, RunId, TaskId
from flowrun.ledger.location import account_of, ledger_path
from flowrun.ledger.protocol import Limits, Mine, Origin
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.production.applying import Applied
from flowrun.production.binding import bound
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.options import Options
from flowrun.production.proposing import Proposal
from flowrun.secret import Secret
from tests.production.saved_plans import carry_out, save
from tests.production.test_settings_in_use import KEY, OTHER_KEY, STUDIO, around, taken_up
from tests.support.stage import Stage

ONE = """
    flowrun: 1
    name: one
    nodes:
      a:
        uses: text_to_image
        with: {model: gen4_image, promptText: "alpha", ratio: "1280:720"}
"""
LOST = "faults: [{on: text_to_image, match: {nth: 1}, do: {lost: after}}]\n"
LOST_TWICE = LOST[:-2] + ", {on: text_to_image, match: {nth: 2}, do: {lost: after}}]\n"


def meanwhile(work: Callable[[], Applied]) -> Applied:
    """Done by another process, while this one waits for a person."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


# -- what nobody has spoken of


def test_a_request_that_became_uncertain_while_the_plan_was_read_is_not_sent_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ONE, scenario=LOST)

    def read_slowly(proposal: Proposal) -> bool:
        assert proposal.plan.submissions == 1
        assert meanwhile(stage.apply).exit is Exit.UNKNOWN
        return True

    done = stage.apply(confirm=read_slowly)
    assert (done.exit, done.summary.submitted) == (Exit.UNKNOWN, 0)
    assert stage.submissions == 1


def test_a_word_to_send_again_is_of_the_request_that_was_shown(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ONE, scenario=LOST_TWICE)
    assert stage.apply().exit is Exit.UNKNOWN

    def read_slowly(proposal: Proposal) -> bool:
        assert meanwhile(lambda: stage.apply(resend=("a",))).exit is Exit.UNKNOWN
        return True

    assert stage.apply(confirm=read_slowly, resend=("a",)).exit is Exit.UNKNOWN
    assert stage.submissions == 2
    assert stage.apply(resend=("a",)).exit is Exit.DONE
    assert stage.submissions == 3


# -- ledgers that are left behind


def leave(root: Path, account: str, *, intended: bool) -> None:
    """What a killed process leaves in the ledger of an account: a request on its way, or a task in flight."""
    doc = ActionDoc(
        ActionKey("k"), RecipeKey("r"), "runway", "v", "text_to_image", "gen4_image", "/v1/text_to_image", {}
    )
    ledger = SqliteLedger(ledger_path(root / "state", account), lambda: 1000.0)
    origin = Origin(str(root / ".flowrun"), str(root), "f", "", "f.yaml", "a#1")
    claim = ledger.claim(doc, origin, RunId("r"), OwnerId("o"))
    assert isinstance(claim, Mine)
    ledger.reserve(claim.claim, "gen4_image", 5, Limits())
    intent = ledger.intend(claim.claim, "d", {})
    if not intended:
        ledger.submitted(intent, TaskId("t-1"))
    ledger.close()


def doubts(root: Path, toml: str) -> int:
    """Uncertain requests that an apply with these settings finds in its ledger."""
    assert taken_up(root, toml) == []
    with bound(root, Options(), around(root, RUNWAYML_API_SECRET=KEY)) as at:
        return len(at.ledger.uncertain())


def test_a_request_that_a_killed_process_sent_is_not_left_behind_either(tmp_path: Path) -> None:
    leave(tmp_path, account_of(Secret(KEY)), intended=True)
    assert doubts(tmp_path, STUDIO) == 1
    assert doubts(tmp_path, "") == 1


@pytest.mark.parametrize("intended", [False, True])
def test_tasks_of_a_former_key_are_not_paid_for_again(tmp_path: Path, intended: bool) -> None:
    former = account_of(Secret(OTHER_KEY))
    (tmp_path / ".flowrun" / "ledgers").mkdir(parents=True)
    (tmp_path / ".flowrun" / "ledgers" / former).touch()
    leave(tmp_path, former, intended=intended)
    assert doubts(tmp_path, "") == 1 if intended else taken_up(tmp_path, "") == ["t-1"]
    with closing(SqliteLedger(ledger_path(tmp_path / "state", former), lambda: 1000.0)) as ledger:
        assert (ledger.open(), ledger.unanswered()) == ((), ())


# -- whoever watches


class Refusing(logging.Handler):
    """Of a host program, and out of order."""

    def emit(self, record: logging.LogRecord) -> None:
        raise ValueError("this handler takes nothing")


def test_a_handler_of_the_host_program_does_not_cost_the_answer_to_a_paid_request(tmp_path: Path) -> None:
    logger, handler = logging.getLogger("flowrun"), Refusing()
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        stage = Stage(tmp_path, ONE)
        assert stage.apply().exit is Exit.DONE
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def test_a_folder_that_is_no_utf_8_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    stage = Stage(root, ONE)
    with pytest.raises(FlowrunError) as caught:
        stage.apply()
    assert caught.value.exit is Exit.WRONG
    assert not (root / ".flowrun").exists()


def test_a_run_needs_no_installed_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.distribution", absent)
    assert Stage(tmp_path, ONE).apply().exit is Exit.DONE


def test_a_listener_that_was_cancelled_is_no_more_than_one_that_failed(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ONE)

    def listen(interrupt: object, event: ev.Event) -> None:
        if isinstance(event, ev.Granted):
            raise asyncio.CancelledError("of a future that it waited for")

    stage.on_event = listen
    with pytest.raises(RuntimeError, match="CancelledError"):
        stage.apply()
    stage.on_event = None
    again = stage.apply()
    assert (again.exit, again.summary.submitted) == (Exit.DONE, 0)


# -- saved plans


def test_a_saved_plan_that_two_were_asked_about_is_carried_out_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ONE)
    assert stage.apply().exit is Exit.DONE
    save(stage, force=("a",))

    def read_slowly(proposal: Proposal) -> bool:
        assert proposal.plan.submissions == 1
        assert meanwhile(lambda: carry_out(stage)).summary.submitted == 1
        return True

    done = carry_out(stage, confirm=read_slowly)
    assert (done.exit, done.summary.submitted) == (Exit.DONE, 0)
    assert stage.submissions == 2


# -- a task that the key of now does not know


def sent_by_another_key(stage: Stage) -> None:
    """A task in flight whose request was sent with another key than the one that asks, which is answered 404."""
    stage.on_event = lambda interrupt, event: interrupt(130) if isinstance(event, ev.Submitted) else None
    assert stage.apply().exit is Exit.INTERRUPTED
    stage.on_event = None
    with closing(sqlite3.connect(ledger_path(stage.root / ".flowrun" / "sandbox", "in-process"))) as file, file:
        (text,) = file.execute("SELECT evidence FROM intents").fetchone()
        changed = text.replace(account_of(Secret("key_sandbox")), account_of(Secret(OTHER_KEY)))
        assert changed != text
        file.execute("UPDATE intents SET evidence = ?", (changed,))
    stage.scenario = "faults: [{on: tasks, do: {status: 404}}]\n"
    for _ in range(2):
        done = stage.apply()
        assert (done.exit, done.summary.submitted) == (Exit.FAILED, 0)
        (trouble,) = done.summary.troubles.values()
        assert "another one sent its request" in trouble.message


def test_a_404_to_another_key_ends_no_task(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ONE)
    sent_by_another_key(stage)
    stage.scenario = ""
    done = stage.apply()
    assert (done.exit, done.summary.submitted, stage.submissions) == (Exit.DONE, 0, 1)


def test_a_task_that_another_key_sent_can_be_forgotten(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ONE)
    sent_by_another_key(stage)
    stage.scenario = ""

    assert stage.forget("a") == 1
    done = stage.apply()
    assert (done.exit, done.summary.submitted, stage.submissions) == (Exit.DONE, 1, 2)


def test_a_manifest_whose_name_is_no_utf_8_is_refused_before_anything(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ONE, file=os.fsdecode(b"caf\xe9.yaml"))
    with pytest.raises(FlowrunError, match="no UTF-8") as caught:
        stage.apply()
    assert caught.value.exit is Exit.WRONG
    assert not (tmp_path / ".flowrun").exists()
