"""Opening an account's ledger, and mending it where it is damaged. Owns who may mend, what is told of it, and what stands still
until a person has agreed to a gap.

Setting aside and rebuilding is `flowrun.ledger.rebuilding`'s; where journals lie, `journals`'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from flowrun.ledger.gaps import Gaps, read_gaps, write_gaps
from flowrun.ledger.journal import Written
from flowrun.ledger.locking import LedgerLock
from flowrun.ledger.looking import look_at
from flowrun.ledger.protocol import LedgerDamagedError, LedgerFormatError, Succeeded
from flowrun.ledger.rebuilding import Rebuilt, create, found_against, is_missing, known_in, rebuild, unlisted
from flowrun.ledger.sqlite import SqliteLedger, damage_mark
from flowrun.ledger.transactions import FactLedger
from flowrun.plan.whole import Plan
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.journals import read_journals
from flowrun.store.disk import DiskStore
from flowrun.store.index import take_note
from flowrun.store.protocol import result_id_of

FLAG = "--accept-gaps"


@dataclass(slots=True)
class Opened:
    """`told`: what was mended on the way, in words."""

    ledger: SqliteLedger
    told: list[str] = field(default_factory=list)


def open_mended(path: Path, account: str, store: DiskStore, now: Callable[[], float]) -> Opened:
    """For a command that may mend: one that looks after what is in flight. Raises FlowrunError, LedgerFormatError, OSError."""
    told = _told_of_history(store.root)
    try:
        ledger = _opened(path, now, wait=True)
    except LedgerFormatError:
        raise
    except LedgerDamagedError:
        told += _mended(path, account, store, now())
        ledger = _opened(path, now, wait=True)
    try:
        told += _taken_in(ledger, account, store, now())
        if not ledger.copies.all():  # of an earlier flowrun, which made none
            ledger.back_up()
    except BaseException:
        ledger.close()
        raise
    return Opened(ledger, told)


def open_sound(path: Path, now: Callable[[], float]) -> SqliteLedger:
    """For one that only asks. Raises FlowrunError: it is damaged, or just being mended; LedgerFormatError, OSError."""
    with _told_damaged():
        return _opened(path, now, wait=False)


def look_at_sound(path: Path, now: Callable[[], float]) -> FactLedger:
    """For one that only looks, and waits for nobody. Raises as `open_sound`."""
    with _told_damaged():
        _refuse_damaged(path)
        return look_at(path, now)


@contextmanager
def _told_damaged() -> Iterator[None]:
    try:
        yield
    except LedgerFormatError:
        raise
    except LedgerDamagedError as error:
        hint = "flowrun apply FILE sets it aside and rebuilds it from its copies and journals; nothing was submitted"
        raise FlowrunError(Exit.DAMAGED, f"the ledger is damaged: {error}", hint) from error


def _refuse_damaged(path: Path) -> None:
    if is_missing(path):
        raise LedgerDamagedError(f"the file {path} is missing, and there are copies of it")
    if damage_mark(path).exists():
        raise LedgerDamagedError(f"{path} was found damaged while it was used")


def _opened(path: Path, now: Callable[[], float], *, wait: bool) -> SqliteLedger:
    lock = LedgerLock.shared(path, wait=wait)
    if lock is None:
        message = f"another flowrun is just rebuilding the ledger {path}"
        raise FlowrunError(Exit.DAMAGED, message, "run the same command again in a moment")
    try:
        _refuse_damaged(path)
        if not path.exists():
            create(path)
        return SqliteLedger(path, now, lock)
    except BaseException:
        lock.close()
        raise


def _mended(path: Path, account: str, store: DiskStore, at: float) -> list[str]:
    lock = LedgerLock.alone(path)
    if lock is None:
        message = f"the ledger {path} is damaged, and another flowrun is at work with it"
        raise FlowrunError(
            Exit.DAMAGED, message, "wait until that one has ended, then apply again; nothing was submitted"
        )
    with closing(lock):
        why = found_against(path)
        if why is None:  # somebody was quicker, or it was no damage
            damage_mark(path).unlink(missing_ok=True)
            return []
        rebuilt = rebuild(path, account, read_journals, str(store.root), at)
    with closing(SqliteLedger(path, lambda: at)) as ledger:
        _settle_found(ledger, store)
        return [_told_of(path, why, rebuilt, ledger)]


def _settle_found(ledger: SqliteLedger, store: DiskStore) -> None:
    """Tasks whose result is in the store already."""
    for row, doc in ledger.open(str(store.root)):
        found = store.results.lookup([doc.key]).get(doc.key)
        if found is not None and any(each.id == result_id_of(row.task) for each in found.results):
            ledger.settle(row.task, Succeeded(), None)


def _taken_in(ledger: SqliteLedger, account: str, store: DiskStore, at: float) -> list[str]:
    """Journals of this project that the ledger knows nothing of: it is younger than they are, or was rebuilt without them."""
    late = unlisted(account, read_journals(str(store.root), {run.run for run in ledger.runs()}))
    if not late:
        return []
    gaps = read_gaps(ledger.path) or Gaps()
    ledger.take_in(late)
    _settle_found(ledger, store)
    left = gaps.without(*known_in(late))
    torn = tuple(each.run for each in late if each.damaged)
    if torn or left != gaps:
        write_gaps(ledger.path, replace(left, at=left.at or at, torn=(*left.torn, *torn)))
    return [_told_of_late(late, ledger, str(store.root))]


# ---- what stands still -----------------------------------------------------------------------------------------------


def standing_gaps(ledger: SqliteLedger) -> Gaps | None:
    """What nobody has agreed to yet."""
    return read_gaps(ledger.path)


def agreed_to(gaps: Gaps, plan: Plan, *, accepted: bool, ask: Callable[[list[str]], bool]) -> bool:
    """Whether somebody agreed to go on without what is unknown: with a flag, or as `ask` asked. Raises FlowrunError where nobody
    did, and the plan would have to send something."""
    words = lost_words(gaps)
    if accepted or (plan.most_submissions > 0 and ask(words)):
        return True
    if plan.most_submissions == 0:
        return False
    message = "; ".join(words) + "; nothing was submitted"
    hint = f"flowrun apply FILE {FLAG} goes on without that; what needs no submission works as it is"
    raise FlowrunError(Exit.DAMAGED, message, hint)


@contextmanager
def telling(words: list[str]) -> Iterator[None]:
    """Where an apply stops before it runs, what was mended is told with that: it is told only once."""
    try:
        yield
    except FlowrunError as error:
        raise FlowrunError(error.exit, "\n".join([*words, error.message]), error.hint) from error


# ---- words -----------------------------------------------------------------------------------------------------------


def lost_words(gaps: Gaps) -> list[str]:
    """What could not be recovered, a line a fact; none where nothing is unknown."""
    if not gaps:
        return []
    found = [f"the journal of run {run.run} in {run.store} is missing (it began {when(run.started_at)})"
             for run in gaps.missing]  # fmt: skip
    found += [f"the journal of run {run.run} in {run.store} has lines that cannot be read" for run in gaps.torn]
    if gaps.numbers:
        found.append(f"{_count(len(gaps.numbers), 'transaction')} stand in no journal")
    if gaps.copies:
        found.append(f"{_count(gaps.copies, 'newer copy', 'newer copies')} of the ledger cannot be read either")
    if gaps.no_copy:
        found.append("no copy of the ledger can be read: what other projects have in flight is not known")
    if gaps.unread:
        found.append("the record of what is unknown of the ledger cannot be read itself")
    known = "" if gaps.since is None else f" since {when(gaps.since)}"
    return [f"the ledger was rebuilt with gaps: requests{known} may be unknown, and would be paid again", *found]


def _told_of(path: Path, why: str, rebuilt: Rebuilt, ledger: SqliteLedger) -> str:
    aside = "" if rebuilt.aside is None else f"; it is set aside as {rebuilt.aside.name}"
    copy = "" if rebuilt.copy is None else f"its copy of {when(rebuilt.copy.made_at)} and "
    known = f"{_count(len(ledger.open()), 'task')} in flight, {len(ledger.uncertain())} uncertain"
    journals = _count(rebuilt.journals, "journal")
    for said in (f"the ledger {path} is damaged: ", " Nothing was written.", f" {path}"):
        why = why.replace(said, "")
    return f"the ledger {path} was damaged ({why.rstrip('.')}){aside}. It is rebuilt from {copy}{journals}: {known}"


def _told_of_late(late: Iterable[Written], ledger: SqliteLedger, store: str) -> str:
    runs = _count(len(list(late)), "run")
    here = sum(1 for row in ledger.uncertain() if row.origin.store == store)
    known = f"{_count(len(ledger.open(store)), 'task')} of this project in flight, {here} uncertain"
    return (
        f"the ledger {ledger.path} did not know {runs} of this project; they are taken in from their journals: {known}"
    )


def _told_of_history(root: Path) -> list[str]:
    """Once, by whoever comes first."""
    aside: str | None = None
    with suppress(OSError):
        aside = take_note(root)
    if aside is None:
        return []
    rebuilt = "it is rebuilt from the results, and nothing that was made is lost; the history of runs is"
    return [f"the store's index was damaged, and is set aside as {aside}: {rebuilt}"]


def _count(number: int, what: str, several: str | None = None) -> str:
    return f"{number} {what if number == 1 else several or what + 's'}"


def when(at: float) -> str:
    """A moment (epoch seconds) in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
