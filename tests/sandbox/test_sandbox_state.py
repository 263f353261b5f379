"""State that outlives a sandbox, and is shared by several."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flowrun.sandbox.state import DATABASE, MemoryState, SqliteState, StateError
from tests.sandbox.visitor import FILM, Visitor, png


def test_tasks_outlive_the_sandbox(tmp_path: Path) -> None:
    first = SqliteState(tmp_path / "sandbox")
    visitor = Visitor(state=first)
    picture, uri = visitor.create(), visitor.upload(png())
    url = visitor.url(picture)
    data = visitor.send("GET", url).body
    film = visitor.create("text_to_video", FILM)
    first.close()
    second = SqliteState(tmp_path / "sandbox")
    again = Visitor(state=second)
    again.now = visitor.now + 5
    assert again.status(film) == "SUCCEEDED"
    assert again.send("GET", url).body == data
    assert again.create(referenceImages=[{"uri": uri, "tag": "ref"}]) not in (picture, film)
    assert [each["id"] for each in again.sandbox.report()["submissions"]][:2] == [picture, film]
    second.close()


def test_memory_and_files_tell_the_same_story(tmp_path: Path) -> None:
    stories = []
    state = SqliteState(tmp_path)
    for each in (MemoryState(), state):
        visitor = Visitor(state=each)
        uri = visitor.upload(png())
        stories.append((visitor.made(referenceImages=[{"uri": uri, "tag": "ref"}]), visitor.sandbox.report()))
    assert stories[0] == stories[1]
    state.close()


def test_nothing_is_written_before_the_first_request(tmp_path: Path) -> None:
    state = SqliteState(tmp_path / "sandbox")
    visitor = Visitor(state=state)
    assert not (tmp_path / "sandbox").exists()
    visitor.create()
    assert (tmp_path / "sandbox" / DATABASE).is_file()
    state.close()
    state.close()


def test_bytes_are_files_by_their_digests(tmp_path: Path) -> None:
    state = SqliteState(tmp_path)
    visitor = Visitor(state=state)
    visitor.upload(png())
    visitor.upload(png())
    visitor.made()
    assert len(list((tmp_path / "inputs").iterdir())) == 1
    assert len(list((tmp_path / "outputs").iterdir())) == 1
    state.close()


def test_two_handles_on_one_state_take_turns(tmp_path: Path) -> None:
    """Two accounts' worth of requests at once over one file: each is one, and no ordinal is given twice."""
    states = [SqliteState(tmp_path), SqliteState(tmp_path)]
    visitors = [Visitor("{media: tiny, durations: {default: 5}}", state=each, tier=1) for each in states]
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda number: visitors[number % 2].create("text_to_video", FILM), range(20)))
    assert len(set(ids)) == 20
    reports = [visitor.sandbox.report() for visitor in visitors]
    assert reports[0] == reports[1]
    assert reports[0]["peak_running"] == {"veo3.1": 1}
    assert reports[0]["requests"] == {"text_to_video": 20}
    visitors[0].send("DELETE", f"/v1/tasks/{ids[0]}")
    assert visitors[1].send("GET", f"/v1/tasks/{ids[0]}").status == 404
    for each in states:
        each.close()


MANY = """
import sys
from pathlib import Path
from flowrun.sandbox.state import SqliteState
state = SqliteState(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(400):
    with state.transaction() as books:
        books.put("total", (books.counter("total") or 0) + 1)
state.close()
"""


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MANY, str(tmp_path)]
    pipe = subprocess.PIPE
    started = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(3)]
    for each in started:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in started:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    for each in started:
        each.communicate()
    assert [each.returncode for each in started] == [0, 0, 0]
    state = SqliteState(tmp_path)
    with state.transaction() as books:
        assert books.counter("total") == 1200
    state.close()


@pytest.mark.parametrize("kind", ["memory", "files"])
def test_a_transaction_is_all_or_nothing(kind: str, tmp_path: Path) -> None:
    state = MemoryState() if kind == "memory" else SqliteState(tmp_path)

    def broken() -> None:
        with state.transaction() as books:
            books.count("a")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    with state.transaction() as books:
        assert books.counter("a") is None
        assert (books.count("a"), books.count("a", 5), books.counters("")) == (1, 6, {"a": 6})
    state.close()


def test_a_state_of_another_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / DATABASE) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StateError, match="format 99"), SqliteState(tmp_path).transaction():
        pass


def test_bytes_that_are_not_there(tmp_path: Path) -> None:
    for state in (MemoryState(), SqliteState(tmp_path)):
        assert state.blobs.read("inputs/none") is None
        state.blobs.write("inputs/a", b"1")
        state.blobs.write("inputs/a", b"1")
        assert state.blobs.read("inputs/a") == b"1"
