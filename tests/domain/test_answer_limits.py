"""Answers that are ended early: by a time limit, or by a shutdown."""

import asyncio

import pytest

from chatnest.domain.errors import Failure, FailureKind, PublicError
from chatnest.domain.events import (
    ChatEvent,
    Failed,
    Finished,
    FinishReason,
    TextDelta,
    UsageReported,
)
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import US_PER_S
from chatnest.testing.clock import ManualClock
from tests.domain.chat_world import (
    PATIENT,
    World,
    collect,
    turns,
)
from tests.domain.stubborn_store import StubbornStore

OVERLOADED = Failure(FailureKind.OVERLOADED, status=503, billable=False)
GOODBYE = PublicError("server_shutting_down", "Goodbye.", retryable=True)

# "one two three" is three words, with two tokens around each message and three around all.
PROMPT_TOKENS = 3 + 2 + 3


async def test_a_first_token_that_does_not_come_is_a_timeout() -> None:
    world = World(policy=PATIENT)
    answer = await world.answer()
    collecting = asyncio.create_task(collect(answer))
    for _ in range(3):
        await world.clock.run_for(12 * US_PER_S)
    events = await collecting

    assert isinstance(events[-1], Failed)
    assert events[-1].error.code == "provider_timeout"
    assert [call.closed for call in world.provider.calls] == [True] * 3
    assert await world.tokens() == (3 * PROMPT_TOKENS, 0)


async def test_a_stall_in_the_middle_ends_the_answer_at_the_idle_limit() -> None:
    world = World(policy=PATIENT)
    answer = await world.answer()
    collecting = asyncio.create_task(collect(answer))
    await turns()
    world.provider.calls[0].say("and ")
    await world.clock.run_for(5 * US_PER_S - 1)
    assert not collecting.done()
    await world.clock.run_for(1)
    events = await collecting

    assert isinstance(events[-1], Failed)
    assert events[-1].error.code == "provider_timeout"
    assert world.provider.calls[0].closed
    assert await world.tokens() == (PROMPT_TOKENS + 1, 0)


async def test_an_answer_that_never_ends_is_ended() -> None:
    world = World(policy=PATIENT)
    answer = await world.answer()
    collecting = asyncio.create_task(collect(answer))
    for _ in range(100):
        await turns()
        world.provider.calls[0].say("on ")
        await world.clock.run_for(US_PER_S)
    events = await collecting

    assert isinstance(events[-1], Failed)
    assert world.provider.calls[0].closed


async def test_a_slow_reader_does_not_run_into_the_providers_time_limits() -> None:
    world = World(policy=PATIENT)
    answer = await world.answer()
    world.provider.script.append((TextDelta("take your time"),))
    events: list[ChatEvent] = []
    async with answer:
        async for batch in answer:
            events += batch
            if isinstance(batch[0], TextDelta):
                world.clock.advance(50 * US_PER_S)
                world.provider.calls[0].finish(TokenUsage(1, 1))

    assert isinstance(events[-1], Finished)


@pytest.mark.parametrize("words", [0, 2])
async def test_a_shutdown_ends_the_answer_with_its_own_error(words: int) -> None:
    world = World(policy=PATIENT)
    answer = await world.answer()
    collecting = asyncio.create_task(collect(answer))
    await turns()
    world.provider.calls[0].say(*["word "] * words)
    await turns()
    answer.stop(GOODBYE)
    events = await collecting

    assert events[-1] == Failed(GOODBYE)
    assert world.provider.calls[0].closed
    assert len(world.provider.calls) == 1
    assert await world.tokens() == (PROMPT_TOKENS + words, 0)


async def test_the_total_time_runs_while_a_client_is_written_to() -> None:
    world = World(policy=PATIENT)
    answer = await world.answer()
    world.provider.script.append((TextDelta("one "),))
    events = aiter(answer)
    await anext(events)
    await anext(events)
    world.clock.advance(100 * US_PER_S)
    last = (await anext(events))[-1]
    await answer.aclose()

    assert isinstance(last, Failed)
    assert last.error.code == "provider_timeout"
    assert world.provider.calls[0].closed


