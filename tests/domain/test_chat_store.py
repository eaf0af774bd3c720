"""Chats while the ledger does not answer, or answers late."""

import asyncio

import pytest

from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.events import Finished, FinishReason, TextDelta, UsageReported
from chatnest.domain.settling import LONGEST_WAIT_US
from chatnest.domain.store_queue import LONGEST_RETRY_US
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import US_PER_S
from chatnest.testing.clock import ManualClock
from tests.domain.chat_world import World, collect, turns
from tests.domain.stubborn_store import StubbornStore

# "x" is one byte and one word; two tokens around each message, three around all, and a hundred out.
HOLD = 1 + 2 + 3 + 100


def stubborn_world() -> tuple[World, StubbornStore]:
    clock = ManualClock()
    store = StubbornStore(clock)
    return World(clock=clock, store=store), store


async def test_a_store_that_is_down_refuses_everything_and_calls_nobody() -> None:
    world, store = stubborn_world()
    store.down = True

    with pytest.raises(StoreUnavailableError):
        await world.open("x")
    assert world.provider.calls == []


async def test_a_lost_reply_leaves_no_hold_behind() -> None:
    world, store = stubborn_world()
    store.lose_replies = 1

    with pytest.raises(StoreUnavailableError):
        await world.open("x")
    await world.service.drain(US_PER_S)
    assert await world.tokens() == (0, 0)


async def test_a_caller_cancelled_while_it_is_admitted_leaves_no_hold_behind() -> None:
    world, store = stubborn_world()
    store.gate.clear()
    opening = asyncio.create_task(world.open("x"))
    await turns()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    store.gate.set()
    await world.service.drain(US_PER_S)

    assert await world.tokens() == (0, 0)


async def test_a_settlement_that_the_store_does_not_take_is_sent_again_until_it_does() -> None:
    world, store = stubborn_world()
    answer = await world.answer("x")
    world.provider.script.append((UsageReported(TokenUsage(1, 1)), Finished(FinishReason.STOP)))
    store.down = True
    collecting = asyncio.create_task(collect(answer))
    await world.clock.run_for(60 * US_PER_S)
    events = await collecting
    store.down = False

    assert [type(event) for event in events[1:]] == [UsageReported, Finished]
    assert world.witness.unsettled == ["id-1.1"]
    assert await world.tokens() == (0, HOLD)
    await world.clock.run_for(60 * US_PER_S)
    assert await world.tokens() == (2, 0)


async def test_a_settlement_that_the_store_never_takes_leaves_the_hold_to_expire() -> None:
    world, store = stubborn_world()
    answer = await world.answer("x")
    world.provider.script.append((UsageReported(TokenUsage(1, 1)), Finished(FinishReason.STOP)))
    store.down = True
    collecting = asyncio.create_task(collect(answer))
    await world.clock.run_for(world.policy.time_limits.lease_us)
    await collecting
    world.clock.advance(LONGEST_WAIT_US)
    await world.clock.run_for(LONGEST_RETRY_US)
    store.down = False

    assert world.clock.pending == 0
    assert await world.service.charge_dead_holds() == 1
    assert await world.tokens() == (HOLD, 0)


async def test_the_last_event_does_not_wait_for_the_store() -> None:
    world, store = stubborn_world()
    answer = await world.answer("x")
    world.provider.script.append((TextDelta("hi"), Finished(FinishReason.STOP)))
    store.gate.clear()
    events = [event async for batch in answer for event in batch]
    assert [type(event) for event in events[1:]] == [TextDelta, UsageReported, Finished]
    closing = asyncio.create_task(answer.aclose())
    await turns()
    assert not closing.done()
    store.gate.set()
    await closing

    assert await world.tokens() == (1 + 2 + 3 + 1, 0)


async def test_a_slow_store_does_not_keep_who_leaves_for_ever() -> None:
    world, store = stubborn_world()
    answer = await world.answer("x")
    store.gate.clear()
    closing = asyncio.create_task(answer.aclose())
    await world.clock.run_for(2 * US_PER_S)
    await asyncio.wait_for(closing, 5)
    store.gate.set()
