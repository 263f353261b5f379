"""A command whose streams are closed or full, and words that are no text: never a traceback, never a bug's exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.console import TINY, Console

ONE = """
flowrun: 1
name: one
nodes: {fox: {uses: text_to_image, with: {model: gen4_image, promptText: a fox, ratio: "1280:720"}}}
outputs: {fox: "{{ nodes.fox.output }}"}
"""
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Console:
    console = Console(tmp_path, capsys)
    console.file("one.yaml", ONE)
    return console


def shell(root: Path, words: str, end: str) -> subprocess.CompletedProcess[bytes]:
    """As a person types it, with the streams as `end` has them."""
    (root / "scenario.yaml").write_text(TINY)
    line = f'exec "$0" -m flowrun {words} {end}'
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("RUNWAYML", "FLOWRUN"))}
    return subprocess.run(
        ["/bin/sh", "-c", line, sys.executable], cwd=root, env=environ, capture_output=True, check=False
    )


@pytest.mark.parametrize("end", ["2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing(project: Console, end: str) -> None:
    done = shell(project.root, "apply one.yaml --scenario scenario.yaml", end)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert (project.root / "out/sandbox/one/fox.png").is_file()


@needs_full
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("plan one.yaml --scenario scenario.yaml --json", 7),
        ("validate nothing.yaml --json", 2),
        ("plan --nothing --json", 2),
    ],
)
def test_a_full_stdout_is_told_on_stderr(project: Console, words: str, code: int) -> None:
    done = shell(project.root, words, ">/dev/full")
    assert done.returncode == code
    assert done.stderr
    assert b"Traceback" not in done.stderr


@needs_full
def test_a_full_disk_for_events_is_named_and_ends_no_run(project: Console) -> None:
    said = project("apply", "one.yaml", "--scenario", "scenario.yaml", "--events", str(FULL))
    assert said.code == 7
    assert "--events: No space left on device (/dev/full)" in said.err
    assert (project.root / "out/sandbox/one/fox.png").is_file()


@pytest.mark.parametrize("json", [(), ("--json",)])
def test_a_word_that_is_no_text_is_named(project: Console, json: tuple[str, ...]) -> None:
    said = project("apply", os.fsdecode(b"h\xe9.yaml"), *json)
    assert said.code == 2
    assert "'h\\xe9.yaml' on the command line is not UTF-8; nothing ran" in said.err
