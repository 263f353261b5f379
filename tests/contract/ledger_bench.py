"""What the ledger's tests stand on: a storage that can be opened any number of times, and a clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from flowrun.action import ActionDoc, MediaInput
from flowrun.digest import Digest
from flowrun.ids import ActionKey, OwnerId, RecipeKey, RunId, TaskId
from flowrun.ledger.protocol import (
    ActionFacts,
    Claim,
    Failed,
    Granted,
    Intent,
    IntentOutcome,
    Ledger,
    Limits,
    Mine,
    Origin,
    Succeeded,
)

ORIGIN = Origin("/p/.flowrun", "p", "fox", "", "fox.yaml", "hero#1", ("shots", "b"), forced=True)
RUN, OTHER_RUN = RunId("run-1"), RunId("run-2")
ANNE, BOB = OwnerId("anne"), OwnerId("bob")
MODEL = "gen4_turbo"
START = 1_700_000_000.25
DAY, HALF_HOUR = 86_400.0, 1_800.0
NO_LIMITS = Limits()
FAILURE = Failed("INTERNAL", "it broke")
REFUSED_INPUT = Failed("SAFETY.INPUT.TEXT", "no", rejected=True, input_refused=True)


def a_doc(name: str = "a", take: int = 1, credits: int | None = 5) -> ActionDoc:
    media = {"00": MediaInput(Digest("00", 3), "image/png", "https://example.com/a.png")}
    return ActionDoc(
        ActionKey(f"key-{name}-{take}"), RecipeKey(f"recipe-{name}"), "runway", "2024-11-06", "image_to_video", MODEL,
        "/v1/image_to_video", {"promptText": "ein Fuchs \u2014 läuft"}, media, {"take": take}, "video", take, 7, credits, 60.0,
    )  # fmt: skip


@dataclass
class Bench:
    """`ledger` is one process's instance, `other` another's on the same storage."""

    make: Callable[[Callable[[], float]], Ledger]
    now: float = START
    ledger: Ledger = field(init=False)
    other: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.ledger, self.other = self.open(), self.open()

    def open(self) -> Ledger:
        return self.make(lambda: self.now)

    def claimed(
        self, name: str = "a", owner: OwnerId = ANNE, run: RunId = RUN, take: int = 1, origin: Origin = ORIGIN
    ) -> Claim:
        answer = self.ledger.claim(a_doc(name, take), origin, run, owner)
        assert isinstance(answer, Mine), answer
        return answer.claim

    def reserved(
        self, name: str = "a", credits: int | None = 5, *, model: str = MODEL, limits: Limits = NO_LIMITS,
        owner: OwnerId = ANNE, run: RunId = RUN, take: int = 1, origin: Origin = ORIGIN,
    ) -> Claim:  # fmt: skip
        claim = self.claimed(name, owner, run, take, origin)
        assert self.ledger.reserve(claim, model, credits, limits) == Granted()
        return claim

    def intended(self, name: str = "a", credits: int | None = 5, **more: object) -> Intent:
        return self.ledger.intend(self.reserved(name, credits, **more), "digest", {"before": 1})

    def submitted(self, name: str = "a", credits: int | None = 5, **more: object) -> TaskId:
        task = TaskId(f"task-{name}-{more.get('take', 1)}")
        self.ledger.submitted(self.intended(name, credits, **more), task)
        return task

    def settled(
        self, name: str = "a", outcome: Succeeded | Failed = FAILURE, charge: int | None = None, **more: object
    ) -> TaskId:
        task = self.submitted(name, **more)
        self.ledger.ended(task, "FAILED" if isinstance(outcome, Failed) else "SUCCEEDED")
        self.ledger.settle(task, outcome, charge)
        return task

    def asks(
        self, credits: int | None = 5, *, limits: Limits, name: str = "next", model: str = MODEL, run: RunId = RUN,
        origin: Origin = ORIGIN,
    ):  # fmt: skip
        """What reserving one more would say; nothing stays of it."""
        claim = self.claimed(name, OwnerId("asker"), run, origin=origin)
        try:
            return self.ledger.reserve(claim, model, credits, limits)
        finally:
            self.ledger.release(claim)

    def outcome(self, intent: Intent) -> IntentOutcome | None:
        """Of an intent that is open or uncertain; None when it is neither."""
        facts = self.ledger.last([intent.claim.key]).get(intent.claim.key, ActionFacts(intent.claim.key))
        rows = (*facts.open_intents, *facts.uncertain)
        return next((row.outcome for row in rows if row.intent == intent.intent), None)

    def reap_all(self) -> tuple[OwnerId, ...]:
        return self.other.reap(1e9, lambda _: True)
