"""A ledger that is destroyed while things are in flight: the next apply sets it aside, rebuilds it, and pays nothing twice."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flowrun.engine import events as ev
from flowrun.ids import OwnerId, RunId
from flowrun.ledger import opening, rebuilding
from flowrun.ledger.backups import Backups
from flowrun.ledger.gaps import read_gaps
from flowrun.ledger.location import ledger_path
from flowrun.ledger.locking import LedgerLock
from flowrun.ledger.sqlite import SqliteLedger, SqliteTables
from flowrun.production.applying import Applied
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.journals import DiskJournal
from flowrun.production.mending import look_at_sound, open_mended
from flowrun.store.disk import DiskStore
from tests.contract.ledger_journal_kit import Lines
from tests.support.stage import Stage
from tests.support.virtual_time import VirtualClock, run_virtual

FLOW = """
    flowrun: 1
    name: torn
    nodes:
      done: {uses: text_to_image, with: {model: gen4_image, promptText: quick, ratio: "1280:720"}}
      lost: {uses: text_to_image, with: {model: gen4_image, promptText: vanish, ratio: "1280:720"}}
      slow:
        foreach: 3
        needs: [done]
        uses: text_to_video
        with: {model: gen4.5, promptText: "film {{ each.key }}", ratio: "1280:720", duration: 5}
