"""Before an apply plans: what the organization's counters say of requests that an earlier run left without an answer. Owns when
that is asked, and what a plan foretells of it; what it means is `engine.doubt`'s and `ledger.evidence`'s."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from flowrun.diagnostics.model import Diagnostic, Severity
from flowrun.engine import events as ev
from flowrun.engine.doubt import Counters
from flowrun.graph.address import Address
from flowrun.ledger.evidence import APART, MARGIN, before_of
from flowrun.ledger.protocol import IntentRow
from flowrun.ledger.rules import DAY
from flowrun.plan.model import Decision, TakeStep
from flowrun.plan.whole import Plan
from flowrun.production.binding import Bound

TRUST = "trust-counters"


def trusts_counters(at: Bound) -> bool:
    """Whether two readings may settle what nobody answered."""
    return at.settings.provider.uncertain == TRUST


def foretold(plan: Plan, at: Bound, without: Callable[[frozenset[Address]], Plan]) -> Plan:
    """The plan, with a warning of what an apply may send beyond it, since it weighs first. `without`: the plan in which nothing
    came of the requests of these nodes."""
    if not trusts_counters(at):
        return plan
    steps = plan.steps.values()
    weighed = frozenset(step.address for step in steps if any(_may_be_settled(take, at) for take in step.takes))
    more = without(weighed) if weighed else plan
    count = more.most_submissions - plan.most_submissions
    if count <= 0:
        return plan
    message = (
        f"an apply may send more: it asks the organization's counters about {', '.join(sorted(map(str, weighed)))} first, and"
        f" where they say that nothing was accepted, up to {count} more generation{'s' if count != 1 else ''} may be sent,"
        f" for {_most(plan, more)}"
    )
    hint = "provider.uncertain says so; settle what is uncertain yourself to know before"
    warning = Diagnostic("counters-decide", message, None, hint, severity=Severity.WARNING)
    return replace(plan, warnings=(*plan.warnings, warning))


def _most(plan: Plan, more: Plan) -> str:
    credits, unknown = more.cost.high - plan.cost.high, more.cost.unknown - plan.cost.unknown
    return f"up to {credits} more credits" + (f" and {unknown} of unknown price" if unknown > 0 else "")


def _may_be_settled(take: TakeStep, at: Bound) -> bool:
    """Of this store, and so young that the counters still count it."""
    row = take.uncertain
    if take.decision is not Decision.UNCERTAIN or row is None or before_of(row.evidence) is None:
        return False
    return row.origin.store == str(at.store.root) and at.around.clock.now() - row.intended_at < DAY - MARGIN


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
