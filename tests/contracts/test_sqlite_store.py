"""The SQLite store, against the contract of all ledger stores."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatnest.adapters.storage.sqlite import SqliteStore
from chatnest.domain.ports import LedgerStore
from chatnest.testing.clock import ManualClock
from chatnest.testing.ledger import LedgerStoreContract


class TestSqliteStore(LedgerStoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[LedgerStore]:
        store = SqliteStore(tmp_path / "ledger.db", ManualClock())
        yield store
        await store.aclose()

    @pytest.fixture
    async def other_store(self, tmp_path: Path, store: LedgerStore) -> AsyncIterator[LedgerStore]:
        """The same file once more, as another process would open it."""
        store = SqliteStore(tmp_path / "ledger.db", ManualClock())
        yield store
        await store.aclose()