"""
SCENARIO = "faults: [{on: text_to_image, match: {prompt: vanish}, do: {lost: after}}]\n"


def ledger_of(stage: Stage) -> Path:
    return ledger_path(stage.root / ".flowrun" / "sandbox", "in-process")


def in_flight(root: Path) -> Stage:
    """Interrupted with one task settled, one request uncertain, three tasks in flight."""
    stage = Stage(root, FLOW, scenario=SCENARIO)

    def stop(interrupt: Callable[[int], None], event: ev.Event) -> None:
        if isinstance(event, ev.Submitted) and event.unit.startswith("slow[3]"):
            interrupt(130)

    stage.on_event = stop
    assert stage.apply().exit is Exit.INTERRUPTED
    stage.on_event = None
    assert stage.submissions == 5
    with closing(SqliteLedger(ledger_of(stage), lambda: stage.now)) as ledger:
        assert (len(ledger.open()), len(ledger.uncertain())) == (3, 1)
    return stage


def overwrite(path: Path) -> None:
    path.write_bytes(b"garbage " * 512)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 4096 * 3])


def spoil_pages(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 * 2 : 4096 * 6] = b"\x5a" * (4096 * 4)
    path.write_bytes(data)


def delete(path: Path) -> None:
    path.unlink()


DAMAGES = pytest.mark.parametrize("damage", [overwrite, truncate, spoil_pages, delete])


def journals(stage: Stage) -> list[Path]:
    return sorted((stage.root / ".flowrun/sandbox/journals").iterdir())


@DAMAGES
def test_what_is_in_flight_is_collected_and_nothing_is_paid_twice(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    stage = in_flight(tmp_path)
    damage(ledger_of(stage))
    done = stage.apply()
    assert done.exit is Exit.UNKNOWN
    assert (stage.submissions, done.summary.submitted) == (5, 0)
    assert done.summary.counts() == {"reused": 1, "uncertain": 1, "succeeded": 3}
    (told,) = done.warnings
    assert "3 tasks in flight, 1 uncertain" in told
    assert "its copy of" in told
    aside = [each.name for each in ledger_of(stage).parent.glob("in-process.damaged-*.sqlite3")]
    assert aside == ([] if damage is delete else [aside[0]])
    assert all(name in told for name in aside)
    assert read_gaps(ledger_of(stage)) is None
    assert stage.apply().warnings == []


def test_an_apply_that_has_more_to_send_just_goes_on(tmp_path: Path) -> None:
    stage = in_flight(tmp_path)
    overwrite(ledger_of(stage))
    stage.edit("foreach: 3", "foreach: 4")
    done = stage.apply()
    assert (done.exit, done.summary.submitted, stage.submissions) == (Exit.UNKNOWN, 1, 6)


def test_a_copy_alone_is_not_enough_and_a_journal_alone_is(tmp_path: Path) -> None:
    stage = in_flight(tmp_path)
    for each in Backups(ledger_of(stage)).all():
        with closing(SqliteLedger(each.path, lambda: 0.0)) as ledger:
            assert (ledger.open(), ledger.unanswered()) == ((), ())
        overwrite(each.path)
    overwrite(ledger_of(stage))
    stage.edit("foreach: 3", "foreach: 4")
    with pytest.raises(FlowrunError, match="no copy of the ledger can be read") as caught:
        stage.apply()
    assert caught.value.exit is Exit.DAMAGED
    done = stage.apply(accept_gaps=True)
    assert (done.exit, done.summary.submitted, stage.submissions) == (Exit.UNKNOWN, 1, 6)


def test_without_the_journal_nothing_is_sent_until_somebody_says_so(tmp_path: Path) -> None:
    stage = in_flight(tmp_path)
    overwrite(ledger_of(stage))
    for each in journals(stage):
        each.unlink()
    for _ in range(2):
        with pytest.raises(FlowrunError) as caught:
            stage.apply()
        assert caught.value.exit is Exit.DAMAGED
        assert "the journal of run" in caught.value.message
        assert "--accept-gaps" in str(caught.value.hint)
    assert stage.submissions == 5
    assert stage.plan().submissions == 4
    assert stage.apply(select=("done",)).exit is Exit.DONE
    done = stage.apply(accept_gaps=True)
    assert (done.exit, done.summary.submitted, stage.submissions) == (Exit.UNKNOWN, 3, 9)
    assert [each.name for each in ledger_of(stage).parent.glob("in-process.gaps-*")] != []
    assert stage.apply().exit is Exit.UNKNOWN


def test_a_person_at_a_terminal_is_asked(tmp_path: Path) -> None:
    stage = in_flight(tmp_path)
    overwrite(ledger_of(stage))
    for each in journals(stage):
        each.unlink()
    asked: list[list[str]] = []

    def apply(answer: bool) -> Applied:
        async def main(clock: VirtualClock) -> Applied:
            production = stage.production(clock)
            return await production.apply_async(accept=lambda words: not asked.append(words) and answer)  # type: ignore[func-returns-value]

        return run_virtual(main, start=stage.now)

    with pytest.raises(FlowrunError):
        apply(False)
    assert apply(True).summary.submitted == 3
    assert stage.submissions == 9
    assert len(asked) == 2
    assert "may be unknown, and would be paid again" in asked[0][0]


def test_readers_say_so_and_mend_nothing(tmp_path: Path) -> None:
    stage = in_flight(tmp_path)
    overwrite(ledger_of(stage))
    with pytest.raises(FlowrunError) as caught:
        stage.plan()
    assert caught.value.exit is Exit.DAMAGED
    assert "flowrun apply FILE sets it aside" in str(caught.value.hint)
    assert ledger_of(stage).read_bytes().startswith(b"garbage")


def test_while_another_process_has_it_open_it_is_left_alone(tmp_path: Path) -> None:
    stage = in_flight(tmp_path)
    overwrite(ledger_of(stage))
    lock = LedgerLock.shared(ledger_of(stage), wait=False)
    assert lock is not None
    with closing(lock), pytest.raises(FlowrunError, match="another flowrun is at work with it") as caught:
        stage.apply()
    assert caught.value.exit is Exit.DAMAGED
    assert stage.apply().exit is Exit.UNKNOWN


def test_while_it_is_rebuilt_nobody_opens_it(tmp_path: Path) -> None:
    stage = in_flight(tmp_path)
    lock = LedgerLock.alone(ledger_of(stage))
    assert lock is not None

    with closing(lock), pytest.raises(FlowrunError, match="is just rebuilding"):
        stage.forget("lost")


MAKING = (
    (Backups, "all"),
    (opening, "_create"),
    (opening, "_fill"),
    (SqliteTables, "copy_to"),
    (Backups, "make"),
    (rebuilding, "_sync"),
    (rebuilding, "sync_directory"),
)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("place", "step"), MAKING)
def test_of_two_that_make_it_at_once_both_work_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any, step: str, after: bool
) -> None:
    """The other one comes while this one is at that step, and has begun a run when this one goes on."""
    path = ledger_path(tmp_path / "state", "studio")
    real, others = getattr(place, step), []

    def beside(*args: Any) -> Any:
        monkeypatch.undo()
        found = real(*args) if after else None
        look_at_sound(path, lambda: 0.0).close()
        others.append(open_mended(path, "studio", store, lambda: 0.0))
        others[0].ledger.begin(RunId("run"), OwnerId("owner"), str(store.root), "studio", Lines())
        others[0].ledger.back_up()
        return found if after else real(*args)

    with DiskStore.open(tmp_path / "store", lambda: 0.0, provider="runway") as store:
        monkeypatch.setattr(place, step, beside)
        both = [open_mended(path, "studio", store, lambda: 0.0), *others]
        assert [(each.told, [row.run for row in each.ledger.runs()]) for each in both] == [([], ["run"])] * 2
        assert [copy.number for copy in both[0].ledger.copies.all()] == [1, 0]
        for each in both:
            each.ledger.close()


class Killed(BaseException):
    """As by SIGKILL."""


STEPS = ("_clear", "_filled", "_sync", "write_gaps", "_set_aside", "sync_directory", "damage_mark")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("copies", [True, False])
def test_a_crash_while_it_is_rebuilt_is_only_a_second_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, after: bool, copies: bool
) -> None:
    stage = in_flight(tmp_path)
    overwrite(ledger_of(stage))
    if not copies:
        for each in Backups(ledger_of(stage)).all():
            each.path.unlink()
    real = getattr(rebuilding, step)

    def dying(*args: Any) -> Any:
        if after:
            real(*args)
        raise Killed(step)

    with monkeypatch.context() as patch:
        patch.setattr(rebuilding, step, dying)
        with pytest.raises(Killed):
            stage.apply()
    done = stage.apply()
    assert (done.exit, stage.submissions) == (Exit.UNKNOWN, 5)
    assert done.summary.counts() == {"reused": 1, "uncertain": 1, "succeeded": 3}
    assert (read_gaps(ledger_of(stage)) is None) is copies


def test_damage_in_the_middle_of_a_run_ends_it_and_the_next_one_mends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flowrun.ledger import opening

    monkeypatch.setattr(opening, "QUICK_CHECK_BYTES", 0)
    stage = Stage(tmp_path, FLOW, scenario=SCENARIO)
    sent: list[str] = []

    def destroy(interrupt: object, event: ev.Event) -> None:
        if isinstance(event, ev.Submitted):
            sent.append(event.task)
        if len(sent) == 2:
            sent.append("destroyed")
            sql(ledger_of(stage), "DROP TABLE documents")

    stage.on_event = destroy
    done = stage.apply()
    stage.on_event = None
    assert Exit.DAMAGED in done.exits
    assert any(each.code == "ledger-damaged" for each in done.summary.troubles.values())
    assert ledger_of(stage).with_suffix(".damaged").exists()
    before = stage.submissions
    done = stage.apply()
    assert done.exit is Exit.UNKNOWN
    assert "damaged" in done.warnings[0]
    assert stage.submissions == 5
    assert done.summary.submitted == 5 - before
    assert not ledger_of(stage).with_suffix(".damaged").exists()


def test_an_answer_that_the_ledger_could_not_take_stands_in_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, FLOW.replace("promptText: vanish", "promptText: there"), scenario=SCENARIO)
    real, spoiled = SqliteLedger.submitted, []

    def submitted(ledger: SqliteLedger, *args: Any) -> None:
        if not spoiled:
            spoiled.append(sql(ledger_of(stage), "DROP TABLE tasks"))
        real(ledger, *args)

    monkeypatch.setattr(SqliteLedger, "submitted", submitted)
    done = stage.apply()
    assert done.exit is Exit.DAMAGED
    monkeypatch.undo()
    accepted = stage.submissions
    assert accepted > 0
    done = stage.apply()
    assert done.exit is Exit.DONE
    assert stage.submissions == 5
    assert done.summary.submitted == 5 - accepted


def sql(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(statement)


def test_a_full_disk_at_the_journal_sends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path, FLOW, scenario=SCENARIO)
    write, full = DiskJournal.write, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refuse(journal: DiskJournal, line: bytes) -> None:
        if b'"facts"' in line:
            raise full
        write(journal, line)

    monkeypatch.setattr(DiskJournal, "write", refuse)
    assert stage.apply().exit is Exit.SURROUNDINGS
    assert stage.submissions == 0
    monkeypatch.undo()
    assert stage.apply().exit is Exit.UNKNOWN
    assert stage.submissions == 5


@pytest.mark.parametrize(
    ("place", "name", "good"), [(Backups, "make", 0), (Backups, "make", 1), (DiskJournal, "__init__", 0)]
)
def test_a_full_disk_at_the_start_stops_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, good: int
) -> None:
    """`good`: how often there was room: for the first copy of a new ledger."""
    stage = Stage(tmp_path, FLOW, scenario=SCENARIO)
    real, calls = getattr(place, name), []

    def refuse(*args: Any) -> Any:
        calls.append(name)
        if len(calls) > good:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args)

    monkeypatch.setattr(place, name, refuse)
    with pytest.raises((OSError, FlowrunError), match="No space"):
        stage.apply()
    monkeypatch.undo()
    assert len(calls) == good + 1
    assert stage.apply().exit is Exit.UNKNOWN
    assert stage.submissions == 5


def test_a_persons_word_outlives_the_ledger(tmp_path: Path) -> None:
    stage = in_flight(tmp_path)

    assert stage.forget("lost") == 1
    overwrite(ledger_of(stage))
    stage.scenario = ""
    done = stage.apply()
    assert (done.exit, done.summary.submitted, stage.submissions) == (Exit.DONE, 1, 6)


def test_journals_and_copies_do_not_pile_up(tmp_path: Path) -> None:
    stage = Stage(tmp_path, FLOW, scenario="")
    for number in range(8):
        stage.edit(f"film {'x' * number}{{{{", f"film {'x' * (number + 1)}{{{{")
        assert stage.apply().exit is Exit.DONE
    assert len(Backups(ledger_of(stage)).all()) == 3
    assert len(journals(stage)) <= 4
    assert stage.apply().summary.submitted == 0
    assert len(Backups(ledger_of(stage)).all()) == 3


def test_all_hits_cost_no_copy(tmp_path: Path) -> None:
    stage = Stage(tmp_path, FLOW, scenario="")
    stage.apply()
    before = [each.path.read_bytes() for each in Backups(ledger_of(stage)).all()]
    stage.apply()
    assert [each.path.read_bytes() for each in Backups(ledger_of(stage)).all()] == before
    assert len(journals(stage)) == 1


def test_a_journal_that_cannot_be_read_is_a_gap(tmp_path: Path) -> None:
    stage = in_flight(tmp_path)
    overwrite(ledger_of(stage))
    (path,) = journals(stage)
    lines = path.read_bytes().split(b"\n")
    lines[3] = lines[3].replace(b"gen4", b"gen5")
    path.write_bytes(b"\n".join(lines))
    stage.edit("foreach: 3", "foreach: 4")
    with pytest.raises(FlowrunError, match="lines that cannot be read"):
        stage.apply()


def test_the_history_is_told_to_be_lost_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path, FLOW, scenario="")
    stage.apply()
    overwrite(stage.root / ".flowrun/sandbox/index.sqlite3")
    stage.plan()
    (told,) = stage.apply().warnings
    assert "the history of runs is" in told
    assert "index.sqlite3.damaged-1" in told
    assert stage.apply().warnings == []


def test_json_carries_the_report(tmp_path: Path) -> None:
    stage = in_flight(tmp_path)
    overwrite(ledger_of(stage))
    assert json.dumps(stage.apply().warnings)
