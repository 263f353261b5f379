"""One simulated world: the project on a RAM disk, the sandbox behind all requests, who is alive, what the person said, and what
was accepted for whom. Owns what is on record of it, and the checks that are made at the very moment of an acceptance."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from flowrun.engine.doubt import COUNTED_OUT
from flowrun.ledger.protocol import Adopted, Forgotten, IntentRow
from flowrun.production.inprocess import _answer
from flowrun.runway.inprocess import Answer, CallableTransport
from flowrun.sandbox.books import Books
from flowrun.sandbox.inprocess import InProcess
from flowrun.sandbox.lifecycle import TaskStatus
from flowrun.sandbox.messages import Request
from flowrun.sandbox.records import Task
from flowrun.sandbox.scenario import Scenario
from flowrun.sandbox.service import Sandbox
from flowrun.sandbox.state import MemoryState
from flowrun.sandbox.tiers import TIERS
from tests.simulation.injecting import Watched
from tests.simulation.model import KINDS, Limits, Round
from tests.simulation.process import RUNNING, Process, moment

FINAL = ("SAFETY", "INPUT_PREPROCESSING.SAFETY", "ASSET.INVALID", "THIRD_PARTY.INPUT_VALIDATION", "NEVER.HEARD.OF")
MAKES = {kind.model: kind.makes for kind in KINDS.values()}
OPERATIONS = {kind.operation for kind in KINDS.values()}


class ViolationError(Exception):
    """A promise is broken. `kind`: which, in a word; a smaller case must break the same."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class KeptState(MemoryState):
    """A sandbox's state that outlives the processes that open it."""

    def close(self) -> None:
        """Stays open; `end` closes it."""

    def end(self) -> None:
        super().close()


@dataclass(frozen=True, slots=True)
class Accepted:
    """One accepted creation: for which action, by whom."""

    at: float
    task: str
    row: IntentRow
    process: Process
    cost: int


SENDING: ContextVar[IntentRow | None] = ContextVar("sending", default=None)


