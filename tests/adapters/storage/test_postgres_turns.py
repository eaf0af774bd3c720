"""Turns on PostgreSQL: who is always overtaken gets through, and nobody is locked out for long."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.randomness import SystemRandomness
from chatnest.adapters.storage.compare_and_set import (
    Committed,
    CompareAndSetLedger,
    Conflict,
    Key,
)
from chatnest.adapters.storage.postgres_server import PostgresServer
from chatnest.domain.budget import Account
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ledger import Change, Keys
from chatnest.testing.ledger_cases import read_account
from chatnest.testing.ledger_races import LEFT, adding_to
from tests.support.postgres_servers import connected, drop_ledger
from tests.support.turns import no_turn
from tests.support.waiting import until

pytest_plugins = ["tests.support.postgres_fixtures"]

ADD = (Keys((LEFT,)), adding_to(LEFT, 1))
NOTHING: tuple[Keys, Mapping[Key, str]] = (Keys(), {})


class OvertakenServer(PostgresServer):
    """One whose every commit is overtaken by *rival*, unless the rival has to wait."""

    def __init__(self, url: str, ledger: str, *, has_turns: bool) -> None:
        super().__init__(url, SystemClock(), SystemRandomness(SystemClock()), ledger=ledger)
        self.rival = PostgresServer(
            url, SystemClock(), SystemRandomness(SystemClock()), ledger=ledger
        )
        self._rivals_ledger = CompareAndSetLedger(self.rival)
        self._has_turns = has_turns
        self._is_alone = False
        self.rivals: list[asyncio.Task[int]] = []

    async def commit(
        self, keys: Keys, versions: Mapping[Key, str], change: Change[Any]
    ) -> Committed | Conflict:
        self.rivals.append(asyncio.ensure_future(self._rivals_ledger.transact(*ADD)))
        if not self._is_alone:
            await asyncio.wait(self.rivals)
        return await super().commit(keys, versions, change)

    @asynccontextmanager
    async def turn(
        self, keys: Keys, versions: Mapping[Key, str]
    ) -> AsyncIterator[Committed | Conflict]:
        self._is_alone = self._has_turns
        turn = super().turn if self._has_turns else partial(no_turn, self)
        async with turn(keys, versions) as found:
            yield found


@pytest.fixture
async def url(postgres_url: str, ledger: str) -> AsyncIterator[str]:
    """A database in which the ledger is dropped in the end."""
    yield postgres_url
    await drop_ledger(postgres_url, ledger)


@pytest.fixture
async def server(url: str, ledger: str) -> AsyncIterator[PostgresServer]:
    server = PostgresServer(url, SystemClock(), SystemRandomness(SystemClock()), ledger=ledger)
    yield server
    await server.aclose()


@pytest.mark.parametrize("has_turns", [True, False])
async def test_who_is_always_overtaken_gets_through_in_a_turn_and_starves_without(
    url: str, ledger: str, has_turns: bool
) -> None:
    """Everyone's additions count, in whichever order they came."""
    server = OvertakenServer(url, ledger, has_turns=has_turns)
    store = CompareAndSetLedger(server)
    try:
        if has_turns:
            assert await store.transact(*ADD) > 1
        else:
            with pytest.raises(StoreUnavailableError, match="all the time"):
                await store.transact(*ADD)
        await asyncio.gather(*server.rivals)
        account = await read_account(CompareAndSetLedger(server.rival), LEFT)
        assert account is not None
        assert account.settled == len(server.rivals) + has_turns
    finally:
        await server.aclose()
        await server.rival.aclose()


async def waiting_for_locks(url: str, ledger: str) -> int:
    """How many sessions wait for the turn of *ledger*."""
    async with connected(url) as connection:
        return int(
            await connection.fetchval(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
                f"AND objid = '{ledger}.accounts'::regclass"
            )
        )


async def test_while_a_turn_is_open_others_wait_and_its_owner_writes(
    url: str, ledger: str, server: PostgresServer
) -> None:
    other = PostgresServer(url, SystemClock(), SystemRandomness(SystemClock()), ledger=ledger)
    try:
        await CompareAndSetLedger(other).transact(*ADD)
        async with server.turn(*NOTHING):
            late = asyncio.ensure_future(CompareAndSetLedger(other).transact(*ADD))
            own_too = asyncio.ensure_future(CompareAndSetLedger(server).transact(*ADD))
            await until(lambda: _is(waiting_for_locks(url, ledger), 2))
            assert await CompareAndSetLedger(server).transact(*ADD) == 2
            assert not late.done()
            assert not own_too.done()
        assert sorted([await late, await own_too]) == [3, 4]
    finally:
        await other.aclose()


async def _is(asked: Any, expected: int) -> bool:
    return bool(await asked == expected)


async def test_a_turn_that_ends_in_an_error_wrote_nothing_and_is_over(
    server: PostgresServer,
) -> None:
    store = CompareAndSetLedger(server)
    assert await store.transact(*ADD) == 1

    async def fail_in_turn() -> None:
        async with server.turn(*NOTHING):
            assert await store.transact(*ADD) == 2
            raise LookupError

    with pytest.raises(LookupError):
        await fail_in_turn()
    assert await store.transact(*ADD) == 2


async def test_a_turn_tells_how_its_rows_are(server: PostgresServer) -> None:
    await CompareAndSetLedger(server).transact(*ADD)

    async with server.turn(Keys((LEFT,)), {}) as found:
        assert isinstance(found, Conflict)
    assert found.current[LEFT].row == Account(LEFT, None, 1)
    known: dict[Key, str] = {LEFT: found.current[LEFT].version}
    async with server.turn(Keys((LEFT,)), known) as found:
        assert isinstance(found, Committed)


async def test_a_turn_ends_when_its_owner_dies(
    url: str, ledger: str, server: PostgresServer
) -> None:
    """As the server sees it: the connection is gone. The owner is told when it goes on."""
    other = PostgresServer(url, SystemClock(), SystemRandomness(SystemClock()), ledger=ledger)

    async def die_in_turn() -> None:
        async with server.turn(*NOTHING), connected(url) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = "
                f"'advisory' AND objid = '{ledger}.accounts'::regclass"
            )
            assert await CompareAndSetLedger(other).transact(*ADD) == 1

    try:
        with pytest.raises(StoreUnavailableError):
            await die_in_turn()
        assert await CompareAndSetLedger(server).transact(*ADD) == 2
    finally:
        await other.aclose()


async def test_who_waits_too_long_for_a_turn_is_told_so(
    url: str, ledger: str, server: PostgresServer
) -> None:
    await server.now()
    key = f"1315271540, '{ledger}.accounts'::regclass::oid::integer"
    async with connected(url) as connection, connection.transaction():
        await connection.execute(f"SELECT pg_advisory_xact_lock({key})")
        with pytest.raises(StoreUnavailableError, match="locked"):
            async with server.turn(*NOTHING):
                pass
        with pytest.raises(StoreUnavailableError, match="locked"):
            await CompareAndSetLedger(server).transact(*ADD)
    assert await CompareAndSetLedger(server).transact(*ADD) == 1
