"""Credits, daily limits, and what an account is told of itself."""

from __future__ import annotations

from typing import Any

import pytest

from flowrun.operations.catalogue import catalogue, described
from flowrun.sandbox.failures import message_for, refunded
from flowrun.sandbox.tiers import TIERS
from tests.sandbox.visitor import BEGIN, FILM, PICTURE, Visitor

DAY = 86_400


def test_credits_are_charged_when_a_task_is_accepted() -> None:
    visitor = Visitor(credits=170)
    assert visitor.balance() == 170
    visitor.create("text_to_video", FILM)
    assert visitor.balance() == 10
    refused = visitor.post("/v1/text_to_video", FILM)
    assert (refused.status, refused.json()) == (400, {"error": "You do not have enough credits to run this task."})
    visitor.create()
    visitor.create()
    assert visitor.balance() == 0
    assert visitor.post("/v1/text_to_image", PICTURE).status == 400
    assert visitor.sandbox.report()["charges"] == {"charged": 170, "refunded": 0, "spent": 170, "balance": 0}


@pytest.mark.parametrize(
    ("code", "back"),
    [
        ("INTERNAL", True),
        ("INTERNAL.BAD_OUTPUT.CODE01", True),
        ("ASSET.INVALID", True),
        ("THIRD_PARTY.UNAVAILABLE", True),
        ("INPUT_PREPROCESSING.SAFETY.TEXT", True),
        ("INPUT_PREPROCESSING.INTERNAL", True),
        ("SAFETY.INPUT.IMAGE", False),
        ("SAFETY.OUTPUT.VIDEO", False),
    ],
)
def test_who_pays_for_a_failure(code: str, back: bool) -> None:
    visitor = Visitor(f"{{media: tiny, faults: [{{on: generations, do: {{fail: {code}}}}}]}}", credits=100)
    task_id = visitor.create()
    assert visitor.balance() == 95
    visitor.wait(1)
    task = visitor.task(task_id)
    assert (task["status"], task["failureCode"]) == ("FAILED", code)
    assert task["failure"] == message_for(code)
    assert "output" not in task
    assert visitor.balance() == (100 if back else 95)
    assert visitor.sandbox.report()["tasks"][task_id]["refunded"] is back


def test_messages_are_never_empty() -> None:
    assert message_for("SOMETHING.NEW")
    assert refunded("SOMETHING.NEW")


def test_a_prompt_can_ask_to_be_rejected() -> None:
    visitor = Visitor(credits=100)
    task_id = visitor.create(promptText="a [moderated] fox")
    visitor.wait(1)
    assert visitor.task(task_id)["failureCode"] == "SAFETY.INPUT.TEXT"
    assert visitor.balance() == 95


def test_cancelling_gives_back_what_has_not_begun() -> None:
    visitor = Visitor("{media: tiny, durations: {default: 10}}", tier=1, credits=1000)
    running, pending, throttled = (
        visitor.create("text_to_video", FILM, model=model) for model in ("veo3.1", "veo3.1_fast", "veo3.1")
    )
    visitor.send("DELETE", f"/v1/tasks/{pending}")
    visitor.wait(5)
    visitor.send("DELETE", f"/v1/tasks/{throttled}")
    visitor.send("DELETE", f"/v1/tasks/{running}")
    assert visitor.balance() == 1000 - 160


def test_the_day_rolls() -> None:
    visitor = Visitor("{media: tiny, durations: {default: 0}}", tier=1, credits=10**6)
    for _ in range(49):
        visitor.create("text_to_video", FILM)
    visitor.wait(3600)
    visitor.create("text_to_video", FILM)
    refused = visitor.post("/v1/text_to_video", FILM)
    assert refused.status == 429
    assert "50" in refused.json()["error"]
    assert visitor.post("/v1/text_to_video", {**FILM, "model": "veo3.1_fast"}).status == 200
    visitor.wait(DAY - 3600 - 1)
    assert visitor.post("/v1/text_to_video", FILM).status == 429
    visitor.wait(1)
    assert visitor.post("/v1/text_to_video", FILM).status == 200
    usage = visitor.send("GET", "/v1/organization").json()["usage"]["models"]
    assert (usage["veo3.1"]["dailyGenerations"], usage["gen4_image"]["dailyGenerations"]) == (2, 0)