@dataclass(eq=False)
class World:
    """`folder`: of the project. `grants`: what a person said, by key: send it again, make one more."""

    folder: Path
    now: float
    state: KeptState = field(default_factory=KeptState)
    round: Round = field(default_factory=Round)
    limits: Limits = field(default_factory=Limits)
    processes: list[Process] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)
    grants: Counter[str] = field(default_factory=Counter)
    pardoned: set[str] = field(default_factory=set)  # tasks that a person said to try again, if they were refused
    given_up: set[int] = field(default_factory=set)
    forced: set[tuple[str, str]] = field(default_factory=set)
    tally: Counter[str] = field(default_factory=Counter)
    trace: list[str] = field(default_factory=list)
    broken: list[ViolationError] = field(default_factory=list)
    tokens: int = 0
    leapt: bool = False
    sound: set[str] = field(default_factory=set)  # blobs that were looked at

    # -- what the ports ask

    def token(self, length: int) -> str:
        self.tokens += 1
        return f"{self.tokens:0{2 * length}x}"

    def lives(self, pid: int) -> bool:
        return any(each.lives for each in self.processes if each.pid == pid)

    def tell(self, text: str) -> None:
        process = RUNNING.get()
        now = process.clock.now() if process else self.now
        self.trace.append(f"{now - 1_700_000_000.0:10.2f} {process.name if process else '-':>5}  {text}")

    def violated(self, kind: str, message: str) -> None:
        """Kept, and raised once everybody has come to an end: nobody who is being watched must be able to catch it."""
        self.tell(f"VIOLATION {kind}: {message}")
        self.broken.append(ViolationError(kind, message))

    def raise_first(self) -> None:
        if self.broken:
            raise self.broken[0]

    # -- what the ledger is told

    def intended(self, ledger: Any, intent: Any) -> None:
        row = next(each for each in ledger.unanswered() if each.intent == intent.intent)
        SENDING.set(row)
        self._check_alone(ledger, row)
        process = RUNNING.get()
        if process is not None and process.stopped and process.lives:
            self.violated("sent-after-stop", f"{row.origin.address} is sent although a person pressed Ctrl-C")
        if row.origin.forced and (row.run, row.key) not in self.forced:
            self.forced.add((row.run, row.key))
            self.grants[row.key] += 1

    def _check_alone(self, ledger: Any, row: IntentRow) -> None:
        """Nothing is intended beside an open or uncertain request of the action, or an open task of it."""
        beside = [each.intent for each in ledger.unanswered() if each.key == row.key and each.intent != row.intent]
        tasks = [each.task for each, _ in ledger.open() if each.key == row.key]
        if beside or tasks:
            self.violated("needless", f"{row.origin.address} is intended beside requests {beside} and tasks {tasks}")

    def recorded(self, ledger: Any, task: str) -> None:
        """An id that the ledger was told is never thrown away."""
        if all(each.task != task for each in ledger.tasks()):
            self.violated("id-lost", f"the ledger was told of task {task}, and does not know it")

    def decided(self, ledger: Any, intent: Any, decision: Any) -> None:
        row = next((each for each in ledger.uncertain() if each.intent == intent), None)
        if decision == Forgotten(COUNTED_OUT):
            self.tally["counted out"] += row is not None
            accepted = [each.task for each in self.accepted if each.row.intent == intent]
            if accepted and self.leapt:  # the API's clock is a day ahead of ours: its day is another one
                self.grants[row.key if row else ""] += 1
                self.given_up.add(intent)
            elif accepted:
                self.violated("counted-out", f"the counters gave up request {intent}, which had become {accepted}")
        elif row is not None and not isinstance(decision, Adopted):
            self.grants[row.key] += 1
            self.given_up.add(row.intent)

    # -- requests

    def sandbox(self) -> Sandbox:
        said = self.round
        durations = {"default": said.duration}
        faults = [dict(each) for each in said.faults]
        told = {"media": "tiny", "durations": durations, "poll": 5.0, "tier": said.tier, "credits": said.credits}
        return Watched(self.state, Scenario.model_validate({**told, "faults": faults}), self._injected)

    def _injected(self, kind: str, place: str) -> None:
        self.tally[f"injected {kind} at {place}"] += 1

    def transport(self, options: Any, around: Any, folder: Path, catalogue: Any = None) -> tuple[Any, str]:
        """In place of production's own: the same, with moments at which a process may die."""
        sandbox = self.sandbox()
        door, process = InProcess(sandbox, around.clock.now), around.clock

        def exchange(method: str, url: str, headers: Any, body: bytes) -> Answer:
            request = Request.of(method, url, dict(headers), body)
            what = f"{method} {_place(request.path)}"
            moment(f"before {what}")
            answer = _answer(door.exchange(request))
            self._heard(request, answer, sandbox)
            moment(f"after {what}, unanswered")
            if not request.path.startswith("/outputs/"):
                return answer
            chunks = ((0.0, answer.body),) if answer.chunks is None else answer.chunks
            return replace(answer, chunks=_piecemeal(chunks))

        inner = CallableTransport(exchange, offload=around.offload, sleep=process.sleep)
        return _Gated(inner, process), sandbox.base_url

    def _heard(self, request: Request, answer: Answer, sandbox: Sandbox) -> None:
        operation = request.path.rpartition("/")[2]
        self.tally[f"request {'generation' if operation in OPERATIONS else request.path.split('/')[1]}"] += 1
        if answer.lost:
            self.tally["fault lost answer"] += 1
        if answer.status >= 400:
            self.tally[f"fault or refusal {answer.status}"] += 1
        if request.method == "POST" and operation in OPERATIONS:
            text = answer.body[:200].decode(errors="replace")
            self.tell(f"POST {operation}: {answer.status}{' (lost)' if answer.lost else ''} {text}")
            if answer.status == 200:
                self._accept(str(json.loads(answer.body)["id"]), sandbox)

    # -- the moment of an acceptance

    def books(self) -> Any:
        return self.state.transaction()

    def tasks(self) -> list[Task]:
        with self.books() as books:
            return list(books.tasks())

    def _accept(self, name: str, sandbox: Sandbox) -> None:
        row, process = SENDING.get(), RUNNING.get()
        if row is None or process is None:
            self.violated("sent-unasked", f"task {name} was accepted for nobody's intent")
            return
        with self.books() as books:
            tasks, tier, now = {each.id: each for each in books.tasks()}, books.counter("tier"), _latest(books)
        task = tasks[name]
        self.tally["submission"] += 1
        self._check_once(row, tasks, now)
        self.accepted.append(Accepted(now, name, row, process, task.cost))
        self._check_slots(task, tasks, tier, now)
        self._check_cap(process, tasks, now)

    def _check_once(self, row: IntentRow, tasks: dict[str, Task], now: float) -> None:
        """Not more than one for an action and take, but for those whose earlier ones failed, or that a person asked for."""
        before = [tasks[each.task] for each in self.accepted if each.row.key == row.key]
        process = RUNNING.get()
        if process is not None and process.visit.retry_rejected:
            self.pardoned |= {each.id for each in before}
        failed = sum(1 for each in before if self._may_repeat(each, now))
        if len(before) + 1 > 1 + failed + self.grants[row.key]:
            ids = ", ".join(f"{each.id} ({each.outcome} at {each.ends:.1f})" for each in before)
            self.violated("paid-twice", f"{row.origin.address} was accepted again at {now:.1f}, after {ids}")

    def _may_repeat(self, task: Task, now: float) -> bool:
        if task.removed is not None:  # cancelled, as somebody asked
            return True
        if task.outcome == TaskStatus.SUCCEEDED.value or task.ends > now:
            return False
        for_good = any((task.failure_code or "").startswith(each) for each in FINAL)
        return not for_good or task.id in self.pardoned

    def _check_slots(self, new: Task, tasks: dict[str, Task], tier: int | None, now: float) -> None:
        limit = self.limit_of(new.model, tier)
        going = (each for each in tasks.values() if each.model == new.model and each.removed is None)
        flying = [each for each in going if now < each.ends and self._counts(each)]
        if len(flying) > limit:
            self.violated("over-limit", f"{len(flying)} of {new.model} in flight, and {limit} are allowed")

    def _counts(self, task: Task) -> bool:
        """A request that a person gave up on holds no slot of flowrun's."""
        row = next((each.row for each in self.accepted if each.task == task.id), None)
        return row is None or row.intent not in self.given_up

    def limit_of(self, model: str, tier: int | None) -> int:
        """The loosest that held in this round: flowrun reads the organization every five minutes."""
        faults = [each["do"]["tier"] for each in self.round.faults if "tier" in each["do"]]
        tiers = [self.round.tier, *faults, *([tier] if tier else [])]
        video = MAKES[model] == "video"
        allowed = max((TIERS[each].video if video else TIERS[each].others).concurrent for each in tiers)
        return min(allowed, dict(self.limits.concurrency).get(model, allowed))

    def _check_cap(self, process: Process, tasks: dict[str, Task], now: float) -> None:
        caps = [each for each in (process.visit.max_credits, self.limits.credits) if each is not None]
        if caps:
            spent = self._spent((each for each in self.accepted if each.process is process), tasks, now)
            if spent > min(caps):
                self.violated("over-cap", f"{process.name} has spent {spent} credits under a cap of {min(caps)}")
        self._check_day(process, tasks, now)

    def _check_day(self, process: Process, tasks: dict[str, Task], now: float) -> None:
        if self.limits.day is None:
            return
        since = process.clock.now() - 86_400.0
        spent = self._spent((each for each in self.accepted if each.row.intended_at > since), tasks, now)
        if spent > self.limits.day:
            self.violated("over-day", f"{spent} credits were spent in 24 hours under a cap of {self.limits.day}")

    def _spent(self, accepted: Iterable[Accepted], tasks: dict[str, Task], now: float) -> int:
        found = (tasks[each.task] for each in accepted)
        return sum(each.cost for each in found if not (each.refunded and each.ends <= now))


def _latest(books: Books) -> float:
    """The sandbox's own time, which faults may have moved."""
    return (books.counter("latest") or 0) / 1_000_000


def _place(path: str) -> str:
    """Without ids."""
    return "/".join(path.split("/")[1:3]).partition("outputs/")[0] or "outputs"


def _piecemeal(chunks: Iterable[tuple[float, bytes]]) -> Iterator[tuple[float, bytes]]:
    """In two pieces each, with a moment between them."""
    for delay, chunk in chunks:
        half = len(chunk) // 2
        yield delay, chunk[:half]
        moment("within a download")
        yield 0.01, chunk[half:]


class _Gated(httpx.AsyncBaseTransport):
    """A transport that a frozen process does not reach, and that does not reach it."""

    def __init__(self, inner: CallableTransport, process: Process) -> None:
        self._inner, self._process = inner, process

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._process.thaw()
        try:
            return await self._inner.handle_async_request(request)
        finally:
            await self._process.thaw()

    async def aclose(self) -> None:
        await self._inner.aclose()
