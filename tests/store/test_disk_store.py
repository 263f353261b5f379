"""What only the disk can do wrong: layout, damage, deletion, other processes' files."""

from __future__ import annotations

import errno
import io
import json
import os
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import pytest

from flowrun.digest import Digest, of_bytes
from flowrun.ids import ActionKey, ResultId, RunId
from flowrun.store import index as index_module
from flowrun.store.disk import INDEX, DiskStore
from flowrun.store.documents import DocumentError, load
from flowrun.store.errors import StoreUnavailableError
from flowrun.store.protocol import Defect, ExportRecord, FetchedUrl, Pick, RunRow, StoreDamagedError, Upload
from flowrun.store.reflink import reflink
from tests.contract.store_kit import NOW, PNG, key, put, recipe, result


def open_store(root: Path, provider: str = "runway", now: float = NOW) -> DiskStore:
    return DiskStore.open(root, lambda: now, provider=provider)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "project" / ".flowrun"


@pytest.fixture
def disk(root: Path) -> Iterator[DiskStore]:
    with open_store(root) as store:
        yield store


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[sqlite3.Connection]]:
    """Connections that SQLite opened, so that a test can count or break them."""
    made: list[sqlite3.Connection] = []
    real = sqlite3.connect

    def connect(*args: object, **options: object) -> sqlite3.Connection:
        made.append(real(*args, **options))
        return made[-1]

    monkeypatch.setattr(sqlite3, "connect", connect)
    yield made
    for each in made:
        each.close()


def result_file(disk: DiskStore, name: str = "hero", named: str = "r1") -> Path:
    return disk.root / "results" / key(name) / f"{named}.json"


# -- layout


def test_everything_lies_where_the_layout_says(disk: DiskStore) -> None:
    digest = put(disk.blobs, b"pixels")
    disk.results.commit(result("hero", digest))
    disk.picks.set(Pick(recipe("hero"), 1, ResultId("r1"), "user", NOW))
    disk.uploads.set(Upload("studio", digest, "runway://u", NOW))
    assert (disk.root / ".gitignore").read_text() == "*\n"
    blob = disk.root / "blobs" / digest.sha256[:2] / digest.sha256
    assert stat.S_IMODE(blob.stat().st_mode) == 0o444
    assert disk.blobs.path(digest) == blob
    assert json.loads(result_file(disk).read_text())["ingredients"]["request"]["seed"] == 7
    assert (disk.root / "picks" / f"{recipe('hero')}.json").is_file()
    upload = disk.root / "uploads" / "studio" / f"{digest.sha256}.json"
    assert stat.S_IMODE(upload.stat().st_mode) == 0o600
    assert not list((disk.root / "tmp").iterdir())


def test_opening_again_finds_everything(disk: DiskStore, root: Path) -> None:
    disk.results.commit(result("hero", put(disk.blobs, b"x")))
    disk.runs.begin(RunRow(RunId("run-1"), "runway", "f", "", "m.yaml", NOW))
    disk.close()
    with open_store(root) as again:
        assert key("hero") in again.results.lookup([key("hero")])
        assert again.runs.get("run-1") is not None


def test_the_url_on_disk_carries_no_token(disk: DiskStore) -> None:
    disk.urls.set(FetchedUrl("https://example.com/a.png?token=hunter2", of_bytes(b"x"), PNG, None, NOW))
    (written,) = (disk.root / "urls").iterdir()
    assert "hunter2" not in written.read_text()


def test_a_sandbox_result_is_not_let_in_among_paid_ones(disk: DiskStore, root: Path) -> None:
    fake = replace(result("hero"), provider="sandbox")
    with pytest.raises(ValueError, match="sandbox"):
        disk.results.commit(fake)
    with open_store(root / "sandbox", "sandbox") as apart:
        apart.results.commit(fake)
        assert apart.results.any_of("sandbox")
    assert not disk.results.any_of("sandbox")


@pytest.mark.parametrize("bad", ["../up", "", "a/b", ".hidden", "x" * 200])
def test_a_name_that_is_no_file_name_is_refused(disk: DiskStore, bad: str) -> None:
    with pytest.raises(ValueError, match="file's name"):
        disk.results.commit(result("hero", named=bad))
    with pytest.raises(ValueError, match="file's name"):
        disk.results.commit(replace(result("hero"), key=ActionKey(bad)))
    assert disk.results.lookup([ActionKey(bad)]) == {}
    with pytest.raises(ValueError, match="SHA-256"):
        disk.blobs.has(Digest(bad, 1))


