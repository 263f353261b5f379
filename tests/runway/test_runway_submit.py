"""Creations: each way a request can break, and whether it may be sent again."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from flowrun.runway.errors import AnswerLostError, Lost, NotAcceptedError, SubmitFailure
from flowrun.runway.http import open_http
from flowrun.runway.taxonomy import kind_of_break
from flowrun.runway.values import Accepted

from .conftest import KEY, PATIENT, SHORT, client_for, scripted
from .loopback import CLOSE, HANG, RESET, Loopback, http

PATH = "/v1/text_to_image"
BODY = {"model": "gen4_image", "promptText": "a cat 🐈"}
TASK = "17f20503-6c24-4c16-946b-35dbbce2af2f"
LOST = "lost"  # uncertain


def outcome(call):
    try:
        return call()
    except NotAcceptedError as error:
        return error.kind
    except AnswerLostError:
        return LOST


async def submit_to(script, *, times=PATIENT, read_body=True, body=BODY, **more):
    async with Loopback(script, read_body=read_body) as server, open_http(trust_env=False) as client:
        api = client_for(client, server.url, timeouts=times, **more)
        try:
            return await api.submit(PATH, body), server
        except (NotAcceptedError, AnswerLostError) as error:
            return error, server


def over_a_socket(script, **more):
    result, server = asyncio.run(submit_to(script, **more))
    assert len(server.seen) <= 1, "a creation left twice"
    if isinstance(result, NotAcceptedError):
        return result.kind
    return LOST if isinstance(result, AnswerLostError) else result


def answer(raw: bytes, *after):
    return lambda seen: (raw, *after)


HALF_A_HEAD = b"HTTP/1.1 200 OK\r\nContent-Le"
HALF_A_200 = http(200, b'{"id": "17f20503', length=60)

SOCKET_ROWS = [
    ("reset after the request", answer(RESET), {}, LOST),
    ("closed without an answer", answer(CLOSE), {}, LOST),
    ("no HTTP", answer(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), {}, LOST),
    ("half a head", answer(HALF_A_HEAD, CLOSE), {}, LOST),
    ("half a 200", answer(HALF_A_200, CLOSE), {}, LOST),
    ("half a 200, then reset", answer(HALF_A_200, RESET), {}, LOST),
    ("silence", answer(HANG), {"times": SHORT}, LOST),
    ("half a 200, then silence", answer(HALF_A_200, HANG), {"times": SHORT}, LOST),
    ("reset while sending", answer(RESET), {"read_body": False, "body": {"promptImage": "x" * 30_000_000}}, LOST),
    (
        "nobody reads what is sent",
        answer(HANG),
        {"read_body": False, "body": {"promptImage": "x" * 30_000_000}, "times": type(SHORT)(write=0.1)},
        LOST,
    ),
    ("half a 400", answer(http(400, b'{"error": "no', length=60), CLOSE), {}, SubmitFailure.REFUSED_INPUT),
    ("half a 503", answer(http(503, b"<html", length=60), CLOSE), {}, SubmitFailure.OVERLOADED),
    ("200", answer(http(200, json.dumps({"id": TASK}).encode())), {}, Accepted(TASK, None)),
    (
        "201",
        answer(http(201, json.dumps({"id": TASK, "estimatedCost": {"credits": 4.2}}).encode())),
        {},
        Accepted(TASK, 5),
    ),
]


@pytest.mark.parametrize(
    ("script", "more", "expected"), [row[1:] for row in SOCKET_ROWS], ids=[row[0] for row in SOCKET_ROWS]
)
def test_phases_over_a_socket(script, more, expected) -> None:
    assert over_a_socket(script, **more) == expected


def test_nobody_listens() -> None:
    async def scene():
        async with Loopback(answer(CLOSE)) as server:
            url = server.url
        async with open_http(trust_env=False) as client:
            with pytest.raises(NotAcceptedError) as caught:
                await client_for(client, url).submit(PATH, BODY)
            return caught.value

    error = asyncio.run(scene())
    assert error.kind is SubmitFailure.UNREACHABLE
    assert "nothing was sent or charged" in str(error)


def test_a_failed_handshake_is_before_sending() -> None:
    async def scene():
        async def talk(reader, writer):
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 plain\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server, open_http(trust_env=False) as client:
            url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            with pytest.raises(NotAcceptedError) as caught:
                await client_for(client, url).submit(PATH, BODY)
            return caught.value

    assert asyncio.run(scene()).kind is SubmitFailure.TLS_FAILED


def test_no_free_connection_is_before_sending() -> None:
    async def scene():
        taken = asyncio.Event()
        async with Loopback(lambda seen: taken.set() or (HANG,)) as server:
            limits = httpx.Limits(max_connections=1)
            async with httpx.AsyncClient(limits=limits, trust_env=False) as client:
                busy = asyncio.create_task(client.get(server.url, timeout=5))
                await taken.wait()
                with pytest.raises(NotAcceptedError) as caught:
                    await client_for(client, server.url, timeouts=SHORT).submit(PATH, BODY)
                busy.cancel()
                await asyncio.gather(busy, return_exceptions=True)
                assert len(server.seen) == 1
            return caught.value

    assert asyncio.run(scene()).kind is SubmitFailure.NO_FREE_CONNECTION


def test_a_host_that_nobody_knows_is_before_sending(monkeypatch) -> None:
    def unknown(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def scene():
        async with open_http(trust_env=False) as client:
            with pytest.raises(NotAcceptedError) as caught:
                await client_for(client, "https://api.example.com").submit(PATH, BODY)
            return caught.value

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = asyncio.run(scene())
    assert (error.kind, error.status) == (SubmitFailure.NAME_UNKNOWN, None)
    assert "Name or service not known" in error.said


def test_a_server_that_never_takes_the_connection_up_is_before_sending() -> None:
    """Linux drops what does not fit a full backlog, so connecting waits."""

    async def scene():
        with socket.socket() as busy, open_sockets(3) as fillers:
            busy.bind(("127.0.0.1", 0))
            busy.listen(0)
            for each in fillers:
                each.setblocking(False)
                each.connect_ex(busy.getsockname())
            async with open_http(trust_env=False) as client:
                url = f"http://127.0.0.1:{busy.getsockname()[1]}"
                times = type(SHORT)(connect=0.2)
                with pytest.raises((NotAcceptedError, AnswerLostError)) as caught:
                    await client_for(client, url, timeouts=times).submit(PATH, BODY)
                return caught.value

    assert asyncio.run(scene()).kind is SubmitFailure.CONNECT_TIMEOUT


@contextmanager
def open_sockets(count):
    with ExitStack() as stack:
        yield [stack.enter_context(socket.socket()) for _ in range(count)]


def test_only_the_outer_exception_tells_whether_something_was_sent() -> None:
    """TLS can break in the middle too: that is no handshake."""
    broken = httpx.ReadError("broken")
    broken.__cause__ = ssl.SSLError(1, "bad record")
    assert kind_of_break(broken) is Lost.BROKEN_OFF
    refused = httpx.ConnectError("no")
    refused.__context__ = ConnectionRefusedError(111, "no")
    refused.__context__.__context__ = refused  # as exceptions sometimes are tied
    assert kind_of_break(refused) is SubmitFailure.UNREACHABLE


def test_a_refusing_proxy_is_before_sending() -> None:
    async def scene():
        async with (
            Loopback(answer(http(502, b"no"))) as proxy,
            httpx.AsyncClient(proxy=proxy.url, trust_env=False) as client,
        ):
            with pytest.raises(NotAcceptedError) as caught:
                await client_for(client, "https://api.example.com").submit(PATH, BODY)
            assert [each.method for each in proxy.seen] == ["CONNECT"]
            return caught.value

    assert asyncio.run(scene()).kind is SubmitFailure.PROXY_REFUSED


def test_the_request_as_it_leaves() -> None:
    _, server = asyncio.run(submit_to(answer(http(200, json.dumps({"id": TASK}).encode()))))
    (seen,) = server.seen
    assert (seen.method, seen.target) == ("POST", PATH)
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["x-runway-version"] == "2024-11-06"
    assert seen.headers["content-type"] == "application/json"
    assert json.loads(seen.body) == BODY


# every exception that httpx has

BEFORE = SubmitFailure.UNREACHABLE
EXCEPTION_ROWS = {
    httpx.ConnectError: BEFORE,
    httpx.ConnectTimeout: SubmitFailure.CONNECT_TIMEOUT,
    httpx.PoolTimeout: SubmitFailure.NO_FREE_CONNECTION,
    httpx.ProxyError: SubmitFailure.PROXY_REFUSED,
    httpx.UnsupportedProtocol: BEFORE,
    httpx.InvalidURL: BEFORE,
    httpx.ReadError: LOST,
    httpx.ReadTimeout: LOST,
    httpx.WriteError: LOST,
    httpx.WriteTimeout: LOST,
    httpx.CloseError: LOST,
    httpx.RemoteProtocolError: LOST,
    httpx.LocalProtocolError: LOST,
    httpx.DecodingError: LOST,
    httpx.TooManyRedirects: LOST,
    RuntimeError: LOST,
    OSError: LOST,
}


def leaves(kind: type) -> set[type]:
    below = kind.__subclasses__()
    return set().union(*map(leaves, below)) if below else {kind}


def test_the_table_has_every_exception_of_httpx() -> None:
    known = {kind for kind in leaves(httpx.RequestError) if kind.__module__.startswith("httpx")}
    assert known <= set(EXCEPTION_ROWS)


@pytest.mark.parametrize(("kind", "expected"), EXCEPTION_ROWS.items(), ids=lambda each: getattr(each, "__name__", each))
def test_exceptions_by_phase(kind, expected) -> None:
    def broken(request):
        raise kind("went wrong")

    async def scene():
        async with scripted(broken) as client:
            await client_for(client).submit(PATH, BODY)

    assert outcome(lambda: asyncio.run(scene())) == expected


NO_MONEY = "You do not have enough credits to run this task."
STATUS_ROWS = [
    (400, {"error": "Invalid parameter 'promptText'"}, SubmitFailure.REFUSED_INPUT),
    (400, {"error": NO_MONEY}, SubmitFailure.NO_CREDITS),
    (403, {"error": "Insufficient credits"}, SubmitFailure.NO_CREDITS),
    (402, {}, SubmitFailure.NO_CREDITS),
    (401, {"error": "no"}, SubmitFailure.KEY_REFUSED),
    (403, {"error": "no"}, SubmitFailure.KEY_REFUSED),
    (404, {}, SubmitFailure.ENDPOINT_GONE),
    (405, {}, SubmitFailure.ENDPOINT_GONE),
    (410, {}, SubmitFailure.ENDPOINT_GONE),
    (301, {}, SubmitFailure.ENDPOINT_GONE),
    (307, {}, SubmitFailure.ENDPOINT_GONE),
    (308, {}, SubmitFailure.ENDPOINT_GONE),
    (302, {}, LOST),
    (303, {}, LOST),
    (304, {}, LOST),
    (408, {}, LOST),
    (425, {}, LOST),
    (409, {}, SubmitFailure.REFUSED_INPUT),
    (413, {}, SubmitFailure.TOO_LARGE),
    (421, {}, SubmitFailure.REFUSED_INPUT),
    (422, {}, SubmitFailure.REFUSED_INPUT),
    (429, {"error": "slow"}, SubmitFailure.QUOTA),
    (502, {}, SubmitFailure.OVERLOADED),
    (503, {}, SubmitFailure.OVERLOADED),
    (500, {"error": NO_MONEY}, LOST),
    (501, {}, LOST),
    (504, {}, LOST),
    (520, {}, LOST),
    (200, {}, LOST),
    (200, {"id": ""}, LOST),
    (200, {"id": None}, LOST),
    (200, {"id": 7}, LOST),
    (200, {"id": "a/../b"}, LOST),
    (200, "<html>", LOST),
    (204, "", LOST),
    (200, {"id": TASK, "estimatedCost": "soon", "new": [1]}, Accepted(TASK, None)),
    (200, {"id": TASK, "estimatedCost": {"credits": 25}}, Accepted(TASK, 25)),
    (200, {"id": TASK, "estimatedCost": {"credits": 0}}, Accepted(TASK, 0)),
    (200, {"id": TASK, "estimatedCost": {"credits": -5}}, Accepted(TASK, None)),
    (200, {"id": TASK, "estimatedCost": {"credits": 1e300}}, Accepted(TASK, None)),
    (200, {"id": TASK, "estimatedCost": {"credits": 10**400}}, Accepted(TASK, None)),
    (200, f'{{"id": "{TASK}", "estimatedCost": {{"credits": NaN}}}}', Accepted(TASK, None)),
]


def answered(status, body, headers=None):
    content = body if isinstance(body, str) else json.dumps(body)
    return lambda request: httpx.Response(status, content=content.encode(), headers=headers)


def submit_answered(status, body, headers=None, **more):
    async def scene():
        async with scripted(answered(status, body, headers)) as client:
            return await client_for(client, **more).submit(PATH, BODY)

    return asyncio.run(scene())


@pytest.mark.parametrize(("status", "body", "expected"), STATUS_ROWS)
def test_statuses(status, body, expected) -> None:
    assert outcome(lambda: submit_answered(status, body)) == expected


def test_502_is_uncertain_where_that_is_asked_for() -> None:
    assert outcome(lambda: submit_answered(502, {}, resend_502=False)) == LOST
    assert outcome(lambda: submit_answered(503, {}, resend_502=False)) is SubmitFailure.OVERLOADED


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "90"}, 90.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "Retry-After": "90"}, 0.25),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "Sun, 22 Nov 2026 10:02:00 GMT", "Date": "Sun, 22 Nov 2026 10:00:00 GMT"}, 120.0),
        ({"Retry-After": "Sun, 22 Nov 2026 09:02:00 GMT", "Date": "Sun, 22 Nov 2026 10:00:00 GMT"}, 0.0),
        ({"Retry-After": "Sun, 22 Nov 2026 10:02:00 GMT"}, None),
        ({"Retry-After": "Sun, 22 Nov 2026 10:02:00 GMT", "Date": "Sun, 22 Nov 2026 10:00:00 -0000"}, None),
    ],
)
def test_how_long_a_429_asks_to_wait(headers, seconds) -> None:
    with pytest.raises(NotAcceptedError) as caught:
        submit_answered(429, {"error": "quota"}, headers)
    assert caught.value.retry_after == seconds


def test_a_refusal_says_what_and_keeps_the_handle() -> None:
    body = {"error": "Validation", "issues": [{"path": ["ratio"], "message": "no such ratio"}]}
    with pytest.raises(NotAcceptedError) as caught:
        submit_answered(400, body, {"apigw-requestid": "abc123"})
    error = caught.value
    assert str(error) == f"POST {PATH}: HTTP 400, not accepted, nothing was charged: ratio: no such ratio"
    assert (error.status, error.request_id, error.said) == (400, "abc123", "HTTP 400: Validation")
    assert error.kind is SubmitFailure.REFUSED_INPUT
    assert [(each.path, each.message) for each in error.problems] == [(("ratio",), "no such ratio")]


def test_a_url_the_api_could_not_fetch_is_told_apart() -> None:
    body = {"error": "x", "issues": [{"path": ["promptImage"], "message": "Timeout while fetching asset"}]}
    with pytest.raises(NotAcceptedError) as caught:
        submit_answered(400, body)
    assert caught.value.kind is SubmitFailure.INPUT_UNFETCHED


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    async def stream():
        while True:
            yield b" " * (1 << 20)

    def endless(request):
        return httpx.Response(200, content=stream())

    async def scene():
        async with scripted(endless) as client:
            await client_for(client).submit(PATH, BODY)

    with pytest.raises(AnswerLostError, match="longer than"):
        asyncio.run(scene())


@pytest.mark.parametrize("body", [{"a": float("nan")}, {"a": "\ud800"}])
def test_what_is_no_json_never_leaves(body) -> None:
    calls = []

    async def scene():
        async with scripted(calls.append) as client:
            await client_for(client).submit(PATH, body)

    with pytest.raises(ValueError):
        asyncio.run(scene())
    assert not calls


def test_a_creation_waits_longer_for_its_answer_than_other_calls() -> None:
    times = {}

    def handler(request):
        times[request.method] = request.extensions["timeout"]
        return httpx.Response(200, json={"id": TASK, "status": "PENDING"})

    async def scene():
        async with scripted(handler) as client:
            api = client_for(client, timeouts=None)
            await api.submit(PATH, BODY)
            await api.task(TASK)

    asyncio.run(scene())
    assert times["POST"] == {"connect": 10.0, "pool": 60.0, "write": 60.0, "read": 150.0}
    assert times["GET"] == {"connect": 10.0, "pool": 60.0, "write": 60.0, "read": 60.0}


@pytest.mark.parametrize("end", [CLOSE, RESET], ids=["closed", "reset"])
def test_a_kept_connection_that_ends_under_a_creation_is_uncertain_and_not_tried_on_another(end) -> None:
    """The server may have read the request before it closed; no layer below may send it a second time."""

    def script(seen):
        return [end] if seen.method == "POST" else [http(200, b'{"tier": {"models": {}}, "creditBalance": 1}')]

    async def scene():
        async with Loopback(script) as server, open_http(trust_env=False) as client:
            api = client_for(client, server.url)
            await api.organization()
            with pytest.raises(AnswerLostError):
                await api.submit(PATH, BODY)
            return server

    server = asyncio.run(scene())
    assert ([each.method for each in server.seen], server.connections) == (["GET", "POST"], 1)


def test_a_kept_connection_that_ended_before_is_replaced_and_the_creation_leaves_once() -> None:
    def script(seen):
        if seen.method == "POST":
            return [http(200, json.dumps({"id": TASK}).encode())]
        return [http(200, b'{"tier": {"models": {}}, "creditBalance": 1}'), CLOSE]

    async def scene():
        async with Loopback(script) as server, open_http(trust_env=False) as client:
            api = client_for(client, server.url)
            await api.organization()
            await asyncio.gather(*server._tasks)  # closed by now; the client has not looked
            assert await api.submit(PATH, BODY) == Accepted(TASK)
            return server

    server = asyncio.run(scene())
    assert ([each.method for each in server.seen], server.connections) == (["GET", "POST"], 2)
