"""How each row of the failure taxonomy is provoked: by a scenario of the sandbox, by a transport that breaks, or by a server on
loopback. Owns the set, and running one row twice: while the fault lasts, then with everything well again.

In process and in virtual time where that shows the same; on real sockets where the break itself is the point.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from flowrun.engine import events as ev
from flowrun.production import inprocess
from flowrun.production.applying import Applied
from flowrun.production.options import Options, Surroundings
from flowrun.production.production import Production
from flowrun.runway import client as client_module
from flowrun.runway.pace import Timeouts
from flowrun.sandbox.inprocess import InProcess
from flowrun.sandbox.messages import Request
from flowrun.sandbox.scenario import read_scenario
from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import MemoryState
from flowrun.ui.summary_text import summary_text
from tests.runway.loopback import CLOSE, HANG, RESET, Loopback, Seen, http
from tests.support.http_sandbox import KEY
from tests.support.stage import Stage

STILL = """
flowrun: 1
name: still
vars:
  subject: a red fox
nodes:
  hero:
    uses: text_to_image
    with:
      model: gen4_image
      promptText: "{{ vars.subject }} in the snow"
      ratio: "1280:720"
"""
SHOT = """
flowrun: 1
name: shot
nodes:
  shot:
    uses: image_to_video
    with:
      model: gen4_turbo
      promptImage: big.png
      promptText: it turns its head
      ratio: "1280:720"
      duration: 5
