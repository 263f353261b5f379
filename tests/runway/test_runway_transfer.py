"""Uploads, byte for byte, and downloads."""

from __future__ import annotations

import asyncio
import io
import json

import httpx
import pytest

from flowrun.runway.errors import GoneError, KeyRefusedError, RefusedError, TransientError, UrlExpiredError
from flowrun.runway.http import open_http
from flowrun.runway.pace import UPLOAD_LIFE
from flowrun.runway.values import Downloaded, OutputUrl, Upload
from flowrun.secret import Secret

from .conftest import KEY, SHORT, Naps, client_for, scripted
from .loopback import CLOSE, HANG, RESET, Loopback, http

DATA = bytes(range(256)) * 1000
FIELDS = {"key": "up/ünit", "Policy": "eyJ=", "a": "1", "X-Amz-Signature": "beef"}


def placeholder(url: str, n: int = 0) -> bytes:
    body = {"uploadUrl": f"{url}/store", "fields": FIELDS, "runwayUri": f"runway://{n}", "extra": 1}
    return http(200, json.dumps(body).encode())


class Storage:
    """Both steps; the second fails as `failures` say, one at a time."""

    def __init__(self, *failures) -> None:
        self.failures = list(failures)
        self.given = 0
        self.server: Loopback | None = None

    def __call__(self, seen):
        if seen.target == "/v1/uploads":
            self.given += 1
            return [placeholder(self.server.url, self.given)]
        return self.failures.pop(0) if self.failures else [http(204)]


async def upload_to(storage, naps, data=DATA, size=None, name="cat.png"):
    opened = []

    def opener():
        opened.append(io.BytesIO(data))
        return opened[-1]

    async with Loopback(storage) as server, open_http(trust_env=False) as client:
        storage.server = server
        api = client_for(client, server.url, sleep=naps)
        try:
            result = await api.upload(name, "image/png", opener, len(data) if size is None else size, 1000.0)
        except Exception as error:
            result = error
        assert all(stream.closed for stream in opened)
        return result, server


def parts_of(seen):
    boundary = seen.headers["content-type"].partition("boundary=")[2].encode()
    pieces = seen.body.split(b"--" + boundary)
    assert (pieces[0], pieces[-1]) == (b"", b"--\r\n")
    for piece in pieces[1:-1]:
        head, _, body = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        yield head.decode(), body.removesuffix(b"\r\n")


def test_both_steps_as_they_leave(naps) -> None:
    result, server = asyncio.run(upload_to(Storage(), naps))
    assert result == Upload("runway://1", 1000.0 + UPLOAD_LIFE)
    ask, store = server.seen
    assert (ask.method, ask.target, json.loads(ask.body)) == (
        "POST",
        "/v1/uploads",
        {"filename": "cat.png", "type": "ephemeral"},
    )
    assert ask.headers["authorization"] == f"Bearer {KEY}"
    assert (store.method, store.target) == ("POST", "/store")
    assert "authorization" not in store.headers
    assert not [name for name in store.headers if name.startswith("x-")]
    *fields, (file_head, file_body) = parts_of(store)
    assert [(head, body.decode()) for head, body in fields] == [
        (f'Content-Disposition: form-data; name="{name}"', value) for name, value in FIELDS.items()
    ]
    assert file_head == 'Content-Disposition: form-data; name="file"; filename="cat.png"\r\nContent-Type: image/png'
    assert file_body == DATA
    assert naps.taken == []


@pytest.mark.parametrize(
    "failure", [[RESET], [http(503)], [http(403, b"<Error/>")], [http(302, Location="/x")], [CLOSE]]
)
def test_a_broken_step_begins_anew(failure, naps) -> None:
    storage = Storage(failure, failure)
    result, server = asyncio.run(upload_to(storage, naps))
    assert result.uri == "runway://3"
    assert [seen.target for seen in server.seen] == ["/v1/uploads", "/store"] * 3
    assert [body for *_, (_, body) in map(parts_of, server.seen[1::2])] == [DATA] * 3
    assert len(naps.taken) == 2
    assert 2 <= naps.taken[0] <= 3


