"""Turns on Redis: who is always overtaken gets through, and nobody is locked out for long."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.randomness import SystemRandomness
from chatnest.adapters.storage.compare_and_set import (
    Committed,
    CompareAndSetLedger,
    Conflict,
    Key,
)
from chatnest.adapters.storage.redis_link import Script
from chatnest.adapters.storage.redis_server import RedisServer
from chatnest.domain.budget import Account
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ledger import Change, Keys
from chatnest.testing.clock import ManualClock
from chatnest.testing.ledger_cases import read_account
from chatnest.testing.ledger_races import LEFT, adding_to
from tests.support.redis_servers import drop_ledger
from tests.support.turns import no_turn

pytest_plugins = ["tests.support.redis_fixtures"]

ADD = (Keys((LEFT,)), adding_to(LEFT, 1))
NOTHING: tuple[Keys, Mapping[Key, str]] = (Keys(), {})


class WaitingClock(SystemClock):
    """The real time, with an event for who was told to wait."""

    def __init__(self) -> None:
        self.waited = asyncio.Event()

    async def sleep(self, delay_us: int) -> None:
        self.waited.set()
        await super().sleep(delay_us)


class OvertakenServer(RedisServer):
    """One whose every commit is overtaken by *rival*, unless the rival is told to wait."""

    def __init__(self, url: str, ledger: str, *, has_turns: bool) -> None:
        super().__init__(url, SystemClock(), SystemRandomness(SystemClock()), ledger=ledger)
        self._rival_clock = WaitingClock()
        self.rival = RedisServer(
            url, self._rival_clock, SystemRandomness(SystemClock()), ledger=ledger
        )
        self._rivals_ledger = CompareAndSetLedger(self.rival)
        self._has_turns = has_turns
        self.rivals: list[asyncio.Task[int]] = []

    async def commit(
        self, keys: Keys, versions: Mapping[Key, str], change: Change[Any]
    ) -> Committed | Conflict:
        waited = asyncio.ensure_future(self._rival_clock.waited.wait())
        self.rivals.append(asyncio.ensure_future(self._rivals_ledger.transact(*ADD)))
        await asyncio.wait((waited, *self.rivals[-1:]), return_when=asyncio.FIRST_COMPLETED)
        waited.cancel()
        return await super().commit(keys, versions, change)

    @asynccontextmanager
    async def turn(
        self, keys: Keys, versions: Mapping[Key, str]
    ) -> AsyncIterator[Committed | Conflict]:
        turn = super().turn if self._has_turns else partial(no_turn, self)
        async with turn(keys, versions) as found:
            yield found


@pytest.fixture
async def clean(redis_url: str, ledger: str) -> AsyncIterator[None]:
    yield
    await drop_ledger(redis_url, ledger)


@pytest.fixture
async def server(clean: None, redis_url: str, ledger: str) -> AsyncIterator[RedisServer]:
    server = RedisServer(redis_url, SystemClock(), SystemRandomness(SystemClock()), ledger=ledger)
    yield server
    await server.aclose()


@pytest.mark.parametrize("has_turns", [True, False])
async def test_who_is_always_overtaken_gets_through_in_a_turn_and_only_in_one(
    clean: None, redis_url: str, ledger: str, has_turns: bool
) -> None:
    slow = OvertakenServer(redis_url, ledger, has_turns=has_turns)
    async with asyncio.timeout(20):
        if has_turns:
            await CompareAndSetLedger(slow).transact(*ADD)
        else:
            with pytest.raises(StoreUnavailableError, match="all the time"):
                await CompareAndSetLedger(slow).transact(*ADD)
        await asyncio.gather(*slow.rivals)
    account = await read_account(CompareAndSetLedger(slow.rival), LEFT)
    assert account is not None
    assert account.settled == len(slow.rivals) + has_turns
    await slow.rival.aclose()
    await slow.aclose()


async def test_while_one_has_its_turn_others_read_and_do_not_write(
    server: RedisServer, redis_url: str, ledger: str
) -> None:
    clock = WaitingClock()
    other = RedisServer(redis_url, clock, SystemRandomness(SystemClock()), ledger=ledger)
    async with server.turn(*NOTHING):
        writing = asyncio.ensure_future(CompareAndSetLedger(other).transact(*ADD))
        await clock.waited.wait()
        assert await read_account(CompareAndSetLedger(other), LEFT) is None
        assert await CompareAndSetLedger(server).transact(*ADD) == 1
    assert await writing == 2
    await other.aclose()


async def test_two_turns_do_not_overlap(server: RedisServer, redis_url: str, ledger: str) -> None:
    clock = WaitingClock()
    other = RedisServer(redis_url, clock, SystemRandomness(SystemClock()), ledger=ledger)
    order: list[str] = []

    async def follow() -> None:
        async with other.turn(*NOTHING):
            order.append("second")

    async with server.turn(*NOTHING):
        following = asyncio.ensure_future(follow())
        await clock.waited.wait()
        order.append("first")
    await following
    assert order == ["first", "second"]
    await other.aclose()


async def test_a_turn_whose_process_died_ends_by_itself(
    server: RedisServer, redis_url: str, ledger: str
) -> None:
    class Died(BaseException):
        pass

    with pytest.raises(Died):
        async with server.turn(*NOTHING):
            raise Died
    async with Redis.from_url(redis_url) as client:
        assert 0 < await client.pttl(f"{{{ledger}}}:turn") <= 1_000
    assert await CompareAndSetLedger(server).transact(*ADD) == 1


async def test_a_turn_ends_at_once_and_never_somebody_elses(
    server: RedisServer, redis_url: str, ledger: str
) -> None:
    async with Redis.from_url(redis_url) as client:
        async with server.turn(*NOTHING):
            pass
        assert await client.get(f"{{{ledger}}}:turn") is None
        async with server.turn(*NOTHING):
            await client.set(f"{{{ledger}}}:turn", "another's")
        assert await client.get(f"{{{ledger}}}:turn") == b"another's"


async def test_a_turn_tells_how_its_rows_are_and_ends_with_what_is_written(
    server: RedisServer, redis_url: str, ledger: str
) -> None:
    await CompareAndSetLedger(server).transact(*ADD)
    keys, added = Keys((LEFT,)), Change(None, accounts=(Account(LEFT, None, 2),))
    async with Redis.from_url(redis_url) as client, server.turn(keys, {}) as found:
        assert isinstance(found, Conflict)
        assert found.current[LEFT].row == Account(LEFT, None, 1)
        assert await client.get(f"{{{ledger}}}:turn") is not None

        versions: dict[Key, str] = {LEFT: found.current[LEFT].version}
        assert isinstance(await server.commit(keys, versions, Change(None)), Committed)
        assert await client.get(f"{{{ledger}}}:turn") is not None
        assert isinstance(await server.commit(keys, versions, added), Committed)
        assert await client.get(f"{{{ledger}}}:turn") is None
    assert await read_account(CompareAndSetLedger(server), LEFT) == Account(LEFT, None, 2)


async def test_where_others_write_a_batch_takes_two_round_trips(
    server: RedisServer, redis_url: str, ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = RedisServer(redis_url, SystemClock(), SystemRandomness(SystemClock()), ledger=ledger)
    ours, theirs = CompareAndSetLedger(server), CompareAndSetLedger(other)
    run, runs = server._commits.run, list[Script]()

    async def counted(script: Script, *rest: Any) -> Any:
        runs.append(script)
        return await run(script, *rest)

    monkeypatch.setattr(server._commits, "run", counted)
    await ours.transact(*ADD)
    # The first collision tells that others write; from then on there is a turn each time.
    for _ in range(3):
        await theirs.transact(*ADD)
        runs.clear()
        await ours.transact(*ADD)
        assert len(runs) == 2
    await other.aclose()


async def test_who_waits_too_long_for_others_is_told_so(
    clean: None, redis_url: str, ledger: str
) -> None:
    clock = ManualClock()
    patient = RedisServer(redis_url, clock, SystemRandomness(SystemClock()), ledger=ledger)
    async with Redis.from_url(redis_url) as client:
        await client.set(f"{{{ledger}}}:schema", "1")
        await client.set(f"{{{ledger}}}:turn", "another's")
    waiting = [
        asyncio.ensure_future(CompareAndSetLedger(patient).transact(*ADD)),
        asyncio.ensure_future(patient.turn(*NOTHING).__aenter__()),
    ]
    async with asyncio.timeout(20):
        while not all(task.done() for task in waiting):
            clock.advance(500_000)
            await asyncio.sleep(0.001)
    for task in waiting:
        with pytest.raises(StoreUnavailableError, match="to themselves"):
            await task
    await patient.aclose()