"""
CREATE = ("/v1/text_to_image", "/v1/image_to_video")
Wire = Callable[[httpx.Request, httpx.AsyncBaseTransport], Any]


@dataclass(frozen=True)
class Case:
    """`faults`: the scenario's; `wire`: stands before the sandbox of this process; `answer`: what a server on loopback does
    with a creation, after the sandbox behind it has taken it on."""

    faults: str = ""
    wire: Wire | None = None
    answer: Callable[[Seen], Iterable[object]] | None = None
    manifest: str = STILL
    stop: bool = False  # interrupt twice while the creation is on its way


@dataclass
class Shown:
    """One apply: its exit code, what a person reads, and how many creations the sandbox has accepted."""

    exit: int
    text: str
    accepted: int
    applied: Applied


@dataclass
class Both:
    first: Shown
    again: Shown

    def golden(self) -> str:
        parts = (
            f"# {name}: exit {shown.exit}, {shown.accepted} accepted so far\n\n{shown.text}\n"
            for name, shown in (("while it lasts", self.first), ("applied again, all well", self.again))
        )
        return "\n".join(parts)


# -- what breaks


def raising(kind: type[Exception], cause: Exception | None = None, words: str = "it broke") -> Case:
    """Every creation ends in this exception, as httpx raises it."""

    async def wire(request: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
        if request.url.path in CREATE:
            raise kind(str(cause) if cause else words) from cause
        return await inner.handle_async_request(request)

    return Case(wire=wire)


def answering(status: int, body: object = None) -> Case:
    async def wire(request: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
        if request.url.path in CREATE:
            return httpx.Response(status, json=body, headers={"Location": "https://elsewhere.example/"})
        return await inner.handle_async_request(request)

    return Case(wire=wire)


def retold(**change: Any) -> Case:
    """A look at a task that has ended tells something else. None takes a field away."""

    async def wire(request: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
        response = await inner.handle_async_request(request)
        if not request.url.path.startswith("/v1/tasks/"):
            return response
        told = json.loads(await response.aread())
        if told["status"] in ("FAILED", "SUCCEEDED"):
            told = {name: each for name, each in {**told, **change}.items() if each is not None}
        headers = {name: each for name, each in response.headers.items() if name.lower() != "content-length"}
        return httpx.Response(200, json=told, headers=headers)

    return Case(wire=wire)


def on(place: str, deed: str, match: str = "") -> Case:
    matched = f", match: {{{match}}}" if match else ""
    return Case(f"faults: [{{on: {place}{matched}, do: {{{deed}}}}}]\n")


def status(number: int, body: object = None, place: str = "text_to_image") -> Case:
    told = f", body: {json.dumps(json.dumps(body))}" if body is not None else ""
    return on(place, f"status: {number}{told}")


def served(*steps: object) -> Case:
    """A server takes a creation on, and then does this."""
    return Case(answer=lambda seen: steps)


NESTED = {  # the newer shape: a union whose branches complain, one of them about another model
    "error": "Validation of body failed",
    "issues": [
        {
            "code": "invalid_union",
            "path": [],
            "message": "Invalid input",
            "errors": [
                [{"code": "invalid_value", "path": ["model"], "message": "Invalid input: expected gen4_image_turbo"}],
                [{"code": "too_big", "path": ["promptText"], "message": "Too big: expected at most 10 characters"}],
            ],
        }
    ],
    "docUrl": "https://docs.dev.runwayml.com/api",
    "code": "validation",
}
UNFETCHED = {
    "error": "Validation of body failed",
    "issues": [{"code": "custom", "path": ["promptText"], "message": "Timeout while fetching asset"}],
}
NO_MONEY = {"error": "You do not have enough credits to run this task."}
TLS = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
TASK_ID = b'{"id": "17f20503-6c24-4c16-946b-35dbbce2af2f"}'

CASES: dict[str, Case] = {
    "before-name-unknown": raising(httpx.ConnectError, socket.gaierror(-2, "Name or service not known")),
    "before-tls-failed": raising(httpx.ConnectError, TLS),
    "before-refused": raising(httpx.ConnectError, ConnectionRefusedError(111, "Connection refused")),
    "before-connect-timeout": raising(httpx.ConnectTimeout, words=""),
    "before-pool-timeout": raising(httpx.PoolTimeout, words=""),
    "before-proxy": raising(httpx.ProxyError, words="502 Bad Gateway"),
    "before-no-http-address": raising(httpx.UnsupportedProtocol, words="no such protocol"),
    "before-bad-address": raising(httpx.InvalidURL, words="no such address"),
    "after-write-broken": raising(httpx.WriteError, BrokenPipeError(32, "Broken pipe")),
    "after-write-timeout": raising(httpx.WriteTimeout, words=""),
    "after-close-broken": raising(httpx.CloseError),
    "after-otherwise": raising(RuntimeError, words="nobody foresaw it"),
    "after-read-timeout": served(HANG),
    "after-reset": served(RESET),
    "after-protocol": served(CLOSE),
    "after-stopped": replace(on("text_to_image", "delay: 60"), stop=True),
    "reading-cut": served(http(200, TASK_ID[:20], length=len(TASK_ID)), CLOSE),
    "reading-no-json": served(http(200, b"<html>It works</html>")),
    "reading-no-id": served(http(200, b'{"ok": true}')),
    "reading-wrong-type": served(http(200, b'{"id": 17}')),
    "answer-301": answering(301),
    "answer-302": answering(302),
    "answer-307": answering(307),
    "answer-308": answering(308),
    "answer-400": status(400, NESTED),
    "answer-413": status(413, {"error": "Request body too large"}),
    "answer-other-4xx": status(409, {"error": "Invalid parameter 'ratio'"}),
    "answer-no-credits": status(400, NO_MONEY),
    "answer-input-not-fetched": status(400, UNFETCHED),
    "answer-other": status(599),
    **{
        f"answer-{number}": status(number)
        for number in (401, 402, 403, 404, 405, 408, 410, 415, 422, 425, 429, 500, 502, 503, 504)
    },
    **{
        f"task-{code.lower()}": on("text_to_image", f"fail: {code}{more}")
        for code, more in {
            "SAFETY": ".NEW",
            "SAFETY.INPUT": ".TEXT",
            "SAFETY.OUTPUT": ".IMAGE",
            "INPUT_PREPROCESSING.SAFETY": ".THIRD_PARTY",
            "INPUT_PREPROCESSING.INTERNAL": "",
            "INTERNAL.BAD_OUTPUT": ".CODE01",
            "ASSET.INVALID": "",
            "THIRD_PARTY.UNAVAILABLE": "",
            "THIRD_PARTY.INPUT_VALIDATION": "",
            "INTERNAL": ".WORKER",
        }.items()
    },
    "task-no-code": replace(retold(failureCode=None), faults="faults: [{on: text_to_image, do: {fail: INTERNAL}}]\n"),
    "task-unknown-code": on("text_to_image", "fail: BRAND.NEW"),
    "poll-unanswered": on("tasks", "status: 503, times: 3"),
    "poll-odd": on("tasks", "status: 409"),
    "poll-404": on("tasks", "status: 404"),
    "poll-401": on("tasks", "status: 401"),
    "cancelled": on("text_to_image", "cancelled: true"),
    "download-expired": on("download", "status: 403, times: 2"),
    "download-broken": on("download", "wrong_content: html"),
    "no-output": retold(output=[]),
    "upload-failed": replace(on("uploads", "status: 503"), manifest=SHOT),
}


# -- running one


def run_case(name: str, folder: Path, patch: pytest.MonkeyPatch) -> Both:
    case = CASES[name]
    return _on_sockets(case, folder, patch) if case.answer else _in_process(case, folder, patch)


def _in_process(case: Case, folder: Path, patch: pytest.MonkeyPatch) -> Both:
    stage = Stage(folder, case.manifest, scenario=case.faults, on_event=_stopper() if case.stop else None)
    if case.manifest is SHOT:
        _large_picture(folder / "big.png")
    with patch.context() as patched:
        if case.wire is not None:
            patched.setattr(inprocess, "sandbox_transport", before_the_sandbox(case.wire))
        first = _shown(stage.apply(), stage.submissions, folder)
    stage.scenario, stage.on_event = "", None
    return Both(first, _shown(stage.apply(), stage.submissions, folder))


def before_the_sandbox(wire: Wire) -> Callable[..., tuple[httpx.AsyncBaseTransport, str]]:
    real = inprocess.sandbox_transport

    class Before(httpx.AsyncBaseTransport):
        def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
            self._inner = inner

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response: httpx.Response = await wire(request, self._inner)
            return response

        async def aclose(self) -> None:
            await self._inner.aclose()

    def opened(*arguments: Any) -> tuple[httpx.AsyncBaseTransport, str]:
        inner, url = real(*arguments)
        return Before(inner), url

    return opened


def _stopper() -> Callable[[Any, ev.Event], None]:
    def on_event(interrupt: Any, event: ev.Event) -> None:
        if isinstance(event, ev.Granted):
            loop = asyncio.get_running_loop()
            for seconds in (10, 11):
                loop.call_later(seconds, interrupt, 130)

    return on_event


@dataclass
class Server:
    """A sandbox behind a real socket, whose creations are taken on and then answered as the case says, while `faulty`."""

    case: Case
    url: str = ""
    faulty: bool = True
    state: MemoryState = field(default_factory=MemoryState)

    def script(self, seen: Seen) -> Iterable[object]:
        scenario = read_scenario("media: tiny\npoll: 0.02\ndurations: {default: 0.05}\n", "scenario.yaml")
        sandbox = Sandbox(self.state, scenario=scenario, base_url=self.url)
        request = Request.of(seen.method, self.url + seen.target, seen.headers, seen.body)
        response = InProcess(sandbox, lambda: 1_700_000_000.0).exchange(request)
        if self.faulty and self.case.answer is not None and request.path in CREATE:
            return self.case.answer(seen)
        assert isinstance(response.body, bytes)
        told = {name: each for name, each in response.headers.items() if name.lower() != "content-length"}
        return [http(response.status, response.body, **told)]

    @property
    def accepted(self) -> int:
        return len(Sandbox(self.state).report()["submissions"])


def _on_sockets(case: Case, folder: Path, patch: pytest.MonkeyPatch) -> Both:
    patch.setattr(client_module, "Timeouts", lambda: Timeouts(create=0.3))
    (folder / ".git").mkdir(parents=True)
    (folder / "flow.yaml").write_text(case.manifest)

    async def main() -> Both:
        server = Server(case)
        async with Loopback(server.script) as socket_server:
            server.url = socket_server.url
            first = await _applied(server, folder)
            server.faulty = False
            return Both(first, await _applied(server, folder))

    return asyncio.run(main())


async def _applied(server: Server, folder: Path) -> Shown:
    environ = {"RUNWAYML_BASE_URL": server.url, "RUNWAYML_API_SECRET": KEY}
    around = Surroundings(environ=environ, cwd=folder, rng=random.Random(7))
    applied = await Production(folder / "flow.yaml", Options(), around).apply_async()
    return _shown(applied, server.accepted, folder)


def _shown(applied: Applied, accepted: int, folder: Path) -> Shown:
    """As a person with a real account reads it, without what differs from one run to the next."""
    code = int(applied.exit)
    given: dict[str, Any] = {"colour": False, "width": 100, "provider": "runway"}
    for trouble in applied.summary.troubles.values():
        told = trouble.message.replace(f"{folder}/", "")
        named = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "TASK", told)
        timed = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "2026-11-22 12:00:00 UTC", named)
        trouble.message = re.sub(r"\d+ characters of data", "8000000 characters of data", timed)  # the picture is noise
    text = summary_text(applied.summary, file="flow.yaml", exit_code=code, elapsed=0.0, **given)
    return Shown(code, text, accepted, applied)


def _large_picture(path: Path) -> None:
    """A picture too large to go as data: what follows its end is no part of it."""
    from PIL import Image

    Image.effect_noise((1280, 720), 90).convert("RGB").save(path)
    path.write_bytes(path.read_bytes() + random.Random(7).randbytes(4_000_000))
