"""The main job with the sandbox over HTTP as provider: what an apply sends, keeps and skips, as in process; and its limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flowrun.media.probe import probe
from flowrun.production.applying import Applied
from flowrun.production.exits import Exit
from flowrun.production.options import Options, Surroundings
from flowrun.production.production import Production
from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import SqliteState
from tests.examples.stage import copied
from tests.support.http_sandbox import DEADLINE, KEY, HttpSandbox, threaded
from tests.support.virtual_time import VirtualClock, offload, run_virtual

pytestmark = pytest.mark.long  # real servers and processes

FOX = "fox-trailer.yaml"
STILLS = """
flowrun: 1
name: {name}
nodes:
  still:
    foreach: {count}
    uses: text_to_image
    with: {{model: gen4_image, promptText: "{name} {{{{ each.key }}}}", ratio: "1920:1080"}}
outputs: {{stills: "{{{{ nodes.still.outputs }}}}"}}
"""


@dataclass
class Folder:
    """A project, and the server that its applies speak to."""

    root: Path
    served: HttpSandbox

    @property
    def environ(self) -> dict[str, str]:
        return {"RUNWAYML_BASE_URL": self.served.url, "RUNWAYML_API_SECRET": KEY}

    @property
    def submitted(self) -> int:
        return len(self.served.report()["submissions"])

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def apply(self, name: str = FOX, **options: Any) -> tuple[Applied, int]:
        """What it came to, and how many generations the server accepted meanwhile."""
        before = self.submitted
        around = Surroundings(environ=self.environ, cwd=self.root)
        applied = Production(self.root / name, Options(**options), around).apply()
        return applied, self.submitted - before

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RUNWAYML", "FLOWRUN"))}
        line = [sys.executable, "-m", "flowrun", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(line, cwd=self.root, env=kept | self.environ, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def served() -> Iterator[HttpSandbox]:
    with threaded() as found:
        yield found


@pytest.fixture
def fox(tmp_path: Path, served: HttpSandbox) -> Folder:
    """fox-trailer, applied once."""
    root = copied("fox-trailer", tmp_path / "fox")
    (root / ".git").mkdir()
    folder = Folder(root, served)
    applied, sent = folder.apply()
    assert (applied.exit, sent) == (Exit.DONE, 9)
    return folder


def test_what_each_edit_sends(fox: Folder) -> None:
    """One story in the order a person works, so that the server starts once."""
    root = fox.root
    media = sorted(path for path in (root / "out/sandbox/fox-trailer").rglob("*") if path.is_file())
    assert len(media) == 8
    assert all(probe(path) for path in media)
    applied, sent = fox.apply()
    assert (applied.exit, sent, applied.summary.credits) == (Exit.DONE, 0, 0)
    assert {status for _, _, status in applied.summary.exports} == {"unchanged"}
    heading, *rows = (root / "shots.csv").read_text().splitlines()
    fox.write("shots.csv", "\n".join([heading, *reversed(rows)]) + "\n")
    assert fox.apply()[1] == 0, "rows in another order"
    fox.edit(FOX, "\nnodes:\n", "\n# all of the trailer\nnodes:\n")
    os.utime(root / FOX, (1_500_000_000, 1_500_000_000))
    assert fox.apply()[1] == 0, "a comment, a touch"
    fox.edit(FOX, "nodes.hero.", "nodes.portrait.")
    fox.edit(FOX, "\n  hero:\n", "\n  portrait:\n")
    assert fox.apply()[1] == 0, "a node renamed"
    moved = Folder(root.rename(root.with_name("moved")), fox.served)
    assert moved.apply()[1] == 0, "the project moved"
    (moved.root / ".flowrun/sandbox/index.sqlite3").unlink()
    assert moved.apply()[1] == 0, "the index deleted"
    moved.edit("shots.csv", "snow falls", "wet snow falls")
    assert moved.apply()[1] == 1, "one shot's prompt"
    plan = Production(moved.root / FOX, Options(force=("portrait",)), Surroundings(moved.environ, moved.root)).plan()
    applied, sent = moved.apply(force=("portrait",))
    assert (applied.exit, sent, plan.most_submissions) == (Exit.DONE, 7, 7)
    assert moved.apply()[1] == 0, "the forced still flows on"


def test_a_cap_is_kept_at_the_server(tmp_path: Path, served: HttpSandbox) -> None:
    folder = Folder(tmp_path, served)
    folder.write("flow.yaml", STILLS.format(name="stills", count=10))
    applied, sent = folder.apply("flow.yaml", max_credits=50)
    assert (applied.exit, sent, served.report()["charges"]["charged"]) == (Exit.STOPPED, 6, 48)
    applied, sent = folder.apply("flow.yaml")
    assert (applied.exit, sent) == (Exit.DONE, 4)


SLOW = "media: tiny\ndurations: {default: 0.4}\npoll: 0.05\n"


@pytest.mark.parametrize("tier", [1, 3])
def test_the_tier_limit_is_used_in_full_and_never_exceeded(tmp_path: Path, tier: int) -> None:
    limit = {1: 2, 3: 5}[tier]
    with threaded(SLOW, tier=tier) as served:
        folder = Folder(tmp_path, served)
        folder.write("flow.yaml", STILLS.format(name="stills", count=3 * limit))
        applied, sent = folder.apply("flow.yaml")
        report = served.report()
    assert (applied.exit, sent) == (Exit.DONE, 3 * limit)
    assert report["peak"] == report["peak_running"] == {"gen4_image": limit}


def test_two_applies_of_two_manifests_stay_within_the_limits_together(tmp_path: Path) -> None:
    with threaded(SLOW, tier=3) as served:
        folder = Folder(tmp_path, served)
        (tmp_path / ".git").mkdir()
        for name in ("one", "two"):
            folder.write(f"{name}.yaml", STILLS.format(name=name, count=12))
        both = [folder.start("apply", f"{name}.yaml", "--json") for name in ("one", "two")]
        for process in both:
            out, err = process.communicate(timeout=DEADLINE)
            assert process.returncode == 0, err
            assert json.loads(out)["submitted"] == 12
        report = served.report()
    assert len(report["submissions"]) == 24
    assert report["peak"] == {"gen4_image": 5}


def _shared() -> dict[str, str]:
    """Two manifests whose stills have the same prompts: 8 of the first, 12 of the second."""
    text = STILLS.format(name="one", count=8)
    return {"one": text, "two": text.replace("name: one", "name: two").replace("foreach: 8", "foreach: 12")}


@pytest.mark.parametrize(("names", "nodes"), [(("one", "one"), 8), (("one", "two"), 12)])
def test_two_processes_that_want_the_same_pay_for_it_once(tmp_path: Path, names: tuple[str, str], nodes: int) -> None:
    with threaded(SLOW, tier=2) as served:
        folder = Folder(tmp_path, served)
        (tmp_path / ".git").mkdir()
        for name, text in _shared().items():
            folder.write(f"{name}.yaml", text)
        submitted = []
        for process in [folder.start("apply", f"{name}.yaml", "--json") for name in names]:
            out, err = process.communicate(timeout=2 * DEADLINE)
            assert process.returncode == 0, err
            submitted.append(json.loads(out)["submitted"])
        report = served.report()
    assert (len(report["submissions"]), sum(submitted)) == (nodes, nodes)
    assert len({each["prompt"] for each in report["submissions"]}) == nodes
    assert report["peak"] == {"gen4_image": 3}


def test_realistic_tasks_are_polled_no_faster_than_every_five_seconds(tmp_path: Path) -> None:
    """In virtual time, in process: the client's own rule, which is the same over HTTP."""
    (tmp_path / "flow.yaml").write_text(STILLS.format(name="stills", count=6))

    async def main(clock: VirtualClock) -> tuple[Applied, dict[str, Any]]:
        scenario = tmp_path / "scenario.yaml"
        scenario.write_text("media: tiny\npoll: 5\ndurations: {default: 60}\n")
        around = Surroundings(environ={}, cwd=tmp_path, clock=clock, offload=offload)
        applied = await Production(tmp_path / "flow.yaml", Options(scenario=scenario), around).apply_async()
        state = SqliteState(tmp_path / ".flowrun/sandbox/api")
        try:
            return applied, Sandbox(state).report()
        finally:
            state.close()

    applied, report = run_virtual(main)
    assert applied.exit is Exit.DONE
    assert report["smallest_poll_interval"] >= 5
    assert report["requests"]["tasks"] >= 6 * 60 / 7.5
