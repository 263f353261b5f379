"""A place in the API's queue is no failure and has no deadline; `timeout` counts the time that a task runs, and nothing else."""

from __future__ import annotations

from pathlib import Path

from flowrun.engine import events as ev
from flowrun.engine.states import NodeState
from flowrun.production.exits import Exit
from tests.support.stage import Stage

QUEUED = """
    flowrun: 1
    name: queued
    limits: {queue_ahead: 20}
    nodes:
      still:
        foreach: 12
        uses: text_to_image
        retry: 0
        timeout: 30s
        with: {model: gen4_image, promptText: "fox {{ each.key }}", ratio: "1280:720"}
"""


def _throttled(stage: Stage) -> dict[str, float]:
    """By task, the seconds that it waited at the API."""
    return {name: task["starts"] - task["created"] for name, task in stage.sandbox["tasks"].items()}


def _statuses(stage: Stage) -> set[str]:
    return {event.status for event in stage.events if isinstance(event, ev.Progressed)}


def test_waiting_longer_than_the_timeout_is_no_failure(tmp_path: Path) -> None:
    """Two run at once for 20 s each, so the last have been THROTTLED for 100 s."""
    stage = Stage(tmp_path, QUEUED, scenario="tier: 1\n")
    done = stage.apply()
    assert (done.exit, stage.submissions) == (Exit.DONE, 12)
    assert max(_throttled(stage).values()) >= 100
    assert "THROTTLED" in _statuses(stage)
    assert not [event for event in stage.events if isinstance(event, ev.AttemptFailed)]


def test_an_hour_in_the_queue_is_none_either(tmp_path: Path) -> None:
    slow = "tier: 1\nfaults: [{on: text_to_image, do: {takes: 4000}}]\n"
    stage = Stage(
        tmp_path, QUEUED.replace("timeout: 30s", "timeout: 70m").replace("foreach: 12", "foreach: 4"), scenario=slow
    )
    assert (stage.apply().exit, stage.submissions) == (Exit.DONE, 4)
    assert sorted(_throttled(stage).values())[-1] > 3600


def test_running_longer_than_the_timeout_is_a_failure_for_that_node_alone(tmp_path: Path) -> None:
    """The slow one waited for its turn first; from when it ran, the timeout counts."""
    slow = "tier: 1\nfaults: [{on: text_to_image, match: {nth: 9}, do: {takes: 200}}]\n"
    stage = Stage(tmp_path, QUEUED, scenario=slow)
    done = stage.apply()
    assert (done.exit, stage.submissions) == (Exit.FAILED, 12)
    states = done.summary.states
    [late] = [address for address, state in states.items() if state is not NodeState.SUCCEEDED]
    assert states[late] is NodeState.FAILED
    [failed] = [event for event in stage.events if isinstance(event, ev.AttemptFailed)]
    assert failed.code == "timeout"
    task = stage.sandbox["tasks"][failed.task]
    assert task["starts"] - task["created"] > 30, "it had waited for longer than that"
    assert 30 < failed.at - task["starts"] < 30 + 3 * 7.5
    stage.now += 200
    again = stage.apply()
    assert (again.exit, stage.submissions) == (Exit.DONE, 12), "the next apply collects it"
