"""Commands that only look write nothing and wait for nobody: a folder stays as it was, and whoever holds the write locks of
ledger and index, for however long, is not noticed."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from flowrun.engine import events as ev
from flowrun.ledger import opening
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.production import owner
from flowrun.production.costs import By, costs
from flowrun.production.exits import Exit
from flowrun.production.in_flight import in_flight
from flowrun.production.options import Surroundings
from flowrun.production.production import Production
from flowrun.production.queries import exported, past_runs, show_anything
from flowrun.store import index
from tests.support.http_sandbox import QUICK
from tests.support.stage import Stage

FLOW = """
    flowrun: 1
    name: look
    nodes:
      still:
        foreach: [fox, owl]
        uses: text_to_image
        with: {model: gen4_image, promptText: "a {{ each.key }}", ratio: "1280:720"}
    outputs: {stills: "{{ nodes.still.outputs }}"}
"""
LEDGER, INDEX, LOCK = "ledgers/in-process.sqlite3", "index.sqlite3", "index.lock"


class Clock:
    """One that stands; nothing has to wait here."""

    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("a reader waits")


def around(stage: Stage) -> Surroundings:
    environ = {"FLOWRUN_STATE_DIR": str(stage.root.parent / "state"), **stage.environ}
    return Surroundings(environ=environ, cwd=stage.root, clock=Clock(stage.now))


def production(stage: Stage) -> Production:
    return Production(stage.path, stage.options(), around(stage))


Look = Callable[[Stage], Any]
LOOKS: dict[str, Look] = {
    "status": lambda stage: in_flight(stage.options(), around(stage)),
    "runs": lambda stage: past_runs(None, 20, stage.options(), around(stage)),
    "show-node": lambda stage: show_anything(stage.path, "still[fox]", stage.options(), around(stage)),
    "show-run": lambda stage: show_anything(Path(newest(stage)), None, stage.options(), around(stage)),
    "plan": lambda stage: production(stage).plan(),
    "propose": lambda stage: production(stage).propose(),
    "cost": lambda stage: costs(None, [By.MODEL], None, None, stage.options(offline=True), around(stage)),
    "outputs": lambda stage: exported(production(stage)),
}
OF_NOTHING = [name for name in LOOKS if not name.startswith("show")]  # there is nothing to show


def newest(stage: Stage) -> str:
    return past_runs(None, 1, stage.options(), around(stage))[0].id


def tree(root: Path) -> dict[str, bytes]:
    """Every file below, but for the shared memory of SQLite's readers, and the emulated API, which counts what it is asked."""
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and "-shm" not in path.name]
    return {str(path): path.read_bytes() for path in files if path.parent.name != "api"}


@pytest.mark.parametrize("name", OF_NOTHING)
def test_a_folder_without_a_store_stays_one(tmp_path: Path, name: str) -> None:
    stage = Stage(tmp_path / "project", FLOW)
    stage.options()
    before = tree(tmp_path)
    LOOKS[name](stage)
    assert tree(tmp_path) == before
    assert sorted(path.name for path in stage.root.iterdir()) == [".git", "flow.yaml", "scenario.yaml"]


