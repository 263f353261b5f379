"""What is in flight at the API, and what nobody knows the end of, in the ledger of the account and in those of former ones. Only
looks: what a dead process left without an answer is told as uncertain, though nobody has reaped it yet."""

from __future__ import annotations

from dataclasses import dataclass

from flowrun.ledger.handing import request_name
from flowrun.ledger.protocol import IntentOutcome, IntentRow, Ledger, TaskRow
from flowrun.production.binding import Bound, bound
from flowrun.production.options import Options, Surroundings
from flowrun.store.location import find_project


@dataclass(frozen=True, slots=True)
class InFlight:
    """Of one account: open tasks, oldest first, and requests without an answer."""

    account: str
    tasks: tuple[TaskRow, ...]
    uncertain: tuple[IntentRow, ...]


def in_flight(options: Options, around: Surroundings) -> tuple[InFlight, ...]:
    """First of the account, whatever the project; then of each former account that holds something of this store. Raises
    FlowrunError."""
    with bound(find_project(around.cwd / "manifest"), options, around, reading=True) as at:
        own = _of(at.account, at.ledger, None, at)
        others = (_of(account, ledger, at.ledgers.store, at) for account, ledger in at.former.items())
        return (own, *(rest for each in others if (rest := _without(each, own))))


def _of(account: str, ledger: Ledger, store: str | None, at: Bound) -> InFlight:
    """`store`: None for all."""
    unanswered = [row for row in ledger.unanswered() if store in (None, row.origin.store)]
    doubtful = [row for row in unanswered if row.outcome is IntentOutcome.UNCERTAIN or at.is_dead(row.owner)]
    return InFlight(account, tuple(row for row, _ in ledger.open(store)), tuple(doubtful))


def _without(each: InFlight, own: InFlight) -> InFlight | None:
    """Less what the account has already: a crash while it was taken up leaves it in both. None where nothing is left."""
    tasks, names = {row.task for row in own.tasks}, {request_name(row) for row in own.uncertain}
    left = InFlight(
        each.account,
        tuple(row for row in each.tasks if row.task not in tasks),
        tuple(row for row in each.uncertain if request_name(row) not in names),
    )
    return left if left.tasks or left.uncertain else None
