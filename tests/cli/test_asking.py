"""The one question: it is heard at once where Ctrl-C answers it, shows what it is about, and is not counted as work."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from flowrun import load
from flowrun.cli.apply import _Asker, _Stopwatch
from flowrun.cli.output import Output
from flowrun.engine.events import RunEnded, RunStarted
from flowrun.ids import RunId
from flowrun.production.budget import Caps
from flowrun.production.options import Options
from flowrun.production.proposing import Proposal

ONE = """
flowrun: 1
nodes: {fox: {uses: text_to_image, with: {model: gen4_image, promptText: a fox, ratio: "1280:720"}}}
"""


@pytest.fixture
def proposal(tmp_path: Path) -> Proposal:
    (tmp_path / "flow.yaml").write_text(ONE)
    return replace(load(tmp_path / "flow.yaml", sandbox=True).propose(), provider="runway", banner=None)


def asker(*, quiet: bool = False) -> _Asker:
    return _Asker(Path("flow.yaml"), Options(), Output(quiet=quiet), False)


def test_ctrl_c_ends_the_question_at_once(proposal: Proposal, monkeypatch: pytest.MonkeyPatch) -> None:
    answered: list[bool] = []

    def waits(*arguments: Any, **more: Any) -> bool:
        signal.raise_signal(signal.SIGINT)
        answered.append(True)
        return True

    async def ask() -> bool:
        return asker().confirm(proposal)

    monkeypatch.setattr("flowrun.cli.apply.can_ask", lambda: True)
    monkeypatch.setattr(click, "confirm", waits)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(ask())
    assert not answered
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("terminal", [True, False])
def test_nobody_is_asked_about_a_plan_they_have_not_seen(
    proposal: Proposal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool
) -> None:
    monkeypatch.setattr("flowrun.cli.apply.can_ask", lambda: terminal)
    monkeypatch.setattr(click, "confirm", lambda *arguments, **more: False)
    assert not asker(quiet=True).confirm(proposal)
    assert "text_to_image/gen4_image" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("terminal", "answer", "accepted"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_a_gap_is_agreed_to_by_a_person_who_has_read_of_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool, answer: bool, accepted: bool
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("flowrun.cli.apply.can_ask", lambda: terminal)
    monkeypatch.setattr(click, "confirm", lambda text, **more: asked.append(text) or answer)

    async def ask() -> bool:
        return asker(quiet=True).accept(["the journal of run r is missing"])

    assert asyncio.run(ask()) is accepted
    assert len(asked) == terminal
    assert ("warning: the journal of run r is missing" in capsys.readouterr().err) is terminal


def test_only_the_run_itself_takes_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("flowrun.cli.apply.time.monotonic", lambda: now[0])
    watch = _Stopwatch()
    now[0] = 400.0  # a person thought about it
    watch.take_in(RunStarted(0.0, RunId("r"), "flow", "", "runway", None))
    now[0] = 407.0
    watch.take_in(RunEnded(0.0, 0, {}))
    now[0] = 437.0  # a command was told
    assert watch.seconds == 7.0


@pytest.mark.parametrize(
    ("caps", "spends"),
    [(Caps(), False), (Caps(day=500), True), (Caps(asked=500), True), (Caps(written=500), True)],
)
def test_without_a_terminal_any_cap_lets_an_apply_spend_that_much(
    proposal: Proposal, monkeypatch: pytest.MonkeyPatch, caps: Caps, spends: bool
) -> None:
    monkeypatch.setattr("flowrun.cli.apply.can_ask", lambda: False)
    assert asker().confirm(replace(proposal, caps=caps)) is spends


def test_on_a_terminal_a_cap_does_not_take_the_question_away(
    proposal: Proposal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowrun.cli.apply.can_ask", lambda: True)
    monkeypatch.setattr(click, "confirm", lambda *arguments, **more: False)
    assert not asker().confirm(replace(proposal, caps=Caps(day=500)))
