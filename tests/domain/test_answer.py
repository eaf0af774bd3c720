"""How a call ends, and what each ending charges."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from chatnest.domain.answer import Answer
from chatnest.domain.errors import Failure, FailureKind
from chatnest.domain.events import (
    Failed,
    Finished,
    FinishReason,
    Started,
    TextDelta,
    UsageReported,
)
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import US_PER_S
from tests.domain.chat_world import (
    PATIENT,
    World,
    collect,
    leave_after,
    text_of,
    turns,
    usage_of,
)

OVERLOADED = Failure(FailureKind.OVERLOADED, status=503, billable=False)

# "one two three" is three words, with two tokens around each message and three around all.
PROMPT_TOKENS = 3 + 2 + 3


async def test_a_finished_answer_is_charged_what_the_provider_reports() -> None:
    world = World()
    answer = await world.answer()
    world.provider.script.append(
        (
            TextDelta("Hi"),
            TextDelta(" you"),
            UsageReported(TokenUsage(7, 2)),
            Finished(FinishReason.STOP),
        )
    )

    events = await collect(answer)

    assert [type(event) for event in events] == [
        Started,
        TextDelta,
        TextDelta,
        UsageReported,
        Finished,
    ]
    report = usage_of(events)
    assert (report.usage, report.estimated) == (TokenUsage(7, 2), False)
    assert report.cost_nano_usd == 7 * 1_000 + 2 * 4_000
    assert await world.tokens() == (9, 0)


async def test_the_last_usage_says_what_is_left() -> None:
    world = World()
    answer = await world.answer()
    world.provider.script.append((UsageReported(TokenUsage(7, 2)), Finished(FinishReason.STOP)))

    balances = usage_of(await collect(answer)).balances

    tokens = next(b for b in balances if b.rule.limit == 10_000)
    assert (tokens.settled, tokens.held, tokens.remaining) == (9, 0, 9_991)


async def test_without_a_report_the_tokenizer_says_what_was_used() -> None:
    world = World()
    answer = await world.answer()
    world.provider.script.append(
        (TextDelta("four more "), TextDelta("words here"), Finished(FinishReason.STOP))
    )

    report = usage_of(await collect(answer))

    assert (report.usage, report.estimated) == (TokenUsage(PROMPT_TOKENS, 4), True)
    assert await world.tokens() == (PROMPT_TOKENS + 4, 0)


async def test_a_report_of_zero_is_zero_and_not_missing() -> None:
    world = World()
    answer = await world.answer()
    world.provider.script.append(
        (TextDelta("free"), UsageReported(TokenUsage(0, 0)), Finished(FinishReason.STOP))
    )

    assert usage_of(await collect(answer)).estimated is False
    assert await world.tokens() == (0, 0)


async def test_a_reader_who_leaves_closes_the_provider_and_pays_for_what_came() -> None:
    world = World()
    answer = await world.answer()
    leaving = asyncio.create_task(leave_after(answer, 3))
    await turns()
    world.provider.calls[0].say("a ", "b ", "c ")
    await leaving

    assert world.provider.calls[0].closed
    assert await world.tokens() == (PROMPT_TOKENS + 3, 0)
    assert set(await world.held()) == {0}
    assert world.witness.reports[0].finish_reason is FinishReason.CANCELLED


async def test_a_reader_who_leaves_before_the_first_token_pays_for_the_prompt() -> None:
    world = World()
    answer = await world.answer()

    await leave_after(answer, 0)

    assert world.provider.calls[0].closed
    assert await world.tokens() == (PROMPT_TOKENS, 0)


async def test_a_reader_who_never_reads_calls_no_provider_and_pays_nothing() -> None:
    world = World()
    answer = await world.answer()
    assert (await world.tokens())[1] > 0

    await answer.aclose()

    assert world.provider.calls == []
    assert await world.tokens() == (0, 0)


async def test_a_reader_who_breaks_off_between_two_batches_settles_too() -> None:
    world = World()
    answer = await world.answer()
    world.provider.script.append((TextDelta("one"),))
    async with answer:
        async for batch in answer:
            if isinstance(batch[0], TextDelta):
                break

    assert world.provider.calls[0].closed
    assert await world.tokens() == (PROMPT_TOKENS + 1, 0)


async def test_closing_twice_settles_once() -> None:
    world = World()
    answer = await world.answer()
    await leave_after(answer, 0)
    await answer.aclose()

    assert await world.tokens() == (PROMPT_TOKENS, 0)
    assert len(world.witness.reports) == 1


async def test_a_second_cancel_while_settling_loses_nothing() -> None:
    world = World()
    answer = await world.answer()
    counting, counted = asyncio.Event(), asyncio.Event()
    count = world.counter.count

    async def slow_count(model: str, text: str, *, most: int | None = None) -> int:
        counting.set()
        await counted.wait()
        return await count(model, text)

    world.counter.count = slow_count  # type: ignore[method-assign]  # the test is the counter
    reading = asyncio.create_task(collect(answer))
    await turns()
    reading.cancel()
    await counting.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    counted.set()
    assert await world.service.drain(US_PER_S) == 0

    assert await world.tokens() == (PROMPT_TOKENS, 0)


async def test_a_broken_tokenizer_charges_the_whole_hold() -> None:
    world = World()
    answer = await world.answer()
    held = (await world.tokens())[1]
    world.counter.broken = True

    await leave_after(answer, 0)

    assert await world.tokens() == (held, 0)


async def test_a_failure_in_the_middle_ends_with_an_error_and_is_never_retried() -> None:
    world = World(policy=PATIENT)
    answer = await world.answer()
    collecting = asyncio.create_task(collect(answer))
    await turns()
    world.provider.calls[0].say("half ", "an ")
    world.provider.calls[0].fail(OVERLOADED)
    events = await collecting

    assert len(world.provider.calls) == 1
    assert text_of(events) == "half an "
    assert isinstance(events[-1], Failed)
    assert events[-1].error.code == "provider_overloaded"
    assert await world.tokens() == (PROMPT_TOKENS + 2, 0)


async def test_a_provider_that_hangs_up_without_an_end_is_a_failure() -> None:
    world = World()
    answer = await world.answer()
    collecting = asyncio.create_task(collect(answer))
    await turns()
    world.provider.calls[0].say("cut ")
    world.provider.calls[0].cut()
    events = await collecting

    assert isinstance(events[-1], Failed)
    assert events[-1].error.code == "provider_interrupted"
    assert await world.tokens() == (PROMPT_TOKENS + 1, 0)


async def test_an_exception_of_a_provider_ends_its_answer_alone() -> None:
    world = World()
    answer = await world.answer()
    collecting = asyncio.create_task(collect(answer))
    await turns()
    world.provider.calls[0].crash(ZeroDivisionError("secret prompt"))
    events = await collecting

    assert isinstance(events[-1], Failed)
    assert "secret" not in repr(events[-1])
    assert world.witness.reports[0].failure == Failure(
        FailureKind.UNKNOWN, code="ZeroDivisionError"
    )


async def test_events_out_of_order_are_a_failure() -> None:
    world = World()
    answer = await world.answer()
    world.provider.script.append((UsageReported(TokenUsage(1, 1)), TextDelta("late")))

    events = await collect(answer)

    assert isinstance(events[-1], Failed)
    assert text_of(events) == ""


async def test_no_timer_is_left_behind() -> None:
    endings: list[Callable[[World, Answer], Awaitable[object]]] = [
        lambda world, answer: leave_after(answer, 0),
        lambda world, answer: answer.aclose(),
    ]
    for ending in endings:
        world = World(policy=PATIENT)
        await ending(world, await world.answer())
        assert world.clock.pending == 0


async def test_the_end_goes_with_the_text_that_it_came_with() -> None:
    world = World()
    answer = await world.answer("x")
    world.provider.script.append(
        (TextDelta("hi"), UsageReported(TokenUsage(4, 1)), Finished(FinishReason.STOP))
    )
    async with answer:
        batches = [[type(event) for event in batch] async for batch in answer]
    assert batches == [[Started], [TextDelta, UsageReported, Finished]]
