"""Looks at the ledgers that a project uses: whether each is sound, its copies, and what one that was rebuilt does not know. Mends
nothing: that is the next apply's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from flowrun.ledger.backups import Backups
from flowrun.ledger.gaps import read_gaps
from flowrun.ledger.protocol import LedgerDamagedError, LedgerFormatError
from flowrun.ledger.rebuilding import is_missing
from flowrun.ledger.sqlite import SqliteLedger, damage_mark
from flowrun.production.doctoring.finding import Finding, ok, problem, warning
from flowrun.production.mending import FLAG, lost_words

_MEND = "flowrun apply FILE sets it aside and rebuilds it from its copies and the journals of runs"


def ledgers(paths: list[Path], now: Callable[[], float]) -> Iterator[Finding]:
    """Each ledger that the project uses. One that never was is made by the first apply."""
    there = [path for path in paths if path.exists() or is_missing(path)]
    if not there:
        yield ok("ledger", "none yet; the first apply makes it")
    for path in there:
        yield _ledger(path, now)
        yield from _copies(path)
        yield from _gaps(path)


def _ledger(path: Path, now: Callable[[], float]) -> Finding:
    if not path.exists():
        return problem("ledger", f"{path} is missing, and there are copies of it", _MEND)
    if damage_mark(path).exists():
        return problem("ledger", f"{path} was found damaged while it was used", _MEND)
    try:
        with closing(SqliteLedger(path, now, reading=True)) as ledger:
            open_tasks, uncertain = len(ledger.open()), len(ledger.uncertain())
    except LedgerFormatError as error:
        return problem("ledger", str(error), "use that version of flowrun")
    except LedgerDamagedError as error:
        return problem("ledger", str(error), _MEND)
    found = f"{path.name}: {open_tasks} in flight, {uncertain} uncertain"
    if uncertain:
        advice = "flowrun status lists them; flowrun adopt or flowrun forget settles one"
        return warning("ledger", found, advice)
    return ok("ledger", found)


def _copies(path: Path) -> Iterator[Finding]:
    found = Backups(path).all()
    if found:
        made = datetime.fromtimestamp(found[0].made_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        yield ok("ledger copies", f"{len(found)} of {path.name}, the newest of {made}")


def _gaps(path: Path) -> Iterator[Finding]:
    gaps = read_gaps(path)
    if gaps is not None:
        yield problem("ledger gaps", "; ".join(lost_words(gaps)), f"flowrun apply FILE {FLAG} goes on without that")
