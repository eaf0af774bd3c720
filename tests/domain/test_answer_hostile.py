"""Providers, readers and observers that do what they should not: no money and no hold is lost."""

import asyncio
from dataclasses import replace

import pytest

from chatnest.domain.admission import Refusal
from chatnest.domain.errors import Failure, FailureKind, PublicError
from chatnest.domain.events import (
    ChatEvent,
    EventBatch,
    Failed,
    Finished,
    FinishReason,
    Started,
    TextDelta,
    UsageReported,
)
from chatnest.domain.policy import TimeLimits
from chatnest.domain.ports import CallReport
from chatnest.domain.usage import TokenUsage
from chatnest.domain.watchdog import GIVE_UP_WITHIN_US
from chatnest.domain.windows import US_PER_S
from chatnest.testing.clock import ManualClock
from tests.domain.answer_plays import Break, Cast, Closing, Crash, Finish, Part, Say, Stall
from tests.domain.chat_world import PATIENT, World, collect, text_of, turns

PROMPT_TOKENS = 3 + 2 + 3
LOST = Break(Failure(FailureKind.OVERLOADED, billable=True))
REFUSED = Break(Failure(FailureKind.OVERLOADED, status=503, billable=False))


class Stage:
    """An answer of a provider that plays its parts, and a task that reads it."""

    def __init__(self, *parts: Part) -> None:
        self.clock = ManualClock()
        self.cast = Cast(self.clock, parts)
        self.world = World(policy=PATIENT, clock=self.clock, provider=self.cast)

    async def read(self) -> "asyncio.Task[list[ChatEvent]]":
        answer = await self.world.answer("one two three")
        reading = asyncio.create_task(collect(answer))
        await turns()
        return reading

    async def run_for(self, seconds: float) -> None:
        await self.clock.run_for(round(seconds * US_PER_S))


async def test_the_hold_is_free_at_once_where_a_provider_hangs_while_it_closes() -> None:
    stage = Stage(Part((Say(2), Stall(None)), Closing.HANGING))
    reading = await stage.read()
    reading.cancel()
    await turns()

    assert await stage.world.tokens() == (PROMPT_TOKENS + 2, 0)
    assert not reading.done()
    await stage.clock.run_for(GIVE_UP_WITHIN_US)
    assert reading.cancelled()


async def test_a_provider_is_left_in_the_turn_in_which_its_reader_is_cancelled() -> None:
    stage = Stage(Part((Say(1), Stall(None))))
    reading = await stage.read()
    reading.cancel()
    await asyncio.sleep(0)

    assert stage.cast.performances[0].closed


async def test_an_answer_does_not_wait_for_a_close_that_hangs() -> None:
    stage = Stage(Part((Say(2), Finish(2)), Closing.HANGING))
    reading = await stage.read()
    await turns()
    assert await stage.world.tokens() == (5 + 2, 0)
    await stage.clock.run_for(GIVE_UP_WITHIN_US)

    assert isinstance((await reading)[-1], Finished)


async def test_breaking_off_does_not_wait_for_a_close_that_hangs() -> None:
    stage = Stage(Part((Say(2), Stall(None)), Closing.HANGING))
    answer = await stage.world.answer("one two three")
    await anext(aiter(answer))
    await anext(aiter(answer))
    leaving = asyncio.create_task(answer.aclose())
    await turns()
    assert await stage.world.tokens() == (PROMPT_TOKENS + 2, 0)
    await stage.clock.run_for(GIVE_UP_WITHIN_US)

    await leaving
    assert leaving.cancelling() == 0


async def test_a_cancel_while_a_close_hangs_is_not_lost() -> None:
    stage = Stage(Part((Say(1), Stall(None)), Closing.HANGING))
    answer = await stage.world.answer("one two three")
    await anext(aiter(answer))
    await anext(aiter(answer))
    leaving = asyncio.create_task(answer.aclose())
    await turns()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving


