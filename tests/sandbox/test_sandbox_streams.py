"""Large and slow bodies over a real socket, and in process through the transport that a client has."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx
import pytest

from flowrun.media.probe import probe_bytes
from flowrun.production.inprocess import _answer
from flowrun.runway.inprocess import Answer, CallableTransport, Headers
from flowrun.sandbox import http as edge
from flowrun.sandbox.content import Content
from flowrun.sandbox.messages import Request
from flowrun.sandbox.state import SqliteState
from tests.sandbox.visitor import FILM, Visitor, form, png
from tests.support.http_sandbox import QUICK, HttpSandbox, threaded

PAD = 30_000_000


def film(served: HttpSandbox) -> str:
    return served.output(served.create("text_to_video", **FILM))


def scripted(**deed: Any) -> dict[str, str]:
    return {"X-Flowrun-Scenario": json.dumps(deed)}


def test_a_padded_film_comes_whole_and_in_parts() -> None:
    with threaded(f"{QUICK}faults: [{{on: download, do: {{pad: {PAD}}}}}]") as served:
        url = film(served)
        size, head = 0, b""
        with served.web.stream("GET", url) as answer:
            for piece in answer.iter_bytes():
                head = head or piece
                size += len(piece)
        assert int(answer.headers["content-length"]) == size > PAD
        assert answer.headers["content-type"] == "video/mp4"
        part = served.web.get(url, headers={"Range": f"bytes={size - PAD - 20}-{size - PAD + 9}"})
        assert (part.status_code, part.headers["content-range"].rpartition("/")[2]) == (206, str(size))
        assert part.content[20:] == PAD.to_bytes(4, "big") + b"free\0\0"
        assert served.web.head(url).headers["content-length"] == str(size)


def test_a_padded_film_breaks_off() -> None:
    with threaded(QUICK) as served:
        seen: list[int] = []
        deeds = {"X-Flowrun-Scenario": f'[{{"pad": {PAD}}}, {{"cut": 200000}}]'}
        with served.web.stream("GET", film(served), headers=deeds) as answer, pytest.raises(httpx.RemoteProtocolError):
            seen.extend(map(len, answer.iter_raw()))
        assert sum(seen) == 200_000


def test_a_slow_download_is_slow_and_whole() -> None:
    with threaded(QUICK) as served:
        url = film(served)
        size = len(served.web.get(url).content)
        begin = time.monotonic()
        answer = served.web.get(url, headers=scripted(rate=size * 3))
        assert 0.2 < time.monotonic() - begin < 5
        assert probe_bytes(answer.content).duration == 4


def test_a_client_that_goes_ends_the_sending() -> None:
    sent: list[Any] = []

    async def scene() -> bool:
        gone = asyncio.Event()

        async def receive() -> Any:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)
            if len(sent) == 3:
                gone.set()
            await asyncio.sleep(0)

        return await edge._sent(Content.of(b"film", 2_000_000_000), receive, send)

    assert asyncio.run(scene()) is False
    assert 3 <= len(sent) < 10


def test_an_upload_is_taken_from_a_file_and_not_from_memory(tmp_path: Any) -> None:
    with threaded(QUICK, state=SqliteState(tmp_path / "state")) as served:
        placed = served.send("POST", "/v1/uploads", json={"filename": "a.png", "type": "ephemeral"}).json()
        content_type, body = form(list(placed["fields"].items()), png())
        sent = served.web.post(placed["uploadUrl"], content=body, headers={"Content-Type": content_type})
        assert sent.status_code == 204
        task = served.create(referenceImages=[{"uri": placed["runwayUri"], "tag": "fox"}])
        assert served.output(task)
        assert [each.read_bytes() for each in (tmp_path / "state/inputs").iterdir()] == [png()]


def fetched(visitor: Visitor, url: str, read: float | None = None) -> tuple[bytes, float]:
    """Through the transport in process; the body, and how long was waited for it."""
    waited = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal waited
        waited += seconds

    async def offload(work: Any) -> Answer:
        return work()  # type: ignore[no-any-return]

    def exchange(method: str, address: str, headers: Headers, body: bytes) -> Answer:
        return _answer(visitor.process.exchange(Request.of(method, address, dict(headers), body)))

    async def scene() -> bytes:
        transport = CallableTransport(exchange, offload=offload, sleep=sleep)
        async with httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(5, read=read)) as client:
            return (await client.get(url)).content

    return asyncio.run(scene()), waited


def test_in_process_the_same_bytes_come_at_their_pace() -> None:
    deeds = "{on: download, do: {pad: 200 kB}}, {on: download, do: {rate: 50 kB}}"
    visitor = Visitor(f"{{media: tiny, faults: [{deeds}]}}")
    url = visitor.url(visitor.create("text_to_video", FILM))
    data, waited = fetched(visitor, url)
    assert probe_bytes(data).duration == 4
    assert waited == pytest.approx(len(data) / 50_000, abs=0.2)
    slow = Visitor("{media: tiny, faults: [{on: download, do: {rate: 1}}]}")
    with pytest.raises(httpx.ReadTimeout):
        fetched(slow, slow.url(slow.create("text_to_video", FILM)), read=0.5)


def test_in_process_a_padded_film_breaks_off() -> None:
    visitor = Visitor("{media: tiny, faults: [{on: download, do: {pad: 2 GB}}, {on: download, do: {cut: 100000}}]}")
    with pytest.raises(httpx.RemoteProtocolError):
        fetched(visitor, visitor.url(visitor.create("text_to_video", FILM)))