# -- damage


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"format": 2}',
        b'{"format": 1}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"format": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_damaged_result_file_is_a_defect(disk: DiskStore, content: bytes) -> None:
    disk.results.commit(result("hero", put(disk.blobs, b"x")))
    result_file(disk).write_bytes(content)
    found = disk.results.lookup([key("hero")])[key("hero")]
    assert (found.results, found.defects) == ((), (("r1.json", Defect.DAMAGED),))
    assert disk.results.last_at("runway", "trailer", "", "hero#1") is None
    assert disk.results.by_recipe(recipe("hero")) == ()
    assert not disk.results.any_of("runway")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("key", "0" * 64),
        ("id", "r2"),
        ("take", "1"),
        ("take", True),
        ("task", None),
        ("outputs", {}),
        ("outputs", ["x"]),
        ("outputs", [{"sha256": "../../etc/passwd", "size": 1, "facts": {}}]),
        ("outputs", [{"sha256": "0" * 64, "size": -1, "facts": {}}]),
        ("outputs", [{"sha256": "0" * 64, "size": 1, "facts": {"kind": "smell", "media_type": "x"}}]),
        ("outputs", [{"sha256": "0" * 64, "size": 1, "facts": {"kind": "image", "media_type": "x", "codecs": 5}}]),
        ("outputs", [{"sha256": "0" * 64, "size": 1}]),
        ("committed_at", float("nan")),
        ("committed_at", None),
        ("forced", 1),
        ("origin", []),
    ],
)
def test_a_field_of_the_wrong_shape_is_a_defect(disk: DiskStore, field: str, value: object) -> None:
    disk.results.commit(result("hero", put(disk.blobs, b"x")))
    document = json.loads(result_file(disk).read_text())
    result_file(disk).write_text(json.dumps({**document, field: value}))
    assert disk.results.lookup([key("hero")])[key("hero")].defects == (("r1.json", Defect.DAMAGED),)


def test_fields_of_a_newer_flowrun_are_ignored(disk: DiskStore) -> None:
    made = result("hero", put(disk.blobs, b"x"))
    disk.results.commit(made)
    document = json.loads(result_file(disk).read_text())
    document["outputs"][0]["facts"]["hdr"] = document["outputs"][0]["later"] = document["later"] = {"x": 1}
    result_file(disk).write_text(json.dumps(document))
    assert disk.results.lookup([key("hero")])[key("hero")].results == (made,)


def test_committing_over_a_damaged_file_sets_it_aside(disk: DiskStore) -> None:
    made = result("hero", put(disk.blobs, b"x"))
    disk.results.commit(made)
    for number in (1, 2):
        result_file(disk).write_bytes(b"damaged")
        disk.results.commit(made)
        assert disk.results.lookup([key("hero")])[key("hero")].results == (made,)
        assert (result_file(disk).parent / f"r1.json.damaged-{number}").read_bytes() == b"damaged"


def test_a_result_whose_file_is_gone_is_gone(disk: DiskStore) -> None:
    disk.results.commit(result("hero", put(disk.blobs, b"x")))
    result_file(disk).unlink()
    assert disk.results.lookup([key("hero")]) == {}
    assert not disk.results.any_of("runway")
    assert disk.results.last_at("runway", "trailer", "", "hero#1") is None


def test_damaged_small_records_are_as_if_not_there(disk: DiskStore) -> None:
    pick = Pick(recipe("hero"), 1, ResultId("r1"), "default", NOW)
    upload = Upload("studio", of_bytes(b"x"), "runway://u", NOW + 5)
    url = FetchedUrl("https://example.com/", of_bytes(b"x"), PNG, None, NOW)
    record = ExportRecord("out/a", "a.yaml")
    disk.picks.set(pick)
    disk.uploads.set(upload)
    disk.urls.set(url)
    disk.exports.set(record)
    for folder in ("picks", "uploads", "urls", "exports"):
        for each in (disk.root / folder).rglob("*.json"):
            each.write_bytes(b"{")
    assert disk.picks.get(pick.recipe) is None
    assert disk.urls.get(url.url) is None
    assert disk.uploads.get("studio", upload.digest, NOW) is None
    assert disk.exports.get("out/a") is None
    disk.picks.set(pick)
    disk.urls.set(url)
    assert disk.picks.get(pick.recipe) == pick
    assert disk.urls.get(url.url) == url


