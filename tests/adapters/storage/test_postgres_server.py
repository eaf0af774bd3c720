"""PostgreSQL under hostile conditions: collisions, lost connections, cancels, and a full pool."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from itertools import count
from typing import Any

import anyio
import pytest

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.randomness import SystemRandomness
from chatnest.adapters.storage.compare_and_set import CompareAndSetLedger, Conflict
from chatnest.adapters.storage.postgres import PostgresStore
from chatnest.adapters.storage.postgres_schema import Connection
from chatnest.adapters.storage.postgres_server import PostgresServer
from chatnest.domain.budget import Account, HoldState
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ledger import Change, Keys, RateKey, Rows, Step
from chatnest.domain.rate_limit import RateState
from chatnest.testing.ledger_cases import (
    NOON,
    at_once,
    closed,
    open_hold,
    read,
    read_account,
    read_ledger,
    writing,
)
from chatnest.testing.ledger_fault_cases import recovered
from chatnest.testing.ledger_races import LEFT, RIGHT, adding_to, transferring
from chatnest.testing.ledger_reads import many_rows
from tests.support.postgres_servers import OwnPostgres, connected, drop_ledger
from tests.support.waiting import until

pytest_plugins = ["tests.support.postgres_fixtures"]

ADD = (Keys((LEFT,)), adding_to(LEFT, 1))


@pytest.fixture
async def url(postgres_url: str, ledger: str) -> AsyncIterator[str]:
    """A database in which the ledger is dropped in the end."""
    yield postgres_url
    await drop_ledger(postgres_url, ledger)


@pytest.fixture
async def servers(url: str, ledger: str) -> AsyncIterator[Sequence[PostgresServer]]:
    """Three processes, as far as PostgreSQL can see."""
    servers = [
        PostgresServer(url, SystemClock(), SystemRandomness(SystemClock()), ledger=ledger)
        for _ in range(3)
    ]
    yield servers
    for server in servers:
        await server.aclose()


@pytest.fixture
async def store(url: str, ledger: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url, SystemClock(), SystemRandomness(SystemClock()), ledger=ledger)
    yield store
    await store.aclose()


async def kill_sessions(url: str, ledger: str) -> None:
    """End every session that has used the ledger's tables for its last statement."""
    async with connected(url) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE $1"
            " AND pid <> pg_backend_pid()",
            f"%{ledger}%",
        )


async def count_in(url: str, table: str) -> int:
    async with connected(url) as connection:
        return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))


@pytest.mark.parametrize("second_is_open", [True, False])
@pytest.mark.parametrize("first_is_open", [True, False])
async def test_an_id_is_taken_once_in_both_tables_together(
    url: str,
    ledger: str,
    servers: Sequence[PostgresServer],
    first_is_open: bool,
    second_is_open: bool,
) -> None:
    """An admission and its withdrawal may meet, each sure that there is no such hold yet."""

    def change(is_open: bool) -> Change[None]:
        hold = open_hold("h", NOON)
        return Change(None, holds=(hold if is_open else closed(hold),))

    async with connected(url) as connection:
        await servers[0].now()
        await servers[1].now()
        commits = [
            server.commit(Keys(holds=("h",)), {}, change(is_open))
            for server, is_open in zip(servers, (first_is_open, second_is_open), strict=False)
        ]
        # Both have looked at the tables before either may write.
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {ledger}.holds IN SHARE MODE")
            tasks = [asyncio.ensure_future(commit) for commit in commits]
            await until(lambda: _are_waiting(url, ledger, 2))
        answers = await asyncio.gather(*tasks)
    lost = [answer for answer in answers if isinstance(answer, Conflict)]
    assert [list(answer.current) for answer in lost] == [["h"]]
    rows = [await count_in(url, f"{ledger}.{table}") for table in ("holds", "journal")]
    assert sum(rows) == 1


async def _are_waiting(url: str, ledger: str, sessions: int) -> bool:
    async with connected(url) as connection:
        waiting = await connection.fetchval(
            "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND relation IN "
            "(SELECT oid FROM pg_class WHERE relnamespace = $1::regnamespace)",
            ledger,
        )
    return bool(waiting == sessions)


async def test_what_each_saw_missing_the_other_does_not_write(
    servers: Sequence[PostgresServer],
) -> None:
    """Each writes one row if the other is missing: never are both there."""
    for server in servers:
        await server.now()
    for index in range(20):
        left = replace(LEFT, start=index)
        right = replace(RIGHT, start=index)

        keys = Keys((left, right))
        results = await at_once(
            *(
                CompareAndSetLedger(server).transact(keys, writing_if_alone(Account(key, 1)))
                for server, key in zip(servers, (left, right), strict=False)
            )
        )
        assert sorted(results) == [False, True]
        rows = await read(CompareAndSetLedger(servers[2]), keys)
        assert len(rows.accounts) == 1


