"""A ledger's file: where it lies, how it is made, and that anything else is left alone."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from contextlib import closing, nullcontext

import pytest

from flowrun.ids import ActionKey, IntentId, OwnerId, RunId, TaskId
from flowrun.ledger import locking, opening, schema
from flowrun.ledger.location import account_of, ledger_path
from flowrun.ledger.opening import translated
from flowrun.ledger.protocol import LedgerDamagedError, Limits, Origin, Succeeded
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.ledger.tables import where
from flowrun.secret import Secret
from tests.contract.ledger_bench import a_doc

ORIGIN = Origin("/s", "p", "f", "", "f.yaml", "a")


def now() -> float:
    return 1000.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "odd #?% name" / "ledger.sqlite3"


def filled(path, actions: int = 1) -> SqliteLedger:
    ledger = SqliteLedger(path, now)
    for take in range(1, actions + 1):
        claim = ledger.claim(a_doc(take=take), ORIGIN, RunId("r"), OwnerId("o")).claim
        ledger.reserve(claim, "m", 5, Limits())
        ledger.submitted(ledger.intend(claim, "digest", {}), TaskId(f"t{take}"))
    return ledger


def sql(path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def refuses(path, match: str) -> None:
    """It is refused, and nothing was written: not to it, not beside it."""
    before = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    with pytest.raises(LedgerDamagedError, match=match):
        SqliteLedger(path, now)
    assert {each.name: each.read_bytes() for each in path.parent.iterdir()} == before


def test_an_account_is_16_digits_that_do_not_give_the_key_away(tmp_path):
    account = account_of(Secret("key_abc"))
    assert account == "953e8055d0c4f25a"
    assert account != account_of(Secret("key_abd"))
    assert ledger_path(tmp_path, account) == tmp_path / "ledgers" / f"{account}.sqlite3"
    assert ledger_path(tmp_path, "studio").name == "studio.sqlite3"


@pytest.mark.parametrize("account", ["", "a/b", "..", ".hidden", "a b", "x" * 81, "é"])
def test_an_account_that_is_no_file_name_is_refused(tmp_path, account):
    with pytest.raises(ValueError, match="account's name"):
        ledger_path(tmp_path, account)


def test_it_is_made_with_its_folders_for_its_owner_alone(path):
    SqliteLedger(path, now).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_what_was_written_is_there_when_it_is_opened_again(path):
    filled(path).close()
    ledger = SqliteLedger(path, now)
    assert [(row.task, doc) for row, doc in ledger.open()] == [("t1", a_doc())]
    ledger.close()


def test_each_commit_is_synced_and_writers_wait_for_their_turn(path):
    ledger = SqliteLedger(path, now)
    asked = {name: ledger._tables._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in
             ("journal_mode", "synchronous", "busy_timeout", "fullfsync")}  # fmt: skip
    assert asked == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 30_000, "fullfsync": 1}
    ledger.close()


def test_of_two_that_make_it_at_once_the_first_wins(path, monkeypatch):
    fill = opening._fill

    def overtaken(fresh):
        fill(fresh)
        monkeypatch.setattr(opening, "_fill", fill)
        filled(path).close()

    monkeypatch.setattr(opening, "_fill", overtaken)
    second = SqliteLedger(path, now)
    assert [row.task for row in second.tasks()] == ["t1"]
    second.close()


@pytest.mark.parametrize("content", [b"", b"hello", b"x" * 5000, b"SQLite format 3\0"])
def test_a_file_that_is_no_ledger_is_left_alone(path, content):
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    refuses(path, "is no ledger")


def test_another_programs_database_is_left_alone(path):
    path.parent.mkdir(parents=True)
    sql(path, "CREATE TABLE songs (name TEXT)")
    refuses(path, "another program")


def test_another_format_is_named(path):
    filled(path).close()
    sql(path, "PRAGMA journal_mode=DELETE", "PRAGMA user_version=99", "PRAGMA journal_mode=WAL")
    with pytest.raises(LedgerDamagedError, match=f"has format 99, this flowrun reads {schema.VERSION}"):
        SqliteLedger(path, now)


def test_the_first_format_is_upgraded_with_all_it_holds(path):
    filled(path, 3).close()
    back = ["DROP INDEX claims_project", "DROP INDEX intents_project", "DROP TABLE runs"]
    back += [f"ALTER TABLE {table} DROP COLUMN project" for table in ("claims", "intents")]
    sql(path, *back, "PRAGMA user_version=1", "PRAGMA wal_checkpoint(TRUNCATE)")
    with closing(opening.opened(path, reading=True)) as connection:  # whoever only reads upgrades nothing
        assert connection.execute("SELECT COUNT(*) FROM intents").fetchone() == (3,)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    with closing(SqliteLedger(path, now)) as ledger:
        rows = ledger.requests(0.0, 1e12)
        assert len(rows) == 3
        found = ledger._tables.intents.count(where(project=(rows[0][0].origin.project,)))
    assert found == 3
    SqliteLedger(path, now).close()


def test_missing_tables_and_columns_are_named(path):
    filled(path).close()
    sql(path, "ALTER TABLE tasks RENAME COLUMN charged TO burned")
    with pytest.raises(LedgerDamagedError, match="lacks charged in tasks"):
        SqliteLedger(path, now)


def test_a_malformed_page_is_found_on_opening_a_small_one(path):
    filled(path, 30).close()
    data = bytearray(path.read_bytes())
    data[4096 * 2 : 4096 * 12] = b"\x5a" * (4096 * 10)
    path.write_bytes(data)
    with pytest.raises(LedgerDamagedError, match="is damaged"):
        SqliteLedger(path, now)


def test_a_malformed_page_is_found_in_use_in_a_large_one(path, monkeypatch):
    monkeypatch.setattr(opening, "QUICK_CHECK_BYTES", 0)
    filled(path, 30).close()
    data = bytearray(path.read_bytes())
    data[4096 * 2 :] = b"\x5a" * (len(data) - 4096 * 2)
    path.write_bytes(data)
    ledger = SqliteLedger(path, now)
    for call in (ledger.tasks, lambda: ledger.heartbeat(OwnerId("o")), lambda: ledger.committed(RunId("r"))):
        with pytest.raises(LedgerDamagedError, match="is damaged"):
            call()
    ledger.close()


def test_a_truncated_one_is_damaged(path):
    filled(path, 30).close()
    path.write_bytes(path.read_bytes()[: 4096 * 3])
    with pytest.raises(LedgerDamagedError, match="is damaged"):
        SqliteLedger(path, now)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE intents SET outcome = 'maybe'",
        "UPDATE tasks SET settled = 2",
        "UPDATE intents SET origin = '{}'",
        "UPDATE tasks SET failure = '{'",
        "UPDATE documents SET text = '[]'",
        "UPDATE documents SET text = '{'",
        "DELETE FROM documents",
    ],
)
def test_a_row_that_no_ledger_wrote_is_damage(path, damage):
    filled(path).close()
    sql(path, "PRAGMA ignore_check_constraints=ON", "UPDATE intents SET outcome = 'uncertain'", damage)
    with pytest.raises(LedgerDamagedError), closing(SqliteLedger(path, now)) as ledger:
        (ledger.uncertain(), ledger.open())


def test_tables_that_vanish_under_us_are_damage(path):
    ledger = filled(path)
    sql(path, "DROP TABLE owners")
    with pytest.raises(LedgerDamagedError, match="no such table"):
        ledger.owners()
    ledger.close()


def test_a_failed_transaction_leaves_nothing_behind(path):
    ledger = filled(path)
    ledger._tables.documents.drop(a_doc().key)  # outside of any transaction: gone at once
    claim = ledger.claim(a_doc(take=2), ORIGIN, RunId("r"), OwnerId("o")).claim
    ledger.reserve(claim, "m", 5, Limits())
    intent = ledger.intend(claim, "digest", {})
    ledger._tables.documents.drop(claim.key)
    with pytest.raises(LedgerDamagedError, match="lost its document"):
        ledger.submitted(intent, TaskId("t2"))
    assert [row.intent for row in ledger.last([claim.key])[claim.key].open_intents] == [intent.intent]
    with pytest.raises(KeyError):
        ledger.decide(IntentId(99), Succeeded())
    ledger.heartbeat(OwnerId("o"))
    ledger.close()


def test_readers_do_not_wait_for_a_writer_and_a_writer_gives_up_in_the_end(path):
    ledger, other = filled(path), SqliteLedger(path, now)
    other._tables._connection.execute("PRAGMA busy_timeout=0")
    with ledger._tables.writing():
        ledger._tables.tasks.drop("t1")
        assert [row.task for row in other.tasks()] == ["t1"]
        assert other.in_flight() == {"m": 1}
        assert (other.committed(RunId("r")), len(other.open()), other.uncertain()) == (5, 1, ())
        assert other.last([ActionKey("?")]) == {}
        assert [row.owner for row in other.owners()] == ["o"]
        assert other.reap(1e9, lambda _: False) == ()  # nobody to reap: nothing to write
        with pytest.raises(TimeoutError, match="cannot be used"):
            other.heartbeat(OwnerId("p"))
    assert other.tasks() == ()
    other.heartbeat(OwnerId("p"))
    ledger.close()
    other.close()


def test_a_new_ledger_is_whole_whatever_its_closing_could_not_write(path, monkeypatch):
    """A connection's close tells no error: on a full disk it leaves what stands beside the file where it stands."""
    unclosed = []

    def never_closed(connection: sqlite3.Connection):
        unclosed.append(connection)
        return nullcontext(connection)

    monkeypatch.setattr(opening, "closing", never_closed)
    try:
        with closing(SqliteLedger(path, now)) as ledger:
            assert not ledger.open()
        assert len(unclosed) == 1
    finally:
        for connection in unclosed:
            connection.close()


