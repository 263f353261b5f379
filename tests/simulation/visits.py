"""Carrying a case out: rounds of edits, a person's words, and one or two processes that apply at once; at the end a quiet apply
without faults, and everything is looked at. Owns the order."""

from __future__ import annotations

import asyncio
import errno
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flowrun.diagnostics.model import DiagnosticError
from flowrun.ids import TaskId
from flowrun.ledger.location import ledger_path
from flowrun.ledger.protocol import Adopted, Forgotten, IntentRow
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.production.cancelling import cancel_async
from flowrun.production.collecting import collect_async
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.options import Options, Surroundings
from flowrun.production.production import Production
from flowrun.production.proposing import Proposal
from tests.simulation.checking import Snapshot, check_agreement, check_end, check_refusals, check_store
from tests.simulation.model import Case, Limits, Nodes, Round, Visit, edited, manifest
from tests.simulation.ports import patched, ports
from tests.simulation.process import RUNNING, Died, Process, is_death
from tests.simulation.world import ViolationError, World
from tests.support.virtual_time import START, HangError, VirtualClock, VirtualLoop, offload

LONGEST = 4 * 86_400.0  # virtual seconds that a round may take: a used-up day is waited for
A_DAY = 80_000.0
QUIET = 8  # applies that may be needed until everything is there
RAM = Path("/dev/shm")


@dataclass(slots=True)
class Report:
    """What came of one case. `violation`: None where all was kept; `deaths`: where each process died, in order."""

    case: Case
    tally: Counter[str]
    trace: list[str]
    violation: ViolationError | None = None
    deaths: list[tuple[str, int] | None] = field(default_factory=list)


