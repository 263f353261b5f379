"""Downloads that break off: gone on with where that is certain to be the same bytes, begun anew everywhere else."""

from __future__ import annotations

import asyncio
import gzip

import httpx
import pytest

from flowrun.runway import download as module
from flowrun.runway.download import MOST_IN_VAIN, MOST_RESUMES
from flowrun.runway.errors import RefusedError, TransientError, UrlExpiredError
from flowrun.runway.http import open_http
from flowrun.runway.values import Downloaded, OutputUrl
from flowrun.secret import Secret

from .conftest import Naps, client_for, scripted
from .loopback import CLOSE, RESET, Loopback, http

DATA = bytes(range(256)) * 400
LAST = len(DATA) - 1
TAG = '"v1"'
SERVES_RANGES = {"ETag": TAG, "Accept_Ranges": "bytes", "Content_Type": "video/mp4"}


class Server:
    """Serves DATA; each answer gives at most `most` bytes and then breaks. `answers`: instead, one at a time."""

    def __init__(self, most=30_000, *answers, breaks=RESET, **headers) -> None:
        self.most, self.answers, self.breaks = most, list(answers), breaks
        self.headers = SERVES_RANGES | headers

    def __call__(self, seen):
        if len(self.asked(seen)) > 1 and self.answers:
            return [self.answers.pop(0)]
        begin = self._begin(seen)
        rest = DATA[begin:]
        more = {"Content_Range": f"bytes {begin}-{len(DATA) - 1}/{len(DATA)}"} if begin else {}
        answer = http(206 if begin else 200, rest[: self.most], length=len(rest), **self.headers, **more)
        return [answer] if len(rest) <= self.most else [answer, self.breaks]

    def asked(self, seen):
        self.seen = [*getattr(self, "seen", []), seen]
        return self.seen

    def _begin(self, seen):
        return int(seen.headers["range"].removeprefix("bytes=").removesuffix("-")) if "range" in seen.headers else 0


async def downloaded(script, naps=None):
    got = bytearray()
    async with Loopback(script) as server, open_http(trust_env=False) as client:
        api = client_for(client, server.url, sleep=naps or Naps())
        try:
            result = await api.download(OutputUrl(f"{server.url}/a.mp4?_jwt=CANARY"), got.extend)
        except Exception as error:
            result = error
        return result, bytes(got), server.seen


@pytest.mark.parametrize("breaks", [RESET, CLOSE])
def test_it_goes_on_where_it_broke_off(breaks) -> None:
    naps = Naps()
    result, got, seen = asyncio.run(downloaded(Server(breaks=breaks), naps))
    assert (result, got) == (Downloaded("video/mp4", len(DATA)), DATA)
    assert len(seen) > 2
    begins = [int(each.headers["range"][6:-1]) for each in seen[1:]]
    assert begins == sorted(set(begins)), "each goes on behind the one before"
    assert {each.headers["if-range"] for each in seen[1:]} == {TAG}
    assert all("authorization" not in each.headers for each in seen)
    assert len(naps.taken) == len(seen) - 1
    assert max(naps.taken) <= 0.5, "whatever brings bytes waits no longer the next time"


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept_Ranges": "none"},
        {"ETag": 'W/"v1"'},
        {"Content_Encoding": "identity, gzip"},
    ],
    ids=["no ranges", "a weak tag", "encoded"],
)
def test_where_that_is_not_offered_it_is_begun_anew_by_whoever_asked(headers) -> None:
    result, _, seen = asyncio.run(downloaded(Server(**headers)))
    assert type(result) is TransientError
    assert len(seen) == 1


def test_without_a_length_nothing_can_be_missing() -> None:
    whole = b'HTTP/1.1 200 OK\r\nETag: "v1"\r\nAccept-Ranges: bytes\r\n\r\n' + DATA
    result, got, seen = asyncio.run(downloaded(lambda seen: [whole, CLOSE]))
    assert (result, got, len(seen)) == (Downloaded(None, len(DATA)), DATA, 1)


def rest(begin=30_000, end=LAST, total=LAST + 1, status=206, body=None, **headers):
    more = {"Content_Range": f"bytes {begin}-{end}/{total}"} | headers
    return http(status, DATA[begin:] if body is None else body, **more)


@pytest.mark.parametrize(
    "answer",
    [
        http(200, DATA, ETag=TAG),
        http(206, DATA[30_000:]),
        rest(begin=29_999),
        rest(end=40_000),
        rest(total=len(DATA) + 1),
        rest(ETag='"v2"'),
        rest(Content_Range="chunks 1-2/3"),
        http(416),
        http(302, Location="/elsewhere"),
    ],
    ids=["whole", "no range", "begins early", "ends early", "longer", "others", "unreadable", "416", "redirect"],
)
def test_a_rest_that_may_be_of_other_bytes_is_not_taken(answer) -> None:
    """Where the break lies is the network's: the script breaks just at 30,000."""

    async def broken():
        yield DATA[:30_000]
        raise httpx.ReadError("reset")

    answers = [httpx.Response(200, headers=_named(SERVES_RANGES, len(DATA)), content=broken()), _response(answer)]
    with pytest.raises(TransientError, match=r"rest of the same bytes|broke off"):
        asyncio.run(_from(answers))
    assert answers == []


