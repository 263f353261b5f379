"""A ledger that is only looked at: nothing is made or written, and nobody is waited for."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from flowrun.ids import OwnerId, RunId, TaskId
from flowrun.ledger import opening
from flowrun.ledger.looking import joined, look_at
from flowrun.ledger.protocol import LedgerDamagedError, Limits, Mine, Origin
from flowrun.ledger.sqlite import SqliteLedger
from tests.contract.ledger_bench import a_doc

ORIGIN = Origin("/s", "p", "f", "", "f.yaml", "a")


def now() -> float:
    return 1000.0


def fill(path: Path, name: str) -> None:
    with closing(SqliteLedger(path, now)) as ledger:
        claim = ledger.claim(a_doc(name), ORIGIN, RunId("r"), OwnerId("o"))
        assert isinstance(claim, Mine)
        ledger.reserve(claim.claim, "m", 5, Limits())
        ledger.submitted(ledger.intend(claim.claim, "digest", {}), TaskId(name))


def test_a_ledger_that_is_not_there_is_empty_and_not_made(tmp_path: Path) -> None:
    with closing(look_at(tmp_path / "state" / "x.sqlite3", now)) as ledger:
        assert (ledger.open(), ledger.unanswered(), ledger.owners()) == ((), (), ())
    assert not (tmp_path / "state").exists()


def test_it_cannot_be_written(tmp_path: Path) -> None:
    fill(tmp_path / "x.sqlite3", "a")
    before = (tmp_path / "x.sqlite3").read_bytes()
    with closing(look_at(tmp_path / "x.sqlite3", now)) as ledger:
        assert [row.task for row, _ in ledger.open()] == ["a"]
        with pytest.raises(OSError, match="readonly"):
            ledger.heartbeat(OwnerId("o"))
    assert (tmp_path / "x.sqlite3").read_bytes() == before


def test_it_waits_for_no_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "x.sqlite3", "a")
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.0)  # who had to wait would fail
    with closing(sqlite3.connect(tmp_path / "x.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with closing(look_at(tmp_path / "x.sqlite3", now)) as ledger:
            assert [row.task for row, _ in ledger.open()] == ["a"]
        with closing(SqliteLedger(tmp_path / "x.sqlite3", now)) as writer, pytest.raises(OSError, match="locked"):
            writer.heartbeat(OwnerId("o"))


def test_an_earlier_format_is_read_and_left_to_who_writes(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    fill(path, "a")
    back = (f"DROP INDEX {table}_project; ALTER TABLE {table} DROP COLUMN project;" for table in ("claims", "intents"))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(
            " ".join(back) + "DROP TABLE runs; PRAGMA user_version=1; PRAGMA wal_checkpoint(TRUNCATE);"
        )
    before = path.read_bytes()
    with closing(look_at(path, now)) as ledger:
        assert [row.task for row, _ in ledger.open()] == ["a"]
        assert [row.project for row, _ in ledger.requests(0.0, 2000.0)] == ["p"]
        with pytest.raises(OSError, match="readonly"):
            ledger.heartbeat(OwnerId("o"))
    assert path.read_bytes() == before


def test_what_is_no_ledger_is_told_and_left(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite3").write_text("a letter")
    with pytest.raises(LedgerDamagedError):
        look_at(tmp_path / "x.sqlite3", now)
    assert (tmp_path / "x.sqlite3").read_text() == "a letter"


def test_requests_of_several_ledgers_are_told_apart(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.sqlite3" for name in "ab"]
    for path in paths:
        fill(path, path.stem)
    first, second = (look_at(path, now) for path in paths)
    with closing(first), closing(second):
        both = joined([first, second], now)
        rows = [row for row, _ in both.requests(0.0, 2000.0)]
        assert [row.task for row in rows] == ["a", "b"]
        assert rows[0].intent == first.requests(0.0, 2000.0)[0][0].intent, "the first keeps its numbers"
        assert rows[1].intent != rows[0].intent
        assert [[task.task for task in tasks] for _, tasks in both.requests(0.0, 2000.0)] == [["a"], ["b"]]
        assert both.evidence(TaskId("b")) == {}