@pytest.mark.parametrize("closing", [Closing.RAISING, Closing.SWALLOWING])
async def test_nothing_is_tried_for_a_reader_who_left_whatever_the_provider_raises(
    closing: Closing,
) -> None:
    stage = Stage(Part((Stall(None), LOST), closing))
    reading = await stage.read()
    reading.cancel()
    await stage.run_for(60)

    assert reading.cancelled()
    assert len(stage.cast.performances) == 1
    assert await stage.world.tokens() == (PROMPT_TOKENS, 0)


async def test_what_a_provider_says_to_a_reader_who_left_is_charged_and_ends_it() -> None:
    stage = Stage(Part((Say(1), Stall(None), Say(2), Say(4)), Closing.SWALLOWING))
    reading = await stage.read()
    reading.cancel()
    await turns()

    assert reading.cancelled()
    assert await stage.world.tokens() == (PROMPT_TOKENS + 1 + 2, 0)


async def test_breaking_off_is_not_disturbed_by_a_provider_that_fails_while_it_closes() -> None:
    stage = Stage(Part((Say(1), Stall(None)), Closing.RAISING))
    async with await stage.world.answer("one two three") as answer:
        await anext(aiter(answer))
        await anext(aiter(answer))

    assert await stage.world.tokens() == (PROMPT_TOKENS + 1, 0)


async def test_a_failure_is_not_hidden_by_a_failure_to_close() -> None:
    stage = Stage(Part((REFUSED,), Closing.RAISING), Part((Finish(2),)))
    reading = await stage.read()
    await stage.run_for(5)

    assert isinstance((await reading)[-1], Finished)
    assert await stage.world.tokens() == (5 + 2, 0)


async def test_a_cancel_that_nobody_asked_for_is_a_failure_of_the_provider() -> None:
    stage = Stage(Part((Say(1), Crash(cancelled=True))))
    events = await (await stage.read())

    assert isinstance(events[-1], Failed)
    assert stage.world.witness.reports[0].failure == Failure(
        FailureKind.UNKNOWN, code="CancelledError"
    )


async def test_a_provider_that_does_not_heed_a_time_limit_is_told_again() -> None:
    stage = Stage(Part((Say(1), Stall(None), Stall(None), Stall(None)), Closing.SWALLOWING))
    reading = await stage.read()
    await stage.clock.run_for(5 * US_PER_S + 2 * GIVE_UP_WITHIN_US)

    assert isinstance((await reading)[-1], Failed)
    assert reading.cancelling() == 0


async def test_a_time_limit_leaves_no_trace_on_the_readers_task() -> None:
    stage = Stage(*[Part((Stall(None),), closing) for closing in Closing])
    reading = await stage.read()
    await stage.run_for(60)
    await reading

    assert reading.cancelling() == 0


async def test_the_total_time_is_over_once_and_for_all() -> None:
    limits = TimeLimits(10 * US_PER_S, 10 * US_PER_S, total_us=5 * US_PER_S)
    stage = Stage(Part((Stall(None),)))
    stage.world = World(
        policy=replace(PATIENT, time_limits=limits), clock=stage.clock, provider=stage.cast
    )
    reading = await stage.read()
    await stage.run_for(5)

    assert isinstance((await reading)[-1], Failed)
    assert len(stage.cast.performances) == 1


async def test_a_cancel_after_a_time_limit_passed_unnoticed_is_the_readers_own() -> None:
    stage = Stage(Part((Say(1), Finish(1)), Closing.HANGING))
    answer = await stage.world.answer("one two three")
    events = aiter(answer)
    await anext(events)
    await anext(events)
    stage.clock.advance(PATIENT.time_limits.total_us)

    async def read_on() -> EventBatch:
        return await anext(events)

    reading = asyncio.create_task(read_on())
    await turns()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_time_limits_hold_where_every_batch_is_read_by_another_task() -> None:
    stage = Stage(Part((Say(1), Stall(None))))
    answer = await stage.world.answer("one two three")
    events = aiter(answer)

    async def read() -> EventBatch:
        return await anext(events)

    for _ in range(2):
        await asyncio.create_task(read())
    reading = asyncio.create_task(read())
    await stage.run_for(5)

    assert isinstance((await reading)[-1], Failed)
    await answer.aclose()


