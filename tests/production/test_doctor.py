"""The doctor: each look, healthy and sick, and that it changes nothing."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowrun.ledger.gaps import Gaps, write_gaps
from flowrun.ledger.location import account_of, ledger_path
from flowrun.ledger.sqlite import damage_mark
from flowrun.production.doctoring import account, disks, finding, machine
from flowrun.production.doctoring.examining import Health, examine
from flowrun.production.doctoring.finding import Finding, Status
from flowrun.production.exits import Exit, FlowrunError
from flowrun.production.options import Options, Surroundings
from flowrun.production.provider import BASE_URL, KEY, LIVE, Choice
from flowrun.runway.errors import KeyRefusedError, TransientError
from flowrun.runway.values import Organization, SandboxMark
from flowrun.secret import Secret
from flowrun.ui.doctor_text import doctor_text
from tests.production.test_main_path import CHAIN
from tests.support.stage import Stage

GOOD_KEY = "key_" + "0f" * 64
LOTS = machine.Instruments(room=lambda folder: machine.Room(1 << 40, None), git=lambda folder, *words: None)
TERMINAL = machine.Terminal()


def health(root: Path, *, instruments: machine.Instruments = LOTS, offline: bool = False, **environ: str) -> Health:
    root.mkdir(exist_ok=True)
    around = Surroundings(environ={"FLOWRUN_STATE_DIR": str(root / "state"), **environ}, cwd=root)
    return examine(Options(), around, TERMINAL, offline=offline, instruments=instruments)


def found(of: Health, name: str) -> Finding:
    return next(each for each in of.findings if each.name == name)


def test_a_newcomers_machine_is_well_and_nothing_is_left_behind(tmp_path: Path) -> None:
    well = health(tmp_path / "new")
    assert well.exit is Exit.DONE
    assert {each.name for each in well.findings if each.status is Status.WARNING} == {"key"}
    assert found(well, "key").advice is not None
    assert "a sandbox answered in" in found(well, "API").found
    assert "H.264 with AAC, PNG, JPEG, WebP, MP3" in found(well, "codecs").found
    assert list((tmp_path / "new").iterdir()) == []


def test_after_a_run_index_and_ledger_are_looked_at(tmp_path: Path) -> None:
    Stage(tmp_path, CHAIN).apply()
    well = health(tmp_path, offline=True)
    assert found(well, "API").found == "not asked (--offline)"
    assert found(well, "index").found == "index.sqlite3 is sound"
    assert found(well, "ledger").found == "in-process.sqlite3: 0 in flight, 0 uncertain"


def test_an_uncertain_request_is_a_warning(tmp_path: Path) -> None:
    Stage(tmp_path, CHAIN, scenario="faults: [{on: text_to_image, do: {lost: after}}]\n").apply()
    seen = found(health(tmp_path, offline=True), "ledger")
    assert (seen.status, seen.found) == (Status.WARNING, "in-process.sqlite3: 0 in flight, 1 uncertain")
    assert "flowrun status" in str(seen.advice)


def test_damaged_databases_are_problems(tmp_path: Path) -> None:
    Stage(tmp_path, CHAIN).apply()
    root = tmp_path / ".flowrun" / "sandbox"
    for path in (root / "index.sqlite3", ledger_path(root, "in-process")):
        path.write_bytes(b"no database " * 400)
    sick = health(tmp_path, offline=True)
    assert sick.exit is Exit.SURROUNDINGS
    assert found(sick, "index").status is Status.PROBLEM
    assert "built anew" in str(found(sick, "index").advice)
    assert found(sick, "ledger").status is Status.PROBLEM


def test_copies_of_a_ledger_are_told_and_what_one_does_not_know(tmp_path: Path) -> None:
    Stage(tmp_path, CHAIN).apply()
    path = ledger_path(tmp_path / ".flowrun/sandbox", "in-process")
    well = health(tmp_path, offline=True)
    assert found(well, "ledger copies").found.startswith("2 of in-process.sqlite3, the newest of 20")
    write_gaps(path, Gaps(no_copy=True))
    seen = found(health(tmp_path, offline=True), "ledger gaps")
    assert (seen.status, "no copy of the ledger" in seen.found) == (Status.PROBLEM, True)
    assert "--accept-gaps" in str(seen.advice)


def test_a_ledger_that_is_missing_or_was_found_damaged_is_a_problem(tmp_path: Path) -> None:
    Stage(tmp_path, CHAIN).apply()
    path = ledger_path(tmp_path / ".flowrun/sandbox", "in-process")
    damage_mark(path).touch()
    seen = found(health(tmp_path, offline=True), "ledger")
    assert (seen.status, "found damaged while it was used" in seen.found) == (Status.PROBLEM, True)
    path.unlink()
    seen = found(health(tmp_path, offline=True), "ledger")
    assert (seen.status, "is missing" in seen.found) == (Status.PROBLEM, True)
    assert "flowrun apply FILE" in str(seen.advice)
    assert not path.exists()


def test_a_page_that_lies_is_seen(tmp_path: Path) -> None:
    from flowrun.store.index import complaint

    path = tmp_path / "index.sqlite3"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE t (a TEXT)")
        made.executemany("INSERT INTO t VALUES (?)", [("x" * 500,)] * 200)
    made.close()
    assert complaint(path) is None
    with path.open("r+b") as stream:
        stream.seek(4096 * 3)
        stream.write(b"\xff" * 4096)
    assert complaint(path) is not None


@pytest.mark.parametrize(
    ("raw", "status", "words"),
    [
        (GOOD_KEY, Status.OK, "is well-formed"),
        (GOOD_KEY + "\n", Status.WARNING, "white space around it"),
        (f'"{GOOD_KEY}"', Status.PROBLEM, "it has quotes"),
        ("sk-123", Status.PROBLEM, "does not begin with key_"),
        (GOOD_KEY[:-2], Status.PROBLEM, "it has 126 digits"),
        (GOOD_KEY[:-1] + "g", Status.PROBLEM, "no hex digits"),
    ],
)
def test_a_key_is_judged_and_never_shown(tmp_path: Path, raw: str, status: Status, words: str) -> None:
    seen = health(tmp_path, offline=True, **{KEY: raw})
    assert found(seen, "key").status is status
    assert words in found(seen, "key").found
    assert "0f0f" not in str(seen.findings)
    assert found(seen, "address").found == "api.dev.runwayml.com"
    assert found(seen, "ledger").status is Status.OK


def test_a_sandbox_needs_no_key_and_an_env_file_is_named(tmp_path: Path) -> None:
    around = Surroundings(environ={"FLOWRUN_STATE_DIR": str(tmp_path / "state"), KEY: GOOD_KEY}, cwd=tmp_path)
    chosen = examine(Options(sandbox=True), around, TERMINAL, offline=True, instruments=LOTS)
    assert found(chosen, "key").found == f"{KEY} comes from the environment, not used"
    served = health(tmp_path, offline=True, **{BASE_URL: "http://127.0.0.1:9"})
    assert found(served, "key").found == "a sandbox takes any"
    (tmp_path / ".env").write_text(f"{KEY}={GOOD_KEY}\n")
    assert found(health(tmp_path, offline=True), "key").found == f"{KEY} comes from .env, and is well-formed"
    (tmp_path / ".git").mkdir()
    unused = health(tmp_path, offline=True)
    assert "git does not ignore the file" in found(unused, "settings").found
    assert found(unused, "key").status is Status.WARNING
    assert "0f0f" not in str(unused.findings)


def test_a_project_on_runway_without_a_key_has_a_problem(tmp_path: Path) -> None:
    result = tmp_path / ".flowrun" / "results" / "k"
    result.mkdir(parents=True)
    (result / "r.json").write_text("{}")
    used = tmp_path / ".flowrun" / "ledgers"
    used.mkdir()
    (used / account_of(Secret(GOOD_KEY))).touch()
    seen = health(tmp_path)
    assert found(seen, "key").status is Status.PROBLEM
    assert found(seen, "API").found == "not asked: there is no key"
    assert found(seen, "ledger").found == "none yet; the first apply makes it"


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("https://api.runwayml.com", Status.PROBLEM),
        ("https://api.dev.runwayml.com/", Status.OK),
        ("https://proxy.example.com", Status.WARNING),
    ],
)
def test_the_address_is_looked_at(tmp_path: Path, address: str, status: Status) -> None:
    seen = health(tmp_path, offline=True, **{KEY: GOOD_KEY, BASE_URL: address, "https_proxy": "http://u:pw@p:1"})
    assert found(seen, "address").status is status
    assert found(seen, "proxy").found == "HTTPS_PROXY in effect"
    assert "pw" not in str(seen.findings)


def test_what_is_no_address_is_a_wrong_setting(tmp_path: Path) -> None:
    seen = found(health(tmp_path, offline=True, **{KEY: GOOD_KEY, BASE_URL: "ftp://proxy.example.com"}), "settings")
    assert (seen.status, seen.found.split()[0]) == (Status.PROBLEM, BASE_URL)


def test_wrong_settings_are_told_and_the_other_looks_go_on(tmp_path: Path) -> None:
    (tmp_path / "flowrun.toml").write_text("[provider]\nnane = 1\n[cash]\n")
    seen = health(tmp_path, offline=True)
    assert found(seen, "settings").status is Status.PROBLEM
    assert ", and 1 more" in found(seen, "settings").found
    assert found(seen, "codecs").status is Status.OK
    (tmp_path / "flowrun.toml").write_text("[limits]\nqueue_ahead = 1\n")
    assert found(health(tmp_path, offline=True), "settings").found.endswith("flowrun.toml")


class Answering:
    """Stands for a client: gives `outcome`, or raises it."""

    def __init__(self, outcome: Any, mark: SandboxMark | None = None, server_time: float | None = None) -> None:
        self.outcome, self.sandbox, self.server_time = outcome, mark, server_time

    async def organization(self) -> Any:
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        if self.outcome is None:
            await asyncio.sleep(60)
        return self.outcome


def asked(client: Answering) -> list[Finding]:
    choice = Choice("runway", LIVE, Secret(GOOD_KEY))
    around = Surroundings(environ={})
    return asyncio.run(account._asked(client, choice, around))  # type: ignore[arg-type]


FOUND = Organization(balance=1200)


def test_who_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Runway answered in" in asked(Answering(FOUND))[0].found
    assert "balance 1,200 credits" in asked(Answering(FOUND))[0].found
    wrong = asked(Answering(FOUND, SandboxMark()))[0]
    assert (wrong.status, "a sandbox" in wrong.found) == (Status.PROBLEM, True)
    refused = asked(Answering(KeyRefusedError("GET: HTTP 401")))[0]
    assert "api.dev.runwayml.com" in str(refused.advice)
    assert asked(Answering(TransientError("no answer")))[0].status is Status.PROBLEM
    monkeypatch.setattr(account, "PATIENCE", 0.01)
    assert "no answer within" in asked(Answering(None))[0].found


@pytest.mark.parametrize(("off", "words"), [(0.0, "agrees"), (300.4, "300 s behind"), (-299.6, "300 s ahead of")])
def test_a_clock_that_is_off_is_told(off: float, words: str) -> None:
    now = Surroundings(environ={}).clock.now()
    answer = asked(Answering(FOUND, None, now + off))[1]
    assert words in answer.found
    assert answer.status is (Status.OK if not off else Status.WARNING)


def test_an_address_that_no_client_takes_is_a_problem() -> None:
    choice = Choice("runway", "http://example.com", Secret(GOOD_KEY))
    seen = asyncio.run(account.answer(choice, Options(), Surroundings(environ={}), offline=False))
    assert "not sent without TLS" in seen[0].found


def test_the_stores_disk_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(path: Path, instruments: machine.Instruments = LOTS) -> list[Finding]:
        return list(disks.folder("store", path, "FLOWRUN_CACHE_DIR", instruments))

    assert [each.status for each in look(tmp_path / "new")] == [Status.OK, Status.OK]
    (tmp_path / "file").touch()
    assert "is a file" in look(tmp_path / "file" / "store")[0].found
    far = replace(LOTS, is_network=lambda path: True)
    assert "network file system" in look(tmp_path, far)[0].found
    full = replace(LOTS, room=lambda folder: machine.Room(1 << 20, 5))
    assert look(tmp_path, full)[1].status is Status.WARNING
    assert "room for 5 files" in look(tmp_path, full)[1].found
    monkeypatch.setattr(disks, "SLOW", -1.0)
    assert "faster disk" in str(look(tmp_path)[0].advice)

    def refuse(*args: object, **named: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(disks.tempfile, "TemporaryDirectory", refuse)
    assert "cannot be written: Permission denied" in look(tmp_path)[0].found


def test_a_real_disk_tells_its_room(tmp_path: Path) -> None:
    left = machine.room(tmp_path)
    assert left.bytes > 0
    assert left.files is None or left.files > 0


def test_git_is_asked(tmp_path: Path) -> None:
    def look() -> Finding:
        return next(machine.ignored(tmp_path, machine.Instruments()))

    assert "no git repository" in look().found
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert look().status is Status.OK
    (tmp_path / ".env").touch()
    (tmp_path / ".flowrun").mkdir()
    (tmp_path / ".flowrun" / "x").touch()
    assert look().advice == "add .flowrun and .env to .gitignore"
    (tmp_path / ".flowrun" / ".gitignore").write_text("*\n")
    (tmp_path / ".gitignore").write_text(".env\n")
    assert look().status is Status.OK
    subprocess.run(["git", "-C", str(tmp_path), "add", "-f", ".flowrun/x"], check=True)
    assert "version control" in look().found


def test_git_may_not_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    assert machine.git(tmp_path, "status") is None
    assert next(machine.ignored(tmp_path, machine.Instruments())).found == "git is not installed"


def test_the_terminal_is_looked_at() -> None:
    def look(**facts: Any) -> Finding:
        return next(machine.terminal(machine.Terminal(**facts)))

    assert look().status is Status.OK
    assert "PYTHONUTF8" in str(look(encoding="ascii").advice)
    assert "widen" in str(look(interactive=True, width=40, colour=True).advice)


def test_codecs_that_fail_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(spec: object) -> bytes:
        raise RuntimeError("no encoder")

    monkeypatch.setattr("flowrun.media.film.make_film", broken)
    assert next(machine.codecs()).status is Status.PROBLEM


@pytest.mark.parametrize(
    "error", [FlowrunError(Exit.DAMAGED, "gone", None), OSError(5, "I/O error", "disk"), OSError("odd"), KeyError("x")]
)
def test_a_look_that_fails_is_a_finding(error: Exception) -> None:
    def look() -> list[Finding]:
        raise error

    (seen,) = finding.guarded("x", look)
    assert seen.status is Status.PROBLEM
    assert seen.advice


def test_an_unreadable_ledger_means_that_the_project_is_on_runway(tmp_path: Path) -> None:
    used = tmp_path / ".flowrun" / "ledgers"
    used.mkdir(parents=True)
    (used / "studio").touch()
    path = ledger_path(tmp_path / "state", "studio")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"rubbish" * 100)
    seen = health(tmp_path, offline=True)
    assert found(seen, "key").status is Status.PROBLEM
    assert found(seen, "ledger").status is Status.PROBLEM


def test_the_text_is_aligned_wrapped_and_summed() -> None:
    rows = [
        finding.ok("store", "fine"),
        finding.warning("key", "none " * 12, "get one"),
        finding.problem("API", "silent", "call it"),
    ]
    text = doctor_text(rows, colour=False, width=50)
    assert text.splitlines()[0] == "ok       store  fine"
    assert max(map(len, text.splitlines()[:-1])) <= 50
    assert "                hint: get one" in text.splitlines()
    assert text.splitlines()[-1] == "1 problem, and 1 warning: an apply would not work as it is."
    assert doctor_text(rows[:2], colour=False, width=50).endswith("No problem; there is 1 warning.")
    assert doctor_text(rows[:1], colour=True, width=50) == "\x1b[32mok\x1b[0m       store  fine\nAll is well."


@pytest.mark.parametrize(("left", "words"), [(300 << 10, "0.3 MiB free"), (5 << 28, "1.2 GiB free")])
def test_little_room_is_told_as_little(tmp_path: Path, left: int, words: str) -> None:
    tools = replace(LOTS, room=lambda folder: machine.Room(left, None))
    assert found(health(tmp_path / "p", instruments=tools), "store space").found.startswith(words)
