"""The real program, killed by SIGKILL at many moments of an apply, and interrupted by SIGINT and SIGTERM; then applied again.

The sandbox lives in its own state on disk, or in a server of its own, as the API would: it counts what it accepted.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from flowrun.media.probe import probe
from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import SqliteState
from tests.support.http_sandbox import KEY, HttpSandbox
from tests.support.http_sandbox import process as serving

pytestmark = pytest.mark.long

FLOW = """
flowrun: 1
name: killed
nodes:
  hero:
    uses: text_to_image
    with: {model: gen4_image, promptText: a fox, ratio: "1280:720"}
  shot:
    foreach: 3
    uses: image_to_video
    with:
      model: gen4_turbo
      promptImage: "{{ nodes.hero.output }}"
      promptText: "shot {{ each.key }}"
      ratio: "1280:720"
      duration: 5
outputs: {shots: "{{ nodes.shot.outputs }}"}
"""
SCENARIO = "media: tiny\ndurations: {default: 1.0}\npoll: 0.1\n"
DEADLINE = 60.0


class Project:
    """A folder with a manifest, and the sandbox that its applies speak to: in their process, or `served` over HTTP."""

    def __init__(self, root: Path, scenario: str = SCENARIO, served: HttpSandbox | None = None) -> None:
        (root / ".git").mkdir(parents=True)
        self.root, self.served = root, served
        (root / "flow.yaml").write_text(FLOW)
        (root / "scenario.yaml").write_text(scenario)

    def run(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        """A command as it was printed, typed again."""
        line = [sys.executable, "-m", "flowrun", *arguments]
        return subprocess.run(
            line, cwd=self.root, env=self.environ, capture_output=True, text=True, timeout=DEADLINE, check=False
        )

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RUNWAYML", "FLOWRUN"))}
        more = {"RUNWAYML_BASE_URL": self.served.url, "RUNWAYML_API_SECRET": KEY} if self.served else {}
        return kept | more

    def start(self, *flags: str) -> subprocess.Popen[str]:
        provider = [] if self.served else ["--scenario", "scenario.yaml"]
        line = [sys.executable, "-m", "flowrun", "apply", "flow.yaml", *provider, *flags]
        pipe = subprocess.PIPE
        return subprocess.Popen(line, cwd=self.root, env=self.environ, stdout=pipe, stderr=pipe, text=True)

    def apply(self, *flags: str) -> tuple[int, dict[str, Any], str]:
        process = self.start("--json", *flags)
        out, err = process.communicate(timeout=DEADLINE)
        return process.returncode, json.loads(out), err

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

    def until(self, true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
        """Wait on a condition, with a deadline; or until the process is done."""
        end = time.monotonic() + DEADLINE
        while not true() and process.poll() is None:
            assert time.monotonic() < end, "the moment never came"
            time.sleep(0.01)


def _settle(project: Project) -> int:
    """Apply until done, with a person's word where one is needed; nothing may be sent twice unasked. How many words it took:
    several requests may have been on the wire when the process died."""
    before = project.submissions
    code, document, err = project.apply()
    names: list[str] = []
    if code == 6:
        assert "--resend" in err
        assert "forget" in err
        assert project.submissions == before + document["submitted"]
        names = [each["address"] for each in document["troubles"] if each["verdict"] == "doubt"]
        code, document, _ = project.apply(*(flag for name in names for flag in ("--resend", name)))
    assert code == 0, err
    return len(names)


def _commands(text: str) -> list[list[str]]:
    """The commands that a message names, each once, as arguments."""
    lines = dict.fromkeys(re.findall(r"flowrun (?:apply|forget) .*", text))
    return [shlex.split(line)[1:] for line in lines]


MOMENTS = [("submissions", number) for number in range(5)]
MOMENTS += [("tasks", number) for number in (2, 8, 14)]  # while polling
MOMENTS += [("download", number) for number in (1, 2, 4)]  # while collecting


MakeProject = Callable[..., Project]


@pytest.fixture(params=["in-process", "http"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeProject]:
    """Makes the test's project, and the server that it needs."""
    with ExitStack() as servers:

        def make(scenario: str = SCENARIO) -> Project:
            over_http = request.param == "http"
            served = servers.enter_context(serving(scenario=scenario)) if over_http else None
            return Project(tmp_path / "p", scenario, served)

        yield make


@pytest.mark.parametrize(("what", "number"), MOMENTS)
def test_kill_minus_nine_and_apply_again(make: MakeProject, tmp_path: Path, what: str, number: int) -> None:
    project = make()
    process = project.start("--quiet")
    project.until(lambda: project.seen(what) >= number, process)
    process.kill()
    process.communicate(timeout=DEADLINE)
    words = _settle(project)
    accepted = [(each["operation"], each["prompt"]) for each in project.report()["submissions"]]
    assert len(accepted) - len(set(accepted)) <= words, "only a person's resend may repeat a request"
    files = sorted((tmp_path / "p/out/sandbox/killed/shots").iterdir())
    assert [file.name for file in files] == ["1.mp4", "2.mp4", "3.mp4"]
    assert all(probe(file).kind.value == "video" for file in files)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupt_keeps_what_is_in_flight(make: MakeProject, number: signal.Signals, code: int) -> None:
    project = make()
    process = project.start()
    project.until(lambda: project.submissions >= 1, process)
    process.send_signal(number)
    _, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == code, err
    assert "Traceback" not in err
    code_after, document, _ = project.apply()
    assert code_after == 0
    assert project.submissions == 4
    assert document["submitted"] == 4 - 1


def test_killed_between_request_and_answer_is_uncertain_and_each_named_command_works(make: MakeProject) -> None:
    slow = SCENARIO + "faults: [{on: text_to_image, match: {nth: 1}, do: {delay: 30}}]\n"
    project = make(slow)
    process = project.start()
    project.until(lambda: project.submissions >= 1, process)
    process.kill()
    process.communicate(timeout=DEADLINE)
    code, document, err = project.apply()
    assert (code, document["submitted"]) == (6, 0)
    resend, forget = _commands(err)
    assert resend[0] == "apply"
    assert forget[0] == "forget"
    forgotten = project.run(forget)
    assert forgotten.returncode == 0, forgotten.stderr
    assert project.run(forget).returncode == 2, "it is settled: there is nothing to forget any more"
    code, document, err = project.apply()
    assert (code, document["submitted"]) == (0, 4), err


def test_the_resend_that_the_message_names_works(make: MakeProject) -> None:
    project = make(SCENARIO + "faults: [{on: text_to_image, match: {nth: 1}, do: {lost: after}}]\n")
    code, _, err = project.apply()
    assert code == 6
    resend, _ = _commands(err)
    done = project.run(resend)
    assert done.returncode == 0, done.stderr
    assert project.submissions == 5
