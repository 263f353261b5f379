"""No key, token or data in any text: canaries through every kind of failure."""

from __future__ import annotations

import asyncio
import copy
import io
import json
import traceback

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrun.runway.client import RunwayClient
from flowrun.runway.errors import RunwayError
from flowrun.runway.shown import LONGEST, clean, shown_url
from flowrun.runway.values import OutputUrl, Task, TaskStatus
from flowrun.secret import Secret

from .conftest import CALM, KEY, Naps, scripted

OTHER_KEY = "sekrit-CANARY-of-a-studio"
LINK = "https://cdn.example.com/a.png?_jwt=CANARY&x=CANARY"
LEAK = f"Bearer {KEY}, fetched {LINK} data:image/png;base64,CANARYCANARY= https://u:CANARY@h.com/"


def transports(leak):
    def raises(kind):
        def handler(request):
            raise kind(leak)

        return handler

    for kind in (httpx.ConnectError, httpx.ReadError, httpx.ReadTimeout, httpx.InvalidURL, httpx.DecodingError):
        yield raises(kind)
    for status in (200, 302, 400, 401, 404, 429, 500, 502, 503):
        issues = [{"path": ["promptImage"], "message": leak}]
        for body in ({"error": leak}, {"error": leak, "issues": issues}, {"id": [leak], "status": [leak]}, leak):
            content = json.dumps(body).encode()
            yield lambda request, status=status, content=content: httpx.Response(status, content=content)


CALLS = [
    lambda api: api.submit("/v1/text_to_image", {"promptImage": LEAK}),
    lambda api: api.task("1"),
    lambda api: api.delete("1"),
    lambda api: api.organization(),
    lambda api: api.upload("a.png", "image/png", lambda: io.BytesIO(b"x" * 600), 600, 0.0),
    lambda api: api.download(OutputUrl(LINK), lambda chunk: None),
]


@pytest.mark.parametrize("call", CALLS, ids=["submit", "task", "delete", "organization", "upload", "download"])
def test_no_error_shows_a_secret(call, request) -> None:
    # the storage never sees the key, so it cannot tell it on
    leak = LEAK if "download" in request.node.name else f"{LEAK} {OTHER_KEY}"

    async def errors():
        found = []
        for handler in transports(leak):
            async with scripted(handler) as http:
                secret = Secret(OTHER_KEY)
                api = RunwayClient(http, base_url="https://api.example.com", secret=secret, sleep=Naps())
                try:
                    await call(api)
                except RunwayError as error:
                    found.append(error)
        return found

    found = asyncio.run(errors())
    assert len(found) > 20
    for error in found:
        shown = "".join(traceback.format_exception(error)) + repr(error) + repr(getattr(error, "problems", ()))
        assert "CANARY" not in shown
        assert KEY not in shown


def test_an_output_url_is_masked_wherever_it_lies() -> None:
    task = Task("1", TaskStatus.SUCCEEDED, outputs=(OutputUrl(LINK),))
    assert "CANARY" not in repr(task) + str(task.outputs) + f"{task.outputs[0]}"
    assert task.outputs[0].reveal() == LINK
    with pytest.raises(TypeError):
        copy.copy(task.outputs[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("a\n\tb\x1b[2J  c", "a b [2J c"),
        ("see https://h.com/p?a=1#f now", "see https://h.com/p?******** now"),
        ("see 'https://u:p@h.com/p'", "see 'https://h.com/p'"),
        ("data:image/png;base64,AAAA==, too long", "data:image/png;base64,… too long"),
        ("x" * 1000, "x" * (LONGEST - 1) + "…"),
        (f"key {KEY}", "key key_********"),
    ],
)
def test_cleaning(text, expected) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (LINK, "https://cdn.example.com/a.png"),
        ("https://u:p@h.com:8443/a#x", "https://h.com:8443/a"),
        ("https://[::1/a", "an unreadable URL"),
        ("", "://"),
    ],
)
def test_urls_are_shown_without_their_secrets(url, expected) -> None:
    assert shown_url(url) == expected


@CALM
@given(st.text(max_size=40), st.text(max_size=40))
def test_a_secret_is_cut_wherever_it_stands(before, after) -> None:
    assert "CANARY" not in clean(f"{before}{OTHER_KEY}{after}", Secret(OTHER_KEY))
