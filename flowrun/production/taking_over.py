"""After a change of account (a rotated key, `provider.account` set anew): what the store has unsettled in the ledgers of former
accounts is taken up by the present one. Owns when that may be, and the words where it may not.

Every command that may settle, cancel or submit something begins with this. The two ledgers know nothing of each other's claims,
so nobody may be at work for the store under two accounts at once. Each says that it is here before it looks for others: of two
that begin together, one sees the other, or both do.
"""

from __future__ import annotations

from contextlib import closing, suppress

from flowrun.engine.ports import REAP_AFTER
from flowrun.ledger.handing import LedgerInUseError
from flowrun.ledger.protocol import Ledger
from flowrun.ledger.transactions import FactLedger
from flowrun.production.binding import Bound
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.mending import open_sound
from flowrun.production.owner import is_gone, works_for


def begin_work(at: Bound) -> None:
    """Say that this process works for the store, free what dead ones held, and take up what former accounts left. Raises
    FlowrunError."""
    at.ledger.heartbeat(at.owner)
    at.reap()
    if at.choice.key is not None:  # without one nothing can be asked or sent, so nothing needs to be moved
        take_over(at)


def take_over(at: Bound) -> None:
    """Move what the store has unsettled under former accounts into the present ledger. Raises FlowrunError, and nothing of that
    account was moved, where another flowrun is at work under it."""
    for account, path in at.ledgers.former(at.account, at.choice).items():
        if not _is_left(at.former.get(account), at):
            with closing(open_sound(path, at.around.clock.now)) as former:
                _move(former, account, at)


def _is_left(former: Ledger | None, at: Bound) -> bool:
    """Whether nobody is in there any more, and nothing of this store: then it need not be opened for writing."""
    if former is None:
        return False
    store = at.ledgers.store
    unanswered = (row for row in former.unanswered() if row.origin.store == store)
    return not (former.owners() or former.open(store) or any(unanswered))


def _move(former: FactLedger, account: str, at: Bound) -> None:
    store = at.ledgers.store
    former.reap(REAP_AFTER, is_gone)
    try:
        moved = former.hand_over(store, at.account, at.ledger.receive, lambda owner: works_for(owner, store))
    except LedgerInUseError as error:
        raise _in_use(account, at) from error
    if moved:
        with suppress(OSError):  # it stands in no journal; where there is no room for a copy, the next run makes one
            at.written.back_up()


def _in_use(account: str, at: Bound) -> FlowrunError:
    message = (
        f"another flowrun is at work in this project under the account '{account}', and this one would work under"
        f" '{at.account}'; nothing was submitted"
    )
    hint = "wait until it has ended, and run this again: what it leaves in flight is taken up then"
    return FlowrunError(Exit.WRONG, message, hint)
