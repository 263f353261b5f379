"""What a rebuilt ledger knows: the newest sound copy and the journals since are all the facts there were, or it says what is
missing."""

from __future__ import annotations

import json
import shutil
import stat
import tempfile
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from flowrun.ids import IntentId, OwnerId, RunId, TaskId
from flowrun.ledger import journal, opening
from flowrun.ledger.backups import KEPT, Backups, complaint
from flowrun.ledger.gaps import Gaps, accept_gaps, gaps_path, read_gaps, write_gaps
from flowrun.ledger.locking import LedgerLock
from flowrun.ledger.protocol import (
    Adopted,
    BusyActionError,
    Failed,
    Forgotten,
    IntentOutcome,
    LedgerDamagedError,
    Limits,
    Mine,
    Origin,
    RegisteredRun,
    Resend,
    StaleClaimError,
    Succeeded,
)
from flowrun.ledger.rebuilding import Rebuilt, found_against, is_missing, rebuild
from flowrun.ledger.rules import RUNNING
from flowrun.ledger.sqlite import SqliteLedger
from flowrun.ledger.tables import where
from tests.contract.ledger_bench import a_doc
from tests.contract.ledger_journal_kit import Lines

ACCOUNT = "studio"
STORES = ("/one", "/two")


class Account:
    """A ledger with the journals of its runs, by store; time stands still unless it is moved."""

    def __init__(self, folder: Path) -> None:
        self.path, self.now, self.runs = folder / "ledgers" / "studio.sqlite3", 1000.0, 0
        self.journals: dict[str, dict[str, Lines]] = {store: {} for store in STORES}
        self.ledgers: list[SqliteLedger] = []

    def begin(self, store: str = STORES[0], *, copy: bool = True) -> SqliteLedger:
        """One more process, with a run."""
        self.runs += 1
        ledger, lines = SqliteLedger(self.path, lambda: self.now), Lines()
        run = RunId(f"run-{self.runs}")
        self.journals[store][run] = lines
        ledger.begin(run, OwnerId(f"owner-{self.runs}"), store, ACCOUNT, lines)
        if copy:
            ledger.back_up()
        self.ledgers.append(ledger)
        return ledger

    def read(self, store: str) -> dict[str, bytes]:
        return {run: each.data for run, each in self.journals.get(store, {}).items()}

    def close(self) -> None:
        for ledger in self.ledgers:
            ledger.close()
        self.ledgers = []

    def rebuilt(self, present: str = STORES[0]) -> Rebuilt:
        self.close()
        self.path.write_bytes(b"garbage")
        return rebuild(self.path, ACCOUNT, self.read, present, self.now)

    def facts(self, path: Path | None = None) -> tuple[Any, ...]:
        """As they count once everybody is gone. That an unsettled task has ended is asked again."""
        with closing(SqliteLedger(path or self.path, lambda: self.now)) as ledger:
            tables = ledger._tables
            intents, tasks = tables.intents.find(where()), tables.tasks.find(where())
            keys = {row.key for row in (*intents, *tasks)}
            return (
                sorted(map(_as_reaped, intents), key=lambda row: row.intent),
                sorted(map(_as_asked, tasks), key=lambda row: row.task),
                {key: ledger.document(key) for key in keys},
            )


def _as_reaped(row: Any) -> Any:
    return replace(row, outcome=IntentOutcome.UNCERTAIN) if row.outcome is IntentOutcome.OPEN else row


def _as_asked(row: Any) -> Any:
    return row if row.settled else replace(row, status=RUNNING, ended_at=None)


def send(ledger: SqliteLedger, name: str, *, store: str = STORES[0], answered: bool = True) -> TaskId:
    """One request, and its answer."""
    run = ledger.runs()[-1]
    claim = ledger.claim(a_doc(name), Origin(store, "p", "f", "", "f.yaml", name), run.run, run.owner)
    assert isinstance(claim, Mine)
    ledger.reserve(claim.claim, "m", 5, Limits())
    intent, task = ledger.intend(claim.claim, "digest", {}), TaskId(f"task-{name}")
    if answered:
        ledger.submitted(intent, task)
    return task


@pytest.fixture
def account(tmp_path: Path) -> Iterable[Account]:
    found = Account(tmp_path)
    yield found
    found.close()


# -- any history, any moment


