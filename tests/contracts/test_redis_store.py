"""The Redis store, on Redis and on Valkey, against the contract of all ledger stores."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.randomness import SystemRandomness
from chatnest.adapters.storage.group_commit import CommitLimits
from chatnest.adapters.storage.redis import RedisStore
from chatnest.domain.ports import LedgerStore
from chatnest.testing.ledger import LedgerStoreContract
from chatnest.testing.ledger_faults import LedgerFaultsContract
from chatnest.testing.tcp_proxy import TcpProxy
from tests.support.redis_servers import OwnRedis, drop_ledger

pytest_plugins = ["tests.support.redis_fixtures"]


@asynccontextmanager
async def opened(
    url: str, ledger: str, limits: CommitLimits | None = None
) -> AsyncIterator[RedisStore]:
    store = RedisStore(
        url, SystemClock(), SystemRandomness(SystemClock()), ledger=ledger, limits=limits
    )
    try:
        yield store
    finally:
        await store.aclose()


class TestRedisStore(LedgerStoreContract):
    @pytest.fixture
    async def store(self, redis_url: str, ledger: str) -> AsyncIterator[LedgerStore]:
        async with opened(redis_url, ledger) as store:
            yield store
        await drop_ledger(redis_url, ledger)

    @pytest.fixture
    async def other_store(
        self, store: LedgerStore, redis_url: str, ledger: str
    ) -> AsyncIterator[LedgerStore]:
        async with opened(redis_url, ledger) as other:
            yield other


class TestRedisStoreOnValkey(LedgerStoreContract):
    @pytest.fixture
    async def store(self, valkey_url: str, ledger: str) -> AsyncIterator[LedgerStore]:
        async with opened(valkey_url, ledger) as store:
            yield store

    @pytest.fixture
    async def other_store(
        self, store: LedgerStore, valkey_url: str, ledger: str
    ) -> AsyncIterator[LedgerStore]:
        async with opened(valkey_url, ledger) as other:
            yield other


class FaultsContract(LedgerFaultsContract):
    """The faults of a network in front of a server that keeps what it answered."""

    @pytest.fixture
    async def proxy(self, server: OwnRedis) -> AsyncIterator[TcpProxy]:
        async with TcpProxy("127.0.0.1", server.port) as proxy:
            yield proxy

    @pytest.fixture
    async def store(self, proxy: TcpProxy, ledger: str) -> AsyncIterator[LedgerStore]:
        limits = CommitLimits(answer_us=500_000)
        async with opened(f"redis://127.0.0.1:{proxy.port}", ledger, limits) as store:
            yield store

    @pytest.fixture
    async def direct(self, server: OwnRedis, ledger: str) -> AsyncIterator[LedgerStore]:
        async with opened(server.url, ledger) as store:
            yield store

    @pytest.fixture
    def restart(self, server: OwnRedis) -> Callable[[], Awaitable[None]]:
        async def restarted() -> None:
            await server.kill()
            await server.start()

        return restarted


class TestRedisStoreUnderFaults(FaultsContract):
    @pytest.fixture
    def server(self, own_redis: OwnRedis) -> OwnRedis:
        return own_redis


class TestRedisStoreOnValkeyUnderFaults(FaultsContract):
    @pytest.fixture
    def server(self, own_valkey: OwnRedis) -> OwnRedis:
        return own_valkey
