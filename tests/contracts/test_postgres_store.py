"""The PostgreSQL store, against the contract of all ledger stores."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.randomness import SystemRandomness
from chatnest.adapters.storage.group_commit import CommitLimits
from chatnest.adapters.storage.postgres import PostgresStore
from chatnest.domain.ports import LedgerStore
from chatnest.testing.ledger import LedgerStoreContract
from chatnest.testing.ledger_faults import LedgerFaultsContract
from chatnest.testing.tcp_proxy import TcpProxy
from tests.support.postgres_servers import OwnPostgres, drop_ledger

pytest_plugins = ["tests.support.postgres_fixtures"]


@asynccontextmanager
async def opened(
    url: str, ledger: str, limits: CommitLimits | None = None
) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(
        url, SystemClock(), SystemRandomness(SystemClock()), ledger=ledger, limits=limits
    )
    try:
        yield store
    finally:
        await store.aclose()


class TestPostgresStore(LedgerStoreContract):
    @pytest.fixture
    async def store(self, postgres_url: str, ledger: str) -> AsyncIterator[LedgerStore]:
        async with opened(postgres_url, ledger) as store:
            yield store
        await drop_ledger(postgres_url, ledger)

    @pytest.fixture
    async def other_store(
        self, store: LedgerStore, postgres_url: str, ledger: str
    ) -> AsyncIterator[LedgerStore]:
        async with opened(postgres_url, ledger) as other:
            yield other


class TestPostgresStoreUnderFaults(LedgerFaultsContract):
    @pytest.fixture
    async def proxy(self, own_postgres: OwnPostgres) -> AsyncIterator[TcpProxy]:
        async with TcpProxy("127.0.0.1", own_postgres.port) as proxy:
            yield proxy

    @pytest.fixture
    async def store(
        self, own_postgres: OwnPostgres, proxy: TcpProxy, ledger: str
    ) -> AsyncIterator[LedgerStore]:
        limits = CommitLimits(answer_us=500_000)
        async with opened(own_postgres.url_at(proxy.port), ledger, limits) as store:
            yield store

    @pytest.fixture
    async def direct(self, own_postgres: OwnPostgres, ledger: str) -> AsyncIterator[LedgerStore]:
        async with opened(own_postgres.url, ledger) as store:
            yield store

    @pytest.fixture
    def restart(self, own_postgres: OwnPostgres) -> Callable[[], Awaitable[None]]:
        async def restarted() -> None:
            await own_postgres.kill()
            await own_postgres.start()

        return restarted