@dataclass(slots=True)
class _Session:
    """A case on its way."""

    case: Case
    world: World
    nodes: Nodes
    limits: Limits
    pids: int = 100
    snapshots: dict[Process, Snapshot] = field(default_factory=dict)

    # -- rounds

    def play(self) -> None:
        for number, each in enumerate(self.case.rounds):
            self.world.tell(f"-- round {number + 1}")
            self.nodes = edited(self.nodes, each.edits)
            self.begin(each)
            resend = self.settle(each.settles)
            self.apply(each.visits, resend, each.words)
        self.finish()

    def begin(self, said: Round) -> None:
        self.world.now += said.gap
        self.world.round, self.world.limits = said, self.limits
        for fault in said.faults:
            self.world.tally["scripted fault"] += 1  # planned; those that a request met are tallied as injected
            self.world.leapt |= fault["do"].get("jump", 0.0) >= A_DAY
        with self.world.books() as books:
            books.put("tier", 0)
        text, files = manifest(self.nodes, self.limits)
        settings = '[provider]\nuncertain = "trust-counters"\n' if self.case.trusts else ""
        settings += f"[limits]\ncredits_per_day = {self.limits.day}\n" if self.limits.day is not None else ""
        for name, content in {"flow.yaml": text, "flowrun.toml": settings, **files}.items():
            (self.world.folder / name).write_text(content, encoding="utf-8")

    def apply(
        self, visits: tuple[Visit, ...], resend: tuple[str, ...] = (), words: tuple[tuple[float, str], ...] = ()
    ) -> list[tuple[Process, Exit | None]]:
        """The exit of each process; None: it died, or was refused before anything ran."""
        loop = VirtualLoop(self.world.now, LONGEST)
        loop.set_exception_handler(lambda loop, context: None)  # the dead leave tasks behind
        clock = VirtualClock(loop)
        processes = [self._process(each, clock) for each in visits]

        async def main() -> list[Exit | None]:
            told = (resend, *(() for _ in processes[1:]))  # one of them was told what to do
            person = [asyncio.ensure_future(self._speak(at, how)) for at, how in words]
            exits = list(await asyncio.gather(*map(self._live, processes, told)))
            for each in person:
                each.cancel()
            return exits

        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            try:
                exits = runner.run(main())
            except HangError as error:
                self.world.violated("hang", str(error))
                exits = [None for _ in processes]
            self.world.now = loop.time()
        self.world.raise_first()
        check_store(self.world)
        check_refusals(self.world, self.ledger)
        for process in processes:
            check_agreement(self.world, process, self.snapshots.get(process))
        self.world.raise_first()
        return list(zip(processes, exits, strict=True))

    def _process(self, visit: Visit, clock: VirtualClock) -> Process:
        self.pids += 1
        process = Process(f"p{self.pids - 100}", self.pids, visit, clock, self.world.tell)
        self.world.processes.append(process)
        return process

    async def _speak(self, after: float, how: str) -> None:
        """A person at another terminal."""
        await asyncio.sleep(after)
        self.settle(how)

    # -- one process

    async def _live(self, process: Process, resend: tuple[str, ...]) -> Exit | None:
        await asyncio.sleep(process.visit.delay)
        RUNNING.set(process)
        try:
            if process.visit.command != "apply":
                return await self._rounded(process)
            return await self._applied(process, resend)
        except (FlowrunError, DiagnosticError) as error:
            self._refused(process, error)
        except BaseException as error:
            if hang := _hang(error):
                self.world.violated("hang", str(hang))
            elif isinstance(error, OSError) and error.errno == errno.ENOSPC and process.refused:
                self.world.tally["ended by a full disk"] += 1  # as the command line says it, with exit 7
            elif not (process.dead and (is_death(error) or isinstance(error, asyncio.CancelledError))):
                self.world.violated("foreign-error", f"{process.name}: {_told(error)}")
        finally:
            process.over = True
            self.world.tally["freeze"] += process.freezes
            self.world.tally["fault full disk"] += process.refused
            if process.dead:
                self.world.tally["death"] += 1
        return None

    def _refused(self, process: Process, error: FlowrunError | DiagnosticError) -> None:
        self.world.tally["refused before anything ran"] += 1
        self.world.tell(f"refused: {error}")
        if isinstance(error, FlowrunError) and error.exit is Exit.SURROUNDINGS:
            return
        mended = self.world.tally["ledger destroyed"] and "another flowrun is" in str(error)
        if isinstance(error, FlowrunError) and error.exit is Exit.DAMAGED and mended:
            return  # which stood still while it mended the ledger
        if not process.visit.force and not process.visit.select:
            self.world.violated("refused", f"{process.name}: {error!r}")

    async def _applied(self, process: Process, resend: tuple[str, ...]) -> Exit:
        production = self.production(process, resend)
        interrupt: list[Callable[[int], None]] = []

        def confirm(proposal: Proposal) -> bool:
            self.snapshots[process] = Snapshot.of(proposal.plan)
            steps = ", ".join(f"{at} {step.decision}" for at, step in proposal.plan.steps.items())
            self.world.tell(f"plan: {steps}")
            return True

        def emit(event: Any) -> None:
            _tell_event(self.world, event)
            if interrupt and process.is_stopped_at(type(event).__name__):
                self.world.tally["interrupt"] += 1
                self.world.tell("Ctrl-C")
                interrupt[0](130)

        applied = await production.apply_async(confirm=confirm, emit=emit, interruptible=interrupt.append)
        self.world.tally["apply"] += 1
        self.world.tally[f"exit {applied.exit.value}"] += 1
        self.world.tell(f"exit {applied.exit!r} {applied.summary.counts()}")
        if applied.exit in (Exit.BUG, Exit.DAMAGED) and not process.dead:
            self.world.violated("exit", f"{process.name} ended with {applied.exit!r}: {applied.summary}")
        return applied.exit

    async def _rounded(self, process: Process) -> Exit:
        """One look at every open task."""
        options, around = Options(sandbox=True), self._around(process)
        whole = (
            collect_async(options, around)
            if process.visit.command == "collect"
            else cancel_async(None, options, around)
        )
        rounded = await whole
        told = ", ".join(f"{each.row.origin.address} {each.fate.value}" for each in rounded.tasks)
        self.world.tally[process.visit.command] += 1
        self.world.tally[f"exit {rounded.exit.value}"] += 1
        self.world.tell(f"{process.visit.command}: {told or 'nothing is open'}; exit {rounded.exit!r}")
        return rounded.exit

    def _around(self, process: Process) -> Surroundings:
        rng = random.Random(f"{self.case.seed} {process.name}")
        return Surroundings(environ={}, cwd=self.world.folder, clock=process, offload=offload, rng=rng)

    def production(self, process: Process, resend: tuple[str, ...] = ()) -> Production:
        visit, folder = process.visit, self.world.folder
        addresses = [at for node in self.nodes for at in node.addresses]

        def named(numbers: tuple[int, ...]) -> tuple[str, ...]:
            return tuple(addresses[each % len(addresses)] for each in numbers)

        options = Options(
            sandbox=True,
            force=named(visit.force),
            select=named(visit.select),
            resend=tuple(each for each in resend if each.partition("#")[0] in addresses),
            retry_rejected=visit.retry_rejected,
            max_credits=visit.max_credits,
            fail_fast=visit.fail_fast,
            wait_for_quota=visit.wait_for_quota,
            cancel_on_interrupt=visit.cancels,
        )
        return Production(folder / "flow.yaml", options, self._around(process))

    # -- the person

    def ledger(self) -> SqliteLedger:
        return SqliteLedger(
            ledger_path(self.world.folder / ".flowrun" / "sandbox", "in-process"), lambda: self.world.now
        )

    def settle(self, how: str) -> tuple[str, ...]:
        """What a person says of every uncertain request; the addresses to send again."""
        if not (self.world.folder / ".flowrun" / "sandbox").is_dir():
            return ()
        ledger = self.ledger()
        try:
            rows = ledger.uncertain()
            if how == "resend":
                return tuple(dict.fromkeys(row.origin.address for row in rows))
            if how != "leave":
                for row in rows:
                    self._settle(ledger, row, how)
        finally:
            ledger.close()
        return ()

    def _settle(self, ledger: SqliteLedger, row: IntentRow, how: str) -> None:
        """`adopt`: the truth, as the account's own pages show it."""
        known = {task.task for task in ledger.tasks()}
        made = [each.task for each in self.world.accepted if each.row.intent == row.intent]
        task = next((each for each in made if each not in known), None)
        adopts = how == "adopt" and task is not None
        self.world.tally["adopted" if adopts else "forgotten"] += 1
        self.world.tell(f"a person says of {row.origin.address}: {f'it became {task}' if adopts else 'forget it'}")
        ledger.decide(row.intent, Adopted(TaskId(task)) if adopts and task is not None else Forgotten())

    # -- the end

    def finish(self) -> None:
        """Applies without faults until everything is there, and nothing is left to do."""
        self.world.tell("-- quiet")
        self.nodes = tuple(replace(each, cache="" if each.cache is False else each.cache) for each in self.nodes)
        self.limits = replace(self.limits, credits=None, day=None)
        exits: list[Exit | None] = []
        for _ in range(QUIET):
            self.begin(Round(gap=130.0, tier=5, credits=10_000_000, duration=5.0))
            self.settle("adopt")
            [(process, code)] = self.apply((Visit(retry_rejected=True),))
            exits.append(code)
            if code is Exit.DONE and not self._is_left():
                break
        else:
            raise ViolationError("not-done", f"{QUIET} quiet applies ended with {exits}")
        ledger = self.ledger()
        try:
            check_end(self.world, self.nodes, self._plan(process), {each.task for each in ledger.tasks()})
        finally:
            ledger.close()
        before = len(self.world.accepted)
        self.apply((Visit(),))
        if len(self.world.accepted) > before:
            raise ViolationError("restless", "an apply of what is done submitted something")

    def _plan(self, process: Process) -> Any:
        return self.production(replace(process, over=False)).plan()

    def _is_left(self) -> bool:
        ledger = self.ledger()
        try:
            return bool(ledger.open() or ledger.uncertain())
        finally:
            ledger.close()


