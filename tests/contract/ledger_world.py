"""A small world around a real ledger: two applies of one action, an API that charges, and everything that can go wrong.

The ledger under test is the only authority; the world plays the processes, the API, the store, the reaper and a person, and
knows the truth nobody in it sees. `steps` lists what may happen next; `wrong` says what must never be true. An explorer
forks the world before each step (memory), a walker just goes on (SQLite).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from flowrun.ids import IntentId, OwnerId, RunId, TaskId
from flowrun.ledger.memory import MemoryLedger
from flowrun.ledger.protocol import (
    Adopted,
    BusyActionError,
    Claim,
    Failed,
    Intent,
    IntentOutcome,
    Join,
    Limits,
    Resend,
    StaleClaimError,
    Succeeded,
)
from flowrun.ledger.tables import where
from flowrun.ledger.transactions import FactLedger

from .ledger_bench import MODEL, ORIGIN, a_doc

DOC = a_doc()
RUN = RunId("run")
BROKE = Failed("INTERNAL", "it broke")
ENDED = ("done", "stopped")
UNDECIDED = (IntentOutcome.OPEN, IntentOutcome.UNCERTAIN)


@dataclass(frozen=True)
class Apply:
    """One process that wants the action's result. `life` counts its restarts: each is an owner of its own."""

    number: int
    doing: str = "claim"
    state: str = "awake"  # awake | frozen | dead
    life: int = 0
    claim: Claim | None = None
    intent: Intent | None = None
    task: TaskId | None = None
    crashes: int = 0
    freezes: int = 0
    retries: int = 0

    @property
    def owner(self) -> OwnerId:
        return OwnerId(f"apply-{self.number}.{self.life}")


@dataclass
class Budget:
    """What may still happen, in all."""

    losses: int = 0  # answers that never come although the request was accepted
    refusals: int = 0
    failures: int = 0  # tasks that fail
    decisions: int = 0  # words of a person on an uncertain request


