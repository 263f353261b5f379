"""What is asked of a request before it is looked at, and the shape of every answer."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from flowrun.operations.catalogue import described
from flowrun.sandbox.inputs import InputError, foreign_host
from flowrun.sandbox.messages import Request, Response
from tests.sandbox.visitor import HEADERS, PICTURE, Visitor, data_uri, png, sound

FRAME = {"model": "gen4_turbo", "promptImage": data_uri(png()), "ratio": "1280:720", "duration": 2}


def valid(endpoint: str, response: Response) -> None:
    """Whether an answer is as the API describes it."""
    schema = described().endpoints[endpoint].responses[str(response.status)]
    jsonschema_rs.Draft202012Validator(schema).validate(response.json())


def issues(response: Response) -> list[tuple[tuple[str | int, ...], str]]:
    assert response.status == 400
    assert isinstance(response.json()["error"], str)
    return [*leaves(response.json()["issues"])]


def leaves(found: list[dict[str, Any]]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What is wrong with the form that was meant, where a union lists all."""
    for each in found:
        path = tuple(each["path"])
        for form in each.get("errors", ()):
            if not form[0]["message"].startswith("Expected "):
                yield from (((*path, *inner), message) for inner, message in leaves(form))
        if "errors" not in each:
            yield path, each["message"]


def test_every_answer_is_as_described() -> None:
    visitor = Visitor(
        "{media: tiny, durations: {default: 8}, faults: [{on: generations, match: {nth: 2}, do: {fail: INTERNAL}}]}",
        tier=1,
        catalogue=described(),
    )
    ids = [
        visitor.create("text_to_video", {"model": "veo3", "promptText": "x", "ratio": "1280:720", "duration": 8})
        for _ in "123"
    ]
    seen = set()
    for _ in range(9):
        visitor.wait(3)
        for each in ids:
            answer = visitor.send("GET", f"/v1/tasks/{each}")
            valid("GET /v1/tasks/{id}", answer)
            seen.add(answer.json()["status"])
    assert seen == {"THROTTLED", "RUNNING", "SUCCEEDED", "FAILED"}
    valid("GET /v1/tasks/{id}", visitor.send("GET", "/v1/tasks/x"))
    valid("GET /v1/organization", visitor.send("GET", "/v1/organization"))
    valid("POST /v1/organization/usage", visitor.post("/v1/organization/usage", {"startDate": "2026-09-01"}))
    valid("POST /v1/uploads", visitor.post("/v1/uploads", {"filename": "a.png", "type": "ephemeral"}))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/tasks/", 404),
        ("GET", "/v1/tasks", 404),
        ("GET", "/v2/organization", 404),
        ("POST", "/v1/text_to_poem", 404),
        ("GET", "/v1/text_to_image", 405),
        ("HEAD", "/v1/organization", 405),
        ("DELETE", "/v1/uploads", 405),
        ("PUT", "/storage/x", 405),
        ("POST", "/storage/x", 404),
        ("POST", "/outputs/x/a.png", 405),
        ("GET", "/outputs/x/a.png", 404),
        ("GET", "/v1/tasks/nonsense", 404),
        ("GET", "/v1/tasks/5d95c6e5-a84f-458a-8c4e-dfadf7257f9e", 404),
    ],
)
def test_wrong_addresses_and_methods(method: str, path: str, status: int) -> None:
    visitor = Visitor()
    answer = visitor.send(method, path)
    assert answer.status == status
    assert isinstance(answer.json()["error"], str)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Flowrun-Sandbox"] == "poll=0.2"
    assert ("Allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"Authorization": None}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "Basic abc"}, 401),
        ({"X-Runway-Version": None}, 400),
        ({"X-Runway-Version": "2023-01-01"}, 400),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": None}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
        ({"Authorization": "bearer anything"}, 200),
    ],
)
def test_headers(change: dict[str, str | None], status: int) -> None:
    given = {**HEADERS, "Content-Type": "application/json", **change}
    headers = {name: value for name, value in given.items() if value is not None}
    body = b'{"model": "gen4_image", "promptText": "a", "ratio": "1280:720"}'
    visitor = Visitor()
    assert visitor.send("POST", "/v1/text_to_image", headers, body).status == status
    assert len(visitor.sandbox.report()["submissions"]) == (status == 200)


