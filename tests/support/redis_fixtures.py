"""Redis and Valkey as fixtures: servers that all tests share, and private ones to be restarted.

A test module that needs them names this module in its ``pytest_plugins``.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.redis_servers import (
    IN_MEMORY,
    OwnRedis,
    answers,
    redis_program,
    running,
    valkey_program,
)
from tests.support.services import REDIS_URL

LOCAL_URL = "redis://127.0.0.1:6379/0"


@pytest.fixture
def ledger() -> str:
    """The name of a ledger that nobody else uses."""
    return f"test_{uuid4().hex}"


@pytest.fixture(scope="session")
async def redis_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A Redis server that other tests use as well: keep to a ledger of your own."""
    given = REDIS_URL or (LOCAL_URL if await answers(LOCAL_URL) else None)
    if given is not None:
        yield given
        return
    async with running(
        OwnRedis(redis_program(), tmp_path_factory.mktemp("redis"), IN_MEMORY)
    ) as server:
        yield server.url


@pytest.fixture(scope="session")
async def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A Valkey server that other tests use as well: keep to a ledger of your own."""
    async with running(
        OwnRedis(valkey_program(), tmp_path_factory.mktemp("valkey"), IN_MEMORY)
    ) as server:
        yield server.url


@pytest.fixture
async def own_redis(tmp_path: Path) -> AsyncIterator[OwnRedis]:
    """A Redis server of this test alone, which keeps what it answered; it may be restarted."""
    async with running(OwnRedis(redis_program(), tmp_path)) as server:
        yield server


@pytest.fixture
async def own_valkey(tmp_path: Path) -> AsyncIterator[OwnRedis]:
    """A Valkey server of this test alone, which keeps what it answered; it may be restarted."""
    async with running(OwnRedis(valkey_program(), tmp_path)) as server:
        yield server