@pytest.mark.parametrize(
    ("words", "seconds", "limit"), [((), 10, "first_token"), (("on ",), 5, "idle")]
)
async def test_the_report_says_which_limit_passed(
    words: tuple[str, ...], seconds: int, limit: str
) -> None:
    world = World(policy=PATIENT)
    collecting = asyncio.create_task(collect(await world.answer()))
    await turns()
    world.provider.calls[0].say(*words)
    await world.clock.run_for((seconds + 1) * US_PER_S)
    collecting.cancel()
    await asyncio.wait((collecting,))

    assert world.witness.reports[0].failure == Failure(FailureKind.TIMEOUT, code=limit)


async def test_a_shutdown_before_the_provider_is_called_costs_nothing() -> None:
    world = World()
    answer = await world.answer()
    answer.stop(GOODBYE)

    events = await collect(answer)

    assert events[-1] == Failed(GOODBYE)
    assert world.provider.calls == []
    assert await world.tokens() == (0, 0)


async def test_a_shutdown_during_a_back_off_ends_it() -> None:
    world = World(policy=PATIENT)
    answer = await world.answer()
    world.provider.script.append(OVERLOADED)
    collecting = asyncio.create_task(collect(answer))
    await turns()
    answer.stop(GOODBYE)
    events = await collecting

    assert events[-1] == Failed(GOODBYE)
    assert await world.tokens() == (0, 0)
    assert len(world.witness.reports) == 1


async def test_a_shutdown_while_a_client_is_written_to_ends_the_answer_after_that() -> None:
    world = World(policy=PATIENT)
    answer = await world.answer()
    world.provider.script.append((TextDelta("one "),))
    events = aiter(answer)
    await anext(events)
    await anext(events)
    answer.stop(GOODBYE)

    assert (await anext(events))[-1] == Failed(GOODBYE)
    await answer.aclose()
    assert await world.tokens() == (PROMPT_TOKENS + 1, 0)


@pytest.mark.parametrize("leaves", [True, False])
async def test_an_attempt_that_is_being_held_when_the_answer_ends_is_given_back(
    leaves: bool,
) -> None:
    store = StubbornStore(clock := ManualClock())
    world = World(policy=PATIENT, clock=clock, store=store)
    answer = await world.answer()
    world.provider.script.append(Failure(FailureKind.CONNECTION, billable=True))
    collecting = asyncio.create_task(collect(answer))
    await turns()
    store.gate.clear()
    await clock.run_for(US_PER_S)
    if leaves:
        collecting.cancel()
    else:
        answer.stop(GOODBYE)
    await turns()
    store.gate.set()
    await asyncio.wait((collecting,))
    assert await world.service.drain(US_PER_S) == 0

    assert collecting.cancelled() is leaves
    assert len(world.provider.calls) == 1
    assert await world.tokens() == (PROMPT_TOKENS, 0)
    assert set(await world.held()) == {0}


async def test_an_answer_that_ended_is_not_stopped_any_more() -> None:
    world = World()
    answer = await world.answer()
    world.provider.script.append((UsageReported(TokenUsage(1, 1)), Finished(FinishReason.LENGTH)))
    events = await collect(answer)
    answer.stop(GOODBYE)

    assert events[-1] == Finished(FinishReason.LENGTH)
    assert await world.tokens() == (2, 0)


async def test_stopping_does_not_swallow_the_readers_own_cancel() -> None:
    world = World()
    answer = await world.answer()
    reading = asyncio.create_task(collect(answer))
    await turns()
    answer.stop(GOODBYE)
    reading.cancel()

    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await world.tokens() == (PROMPT_TOKENS, 0)