def test_a_content_type_without_a_body_does_no_harm() -> None:
    visitor = Visitor()
    headers = {**HEADERS, "Content-Type": "application/json"}
    assert visitor.send("GET", "/v1/organization", headers).status == 200
    assert visitor.send("POST", "/v1/organization/usage", HEADERS).status == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b'{"a": NaN}', b"[" * 100_000])
def test_bodies_that_are_no_request(body: bytes) -> None:
    answer = Visitor().send("POST", "/v1/text_to_image", {**HEADERS, "Content-Type": "application/json"}, body)
    assert issues(answer)[0][0] == ()


@pytest.mark.parametrize(
    ("operation", "body", "path"),
    [
        ("text_to_image", {**PICTURE, "model": "gen5"}, ("model",)),
        ("text_to_image", {**PICTURE, "model": 5}, ("model",)),
        ("text_to_image", {"promptText": "x"}, ("model",)),
        ("text_to_image", {"model": "gen4_image", "promptText": "x"}, ("ratio",)),
        ("text_to_image", {**PICTURE, "ratio": "1792:1024"}, ("ratio",)),
        ("text_to_image", {**PICTURE, "size": 5}, ("size",)),
        ("text_to_image", {**PICTURE, "promptText": ""}, ("promptText",)),
        ("text_to_image", {**PICTURE, "seed": -1}, ("seed",)),
        (
            "text_to_image",
            {**PICTURE, "referenceImages": [{"uri": "https://a.example/b", "tag": "X"}]},
            ("referenceImages", 0, "tag"),
        ),
        ("text_to_video", {"model": "veo3.1", "promptText": "x", "ratio": "1280:720", "duration": 5}, ("duration",)),
        ("image_to_video", {**FRAME, "promptImage": "http://a.example/b.png"}, ("promptImage",)),
        ("image_to_video", {**FRAME, "promptImage": "ftp://a.example/b.png"}, ("promptImage",)),
    ],
)
def test_wrong_inputs_are_named(operation: str, body: Any, path: tuple[str | int, ...]) -> None:
    visitor = Visitor()
    assert path in [place for place, _ in issues(visitor.post(f"/v1/{operation}", body))]
    assert visitor.sandbox.report()["submissions"] == []


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("data:image/png,%20x", "not usable media: it is text"),
        ("data:image/png;base64,!!!!", "not base64"),
        ("data:image/png;name=a.png;base64,aGVsbG8=", "not usable media"),
        ("data:image/svg+xml;base64,PHN2Zz48L3N2Zz4=", "Unsupported asset type: image/svg+xml"),
        ("data:image/nothing", "expected data:"),
        ("data:image/png;base64," + "A" * 5_242_880, "characters"),
        (data_uri(sound(1), "image/png"), "Expected image, got audio"),
        (
            data_uri(b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"),
            "image/gif",
        ),
        ("runway://uploads/none", "no such upload"),
        ("runway://elsewhere", "no such upload"),
        ("runway://uploads/\ud800", "no such upload"),
        ("https://a.example/\ud800", "Invalid URL"),
        ("https://sandbox.flowrun.invalid/outputs/\ud800/a.png?_jwt=\ud800", "HTTP status 404"),
        ("https://10.0.0.1/a.png", "IP address"),
        ("https:///a.png/bcdefg", "Invalid URL"),
        ("https://[a.png/bcdefg", "Invalid URL"),
        ("https://sandbox.flowrun.invalid/outputs/none/a.png?_jwt=x", "HTTP status 404"),
    ],
)
def test_media_that_cannot_be_taken(uri: str, reason: str) -> None:
    found = issues(Visitor().post("/v1/image_to_video", {**FRAME, "promptImage": uri}))
    assert found[0][0] == ("promptImage",)
    assert reason in found[0][1]


