"""The command that is told of a run's end: what it is told, what it is not, and that it can do no harm."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from flowrun.engine.events import Event
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.notify import MOST_OUTPUT, Facts, Notified, notify
from flowrun.production.options import Options, Surroundings
from flowrun.production.production import Production
from tests.production.test_main_path import CHAIN
from tests.production.test_run_logs import KEY, ONE, leaks
from tests.support.http_sandbox import until
from tests.support.stage import Stage

TELL = "import json, os, sys; json.dump({'env': dict(os.environ), 'in': json.load(sys.stdin)}, open('told.json', 'w'))"
COMMAND = shlex.join([sys.executable, "-c", TELL])


def facts(project: Path) -> Facts:
    return Facts("run", 1, "flow", "", "sandbox", project, 2, 30, "flow: 1 failed", None, {"a": "ü"})


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def configured(stage: Stage, command: str) -> Stage:
    (stage.root / "flowrun.toml").write_text(f"[notify]\ncommand = {json.dumps(command)}\n", encoding="utf-8")
    return stage


def told(stage: Stage) -> Any:
    return json.loads((stage.root / "told.json").read_text(encoding="utf-8"))


def test_it_is_told_what_happened_and_no_secret(tmp_path: Path) -> None:
    environ = {"CLIENT": "canary-4711", "RUNWAYML_API_SECRET": KEY, "ELSE": "kept"}
    stage = configured(Stage(tmp_path, ONE, environ=environ), COMMAND)
    done = stage.apply()
    assert (done.exit, done.warnings) == (Exit.DONE, [])
    heard = told(stage)
    env = heard["env"]
    assert {name: env[name] for name in env if name.startswith("FLOWRUN_")} == {
        "FLOWRUN_RUN": done.run,
        "FLOWRUN_EXIT": "0",
        "FLOWRUN_FLOW": "one",
        "FLOWRUN_PROFILE": "",
        "FLOWRUN_PROVIDER": "sandbox",
        "FLOWRUN_PROJECT": str(tmp_path),
        "FLOWRUN_SUBMITTED": "1",
        "FLOWRUN_CREDITS": str(done.summary.credits),
        "FLOWRUN_SUMMARY": f"one: 1 succeeded; {done.summary.credits} credits; exit 0",
        "FLOWRUN_LOG": str(done.log),
    }
    assert env["ELSE"] == "kept"
    assert not {"CLIENT", "RUNWAYML_API_SECRET"} & set(env)
    assert heard["in"]["exits"] == [0]
    assert heard["in"]["submitted"] == 1
    assert not leaks(tmp_path, KEY, "canary-4711")


def test_it_is_told_of_a_failure_and_its_own_failure_changes_nothing(tmp_path: Path) -> None:
    fault = "faults: [{on: text_to_speech, do: {status: 400}}]\n"
    stage = Stage(tmp_path, ONE, scenario=fault, environ={"CLIENT": "canary-4711"})
    done = configured(stage, "echo code $FLOWRUN_EXIT for canary-4711; exit 3").apply()
    assert done.exit is Exit.FAILED
    assert done.warnings == [
        "the notify command ended with exit code 3; the run's outcome stands:\ncode 1 for ********"
    ]
    assert done.log is not None
    assert "    code 1 for ********" in done.log.read_text().splitlines()


def test_it_is_told_once_of_an_interrupt_and_never_of_what_did_not_begin(tmp_path: Path) -> None:
    stage = configured(Stage(tmp_path, CHAIN), "echo $FLOWRUN_EXIT >> told.txt")
    with pytest.raises(FlowrunError):
        stage.apply(confirm=lambda proposal: False)
    assert not (tmp_path / "told.txt").exists()

    def interrupt(how: Any, event: Event) -> None:
        if event.type == "submitted":
            how(Exit.INTERRUPTED)

    stage.on_event = interrupt
    assert stage.apply().exit is Exit.INTERRUPTED
    assert (tmp_path / "told.txt").read_text() == "130\n"


def test_it_is_told_of_a_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = configured(Stage(tmp_path, CHAIN), "echo $FLOWRUN_EXIT >> told.txt")

    def broken(*args: object) -> None:
        raise LookupError("nobody foresaw this")

    monkeypatch.setattr("flowrun.production.applying.export_all", broken)
    with pytest.raises(LookupError):
        stage.apply()
    assert (tmp_path / "told.txt").read_text() == "70\n"


def test_words_are_run_as_they_are(tmp_path: Path) -> None:
    done = notify((*python("import sys; print(sys.argv[1:])"), "$HOME;", "a b"), facts(tmp_path), {})
    assert done == Notified(None, "['$HOME;', 'a b']\n")


def test_a_text_is_run_by_the_shell_in_the_project(tmp_path: Path) -> None:
    done = notify('pwd; cat; echo "$X"', facts(tmp_path), {"X": "1", "PATH": "/bin:/usr/bin"})
    assert done == Notified(None, f'{tmp_path}\n{{"a": "ü"}}1\n')


def test_one_that_cannot_be_run_says_why(tmp_path: Path) -> None:
    missing = notify(("no-such-command-of-mine",), facts(tmp_path), {})
    assert missing == Notified("cannot be run: No such file or directory", "")
    odd = notify(("a\0b",), facts(tmp_path), {})
    assert odd.trouble is not None
    assert odd.trouble.startswith("cannot be run")


def test_one_that_does_not_end_is_ended(tmp_path: Path) -> None:
    began = time.monotonic()
    done = notify(python("import time; print('on it', flush=True); time.sleep(60)"), facts(tmp_path), {}, seconds=0.5)
    assert done == Notified("took longer than 0.5 s and was ended", "on it\n")
    assert time.monotonic() - began < 20


def test_what_it_prints_is_bounded_and_need_not_be_text(tmp_path: Path) -> None:
    code = f"import sys; sys.stdout.buffer.write(b'\\xff' * {MOST_OUTPUT * 3}); sys.exit(2)"
    done = notify(python(code), facts(tmp_path), {})
    assert done.trouble == "ended with exit code 2"
    assert done.output == "\ufffd" * MOST_OUTPUT


def test_nobody_has_to_wait_for_it(tmp_path: Path) -> None:
    started = time.monotonic()
    done = notify(python("import time; time.sleep(60)"), facts(tmp_path), {}, unwanted=lambda: True)
    assert done == Notified("was interrupted", "")
    assert time.monotonic() - started < 20


def test_an_interrupt_after_the_run_ends_the_command_and_changes_no_exit(tmp_path: Path) -> None:
    script = "import os, pathlib, time; pathlib.Path('began').touch(); time.sleep(60)"
    stage = configured(Stage(tmp_path, ONE), shlex.join([sys.executable, "-c", script]))
    signalled: list[Thread] = []

    def interruptible(interrupt: Callable[[int], None]) -> None:
        def when_it_waits() -> None:
            until((tmp_path / "began").exists, "the command to begin")
            interrupt(130)

        signalled.append(Thread(target=when_it_waits))
        signalled[0].start()

    around = Surroundings(environ={"CLIENT": "x"}, cwd=tmp_path)
    done = Production(stage.path, Options(sandbox=True), around).apply(interruptible=interruptible)
    signalled[0].join()
    assert (done.exit, done.warnings) == (Exit.DONE, ["the notify command was interrupted; the run's outcome stands"])
