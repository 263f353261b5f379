"""A damaged ledger, set aside and built anew: from the newest sound copy and the journals of the runs since.

Owns the order, in which a crash at any point is only a second try: the new one is made under another name, what is unknown is
put on record, the damaged one is renamed, and the new one takes its place last. Until then the ledger is missing while it has
copies, which counts as damage too. The caller holds the lock alone, and knows where journals lie.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from flowrun.files import sync_directory
from flowrun.ids import OwnerId, RunId
from flowrun.ledger import journal
from flowrun.ledger.backups import UNUSED, Backup, Backups, complaint
from flowrun.ledger.gaps import Gaps, read_gaps, stamp, unused, write_gaps
from flowrun.ledger.journal import Line, Written
from flowrun.ledger.journaled import TRANSACTIONS
from flowrun.ledger.protocol import LedgerDamagedError, LedgerFormatError, RegisteredRun
from flowrun.ledger.replaying import leave_nobody, raise_counter, replay
from flowrun.ledger.sqlite import BACKUPS, SqliteTables, damage_mark
from flowrun.ledger.tables import Tables, where
from flowrun.ledger.transactions import EPOCH

_BESIDE = ("", "-wal", "-shm")  # what belongs to one database file
ReadJournals = Callable[[str], Mapping[str, bytes]]  # a store's folder -> its journals' bytes, by their run


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """`aside`: where the damaged file is now, None: it was gone; `copy`: what it was built from, None: from journals alone;
    `journals`: how many were read."""

    aside: Path | None
    copy: Backup | None
    journals: int
    gaps: Gaps


@dataclass(slots=True)
class _Found:
    """Journals of one account, by run."""

    written: dict[RunId, Written] = field(default_factory=dict)
    unread: dict[RunId, RegisteredRun] = field(default_factory=dict)


def is_missing(path: Path) -> bool:
    """Whether there was a ledger at `path` that is not there any more. One that is just being made was not: its copies are looked
    for first, since one of a ledger in use is only made where that is in its place."""
    used = any(copy.number != UNUSED for copy in Backups(path).all()) or bool(_aside(path))
    return used and not path.exists()


def found_against(path: Path) -> str | None:
    """What there is to say against the ledger at `path`, looked at whole. Raises LedgerFormatError: it is another version's;
    OSError. The caller holds the lock alone."""
    if not path.exists():
        return "the file is missing, and there are copies of it" if is_missing(path) else None
    try:
        with closing(SqliteTables(path)) as tables:
            tables.checkpoint()
    except LedgerFormatError:
        raise
    except LedgerDamagedError as error:
        return str(error)
    return complaint(path)


def _aside(path: Path) -> list[Path]:
    return list(path.parent.glob(f"{path.stem}.damaged-*.sqlite3"))


def create(path: Path) -> None:
    """A new ledger, where there never was one. Its first copy is there before it is, so that a ledger without any copy is known
    to have lost them. Of two that make it at once the first wins. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".tmp-") as folder:
        fresh = Path(folder, path.name)
        with closing(SqliteTables(fresh)) as tables:
            tables.copy_to(Backups(path), UNUSED)
            tables.checkpoint()
        _sync(fresh)
        with suppress(FileExistsError):
            os.link(fresh, path)
    sync_directory(path.parent)


def rebuild(path: Path, account: str, read: ReadJournals, present: str, at: float) -> Rebuilt:
    """`present`: the store whose command this is; `at`: now, epoch seconds. Raises OSError; then nothing has changed, or it is
    done again the next time."""
    good, bad = Backups(path).newest_good()
    fresh = path.with_name(f".tmp-{path.name}")
    _clear(fresh)
    if good is not None:
        shutil.copyfile(good.path, fresh)
        fresh.chmod(0o600)
    with closing(SqliteTables(fresh)) as tables:
        with tables.writing():
            found, gaps = _filled(tables, account, read, present, at)
            raise_counter(tables, BACKUPS, max((each.number for each in (good, *bad) if each is not None), default=0))
        tables.checkpoint()
    _sync(fresh)
    lost = good is None and (bool(bad) or path.exists() or bool(_aside(path)))
    since = None if good is None else good.made_at
    gaps = replace(gaps, copies=len(bad) if good else 0, no_copy=lost, since=since)
    if before := read_gaps(path):
        gaps = gaps.beside(before.without(*known_in(found)))
    write_gaps(path, gaps)
    aside = _set_aside(path, at)
    fresh.replace(path)
    sync_directory(path.parent)
    damage_mark(path).unlink(missing_ok=True)
    return Rebuilt(aside, good, len(found), gaps)


