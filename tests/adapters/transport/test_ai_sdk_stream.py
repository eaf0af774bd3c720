"""Events on the AI SDK's wire: byte for byte, and as a strict reader of its schema takes them."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.transport.ai_sdk import AiSdkDialect, AiSdkEncoder
from chatnest.adapters.transport.usage_report import call_usage_report
from chatnest.adapters.transport.wire import Dialect, Encoder
from chatnest.domain.admission import Admitted
from chatnest.domain.budget import Hold
from chatnest.domain.errors import PublicError
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
from tests.adapters.transport.ai_sdk_client import AiSdkClient
from tests.adapters.transport.answer_model import Answer, Call, Text, Thought, answer, whole
from tests.adapters.transport.examples import NOW, balance, rate

DIALECT: Dialect = AiSdkDialect()
STARTED = Started("request-1", "model-1", "balanced", NOW)
BEGIN = (
    b'data: {"type":"start","messageId":"request-1",'
    b'"messageMetadata":{"model":"model-1","profile":"balanced"}}\n\n'
    b'data: {"type":"start-step"}\n\n'
)
END = b'data: {"type":"finish-step"}\n\ndata: {"type":"finish","finishReason":"stop"}\n\n'
DONE = b"data: [DONE]\n\n"
STOP = Finished(FinishReason.STOP)
REASONS = {
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.TOOL_CALLS: "tool-calls",
    FinishReason.CONTENT_FILTER: "content-filter",
    FinishReason.CANCELLED: "other",
    FinishReason.ERROR: "error",
}


def encode(*events: ChatEvent) -> bytes:
    return AiSdkEncoder().encode(events)


def read(*events: ChatEvent) -> AiSdkClient:
    return AiSdkClient().read(encode(*events))


def test_an_answer_of_one_text_is_these_bytes() -> None:
    assert encode(STARTED, TextDelta('He"'), TextDelta("é\n"), STOP) == (
        BEGIN
        + b'data: {"type":"text-start","id":"0"}\n\n'
        + b'data: {"type":"text-delta","id":"0","delta":"He\\""}\n\n'
        + 'data: {"type":"text-delta","id":"0","delta":"é\\n"}\n\n'.encode()
        + b'data: {"type":"text-end","id":"0"}\n\n'
        + END
        + DONE
    )


def test_thoughts_and_their_seals_are_these_bytes() -> None:
    thoughts = (
        ReasoningDelta("Hm"),
        ReasoningDelta(signature="seal"),
        ReasoningDelta(signature="data", redacted=True),
    )
    assert encode(STARTED, *thoughts, STOP) == (
        BEGIN
        + b'data: {"type":"reasoning-start","id":"0"}\n\n'
        + b'data: {"type":"reasoning-delta","id":"0","delta":"Hm"}\n\n'
        + b'data: {"type":"reasoning-end","id":"0",'
        + b'"providerMetadata":{"chatnest":{"signature":"seal"}}}\n\n'
        + b'data: {"type":"reasoning-start","id":"1"}\n\n'
        + b'data: {"type":"reasoning-end","id":"1",'
        + b'"providerMetadata":{"chatnest":{"signature":"data","redacted":true}}}\n\n'
        + END
        + DONE
    )


def test_a_redacted_thought_is_one_of_its_own() -> None:
    thoughts = (ReasoningDelta("Hm"), ReasoningDelta(signature="data", redacted=True))
    first, second = read(STARTED, *thoughts, STOP).parts
    assert first == {"type": "reasoning", "text": "Hm"}
    assert second["providerMetadata"] == {"chatnest": {"signature": "data", "redacted": True}}


def test_a_tool_call_is_these_bytes() -> None:
    pieces = (ToolCallDelta(0, "c-1", "add", '{"a":'), ToolCallDelta(0, arguments="\n1}"))
    assert encode(STARTED, *pieces, Finished(FinishReason.TOOL_CALLS)) == (
        BEGIN
        + b'data: {"type":"tool-input-start","toolCallId":"c-1","toolName":"add"}\n\n'
        + b'data: {"type":"tool-input-delta","toolCallId":"c-1","inputTextDelta":"{\\"a\\":"}\n\n'
        + b'data: {"type":"tool-input-delta","toolCallId":"c-1","inputTextDelta":"\\n1}"}\n\n'
        + b'data: {"type":"tool-input-available","toolCallId":"c-1","toolName":"add",'
        + b'"input":{"a": 1}}\n\n'
        + END.replace(b'"stop"', b'"tool-calls"')
        + DONE
    )


def test_usage_is_a_transient_part_and_the_finish_repeats_what_stays_with_the_message() -> None:
    usage = UsageReported(
        TokenUsage(120, 30, cached_input_tokens=100, reasoning_tokens=8),
        FinishReason.STOP,
        cost_nano_usd=1_234_500,
        estimated=True,
        balances=(balance(settled=1_150, held=0),),
    )
    assert encode(STARTED, usage, Finished(FinishReason.STOP, "END")) == (
        BEGIN
        + b'data: {"type":"data-chatnest-usage","data":{"inputTokens":120,"outputTokens":30,'
        + b'"totalTokens":150,"cachedInputTokens":100,"reasoningTokens":8,"costUsd":"0.0012345",'
        + b'"finishReason":"stop","estimated":true,"limits":[{"name":"tokens-day",'
        + b'"scope":"someone","limit":70000,"used":1150,"held":0,"remaining":68850,'
        + b'"resetsAt":"2026-11-23T00:00:00Z"}]},"transient":true}\n\n'
        + b'data: {"type":"finish-step"}\n\n'
        + b'data: {"type":"finish","finishReason":"stop","messageMetadata":{"usage":'
        + b'{"inputTokens":120,"outputTokens":30,"totalTokens":150,"reasoningTokens":8,'
        + b'"cachedInputTokens":100},"costUsd":"0.0012345","estimated":true,'
        + b'"stopSequence":"END"}}\n\n'
        + DONE
    )


def test_a_failure_is_told_after_the_usage_and_no_call_is_left_to_be_run() -> None:
    events = (
        STARTED,
        ToolCallDelta(0, "c-1", "add", "{}"),
        TextDelta("half"),
        UsageReported(TokenUsage(1, 2)),
        Failed(PublicError("provider_timeout", "Too slow.", retryable=True)),
    )
    stream = encode(*events)
    assert stream.endswith(
        b'data: {"type":"text-end","id":"0"}\n\n'
        b'data: {"type":"message-metadata","messageMetadata":{"usage":{"inputTokens":1,'
        b'"outputTokens":2,"totalTokens":3,"reasoningTokens":0,"cachedInputTokens":0}}}\n\n'
        b'data: {"type":"error","errorText":"Too slow."}\n\n'
        b'data: {"type":"finish","finishReason":"error"}\n\n' + DONE
    )
    (call, _) = AiSdkClient().read(stream).parts
    assert call["state"] == "input-streaming"


@pytest.mark.parametrize("reason", FinishReason)
def test_every_finish_reason_is_one_that_all_versions_know(reason: FinishReason) -> None:
    assert read(STARTED, Finished(reason)).finish_reason == REASONS[reason]


def test_a_refusal_of_the_models_is_text() -> None:
    (part,) = read(STARTED, TextDelta("I "), RefusalDelta("cannot."), STOP).parts
    assert part == {"type": "text", "text": "I cannot."}


def test_a_ping_is_a_comment() -> None:
    encoder: Encoder = AiSdkEncoder()
    assert encoder.ping == b": ping\n\n"


def test_an_answer_to_the_results_of_tools_goes_on_in_the_clients_message() -> None:
    assert AiSdkClient().read(AiSdkEncoder("mine").encode((STARTED, STOP))).id == "mine"


@pytest.mark.parametrize(
    "arguments",
    [
        "{",
        '{"a":NaN}',
        '{"a":Infinity}',
        '{"__proto__":1}',
        '{"a":[{"\\u005f_proto__":1}]}',
        '{"constructor":{"prototype":1}}',
        "[" * 100_000,
        "9" * 5_000,
    ],
)
def test_what_the_clients_parser_would_refuse_is_an_error_of_the_call(arguments: str) -> None:
    (call,) = read(STARTED, ToolCallDelta(0, "c", "f", arguments), STOP).parts
    assert (call["state"], call["input"]) == ("output-error", arguments)


@pytest.mark.parametrize("arguments", ['{"constructor":1}', '{"prototype":{}}', '["__proto__"]'])
def test_a_name_that_only_looks_dangerous_is_fine(arguments: str) -> None:
    (call,) = read(STARTED, ToolCallDelta(0, "c", "f", arguments), STOP).parts
    assert (call["state"], call["input"]) == ("input-available", json.loads(arguments))


JSON_INPUTS = st.dictionaries(
    st.text(max_size=3),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
        max_leaves=4,
    ),
    max_size=3,
)


@given(JSON_INPUTS, st.booleans(), st.none() | st.just(2), st.lists(st.integers(0, 40), max_size=3))
def test_a_calls_input_is_what_the_model_wrote_however_it_was_cut(
    value: object, ascii_only: bool, indent: int | None, cuts: list[int]
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [ToolCallDelta(0, arguments=text[a:b]) for a, b in pairwise(edges)]
    (call,) = read(STARTED, ToolCallDelta(0, "c", "f"), *pieces, STOP).parts
    assert call["input"] == value
    assert call["text"] == text


@given(event_sequences(halves=True), st.data())
def test_a_strict_reader_sees_every_answer_whole(
    events: list[ChatEvent], data: st.DataObject
) -> None:
    encoder = AiSdkEncoder()
    batches = data.draw(event_batches(events))
    stream = b"".join(encoder.ping + encoder.encode(batch) for batch in batches if batch)
    client = AiSdkClient().read(stream)
    expected = answer(events)

    assert client.id == expected.started.request_id
    assert [seen(part) for part in client.parts] == [told(part) for part in expected.parts]
    check_calls(client, expected)
    check_ending(client, expected)


def seen(part: dict[str, object]) -> tuple[object, ...]:
    text = whole(str(part["text"]))
    if str(part["type"]).startswith("tool-"):
        return (part["type"], part["toolCallId"], text)
    return (part["type"], text, part.get("providerMetadata"))


def told(part: Text | Thought | Call) -> tuple[object, ...]:
    match part:
        case Text(text=text):
            return ("text", whole(text), None)
        case Call():
            return (f"tool-{part.name}", part.id, whole(part.arguments))
        case Thought(seal=None):
            return ("reasoning", whole(part.text), None)
        case Thought():
            redacted = {"redacted": True} if part.redacted else {}
            seal = {"chatnest": {"signature": part.seal, **redacted}}
            return ("reasoning", whole(part.text), seal)


def check_calls(client: AiSdkClient, expected: Answer) -> None:
    states = {part["state"] for part in client.parts if "state" in part}
    if expected.failed:
        assert states <= {"input-streaming"}
    else:
        assert states <= {"input-available", "output-error"}


def check_ending(client: AiSdkClient, expected: Answer) -> None:
    match expected.ending:
        case Failed(error=error):
            assert (client.error, client.finish_reason) == (error.message, "error")
        case Finished(finish_reason=reason, stop_sequence=sequence):
            assert (client.error, client.finish_reason) == (None, REASONS[reason])
            assert client.metadata.get("stopSequence") == sequence
    if expected.usage is None:
        assert (client.data, client.metadata.get("usage")) == ([], None)
    else:
        usage = expected.usage.usage
        assert client.metadata["usage"]["totalTokens"] == usage.total_tokens
        report = call_usage_report(expected.usage)
        assert [data["costUsd"] for data in client.data] == [report.cost_usd]


def test_a_stream_has_the_headers_of_the_ai_sdk_and_the_limits() -> None:
    hold = Hold("h", "r", "someone", "balanced", "p", "m", (), 400, NOW, NOW + 1)
    admitted = Admitted(hold, (rate(29, 2_000_000),), (balance(held=600),))
    assert DIALECT.stream_headers(STARTED, admitted, NOW) == (
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache"),
        ("connection", "keep-alive"),
        ("x-accel-buffering", "no"),
        ("x-vercel-ai-ui-message-stream", "v1"),
        ("ratelimit-policy", '"requests";q=30;w=60, "tokens-day";q=70000;w=86400'),
        ("ratelimit", '"requests";r=29;t=2, "tokens-day";r=69400;t=21600'),
    )
