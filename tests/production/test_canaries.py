"""Canaries: a key, the tokens of URLs and a secret variable are nowhere on disk and in no output after whole faulty runs.

The real command, as a process, against a server on loopback that sees everything, repeats what it was told, and keeps its own
state in memory. Searched is every byte, in every form in which a text is written down.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

import httpx
import pytest

from flowrun.engine import events as ev
from flowrun.production import inprocess
from flowrun.sandbox.inprocess import InProcess
from flowrun.sandbox.messages import POLL_HEADER, Request
from flowrun.sandbox.scenario import read_scenario
from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import MemoryState
from flowrun.ui.summary_text import summary_text
from tests.production.fault_table import before_the_sandbox
from tests.runway.loopback import RESET, Loopback, Seen, http
from tests.support.http_sandbox import DEADLINE
from tests.support.stage import Stage
from tests.support.virtual_time import START

KEY = "key_" + "c0ffee1234567890" * 8
CLIENT = 'Kanarienvogel "Ångström" & Söhne/77'
MANIFEST = """
flowrun: 1
name: birds
env: [CLIENT]
nodes:
  good: &still
    uses: text_to_image
    with: {model: gen4_image, promptText: "good for {{ env.CLIENT }}", ratio: "1280:720"}
  repeated: {uses: text_to_image, with: {model: gen4_image, promptText: "repeat {{ env.CLIENT }}", ratio: "1280:720"}}
  lost: {uses: text_to_image, with: {model: gen4_image, promptText: "lose {{ env.CLIENT }}", ratio: "1280:720"}}
  doubted: {uses: text_to_image, with: {model: gen4_image, promptText: "doubt {{ env.CLIENT }}", ratio: "1280:720"}}
  failed: {uses: text_to_image, with: {model: gen4_image, promptText: "fail {{ env.CLIENT }}", ratio: "1280:720"}}
  shot:
    uses: image_to_video
    with: {model: gen4_turbo, promptImage: "{{ nodes.good.output }}", ratio: "1280:720", duration: 2}
outputs:
  still: "{{ nodes.good.output }}"
"""
FAULTS = """
media: tiny
poll: 0.02
durations: {default: 0.05}
faults:
  - {on: text_to_image, match: {prompt: fail}, do: {fail: SAFETY.INPUT.TEXT}}
  - {on: download, match: {prompt: good, nth: 1}, do: {status: 403}}
"""
CRASH = """
import sys
from flowrun.cli import main
from flowrun.production.production import Production

def apply(self, **more):
    self.settings, self.around.environ
    key = self.around.environ["RUNWAYML_API_SECRET"]
    client = self.around.environ["CLIENT"]
    raise RuntimeError(f"a bug, with {key} and {client} and https://x.example/a.png?_jwt=TOKEN")

