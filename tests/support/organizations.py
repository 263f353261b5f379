"""Organizations at the live API, as far as flowrun can tell: each key speaks for one, and one knows nothing of another's tasks.
In process and in virtual time; nothing is sent anywhere.

studio = Organizations({KEY: "studio", NEW_KEY: "studio"})
stage = studio.stage(tmp_path, FLOW, monkeypatch)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from flowrun.production import binding
from flowrun.production.options import Options, Surroundings
from flowrun.production.provider import LIVE, Choice
from flowrun.runway.client import RunwayClient
from flowrun.runway.http import open_http
from flowrun.runway.inprocess import Answer, CallableTransport, Headers
from flowrun.sandbox.content import Content
from flowrun.sandbox.inprocess import InProcess
from flowrun.sandbox.messages import POLL_HEADER, Request
from flowrun.sandbox.scenario import read_scenario
from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import MemoryState
from flowrun.settings.model import Settings
from tests.support.stage import TINY, Stage


@dataclass
class Organizations:
    """`keys`: the organization that each speaks for. `scenario`: of all, laid after TINY; `tier` and `credits` as the sandbox
    takes them."""

    keys: Mapping[str, str]
    scenario: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    _sandboxes: dict[str, Sandbox] = field(default_factory=dict)

    def sandbox(self, name: str) -> Sandbox:
        if name not in self._sandboxes:
            script = read_scenario(TINY + self.scenario, "scenario.yaml")
            self._sandboxes[name] = Sandbox(MemoryState(), scenario=script, base_url=LIVE, **self.more)
        return self._sandboxes[name]

    def submissions(self, name: str = "studio") -> int:
        return len(self.sandbox(name).report()["submissions"])

    def stage(self, root: Path, manifest: str, patch: pytest.MonkeyPatch, **more: Any) -> LiveStage:
        """A project whose requests come here."""
        patch.setattr(binding, "make_client", self.client)
        return LiveStage(root, manifest, sandbox_flag=False, **more)

    def client(
        self, choice: Choice, options: Options, around: Surroundings, folder: Path | None, settings: Settings
    ) -> tuple[RunwayClient, Any]:
        assert choice.key is not None
        assert choice.name == "runway"
        sandbox = self.sandbox(self.keys[choice.key.reveal()])
        door = InProcess(sandbox, around.clock.now)

        def exchange(method: str, url: str, headers: Headers, body: bytes) -> Answer:
            response = door.exchange(Request.of(method, url, dict(headers), body))
            told = [each for each in response.headers.items() if each[0].lower() != POLL_HEADER.lower()]
            if isinstance(response.body, Content):
                return Answer(response.status, told, chunks=response.body.pieces(), lost=response.lost)
            held = response.body if isinstance(response.body, bytes) else b""
            return Answer(response.status, told, held, lost=response.lost)

        http = open_http(CallableTransport(exchange, offload=around.offload, sleep=around.clock.sleep))
        client = RunwayClient(http, base_url=LIVE, secret=choice.key, sleep=around.clock.sleep, rng=around.rng)
        return client, http


@dataclass
class LiveStage(Stage):
    """A stage at Runway's API, under a key. The state folder is the project's neighbour, so that several may share it."""

    @property
    def state(self) -> Path:
        return self.root.parent / "state"

    def use(self, key: str | None) -> None:
        """From now on with this key; None: without one."""
        self.environ = {"FLOWRUN_STATE_DIR": str(self.state)} | ({"RUNWAYML_API_SECRET": key} if key else {})
