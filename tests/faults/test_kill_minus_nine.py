"""The real program, killed by SIGKILL at many moments of an apply, and interrupted by SIGINT and SIGTERM; then applied again.

The sandbox lives in its own state on disk, as the API would: it counts what it accepted.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowrun.media.probe import probe
from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import SqliteState

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
    def __init__(self, root: Path, scenario: str = SCENARIO) -> None:
        (root / ".git").mkdir(parents=True)
        self.root = root
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
        return {name: value for name, value in os.environ.items() if not name.startswith(("RUNWAYML", "FLOWRUN"))}

    def start(self, *flags: str) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "flowrun", "apply", "flow.yaml", *flags]
        pipe = subprocess.PIPE
        return subprocess.Popen(line, cwd=self.root, env=self.environ, stdout=pipe, stderr=pipe, text=True)

    def apply(self, *flags: str) -> tuple[int, dict[str, Any], str]:
        process = self.start("--scenario", "scenario.yaml", "--json", *flags)
        out, err = process.communicate(timeout=DEADLINE)
        return process.returncode, json.loads(out), err

    def report(self) -> dict[str, Any]:
        state = SqliteState(self.root / ".flowrun/sandbox/api")
        try:
            return Sandbox(state).report()
        finally:
            state.close()

    @property
    def submissions(self) -> int:
        return len(self.report()["submissions"]) if (self.root / ".flowrun/sandbox/api").exists() else 0

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


@pytest.mark.parametrize(("what", "number"), MOMENTS)
def test_kill_minus_nine_and_apply_again(tmp_path: Path, what: str, number: int) -> None:
    project = Project(tmp_path / "p")
    process = project.start("--scenario", "scenario.yaml", "--quiet")
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
def test_interrupt_keeps_what_is_in_flight(tmp_path: Path, number: signal.Signals, code: int) -> None:
    project = Project(tmp_path / "p")
    process = project.start("--scenario", "scenario.yaml")
    project.until(lambda: project.submissions >= 1, process)
    process.send_signal(number)
    _, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == code, err
    assert "Traceback" not in err
    code_after, document, _ = project.apply()
    assert code_after == 0
    assert project.submissions == 4
    assert document["submitted"] == 4 - 1


def test_killed_between_request_and_answer_is_uncertain_and_each_named_command_works(tmp_path: Path) -> None:
    slow = SCENARIO + "faults: [{on: text_to_image, match: {nth: 1}, do: {delay: 30}}]\n"
    project = Project(tmp_path / "p", slow)
    process = project.start("--scenario", "scenario.yaml")
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


def test_the_resend_that_the_message_names_works(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", SCENARIO + "faults: [{on: text_to_image, match: {nth: 1}, do: {lost: after}}]\n")
    code, _, err = project.apply()
    assert code == 6
    resend, _ = _commands(err)
    done = project.run(resend)
    assert done.returncode == 0, done.stderr
    assert project.submissions == 5
