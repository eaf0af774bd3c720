"""A call that is given up before anything of it has left costs nothing, whoever gives it up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from chatnest.domain.budget import Hold, HoldState
from chatnest.domain.capabilities import TEXT_ONLY
from chatnest.domain.errors import Failure, FailureKind, ProviderError
from chatnest.domain.events import Failed, ProviderBatch
from chatnest.domain.ledger import Change, Keys
from chatnest.domain.ports import ProviderCall
from chatnest.domain.windows import US_PER_S
from tests.domain.chat_world import PATIENT, World, drive, leave_after

PROMPT_TOKENS = 3 + 2 + 3


class Connecting:
    """A provider that never gets a connection; *billable* is what it says of a call's end."""

    name = "connecting"
    capabilities = TEXT_ONLY

    def __init__(self, *, billable: bool | None) -> None:
        self._billable = billable

    @asynccontextmanager
    async def stream(self, call: ProviderCall) -> AsyncIterator[AsyncIterator[ProviderBatch]]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as cancelled:
            if self._billable is None:
                raise
            failure = Failure(FailureKind.CONNECTION, billable=self._billable)
            raise cancelled from ProviderError("given up", failure)
        raise AssertionError("nobody sets the event")
        yield

    async def aclose(self) -> None:
        pass


async def holds(world: World) -> list[Hold]:
    ids = tuple(f"id-1.{number}" for number in range(1, 4))
    return await world.store.transact(
        Keys(holds=ids), lambda rows: Change(list(rows.holds.values()))
    )


async def test_a_reader_who_leaves_before_anything_was_sent_pays_nothing() -> None:
    world = World(policy=PATIENT, provider=Connecting(billable=False))
    await leave_after(await world.answer(), 0)
    assert await world.tokens() == (0, 0)
    (hold,) = await holds(world)
    assert (hold.state, hold.outcome) == (HoldState.RELEASED, "cancelled")


@pytest.mark.parametrize("billable", [True, None])
async def test_one_who_leaves_a_call_that_may_have_been_sent_pays_for_the_prompt(
    billable: bool | None,
) -> None:
    world = World(policy=PATIENT, provider=Connecting(billable=billable))
    await leave_after(await world.answer(), 0)
    assert await world.tokens() == (PROMPT_TOKENS, 0)


@pytest.mark.parametrize(("billable", "attempts_paid"), [(False, 0), (True, 3)])
async def test_a_time_limit_that_passes_before_anything_was_sent_costs_nothing(
    billable: bool, attempts_paid: int
) -> None:
    world = World(policy=PATIENT, provider=Connecting(billable=billable))
    events = await drive(world, await world.answer(), 60)
    assert isinstance(events[-1], Failed)
    assert events[-1].error.code == "provider_timeout"
    assert [hold.outcome for hold in await holds(world)] == ["timeout"] * 3
    assert await world.tokens() == (attempts_paid * PROMPT_TOKENS, 0)


async def test_what_cost_nothing_does_not_make_the_next_attempt_free() -> None:
    world = World(policy=PATIENT, provider=(provider := Connecting(billable=False)))
    answer = await world.answer()
    reading = asyncio.create_task(drive(world, answer))
    await world.clock.run_for(PATIENT.time_limits.first_token_us)
    provider._billable = True
    await world.clock.run_for(60 * US_PER_S)
    await reading
    assert [hold.state for hold in await holds(world)] == [
        HoldState.RELEASED,
        HoldState.SETTLED,
        HoldState.SETTLED,
    ]
