"""A store that is only looked at: it makes nothing, mends nothing, and knows all the same what its files tell."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from flowrun.ids import RunId
from flowrun.store import index as index_module
from flowrun.store.disk import INDEX, DiskStore
from flowrun.store.errors import StoreUnavailableError
from flowrun.store.protocol import Pick, Result, RunRow, StoreDamagedError
from tests.contract.store_kit import NOW, key, put, recipe, result
from tests.store.test_disk_store import open_store, result_file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / ".flowrun"


@pytest.fixture
def made(root: Path) -> Result:
    """A result in a store with a run."""
    with open_store(root) as store:
        found = result("hero", put(store.blobs, b"x"))
        store.results.commit(found)
        store.runs.begin(RunRow(RunId("run-1"), "runway", "f", "", "m.yaml", NOW))
    return found


def looked_at(root: Path) -> DiskStore:
    return DiskStore.open(root, lambda: NOW, provider="runway", reading=True)


def tree(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.rglob("*") if path.is_file() and "-shm" not in path.name}


def test_a_store_that_is_not_there_is_empty_and_not_made(root: Path) -> None:
    with looked_at(root) as store:
        assert (store.runs.list(), store.results.lookup([key("hero")]), store.picks.get(recipe("hero"))) == (
            (),
            {},
            None,
        )
        assert store.results.durations("runway") == {}
        assert store.exports.get("out") is None
    assert not root.exists()


def test_what_is_there_is_seen(root: Path, made: Result) -> None:
    before = tree(root)
    with looked_at(root) as store:
        assert store.results.by_recipe(recipe("hero")) == (made,)
        assert [row.id for row in store.runs.list()] == ["run-1"]
    assert tree(root) == before


def test_a_result_file_that_came_another_way_counts_and_is_remembered_by_nobody_else(
    tmp_path: Path, root: Path
) -> None:
    with open_store(tmp_path / "else") as other:
        made = result("hero", put(other.blobs, b"x"))
        other.results.commit(made)
    with open_store(root) as disk:
        put(disk.blobs, b"x")
        disk.runs.begin(RunRow(RunId("run-1"), "runway", "f", "", "m.yaml", NOW))
        result_file(disk).parent.mkdir(parents=True)
        result_file(disk).write_bytes(result_file(other).read_bytes())
        before = tree(root)
        with looked_at(root) as store:
            assert store.results.lookup([key("hero")])[key("hero")].results == (made,)
            assert store.results.last_at("runway", "trailer", "", "hero#1") == made
            assert [row.id for row in store.runs.list()] == ["run-1"], "what was known is known still"
        assert tree(root) == before
        assert disk.results.by_recipe(recipe("hero")) == ()


def test_an_index_that_is_gone_is_made_in_memory(root: Path, made: Result) -> None:
    (root / INDEX).unlink()
    with looked_at(root) as store:
        assert store.results.by_recipe(recipe("hero")) == (made,)
        assert store.runs.list() == ()
    assert not (root / INDEX).exists()


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_index_is_left_as_it_is(root: Path, made: Result, content: bytes) -> None:
    (root / INDEX).write_bytes(content)
    with looked_at(root) as store:
        assert store.results.by_recipe(recipe("hero")) == (made,)
    assert (root / INDEX).read_bytes() == content
    assert not list(root.glob(f"{INDEX}.damaged*"))


def test_an_index_of_another_version_is_left_as_it_is(root: Path, made: Result) -> None:
    with closing(sqlite3.connect(root / INDEX)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with looked_at(root) as store:
        assert store.results.by_recipe(recipe("hero")) == (made,)
    assert not list(root.glob(f"{INDEX}.damaged*"))


def test_damage_found_in_use_is_passed_by(root: Path) -> None:
    with open_store(root) as disk:
        for n in range(200):
            disk.runs.begin(RunRow(RunId(f"run-{n}"), "runway", "f" * 500, "", "m.yaml", NOW))
        disk.results.commit(result("hero"))
    size = (root / INDEX).stat().st_size
    with looked_at(root) as store:
        with (root / INDEX).open("r+b") as stream:
            stream.seek(4096)
            stream.write(b"\xff" * (size - 4096))
        assert store.results.by_recipe(recipe("hero"))
    assert not list(root.glob(f"{INDEX}.damaged*"))


def test_an_index_that_another_process_made_anew_is_looked_at_from_then_on(root: Path, made: Result) -> None:
    with looked_at(root) as store:
        (root / INDEX).unlink()
        assert store.runs.list() == ()
        with open_store(root) as writer:
            writer.runs.begin(RunRow(RunId("run-2"), "runway", "f", "", "m.yaml", NOW))
        assert [row.id for row in store.runs.list()] == ["run-2"]


def test_nothing_can_be_written_to_the_index_on_the_disk(root: Path, made: Result) -> None:
    with looked_at(root) as store:
        store.runs.begin(RunRow(RunId("mine"), "runway", "f", "", "m.yaml", NOW))
        assert len(store.runs.list()) == 2, "it keeps that to itself"
        connection = store._index._prepare()
        with closing(connection), pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM runs")
    with open_store(root) as again:
        assert [row.id for row in again.runs.list()] == ["run-1"]


def test_who_only_looks_needs_no_lock(root: Path, made: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "_PATIENCE", 0.0)
    with closing(sqlite3.connect(root / INDEX, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with looked_at(root) as store:
            assert [row.id for row in store.runs.list()] == ["run-1"]
        with pytest.raises(StoreUnavailableError), open_store(root) as writer:
            writer.runs.begin(RunRow(RunId("run-2"), "runway", "f", "", "m.yaml", NOW))


def test_a_file_where_the_folder_must_be_is_damage(root: Path) -> None:
    root.write_text("no folder")
    with pytest.raises(StoreDamagedError, match="needs a folder"):
        looked_at(root)


def test_a_pick_is_read_without_an_index(root: Path, made: Result) -> None:
    with open_store(root) as disk:
        disk.picks.set(Pick(recipe("hero"), 1, made.id, "person", NOW, "hero"))
    (root / INDEX).unlink()
    with looked_at(root) as store:
        assert store.picks.get(recipe("hero")) is not None