def writing_if_alone(account: Account) -> Step[bool]:
    """A step that writes *account* if none of the rows that it names is there."""
    return lambda rows: Change(False) if rows.accounts else Change(True, (account,))


async def test_a_row_that_is_only_read_is_still_as_it_was_when_others_are_written(
    servers: Sequence[PostgresServer],
) -> None:
    store = CompareAndSetLedger(servers[0])
    await store.transact(*writing([Account(LEFT, 1)]))
    change = Change(None, accounts=(Account(RIGHT, 2),))
    answer = await servers[1].commit(Keys((LEFT, RIGHT)), {}, change)
    assert isinstance(answer, Conflict)
    assert {key: row.row for key, row in answer.current.items()} == {LEFT: Account(LEFT, 1)}
    assert await read_account(store, RIGHT) is None


async def test_claims_leave_nothing_behind(
    url: str, ledger: str, servers: Sequence[PostgresServer]
) -> None:
    """Neither where a named row stays missing, nor where a claim comes to nothing."""
    named = Keys((LEFT, RIGHT), (), ("read", "written"))
    change = Change(None, accounts=(Account(LEFT, 1),), holds=(closed(open_hold("written", NOON)),))
    assert not isinstance(await servers[0].commit(named, {}, change), Conflict)
    again = await servers[1].commit(named, {}, change)
    assert isinstance(again, Conflict)
    assert set(again.current) == {LEFT, "written"}
    admission = Change(None, (Account(RIGHT, 1),), (), (open_hold("written", NOON),))
    assert isinstance(
        await servers[1].commit(Keys((RIGHT,), (), ("written",)), {}, admission), Conflict
    )
    rows = [await count_in(url, f"{ledger}.{table}") for table in ("accounts", "holds", "journal")]
    assert rows == [1, 0, 1]


KEYS = tuple(replace(LEFT, scope=f"scope {index:02}") for index in range(12))
RATES = tuple(RateKey(key.scope, "requests") for key in KEYS)
IDS = tuple(f"h{index:02}" for index in range(12))


@pytest.mark.parametrize("state", [HoldState.HELD, HoldState.SETTLED])
@pytest.mark.parametrize("named", [Keys(KEYS), Keys((), RATES), Keys((), (), IDS)])
async def test_opposite_orders_over_several_pools_never_deadlock(
    url: str, ledger: str, named: Keys, state: HoldState
) -> None:
    """At first the rows are missing, and then all of them change, or half of the holds."""
    numbers = count(1)

    def touch(rows: Rows) -> Change[None]:
        new = next(numbers)
        return Change(
            None,
            tuple(Account(key, None, new) for key in named.accounts),
            tuple((key, RateState(new)) for key in named.rates),
            tuple(replace(open_hold(hold_id, new), state=state) for hold_id in named.holds[::2]),
        )

    back = Keys(named.accounts[::-1], named.rates[::-1], named.holds[::-1])
    servers = [
        UnforgivingServer(url, SystemClock(), SystemRandomness(SystemClock()), ledger=ledger)
        for _ in range(3)
    ]
    ledgers = [CompareAndSetLedger(server) for server in servers]
    try:
        await at_once(
            *(
                ledgers[index % 3].transact(named if index % 2 else back, touch)
                for index in range(24)
            )
        )
    finally:
        await at_once(*(server.aclose() for server in servers))


class UnforgivingServer(PostgresServer):
    """One that fails where PostgreSQL ends a deadlock, which a commit else takes for a conflict."""

    async def _committed(
        self, connection: Connection, keys: Keys, arguments: Sequence[Any]
    ) -> str | None:
        answer: str | None = await connection.fetchval(self._asks.commit_rows, *arguments)
        return answer


async def test_steps_go_on_while_sessions_are_ended(
    url: str, ledger: str, store: PostgresStore
) -> None:
    """In mid-flight; what was acknowledged is there, and nothing is there twice."""
    await store.now()
    acknowledged = unknown = 0
    ended = asyncio.Event()

    async def add() -> None:
        nonlocal acknowledged, unknown
        while not ended.is_set():
            try:
                await store.transact(*ADD)
                acknowledged += 1
            except StoreUnavailableError:
                unknown += 1

    async def end_sessions() -> None:
        for _ in range(8):
            target = acknowledged + 20
            await until(_reaching(lambda: acknowledged, target))
            await kill_sessions(url, ledger)
        ended.set()

    await at_once(end_sessions(), *(add() for _ in range(10)))
    account = await recovered(lambda: read_account(store, LEFT))
    assert account is not None
    assert acknowledged <= account.settled <= acknowledged + unknown


def _reaching(counted: Callable[[], int], target: int) -> Callable[[], Awaitable[bool]]:
    async def is_reached() -> bool:
        return counted() >= target

    return is_reached