def test_attempts_end(naps) -> None:
    storage = Storage(*[[http(503, Retry_After="3600")]] * 9)
    result, _ = asyncio.run(upload_to(storage, naps))
    assert isinstance(result, TransientError)
    assert "HTTP 503" in str(result)
    assert (storage.given, naps.taken) == (4, [60.0] * 3)


@pytest.mark.parametrize(
    ("status", "kind", "asked"),
    [(429, TransientError, 4), (401, KeyRefusedError, 1), (400, RefusedError, 1), (404, GoneError, 1)],
)
def test_the_first_step_refused(status, kind, asked, naps) -> None:
    def script(seen):
        return [http(status)]

    storage = Storage()
    storage.__class__ = type("Refusing", (Storage,), {"__call__": lambda self, seen: script(seen)})
    result, server = asyncio.run(upload_to(storage, naps))
    assert type(result) is kind
    assert len(server.seen) == asked


@pytest.mark.parametrize(
    ("size", "name"),
    [
        (511, "cat.png"),
        (200_000_001, "cat.png"),
        (0, "cat.png"),
        (600, "cat"),
        (600, ".png"),
        (600, "a."),
        (600, "x" * 252 + ".png"),
        (600, "a/b.png"),
        (600, "a\n.png"),
        (600, "cat.xyz"),
        (600, "cat.jpg"),  # it is a PNG
        (600, "cat.mp4"),
    ],
)
def test_what_is_refused_before_anything_is_sent(size, name, naps) -> None:
    result, server = asyncio.run(upload_to(Storage(), naps, b"x" * 600, size, name))
    assert isinstance(result, RefusedError)
    assert server.seen == []


@pytest.mark.parametrize("size", [512, 600])
def test_the_smallest_upload(size, naps) -> None:
    result, _ = asyncio.run(upload_to(Storage(), naps, b"x" * size))
    assert isinstance(result, Upload)


def test_a_file_that_changed_is_not_sent(naps) -> None:
    result, server = asyncio.run(upload_to(Storage(), naps, b"x" * 600, size=601))
    assert isinstance(result, RefusedError)
    assert [seen.target for seen in server.seen] == ["/v1/uploads"]


@pytest.mark.parametrize("link", ["http://cdn.example.com/x", "file:///etc/passwd", "x"])
def test_the_live_api_gives_only_https_links(link) -> None:
    body = {"uploadUrl": link, "fields": {}, "runwayUri": "runway://1"}

    async def scene():
        async with scripted(lambda request: httpx.Response(200, json=body)) as client:
            api = client_for(client)
            with pytest.raises(RefusedError, match="not https"):
                await api.upload("a.png", "image/png", lambda: io.BytesIO(DATA), len(DATA), 0.0)
            with pytest.raises(RefusedError, match="not https"):
                await api.download(OutputUrl(link), lambda chunk: None)

    asyncio.run(scene())


def test_a_marked_sandbox_may_give_http_links(naps) -> None:
    def handler(request):
        if request.url.scheme == "http":
            return httpx.Response(200, content=b"media")
        body = {"tier": {"models": {}}, "creditBalance": 1}
        return httpx.Response(200, json=body, headers={"X-Flowrun-Sandbox": "1"})

    async def scene():
        async with scripted(handler) as client:
            api = client_for(client)
            await api.organization()
            return await api.download(OutputUrl("http://box/x"), lambda chunk: None)

    assert asyncio.run(scene()).size == 5


# downloads

WHOLE = http(200, DATA, Content_Type="Image/PNG; q=1")


