"""Whether a failed attempt is tried again, and when: the scheduler's own rule, told in advance to who shows a run."""

from __future__ import annotations

from collections import Counter

from flowrun.engine import events as ev
from flowrun.engine.failure import Verdict
from flowrun.engine.scheduler import RESEND_CEILING, RESENDS, RETRY_GROWTH


class Retries:
    """Hears of decisions and failures in order."""

    def __init__(self) -> None:
        self._asked: dict[str, int | None] = {}  # address -> the manifest's number
        self._bound: set[str] = set()  # units for which nothing is sent anew
        self._tries: Counter[tuple[str, str]] = Counter()

    def decided(self, event: ev.Decided) -> None:
        """What was decided about one node."""
        self._asked[event.address] = event.retry
        self._bound |= {f"{event.address}#{spec.take}" for spec in event.units if not spec.anew}

    def again(self, event: ev.AttemptFailed) -> float | None:
        """Seconds until the unit is tried again, None where it is not."""
        verdict = Verdict(event.verdict)
        if verdict not in (Verdict.RETRY, Verdict.RESEND) or event.unit in self._bound:
            return None
        asked = self._asked.get(event.unit.rpartition("#")[0])
        allowed = RESENDS if verdict is Verdict.RESEND else event.attempts if asked is None else asked
        done = self._tries[event.unit, event.verdict]
        if done >= allowed:
            return None
        self._tries[event.unit, event.verdict] += 1
        if verdict is Verdict.RETRY:
            return event.delay * min(RETRY_GROWTH, 2.0**done)
        return max(event.delay, min(RESEND_CEILING, event.delay * 2.0**done))