Production.plan_async = Production.propose_async = apply
sys.exit(main.run(sys.argv[1:]))
"""


@dataclass
class Front:
    """A sandbox behind a socket that tells what it is told. `is_live`: it leaves out the mark of a sandbox."""

    is_live: bool
    url: str = ""
    state: MemoryState = field(default_factory=MemoryState)
    tokens: set[str] = field(default_factory=set)
    clients: int = 0  # bodies in which the secret stood
    now: float = START

    def script(self, seen: Seen) -> Iterator[object]:
        self.now += 0.1  # whatever the machine's load: every request finds time gone on
        sandbox = Sandbox(self.state, scenario=read_scenario(FAULTS, "scenario.yaml"), base_url=self.url)
        request = Request.of(seen.method, self.url + seen.target, seen.headers, seen.body)
        self.clients += json.dumps(CLIENT, ensure_ascii=False)[1:-1].encode() in seen.body
        prompt = json.loads(seen.body).get("promptText", "") if seen.method == "POST" and seen.body else ""
        if prompt.startswith("repeat"):
            yield self._told(400, seen, prompt)
            return
        if prompt.startswith("doubt"):
            yield self._told(500, seen, prompt)
            return
        response = InProcess(sandbox, lambda: self.now).exchange(request)
        if prompt.startswith("lose"):
            yield RESET
            return
        assert isinstance(response.body, bytes)
        self.tokens.update(re.findall(r"_jwt=([^\"&\s]+)", response.body.decode("utf-8", "replace")))
        told = {name: each for name, each in response.headers.items() if name.lower() != "content-length"}
        if self.is_live:
            told.pop(POLL_HEADER, None)
        yield http(response.status, response.body, **told)

    def _told(self, status: int, seen: Seen, prompt: str) -> bytes:
        """Everything that the request said, back again."""
        token = next(iter(self.tokens), "TOKEN")
        said = f"no: {seen.headers['authorization']} {prompt} {self.url}/a.png?_jwt={token}"
        issue = {"code": "x", "path": ["promptText"], "message": said}
        body = json.dumps({"error": said, "issues": [issue], "docUrl": said}).encode()
        marked = {} if self.is_live else {POLL_HEADER: "poll=0.02"}
        return http(status, body, Content_Type="application/json", **marked)


@dataclass
class Ran:
    code: int
    said: bytes


async def run(folder: Path, front: Front, *words: str, program: tuple[str, ...] = ("-m", "flowrun")) -> Ran:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RUNWAYML", "FLOWRUN", "XDG"))}
    ours = {
        "RUNWAYML_BASE_URL": front.url,
        "RUNWAYML_API_SECRET": KEY,
        "CLIENT": CLIENT,
        "HOME": str(folder / "home"),
        "FLOWRUN_LOG": "debug",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *program,
        *words,
        cwd=folder / "project",
        env=kept | ours,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), DEADLINE)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ran(process.returncode, out + err)


def forms(text: str) -> set[bytes]:
    """How a text may have been written down."""
    plain = text.encode()
    found = {plain, plain.hex().encode(), repr(text)[1:-1].encode(), text.encode("utf-16-le")}
    found |= {json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode() for ascii_only in (True, False)}
    found |= {quote(text).encode(), quote(text, safe="").encode(), quote_plus(text).encode()}
    for shift in range(3):  # wherever it stands in what was encoded; the ends depend on the neighbours
        coded = base64.b64encode(b"\0" * shift + plain)[4 if shift else 0 : -4]
        found |= {coded, coded.replace(b"+", b"-").replace(b"/", b"_")}
    return {each for each in found if len(each) >= 8}


def places(folder: Path, secret: str) -> list[str]:
    """Files in which it stands, in any form, and the form."""
    wanted = forms(secret)
    return [
        f"{path.relative_to(folder)}: {form!r}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for form in wanted
        if form in path.read_bytes() or form in str(path).encode()
    ]


def the_project(folder: Path, settings: str) -> Path:
    project = folder / "project"
    (project / ".git").mkdir(parents=True)
    (project / "flow.yaml").write_text(MANIFEST)
    (project / "flowrun.toml").write_text(settings)
    return project


async def whole_story(folder: Path, *, is_live: bool) -> tuple[Front, list[Ran]]:
    """An apply with every kind of fault, what people type afterwards, and a crash of flowrun itself."""
    front = Front(is_live)
    async with Loopback(front.script) as served:
        front.url = served.url
        done = [await run(folder, front, "apply", "flow.yaml", "--yes", "--events", "events.ndjson")]
        done.append(await run(folder, front, "apply", "flow.yaml", "--yes", "--json"))
        later = (
            ("apply", "flow.yaml", "--yes", "--format", "github"),
            ("status", "--json"),
            ("runs", "--json"),
            ("outputs", "flow.yaml"),
            ("plan", "flow.yaml", "--json", "--save", "kept.plan.json"),
            ("config", "--explain"),
        )
        done += await asyncio.gather(*(run(folder, front, *words) for words in later))
        done.append(await run(folder, front, "plan", "flow.yaml", program=("-c", CRASH)))
    return front, done


def check(folder: Path, front: Front, ran: list[Ran]) -> None:
    for number, each in enumerate(ran):
        (folder / f"said-{number}.txt").write_bytes(each.said)
    assert front.tokens
    for secret in (KEY, KEY.removeprefix("key_"), CLIENT, *front.tokens):
        assert places(folder, secret) == []
    written = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert {".log", ".sqlite3", ".ndjson", ".json", ".txt"} <= written
    assert [path.name for path in folder.rglob("bug-*.txt")], "the crash left no report"
    assert list((folder / "project" / "out").rglob("*.png"))


@pytest.mark.long
def test_no_canary_is_left_by_a_faulty_run_against_a_sandbox(tmp_path: Path) -> None:
    the_project(tmp_path, "")
    front, ran = asyncio.run(whole_story(tmp_path, is_live=False))
    assert ran[0].code == 6, ran[0].said.decode()
    assert not front.clients  # a sandbox is not even told
    check(tmp_path, front, ran)


@pytest.mark.long
def test_no_canary_is_left_by_a_faulty_run_against_what_takes_itself_for_the_api(tmp_path: Path) -> None:
    """Here the secret is sent, and the answers repeat it. It polls as politely as it would the API."""
    the_project(tmp_path, '[provider]\nname = "runway"\n')
    front, ran = asyncio.run(whole_story(tmp_path, is_live=True))
    assert ran[0].code == 6, ran[0].said.decode()
    assert front.clients >= 7
    check(tmp_path, front, ran)


@pytest.mark.parametrize("secret", [KEY, CLIENT, "abc-token-defghijkl"])
def test_the_search_finds_each_form(tmp_path: Path, secret: str) -> None:
    for number, form in enumerate(forms(secret)):
        (tmp_path / str(number)).write_bytes(b"x" + form + b"y")
    inside = base64.b64encode(b"12345" + secret.encode() + b"67890")
    (tmp_path / "inside").write_bytes(inside)
    assert {each.partition(":")[0] for each in places(tmp_path, secret)} == {each.name for each in tmp_path.iterdir()}


SLOW = """
faults:
  - {on: tasks, match: {prompt: good, nth: 1}, do: {status: 503, body: "BODY"}}
  - {on: download, match: {prompt: good, nth: 1}, do: {status: 403}}
  - {on: download, match: {prompt: good, nth: 2}, do: {cut: 20}}
  - {on: tasks, match: {prompt: odd}, do: {status: 409, body: "BODY"}}
  - {on: download, match: {prompt: broken}, do: {wrong_content: html}}
