"""A callable that behaves like a server behind a socket."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from flowrun.runway.errors import AnswerLostError
from flowrun.runway.http import open_http
from flowrun.runway.inprocess import Answer, CallableTransport

from .conftest import KEY, Naps, client_for


async def inline(work):
    return work()


def over(exchange, naps=None, **more):
    return open_http(CallableTransport(exchange, sleep=naps or Naps(), **({"offload": inline} | more)), trust_env=False)


def got(answer, method="GET", naps=None, timeout=5.0):
    async def scene():
        async with over(lambda *request: answer, naps) as http:
            return await http.request(method, "http://box/x", timeout=timeout)

    return asyncio.run(scene())


def test_the_whole_request_goes_in_and_the_answer_comes_out() -> None:
    seen = []

    def exchange(*request):
        seen.append(request)
        return Answer(201, [("Content-Type", "text/plain"), ("X-A", "1"), ("X-A", "2")], b"hello")

    async def scene():
        async with over(exchange, offload=asyncio.to_thread) as http:
            return await http.post("http://box/x?y=1", content=b"body", headers={"X-B": "3"})

    response = asyncio.run(scene())
    assert (response.status_code, response.text, response.headers.get_list("x-a")) == (201, "hello", ["1", "2"])
    ((method, url, headers, body),) = seen
    assert (method, url, body) == ("POST", "http://box/x?y=1", b"body")
    assert ("X-B", "3") in headers


def test_a_delay_within_the_timeout_is_slept(naps) -> None:
    assert got(Answer(200, delay=4.0), naps=naps).status_code == 200
    assert naps.taken == [4.0]


def test_a_delay_beyond_it_is_a_timeout_after_it(naps) -> None:
    with pytest.raises(httpx.ReadTimeout):
        got(Answer(200, delay=9.0), naps=naps)
    assert naps.taken == [5.0]


def test_no_timeout_waits(naps) -> None:
    assert got(Answer(200, delay=9.0), naps=naps, timeout=None).status_code == 200
    assert naps.taken == [9.0]


def test_a_lost_answer(naps) -> None:
    with pytest.raises(httpx.ReadError):
        got(Answer(200, delay=1.0, lost=True), naps=naps)
    assert naps.taken == [1.0]


def test_chunks_in_their_time(naps) -> None:
    answer = Answer(200, [("Content-Length", "4")], chunks=[(1.0, b"ab"), (0.0, b""), (2.0, b"cd")])
    assert got(answer, naps=naps).content == b"abcd"
    assert naps.taken == [1.0, 2.0]


def test_a_chunk_that_comes_too_late() -> None:
    with pytest.raises(httpx.ReadTimeout):
        got(Answer(200, chunks=[(0.0, b"ab"), (6.0, b"cd")]))


def test_a_body_that_breaks_off() -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        got(Answer(200, [("Content-Length", "9")], b"abcd"))


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_answers_without_a_body(method, status) -> None:
    assert got(Answer(status, [("Content-Length", "9")]), method).content == b""


def test_a_length_that_is_no_number_promises_nothing() -> None:
    assert got(Answer(200, [("Content-Length", "soon")], b"abcd")).content == b"abcd"


def test_a_creation_lost_in_process_was_taken_on_once() -> None:
    seen = []

    def exchange(method, url, headers, body):
        seen.append((url, dict(headers)["Authorization"]))
        return Answer(200, lost=True)

    async def scene():
        async with over(exchange) as http:
            await client_for(http, "http://box.localhost").submit("/v1/text_to_image", {"a": 1})

    with pytest.raises(AnswerLostError):
        asyncio.run(scene())
    assert seen == [("http://box.localhost/v1/text_to_image", f"Bearer {KEY}")]
