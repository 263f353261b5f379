"""`collect`, `cancel` and `status` as typed: streams, forms, the question, exit codes; and what an interrupt names works."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from flowrun.cli import completing, stopping
from flowrun.cli.output import Output
from flowrun.cli.stopping import _agrees
from flowrun.production.cancelling import Stakes
from tests.cli.console import Console
from tests.production.rounds import TWO, deletions, leave
from tests.support.golden import check_golden
from tests.support.stage import Stage
from tests.ui.ui_values import task_row

GOLDEN = Path(__file__).parent / "golden"
FOR_EVER = "faults: [{on: text_to_image, match: {prompt: beta}, do: {takes: 100000}}]\n"


def begun(console: Console) -> Stage:
    """A project that half a day ago, in virtual time, has begun: the commands come in real time."""
    return Stage(console.root, TWO, scenario=FOR_EVER, now=time.time() - 50_300.0)


@pytest.fixture
def left(console: Console) -> Stage:
    """A project in which `a` has finished at the API, and `b` runs for another half day."""
    stage = begun(console)
    leave(stage)
    return stage


def test_with_nothing_open(console: Console) -> None:
    for verb, words in (("collect", "Nothing is in flight"), ("cancel", "There is nothing to cancel")):
        said = console(verb, "--sandbox")
        assert (said.code, said.out) == (0, f"{words}, and nothing is uncertain.\n")
        nothing: dict[str, Any] = {"tasks": [], "uncertain": [], "warnings": []}
        assert console(verb, "--sandbox", "--json").document == {"exit": 0, "exits": [0], **nothing}


def test_collect_then_cancel(console: Console, left: Stage) -> None:
    assert "flowrun collect --sandbox\n" in console("status", "--sandbox").out
    said = console("collect", "--sandbox")
    assert said.code == 0
    check_golden(GOLDEN / "collect.txt", said.transcript)
    said = console("cancel", "--sandbox")
    assert said.code == 0
    check_golden(GOLDEN / "cancel.txt", said.transcript)
    assert console("status", "--sandbox").out == "Nothing is in flight, and nothing is uncertain.\n"
    assert deletions(left) == 1


def test_every_form(console: Console, left: Stage) -> None:
    document = console("collect", "--sandbox", "--json").document
    assert (document["exit"], document["exits"]) == (0, [0])
    made, going = document["tasks"]
    assert (made["address"], made["fate"], made["kinds"], made["credits"]) == ("a#1", "collected", ["image"], 5)
    assert (going["fate"], going["status"], going["manifest"], going["flow"]) == (
        "running",
        "RUNNING",
        "flow.yaml",
        "two",
    )
    page = console("cancel", "--sandbox", "--format", "markdown").out
    assert page.startswith("1 task: 1 cancelled.\n\n| what became of it | node | what is to know |")


@pytest.mark.parametrize("run", ["nonsense", ""])
def test_a_run_that_there_is_not(console: Console, left: Stage, run: str) -> None:
    said = console("cancel", run, "--sandbox")
    assert said.code == 2
    assert f"there is no run '{run}'; nothing was cancelled" in said.err
    assert "flowrun runs lists them" in said.err


def offered(root: Path, monkeypatch: pytest.MonkeyPatch, incomplete: str = "") -> list[str]:
    """As the Tab key does after `cancel --sandbox`, with all the time it takes on a busy machine."""
    monkeypatch.setattr(completing, "PATIENCE", 60.0)
    monkeypatch.chdir(root)
    ctx, argument = click.Context(stopping.cancel), stopping.cancel.params[0]
    ctx.params["sandbox"] = True
    return [each.value for each in completing.runs(ctx, argument, incomplete)]


def test_the_run_by_its_beginning_and_as_the_tab_key_offers_it(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = leave(begun(console))
    assert offered(console.root, monkeypatch) == [run]
    assert offered(console.root, monkeypatch, "x") == []
    assert console("cancel", run[:10], "--sandbox").code == 0
    assert offered(console.root, monkeypatch) == []


def test_pressing_tab_makes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert offered(tmp_path, monkeypatch) == []
    assert not list(tmp_path.iterdir())


# -- the question


STAKES = Stakes((task_row("a#1"), task_row("b#1")), "runway")


def agrees(stakes: Stakes = STAKES) -> bool:
    return _agrees(stakes, Output(quiet=True))


def test_a_sandbox_is_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click, "confirm", lambda *arguments, **more: pytest.fail("asked"))
    assert agrees(Stakes(STAKES.tasks, "sandbox"))


@pytest.mark.parametrize("answer", [True, False])
def test_one_question_after_what_it_is_about(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: bool
) -> None:
    monkeypatch.setattr(stopping, "can_ask", lambda: True)
    monkeypatch.setattr(click, "confirm", lambda *arguments, **more: answer)
    assert agrees() is answer
    told = capsys.readouterr().err
    assert "2 tasks would be cancelled, some 50 credits" in told
    assert "a#1" in told


def test_without_a_terminal_real_tasks_need_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stopping, "can_ask", lambda: False)
    monkeypatch.setattr(click, "confirm", lambda *arguments, **more: pytest.fail("asked"))
    assert not agrees()
    assert "--yes" in capsys.readouterr().err


# -- interrupted


@pytest.fixture
def soon() -> Iterator[Any]:
    timers: list[threading.Timer] = []

    def later(seconds: float, number: signal.Signals) -> None:
        timers.append(threading.Timer(seconds, signal.raise_signal, [number]))
        timers[-1].start()

    yield later
    for timer in timers:
        timer.cancel()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_interrupted_in_the_middle(console: Console, left: Stage, soon: Any, number: signal.Signals, code: int) -> None:
    slow = console.file("slow.yaml", "media: tiny\npoll: 0.01\nfaults: [{on: download, do: {delay: 60}}]\n")
    soon(1.5, number)
    said = console("collect", "--scenario", slow.name)
    assert said.code == code, said.err
    assert "not seen" in said.out
    assert "Traceback" not in said.err
    assert console("collect", "--sandbox", "--json").document["tasks"][0]["fate"] == "collected"