def test_a_record_under_another_name_does_not_count(disk: DiskStore) -> None:
    disk.picks.set(Pick(recipe("hero"), 1, ResultId("r1"), "user", NOW))
    (disk.root / "picks" / f"{recipe('hero')}.json").rename(disk.root / "picks" / f"{recipe('else')}.json")
    assert disk.picks.get(recipe("else")) is None


def test_no_bytes_make_the_reader_raise_anything_else() -> None:
    with pytest.raises(DocumentError):
        load(b'"\xed\xa0\x80"')


def test_odd_values_survive_the_way_to_disk_and_back(disk: DiskStore) -> None:
    odd = MappingProxyType({"prompt": "lone \ud800 surrogate", "deep": MappingProxyType({"a": [1, 2.5, None]})})
    disk.results.commit(replace(result("hero"), ingredients=odd))
    (back,) = disk.results.lookup([key("hero")])[key("hero")].results
    assert back.ingredients == {"prompt": "lone \ud800 surrogate", "deep": {"a": [1, 2.5, None]}}
    with pytest.raises(TypeError):
        disk.results.commit(replace(result("else"), ingredients={"x": object()}))


# -- the index


def test_the_index_can_be_deleted_between_any_two_calls(disk: DiskStore) -> None:
    made = result("hero", put(disk.blobs, b"x"))
    disk.results.commit(made)
    disk.runs.begin(RunRow(RunId("run-1"), "runway", "f", "", "m.yaml", NOW))
    for suffixes in (("",), ("", "-wal", "-shm"), ("-wal", "-shm", "")):
        for suffix in suffixes:
            (disk.root / f"{INDEX}{suffix}").unlink(missing_ok=True)
        assert disk.results.last_at("runway", "trailer", "", "hero#1") == made
        assert disk.results.by_blob(made.outputs[0].digest.sha256) == (made,)
    assert disk.runs.list() == ()


def test_a_log_left_without_its_database_is_not_replayed(disk: DiskStore, root: Path) -> None:
    disk.results.commit(result("hero"))
    wal = (root / f"{INDEX}-wal").read_bytes()
    assert wal
    disk.close()
    for each in root.glob(f"{INDEX}*"):
        each.unlink()
    result_file(disk).unlink()
    (root / f"{INDEX}-wal").write_bytes(wal)
    with open_store(root) as again:
        assert again._index.read("SELECT * FROM results", ()) == []


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_index_is_set_aside_and_rebuilt(disk: DiskStore, root: Path, content: bytes) -> None:
    made = result("hero", put(disk.blobs, b"x"))
    disk.results.commit(made)
    disk.close()
    for number in (1, 2):
        (root / INDEX).write_bytes(content)
        with open_store(root) as again:
            assert again.results.by_recipe(recipe("hero")) == (made,)
        assert (root / f"{INDEX}.damaged-{number}").read_bytes() == content


@pytest.mark.parametrize("sql", ["PRAGMA user_version = 99", "DROP TABLE flows", "CREATE TABLE more (x)"])
def test_an_index_of_another_version_is_set_aside_and_rebuilt(disk: DiskStore, root: Path, sql: str) -> None:
    made = result("hero", put(disk.blobs, b"x"))
    disk.results.commit(made)
    disk.close()
    connection = sqlite3.connect(root / INDEX)
    connection.execute(sql)
    connection.close()
    with open_store(root) as again:
        assert again.results.last_at("runway", "trailer", "", "hero#1") == made
    assert (root / f"{INDEX}.damaged-1").exists()


