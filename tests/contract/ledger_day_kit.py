"""What every ledger keeps about rolling days, as tests over a `Bench`: a project's credits, a model's places."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest

from flowrun.ids import OwnerId, RunId, TaskId
from flowrun.ledger.protocol import (
    CapLeft,
    Claim,
    Forgotten,
    Granted,
    Intent,
    Ledger,
    LimitName,
    Limits,
    Over,
    Succeeded,
    Wait,
)

from .ledger_bench import BOB, DAY, MODEL, NO_LIMITS, ORIGIN, OTHER_RUN, RUN, START, Bench, a_doc

ELSEWHERE = replace(ORIGIN, project="q")


class DayKit:
    """The cap on what a project commits in any rolling 24 hours, and when places of a model's day come free."""

    def test_it_counts_all_runs_of_a_project_and_no_other_project(self, bench):
        cap = Limits(day_cap=20)
        bench.settled("a", credits=9, charge=4)
        bench.submitted("b", credits=5, run=OTHER_RUN, owner=BOB)
        bench.reserved("c", credits=1, owner=BOB)
        bench.submitted("d", credits=90, origin=ELSEWHERE)
        bench.ledger.refused(bench.intended("e", credits=50))
        assert bench.asks(11, limits=cap) == Over(LimitName.DAY_CAP, 10, START + DAY)
        assert bench.asks(10, limits=cap) == Granted()
        assert bench.asks(1, limits=cap, origin=ELSEWHERE) == Over(LimitName.DAY_CAP, 0, START + DAY)

    def test_what_nobody_knows_and_what_was_given_up_counts(self, bench):
        bench.intended("a", credits=3)
        for name in "bc":
            bench.ledger.lost(bench.intended(name, credits=4), {})
        bench.ledger.decide(bench.ledger.uncertain()[0].intent, Forgotten())
        assert bench.asks(5, limits=Limits(day_cap=15)).left == 4
        assert bench.asks(4, limits=Limits(day_cap=15)) == Granted()

    def test_a_charge_above_its_estimate_counts(self, bench):
        bench.settled("a", Succeeded(), credits=5, charge=30)
        assert bench.asks(1, limits=Limits(day_cap=20)) == Over(LimitName.DAY_CAP, 0, START + DAY)
        assert bench.asks(0, limits=Limits(day_cap=20)).cap is LimitName.DAY_CAP

    def test_an_unknown_price_needs_leave(self, bench):
        assert bench.asks(None, limits=Limits(day_cap=15)) == Over(LimitName.UNKNOWN_PRICE, 15)
        assert bench.asks(None, limits=Limits(day_cap=15, allow_unknown_price=True)) == Granted()

    @pytest.mark.parametrize("start", [START, 0.1, 1e9 / 3])
    def test_it_says_when_enough_has_aged_out(self, bench, start):
        bench.now = start
        cap = Limits(day_cap=12)
        for name, credits in (("a", 2), ("b", 3), ("c", 6)):
            bench.submitted(name, credits=credits)
            bench.now += 100
        first, second, third = (bench.asks(credits, limits=cap) for credits in (3, 4, 7))
        assert [each.left for each in (first, second, third)] == [1, 1, 1]
        assert [each.until for each in (first, second, third)] == pytest.approx(
            [start + DAY, start + DAY + 100, start + DAY + 200]
        )
        assert bench.asks(13, limits=cap).until is None  # more than the whole cap
        bench.now = second.until - 1
        assert isinstance(bench.asks(4, limits=cap), Over)
        bench.now = second.until
        assert bench.asks(4, limits=cap) == Granted()

    def test_what_is_only_reserved_ages_out_at_no_known_time(self, bench):
        bench.reserved("a", credits=9)
        assert bench.asks(4, limits=Limits(day_cap=12)) == Over(LimitName.DAY_CAP, 3)

    def test_what_is_left_under_each_cap(self, bench):
        bench.submitted("a", credits=9)
        bench.now += 100
        bench.submitted("b", credits=1, run=OTHER_RUN)
        limits = Limits(run_cap=20, day_cap=12, balance=50, balance_at=START - 1)
        assert bench.other.left(RUN, ORIGIN.project, limits) == (
            CapLeft(LimitName.RUN_CAP, 20, 11),
            CapLeft(LimitName.DAY_CAP, 12, 2, START + DAY),
            CapLeft(LimitName.BALANCE, 50, 40),
        )
        nothing = RunId("none yet")
        assert bench.other.left(nothing, "elsewhere", Limits(day_cap=12)) == (CapLeft(LimitName.DAY_CAP, 12, 12),)
        assert bench.other.left(RUN, ORIGIN.project, NO_LIMITS) == ()

    def test_a_limit_below_what_the_day_holds_waits_for_more_than_one_place(self, bench):
        for name in "abc":
            bench.settled(name, Succeeded())
            bench.now += 100
        assert bench.asks(limits=Limits(daily=3)) == Wait(LimitName.DAILY, START + DAY)
        assert bench.asks(limits=Limits(daily=2)) == Wait(LimitName.DAILY, START + 100 + DAY)
        assert bench.asks(limits=Limits(daily=3, used_elsewhere=2)) == Wait(LimitName.DAILY, START + 200 + DAY)
        assert bench.asks(limits=Limits(daily=3, used_elsewhere=3)) == Wait(LimitName.DAILY)  # for others to do
        assert bench.other.next_in_day(MODEL, Limits(daily=9)) == START + DAY
        assert bench.other.next_in_day(MODEL, Limits(daily=2)) == START + 100 + DAY
        assert bench.other.next_in_day("veo3.1", Limits(daily=2)) is None
        assert bench.other.next_in_day(MODEL, NO_LIMITS) is None

    @pytest.mark.parametrize("seed", range(6))
    def test_no_rolling_day_of_a_project_is_ever_above_its_cap(self, bench, seed):
        world = Spenders(bench, random.Random(seed))
        for _ in range(400):
            world.step()
            world.check()
        assert world.said["granted"] > 40
        assert world.said["over"] > 20
        assert world.fullest() > 0.8  # it was put to the test


