"""Calls that cost nothing: tasks, the account, who answers, and what may be constructed."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import date

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrun.runway.client import RunwayClient
from flowrun.runway.errors import (
    GoneError,
    KeyRefusedError,
    RefusedError,
    TransientError,
    UnreadableError,
    WrongProviderError,
)
from flowrun.runway.http import open_http, proxied
from flowrun.runway.values import ModelLimits, OutputUrl, SandboxMark, Task, TaskStatus, UsageRow
from flowrun.runway.wire import TaskDetail, parse
from flowrun.secret import Secret

from .conftest import CALM, KEY, client_for, scripted

ID = "17f20503-6c24-4c16-946b-35dbbce2af2f"


def asked(call, status=200, body=None, headers=None, seen=None, **more):
    def handler(request):
        if seen is not None:
            seen.append(request)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.Response(status, content=content, headers=headers)

    async def scene():
        async with scripted(handler) as http:
            return await call(client_for(http, **more))

    return asyncio.run(scene())


def task_of(**fields) -> Task:
    return asked(lambda api: api.task(ID), body={"id": ID, "createdAt": "2026-11-22T10:00:00Z"} | fields)


TASK_ROWS = [
    ({"status": "PENDING"}, Task(ID, TaskStatus.PENDING, word="PENDING")),
    ({"status": "THROTTLED"}, Task(ID, TaskStatus.THROTTLED, word="THROTTLED")),
    ({"status": "RUNNING", "progress": 0.25}, Task(ID, TaskStatus.RUNNING, progress=0.25, word="RUNNING")),
    ({"status": "RUNNING", "progress": "half"}, Task(ID, TaskStatus.RUNNING, word="RUNNING")),
    ({"status": "RUNNING", "progress": 25}, Task(ID, TaskStatus.RUNNING, word="RUNNING")),
    (
        {"status": "RUNNING", "output": ["https://x"], "cost": {"credits": 3}},
        Task(ID, TaskStatus.RUNNING, word="RUNNING"),
    ),
    (
        {"status": "RUNNING", "progress": 0, "estimatedCost": {"credits": 25}},
        Task(ID, TaskStatus.RUNNING, progress=0.0, estimated=25, word="RUNNING"),
    ),
    (
        {"status": "SUCCEEDED", "output": ["https://a/1.png", "https://a/2.png"], "cost": {"credits": 4.5}},
        Task(
            ID,
            TaskStatus.SUCCEEDED,
            outputs=(OutputUrl("https://a/1.png"), OutputUrl("https://a/2.png")),
            charged=5,
            word="SUCCEEDED",
        ),
    ),
    ({"status": "SUCCEEDED", "output": None}, Task(ID, TaskStatus.SUCCEEDED, word="SUCCEEDED")),
    (
        {"status": "FAILED", "failure": "no", "failureCode": "SAFETY.INPUT.TEXT", "cost": {"credits": 0}},
        Task(ID, TaskStatus.FAILED, failure="no", failure_code="SAFETY.INPUT.TEXT", charged=0, word="FAILED"),
    ),
    (
        {"status": "FAILED", "failure": None, "failureCode": 7, "cost": {"credits": True}},
        Task(ID, TaskStatus.FAILED, word="FAILED"),
    ),
    ({"status": "CANCELLED"}, Task(ID, TaskStatus.CANCELLED, word="CANCELLED")),
    ({"status": "CANCELED"}, Task(ID, TaskStatus.CANCELLED, word="CANCELED")),
    ({"status": "DREAMING", "output": ["https://a"]}, Task(ID, TaskStatus.UNKNOWN, word="DREAMING")),
    ({"status": "PENDING", "new": {"deep": [1]}}, Task(ID, TaskStatus.PENDING, word="PENDING")),
]


@pytest.mark.parametrize(("fields", "expected"), TASK_ROWS)
def test_tasks_are_read_tolerantly(fields, expected) -> None:
    assert task_of(**fields) == expected


def test_which_statuses_are_an_end() -> None:
    assert {status.name for status in TaskStatus if status.terminal} == {"SUCCEEDED", "FAILED", "CANCELLED"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
odd_fields = st.fixed_dictionaries(
    {"status": st.sampled_from(TaskStatus).map(str)},
    optional=dict.fromkeys(["progress", "output", "failure", "failureCode", "estimatedCost", "cost", "x"], json_values),
)


@CALM
@given(odd_fields)
def test_no_odd_field_hides_the_status(fields) -> None:
    task = parse(TaskDetail, json.dumps(fields).encode()).value(ID)
    assert task.status == fields["status"]
    assert task.outputs == () or task.status is TaskStatus.SUCCEEDED
    assert task.charged is None or task.status.terminal


FREE_ROWS = [
    (401, KeyRefusedError),
    (403, KeyRefusedError),
    (404, GoneError),
    (400, RefusedError),
    (405, RefusedError),
    (302, RefusedError),
    (408, TransientError),
    (429, TransientError),
    (500, TransientError),
    (502, TransientError),
    (504, TransientError),
]


@pytest.mark.parametrize(("status", "kind"), FREE_ROWS)
def test_free_calls_by_status(status, kind) -> None:
    with pytest.raises(kind) as caught:
        asked(lambda api: api.task(ID), status, {"error": "because"}, {"Retry-After": "9", "apigw-requestid": "r1"})
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.request_id) == (status, "r1")
    assert str(caught.value) == f"GET /v1/tasks/{ID}: HTTP {status}: because"
    assert getattr(caught.value, "retry_after", 9.0) == 9.0


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b"{}", b'{"status": 4}', b"\xff"])
def test_an_unreadable_200_is_worth_another_look(body) -> None:
    with pytest.raises(UnreadableError):
        asked(lambda api: api.task(ID), 200, body)


@pytest.mark.parametrize("kind", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.InvalidURL])
def test_a_free_call_without_an_answer_may_be_repeated(kind) -> None:
    def broken(request):
        raise kind("gone")

    async def scene():
        async with scripted(broken) as http:
            await client_for(http).organization()

    with pytest.raises(TransientError, match=r"no answer: \w+: gone"):
        asyncio.run(scene())


@pytest.mark.parametrize("status", [200, 204, 404])
def test_delete_is_content_with_gone(status) -> None:
    seen = []
    assert asked(lambda api: api.delete(ID), status, b"", seen=seen) is None
    (request,) = seen
    assert (request.method, request.url.path, request.content) == ("DELETE", f"/v1/tasks/{ID}", b"")
    assert "content-type" not in request.headers


def test_delete_refused() -> None:
    with pytest.raises(RefusedError):
        asked(lambda api: api.delete(ID), 405, {"error": "no"})


def test_a_task_id_stays_one_part_of_the_path() -> None:
    seen = []
    asked(lambda api: api.task("a/../b?c"), body={"status": "PENDING"}, seen=seen)
    assert seen[0].url.raw_path == b"/v1/tasks/a%2F..%2Fb%3Fc"


def test_organization() -> None:
    body = {
        "tier": {
            "maxMonthlyCreditSpend": 500,
            "models": {
                "veo3.1": {"maxConcurrentGenerations": 3, "maxDailyGenerations": 500},
                "gen4_turbo": {"maxConcurrentGenerations": None},
                "new": None,
            },
        },
        "creditBalance": 1200,
        "usage": {"models": {"veo3.1": {"dailyGenerations": 7}, "new": {}}},
    }
    found = asked(lambda api: api.organization(), body=body)
    assert found.models == {"veo3.1": ModelLimits(3, 500), "gen4_turbo": ModelLimits(), "new": ModelLimits()}
    assert (found.used_today, found.balance) == ({"veo3.1": 7, "new": 0}, 1200)


def test_an_organization_without_a_balance_is_unreadable_and_says_where() -> None:
    with pytest.raises(UnreadableError, match="creditBalance"):
        asked(lambda api: api.organization(), body={"tier": {"models": {}}, "creditBalance": "lots"})


def test_usage() -> None:
    rows = [{"date": "2026-11-20", "usedCredits": [{"model": "a", "amount": 5}, {"model": "b", "amount": -2}]}]
    seen = []
    found = asked(
        lambda api: api.usage(date(2026, 11, 20), date(2026, 11, 23)), body={"results": rows, "models": []}, seen=seen
    )
    assert found == (UsageRow("2026-11-20", "a", 5), UsageRow("2026-11-20", "b", -2))
    assert json.loads(seen[0].content) == {"startDate": "2026-11-20", "beforeDate": "2026-11-23"}


# who answers

ORGANIZATION = {"tier": {"models": {}}, "creditBalance": 0}


@pytest.mark.parametrize(
    ("header", "mark"),
    [
        (None, None),
        ("poll=0.2", SandboxMark(0.2)),
        ("version=3, poll = 0.2; x", SandboxMark(0.2)),
        ("1", SandboxMark()),
        ("poll=soon", SandboxMark()),
        ("poll=-1", SandboxMark()),
        ("poll=inf", SandboxMark()),
    ],
)
def test_the_sandbox_is_known_by_its_mark(header, mark) -> None:
    async def call(api):
        await api.organization()
        return api

    api = asked(call, body=ORGANIZATION, headers={} if header is None else {"X-Flowrun-Sandbox": header})
    right, wrong = ("runway", "sandbox") if mark is None else ("sandbox", "runway")
    assert api.sandbox == mark
    api.check_provider(right)
    with pytest.raises(WrongProviderError, match=f"answers as {right}, but the plan was made for {wrong}"):
        api.check_provider(wrong)


def test_nobody_is_right_before_an_answer() -> None:
    async def scene():
        async with scripted(lambda request: httpx.Response(503)) as http:
            api = client_for(http)
            with pytest.raises(TransientError):
                await api.organization()
            return api

    api = asyncio.run(scene())
    assert api.sandbox is None
    for provider in ("runway", "sandbox"):
        with pytest.raises(WrongProviderError, match="not answered"):
            api.check_provider(provider)


def test_an_error_without_a_mark_does_not_turn_a_sandbox_into_the_api() -> None:
    answers = iter([httpx.Response(429, headers={"X-Flowrun-Sandbox": "poll=0.5"}), httpx.Response(503)])

    async def scene():
        async with scripted(lambda request: next(answers)) as http:
            api = client_for(http)
            for _ in range(2):
                with pytest.raises(TransientError):
                    await api.organization()
            return api

    api = asyncio.run(scene())
    assert api.sandbox == SandboxMark(0.5)
    api.check_provider("sandbox")


# construction


def build(base_url="https://api.example.com", key=KEY):
    return RunwayClient(httpx.AsyncClient(), base_url=base_url, secret=Secret(key))


@pytest.mark.parametrize(
    "url",
    [
        "api.example.com",
        "ftp://api.example.com",
        "https://",
        "https://me:pw@api.example.com",
        "https://a.com?x=1",
        "https://a.com#x",
        "http://api.example.com",
        "http://10.0.0.7:8000",
    ],
)
def test_an_address_that_cannot_be_used(url) -> None:
    with pytest.raises(ValueError):
        build(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "http://localhost:1", "http://[::1]:80", "http://x.localhost"]
)
def test_plain_http_is_for_loopback(url) -> None:
    build(url)


def test_a_key_that_is_none_of_the_api_may_go_anywhere() -> None:
    build("http://sandbox.test", key="key_sandbox")


@pytest.mark.parametrize("key", ["", "  \n", "key_a b", "key_\nb", "kéy", "key_\x00"])
def test_a_key_that_cannot_be_sent(key) -> None:
    with pytest.raises(ValueError, match="API key"):
        build(key=key)


def test_white_space_around_a_key_is_dropped() -> None:
    seen = []

    def handler(request):
        seen.append(request)
        return httpx.Response(200, json=ORGANIZATION)

    async def scene():
        async with scripted(handler) as http:
            await RunwayClient(http, base_url="https://a.example.com/base/", secret=Secret(f" {KEY}\n")).organization()

    asyncio.run(scene())
    assert seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert str(seen[0].url) == "https://a.example.com/base/v1/organization"


# the HTTP client


def test_the_log_of_httpx_shows_no_token(caplog) -> None:
    caplog.set_level(logging.DEBUG)

    async def scene():
        async with scripted(lambda request: httpx.Response(200)) as http, open_http(trust_env=False):
            await http.get("https://cdn.example.com/a.png?_jwt=CANARY")

    asyncio.run(scene())
    logging.getLogger("httpx").info("plain %(x)s", {"x": 1})
    assert "cdn.example.com/a.png" in caplog.text
    assert "CANARY" not in caplog.text


def test_whether_a_proxy_stands_between(monkeypatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert not proxied("https://a.example.com")
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "inside.example.com")
    assert proxied("https://a.example.com")
    assert not proxied("https://inside.example.com")
    monkeypatch.delenv("https_proxy")
    monkeypatch.setenv("all_proxy", "http://proxy:3128")
    assert proxied("https://a.example.com")
