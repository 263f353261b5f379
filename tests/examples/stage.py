"""A copy of an example to work on: edit its files, apply it in the sandbox in virtual time, look at what was sent and made."""

from __future__ import annotations

import hashlib
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from flowrun.engine import events as ev
from flowrun.plan.model import Decision
from flowrun.plan.whole import Plan
from flowrun.production.applying import Applied
from flowrun.production.options import Options, Surroundings
from flowrun.production.production import Production
from tests.examples.virtual_time import VirtualClock, at_once

EXAMPLES = Path(__file__).parents[2] / "examples"
TINY = "media: tiny\n"  # what is sent and kept does not hang on the size of the media


@dataclass
class Stage:
    """`folder`: the example's copy, which is its project."""

    folder: Path
    manifest: str
    clock: VirtualClock = field(default_factory=VirtualClock)
    rng: random.Random = field(default_factory=lambda: random.Random(20))

    @classmethod
    def of(cls, example: str, manifest: str, tmp_path: Path) -> Stage:
        folder = tmp_path / "production"
        shutil.copytree(EXAMPLES / example, folder)
        return cls(folder, manifest)

    def production(self, scenario: str = TINY, **options) -> Production:
        script = self.folder.parent / "scenario.yaml"
        script.write_text(scenario)
        around = Surroundings({}, self.folder, self.clock, at_once, self.rng)
        return Production(self.folder / self.manifest, Options(scenario=script, **options), around)

    def plan(self, **options) -> Plan:
        return self.production(**options).plan()

    def apply(self, scenario: str = TINY, **options) -> Done:
        """Plan, apply, and what came of both."""
        self.clock.pass_by(60)
        events: list[ev.Event] = []
        plan = self.plan(**options)
        started = self.clock.now()
        applied = self.production(scenario, **options).apply(emit=events.append)
        sent = [each.unit for each in events if isinstance(each, ev.Submitted)]
        return Done(plan, applied, sorted(sent), self.clock.now() - started)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that stands somewhere in a file, wherever it stands."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def exports(self, flow: str) -> dict[str, str]:
        """Digests of the exported files, by their path below the flow's folder."""
        root = self.folder / "out" / "sandbox" / flow
        files = (each for each in root.rglob("*") if each.is_file())
        return {each.relative_to(root).as_posix(): hashlib.sha256(each.read_bytes()).hexdigest() for each in files}


@dataclass(frozen=True)
class Done:
    """`sent`: units whose requests were accepted. `seconds`: of virtual time."""

    plan: Plan
    applied: Applied
    sent: list[str]
    seconds: float

    @property
    def promised(self) -> list[str]:
        """Units that the plan said would or might be sent."""
        moving = (Decision.RUN, Decision.UNDECIDED)
        return sorted(f"{step.address}#1" for step in self.plan.steps.values() if step.decision in moving)