@dataclass
class Spenders:
    """Five processes of two projects, each with its own instance, that ask, send, get answers, crash, and let time pass."""

    bench: Bench
    chance: random.Random
    caps: dict[str, int] = field(default_factory=lambda: {"p": 60, "q": 35})
    ledgers: list[Ledger] = field(default_factory=list)
    claims: list[tuple[int, Claim, str, int]] = field(default_factory=list)
    intents: list[Intent] = field(default_factory=list)
    tasks: list[tuple[TaskId, Intent]] = field(default_factory=list)
    sent: dict[Intent, tuple[str, float, int]] = field(
        default_factory=dict
    )  # what was committed, by this test's own book
    said: Counter[str] = field(default_factory=Counter)
    asked: int = 0

    def __post_init__(self) -> None:
        self.ledgers = [self.bench.open() for _ in range(5)]

    def step(self) -> None:
        self.bench.now += self.chance.choice((0, 0, 1, 60, 1800, 7200))
        self.chance.choice((self.ask, self.ask, self.send, self.send, self.hear, self.end, self.crash))()

    def ask(self) -> None:
        process, self.asked = self.chance.randrange(5), self.asked + 1
        project = "pq"[process % 2]
        credits, name = self.chance.randint(0, 20), f"n{self.asked}"
        origin = replace(ORIGIN, project=project)
        answer = self.ledgers[process].claim(a_doc(name), origin, RunId(f"run-{process}"), OwnerId(f"o{process}"))
        limits = Limits(day_cap=self.caps[project])
        verdict = self.ledgers[process].reserve(answer.claim, MODEL, credits, limits)
        if verdict == Granted():
            self.said["granted"] += 1
            self.claims.append((process, answer.claim, project, credits))
        else:
            assert verdict.cap is LimitName.DAY_CAP
            assert verdict.left < credits
            self.said["over"] += 1
            self.ledgers[process].release(answer.claim)

    def send(self) -> None:
        if self.claims:
            process, claim, project, credits = self.claims.pop(self.chance.randrange(len(self.claims)))
            intent = self.ledgers[process].intend(claim, "digest", {})
            self.sent[intent] = project, self.bench.now, credits
            self.intents.append(intent)

    def hear(self) -> None:
        if not self.intents:
            return
        intent = self.intents.pop(self.chance.randrange(len(self.intents)))
        match self.chance.choice(("refused", "lost", "submitted", "submitted")):
            case "refused":
                self.ledgers[0].refused(intent)
                del self.sent[intent]
            case "lost":
                self.ledgers[0].lost(intent, {})
            case "submitted":
                task = TaskId(f"task-{intent.intent}")
                self.ledgers[0].submitted(intent, task)
                self.tasks.append((task, intent))

    def end(self) -> None:
        if self.tasks:
            task, intent = self.tasks.pop(self.chance.randrange(len(self.tasks)))
            project, at, credits = self.sent[intent]
            charge = self.chance.choice((None, 0, credits, credits // 2))
            self.ledgers[0].settle(task, Succeeded(), charge)
            self.sent[intent] = project, at, credits if charge is None else charge

    def crash(self) -> None:
        """A process dies: what it had only reserved falls, what it had sent is uncertain."""
        if self.chance.random() < 0.2:
            process = self.chance.randrange(5)
            self.ledgers[0].reap(1e12, lambda owner: owner == f"o{process}")
            self.claims = [each for each in self.claims if each[0] != process]

    def check(self) -> None:
        for project, cap in self.caps.items():
            assert max(self.windows(project), default=0) <= cap

    def windows(self, project: str) -> list[int]:
        """What was committed in the 24 hours that end with each request."""
        mine = [(at, credits) for name, at, credits in self.sent.values() if name == project]
        return [sum(credits for at, credits in mine if end - DAY < at <= end) for end, _ in mine]

    def fullest(self) -> float:
        return min(max(self.windows(project)) / cap for project, cap in self.caps.items())
