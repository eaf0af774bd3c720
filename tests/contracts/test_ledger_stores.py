"""Every ledger store, against the one contract of all of them."""

from collections.abc import AsyncIterator

import pytest

from chatnest.adapters.storage.memory import MemoryStore
from chatnest.domain.ports import LedgerStore
from chatnest.testing.clock import ManualClock
from chatnest.testing.ledger import LedgerStoreContract


class TestMemoryStore(LedgerStoreContract):
    @pytest.fixture
    async def store(self) -> AsyncIterator[LedgerStore]:
        store = MemoryStore(ManualClock())
        yield store
        await store.aclose()