def test_a_disk_too_full_for_a_new_ledger_is_an_os_error_and_leaves_none(path, monkeypatch):
    def cramped(*arguments, **more):
        connection = sqlite3.Connection(*arguments, **more)
        connection.execute("PRAGMA max_page_count=2")  # what SQLite takes for a full disk
        return connection

    monkeypatch.setattr(sqlite3, "connect", cramped)
    with pytest.raises(OSError, match="full") as caught:
        SqliteLedger(path, now)
    assert caught.value.errno == errno.ENOSPC
    assert list(path.parent.iterdir()) == []


def test_a_full_disk_is_an_os_error_and_costs_nothing(path):
    ledger = filled(path)
    connection = ledger._tables._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(OSError, match="full") as caught:
        filling(ledger)
    assert caught.value.errno == errno.ENOSPC
    connection.execute(f"PRAGMA max_page_count={pages + 1000}")
    assert [row.task for row in ledger.tasks()] == ["t1"]
    filling(ledger)
    ledger.close()


def filling(ledger) -> None:
    for n in range(40):
        ledger.heartbeat(OwnerId(f"{n}" * 500))


@pytest.mark.skipif(os.name == "nt", reason="no such file types there")
def test_what_cannot_be_opened_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="directory"):
        SqliteLedger(tmp_path, now)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        SqliteLedger(tmp_path / "file" / "ledger.sqlite3", now)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("READONLY", errno.EACCES),
        ("PERM", errno.EACCES),
        ("CANTOPEN", errno.EACCES),
        ("IOERR", errno.EIO),
        ("BUSY", errno.ETIMEDOUT),
    ],
)
def test_sqlites_errors_by_what_a_person_can_do(tmp_path, name, number):
    error = sqlite3.OperationalError("said so")
    error.sqlite_errorcode = (
        getattr(sqlite3, f"SQLITE_{name}") | 0x300
    )  # extended codes carry more above the first byte
    found = translated(error, tmp_path)
    assert isinstance(found, OSError)
    assert (found.errno, found.filename) == (number, str(tmp_path))


