"""A project on a temporary disk, run whole: real manifests, store, ledger and sandbox, in virtual time.

stage = Stage(tmp_path, "fox: {uses: ...}")
done = stage.apply()
assert stage.submissions == 1
"""

from __future__ import annotations

import itertools
import random
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowrun.engine.events import Event
from flowrun.plan.whole import Plan
from flowrun.production.applying import Applied
from flowrun.production.options import Options, Surroundings
from flowrun.production.production import Production
from flowrun.production.proposing import Proposal
from flowrun.production.settling import adopt_task, forget_uncertain
from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import SqliteState
from tests.support.virtual_time import START, Still, VirtualClock, offload, run_virtual

_SEEDS = itertools.count(7)  # each process has randomness of its own
TINY = "media: tiny\ndurations: {default: 20}\npoll: 5\n"


@dataclass
class Stage:
    """`manifest`: the text of the manifest; `scenario`: of the sandbox's, laid after TINY."""

    root: Path
    manifest: str
    scenario: str = ""
    file: str = "flow.yaml"
    sandbox_flag: bool = True  # False: the provider is chosen as without any flag
    now: float = START
    environ: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    on_event: Callable[[Any, Event], None] | None = None

    def __post_init__(self) -> None:
        (self.root / ".git").mkdir(parents=True, exist_ok=True)
        self.write(self.manifest)

    @property
    def path(self) -> Path:
        return self.root / self.file

    def write(self, manifest: str) -> None:
        """Change the manifest."""
        self.path.write_text(textwrap.dedent(manifest), encoding="utf-8")

    def edit(self, old: str, new: str) -> None:
        text = self.path.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in the manifest"
        self.path.write_text(text.replace(old, new), encoding="utf-8")

    def options(self, **flags: Any) -> Options:
        if not self.sandbox_flag:
            return Options(**flags)
        scenario = self.root / "scenario.yaml"
        scenario.write_text(TINY + textwrap.dedent(self.scenario), encoding="utf-8")
        return Options(scenario=scenario, **flags)

    def production(self, clock: VirtualClock, **flags: Any) -> Production:
        return Production(self.path, self.options(**flags), self._around(clock))

    def _around(self, clock: VirtualClock) -> Surroundings:
        rng = random.Random(next(_SEEDS))
        return Surroundings(environ=self.environ, cwd=self.root, clock=clock, offload=offload, rng=rng)

    def apply(self, *, confirm: Callable[[Proposal], bool] = lambda proposal: True, **flags: Any) -> Applied:
        """One apply from start to end, in virtual time."""

        async def main(clock: VirtualClock) -> Applied:
            production = self.production(clock, **flags)
            interrupt: list[Callable[[int], None]] = []

            def emit(event: Event) -> None:
                self.events.append(event)
                if self.on_event is not None:
                    self.on_event(interrupt[0] if interrupt else None, event)

            try:
                return await production.apply_async(confirm=confirm, emit=emit, interruptible=interrupt.append)
            finally:
                self.now = clock.now() + 1.0

        return run_virtual(main, start=self.now)

    def plan(self, **flags: Any) -> Plan:
        async def main(clock: VirtualClock) -> Plan:
            return self.production(clock, **flags).plan()

        return run_virtual(main, start=self.now)

    def forget(self, node: str, request: int | None = None) -> int:
        """How many were."""

        async def main(clock: VirtualClock) -> int:
            return forget_uncertain(self.path, node, self.options(), self._around(clock), request)

        return run_virtual(main, start=self.now)

    def adopt(self, node: str, task: str, request: int | None = None) -> str:
        """The take's address."""
        around = Surroundings(environ=self.environ, cwd=self.root, clock=Still(self.now))
        return adopt_task(self.path, node, task, self.options(), around, request)

    @property
    def sandbox(self) -> dict[str, Any]:
        """What the sandbox has seen so far."""
        state = SqliteState(self.root / ".flowrun" / "sandbox" / "api")
        try:
            return Sandbox(state).report()
        finally:
            state.close()

    @property
    def submissions(self) -> int:
        return len(self.sandbox["submissions"])

    def exports(self) -> dict[str, Path]:
        """Exported files by their path below the export folder."""
        folder = self.root / "out" / "sandbox"
        return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