@dataclass
class World:
    ledger: FactLedger
    applies: list[Apply]
    budget: Budget
    duties: frozenset[str] = frozenset()  # those the processes neglect
    tasks: list[tuple[str, IntentId]] = field(default_factory=list)  # at the API: status, and the request behind it
    stored: set[TaskId] = field(default_factory=set)
    decided: set[IntentId] = field(default_factory=set)
    fault: str = ""

    def fork(self) -> World:
        ledger = type(self.ledger)(lambda: 0.0, self.ledger._tables.copy())  # type: ignore[attr-defined,call-arg]
        return replace(
            self,
            ledger=ledger,
            applies=list(self.applies),
            budget=replace(self.budget),
            tasks=list(self.tasks),
            stored=set(self.stored),
            decided=set(self.decided),
        )

    def fingerprint(self) -> tuple[Any, ...]:
        """Equal for worlds in which the same can happen. Fences count only by being the newest or not."""
        tables = self.ledger._tables
        held = tables.claims.get(DOC.key)
        intents = tuple((row.outcome, row.task, row.owner) for row in self.intents())
        tasks = tuple((row.task, row.status, row.settled, row.failure is None) for row in self.ledger.tasks())
        applies = tuple(
            (each.doing, each.state, each.life, each.claim is not None and held is not None and each.claim.fence == held.fence,
             each.intent and each.intent.intent, each.task, each.crashes, each.freezes, each.retries)
            for each in self.applies
        )  # fmt: skip
        budget = (self.budget.losses, self.budget.refusals, self.budget.failures, self.budget.decisions)
        owners = frozenset(row.owner for row in self.ledger.owners())
        claim = held and (held.owner, held.model)
        rest = (frozenset(self.stored), frozenset(self.decided), self.fault)
        return (claim, intents, tasks, owners, applies, budget, tuple(self.tasks), rest)

    def intents(self) -> list[Any]:
        return self.ledger._tables.intents.find(where())

    # ---- what may happen ---------------------------------------------------------------------------------------------

    def steps(self) -> Iterator[tuple[str, Callable[[World], None]]]:
        for apply in self.applies:
            yield from self._steps_of(apply)
        awake = {each.owner for each in self.applies if each.state == "awake"}
        if any(row.owner not in awake for row in self.ledger.owners()):
            yield "the reaper runs", lambda w: w._reap()
        for number, (status, _) in enumerate(self.tasks):
            if status == "RUNNING":
                yield f"t{number} succeeds", lambda w, n=number: w._end(n, "SUCCEEDED")
                if self.budget.failures:
                    yield f"t{number} fails", lambda w, n=number: w._end(n, "FAILED")
        if self.budget.decisions:
            yield from self._words()

    def _steps_of(self, apply: Apply) -> Iterator[tuple[str, Callable[[World], None]]]:
        n = apply.number
        if apply.state == "frozen":
            yield f"{n} thaws", lambda w: w._put(n, state="awake")
        elif apply.state == "dead":
            yield f"{n} restarts", lambda w: w._put(n, state="awake", doing="claim", life=apply.life + 1)
        elif apply.doing not in ENDED:
            for name, act in self._acts(apply):
                yield f"{n} {name}", lambda w, act=act: act(w, w.applies[n])
            if apply.crashes:
                yield f"{n} dies", lambda w: w._put(n, state="dead", crashes=apply.crashes - 1, **GONE)
            if apply.freezes:
                yield f"{n} freezes", lambda w: w._put(n, state="frozen", freezes=apply.freezes - 1)

    def _acts(self, apply: Apply) -> Iterator[tuple[str, Callable[[World, Apply], None]]]:
        if apply.doing == "send":
            yield "sends, is answered", World._send
            if self.budget.losses:
                yield "sends, hears nothing", World._send_unheard
            if self.budget.refusals:
                yield "sends, is refused", World._send_refused
        elif apply.doing != "poll" or self._status(apply.task) != "RUNNING":
            yield apply.doing + "s", getattr(World, f"_{apply.doing}")

    def _words(self) -> Iterator[tuple[str, Callable[[World], None]]]:
        known = {row.task for row in self.ledger.tasks()}
        for row in self.ledger.uncertain():
            yield f"resend {row.intent}", lambda w, i=row.intent: w._decide(i, Resend())
            for number in range(len(self.tasks)):
                if f"t{number}" not in known:
                    yield f"adopt t{number}", lambda w, i=row.intent, n=number: w._decide(i, Adopted(TaskId(f"t{n}")))

    # ---- the API, the reaper, a person -------------------------------------------------------------------------------

    def _status(self, task: TaskId | None) -> str:
        return self.tasks[int(str(task)[1:])][0]

    def _end(self, number: int, status: str) -> None:
        self.tasks[number] = (status, self.tasks[number][1])
        self.budget.failures -= status == "FAILED"

    def _accept(self, apply: Apply) -> TaskId:
        assert apply.intent is not None
        self.tasks.append(("RUNNING", apply.intent.intent))
        return TaskId(f"t{len(self.tasks) - 1}")

    def _reap(self) -> None:
        awake = {each.owner for each in self.applies if each.state == "awake"}
        self.ledger.reap(1e9, lambda owner: owner not in awake)

    def _decide(self, intent: IntentId, word: Any) -> None:
        self.ledger.decide(intent, word)
        self.decided.add(intent)
        self.budget.decisions -= 1

    def _put(self, number: int, **changes: Any) -> None:
        self.applies[number] = replace(self.applies[number], **changes)

    # ---- what a process does -----------------------------------------------------------------------------------------

    def _claim(self, apply: Apply) -> None:
        answer = self.ledger.claim(DOC, ORIGIN, RUN, apply.owner)
        if isinstance(answer, Join):
            return
        claim, facts = answer.claim, self.ledger.last([DOC.key]).get(DOC.key)
        failed = facts is not None and facts.failure is not None
        look = answer.fresh and "look-again" not in self.duties
        if answer.open_tasks:
            self._put(apply.number, doing="poll", claim=claim, task=answer.open_tasks[0].task)
        elif answer.uncertain:
            self._leave(apply, claim, "stopped")
        elif (look and self.stored) or (failed and not apply.retries):
            self._leave(apply, claim, "done")
        else:
            self._put(apply.number, doing="reserve", claim=claim, retries=apply.retries - failed)

    def _leave(self, apply: Apply, claim: Claim | None, doing: str) -> None:
        if claim is not None:
            self.ledger.release(claim)
        self._put(apply.number, doing=doing, **GONE)

    def _reserve(self, apply: Apply) -> None:
        try:
            self.ledger.reserve(apply.claim, MODEL, 5, Limits())
            self._put(apply.number, doing="intend")
        except StaleClaimError:
            self._leave(apply, None, "claim")

    def _intend(self, apply: Apply) -> None:
        facts = self.ledger.last([DOC.key]).get(DOC.key)
        beside = facts is not None and bool(facts.open_intents or facts.uncertain or facts.open_tasks)
        try:
            intent = self.ledger.intend(apply.claim, "digest", {})
        except (StaleClaimError, BusyActionError):
            self._leave(apply, apply.claim, "claim")
            return
        if beside or self.stored:
            self.fault = "needless: intended beside a request, an open task or a stored result"
        self._put(apply.number, doing="send", intent=intent)

    def _send(self, apply: Apply) -> None:
        self._put(apply.number, doing="record", task=self._accept(apply))

    def _send_unheard(self, apply: Apply) -> None:
        self._accept(apply)
        self.budget.losses -= 1
        self._put(apply.number, doing="send" if "lost-uncertain" in self.duties else "lose")

    def _send_refused(self, apply: Apply) -> None:
        self.budget.refusals -= 1
        self._put(apply.number, doing="take_refusal")

    def _record(self, apply: Apply) -> None:
        self.ledger.submitted(apply.intent, apply.task)
        if all(row.task != apply.task for row in self.ledger.tasks()):
            self.fault = f"lost: the ledger was told of {apply.task} and threw it away"
            return
        self._put(apply.number, doing="poll")

    def _lose(self, apply: Apply) -> None:
        self.ledger.lost(apply.intent, {})
        self._leave(apply, apply.claim, "stopped")

    def _take_refusal(self, apply: Apply) -> None:
        self.ledger.refused(apply.intent)
        self._put(apply.number, doing="claim", intent=None)

    def _poll(self, apply: Apply) -> None:
        status = self._status(apply.task)
        self.ledger.ended(apply.task, status)
        if status == "FAILED":
            self.ledger.settle(apply.task, BROKE, 0)
            self._put(apply.number, doing="claim", **GONE)
        else:
            self._put(apply.number, doing="settle" if "store-first" in self.duties else "store")

    def _store(self, apply: Apply) -> None:
        self.stored.add(apply.task)
        if "store-first" in self.duties:
            self._put(apply.number, doing="claim", **GONE)
        else:
            self._put(apply.number, doing="settle")

    def _settle(self, apply: Apply) -> None:
        self.ledger.settle(apply.task, Succeeded(), 5)
        if "store-first" in self.duties:
            self._put(apply.number, doing="store")
        else:
            self._put(apply.number, doing="claim", **GONE)

    # ---- what must never be true -------------------------------------------------------------------------------------

    def wrong(self) -> str:
        failed = sum(status == "FAILED" for status, _ in self.tasks)
        if len(self.tasks) > 1 + failed + len(self.decided):
            return f"paid twice: {len(self.tasks)} accepted, {failed} failed, {len(self.decided)} decided by a person"
        known = {row.task: row for row in self.ledger.tasks()}
        intents = {row.intent: row.outcome for row in self.intents()}
        for number, (status, intent) in enumerate(self.tasks):
            task = TaskId(f"t{number}")
            if intents[intent] is IntentOutcome.REFUSED:
                return f"lost: {task} was accepted, and the ledger says its request was refused"
            if task not in self.stored and status != "FAILED" and not self._on_record(task, intent, known, intents):
                return f"lost: {task} was accepted and nothing on record leads to it"
        return self.fault

    def _on_record(
        self, task: TaskId, intent: IntentId, known: dict[TaskId, Any], intents: dict[IntentId, Any]
    ) -> bool:
        """Open in the ledger; or its request may still be asked about; or someone who holds its id is about to tell."""
        if task in known:
            return not known[task].settled
        telling = any(each.task == task and each.doing == "record" and each.state != "dead" for each in self.applies)
        return telling or intents[intent] in UNDECIDED or intent in self.decided


