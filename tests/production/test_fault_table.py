"""Every row of the failure taxonomy, provoked: what was sent, what it came to, and the words a person gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowrun.production.exits import Exit
from flowrun.runway.policy import Charged, FailureRule, Follows
from flowrun.runway.taxonomy import ROWS, Phase, Row
from tests.production.fault_table import CASES, run_case
from tests.support.golden import check_golden

GOLDEN = Path(__file__).parent / "golden" / "faults"
BY_NAME = {row.name: row for row in ROWS}
EXITS = {
    Follows.FINAL: Exit.FAILED,
    Follows.RETRY: Exit.FAILED,  # as often as the table says, and it never got better
    Follows.RETRY_ONCE: Exit.FAILED,
    Follows.RETRY_LATER: Exit.FAILED,
    Follows.RESEND: Exit.SURROUNDINGS,  # likewise
    Follows.STOP_RUN: Exit.SURROUNDINGS,
    Follows.PAUSE_MODEL: Exit.STOPPED,
    Follows.PAUSE_RUN: Exit.STOPPED,
    Follows.UNCERTAIN: Exit.UNKNOWN,
    Follows.ASK_AGAIN: Exit.DONE,
}
OTHER_EXITS = {
    "answer-input-not-fetched": Exit.FAILED,  # nothing went by an address, so there is no other way to send it
    "after-stopped": Exit.INTERRUPTED,
    "after-otherwise": Exit.UNKNOWN,
}
ANEW = {"poll-404", "cancelled"}  # a person applies again to have it made anew


def accepted_at_first(row: Row) -> int:
    """Creations that the sandbox took on while the fault lasted."""
    if isinstance(row.rule, FailureRule):
        return 1 + row.rule.retry.attempts
    if row.phase is Phase.AFTERWARDS:
        return 0 if row.name == "upload-failed" else 1
    return int(CASES[row.name].answer is not None or CASES[row.name].stop)


def accepted_again(row: Row) -> int:
    """Creations of the next apply, with everything well."""
    if isinstance(row.rule, FailureRule):
        return 0 if row.rule.rejected else 1
    if row.phase is Phase.AFTERWARDS:
        return int(row.name in ANEW or row.name == "upload-failed")
    return 0 if row.follows is Follows.UNCERTAIN else 1


def test_the_rows_of_the_table_are_those_provoked_here() -> None:
    assert len(BY_NAME) == len(ROWS)
    assert set(CASES) == set(BY_NAME)
    assert {path.stem for path in GOLDEN.iterdir()} == set(BY_NAME)


@pytest.mark.parametrize("name", CASES)
def test_row(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = BY_NAME[name]
    both = run_case(name, tmp_path, monkeypatch)
    assert both.first.exit == OTHER_EXITS.get(name, EXITS[row.follows])
    assert both.first.accepted == accepted_at_first(row)
    assert both.again.accepted - both.first.accepted == accepted_again(row)
    check_golden(GOLDEN / f"{name}.txt", both.golden())


def test_no_row_submits_twice_what_may_have_been_charged() -> None:
    """A second creation unasked needs a certain refusal, or a failure that is known to be refunded."""
    for row in ROWS:
        assert row.charged is Charged.NO or row.follows in (Follows.FINAL, Follows.UNCERTAIN, Follows.STOP_RUN), row
        assert accepted_at_first(row) <= 1 or (isinstance(row.rule, FailureRule) and row.charged is Charged.NO), row
