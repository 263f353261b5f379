"""The stores that exist, before the kit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flowrun.digest import Digest
from flowrun.store.disk import INDEX, DiskStore
from flowrun.store.memory import (
    MemoryBlobs,
    MemoryExports,
    MemoryPicks,
    MemoryResults,
    MemoryRuns,
    MemoryUploads,
    MemoryUrls,
)
from tests.contract.store_kit import NOW, StoreKit, Stores


def memory_stores() -> Stores:
    blobs = MemoryBlobs()
    results = MemoryResults(blobs, lambda: NOW)

    def lose(digest: Digest) -> None:
        del blobs.content[digest.sha256]

    def overwrite(digest: Digest, data: bytes) -> None:
        blobs.content[digest.sha256] = data

    small = (MemoryPicks(), MemoryUrls(), MemoryUploads(), MemoryExports(), MemoryRuns())
    return Stores(blobs, results, *small, lose, overwrite, results.lose_index)


def disk_stores(disk: DiskStore) -> Stores:
    def blob(digest: Digest) -> Path:
        return disk.root / "blobs" / digest.sha256[:2] / digest.sha256

    def lose(digest: Digest) -> None:
        blob(digest).unlink()

    def overwrite(digest: Digest, data: bytes) -> None:
        lose(digest)
        blob(digest).write_bytes(data)

    def lose_index() -> None:
        (disk.root / INDEX).unlink()

    small = (disk.picks, disk.urls, disk.uploads, disk.exports, disk.runs)
    return Stores(disk.blobs, disk.results, *small, lose, overwrite, lose_index)


class TestMemoryStore(StoreKit):
    @pytest.fixture
    def store(self) -> Stores:
        return memory_stores()


class TestDiskStore(StoreKit):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Stores]:
        with DiskStore.open(tmp_path / ".flowrun", lambda: NOW, provider="runway") as disk:
            yield disk_stores(disk)