def test_damage_found_in_use_is_healed_in_use(disk: DiskStore, root: Path) -> None:
    for n in range(200):
        disk.runs.begin(RunRow(RunId(f"run-{n}"), "runway", "f" * 500, "", "m.yaml", NOW))
    disk.results.commit(result("hero"))
    disk.close()
    size = (root / INDEX).stat().st_size
    with open_store(root) as again:
        with (root / INDEX).open("r+b") as stream:  # the first page, with the schema, stays
            stream.seek(4096)
            stream.write(b"\xff" * (size - 4096))
        assert again.results.by_recipe(recipe("hero"))
        assert (root / f"{INDEX}.damaged-1").exists()
        assert again.runs.list() == ()


def test_two_that_find_one_damaged_index_replace_it_once(disk: DiskStore, root: Path) -> None:
    with open_store(root) as other:
        (root / INDEX).unlink()
        disk.results.commit(result("hero"))
        other.results.commit(result("else"))
        assert disk.results.any_of("runway")
        assert other.results.by_recipe(recipe("hero"))
        assert disk.results.by_recipe(recipe("else"))


def test_a_rebuild_that_dies_is_done_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(root) as store:
        store.results.commit(result("hero"))
    (root / INDEX).unlink()
    with monkeypatch.context() as patched:
        patched.setattr("flowrun.store.disk.entries", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            open_store(root)
    with open_store(root) as again:
        assert again.results.by_recipe(recipe("hero"))


def test_a_result_file_that_came_another_way_counts(disk: DiskStore, tmp_path: Path) -> None:
    with open_store(tmp_path / "else") as other:
        made = result("hero", put(other.blobs, b"x"))
        other.results.commit(made)
    put(disk.blobs, b"x")
    result_file(disk).parent.mkdir(parents=True)
    result_file(disk).write_bytes(result_file(other).read_bytes())
    assert disk.results.by_recipe(recipe("hero")) == ()
    assert disk.results.lookup([key("hero")])[key("hero")].results == (made,)
    assert disk.results.by_recipe(recipe("hero")) == (made,)
    assert disk.results.last_at("runway", "trailer", "", "hero#1") == made


def test_ten_thousand_keys_are_looked_up_at_once(disk: DiskStore, connections: list[sqlite3.Connection]) -> None:
    disk.results.commit(result(0))
    template = result_file(disk, "0").read_text()
    for n in range(1, 5000):
        path = result_file(disk, str(n))
        path.parent.mkdir(parents=True)
        path.write_text(template.replace(key(0), key(n)))
    statements: list[str] = []
    disk._index._connection.set_trace_callback(statements.append)
    found = disk.results.lookup([key(n) for n in range(10_000)])
    assert len(found) == 5000
    assert all(each.results for each in found.values())
    statements.clear()
    assert disk.results.lookup([key(n) for n in range(10_000)]) == found
    assert len(statements) == 1
    assert not connections
    disk._index._connection.set_trace_callback(None)


def test_a_locked_index_is_an_oserror_with_a_hint(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "_PATIENCE", 0.0)
    with open_store(root) as store:
        other = sqlite3.connect(root / INDEX, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="run the same command again") as caught:
            store.runs.begin(RunRow(RunId("r"), "runway", "f", "", "m.yaml", NOW))
        assert caught.value.errno == errno.EBUSY
        assert caught.value.filename == str(root / INDEX)
        other.close()


def test_a_value_that_is_no_column_is_a_bug_and_changes_nothing(disk: DiskStore) -> None:
    good = RunRow(RunId("r"), "runway", "f", "", "m.yaml", NOW)
    with pytest.raises(sqlite3.Error):
        disk.runs.begin(replace(good, credits=object()))
    assert disk.runs.list() == ()
    disk.runs.begin(good)
    assert disk.runs.list() == (good,)


def test_an_index_that_stays_damaged_is_damage(disk: DiskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    with pytest.raises(StoreDamagedError, match="delete that file"):
        disk._index._guarded(_raises(error))
    monkeypatch.setattr(index_module, "_transact", _raises(sqlite3.DatabaseError("something else")))
    with pytest.raises(sqlite3.DatabaseError, match="something else"):
        disk.runs.begin(RunRow(RunId("r"), "runway", "f", "", "m.yaml", NOW))


# -- out of reach or no store


@pytest.mark.parametrize("where", ["", "blobs", "results", "tmp", "picks"])
def test_a_file_where_a_folder_must_be_is_damage(root: Path, where: str) -> None:
    (root / where).parent.mkdir(parents=True, exist_ok=True)
    (root / where).write_text("in the way")
    with pytest.raises(StoreDamagedError, match="move that file away") as caught:
        open_store(root)
    assert str(root / where) in str(caught.value)


def test_a_file_above_the_store_is_damage(root: Path) -> None:
    root.parent.write_text("in the way")
    with pytest.raises(StoreDamagedError):
        open_store(root)


def test_a_folder_where_the_index_must_be_is_out_of_reach(root: Path) -> None:
    (root / INDEX / "x").mkdir(parents=True)
    with pytest.raises(StoreUnavailableError):
        open_store(root)


@pytest.mark.parametrize(
    ("code", "hint"),
    [(errno.EACCES, "FLOWRUN_CACHE_DIR"), (errno.EROFS, "FLOWRUN_CACHE_DIR"), (errno.ENOSPC, "free some space")],
)
def test_no_access_names_the_path_and_what_to_do(
    root: Path, monkeypatch: pytest.MonkeyPatch, code: int, hint: str
) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StoreUnavailableError, match=hint) as caught:
        open_store(root)
    assert caught.value.errno == code
    assert ".flowrun" not in (caught.value.filename or "").replace(str(root), "")


def test_an_index_that_cannot_be_opened_is_out_of_reach(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(sqlite3, "connect", refuse)
    with pytest.raises(StoreUnavailableError) as caught:
        open_store(root)
    assert caught.value.filename == str(root / INDEX)


def test_only_stale_temporary_files_are_swept(disk: DiskStore, root: Path) -> None:
    old, fresh = root / "tmp" / "old", root / "tmp" / "fresh"
    old.write_bytes(b"half")
    fresh.write_bytes(b"half")
    now = time.time()
    os.utime(old, (now - 90_000, now - 90_000))
    open_store(root, now=now).close()
    assert not old.exists()
    assert fresh.exists()


def test_a_blob_that_vanishes_while_it_is_opened_is_absent(disk: DiskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = put(disk.blobs, b"x")
    monkeypatch.setattr(Path, "open", _raises(FileNotFoundError(errno.ENOENT, "gone")))
    with pytest.raises(KeyError):
        disk.blobs.open(digest)


def _raises(error: Exception) -> Callable[..., None]:
    def raising(*_: object, **__: object) -> None:
        raise error

    return raising


def test_a_reflink_is_used_where_there_is_one(disk: DiskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = tmp_path / "in.bin"
    local.write_bytes(b"cloned")

    def clone(source: BinaryIO, target: BinaryIO) -> bool:  # what the system call does, byte for byte
        target.write(source.read())
        target.seek(0)
        return True

    monkeypatch.setattr("flowrun.store.blobs.reflink", clone)
    monkeypatch.setattr(disk.blobs, "put", _raises(AssertionError("copied")))
    assert disk.blobs.put_file(local) == disk.blobs.put_file(local) == of_bytes(b"cloned")
    assert disk.blobs.verify(of_bytes(b"cloned"))


def test_without_hard_links_results_are_still_written_once(disk: DiskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "hardlink_to", _raises(PermissionError(errno.EPERM, "no links here")))
    made = result("hero", put(disk.blobs, b"x"))
    disk.results.commit(made)
    disk.picks.set(Pick(recipe("hero"), 1, ResultId("r1"), "default", NOW))
    disk.picks.set(Pick(recipe("hero"), 2, ResultId("r2"), "default", NOW))
    assert disk.results.lookup([key("hero")])[key("hero")].results == (made,)
    assert disk.picks.get(recipe("hero")) == Pick(recipe("hero"), 1, ResultId("r1"), "default", NOW)


@pytest.mark.skipif(sys.platform != "linux", reason="the system call is Linux's")
def test_the_clone_call_says_whether_it_cloned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "source").open("w+b") as source, (tmp_path / "target").open("w+b") as target:
        source.write(b"x" * 10_000)
        source.flush()
        cloned = reflink(source, target)
        assert target.read() == (b"x" * 10_000 if cloned else b"")
        assert not reflink(io.BytesIO(b"x"), target)
        monkeypatch.setattr("fcntl.ioctl", lambda *_: 0)
        assert reflink(source, target)
