"""The upkeep of the ledger goes on, whatever the store says to it."""

import logging
from collections.abc import Sequence

import pytest

from chatnest.adapters.storage.memory import MemoryStore
from chatnest.app.upkeep import LONGEST_ROUND_US, TOLERATED_SKEW_US, Upkeep
from chatnest.domain.budget import Hold
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.events import Finished, FinishReason, UsageReported
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import US_PER_S
from chatnest.testing.clock import ManualClock
from tests.domain.chat_world import World, collect

DAY_US = 86_400 * US_PER_S
LEASE_US = 600 * US_PER_S


class Failing(MemoryStore):
    """A store that cannot list what is due, and whose clock may be wrong."""

    error: Exception | None = None
    ahead_us = 0

    async def due_holds(self, now: int, most: int) -> Sequence[Hold]:
        if self.error is not None:
            raise self.error
        return await super().due_holds(now, most)

    async def now(self) -> int:
        return await super().now() + self.ahead_us


class Site:
    """A service, its store, and their upkeep."""

    def __init__(self, lease_us: int = LEASE_US) -> None:
        self.clock = ManualClock()
        self.store = Failing(self.clock)
        self.world = World(clock=self.clock, store=self.store)
        self.upkeep = Upkeep(self.world.service, self.clock, lease_us, history_days=2)


@pytest.mark.parametrize("error", [None, StoreUnavailableError("down"), OSError("driver")])
async def test_dead_holds_are_charged_once_the_store_lets_us(error: Exception | None) -> None:
    site = Site()
    held = await leave_a_dead_hold(site)
    site.store.error = error
    async with site.upkeep.running():
        await site.clock.run_for(LONGEST_ROUND_US)
        assert (await site.world.tokens())[1] == (0 if error is None else held)
        site.store.error = None
        await site.clock.run_for(LONGEST_ROUND_US)

        assert await site.world.tokens() == (held, 0)


async def leave_a_dead_hold(site: Site) -> int:
    """The tokens of a hold that is due, of a process whose clock stands still for ever."""
    dead = World(store=site.store)
    await dead.answer("x")
    site.clock.advance(dead.policy.time_limits.lease_us)
    return (await site.world.tokens())[1]


async def test_a_round_follows_after_half_a_short_lease() -> None:
    site = Site(lease_us=2 * US_PER_S)
    held = await leave_a_dead_hold(site)
    async with site.upkeep.running():
        await site.clock.run_for(US_PER_S - 1)
        assert await site.world.tokens() == (0, held)
        await site.clock.run_for(1)

        assert await site.world.tokens() == (held, 0)


async def test_calls_are_forgotten_when_their_time_is_over_and_their_charges_stay() -> None:
    site = Site()
    answer = await site.world.answer("x")
    site.world.provider.script.append(
        (UsageReported(TokenUsage(1, 1)), Finished(FinishReason.STOP))
    )
    await collect(answer)
    assert await site.world.tokens() == (2, 0)
    tomorrow = site.clock.now() + 3 * DAY_US
    async with site.upkeep.running():
        await site.clock.run_for(LONGEST_ROUND_US)
        assert await site.store.closed_holds(tomorrow, 9)
        site.clock.advance(2 * DAY_US)
        await site.clock.run_for(LONGEST_ROUND_US)

        assert not await site.store.closed_holds(tomorrow, 9)
    (page,) = [page async for page in site.store.snapshot()]
    assert {account.settled for account in page.accounts} >= {2}


async def test_a_node_whose_clock_is_wrong_forgets_nothing_before_its_time() -> None:
    site = Site()
    answer = await site.world.answer("x")
    site.world.provider.script.append(
        (UsageReported(TokenUsage(1, 1)), Finished(FinishReason.STOP))
    )
    await collect(answer)
    tomorrow = site.clock.now() + 3 * DAY_US
    site.clock.set_wall(site.clock.now() + 1_000 * DAY_US)
    site.store.ahead_us = -1_000 * DAY_US
    async with site.upkeep.running():
        await site.clock.run_for(LONGEST_ROUND_US)

        assert await site.store.closed_holds(tomorrow, 9)


@pytest.mark.parametrize("ahead_us", [-TOLERATED_SKEW_US - 1, 0, TOLERATED_SKEW_US + 1])
async def test_clocks_that_differ_are_told_of(
    ahead_us: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "chatnest.app")
    site = Site()
    site.store.ahead_us = ahead_us
    async with site.upkeep.running():
        await site.clock.run_for(LONGEST_ROUND_US)

    assert ["clock is" in record.message for record in caplog.records] == [True] * bool(ahead_us)


async def test_nothing_waits_when_it_is_over() -> None:
    site = Site()
    async with site.upkeep.running():
        await site.clock.run_for(1)

    assert site.clock.pending == 0
