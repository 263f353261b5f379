"""Completion in real processes: as a shell asks, and in bash itself. And `doctor` and the log, as typed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest
from click.shell_completion import ShellComplete

from flowrun.cli import completing
from flowrun.cli.completion import SHELLS
from flowrun.cli.main import cli
from tests.cli.console import Console
from tests.cli.test_commands import FLOW

FANNED = """flowrun: 1
vars: {n: {type: integer, default: 2}}
profiles: {draft: {}, final: {}}
nodes:
  hero:
    foreach: "{{ vars.n }}"
    uses: text_to_image
    with: {model: gen4_image, promptText: "fox {{ each.key }}", ratio: "1280:720"}
  odd:
    foreach: ["a b"]
    uses: text_to_image
    with: {model: gen4_image, promptText: "fox", ratio: "1280:720"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "flow.yaml").write_text(FANNED)
    (tmp_path / "broken.yaml").write_text(
        "flowrun: 1\nprofiles: {rough: {}}\nnodes: {hero: {}, other: {uses: nothing}}\n"
    )
    (tmp_path / "notes.txt").touch()
    (tmp_path / "data.json").touch()
    (tmp_path / "kept.plan.json").touch()
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "one.yml").touch()
    (tmp_path / ".hidden.yaml").touch()
    return tmp_path


def offered(folder: Path, line: str) -> list[str]:
    """What is offered for the last word of a command line."""
    environ = {**os.environ, "_FLOWRUN_COMPLETE": "bash_complete", "COMP_WORDS": line}
    environ["COMP_CWORD"] = str(len(line.split(" ")) - 1)
    environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", "from flowrun.cli.main import entry; entry()"],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return [each.removeprefix("plain,") for each in done.stdout.split()]


