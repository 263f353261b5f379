"""The real program, killed in the middle of a production, and its ledger's file destroyed: the next apply mends it and pays
nothing twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flowrun.ledger.location import ledger_path
from tests.faults.project import DEADLINE, Project
from tests.faults.test_kill_minus_nine import FLOW, SCENARIO

pytestmark = pytest.mark.long
SLOW = SCENARIO.replace("default: 1.0", "default: 4.0")


def ledger_of(project: Project) -> Path:
    return ledger_path(project.root / ".flowrun/sandbox", "in-process")


def overwrite(path: Path) -> None:
    path.write_bytes(b"garbage " * 4096)


def delete(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


@pytest.mark.parametrize("damage", [overwrite, delete])
@pytest.mark.parametrize("number", [1, 3, 4])
def test_killed_and_its_ledger_destroyed(tmp_path: Path, number: int, damage: Callable[[Path], None]) -> None:
    project = Project(tmp_path / "p", FLOW, SLOW)
    process = project.start("--quiet")
    project.until(lambda: project.submissions >= number, process)
    process.kill()
    process.communicate(timeout=DEADLINE)
    damage(ledger_of(project))
    said = project.run(["plan", "flow.yaml", "--scenario", "scenario.yaml"])
    assert said.returncode == 5
    assert "flowrun apply FILE sets it aside and rebuilds it" in said.stderr
    before = project.submissions
    code, document, err = project.apply()
    assert code in (0, 6), err
    assert "Traceback" not in err
    assert "was damaged" in document["warnings"][0]
    if code == 6:
        names = [each["address"] for each in document["troubles"] if each["verdict"] == "doubt"]
        assert project.submissions == before + document["submitted"]
        assert project.apply(*(flag for name in names for flag in ("--resend", name)))[0] == 0
        return
    assert project.submissions == 4


def test_a_second_one_leaves_the_ledger_to_the_first(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", FLOW, SCENARIO.replace("default: 1.0", "default: 20.0"))
    first = project.start("--json")
    project.until(lambda: project.submissions >= 1, first)
    overwrite(ledger_of(project))
    second = project.start("--json")
    out, err = second.communicate(timeout=DEADLINE)
    assert second.returncode == 5, err
    assert "another flowrun is at work with it" in json.loads(out)["error"]["message"]
    assert "wait until that one has ended" in err
    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=DEADLINE)
    assert first.returncode in (5, 130), err
    assert "Traceback" not in err
    (project.root / "scenario.yaml").write_text(SCENARIO)
    code, document, err = project.apply()
    assert code == 0, err
    assert "was damaged" in document["warnings"][0]
    assert project.submissions == 4


def test_a_gap_is_told_and_the_named_command_goes_on(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", FLOW, SLOW)
    process = project.start("--quiet")
    project.until(lambda: project.submissions >= 1, process)
    process.kill()
    process.communicate(timeout=DEADLINE)
    overwrite(ledger_of(project))
    for each in (project.root / ".flowrun/sandbox/journals").iterdir():
        each.unlink()
    line = [sys.executable, "-m", "flowrun", "apply", "flow.yaml", "--scenario", "scenario.yaml"]
    for more, code in (([], 5), (["--accept-gaps"], 0)):
        done = subprocess.run(
            [*line, *more],
            cwd=project.root,
            env=project.environ,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert "may be unknown, and would be paid again" in done.stderr
    health = project.run(["doctor", "--offline", "--sandbox", "--json"])
    names = [each["name"] for each in json.loads(health.stdout)["findings"]]
    assert "ledger copies" in names
    assert "ledger gaps" not in names