def test_a_mistake_of_ours_stays_what_it_is(tmp_path):
    error = sqlite3.ProgrammingError("closed")
    assert translated(error, tmp_path) is error
    ledger = SqliteLedger(tmp_path / "l.sqlite3", now)
    ledger.close()
    with pytest.raises(sqlite3.ProgrammingError):
        ledger.owners()


def test_no_question_looks_through_all_that_was_ever_sent(path):
    ledger = filled(path)
    connection, asked = ledger._tables._connection, set()
    connection.set_trace_callback(asked.add)
    ledger.settle(TaskId("t1"), Succeeded(), 5)
    claim = ledger.claim(a_doc(), ORIGIN, RunId("r"), OwnerId("o")).claim
    everything = Limits(concurrency=5, daily=5, balance=50, run_cap=50, day_cap=50)
    ledger.reserve(claim, "m", 5, everything)
    ledger.left(RunId("r"), "p", everything)
    ledger.next_in_day("m", everything)
    ledger.lost(ledger.intend(claim, "digest", {}), {})
    ledger.last([a_doc().key, a_doc(take=2).key])
    ledger.rejections([a_doc().recipe, a_doc("b").recipe])
    ledger.tasks(RunId("r"))
    for question in (ledger.uncertain, ledger.open, ledger.in_flight, lambda: ledger.retire(OwnerId("o"))):
        question()
    connection.set_trace_callback(None)
    questions = [text for text in asked if text.startswith("SELECT")]
    plans = {text: [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}")] for text in questions}
    assert len(plans) > 20
    for text, plan in plans.items():
        assert not any(step in ("SCAN intents", "SCAN tasks", "SCAN documents") for step in plan), (text, plan)
        assert "recipe IN" not in text or "tasks_recipe" in plan[0], (text, plan)
        wanted = next((column for column in ("project", "recipe") if f"WHERE {column} IN" in text), None)
        assert wanted is None or f"_{wanted} (" in plan[0], (text, plan)
        assert "SUM(" not in text or "intents" not in text or "COVERING" in plan[0], (text, plan)
    ledger.close()


def test_who_waits_for_one_that_stands_still_does_not_wait_for_ever(path, monkeypatch):
    monkeypatch.setattr(locking, "PATIENCE", 0.05)
    alone = locking.LedgerLock.alone(path)
    assert alone is not None
    assert locking.LedgerLock.shared(path, wait=True) is None
    alone.close()
    with closing(locking.LedgerLock.shared(path, wait=True)):
        assert locking.LedgerLock.alone(path) is None