async def download_from(steps, **more):
    got = bytearray()
    async with Loopback(lambda seen: steps) as server, open_http(trust_env=False) as client:
        api = client_for(client, server.url, **more)
        try:
            return await api.download(OutputUrl(f"{server.url}/a.png?_jwt=CANARY"), got.extend), bytes(got), server
        except Exception as error:
            return error, bytes(got), server


def test_a_whole_download() -> None:
    result, got, server = asyncio.run(download_from([WHOLE]))
    assert (result, got) == (Downloaded("image/png", len(DATA)), DATA)
    (seen,) = server.seen
    assert seen.target == "/a.png?_jwt=CANARY"
    assert "authorization" not in seen.headers
    assert seen.headers["accept-encoding"] == "identity"


def test_a_download_without_a_length_or_type() -> None:
    result, got, _ = asyncio.run(download_from([b"HTTP/1.1 200 OK\r\n\r\n" + DATA, CLOSE]))
    assert (result, got) == (Downloaded(None, len(DATA)), DATA)


DOWNLOAD_ROWS = [
    ([http(401)], UrlExpiredError),
    ([http(403, b"<Error/>")], UrlExpiredError),
    ([http(404)], UrlExpiredError),
    ([http(410)], UrlExpiredError),
    ([http(408)], TransientError),
    ([http(429)], TransientError),
    ([http(500)], TransientError),
    ([http(503)], TransientError),
    ([http(302, Location="/elsewhere")], TransientError),
    ([http(206, b"x")], TransientError),
    ([http(200, b"<html>", Content_Type="text/html; charset=utf-8")], TransientError),
    ([http(200, b"{}", Content_Type="application/problem+json")], TransientError),
    ([http(200, b"<x/>", Content_Type="application/xml")], TransientError),
    ([http(200, b"")], TransientError),
    ([http(200, DATA, length=len(DATA) + 5), CLOSE], TransientError),
    ([http(200, DATA, length=len(DATA) + 5), RESET], TransientError),
    ([http(200, b"not gzip", Content_Encoding="gzip")], TransientError),
    ([RESET], TransientError),
    ([CLOSE], TransientError),
]


@pytest.mark.parametrize(("steps", "kind"), DOWNLOAD_ROWS)
def test_downloads_that_fail(steps, kind) -> None:
    result, _, server = asyncio.run(download_from(steps))
    assert type(result) is kind
    assert "CANARY" not in str(result)
    assert str(result).startswith(f"download from {server.url}/a.png")
    assert len(server.seen) == 1


@pytest.mark.parametrize("steps", [[HANG], [http(200, DATA, length=len(DATA) + 5), HANG]])
def test_slow_downloads_end(steps) -> None:
    result, *_ = asyncio.run(download_from(steps, timeouts=SHORT))
    assert type(result) is TransientError
    assert "ReadTimeout" in str(result)


def test_a_full_disk_is_not_the_networks_fault() -> None:
    def full(chunk):
        raise OSError(28, "No space left on device")

    async def scene():
        async with scripted(lambda request: httpx.Response(200, content=DATA)) as client:
            await client_for(client).download(Secret("https://cdn.example.com/a"), full)

    with pytest.raises(OSError, match="No space"):
        asyncio.run(scene())


def test_a_length_that_lies_where_the_transport_does_not_tell() -> None:
    async def half():
        yield DATA[:10]

    def handler(request):
        return httpx.Response(200, content=half(), headers={"Content-Length": "20"})

    async def scene():
        async with scripted(handler) as client:
            await client_for(client).download(Secret("https://cdn.example.com/a"), lambda chunk: None)

    with pytest.raises(TransientError, match="10 bytes came of 20"):
        asyncio.run(scene())


def test_a_link_that_is_none() -> None:
    async def scene():
        async with scripted(lambda request: httpx.Response(200)) as client:
            await client_for(client, sleep=Naps()).download(Secret("https://a:port/"), lambda chunk: None)

    with pytest.raises(TransientError, match="InvalidURL"):
        asyncio.run(scene())