def test_commands_options_and_files(folder: Path) -> None:
    assert {"doctor", "completion"} <= set(offered(folder, "flowrun "))
    assert "--profile" in offered(folder, "flowrun apply --prof")
    assert offered(folder, "flowrun apply ") == ["broken.yaml", "films/", "flow.yaml", "kept.plan.json"]
    assert offered(folder, "flowrun validate films/") == ["films/one.yml"]
    assert offered(folder, "flowrun plan .h") == [".hidden.yaml"]
    assert offered(folder, "flowrun plan nowhere/") == []
    assert offered(folder, "flowrun schema plan") == ["plan-1"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("flowrun apply flow.yaml --profile ", ["draft", "final"]),
        ("flowrun apply flow.yaml --profile f", ["final"]),
        ("flowrun apply broken.yaml --profile ", ["rough"]),
        ("flowrun apply --profile ", []),
        ("flowrun forget flow.yaml h", ["hero", "hero[1]", "hero[2]"]),
        ("flowrun adopt flow.yaml o", ["odd"]),
        ("flowrun show broken.yaml ", ["hero", "other"]),
        ("flowrun plan flow.yaml --var n=3 --force hero[", ["hero[1]", "hero[2]", "hero[3]"]),
        ("flowrun plan flow.yaml --select hero[1],+o", ["hero[1],+odd"]),
        ("flowrun forget missing.yaml ", []),
        ("flowrun schema plan", ["plan-1"]),
        ("flowrun completion ", ["bash", "fish", "zsh"]),
        ("flowrun apply ", ["broken.yaml", "films/", "flow.yaml", "kept.plan.json"]),
        ("flowrun runs films/", ["films/one.yml"]),
        ("flowrun runs nowhere/", []),
        ("flowrun plan long.yaml --profile ", []),
    ],
)
def test_values(folder: Path, line: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(completing, "PATIENCE", 60.0)
    monkeypatch.setattr(completing, "LARGEST", len(FANNED))
    if "long" in line:
        (folder / "long.yaml").write_text(FANNED + "# and more")
    asking = ShellComplete(cli, {}, "flowrun", "_FLOWRUN_COMPLETE")
    *before, last = line.split(" ")
    assert [each.value for each in asking.get_completions(before[1:], last)] == words


def test_who_looks_too_long_is_not_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = Event()
    monkeypatch.setattr(completing, "PATIENCE", 0.2)
    monkeypatch.setattr(completing, "_addresses", lambda ctx: released.wait(60) and ["late"])
    monkeypatch.chdir(folder)
    found = ShellComplete(cli, {}, "flowrun", "_FLOWRUN_COMPLETE").get_completions(["forget", "flow.yaml"], "")
    released.set()
    assert [each.value for each in found] in (["hero", "odd"], [])  # nothing late, whatever the machine is busy with


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_its_script(console: Console, shell: str) -> None:
    said = console("completion", shell)
    assert (said.code, said.err) == (0, "")
    assert "_FLOWRUN_COMPLETE" in said.out
    assert f"{shell}_complete" in said.out
    program = shutil.which(shell)
    if program is not None:
        done = subprocess.run([program, "-n"], input=said.out, text=True, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_another_shell_is_refused_with_the_names(console: Console) -> None:
    said = console("completion", "tcsh")
    assert said.code == 2
    assert "bash, zsh, fish" in said.err


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_itself_completes(folder: Path) -> None:
    (folder / "clip[1].yaml").touch()
    (folder / "clip1.yaml").touch()  # which clip[1].yaml would match, were it taken as a pattern
    binary = folder / "bin"
    binary.mkdir()
    (binary / "flowrun").write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "from flowrun.cli.main import entry; entry()" "$@"\n'
    )
    (binary / "flowrun").chmod(0o755)
    script = """
        source <(flowrun completion bash)
        COMP_WORDS=(flowrun apply 'clip[') COMP_CWORD=2
        _flowrun_completion flowrun 2>/dev/null
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    path = f"{binary}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "PYTHONPATH": str(Path(__file__).parents[2])}
    bash = ["bash", "--norc", "-c", script]
    done = subprocess.run(bash, cwd=folder, env=environ, text=True, capture_output=True, timeout=60, check=False)
    assert done.stdout.split() == ["clip[1].yaml"]


def test_doctor_as_typed(console: Console) -> None:
    said = console("doctor", "--offline")
    assert said.code == 0
    assert "warning  key" in said.out
    assert said.out.rstrip().endswith("there is 1 warning.")
    document = console("doctor", "--offline", "--json").document
    assert document["exit"] == 0
    assert {"name", "status", "found", "advice"} == set(document["findings"][0])
    sick = console("doctor", "--offline", RUNWAYML_API_SECRET="nonsense")
    assert sick.code == 7


def test_the_log_is_told_where_it_helps(console: Console) -> None:
    console.file("flow.yaml", FLOW)
    flags = ("apply", "flow.yaml", "--scenario", "scenario.yaml")
    said = console(*flags, "--json", "--var", "animal=wolf")
    log = Path(said.document["log"])
    assert "Log:" not in said.err
    assert f"Log: {log.parent.relative_to(console.root)}" in console(*flags, "-v").err
    text = log.read_text()
    assert 'command line="flowrun apply flow.yaml --scenario scenario.yaml --json --var animal=wolf"' in text
    console.file("flow.yaml", FLOW.replace("a {{", "one {{"))
    over = console(*flags, "--max-credits", "1")
    assert over.code == 3
    assert "Log: .flowrun/logs/" in over.err


def test_a_bug_is_reported_in_the_project_with_the_runs_log(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    console.file("films/flow.yaml", FLOW)
    console.file("films/flowrun.toml", "")

    def broken(*args: object) -> None:
        raise LookupError("nobody foresaw this")

    monkeypatch.setattr("flowrun.production.applying.export_all", broken)
    said = console("apply", "films/flow.yaml", "--scenario", "scenario.yaml", "--quiet")
    assert said.code == 70
    assert "a report is in films/.flowrun/logs/bug-" in said.err
    assert "the run's log is films/.flowrun/logs/2" in said.err
    report = next((console.root / "films" / ".flowrun" / "logs").glob("bug-*.txt"))
    assert "the run's log: " in report.read_text()


def test_a_notify_command_that_fails_is_a_warning(console: Console) -> None:
    console.file("flow.yaml", FLOW)
    command = json.dumps("echo it broke; exit 9")
    console.file("flowrun.toml", f"[notify]\ncommand = {command}\n")
    said = console("apply", "flow.yaml", "--scenario", "scenario.yaml", "--quiet")
    assert said.code == 0
    assert said.err == "warning: the notify command ended with exit code 9; the run's outcome stands:\nit broke\n"
