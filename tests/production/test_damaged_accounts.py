"""A destroyed ledger that several projects share, or that was never on this machine; and destroyed after dying at each moment."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowrun.engine import events as ev
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.production import owner
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.journals import DiskJournal
from flowrun.sandbox.inprocess import InProcess
from flowrun.store.results import DiskResults
from tests.production.test_damaged_ledgers import (
    FLOW,
    Killed,
    delete,
    in_flight,
    journals,
    ledger_of,
    overwrite,
    truncate,
)
from tests.support.stage import Stage

# -- several projects of one account, and another machine


def neighbours(root: Path) -> tuple[Stage, Stage]:
    """Two projects with things in flight, whose stores are their own, and whose ledger and API are one."""
    one = in_flight(root / "one")
    two = root / "two/.flowrun/sandbox"
    two.mkdir(parents=True)
    for name in ("ledgers", "api"):
        (two / name).symlink_to(root / "one/.flowrun/sandbox" / name)
    other = Stage(root / "two", FLOW.replace("quick", "swift").replace("film", "show"), scenario="", now=one.now)

    def stop(interrupt: Callable[[int], None], event: ev.Event) -> None:
        if isinstance(event, ev.Submitted) and event.unit.startswith("slow[3]"):
            interrupt(130)

    other.edit("  lost: {uses", "  gone: {uses")
    other.edit("vanish", "stay")
    other.on_event = stop
    assert other.apply().exit is Exit.INTERRUPTED
    other.on_event, one.now = None, other.now
    assert one.submissions == 10
    return one, other


def test_a_neighbours_tasks_are_known_from_its_own_journal(tmp_path: Path) -> None:
    one, other = neighbours(tmp_path)
    overwrite(ledger_of(one))
    done = one.apply()
    assert (done.exit, done.summary.submitted) == (Exit.UNKNOWN, 0)
    other.now = one.now
    done = other.apply()
    assert (done.exit, done.summary.submitted, one.submissions, done.warnings) == (Exit.DONE, 0, 10, [])


def test_a_neighbours_journal_that_is_gone_stops_what_would_be_sent_until_it_turns_up(tmp_path: Path) -> None:
    one, other = neighbours(tmp_path)
    overwrite(ledger_of(one))
    (mine,) = journals(other)
    text = mine.read_bytes()
    mine.unlink()
    done = one.apply()
    assert (done.exit, done.summary.submitted, one.submissions) == (Exit.UNKNOWN, 0, 10)
    assert any(f"in {tmp_path}/two/.flowrun/sandbox is missing" in each for each in done.warnings)
    one.edit("foreach: 3", "foreach: 4")
    with pytest.raises(FlowrunError, match="may be unknown"):
        one.apply()
    other.now = one.now
    with pytest.raises(FlowrunError, match="may be unknown"):
        other.apply()
    assert one.submissions == 10
    mine.write_bytes(text)
    done = other.apply()
    assert (done.exit, done.summary.submitted, one.submissions) == (Exit.DONE, 0, 10)
    assert "did not know 1 run of this project" in done.warnings[0]
    one.now = other.now
    done = one.apply()
    assert (done.summary.submitted, one.submissions, done.warnings) == (1, 11, [])


def test_a_journal_that_turns_up_after_somebody_agreed_is_taken_in_too(tmp_path: Path) -> None:
    one, other = neighbours(tmp_path)
    overwrite(ledger_of(one))
    (mine,) = journals(other)
    text = mine.read_bytes()
    mine.unlink()
    one.edit("foreach: 3", "foreach: 4")
    assert one.apply(accept_gaps=True).summary.submitted == 1
    mine.write_bytes(text)
    other.now = one.now
    done = other.apply()
    assert (done.exit, done.summary.submitted, one.submissions) == (Exit.DONE, 0, 11)


def test_a_gap_that_nobody_agreed_to_outlives_another_damage(tmp_path: Path) -> None:
    one, other = neighbours(tmp_path)
    overwrite(ledger_of(one))
    journals(other)[0].unlink()
    assert one.apply().summary.submitted == 0
    overwrite(ledger_of(one))
    one.edit("foreach: 3", "foreach: 4")
    with pytest.raises(FlowrunError, match="the journal of run"):
        one.apply()


def test_a_ledger_that_was_never_here_takes_in_what_the_store_knows(tmp_path: Path) -> None:
    stage = in_flight(tmp_path)
    shutil.rmtree(ledger_of(stage).parent)
    done = stage.apply()
    assert (done.exit, done.summary.submitted, stage.submissions) == (Exit.UNKNOWN, 0, 5)
    assert done.summary.counts() == {"reused": 1, "uncertain": 1, "succeeded": 3}
    assert "did not know 1 run of this project" in done.warnings[0]
    assert "1 uncertain" in done.warnings[0]
    assert stage.apply().warnings == []


def test_a_task_whose_result_is_in_the_store_is_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path, FLOW, scenario="")
    monkeypatch.setattr(SqliteLedger, "settle", lambda *args: None)
    assert stage.apply().exit is Exit.DONE
    monkeypatch.undo()
    overwrite(ledger_of(stage))
    done = stage.apply()
    assert (done.exit, done.summary.submitted) == (Exit.DONE, 0)
    assert "0 tasks in flight, 0 uncertain" in done.warnings[0]


# -- whatever moment it dies at, and the ledger is destroyed


class Mortal:
    """Counts moments; from the chosen one on, nothing happens any more."""

    def __init__(self, last: int) -> None:
        self.moment, self.last, self.seen = 0, last, ""

    def at(self, name: str) -> None:
        self.moment += 1
        if self.moment == self.last:
            self.seen = name
        if self.moment >= self.last:
            raise Killed(name)

    def laid_over(self, patch: pytest.MonkeyPatch, place: Any, name: str) -> None:
        real = getattr(place, name)

        def mortal(*args: Any, **kwargs: Any) -> Any:
            self.at(f"before {name}")
            value = real(*args, **kwargs)
            self.at(f"after {name}")
            return value

        patch.setattr(place, name, mortal)


LEDGER = ("begin", "back_up", "claim", "reserve", "intend", "submitted", "ended", "settle", "release", "retire", "reap")
SMALL = """
    flowrun: 1
    name: small
    nodes:
      hero: {uses: text_to_image, with: {model: gen4_image, promptText: a fox, ratio: "1280:720"}}