def test_what_is_refused_is_not_counted() -> None:
    visitor = Visitor("{media: tiny, identical: false}", credits=3)
    assert visitor.post("/v1/text_to_image", PICTURE).status == 400
    assert visitor.send("GET", "/v1/organization").json()["usage"]["models"]["gen4_image"]["dailyGenerations"] == 0


@pytest.mark.parametrize(
    ("tier", "video", "daily"), [(1, 1, 50), (2, 3, 500), (3, 5, 1_000), (4, 10, 5_000), (5, 20, 25_000)]
)
def test_tiers(tier: int, video: int, daily: int) -> None:
    answer = Visitor(tier=tier).send("GET", "/v1/organization").json()
    models = answer["tier"]["models"]
    assert models["gen4_turbo"] == {"maxConcurrentGenerations": video, "maxDailyGenerations": daily}
    assert (
        models["gen4_image"]["maxConcurrentGenerations"] == models["eleven_multilingual_v2"]["maxConcurrentGenerations"]
    )
    assert answer["tier"]["maxMonthlyCreditSpend"] == TIERS[tier].monthly
    assert set(models) == {model for each in catalogue().operations.values() for model in each.models}
    assert len(Visitor(catalogue=described()).send("GET", "/v1/organization").json()["tier"]["models"]) == 15


def test_the_usual_account() -> None:
    answer = Visitor().send("GET", "/v1/organization").json()
    assert answer["creditBalance"] == 100_000
    assert answer["tier"]["models"]["veo3"]["maxConcurrentGenerations"] == 5


def test_arguments_go_before_the_scenario() -> None:
    assert Visitor("{tier: 1, credits: 7}").balance() == 7
    visitor = Visitor("{tier: 1, credits: 7}", tier=2, credits=0)
    assert visitor.balance() == 0
    assert visitor.send("GET", "/v1/organization").json()["tier"]["models"]["veo3"]["maxConcurrentGenerations"] == 3


def usage(visitor: Visitor, **period: str) -> Any:
    answer = visitor.post("/v1/organization/usage", period)
    assert answer.status == 200
    return answer.json()


def test_usage_by_day_and_model() -> None:
    visitor = Visitor("{media: tiny, faults: [{on: text_to_image, match: {nth: 2}, do: {fail: INTERNAL}}]}")
    visitor.create()
    visitor.create("text_to_video", FILM)
    visitor.wait(DAY)
    visitor.create()
    visitor.create()
    visitor.wait(1)
    first = {
        "date": "2026-09-21",
        "usedCredits": [{"model": "gen4_image", "amount": 5}, {"model": "veo3.1", "amount": 160}],
    }
    second = {"date": "2026-09-22", "usedCredits": [{"model": "gen4_image", "amount": 5}]}
    both = usage(visitor, startDate="2026-09-21")
    assert both == {"results": [first, second], "models": ["gen4_image", "veo3.1"]}
    assert usage(visitor, startDate="2026-09-21", beforeDate="2026-09-22")["results"] == [first]
    assert usage(visitor, beforeDate="2026-09-21") == {"results": [], "models": []}
    assert usage(visitor)["results"] == [first]  # from 30 days ago, 30 days long: without today


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ([], []),
        ({"startDate": "yesterday"}, ["startDate"]),
        ({"startDate": 5}, ["startDate"]),
        ({"startDate": "2026-01-01", "beforeDate": "2026-04-02"}, ["beforeDate"]),
    ],
)
def test_wrong_periods(body: object, path: list[str]) -> None:
    answer = Visitor().post("/v1/organization/usage", body)
    assert answer.status == 400
    assert answer.json()["issues"][0]["path"] == path


def test_longest_periods() -> None:
    assert usage(Visitor(), startDate="2026-01-01", beforeDate="2026-04-01")["results"] == []
    assert usage(Visitor(), startDate="9999-12-31")["results"] == []


def test_the_report_knows_the_most_at_once() -> None:
    visitor = Visitor("{media: tiny, durations: {default: 10}}", tier=1)
    for _ in range(3):
        visitor.create("text_to_video", FILM)
    visitor.wait(11)
    visitor.create("text_to_video", FILM)
    visitor.create()
    report = visitor.sandbox.report()
    assert report["peak"] == {"gen4_image": 1, "veo3.1": 3}
    assert report["peak_running"] == {"gen4_image": 1, "veo3.1": 1}
    assert [each["time"] for each in report["submissions"]] == [BEGIN] * 3 + [BEGIN + 11] * 2
    assert Visitor().sandbox.report()["tasks"] == {}
