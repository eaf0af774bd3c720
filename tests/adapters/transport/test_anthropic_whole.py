"""Answers in one piece: byte for byte, as the official SDK reads them, and as they are streamed."""

import anthropic
import pytest
from hypothesis import given

from chatnest.adapters.transport import WireResponse
from chatnest.adapters.transport.anthropic_stream import AnthropicEncoder
from chatnest.adapters.transport.anthropic_whole import AnthropicReply
from chatnest.adapters.transport.wire import WholeReply
from chatnest.domain.errors import PublicError
from chatnest.domain.events import (
    ChatEvent,
    Failed,
    Finished,
    FinishReason,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from chatnest.domain.usage import TokenUsage
from chatnest.testing.event_strategies import event_sequences, failures, finishes
from tests.adapters.transport.anthropic_client import read_stream, read_whole
from tests.adapters.transport.anthropic_model import expected_message, finished_answers, shown
from tests.adapters.transport.examples import NOW

STARTED = Started("request-1", "model-1", "balanced", NOW)
DONE = Finished(FinishReason.STOP)


def answer(*events: ChatEvent) -> WireResponse:
    reply: WholeReply = AnthropicReply()
    for event in events:
        reply.add([event])
    return reply.response()


def test_a_whole_answer_is_one_message() -> None:
    response = answer(
        STARTED,
        ReasoningDelta("Hm", "c2VhbA=="),
        TextDelta("Hel"),
        TextDelta("lo"),
        ToolCallDelta(0, "call-1", "add", '{"a": '),
        ToolCallDelta(0, arguments="1.50}"),
        UsageReported(TokenUsage(120, 30, 100, 5, 8)),
        Finished(FinishReason.TOOL_CALLS),
    )
    assert (response.status, response.headers) == (200, (("content-type", "application/json"),))
    assert response.body == (
        b'{"type":"message","id":"msg_request-1","role":"assistant","model":"model-1","content":['
        b'{"type":"thinking","thinking":"Hm","signature":"c2VhbA=="},'
        b'{"type":"text","text":"Hello"},'
        b'{"type":"tool_use","id":"call-1","name":"add","input":{"a":1.5}}],'
        b'"stop_reason":"tool_use","stop_sequence":null,'
        b'"usage":{"input_tokens":15,"cache_creation_input_tokens":5,'
        b'"cache_read_input_tokens":100,"output_tokens":30,'
        b'"output_tokens_details":{"thinking_tokens":8}}}'
    )


def test_a_seal_ends_a_thought_and_a_redacted_one_stands_alone() -> None:
    hidden = ReasoningDelta("", "x", True)
    thoughts = (ReasoningDelta("a", "1"), ReasoningDelta("b"), hidden, ReasoningDelta("c"))
    assert (
        b'"content":[{"type":"thinking","thinking":"a","signature":"1"},'
        b'{"type":"thinking","thinking":"b","signature":""},'
        b'{"type":"redacted_thinking","data":"x"},'
        b'{"type":"thinking","thinking":"c","signature":""}]'
    ) in answer(STARTED, *thoughts, DONE).body


@given(finished_answers())
async def test_the_sdk_reads_the_same_message_whole_and_streamed(events: list[ChatEvent]) -> None:
    whole = shown(await read_whole(answer(*events)))
    assert whole == expected_message(events)
    assert whole == shown(await read_stream([AnthropicEncoder().encode(events)]))


@given(event_sequences(endings=finishes()))
async def test_arguments_that_are_no_object_are_kept_as_text(events: list[ChatEvent]) -> None:
    assert shown(await read_whole(answer(*events))) == expected_message(events)


@pytest.mark.parametrize(
    ("arguments", "shown_as"),
    [
        ("", "{}"),
        ("{}", "{}"),
        ('{"a":', '{"INVALID_JSON":"{\\"a\\":"}'),
        ("[]", '{"INVALID_JSON":"[]"}'),
        ("null", '{"INVALID_JSON":"null"}'),
        ('{"a":NaN}', '{"INVALID_JSON":"{\\"a\\":NaN}"}'),
        ('{"a":1e999}', '{"INVALID_JSON":"{\\"a\\":1e999}"}'),
        ('{"a":"\\ud83d"}', '{"INVALID_JSON":"{\\"a\\":\\"\\\\ud83d\\"}"}'),
    ],
)
def test_the_input_of_a_call_is_an_object(arguments: str, shown_as: str) -> None:
    body = answer(STARTED, ToolCallDelta(0, "c", "add", arguments), DONE).body
    assert f'"name":"add","input":{shown_as}}}]' in body.decode()


def test_arguments_nested_without_end_are_kept_as_text() -> None:
    deep = '{"a":' * 100_000
    body = answer(STARTED, ToolCallDelta(0, "c", "add", deep), DONE).body
    assert b'{"INVALID_JSON":"{' in body


def test_half_a_pair_anywhere_never_breaks_an_answer() -> None:
    halves = (TextDelta("\ud83d"), ToolCallDelta(0, "c", "add", '{"a":"\udfff"}'))
    body = answer(STARTED, *halves, Finished(FinishReason.STOP, "\ud800")).body
    assert body.isascii()
    assert b'"text":"\\ud83d"' in body
    assert b'"INVALID_JSON":"{\\"a\\":\\"\\udfff\\"}"' in body


@given(event_sequences(endings=failures()))
async def test_an_answer_that_failed_is_an_error_alone(events: list[ChatEvent]) -> None:
    failed = events[-1]
    assert isinstance(failed, Failed)
    with pytest.raises(anthropic.APIStatusError) as caught:
        await read_whole(answer(*events))
    assert caught.value.status_code >= 400
    assert caught.value.api_message == failed.error.message
    assert caught.value.error_code == failed.error.code


def test_an_error_names_the_request() -> None:
    response = answer(STARTED, TextDelta("a"), Failed(PublicError("provider_unknown", "Odd.")))
    assert response.status == 502
    assert response.body == (
        b'{"type":"error","error":{"type":"api_error","message":"Odd.",'
        b'"details":{"error_code":"provider_unknown"}},"request_id":"request-1"}'
    )
