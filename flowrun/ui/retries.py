"""Whether a failed attempt is tried again, or a model, and when: the scheduler's own rule, told in advance to who shows a run."""

from __future__ import annotations

from collections import Counter

from flowrun.engine import events as ev
from flowrun.engine.failure import Verdict
from flowrun.engine.scheduler import RESEND_CEILING, RESENDS, RETRY_GROWTH, pause_of


class Retries:
    """Hears of decisions and failures in order."""

    def __init__(self) -> None:
        self._asked: dict[str, int | None] = {}  # address -> the manifest's number
        self._bound: set[str] = set()  # units for which nothing is sent anew
        self._tries: Counter[tuple[str, str]] = Counter()
        self._refused: Counter[str] = Counter()  # model -> times in a row
        self._models: dict[str, str] = {}  # unit -> model
        self._waits = False  # for a day that is used up

    def started(self, event: ev.RunStarted) -> None:
        """What the run was told to do about a day that is used up."""
        self._waits = event.waits

    def submitted(self, event: ev.Submitted) -> None:
        """The API took a request of a model, so its day is not used up."""
        del self._refused[self._models.get(event.unit, "")]

    def pause(self, event: ev.AttemptFailed) -> float | None:
        """Seconds that the unit's model rests because the API refused it for the day's sake; None: it is not asked again."""
        model = self._models.get(event.unit, "")
        self._refused[model] += 1
        return pause_of(event.delay, self._refused[model]) if self._waits else None

    def decided(self, event: ev.Decided) -> None:
        """What was decided about one node."""
        self._asked[event.address] = event.retry
        self._models |= {f"{event.address}#{spec.take}": spec.model for spec in event.units}
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
