"""What goes wrong with PostgreSQL is said in plain words, to whom it concerns, without secrets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.randomness import SystemRandomness
from chatnest.adapters.storage.postgres import PostgresStore
from chatnest.domain.budget import Account, Hold
from chatnest.domain.errors import ChatNestError, ConfigurationError, StoreUnavailableError
from chatnest.testing.ledger_cases import NOON, open_hold, read_account, writing
from chatnest.testing.ledger_races import LEFT
from tests.support.postgres_servers import (
    OwnPostgres,
    connected,
    drop_ledger,
    postgres_programs,
    running,
    server_folder,
)
from tests.support.services import free_port

pytest_plugins = ["tests.support.postgres_fixtures"]

SECRET = "hunter2"


@asynccontextmanager
async def opened(url: str, ledger: str = "chatnest") -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url, SystemClock(), SystemRandomness(SystemClock()), ledger=ledger)
    try:
        yield store
    finally:
        await store.aclose()


async def error_of(store: PostgresStore) -> ChatNestError:
    """What a step meets; whatever it is, it does not tell the password."""
    with pytest.raises(ChatNestError) as caught:
        await store.transact(*writing([Account(LEFT, 1)]))
    assert SECRET not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://ann:{SECRET}@localhost/db",
        f"postgresql://ann:{SECRET}/@localhost/db",
        f"postgresql://ann:{SECRET}@localhost:port/db",
        f"postgresql://ann:a/{SECRET}@localhost/db",
        f"postgresql://ann:{SECRET}@[::1/db",
        SECRET,
    ],
)
def test_a_url_that_cannot_be_read_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        PostgresStore(url, SystemClock(), SystemRandomness(SystemClock()))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("ledger", ["", "a b", 'a"b', "a.b", "1a", "é", "a" * 64])
def test_a_name_that_is_none_of_a_schema_is_refused_at_once(ledger: str) -> None:
    with pytest.raises(ConfigurationError, match="name"):
        PostgresStore(
            "postgresql://h/db", SystemClock(), SystemRandomness(SystemClock()), ledger=ledger
        )


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://h/db",
        "postgres://ann@h1:1,h2:2/db?target_session_attrs=any",
        "postgresql://ann:a%40b@[::1]:5432/db",
        "postgresql:///db?host=/run/postgresql",
    ],
)
def test_a_url_of_libpq_is_taken_and_nothing_is_connected_to(url: str) -> None:
    PostgresStore(url, SystemClock(), SystemRandomness(SystemClock()))


async def test_nobody_listening_is_unavailable() -> None:
    port = free_port()
    async with opened(f"postgresql://ann:{SECRET}@127.0.0.1:{port}/db") as store:
        error = await error_of(store)
    assert isinstance(error, StoreUnavailableError)
    assert f"127.0.0.1:{port}" in str(error)


async def test_an_unknown_option_is_the_operators(postgres_url: str) -> None:
    separator = "&" if "?" in postgres_url else "?"
    async with opened(f"{postgres_url}{separator}sslmode=perhaps") as store:
        assert isinstance(await error_of(store), ConfigurationError)


@pytest.fixture
async def own(own_postgres: OwnPostgres) -> OwnPostgres:
    """A server with a role for each trouble."""
    async with connected(own_postgres.url) as connection:
        await connection.execute(
            f"CREATE ROLE locked LOGIN PASSWORD '{SECRET}x'; CREATE ROLE crowded LOGIN;"
            "ALTER ROLE crowded CONNECTION LIMIT 0; CREATE ROLE poor LOGIN;"
        )
        own_postgres.require_password("locked")
        await connection.execute("SELECT pg_reload_conf()")
    return own_postgres


async def test_who_is_not_let_in_is_told_what_to_change(own: OwnPostgres) -> None:
    base = f"@127.0.0.1:{own.port}"
    troubles = {
        f"postgresql://locked:{SECRET}{base}/postgres": "password",
        f"postgresql://nobody:{SECRET}{base}/postgres": "let this user in|password",
        f"postgresql://postgres:{SECRET}{base}/nowhere": "no such database",
        f"postgresql://poor:{SECRET}{base}/postgres": "CREATE",
    }
    for url, words in troubles.items():
        async with opened(url) as store:
            error = await error_of(store)
        assert isinstance(error, ConfigurationError), url
        with pytest.raises(ConfigurationError, match=words):
            raise error


async def test_a_server_that_takes_no_more_connections_is_unavailable(own: OwnPostgres) -> None:
    async with opened(own.url_at(own.port, "crowded")) as store:
        error = await error_of(store)
        assert isinstance(error, StoreUnavailableError)
        assert "no more connections" in str(error)


async def test_a_user_without_rights_to_the_tables_is_told_to_be_granted_them(
    own: OwnPostgres,
) -> None:
    async with opened(own.url) as store:
        await store.transact(*writing([Account(LEFT, 1)]))
    async with connected(own.url) as connection, opened(own.url_at(own.port, "poor")) as store:
        error = await error_of(store)
        assert isinstance(error, ConfigurationError)
        assert "USAGE" in str(error)
        await connection.execute("GRANT USAGE ON SCHEMA chatnest TO poor")
        error = await error_of(store)
        assert isinstance(error, ConfigurationError)
        await connection.execute(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA chatnest TO poor"
        )
        await store.transact(*writing([Account(LEFT, 2)]))


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_standby_takes_no_steps_until_it_is_the_primary(
    own: OwnPostgres, when: str
) -> None:
    async with opened(own.url) as store:
        if when == "after":
            await store.transact(*writing([Account(LEFT, 1)]))
        await own.set_read_only(True)
        error = await error_of(store)
        assert isinstance(error, StoreUnavailableError)
        assert "standby" in str(error)
        await own.set_read_only(False)
        await store.transact(*writing([Account(LEFT, 2)]))
        assert await read_account(store, LEFT) == Account(LEFT, 2)


async def test_of_several_hosts_the_one_that_takes_writes_is_gone_on_with(
    own_postgres: OwnPostgres,
) -> None:
    """Also where the other one still answers, and its connections stand."""
    with server_folder() as folder:
        async with running(OwnPostgres(postgres_programs(), folder)) as heir:
            hosts = f"127.0.0.1:{own_postgres.port},127.0.0.1:{heir.port}"
            async with (
                opened(f"postgresql://postgres@{hosts}/postgres?sslmode=disable") as store,
                opened(heir.url) as direct,
            ):
                await store.transact(*writing([Account(LEFT, 1)]))
                assert await read_account(direct, LEFT) is None
                await own_postgres.set_read_only(True)
                assert isinstance(await error_of(store), StoreUnavailableError)
                await store.transact(*writing([Account(LEFT, 2)]))
                assert await read_account(direct, LEFT) == Account(LEFT, 2)


@pytest.fixture
async def store(postgres_url: str, ledger: str) -> AsyncIterator[PostgresStore]:
    async with opened(postgres_url, ledger) as store:
        yield store
    await drop_ledger(postgres_url, ledger)


HOLD = open_hold("h", NOON)


@pytest.mark.parametrize(
    "hold",
    [
        replace(HOLD, id="a\0b"),
        replace(HOLD, model="a\0b"),
        replace(HOLD, model="\ud800"),
        replace(HOLD, created_at=2**63),
    ],
)
async def test_a_value_that_cannot_be_kept_fails_its_own_step_alone(
    store: PostgresStore, hold: Hold
) -> None:
    await store.transact(*writing([Account(LEFT, 1)]))
    with pytest.raises(ValueError):  # noqa: PT011  # whoever notices first says it in its words
        await store.transact(*writing([Account(LEFT, 2)], (), [hold]))
    assert await read_account(store, LEFT) == Account(LEFT, 1)