"""


def dies(stage: Stage, monkeypatch: pytest.MonkeyPatch, last: int) -> str:
    mortal = Mortal(last)
    with monkeypatch.context() as patch:
        for name in LEDGER:
            mortal.laid_over(patch, SqliteLedger, name)
        mortal.laid_over(patch, DiskJournal, "write")
        mortal.laid_over(patch, DiskResults, "commit")
        mortal.laid_over(patch, InProcess, "exchange")
        try:
            stage.apply()
        except BaseException as error:
            if not is_kill(error):
                raise
    return mortal.seen


def is_kill(error: BaseException | None) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(map(is_kill, error.exceptions))
    return error is not None and (isinstance(error, Killed) or is_kill(error.__context__))


@pytest.mark.long
def test_killed_at_each_step_and_the_ledger_destroyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "_lives", lambda pid: False)
    unsure: list[str] = []
    for last in range(1, 200):
        stage = Stage(tmp_path / str(last), SMALL)
        where = dies(stage, monkeypatch, last)
        if not where:
            break
        if ledger_of(stage).exists():
            (overwrite, truncate, delete)[last % 3](ledger_of(stage))
        before = stage.submissions if (stage.root / ".flowrun/sandbox/api").exists() else 0
        done = stage.apply()
        assert done.summary.submitted == stage.submissions - before
        if done.exit is Exit.UNKNOWN:
            unsure.append(where)
            assert done.summary.submitted == 0
            done = stage.apply(resend=("hero",))
        else:
            assert stage.submissions == 1, f"paid {stage.submissions} times after dying {where}"
        assert done.exit is Exit.DONE, f"{done.exits} after dying {where}: {done.summary}"
    else:
        pytest.fail("the run never ended by itself")
    assert set(unsure) <= {
        "after write",
        "after intend",
        "before exchange",
        "after exchange",
        "before submitted",
        "before write",
    }
