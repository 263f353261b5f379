"""The small production that is killed and frozen at its named points, on one server for many of them. Owns the manifest, the
server's script, and how a prompt tells whose request it was: each begins with the project's label."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

from flowrun.ledger.sqlite import SqliteLedger
from tests.faults.project import Project
from tests.faults.warm import Forked, Warm
from tests.support.http_sandbox import HttpSandbox

SCENARIO = """
media: tiny
durations: {default: 0.4}
poll: 0.05
credits: 100000000
limits: {default: {concurrent: null, daily: null}}
"""
FLOW = """
flowrun: 1
name: killed
nodes:
  hero:
    uses: text_to_image
    with: {model: gen4_image, promptText: "LABEL: hero", ratio: "1280:720"}
  shot:
    foreach: [a, b]
    uses: image_to_video
    with:
      model: gen4_turbo
      promptImage: "{{ nodes.hero.output }}"
      promptText: "LABEL: shot[{{ each.key }}]"
      ratio: "1280:720"
      duration: 2
  wind:
    uses: sound_effect
    needs: [hero]
    with: {model: eleven_text_to_sound_v2, promptText: "LABEL: wind", duration: 1}
outputs:
  still: "{{ nodes.hero.output }}"
  shots: "{{ nodes.shot.outputs }}"
  wind: "{{ nodes.wind.output }}"
"""
NODES = ("hero", "shot[a]", "shot[b]", "wind")
EXPORTS = 4  # files
TWO_DAYS = 172_800.0


class Production(Project):
    """One project of many at one server. `label`: what tells its requests from the others'."""

    def __init__(self, root: Path, label: str, served: HttpSandbox, forks: Warm) -> None:
        super().__init__(root, FLOW.replace("LABEL", label), served=served)
        self.label, self.forks = label, forks
        self.streams = root / "streams"
        self.streams.mkdir()
        self.store, self.exports = root / ".flowrun/sandbox", root / "out/sandbox/killed"

    def launch(self, *own: str, command: Sequence[str]) -> Forked:
        """A process of its own for a command line of flowrun's; `own`: the launcher's arguments, in `dying`."""
        return self.forks.start([*own, "--", *command], self.root, self.environ, self.streams)

    def command(self, *words: str, brisk: bool = False) -> tuple[int, str, str]:
        """One command to its end: exit code, stdout, stderr."""
        return self.launch(*(["--brisk"] if brisk else []), command=words).ended()

    def prompt(self, address: str) -> str:
        return f"{self.label}: {address}"

    def accepted(self) -> list[dict[str, Any]]:
        """Its submissions at the server, in order, each with its task's state."""
        report = self.report()
        ours = [each for each in report["submissions"] if each["prompt"].startswith(f"{self.label}: ")]
        return [each | report["tasks"][each["id"]] for each in ours]

    def task_of(self, address: str) -> str | None:
        """The last task that the server has for a node."""
        found = [each["id"] for each in self.accepted() if each["prompt"] == self.prompt(address)]
        return found[-1] if found else None

    @cached_property
    def ledger_path(self) -> Path:
        return next((self.store / "ledgers").glob("*.sqlite3"))

    def ledger(self) -> closing[SqliteLedger]:
        return closing(SqliteLedger(self.ledger_path, time.time))

    def leftovers(self) -> Iterator[Path]:
        """Temporary files, of the store and of exports."""
        yield from (self.store / "tmp").glob("*")
        yield from (self.root / "out").rglob(".tmp-*")

    def age_leftovers(self) -> None:
        """As if what a dead process left had been lying there for two days, when it may be swept."""
        old = time.time() - TWO_DAYS
        for each in self.leftovers():
            os.utime(each, (old, old))