async def test_a_reader_who_forgets_to_close_is_settled_when_it_is_cancelled() -> None:
    stage = Stage(Part((LOST,)))
    answer = await stage.world.answer("one two three")

    async def read() -> None:
        async for _ in answer:
            pass

    reading = asyncio.create_task(read())
    await turns()
    reading.cancel()
    await turns()

    assert reading.cancelled()
    assert await stage.world.tokens() == (PROMPT_TOKENS, 0)


async def test_a_cancel_keeps_the_message_that_it_came_with() -> None:
    stage = Stage(Part((Stall(None),)))
    reading = await stage.read()
    reading.cancel("by the test")

    with pytest.raises(asyncio.CancelledError, match="by the test"):
        await reading


async def test_closing_while_another_task_reads_is_an_error_that_changes_nothing() -> None:
    stage = Stage(Part((Say(1), Stall(1), Finish(2))))
    answer = await stage.world.answer("one two three")
    reading = asyncio.create_task(collect(answer))
    await turns()
    with pytest.raises(RuntimeError):
        await answer.aclose()
    await stage.run_for(1)

    assert isinstance((await reading)[-1], Finished)
    assert await stage.world.tokens() == (5 + 2, 0)


async def test_text_after_the_end_is_no_answer_and_its_report_is_not_believed() -> None:
    stage = Stage(Part((Say(2), Finish(reported=1, late=True))))
    events = await (await stage.read())

    assert isinstance(events[-1], Failed)
    assert await stage.world.tokens() == (PROMPT_TOKENS + 2, 0)


async def test_a_report_is_charged_even_if_the_provider_says_that_it_did_nothing() -> None:
    world = World()
    answer = await world.answer("one two three")
    reading = asyncio.create_task(collect(answer))
    await turns()
    world.provider.calls[0].give(UsageReported(TokenUsage(5, 1)))
    world.provider.calls[0].fail(Failure(FailureKind.INVALID_REQUEST, billable=False))
    await reading

    assert await world.tokens() == (6, 0)


async def test_empty_batches_are_not_shown_to_the_reader() -> None:
    stage = Stage(Part((Say(0), Say(1), Say(0), Finish(1))))
    answer = await stage.world.answer("one two three")
    batches = [batch async for batch in answer]

    assert [type(event) for batch in batches for event in batch] == [
        Started,
        TextDelta,
        UsageReported,
        Finished,
    ]
    assert all(batches)


async def test_a_shutdown_lets_a_provider_close_in_peace() -> None:
    stage = Stage(Part((LOST,), Closing.HANGING))
    answer = await stage.world.answer("one two three")
    reading = asyncio.create_task(collect(answer))
    await turns()
    answer.stop(PublicError("server_shutting_down", "Goodbye."))
    await stage.clock.run_for(GIVE_UP_WITHIN_US - 1)
    assert not reading.done()
    await stage.clock.run_for(1)

    assert isinstance((await reading)[-1], Failed)


class Gossip:
    """An observer that fails at everything."""

    def call_ended(self, report: CallReport) -> None:
        raise ZeroDivisionError

    def refused(self, principal: str, profile: str, code: str) -> None:
        raise ZeroDivisionError

    def settlement_failed(self, hold_id: str) -> None:
        raise ZeroDivisionError

    def settlement_abandoned(self, hold_id: str) -> None:
        raise ZeroDivisionError


async def test_what_an_observer_raises_costs_nobody_anything() -> None:
    world = World(policy=PATIENT, observer=Gossip())
    answer = await world.answer("one two three")
    world.provider.script += [LOST.failure or (), (TextDelta("hi "), Finished(FinishReason.STOP))]
    reading = asyncio.create_task(collect(answer))
    await world.clock.run_for(5 * US_PER_S)
    events = await reading

    assert text_of(events) == "hi "
    assert await world.tokens() == (2 * PROMPT_TOKENS + 1, 0)
    assert isinstance(await world.open("word " * 990), Refusal)
