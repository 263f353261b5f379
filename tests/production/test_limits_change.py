"""A long run notices what changes at the organization: its tier, what others use, what it bought. All in virtual time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flowrun.engine import events as ev
from flowrun.production.applying import READ_AGAIN
from flowrun.production.exits import Exit
from flowrun.sandbox import organization
from flowrun.sandbox.messages import Request, json_response
from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import SqliteState
from tests.support.stage import Stage
from tests.support.virtual_time import START

STILLS = """
    flowrun: 1
    name: many
    nodes:
      still:
        foreach: COUNT
        uses: text_to_image
        with: {model: gen4_image, promptText: "fox {{ each.key }}", ratio: "1280:720"}
"""
AGAIN = START + READ_AGAIN


def _stage(folder: Path, count: int, scenario: str) -> Stage:
    return Stage(folder, STILLS.replace("COUNT", str(count)), scenario=scenario)


def _times(stage: Stage) -> list[tuple[float, float]]:
    """When each task was created and when it ended."""
    return [(task["created"], task["ends"]) for task in stage.sandbox["tasks"].values()]


def _most(times: list[tuple[float, float]], since: float, before: float) -> int:
    """The most tasks in flight at one moment of a period in which at least one was created."""
    moments = [created for created, _ in times if since <= created < before]
    return max(sum(begin <= moment < end for begin, end in times) for moment in moments)


def _read(stage: Stage) -> list[ev.LimitsRead]:
    return [event for event in stage.events if isinstance(event, ev.LimitsRead)]


def _change(tier: int) -> str:
    return f"faults: [{{on: organization, match: {{nth: 2}}, do: {{tier: {tier}}}}}]\n"


def test_a_higher_tier_is_used_as_soon_as_it_is_read(tmp_path: Path) -> None:
    stage = _stage(tmp_path, 40, "tier: 1\n" + _change(4))
    done = stage.apply()
    assert done.exit is Exit.DONE
    times = _times(stage)
    assert _most(times, 0, AGAIN) == 2
    assert _most(times, AGAIN, 1e12) == 10
    assert [event.models[0].concurrency for event in _read(stage)] == [2, 10]
    assert _read(stage)[1].at == pytest.approx(AGAIN, abs=30)


def test_a_lower_tier_is_kept_as_soon_as_it_is_read(tmp_path: Path) -> None:
    stage = _stage(tmp_path, 84, "tier: 3\n" + _change(1))
    done = stage.apply()
    assert done.exit is Exit.DONE
    times = _times(stage)
    assert _most(times, 0, AGAIN) == 5
    assert _most(times, AGAIN + 60, 1e12) == 2  # what was in flight then has ended
    assert [event.models[0].concurrency for event in _read(stage)][:2] == [5, 2]


FILMS = """
    flowrun: 1
    name: films
    nodes:
      film:
        foreach: 40
        uses: text_to_video
        with: {model: veo3.1, promptText: "fox {{ each.key }}", ratio: "1280:720", duration: 4, audio: false}
"""


def _others_use(stage: Stage, count: int, at: float) -> None:
    """Another client of the same organization creates so many, once that time has come."""
    left = [count]

    def on_event(_: Any, event: ev.Event) -> None:
        if event.at >= at and left[0]:
            sandbox = Sandbox(SqliteState(stage.root / ".flowrun" / "sandbox" / "api"), tier=1, salt="another client")
            film = {"model": "veo3.1", "promptText": "a wolf", "ratio": "1280:720", "duration": 4, "audio": False}
            headers = {
                "authorization": "Bearer k",
                "x-runway-version": "2024-11-06",
                "content-type": "application/json",
            }
            while left[0]:
                left[0] -= 1
                asked = Request("POST", "/v1/text_to_video", headers=headers, body=json.dumps(film).encode())
                assert sandbox.handle(asked, event.at).status == 200
            sandbox.close()

    stage.on_event = on_event


@pytest.mark.parametrize("read_again", [True, False])
def test_what_others_use_is_taken_off_the_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_again: bool
) -> None:
    if not read_again:  # so that this test is seen to see a difference
        monkeypatch.setattr("flowrun.production.applying.READ_AGAIN", 1e9)
    stage = Stage(
        tmp_path, FILMS, scenario="tier: 1\n"
    )  # 50 a day, one at once: some 12 until the limits are read again
    _others_use(stage, 25, START + 200)
    done = stage.apply()
    assert done.exit is Exit.STOPPED
    assert done.summary.waiting
    assert stage.submissions == 50
    refused = stage.sandbox["requests"]["text_to_video"] - 25 - done.summary.submitted
    assert (refused == 0) is read_again  # without reading it, the API has to say that the day is over
    if read_again:
        assert _read(stage)[1].models[0].daily_left < 20


def test_bought_credits_let_a_run_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began_with = Sandbox.__init__

    def begin(self: Sandbox, *arguments: Any, **more: Any) -> None:
        began_with(self, *arguments, **more)
        account.append(self)

    account: list[Sandbox] = []
    monkeypatch.setattr(Sandbox, "__init__", begin)
    monkeypatch.setattr("tests.support.stage.TINY", "media: tiny\npoll: 5\ndurations: {default: 20, veo3.1: 400}\n")
    slow = FILMS.replace("foreach: 40", "tags: [one]").replace("each.key", "flow.name")
    stage = Stage(
        tmp_path, slow + STILLS.partition("nodes:")[2].replace("COUNT", "12"), scenario="tier: 1\ncredits: 100\n"
    )

    def on_event(_: Any, event: ev.Event) -> None:
        if event.at >= START + 100:
            account[0].credits = 1000

    stage.on_event = on_event
    assert stage.apply().exit is Exit.DONE
    assert stage.submissions == 13
    over = [event.at - START for event in stage.events if isinstance(event, ev.OverCap)]
    assert over  # some were put off,
    assert max(over) < READ_AGAIN < max(event.at - START for event in stage.events if isinstance(event, ev.Submitted))


def test_a_null_limit_is_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def describe(books: Any, limits: Any, monthly: int, balance: int, now: float) -> Any:
        nothing = {"maxConcurrentGenerations": None, "maxDailyGenerations": None}
        tier = {"maxMonthlyCreditSpend": None, "models": {"gen4_image": nothing}}
        return json_response(200, {"tier": tier, "creditBalance": balance, "usage": {"models": {}}})

    monkeypatch.setattr(organization, "describe", describe)
    stage = _stage(tmp_path, 30, "tier: 1\n")
    assert stage.apply().exit is Exit.DONE
    assert stage.sandbox["peak"]["gen4_image"] == 30  # all at once; the API lets them wait their turn
    assert stage.sandbox["peak_running"]["gen4_image"] == 2
    (read,) = {event.models for event in _read(stage)}
    assert (read[0].concurrency, read[0].daily_left) == (None, None)


def test_a_reading_that_fails_changes_nothing(tmp_path: Path) -> None:
    stage = _stage(
        tmp_path, 40, "tier: 1\nfaults: [{on: organization, match: {nth: 2}, do: {status: 503, times: 9}}]\n"
    )
    assert stage.apply().exit is Exit.DONE
    assert stage.sandbox["peak"]["gen4_image"] == 2
    assert stage.sandbox["requests"]["organization"] == 2
