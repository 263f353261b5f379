"""Before an apply plans: what the organization's counters say of requests that an earlier run left without an answer. Owns when
that is asked; what it means is `engine.doubt`'s and `ledger.evidence`'s."""

from __future__ import annotations

from collections.abc import Callable

from flowrun.engine import events as ev
from flowrun.engine.doubt import Counters
from flowrun.ledger.evidence import APART, before_of
from flowrun.ledger.protocol import IntentRow
from flowrun.production.binding import Bound

TRUST = "trust-counters"


def trusts_counters(at: Bound) -> bool:
    """Whether two readings may settle what nobody answered."""
    return at.settings.provider.uncertain == TRUST


async def weigh_what_is_left(at: Bound, emit: Callable[[ev.Event], None]) -> None:
    """Read the counters for this store's uncertain requests, as evidence; where they are trusted, twice, and settle what they
    settle. Asks nothing where nothing is uncertain, or nobody can be asked."""
    if at.choice.key is None or (at.options.offline and not at.choice.is_local):
        return
    rows = [row for row in at.ledger.uncertain() if row.origin.store == str(at.store.root)]
    if not rows:
        return
    counters = Counters(at.ledger, at.client(), at.around.clock)
    if trusts_counters(at) and (known := [row for row in rows if before_of(row.evidence) is not None]):
        for row in known:
            emit(ev.Weighing(at.around.clock.now(), row.origin.address, APART))
        await counters.settle(known)
    else:
        await _look(rows, counters)


async def _look(rows: list[IntentRow], counters: Counters) -> None:
    found = await counters.read({row.model for row in rows})
    for row in rows:
        if row.model in found:
            counters.keep(row, found[row.model])
