"""Several processes that apply at once, in virtual time: one account, one ledger file, one sandbox, tiny media that cost nothing.
Owns the world they share; what they are given is `graphs`' and `budgets`', what is asked of them the tests'."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowrun.engine.events import Event
from flowrun.ids import TaskId
from flowrun.ledger.location import ledger_path
from flowrun.ledger.protocol import TaskRow
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.production import inprocess
from flowrun.production.applying import Applied
from flowrun.production.options import Options, Surroundings
from flowrun.production.production import Production
from flowrun.runway.inprocess import Answer, CallableTransport
from flowrun.sandbox.inprocess import InProcess
from flowrun.sandbox.messages import Request
from flowrun.sandbox.records import Task
from flowrun.sandbox.render import Render
from flowrun.sandbox.scenario import Scenario
from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import MemoryState
from tests.limits.watching import seen_at_once
from tests.simulation.media import quick_media
from tests.simulation.ports import patched
from tests.support.virtual_time import START, VirtualClock, offload, run_virtual

RAM = Path("/dev/shm")


@dataclass
class Crowd:
    """One project on a RAM disk and the account behind it. `scenario`: the sandbox's. `free_polls`: each task's end is seen as
    it comes."""

    root: Path
    scenario: Mapping[str, Any]
    seed: int = 0
    free_polls: bool = False
    now: float = START
    wall: float = 0.0  # virtual seconds that the last applies took, all together
    events: dict[str, list[Event]] = field(default_factory=dict)  # of the last applies, by name
    _state: MemoryState = field(default_factory=MemoryState)
    _processes: int = 0

    def write(self, name: str, text: str) -> None:
        (self.root / f"{name}.yaml").write_text(text, encoding="utf-8")

    def apply(self, *names: str, delay: float = 0.0, **flags: Any) -> list[Applied]:
        """A process for each name, all at once, or each `delay` seconds after the one before."""

        async def one(clock: VirtualClock, place: int, name: str) -> Applied:
            await clock.sleep(place * delay)
            return await self._production(clock, name, flags).apply_async(emit=self.events.setdefault(name, []).append)

        async def main(clock: VirtualClock) -> list[Applied]:
            began = clock.now()
            done = await asyncio.gather(*(one(clock, place, name) for place, name in enumerate(names)))
            self.wall, self.now = clock.now() - began, clock.now() + 1.0
            return list(done)

        self.events.clear()
        with patched(self._patches()):
            return run_virtual(main, start=self.now)

    def _production(self, clock: VirtualClock, name: str, flags: Mapping[str, Any]) -> Production:
        self._processes += 1
        rng = random.Random(f"{self.seed} process {self._processes}")
        around = Surroundings(environ={}, cwd=self.root, clock=clock, offload=offload, rng=rng)
        return Production(self.root / f"{name}.yaml", Options(sandbox=True, **flags), around)

    def _patches(self) -> list[tuple[Any, str, Any]]:
        changes: list[tuple[Any, str, Any]] = [
            (inprocess, "sandbox_transport", self._transport),
            (Render, "_made", lambda render: quick_media(render.recipe)),
        ]
        changes += seen_at_once(self._ends) if self.free_polls else []
        return [*changes, (os, "fsync", lambda handle: None)] if os.name != "nt" else changes

    def _ends(self, task: TaskId) -> float:
        with self._state.transaction() as books:
            return books.task(task).ends

    def _transport(self, options: Any, around: Any, folder: Path, catalogue: Any = None) -> tuple[Any, str]:
        sandbox = self.sandbox(catalogue)
        door = InProcess(sandbox, around.clock.now)

        def exchange(method: str, url: str, headers: Any, body: bytes) -> Answer:
            return inprocess._answer(door.exchange(Request.of(method, url, dict(headers), body)))

        return CallableTransport(exchange, offload=around.offload, sleep=around.clock.sleep), sandbox.base_url

    # -- what is asked afterwards

    def sandbox(self, catalogue: Any = None) -> Sandbox:
        return Sandbox(self._state, scenario=Scenario.model_validate(self.scenario), catalogue=catalogue)

    def report(self) -> dict[str, Any]:
        """What the sandbox has seen."""
        return self.sandbox().report()

    def tasks(self) -> list[Task]:
        """At the sandbox, in order of acceptance."""
        with self._state.transaction() as books:
            return list(books.tasks())

    def sent(self) -> tuple[TaskRow, ...]:
        """Accepted tasks, as the ledger that all processes share has them."""
        ledger = SqliteLedger(ledger_path(self.root / ".flowrun" / "sandbox", "in-process"), lambda: self.now)
        try:
            return ledger.tasks()
        finally:
            ledger.close()

    def paid_twice(self) -> list[str]:
        """Tasks of which there are two for one action."""
        return [key for key, count in Counter(row.key for row in self.sent()).items() if count > 1]

    def close(self) -> None:
        self._state.close()


@contextmanager
def crowd(scenario: Mapping[str, Any], seed: int = 0, *, free_polls: bool = False) -> Iterator[Crowd]:
    folder = Path(tempfile.mkdtemp(prefix="flowrun-crowd-", dir=RAM if RAM.is_dir() else None))
    made = Crowd(folder, {"media": "tiny", **scenario}, seed, free_polls)
    (folder / ".git").mkdir()
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)
