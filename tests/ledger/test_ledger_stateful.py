"""Whatever is asked in whatever order, memory and SQLite give the same answer, and what they count adds up."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from flowrun.ids import OwnerId, RunId, TaskId
from flowrun.ledger.memory import MemoryLedger
from flowrun.ledger.protocol import (
    Adopted,
    BusyActionError,
    Failed,
    Forgotten,
    Intent,
    Limits,
    Mine,
    Origin,
    Resend,
    StaleClaimError,
    Succeeded,
)
from flowrun.ledger.sqlite import SqliteLedger
from tests.contract.ledger_bench import a_doc

NAMES, OWNERS, RUNS, MODELS = "abc", ("anne", "bob"), ("r1", "r2"), ("m1", "m2")
KEYS = [a_doc(name, take).key for name in NAMES for take in (1, 2)]
RECIPES = [a_doc(name).recipe for name in NAMES]
OUTCOMES = st.sampled_from(
    [Succeeded(), Failed("INTERNAL", "x"), Failed("SAFETY.INPUT.TEXT", "y", rejected=True, input_refused=True)]
)
CREDITS = st.none() | st.integers(0, 9)
SPANS = st.sampled_from([0.0, 0.1, 1.0, 900.0, 1800.0, 43200.0, 86400.0])
LIMITS = st.builds(
    Limits,
    concurrency=st.none() | st.integers(0, 3),
    daily=st.none() | st.integers(0, 4),
    used_elsewhere=st.integers(0, 1),
    balance=st.none() | st.integers(0, 40),
    balance_at=st.sampled_from([0.0, 1000.1, 2000.0, 90_000.0]),
    run_cap=st.none() | st.integers(0, 30),
    day_cap=st.none() | st.integers(0, 30),
    allow_unknown_price=st.booleans(),
)
pick = st.integers(0, 50)


class Both(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.1
        self.folder = tempfile.TemporaryDirectory()
        self.ledgers = (
            MemoryLedger(lambda: self.now),
            SqliteLedger(Path(self.folder.name, "ledger.sqlite3"), lambda: self.now),
        )
        self.claims, self.intents, self.tasks = [], [], []

    def teardown(self) -> None:
        for ledger in self.ledgers:
            ledger.close()
        self.folder.cleanup()

    def same(self, name: str, *args: object) -> object:
        """Both ledgers' one answer, or the kind of error both raise."""
        memory, sqlite = (self._answer(ledger, name, args) for ledger in self.ledgers)
        assert memory == sqlite, (name, args)
        return memory

    def _answer(self, ledger: object, name: str, args: tuple[object, ...]) -> object:
        try:
            return getattr(ledger, name)(*args)
        except (KeyError, ValueError, StaleClaimError, BusyActionError) as error:
            return type(error), str(error)

    def some(self, items: list[object], number: int) -> object:
        return items[-1 - number % len(items)]

    @rule(seconds=SPANS)
    def time_passes(self, seconds):
        self.now += seconds

    @rule(name=st.sampled_from(NAMES), take=st.integers(1, 2), run=st.sampled_from(RUNS), owner=st.sampled_from(OWNERS))
    def claim(self, name, take, run, owner):
        origin = Origin(f"/{run}", "p", "f", "", "f.yaml", name, (owner,))
        answer = self.same("claim", a_doc(name, take), origin, RunId(run), OwnerId(owner))
        if isinstance(answer, Mine):
            self.claims.append(answer.claim)

    @rule(number=pick, model=st.sampled_from(MODELS), credits=CREDITS, limits=LIMITS)
    def reserve(self, number, model, credits, limits):
        if self.claims:
            self.same("reserve", self.some(self.claims, number), model, credits, limits)

    @rule(run=st.sampled_from(RUNS), model=st.sampled_from(MODELS), limits=LIMITS)
    def ask_beforehand(self, run, model, limits):
        self.same("left", RunId(run), "p", limits)
        self.same("next_in_day", model, limits)

    @rule(number=pick, credits=CREDITS, model=st.sampled_from(MODELS))
    def intend(self, number, credits, model):
        if self.claims:
            claim = self.some(self.claims, number)
            self.same("reserve", claim, model, credits, Limits())
            answer = self.same("intend", claim, "digest", {"n": [number]})
            if isinstance(answer, Intent):
                self.intents.append(answer)

    @rule(number=pick, credits=CREDITS, again=st.booleans())
    def submitted(self, number, credits, again):
        if self.intents:
            if not (again and self.tasks):
                self.tasks.append(TaskId(f"t{len(self.tasks)}"))
            self.same("submitted", self.some(self.intents, number), self.tasks[-1], credits)

    @rule(number=pick, word=st.sampled_from(["refused", "lost"]))
    def unanswered(self, number, word):
        if self.intents:
            intent = self.some(self.intents, number)
            self.same(word, intent, *([{"after": number}] if word == "lost" else []))

    @rule(number=pick, word=st.sampled_from([Forgotten(), Resend(), None]), adopted=st.integers(0, 9))
    def decide(self, number, word, adopted):
        if self.intents:
            intent = self.some(self.intents, number).intent
            self.same("decide", intent, word or Adopted(TaskId(f"adopted-{adopted}")))

    @rule(number=pick, status=st.sampled_from(["SUCCEEDED", "FAILED"]))
    def ended(self, number, status):
        if self.tasks:
            self.same("ended", self.some(self.tasks, number), status)

    @rule(number=pick)
    def note(self, number):
        if self.tasks:
            task = self.some(self.tasks, number)
            self.same("note", task, {"note": number})
            self.same("evidence", task)

    @rule(number=pick, outcome=OUTCOMES, credits=CREDITS)
    def settle(self, number, outcome, credits):
        if self.tasks:
            self.same("settle", self.some(self.tasks, number), outcome, credits)

    @rule(number=pick)
    def release(self, number):
        if self.claims:
            self.same("release", self.some(self.claims, number))

    @rule(owner=st.sampled_from(OWNERS), what=st.sampled_from(["heartbeat", "retire"]))
    def owner(self, owner, what):
        self.same(what, OwnerId(owner))

    @rule(older=SPANS, gone=st.sampled_from([*OWNERS, "nobody"]))
    def reap(self, older, gone):
        self.same("reap", older, lambda owner: owner == gone)

    @invariant()
    def every_question_has_one_answer(self):
        for name in ("uncertain", "open", "owners", "in_flight", "tasks"):
            self.same(name)
        self.same("open", "/r1")
        self.same("last", KEYS)
        self.same("rejections", RECIPES)
        for run in RUNS:
            self.same("committed", RunId(run))
            self.same("tasks", RunId(run))
        for model in MODELS:
            self.same("created_since", model, self.now - 86400.0)

    @invariant()
    def no_action_has_two_requests_on_their_way(self):
        for facts in self.same("last", KEYS).values():
            assert len(facts.open_intents) <= 1


def test_memory_and_sqlite_answer_alike():
    quiet = settings(
        max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    run_state_machine_as_test(Both, settings=quiet)
