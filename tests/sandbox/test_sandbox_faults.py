"""Scenarios: each fault does what it says, when it says so; a file with mistakes is told all of them."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest

from flowrun.diagnostics.model import DiagnosticError
from flowrun.operations.catalogue import described
from flowrun.sandbox.messages import Response
from flowrun.sandbox.scenario import Scenario, read_deeds, read_scenario, scenario_schema
from flowrun.sandbox.state import MemoryState
from tests.sandbox.visitor import FILM, PICTURE, Visitor, png


def scripted(*faults: str, **more: object) -> Visitor:
    return Visitor("media: tiny\nfaults:\n" + "".join(f"  - {each}\n" for each in faults), **more)


def organization(visitor: Visitor) -> Response:
    return visitor.send("GET", "/v1/organization")


def test_failing_with_words_of_its_own() -> None:
    visitor = scripted("{on: generations, match: {model: veo3.1}, do: {fail: INTERNAL, message: The camera fell.}}")
    film, picture = visitor.create("text_to_video", FILM), visitor.create()
    visitor.wait(9)
    assert visitor.task(film)["failure"] == "The camera fell."
    assert visitor.status(picture) == "SUCCEEDED"


def test_matching_by_prompt_and_place() -> None:
    visitor = scripted(
        "{on: text_to_image, match: {prompt: storm}, do: {fail: INTERNAL}}",
        "{on: text_to_video, do: {fail: ASSET.INVALID}}",
    )
    ids = [visitor.create(), visitor.create(promptText="a storm at sea"), visitor.create("text_to_video", FILM)]
    visitor.wait(9)
    assert [visitor.task(each).get("failureCode") for each in ids] == [None, "INTERNAL", "ASSET.INVALID"]


@pytest.mark.parametrize(
    ("match", "do", "hit"),
    [
        ("{}", "{status: 503}", [1, 2, 3, 4, 5, 6]),
        ("{nth: every}", "{status: 503}", [1, 2, 3, 4, 5, 6]),
        ("{nth: 2}", "{status: 503}", [2]),
        ("{nth: [1, 4]}", "{status: 503}", [1, 4]),
        ("{nth: [1, 4]}", "{status: 503, times: 2}", [1, 2, 4, 5]),
        ("{}", "{status: 503, times: 2}", [1, 2]),
        ("{model: gen4_image}", "{status: 503}", []),
    ],
)
def test_which_requests_are_hit(match: str, do: str, hit: list[int]) -> None:
    visitor = scripted(f"{{on: organization, match: {match}, do: {do}}}")
    assert [number for number in range(1, 7) if organization(visitor).status == 503] == hit


def test_requests_about_a_task_have_its_model_and_prompt() -> None:
    visitor = scripted("{on: tasks, match: {model: gen4_image, prompt: fox}, do: {status: 500}}")
    fox, cat = visitor.create(), visitor.create(promptText="a cat")
    assert visitor.send("GET", f"/v1/tasks/{fox}").status == 500
    assert visitor.send("GET", f"/v1/tasks/{cat}").status == 200
    assert visitor.send("GET", "/v1/tasks/none").status == 404


def test_an_error_answer_carries_nothing_out() -> None:
    visitor = scripted("{on: generations, do: {status: 502, times: 1}}")
    refused = visitor.post("/v1/text_to_image", PICTURE)
    assert refused.status == 502
    assert isinstance(refused.json()["error"], str)
    assert visitor.sandbox.report()["submissions"] == []
    visitor.create()
    odd = scripted("{on: any, do: {status: 418}}")
    assert "418" in organization(odd).json()["error"]


def test_error_answers_can_be_worded() -> None:
    visitor = scripted('{on: uploads, do: {status: 429, body: "", headers: {Retry-After: "30"}}}')
    answer = visitor.post("/v1/uploads", {"filename": "a.png", "type": "ephemeral"})
    assert (answer.status, answer.body, answer.headers["Retry-After"]) == (429, b"", "30")
    assert answer.headers["X-Flowrun-Sandbox"]


def test_a_refused_key() -> None:
    assert organization(scripted("{on: any, do: {status: 401}}")).status == 401


def test_delays_add_up() -> None:
    visitor = scripted(
        "{on: any, do: {delay: 2}}", "{on: organization, do: {delay: 0.5}}", "{on: usage, do: {delay: 9}}"
    )
    assert organization(visitor).delay == 2.5
    assert visitor.send("GET", "/v1/tasks/none").delay == 2


def test_lost_answers() -> None:
    visitor = scripted(
        "{on: text_to_image, match: {nth: 1}, do: {lost: before}}",
        "{on: text_to_image, match: {nth: 2}, do: {lost: after}}",
    )
    first = visitor.post("/v1/text_to_image", PICTURE)
    assert first.lost
    assert visitor.sandbox.report()["submissions"] == []
    second = visitor.post("/v1/text_to_image", PICTURE)
    assert second.lost
    assert len(visitor.sandbox.report()["submissions"]) == 1
    assert not visitor.post("/v1/text_to_image", PICTURE).lost
    report = visitor.sandbox.report()
    assert report["lost"] == {"after": 1, "before": 1}
    assert report["requests"]["text_to_image"] == 3


def test_a_lost_refusal_is_lost_too() -> None:
    assert scripted("{on: text_to_image, do: {lost: after}}").post("/v1/text_to_image", {}).lost


def test_lost_uploads() -> None:
    visitor = scripted("{on: storage, do: {lost: after, times: 1}}")
    placed = visitor.post("/v1/uploads", {"filename": "a.png", "type": "ephemeral"}).json()
    assert visitor.put(placed, png()).lost
    assert visitor.put(placed, png()).status == 403


def test_downloads_that_break_or_lie() -> None:
    visitor = scripted(
        "{on: download, match: {nth: 1}, do: {cut: 100}}",
        "{on: download, match: {nth: 2}, do: {wrong_content: truncated}}",
        "{on: download, match: {nth: [3, 4]}, do: {wrong_content: html}}",
        "{on: download, match: {nth: 5}, do: {lost: after}}",
    )
    url = visitor.url(visitor.create())
    cut, half, page = (visitor.send("GET", url) for _ in range(3))
    page_head = visitor.send("HEAD", url)
    lost, whole = visitor.send("GET", url), visitor.send("GET", url)
    assert isinstance(whole.body, bytes)
    assert (cut.cut, cut.body, cut.headers["Content-Length"]) == (100, whole.body, str(len(whole.body)))
    assert half.body == whole.body[: len(whole.body) // 2]
    assert (half.headers["Content-Length"], half.headers["Content-Type"]) == (str(len(whole.body) // 2), "image/png")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert bytes(page.body).startswith(b"<!DOCTYPE html>")  # type: ignore[arg-type]
    assert (page_head.body, page_head.headers["Content-Length"]) == (b"", page.headers["Content-Length"])
    assert lost.lost
    assert whole.cut is None


def test_a_task_cancelled_by_the_service_stays_to_be_seen() -> None:
    visitor = scripted("{on: generations, do: {cancelled: true}}", credits=50, catalogue=described())
    task_id = visitor.create()
    visitor.wait(1)
    assert visitor.task(task_id).keys() == {"id", "createdAt", "status"}
    assert visitor.status(task_id) == "CANCELLED"
    assert visitor.balance() == 50


def test_the_clock_jumps() -> None:
    visitor = Visitor(
        "{media: tiny, durations: {default: 60}, faults: [{on: tasks, match: {nth: 2}, do: {jump: 59.5}}]}"
    )
    task_id = visitor.create()
    assert [visitor.status(task_id) for _ in range(3)] == ["PENDING", "RUNNING", "RUNNING"]
    visitor.wait(0.5)
    assert visitor.status(task_id) == "SUCCEEDED"


def test_a_request_can_ask_for_its_own_fault() -> None:
    visitor = Visitor()
    assert visitor.post("/v1/text_to_image", PICTURE, X_Flowrun_Scenario='{"status": 503}').status == 503
    task_id = visitor.post("/v1/text_to_image", PICTURE, X_Flowrun_Scenario='{"fail": "INTERNAL"}').json()["id"]
    visitor.wait(1)
    assert visitor.task(task_id)["failureCode"] == "INTERNAL"
    wrong = visitor.post("/v1/text_to_image", PICTURE, X_Flowrun_Scenario='{"fall": "down"}')
    assert wrong.status == 400
    assert "fall" in wrong.json()["error"]
    with pytest.raises(ValueError, match="do: "):
        read_deeds("{}")


def test_counts_outlive_the_sandbox_and_belong_to_their_fault() -> None:
    state = MemoryState()
    fault = "{on: organization, match: {nth: 2}, do: {status: 503}}"
    assert organization(scripted(fault, state=state)).status == 200
    assert organization(scripted(fault, state=state)).status == 503
    assert organization(scripted(fault, state=state)).status == 200
    other = "{on: organization, match: {nth: 1}, do: {status: 500}}"
    assert organization(scripted(other, state=state)).status == 500


# the file


def test_nothing_is_a_scenario() -> None:
    assert read_scenario("", "s.yaml") == Scenario()
    assert read_scenario("poll: 2", "s.yaml").poll == 2
    assert Visitor("poll: 2").sandbox.poll == 2


def messages(text: str) -> list[str]:
    with pytest.raises(DiagnosticError) as caught:
        read_scenario(text, "s.yaml")
    return [f"{each.span} {each.message}" for each in caught.value.diagnostics]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", ["s.yaml:1:1 scenario: this should be a mapping"]),
        ("speed: 2", ["s.yaml:1:8 speed: there is no such field here"]),
        ("tier: 6\npoll: -1", ["s.yaml:1:7 tier: ", "s.yaml:2:7 poll: "]),
        ("durations: {default: soon}", ["s.yaml:1:22 durations.default: "]),
        ("durations: {default: [60, 20]}", ["s.yaml:1:22 durations.default: "]),
        ("durations: {default: [1, 2, 3]}", ["s.yaml:1:22 durations.default: "]),
        ("faults: [{on: tasks}]", ["s.yaml:1:10 faults.0.do: this field must be given"]),
        ("faults: [{on: nowhere, do: {delay: 1}}]", ["s.yaml:1:15 faults.0.on: "]),
        ("faults: [{on: any, match: {nth: 0}, do: {delay: 1}}]", ["s.yaml:1:33 faults.0.match.nth: "]),
        ("faults: [{on: any, match: {nth: [1, x]}, do: {delay: 1}}]", ["s.yaml:1:33 faults.0.match.nth: "]),
        ("faults: [{on: any, do: {}}]", ["s.yaml:1:24 faults.0.do: one of fail, "]),
        ("faults: [{on: any, do: {delay: 1, cut: 5}}]", ["s.yaml:1:24 faults.0.do: one of fail, "]),
        ("faults: [{on: any, do: {delay: 1, message: x}}]", ["s.yaml:1:24 faults.0.do: message belongs to fail"]),
        ("faults: [{on: tasks, do: {fail: X}}]", ["s.yaml:1:10 faults.0: fail is for where tasks are created"]),
        ("faults: [{on: tasks, do: {cut: 0}}]", ["s.yaml:1:10 faults.0: cut is for downloads"]),
    ],
)
def test_mistakes_in_a_scenario(text: str, expected: list[str]) -> None:
    found = messages(text)
    assert len(found) == len(expected)
    for message, beginning in zip(found, expected, strict=True):
        assert message.startswith(beginning)


def test_the_schema_takes_what_is_taken() -> None:
    schema = scenario_schema()
    assert json.loads(json.dumps(schema)) == schema
    validator = jsonschema_rs.Draft202012Validator(schema)
    good = {
        "durations": {"default": 1},
        "faults": [{"on": "tasks", "match": {"nth": [1]}, "do": {"status": 503, "times": 2}}],
    }
    assert validator.is_valid(good)
    assert not validator.is_valid({"speed": 2})
