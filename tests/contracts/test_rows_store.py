"""The suites of ledger stores against the simplest store behind a socket."""

from collections.abc import AsyncIterator

import pytest

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.randomness import SystemRandomness
from chatnest.adapters.storage.group_commit import CommitLimits
from chatnest.domain.ports import LedgerStore
from chatnest.testing.ledger import LedgerStoreContract
from chatnest.testing.ledger_faults import LedgerFaultsContract
from chatnest.testing.tcp_proxy import TcpProxy
from tests.support.rows_server import Restart, RowsServer, RowsStore


@pytest.fixture
async def server() -> AsyncIterator[RowsServer]:
    server = RowsServer(SystemClock())
    await server.start()
    yield server
    await server.stop()


class TestRowsStore(LedgerStoreContract):
    @pytest.fixture
    async def store(self, server: RowsServer) -> AsyncIterator[LedgerStore]:
        store = RowsStore(server.port, SystemClock(), SystemRandomness(SystemClock()))
        yield store
        await store.aclose()

    @pytest.fixture
    async def other_store(self, server: RowsServer) -> AsyncIterator[LedgerStore]:
        store = RowsStore(server.port, SystemClock(), SystemRandomness(SystemClock()))
        yield store
        await store.aclose()


class TestRowsStoreUnderFaults(LedgerFaultsContract):
    @pytest.fixture
    async def proxy(self, server: RowsServer) -> AsyncIterator[TcpProxy]:
        async with TcpProxy("127.0.0.1", server.port) as proxy:
            yield proxy

    @pytest.fixture
    async def store(self, proxy: TcpProxy) -> AsyncIterator[LedgerStore]:
        limits = CommitLimits(answer_us=500_000)
        store = RowsStore(proxy.port, SystemClock(), SystemRandomness(SystemClock()), limits)
        yield store
        await store.aclose()

    @pytest.fixture
    async def direct(self, server: RowsServer) -> AsyncIterator[LedgerStore]:
        store = RowsStore(server.port, SystemClock(), SystemRandomness(SystemClock()))
        yield store
        await store.aclose()

    @pytest.fixture
    def restart(self, server: RowsServer) -> Restart:
        async def again() -> None:
            await server.stop()
            await server.start()

        return again
