"""Memory and SQLite keep the ledger's contract."""

from __future__ import annotations

import pytest

from flowrun.ledger.memory import MemoryLedger, MemoryTables
from flowrun.ledger.sqlite import SqliteLedger

from .ledger_bench import Bench
from .ledger_kit import LedgerKit


class TestMemory(LedgerKit):
    @pytest.fixture
    def bench(self):
        tables = MemoryTables()
        return Bench(lambda now: MemoryLedger(now, tables))


class TestSqlite(LedgerKit):
    @pytest.fixture
    def bench(self, tmp_path):
        bench = Bench(lambda now: SqliteLedger(tmp_path / "ledger.sqlite3", now))
        yield bench
        bench.ledger.close()
        bench.other.close()