def test_every_wrong_medium_is_named_at_once() -> None:
    images = [{"uri": "runway://uploads/none"}, {"uri": data_uri(png())}, {"uri": "data:image/png;base64,AAAA"}]
    found = issues(Visitor().post("/v1/text_to_image", {**PICTURE, "referenceImages": images}))
    assert [place for place, _ in found] == [("referenceImages", 0, "uri"), ("referenceImages", 2, "uri")]


def test_media_of_a_wrong_length() -> None:
    body = {"model": "eleven_voice_isolation", "audioUri": data_uri(sound(2), "audio/mpeg")}
    assert issues(Visitor().post("/v1/voice_isolation", body))[0][0] == ("audioUri",)


def test_text_that_is_no_text_is_refused() -> None:
    assert issues(Visitor().post("/v1/text_to_image", {**PICTURE, "promptText": "\ud800"}))


def test_data_need_not_be_base64() -> None:
    escaped = "data:image/png," + "".join(f"%{each:02x}" for each in png(8, 8))
    assert Visitor().post("/v1/image_to_video", {**FRAME, "promptImage": escaped}).status == 200


def test_an_upload_of_a_format_that_is_not_taken() -> None:
    visitor = Visitor()
    image = io.BytesIO()
    Image.frombytes("L", (64, 64), bytes(range(64)) * 64).save(image, "GIF")
    uri = visitor.upload(image.getvalue())
    assert issues(visitor.post("/v1/image_to_video", {**FRAME, "promptImage": uri})) == [
        (("promptImage",), "Unsupported asset type: image/gif.")
    ]


def test_data_beyond_todays_limit_is_refused_where_the_description_would_take_it() -> None:
    body = {"model": "eleven_voice_isolation", "audioUri": "data:audio/mpeg;base64," + "A" * 6_000_000}
    [(place, message)] = issues(Visitor().post("/v1/voice_isolation", body))
    assert place == ("audioUri",)
    assert "Upload the file instead" in message


def test_only_https_is_foreign() -> None:
    with pytest.raises(InputError, match="HTTPS"):
        foreign_host("ftp://a.example/b")


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.sampled_from([*FRAME, "promptText", "seed", "uri", "x"]), values, max_size=3), values)
def test_whatever_is_sent_is_answered(change: dict[str, Any], body: Any) -> None:
    visitor = Visitor()
    assert visitor.post("/v1/image_to_video", {**FRAME, **change}).status in (200, 400)
    for place in ("voice_dubbing", "uploads", "organization/usage"):
        assert visitor.post(f"/v1/{place}", body).status in (200, 400)


def test_a_request_keeps_what_it_was() -> None:
    request = Request.of("get", "https://a.example:99/b/c?d=e&f=g", {"X-Y": "z"}, b"h")
    assert (request.method, request.path, request.query, request.host) == ("GET", "/b/c", "d=e&f=g", "a.example:99")
    assert (request.argument("d"), request.argument("x"), request.headers) == ("e", None, {"x-y": "z"})
    with pytest.raises(ValueError):
        Response(200, {}, b"").json()


def test_requests_are_counted_by_endpoint() -> None:
    visitor = Visitor()
    task_id = visitor.create()
    visitor.post("/v1/text_to_image", {})
    visitor.send("GET", f"/v1/tasks/{task_id}")
    visitor.send("GET", "/nowhere")
    assert visitor.sandbox.report()["requests"] == {"text_to_image": 2, "tasks": 1, "unknown": 1}


def test_each_answer_has_a_support_handle_of_its_own() -> None:
    visitor = Visitor()
    handles = {visitor.send("GET", "/v1/organization").headers["apigw-requestid"] for _ in range(3)}
    assert len(handles) == 3
