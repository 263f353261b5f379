"""The nine rules, in the real ledgers: every interleaving of two applies in a small world, and random ones in SQLite.

Each rule is then taken away, in the ledger or in what a process owes it, and the world must notice.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from flowrun.ledger.memory import MemoryLedger
from flowrun.ledger.protocol import BusyActionError, IntentOutcome, Mine, StaleClaimError
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.ledger.tables import ClaimRow, where

from .ledger_bench import MODEL, ORIGIN
from .ledger_world import Setting, explore, in_memory

pytestmark = pytest.mark.usefixtures("unmeasured")  # what chance has reached is no proof that a test looks at it

EVERYTHING = Setting((2, 2), (2, 2), retries=1, losses=1, refusals=1, failures=1, decisions=1)
SETTINGS = {
    "crashes and freezes": Setting((1, 0), (1, 1)),
    "a crash, a lost answer, a refusal, a word": Setting((1, 0), losses=1, refusals=1, decisions=1),
    "a freeze, a lost answer, a refusal, a word": Setting(freezes=(1, 0), losses=1, refusals=1, decisions=1),
    "both freeze, a word": Setting(freezes=(1, 1), decisions=1),
    "a failure is retried": Setting((1, 0), (0, 1), retries=1, failures=1),
    "a failure and a word": Setting(freezes=(1, 0), retries=1, failures=1, decisions=1),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_no_interleaving_pays_twice_or_loses_anything(name):
    worlds, wrong, way = explore(SETTINGS[name].world(in_memory()))
    assert not wrong, (wrong, way)
    assert worlds > 1_000


@pytest.mark.long
def test_no_interleaving_of_nearly_everything_does_either():
    setting = Setting((1, 0), (1, 0), retries=1, losses=1, refusals=1, failures=1, decisions=1)
    worlds, wrong, way = explore(setting.world(in_memory()), most=20_000)
    assert not wrong, (wrong, way)
    assert worlds >= 20_000


def test_random_walks_over_sqlite_find_nothing_either(tmp_path):
    for seed in range(25):
        chance = random.Random(seed)
        ledger = SqliteLedger(tmp_path / f"{seed}.sqlite3", lambda: 0.0)
        world, way = EVERYTHING.world(ledger), []
        while (steps := list(world.steps())) and len(way) < 60:
            name, step = chance.choice(steps)
            step(world)
            way.append(name)
            assert not world.wrong(), (seed, world.wrong(), way)
        ledger.close()


class NoFence(MemoryLedger):
    """Rule 1 away: a stale claim still speaks."""

    def _current(self, claim):
        try:
            return super()._current(claim)
        except StaleClaimError:
            return ClaimRow(claim.key, claim.owner, claim.run, claim.fence, ORIGIN, MODEL, 5)


class NotAlone(MemoryLedger):
    """Rule 2 away."""

    def _alone(self, key):
        pass


class ReapedIsVoid(MemoryLedger):
    """Rule 3 away: what a gone owner intended counts as never sent."""

    def _let_go(self, owner):
        super()._let_go(owner)
        for row in self._tables.intents.find(where(owner=(owner,), outcome=(IntentOutcome.UNCERTAIN,))):
            self._tables.intents.put(replace(row, outcome=IntentOutcome.REFUSED))


class LateIdsAreDropped(MemoryLedger):
    """Rule 4 away: an answer counts only while its intent is open."""

    def submitted(self, intent, task, credits=None):
        if self._intent(intent.intent).outcome is IntentOutcome.OPEN:
            super().submitted(intent, task, credits)


class RefusesTheNewest(MemoryLedger):
    """Rule 5 away: a refusal is booked on the action's newest intent."""

    def refused(self, intent):
        newest = self._tables.intents.find(where(key=(intent.claim.key,)))[-1]
        super().refused(replace(intent, intent=newest.intent))


class TasksAreNotTakenUp(MemoryLedger):
    """Rule 8 away, and the part of rule 2 that would hide it."""

    def claim(self, doc, origin, run, owner):
        answer = super().claim(doc, origin, run, owner)
        return replace(answer, open_tasks=()) if isinstance(answer, Mine) else answer

    def _alone(self, key):
        if self._facts(key).open_intents or self._facts(key).uncertain:
            raise BusyActionError


WORD = Setting(freezes=(1, 0), decisions=1)
BROKEN = {
    "1 a stale claim intends": (NoFence, "", Setting(freezes=(1, 0))),
    "2 two requests at once": (NotAlone, "", WORD),
    "3 reaped is void": (ReapedIsVoid, "", Setting(freezes=(1, 0))),
    "4 a late id is dropped": (LateIdsAreDropped, "", Setting(freezes=(1, 0))),
    "5 a refusal of another's": (RefusesTheNewest, "", replace(WORD, refusals=1)),
    "6 a lost answer is sent again": (MemoryLedger, "lost-uncertain", Setting(losses=1)),
    "7 nobody looks again": (MemoryLedger, "look-again", Setting()),
    "8 open tasks are not taken up": (TasksAreNotTakenUp, "", Setting(crashes=(1, 0))),
    "9 settled before it is stored": (MemoryLedger, "store-first", Setting(crashes=(1, 0))),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_rule_taken_away_is_noticed(name):
    kind, duty, setting = BROKEN[name]
    _, wrong, way = explore(setting.world(in_memory(kind), frozenset({duty})))
    assert wrong, name
    assert way


@pytest.mark.parametrize("name", BROKEN)
def test_with_the_rule_in_place_the_same_setting_is_sound(name):
    _, wrong, way = explore(BROKEN[name][2].world(in_memory()))
    assert not wrong, (wrong, way)


class SettlesWithoutLettingGo(MemoryLedger):
    """A claim made before a late result was stored stays good."""

    def settle(self, task, outcome, credits):
        held = self._tables.claims.get(self._task(task).key)
        super().settle(task, outcome, credits)
        if held is not None:
            self._tables.claims.put(held)


def test_a_settled_task_takes_the_claim_from_whoever_holds_it():
    _, wrong, way = explore(WORD.world(in_memory(SettlesWithoutLettingGo)))
    assert wrong.startswith("needless"), (wrong, way)
