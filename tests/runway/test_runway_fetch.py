"""Fetching https inputs: what is fetched, from where, and how it fails."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest

from flowrun.runway.errors import FetchError
from flowrun.runway.fetch import Fetched, fetch, is_public, system_resolve

from .conftest import scripted

OPEN = "93.184.216.34"
URL = "https://media.example.com/a.png?sig=CANARY"
NAMES = {"media.example.com": [OPEN], "cdn.example.com": ["2606:2800:220:1::1"]}


async def resolve(host, port):
    assert port in (443, 8443)
    found = NAMES.get(host)
    if found is None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return found


def fetched(handler, url=URL, *, max_bytes=100, resolve=resolve, **more):
    got = bytearray()

    async def scene():
        async with scripted(handler) as http:
            return await fetch(http, url, got.extend, max_bytes=max_bytes, resolve=resolve, **more)

    return asyncio.run(scene()), bytes(got)


def refused(*args, **more) -> FetchError:
    with pytest.raises(FetchError) as caught:
        fetched(*args, **more)
    assert "CANARY" not in str(caught.value)
    assert caught.value.reason == str(caught.value)
    return caught.value


def chunked(*chunks):
    async def stream():
        for chunk in chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    return stream()


def answer(body=b"media", status=200, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    length = {} if "Content-Length" in named else {"Content-Length": str(len(body))}
    return lambda request: httpx.Response(status, content=chunked(body), headers=length | named)


def test_a_fetch_goes_to_the_address_that_was_checked() -> None:
    seen = []

    def handler(request):
        seen.append(request)
        return answer(Content_Type="Image/PNG; q=1", ETag='"e1"')(request)

    found, got = fetched(handler, URL.replace(".com/", ".com:8443/"))
    assert (found, got) == (Fetched("image/png", '"e1"', 5, direct=True), b"media")
    (request,) = seen
    assert str(request.url) == f"https://{OPEN}:8443/a.png?sig=CANARY"
    assert request.headers["host"] == "media.example.com:8443"
    assert request.extensions["sni_hostname"] == "media.example.com"
    assert request.headers["connection"] == "close"
    assert not {"authorization", "cookie", "x-runway-version"} & set(request.headers)


def test_without_a_pin_the_name_stays_for_the_proxy() -> None:
    seen = []

    def handler(request):
        seen.append(str(request.url))
        return answer()(request)

    fetched(handler, pin=False)
    assert seen == [URL]


def test_a_length_that_is_not_announced_is_not_direct() -> None:
    found, got = fetched(lambda request: httpx.Response(200, content=chunked(b"ab", b"cd")))
    assert (found, got) == (Fetched(None, None, 4, direct=False), b"abcd")


NEVER_ASKED = [
    "http://media.example.com/a",
    "ftp://media.example.com/a",
    "https://93.184.216.34/a",
    "https://[::1]/a",
    "https://localhost/a",
    "https://me:CANARY@media.example.com/a",
    "https://media.example.com:x/a",
    "not a url",
    "",
]


@pytest.mark.parametrize("url", NEVER_ASKED)
def test_urls_that_are_not_fetched(url) -> None:
    def handler(request):
        raise AssertionError("asked")

    assert not refused(handler, url).transient


ADDRESSES = [
    ("93.184.216.34", True),
    ("2606:2800:220:1::1", True),
    ("::ffff:93.184.216.34", True),
    ("64:ff9b::5db8:d822", True),
    ("2002:5db8:d822::1", True),
    ("10.0.0.1", False),
    ("172.16.0.1", False),
    ("192.168.1.1", False),
    ("127.0.0.1", False),
    ("127.8.8.8", False),
    ("0.0.0.0", False),
    ("169.254.169.254", False),
    ("100.64.0.1", False),
    ("224.0.0.1", False),
    ("255.255.255.255", False),
    ("240.0.0.1", False),
    ("192.0.2.1", False),
    ("::1", False),
    ("::", False),
    ("fe80::1%eth0", False),
    ("fc00::1", False),
    ("fec0::1", False),
    ("ff02::1", False),
    ("2001:db8::1", False),
    ("::ffff:127.0.0.1", False),
    ("::ffff:169.254.169.254", False),
    ("::127.0.0.1", False),
    ("64:ff9b::7f00:1", False),
    ("2002:7f00:1::1", False),
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
    ("localhost", False),
    ("", False),
]


@pytest.mark.parametrize(("address", "yes"), ADDRESSES)
def test_public_addresses(address, yes) -> None:
    assert is_public(address) is yes


@pytest.mark.parametrize("addresses", [["127.0.0.1"], [OPEN, "10.0.0.1"], ["::ffff:10.0.0.1"], []])
def test_one_private_address_is_enough(addresses) -> None:
    def handler(request):
        raise AssertionError("asked")

    async def given(host, port):
        return addresses

    assert not refused(handler, resolve=given).transient


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (socket.gaierror(socket.EAI_NONAME, "no"), False),
        (socket.gaierror(socket.EAI_AGAIN, "later"), True),
        (OSError(), True),
    ],
)
def test_names_that_cannot_be_resolved(error, transient) -> None:
    async def broken(host, port):
        raise error

    assert refused(answer(), resolve=broken).transient is transient


# redirects


def redirecting(targets):
    return lambda request: (
        httpx.Response(302, headers={"Location": targets[request.headers["host"] + request.url.path]})
        if request.headers["host"] + request.url.path in targets
        else answer()(request)
    )


def test_a_redirect_is_followed_and_told() -> None:
    targets = {
        "media.example.com/a.png": "/b.png",
        "media.example.com/b.png": "https://cdn.example.com/c.png",
    }
    found, got = fetched(redirecting(targets))
    assert (found.direct, got) == (False, b"media")


@pytest.mark.parametrize(
    "location",
    [
        "http://cdn.example.com/",
        "https://169.254.169.254/latest",
        "https://inside.example.com/",
        "",
        "file:///x",
        "/" + "x" * 65_514,  # too long only once the name stands for the address again
    ],
)
def test_each_hop_is_checked(location) -> None:
    async def resolve(host, port):
        return ["10.0.0.9"] if host == "inside.example.com" else [OPEN]

    asked = []

    def handler(request):
        asked.append(request.url.path)
        return httpx.Response(302, headers={"Location": location})

    assert not refused(handler, resolve=resolve).transient
    assert asked == ["/a.png"]


def test_redirects_end() -> None:
    asked = []

    def handler(request):
        asked.append(request)
        return httpx.Response(307, headers={"Location": "/a.png"})

    assert "more than 5 redirects" in str(refused(handler))
    assert len(asked) == 6


# answers


@pytest.mark.parametrize(
    ("status", "transient"),
    [(404, False), (403, False), (204, False), (304, False), (408, True), (429, True), (500, True), (503, True)],
)
def test_statuses_of_a_fetch(status, transient) -> None:
    error = refused(lambda request: httpx.Response(status))
    assert (error.transient, error.status) == (transient, status)


def test_what_is_too_large_is_not_read() -> None:
    assert "larger than 100" in str(refused(answer(b"x" * 101)))
    assert "larger than 100" in str(refused(lambda request: httpx.Response(200, content=chunked(b"x" * 60, b"x" * 60))))


@pytest.mark.parametrize(
    ("handler", "transient"),
    [
        (answer(b""), False),
        (answer(b"four", Content_Length="9"), True),
        (answer(b"zip", Content_Encoding="gzip"), False),
        (lambda request: httpx.Response(200, content=chunked(b"a", httpx.ReadError("reset"))), True),
    ],
)
def test_bodies_that_will_not_do(handler, transient) -> None:
    assert refused(handler).transient is transient


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (httpx.ConnectError("refused"), True),
        (httpx.ConnectTimeout(""), True),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"), False),
        (httpx.ReadTimeout("slow"), True),
        (httpx.RemoteProtocolError("odd"), True),
    ],
)
def test_connections_that_break(error, transient) -> None:
    def handler(request):
        raise error

    found = refused(handler)
    assert found.transient is transient
    assert type(error).__name__ in str(found)


def test_the_next_address_is_tried_where_one_does_not_take_the_connection() -> None:
    asked = []

    def handler(request):
        asked.append(request.url.host)
        if len(asked) < 3:
            raise httpx.ConnectError("refused")
        return answer()(request)

    async def many(host, port):
        return [f"93.184.216.{n}" for n in range(1, 9)]

    assert fetched(handler, resolve=many)[1] == b"media"
    assert asked == ["93.184.216.1", "93.184.216.2", "93.184.216.3"]

    def never(request):
        asked.append(request.url.host)
        raise httpx.ConnectError("refused")

    asked.clear()
    refused(never, resolve=many)
    assert len(asked) == 4


def test_the_whole_of_it_takes_no_longer_than_allowed() -> None:
    async def hang(host, port):
        await asyncio.Event().wait()

    error = refused(answer(), resolve=hang, seconds=0.01)
    assert error.transient
    assert "longer than 0.01 s" in str(error)


def test_a_timeout_of_the_sink_is_its_own() -> None:
    async def scene():
        def sink(chunk):
            raise TimeoutError("disk")

        async with scripted(answer()) as http:
            await fetch(http, URL, sink, max_bytes=100, resolve=resolve)

    with pytest.raises(TimeoutError, match="disk"):
        asyncio.run(scene())


def test_no_cookie_of_one_fetch_goes_with_the_next() -> None:
    seen = []

    def handler(request):
        seen.append(request.headers.get("cookie"))
        response = answer()(request)
        response.headers["Set-Cookie"] = "id=1"
        return response

    async def scene():
        async with scripted(handler) as http:
            for _ in range(2):
                await fetch(http, URL, lambda chunk: None, max_bytes=100, resolve=resolve)

    asyncio.run(scene())
    assert seen == [None, None]


def test_the_machines_resolver() -> None:
    assert "127.0.0.1" in asyncio.run(system_resolve("127.0.0.1", 443))