async def test_a_commit_that_is_cancelled_in_flight_takes_no_other_answer(
    url: str, ledger: str, servers: Sequence[PostgresServer]
) -> None:
    """The next one on that pool gets its own; the cancelled one happened or not."""
    ledgers = CompareAndSetLedger(servers[0])
    await ledgers.transact(*ADD)
    async with connected(url) as connection, connection.transaction():
        await connection.execute(f"SELECT * FROM {ledger}.accounts FOR UPDATE")
        stuck = [asyncio.ensure_future(ledgers.transact(*ADD)) for _ in range(5)]
        await until(lambda: _wait(url, ledger, 5))
        sessions = await waiting_sessions(url, ledger)
        for task in stuck:
            task.cancel()
        await asyncio.wait(stuck, timeout=10)
        assert all(task.cancelled() for task in stuck)
        assert await ledgers.now() > NOON
    assert 2 <= await ledgers.transact(*ADD) <= 7

    await until(lambda: _are_gone(url, sessions))


async def waiting_sessions(url: str, ledger: str) -> list[int]:
    """The sessions that wait for a lock in a statement on the ledger."""
    async with connected(url) as connection:
        rows = await connection.fetch(
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1",
            f"%{ledger}%",
        )
    return [row["pid"] for row in rows]


async def _wait(url: str, ledger: str, sessions: int) -> bool:
    return len(await waiting_sessions(url, ledger)) == sessions


async def _are_gone(url: str, sessions: Sequence[int]) -> bool:
    async with connected(url) as connection:
        there = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY ($1)"
        return bool(await connection.fetchval(there, sessions) == 0)


async def test_a_pool_that_is_used_up_is_waited_for_no_longer_than_is_said(
    servers: Sequence[PostgresServer],
) -> None:
    async with AsyncExitStack() as used:
        for _ in range(10):
            await used.enter_async_context(servers[0]._link.connection())
        with anyio.fail_after(10), pytest.raises(StoreUnavailableError, match="in time"):
            await servers[0].now()
    await servers[0].now()


async def test_readers_of_history_leave_connections_for_steps(store: PostgresStore) -> None:
    """However many of them there are, and however slow they read."""
    rows = many_rows()
    await store.transact(*writing(rows.accounts.values(), (), rows.holds.values()))
    async with AsyncExitStack() as reading:
        asked = []
        for _ in range(12):
            pages = await reading.enter_async_context(aclosing(store.snapshot()))
            asked.append(asyncio.ensure_future(anext(pages)))
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        assert await store.transact(*ADD) == 1
        await asyncio.wait(asked)
        given = [task for task in asked if task.exception() is None]
        assert len(given) == 4
    assert set((await read_ledger(store)).holds) == set(rows.holds)


async def test_a_server_that_restarts_under_load_is_found_again(own_postgres: OwnPostgres) -> None:
    """Nobody has to do anything but to try again; the pool's dead connections are dropped."""
    store = PostgresStore(own_postgres.url, SystemClock(), SystemRandomness(SystemClock()))
    acknowledged = unknown = 0

    async def add(times: int) -> None:
        nonlocal acknowledged, unknown
        while acknowledged < times:
            try:
                await store.transact(*ADD)
                acknowledged += 1
            except StoreUnavailableError:
                unknown += 1

    try:
        await at_once(*(add(50) for _ in range(10)))
        tasks = [asyncio.ensure_future(add(400)) for _ in range(10)]
        await own_postgres.stop()
        await own_postgres.start()
        with anyio.fail_after(30):
            await asyncio.gather(*tasks)
        account = await read_account(store, LEFT)
        assert account is not None
        assert acknowledged <= account.settled <= acknowledged + unknown
    finally:
        await store.aclose()


async def test_what_was_answered_is_on_the_disk_whatever_the_server_was_told(
    own_postgres: OwnPostgres,
) -> None:
    """A default of ``synchronous_commit = off`` holds for others; a stricter one for all."""
    for default, used in (("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")):
        async with connected(own_postgres.url) as connection:
            await connection.execute(f"ALTER ROLE postgres SET synchronous_commit = {default}")
        server = PostgresServer(own_postgres.url, SystemClock(), SystemRandomness(SystemClock()))
        async with server._link.connection() as connection:
            assert await connection.fetchval("SHOW synchronous_commit") == used
        await server.aclose()


async def test_transfers_are_seen_whole_by_a_snapshot(
    url: str, ledger: str, servers: Sequence[PostgresServer], store: PostgresStore
) -> None:
    await store.transact(*writing([Account(LEFT, None, 50), Account(RIGHT, None, 50)]))
    done = asyncio.Event()

    async def move() -> None:
        while not done.is_set():
            await store.transact(Keys((LEFT, RIGHT)), transferring(LEFT, RIGHT))

    async def look() -> None:
        for _ in range(20):
            seen = await read_ledger(CompareAndSetLedger(servers[0]))
            assert sum(account.settled for account in seen.accounts.values()) == 100
        done.set()

    await at_once(look(), move(), move())
