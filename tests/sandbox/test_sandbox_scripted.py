"""Scenarios beyond single faults: both shapes of a refusal, limits, refunds, downloads that are slow, vast or something else."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from flowrun.diagnostics.model import DiagnosticError
from flowrun.media.probe import probe_bytes
from flowrun.operations.catalogue import catalogue, described
from flowrun.sandbox.content import Content
from flowrun.sandbox.messages import Response
from flowrun.sandbox.scenario import bytes_of, read_deeds, read_scenario, scenario_schema
from tests.sandbox.visitor import FILM, HEADERS, PICTURE, Visitor, data_uri, png

DAY = 86_400


def told(scenario: str, operation: str, body: dict[str, Any]) -> dict[str, Any]:
    response = Visitor(scenario).post(f"/v1/{operation}", body)
    assert response.status == 400
    return dict(response.json())


# refusals in both shapes

FRAME = {"model": "veo3.1", "promptImage": [{"uri": data_uri(png()), "position": "middle"}], "ratio": "1280:720"}


def test_issues_nest_where_an_input_has_several_forms() -> None:
    document = told("", "image_to_video", {**FRAME, "duration": 5})
    assert document["docUrl"].startswith("https://")
    assert document["code"] == "INVALID_REQUEST"
    duration, union = document["issues"]
    assert (union["code"], union["path"], union["message"]) == ("invalid_union", ["promptImage"], "Invalid input")
    text, entries = union["errors"]
    assert [(each["code"], each["path"]) for each in text] == [("invalid_type", [])]
    assert [(each["code"], each["path"]) for each in entries] == [("invalid_value", [0, "position"])]
    assert (duration["code"], duration["path"], "errors" in duration) == ("invalid_value", ["duration"], False)


def test_codes_are_the_services_own() -> None:
    document = told(
        "", "text_to_image", {**PICTURE, "promptText": "x" * 1001, "seed": "one", "speed": 2, "ratio": "1:1"}
    )
    codes = {each["path"][0]: each["code"] for each in document["issues"]}
    assert codes == {
        "promptText": "too_big",
        "seed": "invalid_type",
        "speed": "unrecognized_keys",
        "ratio": "invalid_value",
    }


def test_several_complaints_within_one_union_stand_together() -> None:
    images = [{"uri": data_uri(png()), "position": "left"}, {"position": "last"}]
    [_, union] = told("", "image_to_video", {**FRAME, "promptImage": images, "duration": 5})["issues"]
    assert [each["path"] for each in union["errors"][1]] == [[0, "position"], [1, "uri"]]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({**PICTURE, "ratio": "1:1"}, "The parameter 'ratio' is not valid."),
        (
            {**PICTURE, "referenceImages": [{"uri": "runway://uploads/none", "tag": "fox"}]},
            "The parameter 'referenceImages.0.uri' is not valid: There is no such upload.",
        ),
        ([], "Expected an object."),
    ],
)
def test_a_plain_refusal_is_one_sentence(body: Any, error: str) -> None:
    assert told("errors: plain", "text_to_image", body) == {"error": error}


def test_a_plain_refusal_of_what_is_lost_or_not_found() -> None:
    visitor = Visitor("errors: plain")
    assert visitor.send("GET", "/nowhere").json().keys() == {"error"}


# limits


def limits_of(visitor: Visitor, model: str) -> tuple[int | None, int | None]:
    found = visitor.send("GET", "/v1/organization").json()["tier"]["models"][model]
    return found["maxConcurrentGenerations"], found["maxDailyGenerations"]


def test_limits_of_single_models_and_none() -> None:
    visitor = Visitor("{media: tiny, limits: {default: {concurrent: null, daily: null}, veo3.1: {daily: 2}}}", tier=1)
    assert limits_of(visitor, "gen4_image") == (None, None)
    assert limits_of(visitor, "veo3.1") == (1, 2)
    ids = [visitor.create() for _ in range(7)]
    assert {visitor.status(each) for each in ids} == {"PENDING"}
    films = [visitor.post("/v1/text_to_video", FILM).status for _ in range(3)]
    assert films == [200, 200, 429]


def test_a_limit_that_ends_lets_all_go_on() -> None:
    text = "{{media: tiny, durations: {{default: 8}}, limits: {{gen4_image: {limit}}}}}"
    first = Visitor(text.format(limit="{concurrent: 1}"))
    ids = [first.create() for _ in range(3)]
    assert [first.status(each) for each in ids] == ["PENDING", "THROTTLED", "THROTTLED"]
    second = Visitor(text.format(limit="{concurrent: null}"), state=first.sandbox.state)
    assert second.send("DELETE", f"/v1/tasks/{ids[0]}").status == 204
    second.wait(1)
    assert [second.status(each) for each in ids[1:]] == ["RUNNING", "RUNNING"]


# money


def used(visitor: Visitor) -> list[tuple[str, int]]:
    results = visitor.post("/v1/organization/usage", {"startDate": "2026-09-01"}).json()["results"]
    return [(each["date"], amount["amount"]) for each in results for amount in each["usedCredits"]]


FAILING = "{media: tiny, refund_delay: 86400, faults: [{on: generations, match: {nth: 1}, do: {fail: INTERNAL}}]}"


def test_what_is_given_back_later_makes_a_days_use_negative() -> None:
    visitor = Visitor(FAILING, credits=100)
    failed = visitor.create()
    visitor.wait(60)
    assert visitor.task(failed)["cost"] == {"credits": 5}
    assert (visitor.balance(), used(visitor)) == (95, [("2026-09-21", 5)])
    visitor.wait(DAY)
    assert visitor.task(failed)["cost"] == {"credits": 0}
    assert visitor.sandbox.report()["tasks"][failed]["refunded"]
    assert (visitor.balance(), used(visitor)) == (100, [("2026-09-21", 5), ("2026-09-22", -5)])


def test_as_described_no_days_use_is_negative() -> None:
    visitor = Visitor(FAILING, credits=100, catalogue=described())
    visitor.create()
    visitor.wait(DAY + 60)
    assert used(visitor) == [("2026-09-21", 0)]


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ("SAFETY.INPUT.TEXT", True),
        ("SAFETY.INPUT.IMAGE", True),
        ("SAFETY.OUTPUT.VIDEO", True),
        ("INPUT_PREPROCESSING.SAFETY.TEXT", False),
        ("INPUT_PREPROCESSING.INTERNAL", False),
        ("INTERNAL.BAD_OUTPUT.CODE01", False),
        ("ASSET.INVALID", False),
        ("THIRD_PARTY.UNAVAILABLE", False),
        ("INTERNAL", False),
        ("SOMETHING.NEW", False),
    ],
)
def test_which_failures_are_paid_for(code: str, kept: bool) -> None:
    visitor = Visitor(f"{{media: tiny, faults: [{{on: generations, do: {{fail: {code}}}}}]}}", credits=100)
    task = visitor.create()
    visitor.wait(9)
    found = visitor.task(task)
    assert (found["failureCode"], found["cost"]["credits"], visitor.balance()) == (code, 5 * kept, 100 - 5 * kept)


# a request's own script


def test_a_request_scripts_itself() -> None:
    visitor = Visitor("media: tiny")
    answer = visitor.post("/v1/text_to_image", PICTURE, X_Flowrun_Scenario='[{"takes": 30}, {"delay": 2}]')
    assert answer.delay == 2
    task = answer.json()["id"]
    visitor.wait(29)
    assert visitor.status(task) == "RUNNING"
    visitor.wait(1)
    assert visitor.status(task) == "SUCCEEDED"
    broken = visitor.post("/v1/text_to_image", PICTURE, X_Flowrun_Scenario="[{]")
    assert (broken.status, "x-flowrun-scenario" in broken.json()["error"]) == (400, True)


def test_sizes_of_bytes_are_told_in_units() -> None:
    sizes = {"2 GB": 2_000_000_000, "20 kB": 20_000, "3 MiB": 3 * 1024**2, "1TB": 10**12, "7 B": 7}
    assert {size: bytes_of(size) for size in sizes} == sizes
    assert bytes_of(12) == 12
    with pytest.raises(ValueError, match="pad"):
        read_deeds('{"pad": "2 gigabytes"}')


def test_places_are_those_of_the_catalogue() -> None:
    assert read_scenario("faults: [{on: upscale, do: {delay: 1}}]", "s", ["upscale"]).faults[0].on == "upscale"
    with pytest.raises(DiagnosticError) as caught:
        read_scenario("faults: [{on: text_to_image, do: {delay: 1}}]", "s", ["upscale"])
    assert "upscale" in caught.value.diagnostics[0].message
    places = scenario_schema()["$defs"]["Fault"]["properties"]["on"]["anyOf"][0]["enum"]
    assert {*catalogue().operations, "generations", "any"} <= {*places}


# downloads


def film(visitor: Visitor) -> str:
    return visitor.url(visitor.create("text_to_video", FILM))


def content(response: Response) -> Content:
    assert isinstance(response.body, Content), response
    return response.body


def whole(response: Response) -> bytes:
    return b"".join(piece for _, piece in content(response).pieces())


def padded(size: str) -> Visitor:
    return Visitor(f"{{media: tiny, faults: [{{on: download, do: {{pad: {size}}}}}]}}")


def test_a_padded_film_is_the_film_and_an_empty_box() -> None:
    visitor = padded("1 MB")
    url = film(visitor)
    answer = visitor.send("GET", url, {})
    data = whole(answer)
    assert len(data) == int(answer.headers["Content-Length"]) == len(content(answer))
    plain = Visitor().made("text_to_video", FILM)
    assert data.startswith(plain)
    assert len(data) == len(plain) + 1_000_000
    assert probe_bytes(data) == probe_bytes(plain)
    assert whole(visitor.send("GET", url, {})) == data
    assert visitor.send("HEAD", url, {}).headers["Content-Length"] == str(len(data))


def test_parts_of_a_padded_film_are_parts_of_the_whole() -> None:
    visitor = padded("300 kB")
    url = film(visitor)
    data = whole(visitor.send("GET", url, {}))
    size = len(data)
    for begin, end in [(0, 10), (size - 300_010, size - 299_980), (size - 5, size), (70_000, size), (100, 200_000)]:
        part = visitor.send("GET", url, {"Range": f"bytes={begin}-{end - 1}"})
        assert (part.status, part.headers["Content-Range"]) == (206, f"bytes {begin}-{end - 1}/{size}")
        assert whole(part) == data[begin:end]
    assert visitor.send("GET", url, {"Range": f"bytes={size}-"}).status == 416


@pytest.mark.parametrize("size", ["2 GB", "8 GiB"])
def test_gigabytes_are_told_and_never_held(size: str) -> None:
    visitor = padded(size)
    answer = visitor.send("GET", film(visitor), {})
    told = int(answer.headers["Content-Length"])
    assert bytes_of(size) < told < bytes_of(size) + 100_000
    pieces = content(answer).pieces()
    assert max(len(piece) for _, piece in itertools.islice(pieces, 50)) == 65_536
    tail = content(visitor.send("GET", film(visitor), {"Range": "bytes=-9"}))
    assert b"".join(piece for _, piece in tail.pieces()) == bytes(9)


def test_two_gigabytes_come_whole() -> None:
    whole_of = Content.of(b"film", 2_000_000_000)
    assert sum(len(piece) for _, piece in whole_of.pieces()) == len(whole_of) == 2_000_000_004


def test_only_films_are_padded_and_only_by_boxes() -> None:
    visitor = padded("1 MB")
    assert isinstance(visitor.send("GET", visitor.url(visitor.create()), {}).body, bytes)
    assert len(Content.of(b"film", 7)) == 4
    assert b"".join(piece for _, piece in Content.of(b"film", 8).pieces()) == b"film\0\0\0\x08free"
    head = next(Content.of(b"", 5 * 10**9).pieces())[1]
    assert (head[:8], int.from_bytes(head[8:16], "big")) == (b"\0\0\0\x01free", 5 * 10**9)


def test_a_slow_download_takes_its_time() -> None:
    visitor = Visitor("{media: tiny, faults: [{on: download, do: {rate: 1 kB}}]}")
    answer = visitor.send("GET", film(visitor), {})
    seconds = sum(wait for wait, _ in content(answer).pieces())
    assert seconds == pytest.approx(len(content(answer)) / 1_000, abs=0.2)
    assert probe_bytes(whole(answer)).duration == 4


def test_downloads_that_are_something_else() -> None:
    visitor = Visitor(
        "{media: tiny, faults: ["
        "{on: download, match: {nth: 1}, do: {wrong_content: empty}},"
        "{on: download, match: {nth: 2}, do: {wrong_content: other}},"
        "{on: download, match: {nth: 3}, do: {content_type: application/octet-stream}},"
        "{on: download, match: {nth: 4}, do: {wrong_content: other}}]}"
    )
    url = film(visitor)
    empty, other, nameless = (visitor.send("GET", url, {}) for _ in range(3))
    assert (empty.status, empty.body, empty.headers["Content-Length"]) == (200, b"", "0")
    assert other.headers["Content-Type"] == "image/png"
    assert probe_bytes(bytes(other.body)).media_type == "image/png"  # type: ignore[arg-type]
    assert nameless.headers["Content-Type"] == "application/octet-stream"
    assert probe_bytes(bytes(nameless.body)).media_type == "video/mp4"  # type: ignore[arg-type]
    picture = visitor.send("GET", visitor.url(visitor.create()), {})
    assert probe_bytes(bytes(picture.body)).media_type == "audio/mpeg"  # type: ignore[arg-type]


def test_a_link_that_expires_is_refused_until_the_task_is_asked_for_again() -> None:
    visitor = Visitor("{media: tiny, url_ttl: 60}")
    task = visitor.create()
    url = visitor.url(task)
    visitor.wait(61)
    assert visitor.send("GET", url, {}).status == 403
    assert visitor.send("GET", visitor.url(task), {}).status == 200
    once = Visitor("{media: tiny, faults: [{on: download, do: {status: 403, times: 1}}]}")
    url = once.url(once.create())
    assert [once.send("GET", url, {}).status for _ in "12"] == [403, 200]


def test_uploads_that_fail_at_the_storage() -> None:
    visitor = Visitor("{media: tiny, faults: [{on: storage, match: {nth: 1}, do: {status: 503, body: <Error/>}}]}")
    placed = visitor.post("/v1/uploads", {"filename": "a.png", "type": "ephemeral"}).json()
    failed = visitor.put(placed, png())
    assert (failed.status, failed.body) == (503, b"<Error/>")
    assert visitor.put(placed, png()).status == 204
    assert placed["runwayUri"]


def test_bursts_with_and_without_bodies() -> None:
    visitor = Visitor(
        '{faults: [{on: generations, do: {status: 429, body: "", headers: {Retry-After: "3"}, times: 2}},'
        "{on: tasks, do: {status: 502, times: 1}}]}"
    )
    statuses = [visitor.post("/v1/text_to_image", PICTURE).status for _ in "123"]
    assert statuses == [429, 429, 200]
    assert visitor.send("GET", "/v1/tasks/x", HEADERS).status == 502
