"""What the end of a run comes to: every exit code that applies to it."""

from __future__ import annotations

from flowrun.engine.driver import Driver
from flowrun.engine.failure import Verdict
from flowrun.engine.records import Unit
from flowrun.engine.states import NodeState
from flowrun.engine.summary import Summary, Trouble
from flowrun.engine.verdicts import LEDGER_DAMAGED
from flowrun.ledger.protocol import LedgerDamagedError
from flowrun.production.exits import Exit
from flowrun.store.protocol import StoreDamagedError


def exit_of_error(error: Exception) -> Exit:
    """For one that nobody expected, in a run that began."""
    if isinstance(error, ExceptionGroup):
        return exit_of_error(error.exceptions[0])
    if isinstance(error, LedgerDamagedError | StoreDamagedError):
        return Exit.DAMAGED
    return Exit.SURROUNDINGS if isinstance(error, OSError) else Exit.BUG


def exits_of(summary: Summary, driver: Driver | None, signal: Exit) -> list[Exit]:
    """Every exit code that applies to what happened."""
    stopping = driver.scheduler.stopping if driver else None
    units = driver.scheduler.units if driver else {}
    verdicts = {each.verdict for unit, each in summary.troubles.items() if _counts(each, units.get(unit))}
    found = [Exit.DAMAGED] if any(each.code == LEDGER_DAMAGED for each in summary.troubles.values()) else []
    if summary.interrupted:
        found.append(signal)
    if Verdict.DOUBT.value in verdicts:
        found.append(Exit.UNKNOWN)
    if stopping == "surroundings" or Verdict.STOP.value in verdicts:
        found.append(Exit.SURROUNDINGS)
    if verdicts - {Verdict.DOUBT.value, Verdict.STOP.value}:
        found.append(Exit.FAILED)
    if summary.over or summary.waiting or stopping == "credits":
        found.append(Exit.STOPPED)
    if not found and NodeState.BLOCKED in summary.states.values():
        found.append(Exit.STOPPED)  # by the selection: nothing failed, and not all was made
    if not found and summary.pending:
        found.append(Exit.BUG)  # nothing stopped them, and yet they were not reached
    return found or [Exit.DONE]


def _counts(trouble: Trouble, unit: Unit | None) -> bool:
    """Whether a trouble is one in the end. A retry that waits for credits has failed nobody yet, and a pause never does."""
    if trouble.verdict in (Verdict.PAUSE_MODEL.value, Verdict.PAUSE_RUN.value):
        return False
    if trouble.verdict in (Verdict.RETRY.value, Verdict.RESEND.value):
        return unit is not None and unit.state in (NodeState.FAILED, NodeState.REJECTED)
    return True
