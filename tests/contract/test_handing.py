"""Memory and SQLite keep the contract of two ledgers, also one beside the other."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from flowrun.ledger.memory import MemoryLedger, MemoryTables
from flowrun.ledger.sqlite import SqliteLedger

from .handing_kit import HandingKit
from .ledger_bench import Bench


def memory() -> Bench:
    tables = MemoryTables()
    return Bench(lambda now: MemoryLedger(now, tables))


@contextmanager
def sqlite(path):
    bench = Bench(lambda now: SqliteLedger(path, now))
    yield bench
    bench.ledger.close()
    bench.other.close()


class TestMemory(HandingKit):
    @pytest.fixture
    def bench(self):
        return memory()

    @pytest.fixture
    def present(self):
        return memory()


class TestSqlite(HandingKit):
    @pytest.fixture
    def bench(self, tmp_path):
        with sqlite(tmp_path / "former.sqlite3") as bench:
            yield bench

    @pytest.fixture
    def present(self, tmp_path):
        with sqlite(tmp_path / "present.sqlite3") as bench:
            yield bench


class TestFromSqliteToMemory(TestSqlite):
    @pytest.fixture
    def present(self):
        return memory()
