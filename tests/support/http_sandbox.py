"""The sandbox over HTTP for tests: in a thread of this process, or as the real command in a process of its own.

with threaded("media: tiny") as served:
    httpx.get(served.url + "/v1/organization")
    assert served.report()["requests"] == {"organization": 1}
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from flowrun.sandbox.scenario import read_scenario
from flowrun.sandbox.server import SandboxServer, listen
from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import MemoryState, StateStore

DEADLINE = 30.0  # seconds until a test gives up on a process or a thread
QUICK = "media: tiny\ndurations: {default: 0.05}\npoll: 0.02\n"
KEY = "key_" + "0a" * 64
HEADERS = {"Authorization": f"Bearer {KEY}", "X-Runway-Version": "2024-11-06"}


def until(holds: Callable[[], Any], what: str, deadline: float = DEADLINE) -> Any:
    """What `holds` gives once it is true. Fails where the deadline passes first."""
    end = time.monotonic() + deadline
    while not (found := holds()):
        assert time.monotonic() < end, f"not within {deadline:g} s: {what}"
        time.sleep(0.02)
    return found


@dataclass
class HttpSandbox:
    """A server that answers. `web`: a client without a key. `process`: None where it is a thread of this one."""

    url: str
    web: httpx.Client
    process: subprocess.Popen[str] | None = None

    def report(self) -> dict[str, Any]:
        """What it was asked, and what came of it."""
        answer = self.web.get(f"{self.url}/__sandbox__/state")
        assert answer.status_code == 200
        return dict(answer.json())

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request with a key. `path`: an address, or what comes after the server's own."""
        url = path if "://" in path else self.url + path
        headers = {**HEADERS, **more.pop("headers", {})}
        return self.web.request(method, url, headers=headers, **more)

    def create(self, operation: str = "text_to_image", **change: Any) -> str:
        body = {"model": "gen4_image", "promptText": "a fox", "ratio": "1280:720", **change}
        answer = self.send("POST", f"/v1/{operation}", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def output(self, task: str) -> str:
        """A link to what a task made, once it has."""
        found = until(lambda: self.send("GET", f"/v1/tasks/{task}").json().get("output"), f"{task} to succeed")
        return str(found[0])


def client(**more: Any) -> httpx.Client:
    """One that no proxy of the environment stands in the way of."""
    return httpx.Client(trust_env=False, verify=False, timeout=DEADLINE, **more)  # there is no TLS to verify


@contextmanager
def threaded(
    scenario: str = QUICK,
    *,
    state: StateStore | None = None,
    host: str = "127.0.0.1",
    now: Callable[[], float] = time.time,
    **more: Any,
) -> Iterator[HttpSandbox]:
    """A real server on a real socket, in a thread. `now`: its clock; `more`: as `Sandbox` takes it."""
    listener = listen(host, 0)
    script = read_scenario(scenario, "scenario.yaml")
    sandbox = Sandbox(state or MemoryState(), scenario=script, base_url=listener.url, **more)
    server, ready = SandboxServer(sandbox, listener, now), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(ready.set)), name="sandbox")
    thread.start()
    try:
        assert ready.wait(DEADLINE)
        with client() as web:
            yield HttpSandbox(listener.url, web)
    finally:
        server.stop()
        thread.join(DEADLINE)
        assert not thread.is_alive(), "the server did not stop"


@contextmanager
def process(*arguments: str, scenario: str | None = QUICK, cwd: Path | None = None) -> Iterator[HttpSandbox]:
    """`flowrun sandbox --json` with a port of its own and `arguments`, as a person starts it; ended after the block."""
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, "-m", "flowrun", "sandbox", "--json", "--port", "0", *arguments]
        if scenario is not None:
            script = Path(folder) / "scenario.yaml"
            script.write_text(scenario)
            line += ["--scenario", str(script)]
        with subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd, env=_environment()
        ) as started:
            try:
                with client() as web:
                    yield HttpSandbox(json.loads(first_line(started))["url"], web, started)
            finally:
                end(started)


def first_line(started: subprocess.Popen[str], deadline: float = DEADLINE) -> str:
    """The first line on a process's stdout; what it said on stderr where none comes."""
    assert started.stdout is not None
    assert started.stderr is not None
    readable, _, _ = select.select([started.stdout], [], [], deadline)
    line = started.stdout.readline() if readable else ""
    if not line:
        started.kill()
        raise AssertionError(f"the server did not start:\n{started.stderr.read()}")
    return line


def end(started: subprocess.Popen[str], with_signal: int = signal.SIGTERM) -> tuple[int, str, str]:
    """Tell a process to end: its exit code, and the rest of what it said."""
    if started.poll() is None:
        started.send_signal(with_signal)
    try:
        out, err = started.communicate(timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        started.kill()
        raise
    return started.returncode, out, err


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("RUNWAYML", "FLOWRUN"))}
