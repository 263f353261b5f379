"""What the organization's counters say of a request that was never answered. Owns the readings that are kept with an intent, and
what follows from them; whether anybody may act on it is the caller's.

The API tells how many generations of a model it has counted in the last 24 hours, and of nothing else. So a count is held against
what the ledger knows: where they agree before the request, and differ by nothing or by one after it, that says whether the one
request without an answer was accepted, as long as nobody else used the account and no other request was open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from flowrun.ledger.protocol import Ledger
from flowrun.ledger.rules import DAY

BEFORE, AFTER = "before", "after"  # under which the readings stand in an intent's evidence: one, and several
TAKEN_UP = "taken-up"  # stands in the evidence of a request that came from another account's ledger
APART = 60.0  # seconds between two readings that are to confirm each other
MARGIN = 300.0  # seconds by which the API's clock and ours may differ about when a creation leaves the day


@dataclass(frozen=True, slots=True)
class Reading:
    """The API's count of a model's generations in the rolling day, beside the ledger's own.

    `at`: epoch seconds. `counted`: by the API; `known`: accepted, as the ledger knows; `unanswered`: requests that nobody knows
    the end of. `clean`: nothing of this moved while the API was asked, and nothing was about to leave the day.
    """

    at: float
    counted: int
    known: int
    unanswered: int
    clean: bool = True

    @property
    def excess(self) -> int:
        """Generations that the API counts and the ledger does not know of."""
        return self.counted - self.known

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Finding(StrEnum):
    """What the readings say of the one request that was not answered."""

    NOT_ACCEPTED = "not-accepted"
    ACCEPTED = "accepted"
    OPEN = "open"  # they say nothing certain


@dataclass(frozen=True, slots=True)
class Standing:
    """The ledger's side of a reading. `leaving`: whether a creation is about to leave the day, or just has."""

    known: int
    unanswered: int
    leaving: bool


def standing(ledger: Ledger, model: str, at: float) -> Standing:
    """What the ledger knew of `model` at `at`, as far as it can tell now."""
    since = at - DAY
    undecided = [row for row in ledger.unanswered() if row.model == model and since - MARGIN < row.intended_at <= at]
    known = ledger.created_since(model, since) - ledger.created_since(model, at)  # undecided ones are in both
    leaving = ledger.created_since(model, since - MARGIN) != ledger.created_since(model, since + MARGIN)
    return Standing(known, len(undecided), leaving)


def reading(counted: int, at: float, before: Standing, after: Standing) -> Reading:
    """`before` and `after`: how the ledger stood when the API was asked, and when it had answered."""
    return Reading(at, counted, after.known, after.unanswered, before == after and not after.leaving)


def weigh(before: Reading | None, intended_at: float, first: Reading, second: Reading) -> Finding:
    """`before`: read before the request, None: nobody did; `intended_at`: when that was (epoch seconds). Certain only where
    nobody else used the model, the request is the only one without an answer and still within the day, and two readings
    `APART` agree."""
    alone = before is not None and before.clean and before.excess == 0 and before.unanswered == 0
    agree = first.excess == second.excess and second.at - first.at >= APART
    pair = (first, second)
    counts = second.at - intended_at < DAY - MARGIN  # else it may have left the day, accepted or not
    if not (alone and agree and counts and all(each.clean and each.unanswered == 1 for each in pair)):
        return Finding.OPEN
    return {0: Finding.NOT_ACCEPTED, 1: Finding.ACCEPTED}.get(second.excess, Finding.OPEN)


# -- kept with an intent


def before_of(evidence: Mapping[str, Any]) -> Reading | None:
    """None too where it was held against another ledger, and perhaps told by another organization: that says nothing here."""
    return None if TAKEN_UP in evidence else _reading(evidence.get(BEFORE))


def after_of(evidence: Mapping[str, Any]) -> tuple[Reading, ...]:
    """Oldest first."""
    found = (_reading(each) for each in evidence.get(AFTER) or ())
    return tuple(each for each in found if each is not None)


def with_readings(evidence: Mapping[str, Any], more: Sequence[Reading]) -> dict[str, Any]:
    """What is to be added to the evidence after further readings. Two are enough: the first and the last."""
    known = (*after_of(evidence), *more)
    kept = known if len(known) < 2 else (known[0], known[-1])
    return {AFTER: [each.to_json() for each in kept]}


def _reading(data: Any) -> Reading | None:
    """None for what another version wrote."""
    try:
        return Reading(**data)
    except TypeError:
        return None


def counter_words(evidence: Mapping[str, Any], model: str) -> str:
    """What the counters show, for a person who has to decide; empty where nothing was read after the request."""
    before, after = before_of(evidence), after_of(evidence)
    if not after:
        return ""
    last = after[-1]
    was = "" if before is None else f", and was {before.counted} before it"
    told = f"The API's count of {model} in 24 hours is {last.counted}{was}; flowrun knows of {last.known}."
    return f"{told} {_suggests(before, last)}"


def _suggests(before: Reading | None, last: Reading) -> str:
    if before is None or before.excess or last.unanswered > 1 or last.excess not in (0, 1):
        return "That says nothing certain: something else was counted too."
    return "So it seems to have been accepted." if last.excess else "So nothing seems to have been accepted."
