"""The real program over HTTP: hung up on, interrupted and killed, with `--cancel-on-interrupt`, `cancel` and `collect`.

The server counts what it accepted and deleted: no finished task is ever deleted.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.project import DEADLINE, Project
from tests.faults.test_kill_minus_nine import FLOW
from tests.support.http_sandbox import process as serving
from tests.support.http_sandbox import until

pytestmark = pytest.mark.long

LONG_SHOTS = "media: tiny\ndurations: {gen4_image: 0.5, gen4_turbo: 300}\npoll: 0.1\n"
SHORT_SHOTS = "media: tiny\ndurations: {gen4_image: 0.5, gen4_turbo: 3}\npoll: 0.1\n"
SENT, POLLED = ("submissions", 4), ("tasks", 16)  # all are accepted; the shots have been asked after, too


@pytest.fixture(params=[LONG_SHOTS])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    with serving(scenario=request.param) as served:
        yield Project(tmp_path / "p", FLOW, request.param, served)


def deletions(project: Project) -> int:
    report = project.report()
    lost = [task for task, each in report["tasks"].items() if each["removed"] and each["status"] != "CANCELLED"]
    assert not lost, f"finished tasks were deleted: {lost}"
    return int(report["requests"].get("cancel", 0))


def stopped(project: Project, number: signal.Signals, *flags: str, at: tuple[str, int] = SENT) -> tuple[int, str]:
    """An apply that gets the signal once so many requests of a kind were answered; its exit code and what it said."""
    process = project.start(*flags)
    project.until(lambda: project.seen(at[0]) >= at[1], process)
    process.send_signal(number)
    _, err = process.communicate(timeout=DEADLINE)
    assert "Traceback" not in err
    return process.returncode, err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 143), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_cancel_on_interrupt(project: Project, number: signal.Signals, code: int) -> None:
    ended, err = stopped(project, number, "--cancel-on-interrupt")
    assert ended == code, err
    assert "Cancelled at the API: shot[" in err
    assert deletions(project) == 3
    status = json.loads(project.run(["status", "--json"]).stdout)
    assert status == {"open": [], "uncertain": []}


def test_cancel_after_a_kill_of_one_run_by_its_beginning(project: Project) -> None:
    stopped(project, signal.SIGKILL, at=POLLED)
    (run, *_) = json.loads(project.run(["runs", "--json"]).stdout)
    done = project.run(["cancel", run["id"][:18], "--json"])
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    fates = [each["fate"] for each in document["tasks"]]
    assert set(fates) == {"cancelled"}
    assert len(fates) + len(document["uncertain"]) == 3, "the last answer may not have been written down yet"
    assert deletions(project) == len(fates)
    assert project.run(["cancel"]).stdout.startswith("There is nothing to cancel")


@pytest.mark.parametrize("project", [SHORT_SHOTS], indirect=True)
def test_collect_without_the_manifest(project: Project) -> None:
    ended, err = stopped(project, signal.SIGINT)
    assert ended == 130, err
    assert "or cancel them:  flowrun cancel " in err
    manifest = project.root / "flow.yaml"
    text = manifest.read_text()
    manifest.unlink()

    def is_collected() -> bool:
        done = project.run(["collect"])
        assert done.returncode == 0, done.stderr
        return done.stdout.startswith("Nothing is in flight")

    until(is_collected, "everything is collected", DEADLINE)
    manifest.write_text(text)
    code, document, err = project.apply()
    assert (code, document["submitted"], project.submissions) == (0, 0, 4), err
    assert deletions(project) == 0
