"""Uploads in two steps, and forms as storage takes them."""

from __future__ import annotations

import random

import pytest

from flowrun.sandbox import uploads
from flowrun.sandbox.multipart import MultipartError, Part, parse_form
from tests.sandbox.visitor import HEADERS, PICTURE, Visitor, data_uri, form, png

ASK = {"filename": "a.png", "type": "ephemeral"}
NOISE = random.Random(1).randbytes(600)


def use(visitor: Visitor, uri: str) -> int:
    return visitor.post("/v1/text_to_image", {**PICTURE, "referenceImages": [{"uri": uri, "tag": "ref"}]}).status


def test_an_upload_can_be_used_for_a_day() -> None:
    visitor = Visitor()
    uri = visitor.upload(png())
    assert uri.startswith("runway://")
    assert use(visitor, uri) == 200
    visitor.wait(86_399)
    assert use(visitor, uri) == 200
    visitor.wait(1)
    assert use(visitor, uri) == 400


def test_an_upload_is_the_same_input_as_the_data_itself() -> None:
    visitor = Visitor("{media: tiny, identical: true}")
    uris = [visitor.upload(png()), data_uri(png())]
    assert len({visitor.made(referenceImages=[{"uri": uri, "tag": "ref"}]) for uri in uris}) == 1
    frame = {"model": "gen4_turbo", "ratio": "1280:720", "duration": 2}
    assert len({visitor.made("image_to_video", frame, promptImage=uri) for uri in uris}) == 1


def test_what_is_not_there_or_no_media_is_named_when_used() -> None:
    visitor = Visitor()
    assert use(visitor, visitor.post("/v1/uploads", ASK).json()["runwayUri"]) == 400
    assert use(visitor, visitor.upload(NOISE)) == 400


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({"filename": "a.txt", "type": "ephemeral"}, ["filename"]),
        ({"filename": "a", "type": "ephemeral"}, ["filename"]),
        ({"filename": "x" * 252 + ".png", "type": "ephemeral"}, ["filename"]),
        ({"filename": "\ud800.png", "type": "ephemeral"}, ["filename"]),
        ({"filename": 5, "type": "for ever"}, ["filename", "type"]),
        ([], ["filename", "type"]),
    ],
)
def test_placeholders_are_not_given_for_anything(body: object, paths: list[str]) -> None:
    answer = Visitor().post("/v1/uploads", body)
    assert answer.status == 400
    assert [issue["path"] for issue in answer.json()["issues"]] == [[path] for path in paths]


def test_a_placeholder_takes_one_file_within_its_day() -> None:
    visitor = Visitor("{upload_ttl: 60}")
    answer = visitor.post("/v1/uploads", ASK).json()
    assert visitor.put(answer, png()).status == 204
    assert visitor.put(answer, png()).status == 403
    late = visitor.post("/v1/uploads", ASK).json()
    visitor.wait(60)
    assert visitor.put(late, png()).status == 403


@pytest.mark.parametrize(("size", "status"), [(511, 400), (512, 204), (2_000, 204), (2_001, 400)])
def test_sizes(size: int, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert uploads.MAX_BYTES == 200_000_000
    monkeypatch.setattr(uploads, "MAX_BYTES", 2_000)
    visitor = Visitor()
    assert visitor.put(visitor.post("/v1/uploads", ASK).json(), bytes(size)).status == status


def test_fields_come_before_the_file_as_they_were_given() -> None:
    visitor = Visitor()
    answer = visitor.post("/v1/uploads", ASK).json()
    fields = list(answer["fields"].items())
    changed = [(name, "text/html" if name == "Content-Type" else value) for name, value in fields]
    wrong = [
        form(fields[:-1], png(), fields[-1:]),
        form(changed, png()),
        form([*fields, ("acl", "public")], png()),
    ]
    for content_type, body in wrong:
        assert visitor.send("POST", answer["uploadUrl"], {"Content-Type": content_type}, body).status == 403
    for content_type, body in [
        form(fields, None),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=bound", b"x"),
    ]:
        assert visitor.send("POST", answer["uploadUrl"], {"Content-Type": content_type}, body).status == 400
    content_type, body = form([*fields, ("metadata", "{}")], png(), [("Submit", "go")])
    assert visitor.send("POST", answer["uploadUrl"], {**HEADERS, "Content-Type": content_type}, body).status == 204


def test_parts_are_read_as_sent() -> None:
    body = (
        b'--x y\r\ncontent-disposition: form-data; name="a \\" b"\r\n\r\n\r\n--no\r\n'
        b"\r\n--x y\r\nContent-Disposition: form-data; name=file; filename=f.png\r\nContent-Type: image/png\r\n\r\n"
        b"\0--x y\r\n--x y--\r\n"
    )
    assert parse_form('Multipart/Form-Data; charset=utf-8; boundary="x y"', body) == [
        Part('a \\" b', b"\r\n--no\r\n"),
        Part("file", b"\0--x y", "f.png", "image/png"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b\r\n",
        b"junk\r\n--b\r\n\r\n--b--",
        b"--b\r\nContent-Disposition: form-data; name=a\r\n--b--",
        b"--b\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--b--",
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--",
    ],
)
def test_what_is_no_form(body: bytes) -> None:
    with pytest.raises(MultipartError):
        parse_form("multipart/form-data; boundary=b", body)