def _hang(error: BaseException) -> HangError | None:
    if isinstance(error, BaseExceptionGroup):
        return next((found for each in error.exceptions if (found := _hang(each))), None)
    return error if isinstance(error, HangError) else None


def _told(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return f"{error!r}: {'; '.join(_told(each) for each in error.exceptions)}"
    return repr(error)


_QUIET_EVENTS = ("Progressed", "Queued", "Woke", "LimitsRead", "Expanded", "Prepared")


def _tell_event(world: World, event: Any) -> None:
    name = type(event).__name__
    if name == "AttemptFailed":
        world.tally[f"failure {event.code}"] += 1
    if name not in _QUIET_EVENTS:
        told = (getattr(event, each, None) for each in ("unit", "address", "task", "status", "code", "decision", "how"))
        world.tell(f"{name} {' '.join(str(each) for each in told if each)}")


def simulate(case: Case, changes: list[tuple[Any, str, Any]] | None = None) -> Report:
    """Carry a case out. `changes`: further patches, a deliberate bug."""
    folder = Path(tempfile.mkdtemp(prefix="flowrun-sim-", dir=RAM if RAM.is_dir() else None))
    (folder / "project" / ".git").mkdir(parents=True)
    world = World(folder / "project", START)
    session = _Session(case, world, case.nodes, case.limits)
    report = Report(case, world.tally, world.trace)
    world.tally["production"] += 1
    try:
        with patched(ports(world)), patched(changes or []):
            session.play()
    except ViolationError as error:
        report.violation = error
    finally:
        report.deaths = [each.death for each in world.processes]
        world.state.end()
        shutil.rmtree(folder, ignore_errors=True)
    return report


__all__ = ["Died", "Report", "simulate"]
