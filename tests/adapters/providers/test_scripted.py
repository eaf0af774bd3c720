"""The scripted provider does what its script says, and records what was done with it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.providers.scripted import (
    CALLS_KEPT,
    EVERYTHING,
    CallState,
    Script,
    ScriptedProvider,
)
from chatnest.domain.capabilities import TEXT_ONLY
from chatnest.domain.errors import Failure, FailureKind, ProviderError
from chatnest.domain.events import (
    Finished,
    FinishReason,
    ProviderBatch,
    ProviderEvent,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from chatnest.domain.messages import ImagePart, Message, Role, TextPart, ToolCall
from chatnest.domain.ports import ProviderCall
from chatnest.domain.tools import Tool
from chatnest.domain.usage import TokenUsage
from chatnest.testing.clock import ManualClock

CALL = ProviderCall("r", "m", (Message(Role.SYSTEM, "Be kind."), Message(Role.USER, "Hi you")), 50)
OVERLOADED = Failure(FailureKind.OVERLOADED, 529)


async def batches_of(
    provider: ScriptedProvider, call: ProviderCall = CALL, given: list[ProviderBatch] | None = None
) -> list[ProviderBatch]:
    batches = [] if given is None else given
    async with provider.stream(call) as stream:
        async for batch in stream:
            batches.append(batch)
    return batches


async def play(script: Script, call: ProviderCall = CALL) -> list[ProviderEvent]:
    provider = ScriptedProvider(ManualClock(), script)
    return [event for batch in await batches_of(provider, call) for event in batch]


def texts(events: Sequence[ProviderEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, TextDelta)]


def states(provider: ScriptedProvider) -> list[CallState]:
    return [record.state for record in provider.calls]


async def test_without_a_script_it_repeats_what_was_said_last() -> None:
    clock = ManualClock()
    provider = ScriptedProvider(clock)
    reading = asyncio.create_task(batches_of(provider))
    await clock.run_for(10_000_000)
    events = [event for batch in await reading for event in batch]
    assert texts(events) == ["Hi", " you"]
    assert events[-2:] == [UsageReported(TokenUsage(4, 2)), Finished(FinishReason.STOP)]


async def test_words_are_its_usual_pieces() -> None:
    assert texts(await play(Script(text=" two  words\n"))) == [" two", "  words", "\n"]


@given(st.text(max_size=30), st.none() | st.integers(1, 4), st.integers(1, 3))
async def test_pieces_are_never_empty_and_join_to_the_text(
    text: str, piece_size: int | None, per_batch: int
) -> None:
    script = Script(text=text, piece_size=piece_size, per_batch=per_batch)
    batches = await batches_of(ScriptedProvider(ManualClock(), script))
    pieces = texts([event for batch in batches for event in batch])
    assert "".join(pieces) == text
    assert all(pieces)
    assert all(len(batch) == per_batch for batch in batches[:-2])


async def test_reasoning_comes_before_the_text_and_the_rest_after_it() -> None:
    script = Script(
        text="so",
        reasoning="hm",
        refusal="I will not",
        tool_calls=(ToolCall("c", "f", "{}"),),
        finish_reason=FinishReason.TOOL_CALLS,
        usage=None,
    )
    assert await play(script) == [
        ReasoningDelta("hm"),
        TextDelta("so"),
        *(RefusalDelta("I"), RefusalDelta(" will"), RefusalDelta(" not")),
        ToolCallDelta(0, "c", "f", "{}"),
        Finished(FinishReason.TOOL_CALLS),
    ]


async def test_pictures_and_tools_are_taken_and_the_words_of_tools_are_counted() -> None:
    seen = Message.of_parts(Role.USER, [TextPart("See this"), ImagePart("https://example.test/a")])
    tool = Tool("f", "two words", "{}")
    events = await play(Script(), replace(CALL, messages=(seen,), tools=(tool,)))
    assert texts(events) == ["See", " this"]
    assert UsageReported(TokenUsage(2 + 4, 2)) in events


async def test_a_picture_alone_is_answered_with_nothing() -> None:
    seen = Message.of_parts(Role.USER, [ImagePart("https://example.test/a")])
    assert await play(Script(usage=None), replace(CALL, messages=(seen,))) == [
        Finished(FinishReason.STOP)
    ]


async def test_it_says_of_itself_what_it_was_made_with() -> None:
    assert ScriptedProvider(ManualClock()).capabilities == EVERYTHING
    modest = ScriptedProvider(ManualClock(), capabilities=TEXT_ONLY)
    assert modest.capabilities == TEXT_ONLY


@pytest.mark.parametrize(
    ("usage", "reported"),
    [
        (TokenUsage(0, 0), [UsageReported(TokenUsage(0, 0))]),
        (None, []),
        ("counted", [UsageReported(TokenUsage(4, 3))]),
    ],
)
async def test_usage_is_counted_given_or_left_out(usage: Any, reported: list[object]) -> None:
    events = await play(Script(text="a b c", usage=usage))
    assert events[3:-1] == reported


async def test_the_cap_is_honoured_or_not_as_the_script_says() -> None:
    call = replace(CALL, max_output_tokens=2)
    capped = await play(Script(text="a b c d"), call)
    assert texts(capped) == ["a", " b"]
    assert capped[-2:] == [UsageReported(TokenUsage(4, 2)), Finished(FinishReason.LENGTH)]
    exact = await play(Script(text="a b"), call)
    assert exact[-1] == Finished(FinishReason.STOP)
    wild = await play(Script(text="a b c d", honour_cap=False), call)
    assert texts(wild) == ["a", " b", " c", " d"]
    assert wild[-1] == Finished(FinishReason.STOP)


async def test_time_passes_on_the_clock_alone() -> None:
    clock = ManualClock()
    provider = ScriptedProvider(clock, Script(text="a b c", first_delay_us=100, delay_us=10))
    given: list[ProviderBatch] = []
    reading = asyncio.create_task(batches_of(provider, given=given))
    seen = []
    for step_us in (99, 1, 9, 1, 10):
        await clock.run_for(step_us)
        seen.append(len(given))
    assert seen == [0, 1, 1, 2, 4]
    await reading


@pytest.mark.parametrize(
    ("fail_after", "before"), [(None, []), (0, []), (2, ["a", " b"]), (4, ["a", " b", " c", " d"])]
)
async def test_it_fails_where_the_script_says(fail_after: int | None, before: list[str]) -> None:
    script = Script(text="a b c d", failure=OVERLOADED, fail_after=fail_after)
    provider = ScriptedProvider(ManualClock(), script)
    given: list[ProviderBatch] = []
    with pytest.raises(ProviderError) as raised:
        await batches_of(provider, given=given)
    assert raised.value.failure == OVERLOADED
    assert texts([event for batch in given for event in batch]) == before
    assert states(provider) == [CallState.FAILED]
    assert provider.calls[0].deltas == len(before)


async def test_an_answer_too_short_to_fail_finishes() -> None:
    assert (await play(Script(text="a", failure=OVERLOADED, fail_after=2)))[-1] == Finished(
        FinishReason.STOP
    )


async def test_it_stalls_for_ever_where_the_script_says() -> None:
    clock = ManualClock()
    provider = ScriptedProvider(clock, Script(text="a b c", stall_after=2))
    given: list[ProviderBatch] = []
    reading = asyncio.create_task(batches_of(provider, given=given))
    await clock.run_for(365 * 24 * 3_600 * 1_000_000)
    assert len(given) == 2
    assert states(provider) == [CallState.OPEN]
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert states(provider) == [CallState.CLOSED_EARLY]


async def test_a_call_that_is_left_is_recorded_with_what_was_given() -> None:
    provider = ScriptedProvider(ManualClock(), Script(text="a b c d", per_batch=2))
    async with provider.stream(CALL) as batches:
        await anext(batches)
        assert states(provider) == [CallState.OPEN]
    (record,) = provider.calls
    assert (record.call, record.deltas, record.state) == (CALL, 2, CallState.CLOSED_EARLY)


async def test_a_call_that_is_left_at_its_finish_is_finished() -> None:
    provider = ScriptedProvider(ManualClock(), Script(text="a"))
    async with provider.stream(CALL) as batches:
        async for batch in batches:
            if isinstance(batch[-1], Finished):
                break
    assert states(provider) == [CallState.FINISHED]


async def test_scripts_are_played_in_turn_and_the_last_one_goes_on() -> None:
    failing, fine = Script(failure=OVERLOADED), Script(text="fine")
    provider = ScriptedProvider(ManualClock(), (failing, failing, fine))
    for _ in range(2):
        with pytest.raises(ProviderError):
            await batches_of(provider)
    for _ in range(2):
        assert await batches_of(provider)
    assert states(provider) == [
        *(CallState.FAILED, CallState.FAILED),
        *(CallState.FINISHED, CallState.FINISHED),
    ]


async def test_a_function_may_choose_the_script_by_the_call() -> None:
    provider = ScriptedProvider(ManualClock(), lambda call: Script(text=call.model))
    first, *_ = await batches_of(provider, replace(CALL, model="chosen"))
    assert first == [TextDelta("chosen")]


async def test_a_server_that_runs_for_long_does_not_keep_every_call() -> None:
    provider = ScriptedProvider(ManualClock(), (Script("first"), Script("later")))
    for _ in range(CALLS_KEPT + 10):
        await batches_of(provider)

    assert len(provider.calls) == CALLS_KEPT
    (first, *_) = await batches_of(provider)
    assert first == [TextDelta("later")]