class Histories(RuleBasedStateMachine):
    """Two processes over one ledger, whatever they do; copies at any moment; and it is destroyed and rebuilt at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.account = Account(Path(self.folder.name))
        self.claims: list[Any] = []
        self.intents: list[Any] = []
        self.tasks: list[TaskId] = []
        self._start()

    def _start(self) -> None:
        for store in STORES:
            self.account.begin(store)

    def teardown(self) -> None:
        self.account.close()
        self.folder.cleanup()

    def ask(self, which: int, name: str, *args: Any) -> Any:
        ledger = self.account.ledgers[which % len(self.account.ledgers)]
        try:
            return getattr(ledger, name)(*args)
        except (KeyError, ValueError, StaleClaimError, BusyActionError):
            return None

    @rule(seconds=st.sampled_from([0.0, 0.5, 100.0, 90_000.0]))
    def time_passes(self, seconds):
        self.account.now += seconds

    @rule(which=st.integers(0, 3), name=st.sampled_from("abc"), take=st.integers(1, 2), forced=st.booleans())
    def claim(self, which, name, take, forced):
        run = self.account.ledgers[which % len(self.account.ledgers)].runs()[-1 - which % 2]
        origin = Origin(run.store, "p", "f", "", "f.yaml", name, ("t",), forced)
        answer = self.ask(which, "claim", a_doc(name, take), origin, run.run, run.owner)
        if isinstance(answer, Mine):
            self.claims.append(answer.claim)

    @rule(which=st.integers(0, 3), number=st.integers(0, 9), credits=st.none() | st.integers(0, 9))
    def intend(self, which, number, credits):
        if self.claims:
            claim = self.claims[-1 - number % len(self.claims)]
            self.ask(which, "reserve", claim, "m", credits, Limits())
            intent = self.ask(which, "intend", claim, "digest", {"n": number})
            if intent is not None:
                self.intents.append(intent)

    @rule(which=st.integers(0, 3), number=st.integers(0, 9), credits=st.none() | st.integers(0, 9))
    def submitted(self, which, number, credits):
        if self.intents:
            self.tasks.append(TaskId(f"t{len(self.tasks)}"))
            self.ask(which, "submitted", self.intents[-1 - number % len(self.intents)], self.tasks[-1], credits)

    @rule(which=st.integers(0, 3), name=st.sampled_from("abcdef"), steps=st.integers(1, 3), good=st.booleans())
    def generate(self, which, name, steps, good):
        """One request, so far: sent, answered, settled."""
        self.claim(which, name, 1, False)
        if self.claims:
            sent = len(self.intents)
            self.intend(which, 0, 5)
            if len(self.intents) > sent and steps > 1:
                self.submitted(which, 0, None)
                if steps > 2:
                    self.settle(which + steps, 0, 7, good)

    @rule(which=st.integers(0, 3), number=st.integers(0, 9), word=st.sampled_from(["refused", "lost"]))
    def unanswered(self, which, number, word):
        if self.intents:
            more = ({"why": number},) if word == "lost" else ()
            self.ask(which, word, self.intents[-1 - number % len(self.intents)], *more)

    @rule(which=st.integers(0, 3), number=st.integers(0, 9), word=st.sampled_from([Forgotten(), Resend(), None]))
    def decide(self, which, number, word):
        if self.intents:
            self.tasks.append(TaskId(f"t{len(self.tasks)}"))
            intent = self.intents[-1 - number % len(self.intents)].intent
            self.ask(which, "decide", intent, word or Adopted(self.tasks[-1]))

    @rule(which=st.integers(0, 3), number=st.integers(0, 9), credits=st.none() | st.integers(0, 9), good=st.booleans())
    def settle(self, which, number, credits, good):
        if self.tasks:
            task = self.tasks[-1 - number % len(self.tasks)]
            self.ask(which, "ended", task, "SUCCEEDED" if good else "FAILED")
            self.ask(which, "settle", task, Succeeded() if good else Failed("INTERNAL", "x"), credits)

    @rule(which=st.integers(0, 3))
    def copy(self, which):
        self.ask(which, "back_up")

    @rule(which=st.integers(0, 3), owner=st.integers(1, 9), what=st.sampled_from(["retire", "heartbeat"]))
    def owner(self, which, owner, what):
        self.ask(which, what, OwnerId(f"owner-{owner}"))

    @rule(which=st.integers(0, 3), older=st.sampled_from([1.0, 60.0, 1e9]))
    def reap(self, which, older):
        self.ask(which, "reap", older, lambda owner: owner.endswith("1"))

    @rule(store=st.sampled_from(STORES))
    def one_more(self, store):
        if len(self.account.ledgers) < 4:
            self.account.begin(store)

    @rule()
    def it_is_destroyed(self):
        """And everybody who had it open is gone."""
        before = self.account.facts()
        rebuilt = self.account.rebuilt()
        assert not rebuilt.gaps, rebuilt.gaps
        assert self.account.facts() == before
        self.claims, self.intents = [], []
        self._start()

    @invariant()
    def copy_and_journals_are_the_ledger(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "ledgers", "studio.sqlite3")
            shutil.copytree(Backups(self.account.path).folder, Backups(path).folder)
            rebuilt = rebuild(path, ACCOUNT, self.account.read, STORES[0], self.account.now)
            assert not rebuilt.gaps, rebuilt.gaps
            assert self.account.facts(path) == self.account.facts()


@pytest.mark.parametrize("examples", [12, pytest.param(40, marks=pytest.mark.long)])
def test_a_copy_and_the_journals_since_are_the_ledger(examples: int) -> None:
    quiet = settings(
        max_examples=examples,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    run_state_machine_as_test(Histories, settings=quiet)


# -- what is missing is said


def test_a_run_whose_journal_is_gone_is_a_gap(account: Account) -> None:
    send(account.begin(), "a")
    account.now += 10
    send(account.begin("/two"), "b", store="/two")
    account.journals["/two"].clear()
    rebuilt = account.rebuilt()
    assert [(run.run, run.store) for run in rebuilt.gaps.missing] == [("run-2", "/two")]
    assert read_gaps(account.path) == rebuilt.gaps
    assert [row.task for row in account.facts()[1]] == ["task-a"]


def test_a_run_that_had_ended_before_the_copy_needs_no_journal(account: Account) -> None:
    first = account.begin()
    send(first, "a")
    first.retire(OwnerId("owner-1"))
    account.begin()
    account.journals["/one"].pop("run-1")
    rebuilt = account.rebuilt()
    assert not rebuilt.gaps
    assert read_gaps(account.path) is None
    assert [row.task for row in account.facts()[1]] == ["task-a"]


def test_a_rotten_journal_of_a_run_that_the_copy_saw_end_is_no_gap(account: Account) -> None:
    first = account.begin()
    send(first, "a")
    first.retire(OwnerId("owner-1"))
    account.begin()
    lines = account.journals["/one"]["run-1"]
    lines.data = lines.data.replace(b"key-a", b"key-b")
    assert not account.rebuilt().gaps


def test_a_store_that_moved_is_found_at_the_present_one(account: Account) -> None:
    send(account.begin(), "a")
    account.journals = {"/moved": account.journals["/one"]}
    assert not account.rebuilt("/moved").gaps
    assert [row.task for row in account.facts()[1]] == ["task-a"]


def test_lines_that_are_gone_or_changed_are_gaps(account: Account) -> None:
    ledger = account.begin()
    for name in "abc":
        send(ledger, name)
    lines = account.journals["/one"]["run-1"]
    whole = lines.data.splitlines(keepends=True)
    lines.data = b"".join(whole[:3] + whole[4:])
    assert account.rebuilt().gaps.numbers == (3,)
    lines.data = b"".join([*whole[:3], whole[3].replace(b"key-b", b"key-x"), *whole[4:]])
    gaps = account.rebuilt().gaps
    assert ([run.run for run in gaps.torn], gaps.numbers) == (["run-1"], (3,))


def test_a_last_line_that_was_cut_short_never_counted(account: Account) -> None:
    ledger = account.begin()
    send(ledger, "a")
    before = account.facts()
    lines = account.journals["/one"]["run-1"]
    kept = lines.data
    lines.data = kept + kept.splitlines(keepends=True)[-1][:-9]
    assert not account.rebuilt().gaps
    assert account.facts() == before


def test_a_copy_that_is_damaged_too_is_a_gap_and_the_one_before_it_serves(account: Account) -> None:
    send(account.begin(), "a")
    send(account.begin("/two"), "b", store="/two")
    Backups(account.path).all()[0].path.write_bytes(b"garbage")
    rebuilt = account.rebuilt()
    assert rebuilt.copy is not None
    assert (rebuilt.copy.number, rebuilt.gaps.copies) == (1, 1)
    assert [row.task for row in account.facts()[1]] == ["task-a"], "nobody knows of the other store any more"
    assert SqliteLedger(account.path, lambda: 0.0).back_up().name == "3.sqlite3"


def test_without_any_copy_the_journals_of_the_present_store_are_all(account: Account) -> None:
    send(account.begin(copy=False), "a")
    send(account.begin("/two", copy=False), "b", store="/two")
    rebuilt = account.rebuilt()
    assert rebuilt.copy is None
    assert rebuilt.gaps.no_copy
    assert [row.task for row in account.facts()[1]] == ["task-a"]


def test_a_transaction_that_came_to_nothing_is_none(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = account.begin()
    send(ledger, "a")
    before = account.facts()
    run = ledger.runs()[-1]
    claim = ledger.claim(a_doc("b"), Origin("/one", "p", "f", "", "f.yaml", "b"), run.run, run.owner).claim
    ledger.reserve(claim, "m", 5, Limits())
    wrapped = ledger._tables.inner._connection

    class Full:
        def execute(self, sql: str, *more: Any) -> Any:
            if sql == "COMMIT":
                raise OSError("no room")
            return wrapped.execute(sql, *more)

        def __getattr__(self, name: str) -> Any:
            return getattr(wrapped, name)

    monkeypatch.setattr(ledger._tables.inner, "_connection", Full())
    with pytest.raises(OSError, match="no room"):
        ledger.intend(claim, "digest", {})
    monkeypatch.undo()
    assert account.facts() == before
    send(ledger, "c")
    after = account.facts()
    assert not account.rebuilt().gaps
    assert account.facts() == after


def test_an_answer_alone_makes_a_task(account: Account) -> None:
    ledger = account.begin()
    send(ledger, "a", answered=False)
    account.journals["/one"]["run-1"].write(journal.answered(IntentId(1), TaskId("told"), 9, 1001.0))
    assert not account.rebuilt().gaps
    intents, tasks, _ = account.facts()
    assert [(row.outcome, row.task, row.credits) for row in intents] == [(IntentOutcome.ACCEPTED, "told", 9)]
    assert [(row.task, row.settled, row.submitted_at) for row in tasks] == [("told", False, 1001.0)]


def test_runs_that_a_young_ledger_never_heard_of_are_taken_in_under_new_numbers(account: Account) -> None:
    send(account.begin(), "a", answered=False)
    late = journal.read(account.journals["/one"]["run-1"].data)
    assert late is not None
    account.close()
    shutil.rmtree(account.path.parent)
    account.now += 50
    ledger = account.begin("/two")
    send(ledger, "b", store="/two")
    ledger.take_in([late])
    intents, _, _ = account.facts()
    assert [(row.intent, row.key, row.outcome.value) for row in intents] == [
        (1, a_doc("b").key, "accepted"),
        (2, a_doc("a").key, "uncertain"),
    ]
    assert [run.run for run in ledger.runs()] == ["run-2", "run-1"]
    send(ledger, "c")
    assert len(account.facts()[0]) == 3


def test_an_older_line_takes_nothing_back(account: Account) -> None:
    ledger = account.begin()
    task = send(ledger, "a")
    ledger.settle(task, Succeeded(), 4)
    before = account.facts()
    written = journal.read(account.journals["/one"]["run-1"].data)
    assert written is not None
    for count in (1, 2, 3):
        ledger.take_in([replace(written, lines=written.lines[:count])])
        assert account.facts() == before


# -- copies


def test_a_copy_is_sound_for_its_owner_alone_and_the_newest_are_kept(account: Account) -> None:
    ledger = account.begin()
    for _ in range(4):
        path = ledger.back_up()
    assert [each.number for each in Backups(account.path).all()] == [5, 4, 3]
    assert len(Backups(account.path).all()) == KEPT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert complaint(path) is None
    assert sorted(each.name for each in path.parent.iterdir()) == ["3.sqlite3", "4.sqlite3", "5.sqlite3"]


def test_a_copy_of_a_damaged_ledger_pushes_no_good_one_out(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "QUICK_CHECK_BYTES", 0)
    ledger = account.begin()
    for number in range(60):
        send(ledger, f"a{number}")
    account.close()
    with account.path.open("r+b") as stream:
        stream.seek(4096 * 20)
        stream.write(b"\x5a" * 4096 * 40)
    ledger = SqliteLedger(account.path, lambda: 0.0)
    for _ in range(4):
        with pytest.raises(LedgerDamagedError, match="a copy of it is not sound"):
            ledger.back_up()
    ledger.close()
    assert [each.number for each in Backups(account.path).all()] == [1]
    assert account.path.with_suffix(".damaged").exists()


def test_a_file_in_the_folder_of_copies_that_is_none_is_passed_over(account: Account) -> None:
    account.begin()
    for name in ("notes.txt", "x.sqlite3", ".tmp-abc"):
        (Backups(account.path).folder / name).write_text("hello")
    assert [each.number for each in Backups(account.path).all()] == [1]


# -- missing, and in use


def test_a_ledger_that_was_never_there_is_not_missing(account: Account) -> None:
    assert not is_missing(account.path)
    assert found_against(account.path) is None
    account.begin()
    account.close()
    assert found_against(account.path) is None
    account.path.unlink()
    assert is_missing(account.path)
    assert "missing" in str(found_against(account.path))


def test_what_sqlite_keeps_beside_the_damaged_file_goes_with_it(account: Account) -> None:
    account.begin()
    account.close()
    for suffix in ("-wal", "-shm"):
        account.path.with_name(account.path.name + suffix).write_bytes(b"of the old one")
    rebuilt = account.rebuilt()
    assert rebuilt.aside is not None
    names = sorted(each.name for each in account.path.parent.glob("*.damaged-*"))
    assert names == [rebuilt.aside.name, f"{rebuilt.aside.name}-shm", f"{rebuilt.aside.name}-wal"]
    assert account.facts() == ([], [], {})


def test_who_has_it_open_keeps_others_from_replacing_it(account: Account) -> None:
    first, second = (LedgerLock.shared(account.path, wait=False) for _ in range(2))
    assert first is not None
    assert second is not None
    assert LedgerLock.alone(account.path) is None
    first.close()
    first.close()
    second.close()
    alone = LedgerLock.alone(account.path)
    assert alone is not None
    assert LedgerLock.shared(account.path, wait=False) is None
    alone.close()


# -- gaps on record


RUN = RegisteredRun(RunId("r"), OwnerId("o"), "/s", 5.0)


@pytest.mark.parametrize(
    "gaps", [Gaps(1.0, 2.0, (RUN,)), Gaps(torn=(RUN,)), Gaps(numbers=(4, 7)), Gaps(copies=1), Gaps(no_copy=True)]
)
def test_gaps_are_read_as_they_were_written(tmp_path: Path, gaps: Gaps) -> None:
    path = tmp_path / "studio.sqlite3"
    write_gaps(path, gaps)
    assert read_gaps(path) == gaps
    assert stat.S_IMODE(gaps_path(path).stat().st_mode) == 0o600
    aside = accept_gaps(path, 1_700_000_000.0)
    assert aside is not None
    assert aside.name == "studio.gaps-20231114T221320Z.json"
    assert json.loads(aside.read_text())["format"] == 1
    assert read_gaps(path) is None
    assert accept_gaps(path, 0.0) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 2}', '{"format": 1, "more": 1}', '{"format": 1, "missing": 3}']
)
def test_a_record_of_gaps_that_cannot_be_read_is_a_gap(tmp_path: Path, text: str) -> None:
    path = tmp_path / "studio.sqlite3"
    gaps_path(path).write_text(text)
    assert read_gaps(path) == Gaps(unread=True)
    assert read_gaps(path)


def test_no_gap_leaves_no_record(tmp_path: Path) -> None:
    path = tmp_path / "studio.sqlite3"
    write_gaps(path, Gaps(copies=1))
    write_gaps(path, Gaps(at=3.0, since=2.0))
    write_gaps(path, Gaps())
    assert read_gaps(path) is None


# -- lines


@pytest.mark.parametrize("data", [b"", b"\n", b"hello\n", b'{"format":1}\n', b'{"format":2,"sum":"00000000"}\n'])
def test_what_is_no_journal_is_none(data: bytes) -> None:
    assert journal.read(data) is None


def test_every_changed_byte_of_a_line_is_seen(account: Account) -> None:
    send(account.begin(), "a")
    data = account.journals["/one"]["run-1"].data
    first = data.index(b"\n") + 1
    for place in range(first, first + data[first:].index(b"\n")):
        changed = bytearray(data)
        changed[place] ^= 1
        written = journal.read(bytes(changed))
        assert written is not None
        assert written.damaged >= 1
