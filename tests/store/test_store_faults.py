"""Crashes between any two file operations, full disks, two processes at once: the old or the new, never half."""

from __future__ import annotations

import errno
import io
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from flowrun.digest import of_bytes
from flowrun.ids import ResultId
from flowrun.store.disk import INDEX, DiskStore
from flowrun.store.errors import StoreUnavailableError
from flowrun.store.exporter import Export, Exporter, Outcome
from flowrun.store.protocol import Pick, StoredFile
from tests.contract.store_kit import NOW, PNG, key, put, recipe, result

STEPS = ("replace", "fsync", "link", "unlink", "chmod", "mkdir")  # Path's methods end in these
MANY = 200  # more operations than anything here makes


class Crash(BaseException):
    """The process is gone: from here on it does nothing any more."""


@contextmanager
def crash_after(operations: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let that many file operations happen; each later one raises, those of clean-up too, as nothing runs after a kill."""
    done: list[str] = []

    def guarded(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            if len(done) >= operations:
                raise Crash
            done.append(name)
            return real(*args, **options)

        return call

    with monkeypatch.context() as patched:
        for name in STEPS:
            patched.setattr(os, name, guarded(name, getattr(os, name)))
        yield done


def crashing_everywhere(monkeypatch: pytest.MonkeyPatch, prepare: Callable[[], Callable[[], None]]) -> Iterator[int]:
    """Runs what `prepare` returns again and again, dying one operation later each time, and once not at all."""
    for operations in range(MANY):
        work = prepare()
        try:
            with crash_after(operations, monkeypatch) as done:
                work()
        except Crash:
            yield operations
        else:
            assert operations == len(done)
            return
    raise AssertionError("never came to an end")


def open_store(root: Path) -> DiskStore:
    return DiskStore.open(root, lambda: NOW, provider="runway")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / ".flowrun"


@pytest.fixture
def disk(root: Path) -> Iterator[DiskStore]:
    with open_store(root) as store:
        yield store


def test_a_crash_while_a_store_is_made_is_mended_by_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = iter(tmp_path / f"{n}" / ".flowrun" for n in range(MANY))
    current: list[Path] = []

    def prepare() -> Callable[[], None]:
        current.append(next(roots))
        return lambda: open_store(current[-1]).close()

    for _ in crashing_everywhere(monkeypatch, prepare):
        with open_store(current[-1]) as store:
            store.results.commit(result("hero", put(store.blobs, b"x")))
            assert (current[-1] / ".gitignore").read_text() == "*\n"
    assert len(current) > 10


def test_a_crash_while_a_blob_is_put_leaves_all_or_nothing(disk: DiskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    data = iter(f"blob {n}".encode() * 100 for n in range(MANY))
    current: list[bytes] = []

    def prepare() -> Callable[[], None]:
        current.append(next(data))
        return lambda: check_put(disk, current[-1])

    for _ in crashing_everywhere(monkeypatch, prepare):
        digest = of_bytes(current[-1])
        assert disk.blobs.has(digest) == disk.blobs.verify(digest)
        assert put(disk.blobs, current[-1]) == digest
        assert disk.blobs.verify(digest)
    assert len(current) > 4


def check_put(disk: DiskStore, data: bytes) -> None:
    digest = put(disk.blobs, data)
    assert disk.blobs.verify(digest)


def test_a_crash_while_committing_leaves_all_or_nothing_and_the_index_in_step(
    disk: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = put(disk.blobs, b"x")
    names = iter(range(MANY))
    current: list[int] = []

    def prepare() -> Callable[[], None]:
        current.append(next(names))
        return lambda: disk.results.commit(result(current[-1], blob))

    for _ in crashing_everywhere(monkeypatch, prepare):
        made = result(current[-1], blob)
        found = disk.results.lookup([made.key])
        assert not found or found[made.key].results == (made,)
        assert disk.results.by_recipe(made.recipe) == ((made,) if found else ())
        assert bool(disk.results.last_at("runway", "trailer", "", f"{current[-1]}#1")) == bool(found)
        disk.results.commit(made)
        assert disk.results.lookup([made.key])[made.key].results == (made,)
    assert len(current) > 4


def test_no_file_is_unknown_to_the_index_because_of_a_crash(disk: DiskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a lookup that would heal it: the index is told before the file is there."""
    names = iter(range(MANY))
    current: list[int] = []

    def prepare() -> Callable[[], None]:
        current.append(next(names))
        return lambda: disk.results.commit(result(current[-1]))

    for _ in crashing_everywhere(monkeypatch, prepare):
        made = result(current[-1])
        there = (disk.root / "results" / made.key / "r1.json").exists()
        assert disk.results.by_recipe(made.recipe) == ((made,) if there else ())


def test_a_crash_while_a_pick_is_changed_leaves_the_old_or_the_new(
    disk: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Pick(recipe("hero"), 1, ResultId("r1"), "user", NOW)
    new = replace(old, take=2, result=ResultId("r2"))

    def prepare() -> Callable[[], None]:
        disk.picks.set(old)
        return lambda: disk.picks.set(new)

    assert {disk.picks.get(old.recipe) for _ in crashing_everywhere(monkeypatch, prepare)} == {old, new}


def test_a_crash_while_exporting_never_loses_track_of_a_file(
    disk: DiskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = Exporter(tmp_path / "out", "out", "film.yaml", disk.blobs, disk.exports)

    def exports(*data: bytes) -> list[Export]:
        return [
            Export(f"{n}/{n}.png", StoredFile(put(disk.blobs, each), PNG), str(n), str(n))
            for n, each in enumerate(data)
        ]

    old, new = exports(b"one", b"two", b"gone"), exports(b"three", b"two", b"")[:2]
    fresh = Export("fresh.png", StoredFile(put(disk.blobs, b"new"), PNG), "fresh", "fresh")
    allowed = {"0/0.png": (b"one", b"three"), "1/1.png": (b"two",), "2/2.png": (b"gone",), "fresh.png": (b"new",)}

    def prepare() -> Callable[[], None]:
        exporter.run(old, prune=True)
        assert not (tmp_path / "out" / "fresh.png").exists()
        return lambda: check_run(exporter, [*new, fresh])

    crashes = 0
    for _ in crashing_everywhere(monkeypatch, prepare):
        crashes += 1
        for name, contents in allowed.items():
            path = tmp_path / "out" / name
            assert not path.exists() or path.read_bytes() in contents
        assert Outcome.KEPT not in {each.outcome for each in exporter.survey([*new, fresh])}
    assert crashes > 20


def check_run(exporter: Exporter, wanted: list[Export]) -> None:
    report = exporter.run(wanted, prune=True)
    assert Outcome.KEPT not in {each.outcome for each in report.placements}
    assert not any(each.changed for each in report.orphans)


@contextmanager
def disk_full_at(size: int) -> Iterator[None]:
    """No file of this process can grow beyond that many bytes: the system's own error from a real write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_nothing_half(disk: DiskStore, tmp_path: Path) -> None:
    data = os.urandom(300_000)
    local = tmp_path / "in.bin"
    local.write_bytes(data)
    with disk_full_at(100_000):
        for putting in (lambda: disk.blobs.put(io.BytesIO(data)), lambda: disk.blobs.put_file(local)):
            with pytest.raises(OSError, match="File too large"):
                putting()
        with pytest.raises(OSError, match="File too large"), disk.blobs.writer() as writer:
            writer.write(data)
    assert not disk.blobs.has(of_bytes(data))
    assert not list((disk.root / "tmp").iterdir())
    assert put(disk.blobs, data) == of_bytes(data)


def test_a_disk_too_full_for_the_index_is_an_oserror_and_heals(disk: DiskStore) -> None:
    with disk_full_at(1), pytest.raises(StoreUnavailableError, match="run the same command again"):
        disk.results.commit(result("hero"))
    assert disk.results.lookup([key("hero")]) == {}
    disk.results.commit(result("hero"))
    assert disk.results.by_recipe(recipe("hero"))


def test_a_full_disk_found_at_the_sync_leaves_nothing_half(disk: DiskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            put(disk.blobs, b"x")
        with pytest.raises(OSError, match="No space left"):
            disk.results.commit(result("hero"))
    assert not disk.blobs.has(of_bytes(b"x"))
    assert disk.results.lookup([key("hero")]) == {}
    assert not list((disk.root / "tmp").iterdir())
    disk.results.commit(result("hero", put(disk.blobs, b"x")))


def test_a_full_disk_while_exporting_keeps_what_was_there(disk: DiskStore, tmp_path: Path) -> None:
    exporter = Exporter(tmp_path / "out", "out", "film.yaml", disk.blobs, disk.exports)
    exporter.run([Export("a.bin", StoredFile(put(disk.blobs, b"old"), PNG), "a", "a")])
    big = Export("a.bin", StoredFile(put(disk.blobs, os.urandom(300_000)), PNG), "a", "a")
    with disk_full_at(100_000), pytest.raises(OSError, match="File too large"):
        exporter.run([big])
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["a.bin"]
    assert (tmp_path / "out" / "a.bin").read_bytes() == b"old"
    assert [each.outcome for each in exporter.run([big]).placements] == [Outcome.REPLACED]


PIPES = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
PIPES |= {"text": True, "cwd": Path(__file__).parents[2]}
WORKER = """
import io, json, sys
from pathlib import Path
from flowrun.store.disk import DiskStore
from flowrun.store.protocol import Result, StoredFile
from flowrun.media.facts import MediaFacts, MediaKind

root, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
facts = MediaFacts(MediaKind.IMAGE, "image/png")
print("ready", flush=True)
sys.stdin.readline()
with DiskStore.open(root, lambda: 1.0, provider="runway") as disk:
    for n in range(count):
        blob = disk.blobs.put(io.BytesIO(f"same {n}".encode() * 1000))
        for id in ("shared", name):
            disk.results.commit(Result(id, f"{n:064}", f"{n:064}", "t", "runway", "op", "m", 1, (StoredFile(blob, facts),),
                {"by": name}, {"flow": "f", "profile": "", "address": name}, submitted_at=0.0, ended_at=1.0))
    print(json.dumps(sorted(disk.results.last_at("runway", "f", "", name).origin.items())))
"""


def test_two_processes_share_one_store_from_the_first_moment(root: Path) -> None:
    count = 25
    command = [sys.executable, "-c", WORKER, str(root)]
    started = [subprocess.Popen([*command, name, str(count)], **PIPES) for name in ("one", "two")]
    for each in started:
        assert each.stdout.readline() == "ready\n"
    for each in started:
        each.stdin.write("go\n")
        each.stdin.flush()
    ended = [each.communicate(timeout=60) for each in started]
    assert [(each.returncode, errors) for each, (_, errors) in zip(started, ended, strict=True)] == [(0, "")] * 2
    assert all(["address", name] in json.loads(out) for name, (out, _) in zip(("one", "two"), ended, strict=True))
    with open_store(root) as disk:
        for n in range(count):
            (found,) = disk.results.lookup([f"{n:064}"]).values()
            assert sorted(each.id for each in found.results) == ["one", "shared", "two"]
            assert not found.defects
            assert len(disk.results.by_recipe(f"{n:064}")) == 3
            assert disk.blobs.verify(found.results[0].outputs[0].digest)
    assert not list(root.glob(f"{INDEX}.damaged*"))
    assert not list((root / "tmp").iterdir())


HOLDER = """
import sys
from pathlib import Path
from flowrun.store.disk import DiskStore
from tests.contract.store_kit import result

with DiskStore.open(Path(sys.argv[1]), lambda: 1.0, provider="runway") as disk:
    for n in range(50):
        disk.results.commit(result(f"early {n}"))
    print("holding", flush=True)
    sys.stdin.readline()
    disk.results.commit(result("late"))
    print(len(disk.results.durations("runway")), disk.results.any_of("runway"), flush=True)
    sys.stdin.readline()
"""


def test_the_index_can_be_deleted_while_another_process_has_it_open(root: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(root)], **PIPES) as holder:
        assert holder.stdout.readline() == "holding\n"
        (root / INDEX).unlink()
        with open_store(root) as disk:
            for n in range(50):
                assert disk.results.by_recipe(recipe(f"early {n}"))
                disk.results.commit(result(f"mine {n}"))
            holder.stdin.write("go\n")
            holder.stdin.flush()
            assert holder.stdout.readline() == "0 True\n"
            assert disk.results.by_recipe(recipe("late"))
            assert all(disk.results.by_recipe(recipe(f"mine {n}")) for n in range(50))
        assert holder.communicate("go\n", timeout=60) == ("", "")
    with open_store(root) as disk:
        names = [f"{when} {n}" for when in ("early", "mine") for n in range(50)]
        assert all(disk.results.by_recipe(recipe(name)) for name in [*names, "late"])
    assert not list(root.glob(f"{INDEX}.damaged*"))
