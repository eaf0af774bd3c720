"""PostgreSQL as fixtures: a server that all tests share, and private ones to be restarted.

A test module that needs them names this module in its ``pytest_plugins``.
"""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from tests.support.postgres_servers import (
    IN_MEMORY,
    OwnPostgres,
    answers,
    postgres_programs,
    running,
    server_folder,
)
from tests.support.services import POSTGRES_URL

LOCAL_URL = "postgresql://postgres@127.0.0.1:5432/postgres"


@pytest.fixture
def ledger() -> str:
    """The name of a ledger that nobody else uses."""
    return f"test_{uuid4().hex}"


@pytest.fixture(scope="session")
async def postgres_url() -> AsyncIterator[str]:
    """A PostgreSQL server that other tests use as well: keep to a ledger of your own."""
    given = POSTGRES_URL or (LOCAL_URL if await answers(LOCAL_URL) else None)
    if given is not None:
        yield given
        return
    with server_folder() as folder:
        async with running(OwnPostgres(postgres_programs(), folder, IN_MEMORY)) as server:
            yield server.url


@pytest.fixture
async def own_postgres() -> AsyncIterator[OwnPostgres]:
    """A PostgreSQL server of this test alone, which keeps what it answered; it may be restarted."""
    with server_folder() as folder:
        async with running(OwnPostgres(postgres_programs(), folder)) as server:
            yield server
