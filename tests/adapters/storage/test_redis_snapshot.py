"""Snapshots on Redis: many pages, one instant, and nothing of it is guessed."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.randomness import SystemRandomness
from chatnest.adapters.storage import redis_snapshot
from chatnest.adapters.storage.redis import RedisStore
from chatnest.domain.budget import Account, HoldState
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ledger import Change, Keys, LedgerPage
from chatnest.domain.steps import expire_step, settle_step
from chatnest.domain.upkeep import forget_step
from chatnest.testing.ledger_cases import (
    LEASE_US,
    NOON,
    admitted,
    call,
    closed,
    open_hold,
    read_ledger,
    together,
    tokens_a_day,
    used,
    writing,
)
from chatnest.testing.ledger_races import LEFT
from tests.support.redis_servers import OwnRedis, drop_ledger

pytest_plugins = ["tests.support.redis_fixtures"]

DAY = tokens_a_day(None)
LATE = NOON + LEASE_US


@pytest.fixture
async def store(redis_url: str, ledger: str) -> AsyncIterator[RedisStore]:
    store = RedisStore(redis_url, SystemClock(), SystemRandomness(SystemClock()), ledger=ledger)
    yield store
    await store.aclose()
    await drop_ledger(redis_url, ledger)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows are read at once, and a page is given after each but the last."""
    monkeypatch.setattr(redis_snapshot, "_PAGE", 2)
    monkeypatch.setattr(redis_snapshot, "_NEAR", 0)
    monkeypatch.setattr(redis_snapshot, "_PAGE_GIVEN", 2)


async def test_rows_that_change_between_pages_come_as_they_are_at_the_last(
    store: RedisStore, small_pages: None
) -> None:
    holds = [await admitted(store, call(f"h{index}", DAY)) for index in range(8)]
    await store.transact(*expire_step(holds[1], LATE))
    await store.transact(*settle_step(holds[0], used(7), NOON))
    await store.transact(*writing([Account(LEFT, None, 1)]))
    pages: list[LedgerPage] = []
    async for page in store.snapshot():
        pages.append(page)
        if len(pages) == 1:
            await store.transact(*settle_step(holds[1], used(4), LATE))
            await store.transact(*settle_step(holds[2], used(5), LATE))
            await store.transact(*writing([Account(LEFT, None, 2)]))
    ledger = together(pages)
    assert len(pages) > 2
    assert ledger == await read_ledger(store)
    assert [ledger.holds[f"h{index}"].state for index in range(3)] == [HoldState.SETTLED] * 3
    charged = [line.charged or 0 for hold in ledger.holds.values() for line in hold.lines]
    assert sum(charged) == ledger.accounts[DAY.account_at(NOON)].settled == 16
    assert ledger.accounts[LEFT].settled == 2


@pytest.mark.parametrize("pruned", ["hold", "expired hold", "account"])
async def test_history_that_is_pruned_meanwhile_is_not_guessed(
    store: RedisStore, small_pages: None, pruned: str
) -> None:
    ended = [closed(open_hold(f"h{index}", NOON)) for index in range(8)]
    ended[1] = replace(ended[1], state=HoldState.EXPIRED)
    await store.transact(*writing([Account(LEFT, None)], (), ended))
    pages = store.snapshot()
    await anext(pages)
    if pruned == "account":
        gone = Change(None, forgotten_accounts=(LEFT,))
        await store.transact(Keys((LEFT,)), lambda rows: gone)
    else:
        await store.transact(*forget_step([ended[0 if pruned == "hold" else 1]]))
    with pytest.raises(StoreUnavailableError, match="pruned"):
        await anext(pages)
    ledger = await read_ledger(store)
    assert (len(ledger.holds), len(ledger.accounts)) == ((8, 0) if pruned == "account" else (7, 1))


async def test_history_that_is_rewritten_meanwhile_is_not_guessed(
    store: RedisStore, small_pages: None
) -> None:
    ended = [closed(open_hold(f"h{index}", NOON)) for index in range(8)]
    await store.transact(*writing(holds=ended))
    pages = store.snapshot()
    await anext(pages)
    await store.transact(*writing(holds=ended))
    await anext(pages)
    await store.transact(*writing(holds=[replace(ended[0], outcome="other")]))
    with pytest.raises(StoreUnavailableError, match="rewritten"):
        await anext(pages)
    assert (await read_ledger(store)).holds["h0"].outcome == "other"


async def test_a_server_that_was_lost_meanwhile_may_be_another_one(
    small_pages: None, own_redis: OwnRedis
) -> None:
    store = RedisStore(own_redis.url, SystemClock(), SystemRandomness(SystemClock()))
    ended = [closed(open_hold(f"h{index}", NOON)) for index in range(8)]
    await store.transact(*writing(holds=ended))
    pages = store.snapshot()
    await anext(pages)
    async with Redis.from_url(own_redis.url) as client:
        await client.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(StoreUnavailableError, match="lost"):
        await anext(pages)
    assert len((await read_ledger(store)).holds) == 8
    await store.aclose()
