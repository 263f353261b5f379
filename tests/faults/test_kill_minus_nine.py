"""The real program, killed by SIGKILL at many moments of an apply, and interrupted by SIGINT and SIGTERM; then applied again.

The sandbox lives in its own state on disk, or in a server of its own, as the API would: it counts what it accepted.
"""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from flowrun.media.probe import probe
from tests.faults.project import DEADLINE, Project
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
            return Project(tmp_path / "p", FLOW, scenario, served)

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
