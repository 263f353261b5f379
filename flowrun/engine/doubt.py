"""What is done about a request that was never answered: the organization's counters are read and kept as evidence, and where the
user trusts them, two readings may settle it. Owns that order; what readings say is `ledger.evidence`'s.

Counters never lead to a second request by themselves: a person decides, or `provider.uncertain = "trust-counters"` does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from flowrun.clock import Clock
from flowrun.engine import events as ev
from flowrun.engine.failure import Failure, Verdict
from flowrun.engine.ports import Attempt, Provider
from flowrun.engine.verdicts import of_lost_answer
from flowrun.ids import IntentId
from flowrun.ledger.evidence import (
    APART,
    Finding,
    Reading,
    before_of,
    counter_words,
    reading,
    standing,
    weigh,
    with_readings,
)
from flowrun.ledger.protocol import Claim, Forgotten, Intent, IntentRow, Ledger
from flowrun.runway.errors import AnswerLostError, RunwayError

COUNTED_OUT = "counted out"  # whose word it was that nothing came of it
NOT_COUNTED = "not-counted"
LOOKS = 4  # pairs of readings, while other requests are under way
STEP = 5.0  # seconds after which a stop is noticed


@dataclass(frozen=True, slots=True)
class Counters:
    """The organization's counters beside the ledger's. `stopping`: whether nobody wants to wait any more."""

    ledger: Ledger
    provider: Provider
    clock: Clock
    stopping: Callable[[], bool] = lambda: False

    async def read(self, models: Collection[str]) -> dict[str, Reading]:
        """One look, by model. Empty where the API does not tell: evidence is never worth a failure."""
        before = {model: standing(self.ledger, model, self.clock.now()) for model in models}
        try:
            told = await self.provider.organization()
        except RunwayError:
            return {}
        at = self.clock.now()
        return {
            model: reading(told.used_today.get(model, 0), at, before[model], standing(self.ledger, model, at))
            for model in models
        }

    async def wait(self) -> bool:
        """For the time between two readings; whether it passed in peace."""
        end = self.clock.now() + APART
        while (left := end - self.clock.now()) > 0:
            if self.stopping():
                return False
            await self.clock.sleep(min(STEP, left))
        return not self.stopping()

    def keep(self, row: IntentRow, *found: Reading) -> None:
        """With the intent; where the disk is full, not."""
        with suppress(OSError):
            self.ledger.lost(_intent(row), with_readings(row.evidence, found))

    async def settle(self, rows: Iterable[IntentRow]) -> dict[IntentId, Finding]:
        """Read twice, and again while other requests are open; what was certainly not accepted is given up, on record."""
        left = {row.intent: row for row in rows}
        found = dict.fromkeys(left, Finding.OPEN)
        firsts = await self.read({row.model for row in left.values()})
        for _ in range(LOOKS):
            if not left or not firsts or not await self.wait():
                break
            seconds = await self.read({row.model for row in left.values()})
            for name, finding in self._weighed(left, firsts, seconds).items():
                found[name] = finding
                if finding is not Finding.OPEN:
                    del left[name]
            firsts = seconds
        return found

    def _weighed(
        self, rows: Mapping[IntentId, IntentRow], firsts: Mapping[str, Reading], seconds: Mapping[str, Reading]
    ) -> dict[IntentId, Finding]:
        found = {}
        for name, row in rows.items():
            if row.model not in firsts or row.model not in seconds:
                continue
            pair = (firsts[row.model], seconds[row.model])
            self.keep(row, *pair)
            found[name] = self._settled(row, weigh(before_of(row.evidence), row.intended_at, *pair))
        return found

    def _settled(self, row: IntentRow, finding: Finding) -> Finding:
        if finding is Finding.NOT_ACCEPTED:
            try:
                self.ledger.decide(row.intent, Forgotten(COUNTED_OUT))
            except KeyError:  # somebody else has settled it meanwhile
                return Finding.OPEN
        return finding


async def look_into(attempt: Attempt, intent: Intent, error: AnswerLostError) -> Failure:
    """What an answer that never came means for the run. The intent is uncertain already."""
    failure = of_lost_answer(error.kind, error.said, attempt.doc)
    ports = attempt.ports
    counters = Counters(ports.ledger, ports.provider, ports.clock, attempt.run.stopping)
    row = _row(intent, ports.ledger)
    if row is None or attempt.run.stopping():
        return failure
    model = row.model
    if not attempt.run.trusts_counters or before_of(row.evidence) is None:
        counters.keep(row, *(await counters.read([model])).values())
        return _with_evidence(failure, intent, ports.ledger)
    attempt.report(ev.Weighing(attempt.now(), attempt.unit, APART))
    finding = (await counters.settle([row]))[row.intent]
    if finding is not Finding.NOT_ACCEPTED:
        return _with_evidence(failure, intent, ports.ledger)
    message = "A request was not answered, and the organization's counter says twice that it was not accepted."
    return Failure(Verdict.RESEND, NOT_COUNTED, message, charged=0)


def _with_evidence(failure: Failure, intent: Intent, ledger: Ledger) -> Failure:
    row = _row(intent, ledger)
    words = "" if row is None else counter_words(row.evidence, row.model)
    return Failure(failure.verdict, failure.code, f"{failure.message} {words}".rstrip())


def _row(intent: Intent, ledger: Ledger) -> IntentRow | None:
    return next((row for row in ledger.unanswered() if row.intent == intent.intent), None)


def _intent(row: IntentRow) -> Intent:
    """As the ledger wants it named; nobody claims anything by it."""
    return Intent(row.intent, Claim(row.key, row.owner, row.run, 0), row.intended_at)
