"""One seed, from number to tally: what workers are handed. Owns nothing else."""

from __future__ import annotations

from collections import Counter

from tests.simulation.bugs import BUGS
from tests.simulation.destroying import ledger_destroyed
from tests.simulation.making import case_of
from tests.simulation.model import Case
from tests.simulation.planning import planned_before
from tests.simulation.visits import Report, simulate

DESTROYED = "ledger-destroyed"  # no mistake of flowrun's: nothing may come of it
PLANNED = "planned-before"  # nor of this
LAID_OVER = {**BUGS, DESTROYED: ledger_destroyed, PLANNED: planned_before}


def run(case: Case, bug: str | None = None) -> Report:
    """Carry a case out, with a deliberate mistake laid over flowrun where one is named."""
    return simulate(case, LAID_OVER[bug]() if bug else None)


def tried(seed: int, bug: str | None = None) -> tuple[int, Counter[str], str]:
    """One seed: its tally, and the promise that was broken, or ""."""
    report = run(case_of(seed), bug)
    return seed, report.tally, str(report.violation or "")
