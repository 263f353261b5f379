"""Without network nothing is asked, and nothing runs that would have to ask."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from flowrun.engine.states import NodeState
from flowrun.plan.model import Decision
from flowrun.production import binding as bound_to
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.proposing import Proposal
from flowrun.production.provider import Choice
from tests.production.saved_plans import CHAIN, interrupt_at_submitted
from tests.support.stage import Stage
from tests.support.virtual_time import VirtualClock, run_virtual

WEB = """
    flowrun: 1
    name: web
    nodes:
      shot:
        uses: image_to_video
        with: {model: gen4_turbo, promptImage: "https://pictures.example.com/a.png", ratio: "1280:720", duration: 5}
"""


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> Any:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def _with_key(stage: Stage) -> None:
    stage.sandbox_flag = False
    stage.environ = {"RUNWAYML_API_SECRET": "key_" + "ab" * 64, "FLOWRUN_STATE_DIR": str(stage.root / "state")}


def _propose(stage: Stage, **flags: Any) -> Proposal:
    async def main(clock: VirtualClock) -> Proposal:
        return await stage.production(clock, **flags).propose_async()

    return run_virtual(main, start=stage.now)


def _refused(stage: Stage, words: str, **flags: Any) -> None:
    with pytest.raises(FlowrunError, match=words) as caught:
        stage.apply(offline=True, **flags)
    assert caught.value.exit is Exit.SURROUNDINGS
    assert "without --offline" in (caught.value.hint or "")


@pytest.mark.usefixtures("_no_network")
def test_a_plan_asks_nobody_for_the_balance(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN)
    _with_key(stage)
    proposal = _propose(stage, offline=True)
    assert proposal.provider == "runway"
    assert proposal.balance is None
    assert proposal.daily_left == {}
    assert proposal.plan.submissions == 1


@pytest.mark.usefixtures("_no_network")
def test_an_apply_that_would_have_to_ask_runs_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN)
    _with_key(stage)
    _refused(stage, r"--offline: this would have to ask runway \(for hero\)", yes=True)
    assert stage.events == []


def test_the_sandbox_of_this_process_needs_no_network(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN)
    assert _propose(stage, offline=True).balance is not None
    assert stage.apply(offline=True).exit is Exit.DONE
    assert stage.submissions == 2


@pytest.mark.usefixtures("_no_network")
def test_an_https_input_that_was_never_fetched_stays_undecided(tmp_path: Path) -> None:
    stage = Stage(tmp_path, WEB)
    plan = _propose(stage, offline=True).plan
    assert [step.decision for step in plan.steps.values()] == [Decision.UNDECIDED]
    _refused(stage, r"1 https input was never fetched \(https://pictures\.example\.com/a\.png\)")


@pytest.mark.usefixtures("_no_network")
def test_an_address_that_only_the_run_brings_to_light_fails_its_node_alone(tmp_path: Path) -> None:
    late = 'promptImage: "https://pictures.example.com/{{ nodes.hero.output.width }}.png"'
    stage = Stage(tmp_path, CHAIN.replace('promptImage: "{{ nodes.hero.output }}"', late))
    done = stage.apply(offline=True)
    assert done.exit is Exit.FAILED
    assert done.summary.states["hero"] is NodeState.SUCCEEDED
    assert "--offline fetches nothing" in done.summary.troubles["shot"].message


def test_what_is_all_there_is_exported_and_older_tasks_are_left_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, CHAIN)
    stage.apply()
    stage.edit("animal: fox", "animal: owl")
    stage.on_event = interrupt_at_submitted
    assert stage.apply().exit is Exit.INTERRUPTED  # its task stays open, for a recipe that is not asked for any more
    stage.on_event = None
    stage.edit("animal: owl", "animal: fox")
    shutil.rmtree(tmp_path / "out")
    monkeypatch.setattr(Choice, "is_local", property(lambda self: False))
    monkeypatch.setattr(
        bound_to, "account_name", lambda *_: "in-process"
    )  # the same account, as if it were over a network
    monkeypatch.setattr(bound_to.Bound, "client", lambda self: pytest.fail("a client was made"))
    assert stage.apply(offline=True).exit is Exit.DONE
    assert list(stage.exports()) == ["chain/film.mp4"]


def test_a_sandbox_over_http_is_a_network_even_on_this_machine(tmp_path: Path) -> None:
    stage = Stage(tmp_path, CHAIN)
    stage.sandbox_flag = False
    stage.environ = {"RUNWAYML_BASE_URL": "http://127.0.0.1:9"}
    _refused(stage, "this would have to ask sandbox")


def test_offline_and_refresh_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(FlowrunError, match="--offline asks nothing") as caught:
        Stage(tmp_path, CHAIN).plan(offline=True, refresh=True)
    assert caught.value.exit is Exit.WRONG