GONE: dict[str, Any] = {"claim": None, "intent": None, "task": None}


@dataclass(frozen=True)
class Setting:
    """How much may go wrong: per process (crashes, freezes, retries), and in all."""

    crashes: tuple[int, int] = (0, 0)
    freezes: tuple[int, int] = (0, 0)
    retries: int = 0
    losses: int = 0
    refusals: int = 0
    failures: int = 0
    decisions: int = 0

    def world(self, ledger: FactLedger, duties: frozenset[str] = frozenset()) -> World:
        applies = [Apply(n, crashes=self.crashes[n], freezes=self.freezes[n], retries=self.retries) for n in (0, 1)]
        return World(ledger, applies, Budget(self.losses, self.refusals, self.failures, self.decisions), duties)


def explore(start: World, most: int = 1_000_000) -> tuple[int, str, list[str]]:
    """Every world that can be reached, nearest first: how many, and the first wrong with a shortest way to it."""
    seen = {start.fingerprint()}
    ring = [(start, ())]
    while ring and len(seen) < most:
        further = []
        for world, way in ring:
            for name, step in world.steps():
                after = world.fork()
                step(after)
                if wrong := after.wrong():
                    return len(seen), wrong, [*flat(way), name]
                mark = after.fingerprint()
                if mark not in seen:
                    seen.add(mark)
                    further.append((after, (way, name)))
        ring = further
    return len(seen), "", []


def flat(way: tuple[Any, ...]) -> list[str]:
    """A way is a pair (the way before, the last step), so that worlds share theirs."""
    names = []
    while way:
        way, name = way
        names.append(name)
    return names[::-1]


def in_memory(kind: type[MemoryLedger] = MemoryLedger) -> MemoryLedger:
    return kind(lambda: 0.0)