def _named(headers, length):
    return {name.replace("_", "-"): value for name, value in headers.items()} | {"Content-Length": str(length)}


def _response(raw):
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return httpx.Response(int(status.split()[1]), headers=headers, stream=httpx.ByteStream(body))


async def _from(answers, write=lambda chunk: None):
    async with scripted(lambda request: answers.pop(0)) as client:
        return await client_for(client).download(Secret("https://cdn.example.com/a.mp4"), write)


def test_a_link_that_dies_meanwhile_is_renewed_by_whoever_asked() -> None:
    result, _, seen = asyncio.run(downloaded(Server(30_000, http(403))))
    assert type(result) is UrlExpiredError
    assert "CANARY" not in str(result)
    assert len(seen) == 2


def test_an_overloaded_server_is_asked_again_for_the_rest() -> None:
    naps = Naps()
    busy = http(503, Retry_After="7")
    result, got, _ = asyncio.run(downloaded(Server(60_000, busy, http(429)), naps))
    assert (result, got) == (Downloaded("video/mp4", len(DATA)), DATA)
    assert naps.taken[1] == 7.0


def test_what_brings_nothing_again_and_again_ends() -> None:
    naps = Naps()
    result, _, seen = asyncio.run(downloaded(Server(60_000, *[http(503)] * 50), naps))
    assert type(result) is TransientError
    assert len(seen) == 1 + MOST_IN_VAIN
    assert naps.taken == sorted(naps.taken), "longer each time"


def test_a_server_that_is_gone_is_an_end_too() -> None:
    async def broken():
        yield DATA[:10]
        raise httpx.ReadError("reset")

    answers = [httpx.Response(200, headers=_named(SERVES_RANGES, len(DATA)), content=broken())]

    def handler(request):
        if answers:
            return answers.pop(0)
        raise httpx.ConnectError("nobody listens")

    async def scene():
        async with scripted(handler) as client:
            await client_for(client).download(Secret("https://cdn.example.com/a.mp4"), lambda chunk: None)

    with pytest.raises(TransientError, match="nobody listens"):
        asyncio.run(scene())


def test_resumptions_are_counted() -> None:
    result, _, seen = asyncio.run(downloaded(Server(500)))
    assert type(result) is TransientError
    assert len(seen) == 1 + MOST_RESUMES


@pytest.mark.parametrize("announced", [True, False])
def test_no_generation_is_that_large(announced, monkeypatch) -> None:
    monkeypatch.setattr(module, "LARGEST_OUTPUT", 1000)
    headers = {"Content-Length": str(len(DATA))} if announced else {}
    written = bytearray()
    with pytest.raises(RefusedError, match="1000 bytes"):
        asyncio.run(_from([httpx.Response(200, headers=headers, stream=httpx.ByteStream(DATA))], written.extend))
    assert bool(written) is not announced


@pytest.mark.parametrize(
    "headers", [{"Content_Length": "70000"}, {"Content_Encoding": "gzip"}], ids=["a shorter rest", "an encoded rest"]
)
def test_a_rest_that_is_not_all_that_is_missing_is_no_end(headers) -> None:
    """It says that it goes to the last byte, brings fewer, and ends in good order."""
    body = gzip.compress(DATA[30_000:]) if "Content_Encoding" in headers else DATA[30_000:100_000]
    named = {"Content-Range": f"bytes 30000-{LAST}/{len(DATA)}", "ETag": TAG}
    named |= {name.replace("_", "-"): value for name, value in headers.items()} | {"Content-Length": str(len(body))}
    written = bytearray()

    async def broken():
        yield DATA[:30_000]
        raise httpx.ReadError("reset")

    answers = [
        httpx.Response(200, headers=_named(SERVES_RANGES, len(DATA)), content=broken()),
        httpx.Response(206, headers=named, stream=httpx.ByteStream(body)),
        httpx.Response(416),
    ]
    with pytest.raises(TransientError):
        asyncio.run(_from(answers, written.extend))
    assert bytes(written) == DATA[: len(written)], "never bytes that are none of it"


def test_what_a_shorter_rest_leaves_missing_is_asked_for() -> None:
    short = [http(206, DATA[30_000:70_000], Content_Range=f"bytes 30000-{LAST}/{len(DATA)}", **SERVES_RANGES)]

    async def broken():
        yield DATA[:30_000]
        raise httpx.ReadError("reset")

    answers = [httpx.Response(200, headers=_named(SERVES_RANGES, len(DATA)), content=broken())]
    answers += [_response(each) for each in (*short, rest(begin=70_000))]
    written = bytearray()
    assert asyncio.run(_from(answers, written.extend)).size == len(DATA)
    assert bytes(written) == DATA
