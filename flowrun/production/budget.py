"""The caps of an apply, and what they leave of it before it starts. Owns putting them together; the ledger keeps them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowrun.engine.estimate import Foreseen, Portion
from flowrun.ids import RunId
from flowrun.ledger.protocol import CapLeft, LimitName, Limits

if TYPE_CHECKING:
    from flowrun.plan.document import BudgetDocument, PortionDocument

NEW_RUN = RunId("")  # one that has committed nothing yet


@dataclass(frozen=True, slots=True)
class Caps:
    """In estimated credits, None: no such cap. One apply may commit at most what was `asked` for (``--max-credits``, a saved
    plan) and is `written` in the manifest, all applies of the project together at most `day` in any rolling 24 hours."""

    asked: int | None = None
    written: int | None = None
    day: int | None = None
    allow_unknown_price: bool = False

    @property
    def run(self) -> int | None:
        """Of several caps the lowest holds."""
        return min((each for each in (self.asked, self.written) if each is not None), default=None)

    @property
    def bind(self) -> bool:
        """Whether there is any: then an apply may spend that much without being asked."""
        return self.run is not None or self.day is not None


def limits_from(left: Iterable[CapLeft], caps: Caps) -> Limits:
    """What is left of the caps as the limits of everything that is still to come."""
    rest = {each.cap: each.left for each in left}
    return Limits(
        balance=rest.get(LimitName.BALANCE),
        run_cap=rest.get(LimitName.RUN_CAP),
        day_cap=rest.get(LimitName.DAY_CAP),
        allow_unknown_price=caps.allow_unknown_price,
    )


def budget_document(left: Iterable[CapLeft], foreseen: Foreseen | None) -> BudgetDocument:
    """As `plan --json` tells it."""
    from flowrun.plan.document import BudgetDocument, CapDocument

    caps = tuple(CapDocument(cap=each.cap.value, most=each.most, left=each.left, until=each.until) for each in left)
    if foreseen is None:
        return BudgetDocument(caps=caps)
    over = {cap: _portions(each) for cap, each in foreseen.over.items()}
    return BudgetDocument(caps=caps, fits=_portions(foreseen.fits), over=over, behind=_portions(foreseen.behind))


def _portions(portions: Iterable[Portion]) -> PortionDocument:
    from flowrun.plan.document import PortionDocument

    each = tuple(portions)
    unknown = sum(portion.credits is None for portion in each)
    credits = sum(portion.credits or 0 for portion in each)
    return PortionDocument(
        credits=credits, unknown=unknown, takes=tuple(f"{portion.address}#{portion.take}" for portion in each)
    )
