"""A folder with a manifest, the processes that apply it, and the sandbox that they speak to: in their process, or `served` over
HTTP. Owns how such a process is started and waited for; the command line is the real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import SqliteState
from tests.support.http_sandbox import KEY, HttpSandbox

ROOT = Path(__file__).parents[2]
DEADLINE = 120.0  # seconds until a test gives up on a process
PATIENCE = 0.01  # seconds between two looks


class Project:
    """`flow`: the manifest's text; `scenario`: the script of a sandbox in process."""

    def __init__(self, root: Path, flow: str, scenario: str = "", served: HttpSandbox | None = None) -> None:
        (root / ".git").mkdir(parents=True)
        self.root, self.served = root, served
        (root / "flow.yaml").write_text(flow)
        (root / "scenario.yaml").write_text(scenario)

    # -- processes

    def run(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        """A command as it was printed, typed again."""
        line = [sys.executable, "-m", "flowrun", *arguments]
        return subprocess.run(
            line, cwd=self.root, env=self.environ, capture_output=True, text=True, timeout=DEADLINE, check=False
        )

    def start(self, *flags: str) -> subprocess.Popen[str]:
        provider = [] if self.served else ["--scenario", "scenario.yaml"]
        line = [sys.executable, "-m", "flowrun", "apply", "flow.yaml", *provider, *flags]
        pipe = subprocess.PIPE
        return subprocess.Popen(line, cwd=self.root, env=self.environ, stdout=pipe, stderr=pipe, text=True)

    def apply(self, *flags: str) -> tuple[int, dict[str, Any], str]:
        """Exit code, the document on stdout, what stands on stderr."""
        process = self.start("--json", *flags)
        out, err = process.communicate(timeout=DEADLINE)
        return process.returncode, json.loads(out), err

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RUNWAYML", "FLOWRUN"))}
        more = {"RUNWAYML_BASE_URL": self.served.url, "RUNWAYML_API_SECRET": KEY} if self.served else {}
        return kept | more

    def until(self, true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
        """Wait on a condition, with a deadline; or until the process is done."""
        end = time.monotonic() + DEADLINE
        while not true() and process.poll() is None:
            assert time.monotonic() < end, "the moment never came"
            time.sleep(PATIENCE)

    # -- the sandbox

    def report(self) -> dict[str, Any]:
        if self.served is not None:
            return self.served.report()
        state = SqliteState(self.root / ".flowrun/sandbox/api")
        try:
            return Sandbox(state).report()
        finally:
            state.close()

    @property
    def submissions(self) -> int:
        if self.served is None and not (self.root / ".flowrun/sandbox/api").exists():
            return 0
        return len(self.report()["submissions"])

    def seen(self, what: str) -> int:
        """Submissions accepted, or requests of one kind answered."""
        if what == "submissions" or not self.submissions:
            return self.submissions
        return int(self.report()["requests"].get(what, 0))
