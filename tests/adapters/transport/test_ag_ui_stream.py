"""Events on AG-UI's wire: byte for byte, and as the protocol's own Python models take them."""

import pytest
from ag_ui.core.events import RunErrorEvent, RunFinishedEvent
from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.transport.ag_ui import AgUiDialect, AgUiEncoder
from chatnest.adapters.transport.chatnest import ChatNestDialect
from chatnest.adapters.transport.wire import Dialect, Encoder
from chatnest.domain.admission import Admitted
from chatnest.domain.budget import Hold
from chatnest.domain.errors import InvalidRequestError, PublicError
from chatnest.domain.events import (
    ChatEvent,
    Failed,
    Finished,
    FinishReason,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from chatnest.domain.usage import TokenUsage
from chatnest.testing.event_strategies import event_batches, event_sequences
from tests.adapters.transport.ag_ui_client import AgUiClient
from tests.adapters.transport.answer_model import Answer, Thought, answer
from tests.adapters.transport.examples import NOW, balance, rate, rate_limited

DIALECT: Dialect = AgUiDialect()
STARTED = Started("request-1", "model-1", "balanced", NOW)
BEGIN = b'data: {"type":"RUN_STARTED","threadId":"t","runId":"r","protocolVersion":"1.0"}\n\n'
STOP = Finished(FinishReason.STOP)
USAGE = UsageReported(
    TokenUsage(120, 30, cached_input_tokens=100, cache_write_tokens=5, reasoning_tokens=8),
    FinishReason.STOP,
    balances=(balance(settled=1_150, held=0),),
)


def encode(*events: ChatEvent) -> bytes:
    return AgUiEncoder("t", "r").encode(events)


def read(*events: ChatEvent) -> AgUiClient:
    return AgUiClient().read(encode(*events))


def test_an_answer_of_one_text_is_these_bytes() -> None:
    assert encode(STARTED, TextDelta('He"'), RefusalDelta("é\n"), STOP) == (
        BEGIN
        + b'data: {"type":"TEXT_MESSAGE_START","messageId":"request-1","role":"assistant"}\n\n'
        + b'data: {"type":"TEXT_MESSAGE_CONTENT","messageId":"request-1","delta":"He\\""}\n\n'
        + b'data: {"type":"TEXT_MESSAGE_CONTENT","messageId":"request-1",'
        + '"delta":"é\\n"}\n\n'.encode()
        + b'data: {"type":"TEXT_MESSAGE_END","messageId":"request-1"}\n\n'
        + b'data: {"type":"RUN_FINISHED","threadId":"t","runId":"r",'
        + b'"result":{"finishReason":"stop"},"outcome":{"type":"success"}}\n\n'
    )


def test_thoughts_and_their_seals_are_these_bytes() -> None:
    thoughts = (ReasoningDelta("Hm", "seal"), ReasoningDelta(signature="data", redacted=True))
    first, second = b'"messageId":"request-1-thought-0"', b'"messageId":"request-1-thought-1"'
    assert encode(STARTED, *thoughts) == (
        BEGIN
        + b'data: {"type":"REASONING_START",' + first + b"}\n\n"
        + b'data: {"type":"REASONING_MESSAGE_START",' + first + b',"role":"reasoning"}\n\n'
        + b'data: {"type":"REASONING_MESSAGE_CONTENT",' + first + b',"delta":"Hm"}\n\n'
        + b'data: {"type":"REASONING_MESSAGE_END",' + first + b"}\n\n"
        + b'data: {"type":"REASONING_ENCRYPTED_VALUE","subtype":"message",'
        + b'"entityId":"request-1-thought-0","encryptedValue":"seal"}\n\n'
        + b'data: {"type":"REASONING_END",' + first + b"}\n\n"
        + b'data: {"type":"REASONING_START",' + second + b"}\n\n"
        + b'data: {"type":"REASONING_MESSAGE_START",' + second
        + b',"role":"reasoning","metadata":{"chatnest":{"redacted":true}}}\n\n'
        + b'data: {"type":"REASONING_MESSAGE_END",' + second + b"}\n\n"
        + b'data: {"type":"REASONING_ENCRYPTED_VALUE","subtype":"message",'
        + b'"entityId":"request-1-thought-1","encryptedValue":"data"}\n\n'
        + b'data: {"type":"REASONING_END",' + second + b"}\n\n"
    )  # fmt: skip


def test_a_tool_call_is_these_bytes() -> None:
    pieces = (ToolCallDelta(0, "c-1", "add", '{"a":'), ToolCallDelta(0, arguments="\n1}"))
    assert encode(STARTED, *pieces, Finished(FinishReason.TOOL_CALLS)) == (
        BEGIN
        + b'data: {"type":"TOOL_CALL_START","toolCallId":"c-1","toolCallName":"add",'
        + b'"parentMessageId":"request-1"}\n\n'
        + b'data: {"type":"TOOL_CALL_ARGS","toolCallId":"c-1","delta":"{\\"a\\":"}\n\n'
        + b'data: {"type":"TOOL_CALL_ARGS","toolCallId":"c-1","delta":"\\n1}"}\n\n'
        + b'data: {"type":"TOOL_CALL_END","toolCallId":"c-1"}\n\n'
        + b'data: {"type":"RUN_FINISHED","threadId":"t","runId":"r","result":'
        + b'{"finishReason":"tool_calls"},'
        + b'"outcome":{"type":"success","pendingToolCallIds":["c-1"]}}\n\n'
    )


def test_usage_is_a_custom_event_and_the_runs_own_account() -> None:
    assert encode(STARTED, USAGE, Finished(FinishReason.STOP, "END")) == (
        BEGIN
        + b'data: {"type":"CUSTOM","name":"chatnest.usage","value":{"inputTokens":120,'
        + b'"outputTokens":30,"totalTokens":150,"cachedInputTokens":100,"reasoningTokens":8,'
        + b'"costUsd":null,"finishReason":"stop","estimated":false,"limits":[{"name":"tokens-day",'
        + b'"scope":"someone","limit":70000,"used":1150,"held":0,"remaining":68850,'
        + b'"resetsAt":"2026-11-23T00:00:00Z"}]}}\n\n'
        + b'data: {"type":"RUN_FINISHED","threadId":"t","runId":"r",'
        + b'"result":{"finishReason":"stop","stopSequence":"END"},"outcome":{"type":"success"},'
        + b'"usage":[{"model":"model-1","inputTokens":120,"outputTokens":30,"totalTokens":150,'
        + b'"reasoningTokens":8,"cachedInputTokens":100,"cacheWriteInputTokens":5}]}\n\n'
    )


def test_a_failure_closes_what_is_open_but_leaves_no_call_to_be_run() -> None:
    failed = Failed(PublicError("provider_timeout", "Too slow.", retryable=True))
    stream = encode(STARTED, ToolCallDelta(0, "c", "f", "{}"), TextDelta("half"), failed)
    assert b"TOOL_CALL_END" not in stream
    assert stream.endswith(
        b'data: {"type":"TEXT_MESSAGE_END","messageId":"request-1"}\n\n'
        b'data: {"type":"RUN_ERROR","message":"Too slow.","code":"provider_timeout"}\n\n'
    )


def test_a_cancelled_answer_is_a_cancelled_run() -> None:
    end = read(STARTED, Finished(FinishReason.CANCELLED)).end
    assert isinstance(end, RunFinishedEvent)
    assert end.outcome is not None
    assert (end.outcome.type, end.result) == ("cancelled", None)


def test_an_answer_that_its_model_ends_with_an_error_is_a_failed_run() -> None:
    end = read(STARTED, USAGE, Finished(FinishReason.ERROR)).end
    assert isinstance(end, RunErrorEvent)
    assert (end.code, bool(end.usage)) == ("provider_error", True)


def test_a_ping_is_a_comment() -> None:
    encoder: Encoder = AgUiEncoder("t", "r")
    assert encoder.ping == b": ping\n\n"


@given(event_sequences(), st.data())
def test_the_protocols_models_see_every_answer_whole(
    events: list[ChatEvent], data: st.DataObject
) -> None:
    encoder = AgUiEncoder("t", "r")
    batches = data.draw(event_batches(events))
    stream = b"".join(encoder.ping + encoder.encode(batch) for batch in batches)
    client = AgUiClient().read(stream)
    expected = answer(events)

    assert client.text == expected.text
    assert list(client.thoughts.values()) == [told(thought) for thought in expected.thoughts]
    assert client.calls == {
        call.id: {"name": call.name, "arguments": call.arguments} for call in expected.calls
    }
    assert [name for name, _ in client.custom] == ["chatnest.usage"] * bool(expected.usage)
    check_ending(client, expected)


def told(thought: Thought) -> dict[str, object]:
    seal = {} if thought.seal is None else {"seal": thought.seal}
    metadata = {"chatnest": {"redacted": True}} if thought.redacted else None
    return {"text": thought.text, "metadata": metadata, **seal}


def check_ending(client: AgUiClient, expected: Answer) -> None:
    assert client.end is not None
    match expected.ending:
        case Failed(error=error):
            assert isinstance(client.end, RunErrorEvent)
            assert (client.end.message, client.end.code) == (error.message, error.code)
        case Finished(finish_reason=FinishReason.ERROR):
            assert isinstance(client.end, RunErrorEvent)
        case Finished(finish_reason=FinishReason.CANCELLED):
            assert isinstance(client.end, RunFinishedEvent)
        case Finished(finish_reason=reason):
            assert isinstance(client.end, RunFinishedEvent)
            assert client.end.result is not None
            assert client.end.result["finishReason"] == reason
            assert client.end.outcome is not None
            assert client.end.outcome.type == "success"
            pending = client.end.outcome.pending_tool_call_ids or []
            assert pending == [call.id for call in expected.calls]
    totals = [entry.total_tokens for entry in client.end.usage or []]
    assert totals == ([] if expected.usage is None else [expected.usage.usage.total_tokens])


@pytest.mark.parametrize("text", ["\ud83d", "a\ude00", "\ud83d\ude00"])
def test_half_a_pair_anywhere_never_breaks_a_stream(text: str) -> None:
    events = (
        STARTED,
        ReasoningDelta(text, text),
        TextDelta(text),
        ToolCallDelta(0, text, text, text),
        Failed(PublicError("x", text)),
    )
    stream = AgUiEncoder(text, text).encode(events)
    assert stream.isascii()
    assert stream.count(b"\n\n") == len(stream.splitlines()) / 2


def test_headers_and_errors_are_those_of_chatnests_own_wire() -> None:
    own = ChatNestDialect()
    hold = Hold("h", "r", "someone", "balanced", "p", "m", (), 400, NOW, NOW + 1)
    admitted = Admitted(hold, (rate(29, 2_000_000),), (balance(held=600),))
    refusal, error = rate_limited(1_500_000), InvalidRequestError("is blank", field="messages")
    assert DIALECT.stream_headers(STARTED, admitted, NOW) == own.stream_headers(
        STARTED, admitted, NOW
    )
    assert DIALECT.answer_headers(STARTED, admitted, NOW) == own.answer_headers(
        STARTED, admitted, NOW
    )
    assert DIALECT.refusal(refusal, NOW) == own.refusal(refusal, NOW)
    assert DIALECT.error(error) == own.error(error)
    assert dict(DIALECT.error(error).headers)["content-type"] == "application/json"
