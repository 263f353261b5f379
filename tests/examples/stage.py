"""A copy of an example to work on: edit its files, apply it in the sandbox in virtual time, look at what was sent and made."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from flowrun.diagnostics.model import Diagnostic
from flowrun.engine import events as ev
from flowrun.plan.model import Decision
from flowrun.plan.whole import Plan
from flowrun.production.applying import Applied
from flowrun.production.options import Options, Surroundings
from flowrun.production.production import Production
from tests.support.virtual_time import START, VirtualClock, offload, run_virtual

T = TypeVar("T")
EXAMPLES = Path(__file__).parents[2] / "examples"
TINY = "media: tiny\n"  # what is sent and kept does not hang on the size of the media


def copied(example: str, folder: Path) -> Path:
    """A copy of an example as it is committed: what somebody's apply left beside it stays there."""
    shutil.copytree(EXAMPLES / example, folder, ignore=shutil.ignore_patterns("out", ".flowrun", "*.lock.json"))
    return folder


@dataclass
class Stage:
    """`folder`: the example's copy, which is its project. `now`: epoch seconds, which go on from apply to apply."""

    folder: Path
    manifest: str
    now: float = START
    rng: random.Random = field(default_factory=lambda: random.Random(20))

    @classmethod
    def of(cls, example: str, manifest: str, tmp_path: Path) -> Stage:
        return cls(copied(example, tmp_path / "production"), manifest)

    def production(self, clock: VirtualClock, scenario: str = TINY, **options) -> Production:
        script = self.folder.parent / "scenario.yaml"
        script.write_text(scenario)
        around = Surroundings(environ={}, cwd=self.folder, clock=clock, offload=offload, rng=self.rng)
        return Production(self.folder / self.manifest, Options(scenario=script, **options), around)

    def plan(self, **options) -> Plan:
        return self._in_time(lambda clock: at_once(self.production(clock, **options).plan()))

    def problems(self, **options) -> tuple[Diagnostic, ...]:
        return self._in_time(lambda clock: at_once(self.production(clock, **options).validate()))

    def apply(self, scenario: str = TINY, stop_at: str | None = None, **options) -> Done:
        """Plan, apply, and what came of both. `stop_at`: an interrupt comes as soon as this unit was sent."""
        self.now += 60
        plan, started, events = self.plan(**options), self.now, []
        interrupts: list[Callable[[], None]] = []

        def hear(event: ev.Event) -> None:
            events.append(event)
            if isinstance(event, ev.Submitted) and event.unit == stop_at:
                interrupts[0]()

        applied = self._in_time(
            lambda clock: self.production(clock, scenario, **options).apply_async(
                emit=hear, interruptible=interrupts.append
            )
        )
        return Done(plan, applied, events, self.now - started)

    def _in_time(self, work: Callable[[VirtualClock], Awaitable[T]]) -> T:
        async def main(clock: VirtualClock) -> T:
            try:
                return await work(clock)
            finally:
                self.now = clock.now()

        return run_virtual(main, start=self.now)

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
    """`seconds`: of virtual time."""

    plan: Plan
    applied: Applied
    events: list[ev.Event]
    seconds: float

    @property
    def sent(self) -> list[str]:
        """Units whose requests were accepted."""
        return sorted(each.unit for each in self.events if isinstance(each, ev.Submitted))

    @property
    def promised(self) -> list[str]:
        """Units that the plan said would or might be sent."""
        moving = (Decision.RUN, Decision.UNDECIDED)
        return sorted(f"{step.address}#1" for step in self.plan.steps.values() if step.decision in moving)


async def at_once(value: T) -> T:
    return value