def _filled(tables: Tables, account: str, read: ReadJournals, present: str, at: float) -> tuple[list[Written], Gaps]:
    """Everything the journals know beyond what `tables` have; those that were found, and what is missing of them."""
    listed = {run.run: run for run in tables.runs.find(where())}
    found = _found(account, read, dict.fromkeys([present, *(run.store for run in listed.values())]))
    gaps = Gaps(
        at, missing=_missing(listed, found), torn=_torn(listed, found), numbers=_replayed(tables, listed, found)
    )
    for each in found.written.values():
        if each.run.run not in listed:
            tables.runs.put(each.run)
    for gone in gaps.missing:  # so that it is taken in, should its journal turn up
        tables.runs.drop(gone.run)
    leave_nobody(tables, at)
    raise_counter(tables, EPOCH, max(int(at * 1e6), _counter(tables, EPOCH) + 1))
    return list(found.written.values()), gaps


def _replayed(tables: Tables, listed: Collection[RunId], found: _Found) -> tuple[int, ...]:
    """Take in what the copy cannot have. The numbers since that stand in no journal."""
    epoch, last = (_counter(tables, name) for name in (EPOCH, TRANSACTIONS))
    chosen = [(each, _since(each, last, each.run.run in listed, epoch)) for each in found.written.values()]
    replay(tables, chosen)
    for _, lines in chosen:
        raise_counter(tables, TRANSACTIONS, max((line.number for line in lines), default=0))
    numbers = {line.number for each, lines in chosen if each.epoch == epoch for line in lines}
    return tuple(sorted(set(range(last + 1, max(numbers, default=last) + 1)) - numbers)) if epoch else ()


def _since(written: Written, last: int, is_listed: bool, epoch: int) -> tuple[Line, ...]:
    """Lines after number `last` of the copy's own `epoch`. A run that the copy lists was taken in where it was written beside
    another ledger; one that it does not list is new, whole."""
    if not is_listed:
        return written.lines
    if written.epoch != epoch:
        return ()
    return tuple(line for line in written.lines if line.number > last or line.answer is not None)


def _missing(listed: Mapping[RunId, RegisteredRun], found: _Found) -> tuple[RegisteredRun, ...]:
    return tuple(run for name, run in listed.items() if run.ended_at is None and name not in found.written)


def _torn(listed: Mapping[RunId, RegisteredRun], found: _Found) -> tuple[RegisteredRun, ...]:
    """Runs whose journal was damaged, and whose facts the copy need not have."""
    torn = [each.run for each in found.written.values() if each.damaged]
    unread = [run for name, run in found.unread.items() if name not in listed]
    return tuple(run for run in (*torn, *unread) if run.run not in listed or listed[run.run].ended_at is None)


def known_in(found: Iterable[Written]) -> tuple[list[RunId], list[int]]:
    """Of these journals: their runs and their transactions."""
    journals = list(found)
    return [each.run.run for each in journals], [line.number for each in journals for line in each.lines]


def _found(account: str, read: ReadJournals, stores: Iterable[str]) -> _Found:
    found = _Found()
    for store in stores:
        for name, data in read(store).items():
            written = journal.read(data)
            if written is None:
                if b"\n" in data:  # else it was cut short before its run began
                    found.unread[RunId(name)] = RegisteredRun(RunId(name), OwnerId(""), store, 0.0)
            elif written.account == account and written.run.run not in found.written:
                found.written[written.run.run] = written
    return found


def _counter(tables: Tables, name: str) -> int:
    found = tables.counters.get(name)
    return 0 if found is None else found.value


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _clear(path: Path) -> None:
    for suffix in _BESIDE:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _set_aside(path: Path, at: float) -> Path | None:
    """The file and, under the same name, what SQLite keeps beside it: a log that is left would be read into the new one."""
    target = unused(path.with_suffix(f".damaged-{stamp(at)}.sqlite3"))
    moved = None
    for suffix in _BESIDE:
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).replace(target.with_name(target.name + suffix))
            moved = target if suffix == "" else moved
    sync_directory(path.parent)
    return moved


def unlisted(account: str, journals: Mapping[str, bytes]) -> list[Written]:
    """Of these journals, those that were written for the account and tell anything."""
    read = [written for data in journals.values() if (written := journal.read(data)) is not None]
    return [each for each in read if each.account == account and (each.lines or each.damaged)]
