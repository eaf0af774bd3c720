"""Calls that are alive keep their holds; those of a dead process do not."""

import asyncio
from dataclasses import replace

import pytest

from chatnest.domain.budget import Hold, HoldState
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.leases import Leases
from chatnest.domain.ledger import Change, Keys
from chatnest.domain.policy import ChatPolicy, TimeLimits
from chatnest.domain.routes import Route, Target
from chatnest.domain.upkeep import charge_dead_holds
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import US_PER_S
from chatnest.testing.clock import ManualClock
from chatnest.testing.ledger_cases import admitted, call, spent_and_held, tokens_a_day
from tests.domain.chat_world import PROFILE, PuppetProvider, World, collect, turns
from tests.domain.stubborn_store import StubbornStore

LEASE_US = 60 * US_PER_S
TOTAL_US = 600 * US_PER_S
DAY = tokens_a_day(None)


class Desk:
    """A process's leases, the store behind them, and one hold in it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = StubbornStore(self.clock)
        limits = TimeLimits(total_us=TOTAL_US, lease_us=LEASE_US)
        self.leases = Leases(self.store, self.clock, limits)

    async def hold(self, name: str = "h") -> Hold:
        now = self.clock.now()
        command = call(name, DAY, created_at=now)
        hold = replace(command.reserve.hold, expires_at=now + LEASE_US)
        command = replace(command, reserve=replace(command.reserve, hold=hold))
        return await admitted(self.store, command, now)

    async def stored(self, name: str = "h") -> Hold:
        keys = Keys(holds=(name,))
        return await self.store.transact(keys, lambda rows: Change(rows.holds[name]))


async def test_a_hold_stands_as_long_as_its_call_is_alive() -> None:
    desk = Desk()
    desk.leases.keep(await desk.hold())
    await desk.clock.run_for(5 * LEASE_US)

    assert await charge_dead_holds(desk.store) == 0
    assert (await desk.stored()).expires_at > desk.clock.now() + LEASE_US // 2


async def test_a_dropped_hold_expires_and_nothing_waits_any_more() -> None:
    desk = Desk()
    desk.leases.keep(await desk.hold())
    await desk.clock.run_for(LEASE_US // 3)
    desk.leases.drop("h")
    desk.leases.drop("h")

    assert desk.clock.pending == 0
    await desk.clock.run_for(LEASE_US)
    assert await charge_dead_holds(desk.store) == 1


async def test_all_holds_of_a_process_are_renewed_together() -> None:
    desk = Desk()
    for number in range(50):
        desk.leases.keep(await desk.hold(f"h{number}"))
    before = desk.store.asked
    await desk.clock.run_for(LEASE_US // 3)

    assert desk.store.asked - before == 1
    assert (await desk.stored("h49")).expires_at == desk.clock.now() + LEASE_US


@pytest.mark.parametrize("error", [StoreUnavailableError("down"), OSError("driver")])
async def test_a_renewal_that_fails_is_made_up_for_by_the_next(error: Exception) -> None:
    desk = Desk()
    desk.leases.keep(await desk.hold())
    desk.store.down, desk.store.error = True, error
    await desk.clock.run_for(LEASE_US // 3)
    desk.store.down = False
    await desk.clock.run_for(LEASE_US // 3)

    assert (await desk.stored()).expires_at == desk.clock.now() + LEASE_US


async def test_a_slow_renewal_is_not_begun_a_second_time() -> None:
    desk = Desk()
    desk.leases.keep(await desk.hold())
    desk.store.gate.clear()
    before = desk.store.asked
    await desk.clock.run_for(LEASE_US)
    desk.leases.keep(call("other", DAY).reserve.hold)
    await desk.clock.run_for(LEASE_US)

    assert desk.store.asked - before == 1
    desk.store.gate.set()
    await turns()
    desk.leases.drop("h")
    desk.leases.drop("other")
    assert desk.clock.pending == 0


async def test_a_call_that_nobody_ends_is_renewed_no_longer_than_a_call_may_take() -> None:
    desk = Desk()
    desk.leases.keep(await desk.hold())
    await desk.clock.run_for(TOTAL_US + 3 * LEASE_US)

    assert desk.clock.pending == 0
    assert await charge_dead_holds(desk.store) == 1


@pytest.mark.parametrize("jump_us", [-10 * TOTAL_US, 10 * TOTAL_US])
async def test_a_wall_clock_that_jumps_lets_no_living_call_go(jump_us: int) -> None:
    desk = Desk()
    desk.leases.keep(await desk.hold())
    desk.clock.set_wall(desk.clock.now() + jump_us)
    await desk.clock.run_for(LEASE_US)

    assert desk.clock.pending == 1
    assert (await desk.stored()).expires_at > desk.clock.now()


async def test_a_hold_that_is_closed_already_is_not_kept() -> None:
    desk = Desk()
    desk.leases.keep(replace(await desk.hold(), state=HoldState.RELEASED))

    assert desk.clock.pending == 0


async def test_a_hold_that_a_failover_lost_is_put_back_while_its_call_goes_on() -> None:
    desk = Desk()
    hold = await desk.hold()
    desk.leases.keep(hold)
    keys = Keys(accounts=hold.account_keys, holds=("h",))
    await desk.store.transact(
        keys,
        lambda rows: Change(None, forgotten_accounts=hold.account_keys, forgotten_holds=("h",)),
    )
    await desk.clock.run_for(LEASE_US // 3)

    assert (await desk.stored()).state is HoldState.HELD
    assert await spent_and_held(desk.store, hold.account_keys[0]) == (0, 10)


async def test_a_running_answer_keeps_its_hold_and_an_ended_one_lets_it_go() -> None:
    world = World(profile=PROFILE)
    answer = await world.answer("x")
    lease_us = world.policy.time_limits.lease_us
    await world.clock.run_for(3 * lease_us)
    assert await world.service.charge_dead_holds() == 0

    await answer.aclose()
    await asyncio.sleep(0)
    assert world.clock.pending == 0


async def test_a_call_of_a_route_that_may_take_longer_keeps_its_hold_as_long() -> None:
    short = TimeLimits(total_us=TOTAL_US, idle_us=9 * TOTAL_US, first_token_us=9 * TOTAL_US)
    long = replace(short, total_us=9 * TOTAL_US)
    provider = PuppetProvider()
    route = Route("slow", (Target(provider, "m"),), long)
    world = World(policy=ChatPolicy(time_limits=short), routes=[route])
    reading = asyncio.create_task(collect(await world.answer()))
    await world.clock.run_for(3 * TOTAL_US)

    assert await world.service.charge_dead_holds() == 0
    provider.calls[0].say("late")
    provider.calls[0].finish(TokenUsage(5, 1))
    await reading
    assert await world.tokens() == (6, 0)
