"""The tables of a ledger in PostgreSQL: made once, by whoever may, and read by people."""

from collections.abc import AsyncIterator

import pytest

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.randomness import SystemRandomness
from chatnest.adapters.storage.postgres import PostgresStore
from chatnest.adapters.storage.postgres_schema import bring_forward
from chatnest.domain.budget import Account
from chatnest.domain.errors import ConfigurationError
from chatnest.domain.steps import settle_step
from chatnest.testing.ledger_cases import (
    NOON,
    admitted,
    at_once,
    call,
    read_account,
    tokens_a_day,
    used,
    writing,
)
from chatnest.testing.ledger_races import LEFT
from chatnest.testing.ledger_rows import LARGEST
from tests.support.postgres_servers import OwnPostgres, connected, drop_ledger

pytest_plugins = ["tests.support.postgres_fixtures"]

WRITE = writing([Account(LEFT, 1)])
NEWEST = 1


@pytest.fixture
async def url(postgres_url: str, ledger: str) -> AsyncIterator[str]:
    """A database in which the ledger is dropped in the end."""
    yield postgres_url
    await drop_ledger(postgres_url, ledger)


@pytest.fixture
async def store(url: str, ledger: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url, SystemClock(), SystemRandomness(SystemClock()), ledger=ledger)
    yield store
    await store.aclose()


async def test_many_that_start_at_once_make_the_tables_once(url: str, ledger: str) -> None:
    stores = [
        PostgresStore(url, SystemClock(), SystemRandomness(SystemClock()), ledger=ledger)
        for _ in range(8)
    ]
    try:
        await at_once(*(store.transact(*WRITE) for store in stores))
    finally:
        await at_once(*(store.aclose() for store in stores))
    async with connected(url) as connection:
        versions = await connection.fetch(f"SELECT version FROM {ledger}.schema_version")
    assert [row["version"] for row in versions] == [NEWEST]


async def test_tables_of_a_newer_version_are_refused_and_left_alone(
    url: str, ledger: str, store: PostgresStore
) -> None:
    async with connected(url) as connection:
        await bring_forward(connection, ledger)
        await connection.execute(
            f"INSERT INTO {ledger}.schema_version VALUES ({NEWEST + 1}, clock_timestamp())"
        )
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="version 2"):
                await store.transact(*WRITE)
        assert not await connection.fetchval(f"SELECT count(*) FROM {ledger}.accounts")
        await connection.execute(f"DELETE FROM {ledger}.schema_version WHERE version > {NEWEST}")
    await store.transact(*WRITE)


async def test_an_empty_schema_is_used(url: str, ledger: str, store: PostgresStore) -> None:
    async with connected(url) as connection:
        await connection.execute(f"CREATE SCHEMA {ledger}")
    await store.transact(*WRITE)


async def test_a_schema_with_tables_of_another_application_is_refused(
    url: str, ledger: str, store: PostgresStore
) -> None:
    async with connected(url) as connection:
        await connection.execute(f"CREATE SCHEMA {ledger}")
        await connection.execute(f"CREATE TABLE {ledger}.accounts (id integer)")
        with pytest.raises(ConfigurationError, match="another application"):
            await store.transact(*WRITE)
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = $1"
        assert await connection.fetchval(tables, ledger) == 1


async def test_tables_that_were_dropped_are_made_again(
    url: str, ledger: str, store: PostgresStore
) -> None:
    """After the steps that met their absence were refused."""
    await store.transact(*WRITE)
    await drop_ledger(url, ledger)
    with pytest.raises(Exception, match="not as this version left them"):
        await store.transact(*WRITE)
    await store.transact(*WRITE)
    assert await read_account(store, LEFT) == Account(LEFT, 1)


async def test_who_may_not_make_tables_may_use_those_that_there_are(
    own_postgres: OwnPostgres,
) -> None:
    url = own_postgres.url_at(own_postgres.port, "clerk")
    store = PostgresStore(url, SystemClock(), SystemRandomness(SystemClock()))
    async with connected(own_postgres.url) as connection:
        await connection.execute("CREATE ROLE clerk LOGIN")
        with pytest.raises(ConfigurationError, match="Grant it CREATE"):
            await store.transact(*WRITE)
        await connection.execute("CREATE SCHEMA chatnest")
        with pytest.raises(ConfigurationError, match="Grant it"):
            await store.transact(*WRITE)
        await bring_forward(connection, "chatnest")
        await connection.execute(
            "GRANT USAGE ON SCHEMA chatnest TO clerk;"
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA chatnest TO clerk"
        )
        await store.transact(*WRITE)
    await store.aclose()


async def test_who_owns_the_schema_may_make_its_tables(own_postgres: OwnPostgres) -> None:
    """Without the right to make schemas."""
    url = own_postgres.url_at(own_postgres.port, "owner")
    store = PostgresStore(url, SystemClock(), SystemRandomness(SystemClock()))
    async with connected(own_postgres.url) as connection:
        await connection.execute("CREATE ROLE owner LOGIN")
        await connection.execute("CREATE SCHEMA chatnest AUTHORIZATION owner")
    await store.transact(*WRITE)
    await store.aclose()


async def test_people_can_read_calls_and_balances(
    url: str, ledger: str, store: PostgresStore
) -> None:
    """Also where the numbers are as large as they get."""
    hold = await admitted(store, call("h", tokens_a_day(100)))
    await store.transact(*settle_step(hold, used(7), NOON))
    await admitted(store, call("open", tokens_a_day(100)))
    await store.transact(*writing([Account(LEFT, 0, LARGEST, LARGEST, 0)]))
    async with connected(url) as connection:
        calls = await connection.fetch(f"SELECT * FROM {ledger}.calls ORDER BY id")
        balances = await connection.fetch(f"SELECT * FROM {ledger}.balances ORDER BY scope")
    assert [(row["id"], row["state"]) for row in calls] == [("h", "settled"), ("open", "held")]
    assert calls[0]["closed_at"].timestamp() == NOON / 1e6
    assert sorted(row["remaining"] for row in balances) == [0, 83]


@pytest.mark.parametrize("table", ["accounts", "rates"])
async def test_a_busy_row_changes_no_index_and_has_room_on_its_page(
    url: str, ledger: str, table: str
) -> None:
    """What is indexed of it is its key alone."""
    async with connected(url) as connection:
        await bring_forward(connection, ledger)
        indexes = await connection.fetch(
            f"SELECT indisprimary FROM pg_index WHERE indrelid = '{ledger}.{table}'::regclass"
        )
        options = await connection.fetchval(
            f"SELECT reloptions FROM pg_class WHERE oid = '{ledger}.{table}'::regclass"
        )
    assert [row["indisprimary"] for row in indexes] == [True]
    assert "fillfactor=50" in options
