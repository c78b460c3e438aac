"""Does the store in a SQLite file keep the promises?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from push_dispatch.adapters.sqlite.database import Database
from push_dispatch.adapters.sqlite.store import SqliteStore
from push_dispatch.bootstrap import now
from tests.contract.store.contract import StoreContract


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SqliteStore]:
        database = Database(tmp_path / "state.db")
        yield SqliteStore(database, now)
        database.close()


class TestSqliteStoreInMemory(StoreContract):
    @pytest.fixture
    def store(self) -> Iterator[SqliteStore]:
        database = Database(":memory:")
        yield SqliteStore(database, now)
        database.close()