"""


def test_no_canary_is_left_by_faults_that_take_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In process and in virtual time: what is waited for with patience. The sandbox's own state is not searched."""
    tokens: set[str] = set()

    async def wire(request: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
        response = await inner.handle_async_request(request)
        if request.url.path.startswith("/v1/tasks/"):
            body = (await response.aread()).replace(b"THE-KEY", KEY.encode())  # which no scenario file may hold
            tokens.update(re.findall(r"_jwt=([^\"&\s]+)", body.decode()))
            headers = {name: each for name, each in response.headers.items() if name.lower() != "content-length"}
            return httpx.Response(response.status_code, content=body, headers=headers)
        return response

    monkeypatch.setattr(inprocess, "sandbox_transport", before_the_sandbox(wire))
    still = '{{uses: text_to_image, with: {{model: gen4_image, promptText: "{0}", ratio: "1280:720"}}}}'
    nodes = "".join(f"  {name}: {still.format(name + ' {{ env.CLIENT }}')}\n" for name in ("good", "odd", "broken"))
    body = json.dumps(json.dumps({"error": f"of {CLIENT} and THE-KEY, at https://x.example/a?_jwt=TOKEN-OF-THE-BODY"}))
    stage = Stage(
        tmp_path,
        f"flowrun: 1\nname: slow\nenv: [CLIENT]\nnodes:\n{nodes}",
        scenario=SLOW.replace('"BODY"', body),
        environ={"CLIENT": CLIENT, "RUNWAYML_API_SECRET": KEY},
    )
    done = stage.apply()
    (tmp_path / "scenario.yaml").unlink()
    shown = [json.dumps(ev.to_json(event), ensure_ascii=False) for event in stage.events]
    (tmp_path / "events.ndjson").write_text("\n".join([*shown, json.dumps(done.summary.to_json())]))
    (tmp_path / "said.txt").write_text(
        summary_text(done.summary, file="flow.yaml", exit_code=1, elapsed=1.0, colour=False, width=100)
    )
    assert {each.code for each in done.summary.troubles.values()} == {"task-not-told", "not-collected"}
    assert len(tokens) >= 3
    for secret in (KEY, CLIENT, "TOKEN-OF-THE-BODY", *tokens):
        assert [each for each in places(tmp_path, secret) if not each.startswith(".flowrun/sandbox/api")] == []