@pytest.mark.parametrize("name", ["status", "runs", "plan", "cost", "outputs"])
def test_with_a_key_and_no_store_nothing_is_made_either(tmp_path: Path, name: str) -> None:
    stage = Stage(tmp_path / "project", FLOW, sandbox_flag=False, environ={"RUNWAYML_API_SECRET": "key_" + "0a" * 64})
    before = tree(tmp_path)
    LOOKS[name](stage)
    assert tree(tmp_path) == before
    assert not (tmp_path / "state").exists()


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A project with a run behind it, and one that was killed: a task in flight, and a request without an answer."""
    stage = Stage(tmp_path / "project", FLOW)
    assert stage.apply().exit is Exit.DONE
    stage.edit("[fox, owl]", "[fox, owl, hare, elk]")
    stage.scenario = "faults: [{on: text_to_image, match: {nth: 1}, do: {lost: before}}]\n"
    with monkeypatch.context() as killed:
        killed.setattr(SqliteLedger, "retire", lambda *_: None)
        for refuse in ("lost", "refused", "release"):
            killed.setattr(SqliteLedger, refuse, lambda *_: None)
        stage.on_event = lambda interrupt, event: interrupt(130) if isinstance(event, ev.Submitted) else None
        stage.apply()
    stage.on_event = None
    monkeypatch.setattr(owner, "_lives", lambda pid: False)
    return stage


@contextmanager
def held(store: Path) -> Iterator[None]:
    """Somebody else has every lock there is, and does not let go."""
    with ExitStack() as stack:
        for name in (LEDGER, INDEX):
            other = stack.enter_context(closing(sqlite3.connect(store / name, isolation_level=None)))
            other.execute("BEGIN IMMEDIATE")
        lock = stack.enter_context((store / LOCK).open("ab"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize("name", LOOKS)
def test_who_looks_waits_for_nobody(left: Stage, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def waits(path: Path) -> None:
        raise AssertionError(f"a reader waits for {path}")

    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.0)  # whoever had to wait fails
    monkeypatch.setattr(index, "_PATIENCE", 0.0)
    monkeypatch.setattr(index, "_exclusively", waits)
    before = tree(left.root)
    with held(left.root / ".flowrun/sandbox"):
        LOOKS[name](left)
    assert tree(left.root) == before


def test_the_status_tells_what_a_killed_process_left_without_reaping_it(left: Stage) -> None:
    (found,) = in_flight(left.options(), around(left))
    assert (len(found.tasks), len(found.uncertain)) == (1, 1)
    with closing(SqliteLedger(left.root / ".flowrun/sandbox" / LEDGER, lambda: left.now, reading=True)) as ledger:
        assert ledger.uncertain() == (), "nobody reaped"
        assert len(ledger.owners()) == 1


def test_a_request_of_a_live_process_is_on_its_way_and_not_uncertain(
    left: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, "_lives", lambda pid: True)
    assert [len(each.uncertain) for each in in_flight(left.options(), around(left))] == [0]
    left.now += 61.0
    assert [len(each.uncertain) for each in in_flight(left.options(), around(left))] == [1], "it beats no more"


def test_a_reader_builds_an_index_that_is_gone_for_itself(left: Stage) -> None:
    for path in (left.root / ".flowrun/sandbox").glob("index.sqlite3*"):
        path.unlink()
    assert LOOKS["show-node"](left).result.model == "gen4_image"
    assert past_runs(None, 20, left.options(), around(left)) == ()
    assert not (left.root / ".flowrun/sandbox" / INDEX).exists()


# -- the real program


@pytest.mark.long
def test_the_program_answers_while_every_lock_is_held(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "project", FLOW)
    flags = ["--scenario", str(stage.root / "scenario.yaml")]
    (stage.root / "scenario.yaml").write_text(QUICK)
    assert asked(stage, "apply", "flow.yaml", *flags)["exit"] == 0
    (run,) = asked(stage, "runs", *flags)
    with held(stage.root / ".flowrun/sandbox"):
        assert asked(stage, "status", *flags) == {"open": [], "uncertain": []}
        assert [row["id"] for row in asked(stage, "runs", *flags)] == [run["id"]]
        assert asked(stage, "show", run["id"], *flags)["id"] == run["id"]
        assert asked(stage, "show", "flow.yaml", "still[fox]", *flags)["model"] == "gen4_image"
        assert {step["decision"] for step in asked(stage, "plan", "flow.yaml", *flags)["steps"]} == {"hit"}
        assert asked(stage, "cost", "--offline", *flags)["total"]["sent"] == 2
        assert len(asked(stage, "outputs", "flow.yaml", *flags)) == 2


def asked(stage: Stage, *words: str) -> Any:
    """What a command of a process of its own prints; fails where it takes as long as a waiting one would."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RUNWAYML", "FLOWRUN"))}
    line = [sys.executable, "-m", "flowrun", *words, "--json"]
    deadline = min(opening.BUSY_SECONDS, index._PATIENCE) - 5.0
    done = subprocess.run(line, cwd=stage.root, env=kept, capture_output=True, text=True, timeout=deadline, check=True)
    return json.loads(done.stdout)
