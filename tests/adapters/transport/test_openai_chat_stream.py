"""Answers on the wire of Chat Completions: byte for byte, and as OpenAI's own client reads them."""

import json

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from chatnest.adapters.transport import Encoder, WholeReply
from chatnest.adapters.transport.openai_chat_stream import (
    ChatCompletionEncoder,
    ChatCompletionReply,
)
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
from chatnest.testing.event_strategies import event_batches, event_sequences, failures, finishes
from tests.adapters.transport.examples import NOW, balance
from tests.adapters.transport.openai_sdk import Served, client_of, whole_text
from tests.adapters.transport.whatwg_sse import parse_event_stream

SERVED = Served()
CLIENT = client_of(SERVED)
STARTED = Started("request-1", 'model "1"', "balanced", NOW + 999_999)
HEAD = (
    b'data: {"id":"chatcmpl-request-1","object":"chat.completion.chunk","created":1795370400,'
    b'"model":"model \\"1\\"","choices":['
)
USAGE = UsageReported(
    TokenUsage(120, 30, cached_input_tokens=100, reasoning_tokens=8),
    FinishReason.STOP,
    cost_nano_usd=1_234_500,
    balances=(balance(settled=1_150, held=0),),
)
USAGE_JSON = (
    b'"usage":{"prompt_tokens":120,"completion_tokens":30,"total_tokens":150,'
    b'"prompt_tokens_details":{"cached_tokens":100,"cache_write_tokens":0},'
    b'"completion_tokens_details":{"reasoning_tokens":8}},'
    b'"chatnest":{"costUsd":"0.0012345","estimated":false,"limits":[{"name":"tokens-day",'
    b'"scope":"someone","limit":70000,"used":1150,"held":0,"remaining":68850,'
    b'"resetsAt":"2026-11-23T00:00:00Z"}]}}'
)
DONE = b"data: [DONE]\n\n"
FINISH_REASONS = {
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.TOOL_CALLS: "tool_calls",
    FinishReason.CONTENT_FILTER: "content_filter",
}


def encode(*events: ChatEvent, include_usage: bool = False) -> bytes:
    """What follows the first chunk."""
    encoder = ChatCompletionEncoder(include_usage)
    encoder.encode((STARTED,))
    return encoder.encode(events)


def chunk(delta: bytes, finish_reason: bytes = b"null") -> bytes:
    end = b',"logprobs":null,"finish_reason":' + finish_reason + b"}]}\n\n"
    return HEAD + b'{"index":0,"delta":' + delta + end


def reply(events: list[ChatEvent]) -> ChatCompletionReply:
    whole = ChatCompletionReply()
    whole.add(events)
    return whole


def read(stream: bytes, cuts: list[int] | None = None) -> list[ChatCompletionChunk]:
    SERVED.stream(stream, cuts or ())
    return list(CLIENT.chat.completions.create(model="m", messages=[], stream=True))


def assembled(chunks: list[ChatCompletionChunk]) -> ChatCompletion:
    state = ChatCompletionStreamState()
    for each in chunks:
        state.handle_chunk(each)
    return state.current_completion_snapshot


@pytest.mark.parametrize(
    ("event", "frames"),
    [
        (STARTED, chunk(b'{"role":"assistant","content":""}')),
        (TextDelta("Hi"), chunk(b'{"content":"Hi"}')),
        (TextDelta(' "a"\n\\'), chunk(b'{"content":" \\"a\\"\\n\\\\"}')),
        (TextDelta("\u2028é\0"), chunk('{"content":"\u2028é\\u0000"}'.encode())),
        (TextDelta("\ud83d"), chunk(b'{"content":"\\ud83d"}')),
        (RefusalDelta("No."), chunk(b'{"refusal":"No."}')),
        (ReasoningDelta("Hm"), chunk(b'{"reasoning_content":"Hm"}')),
        (ReasoningDelta("Hm", "seal"), chunk(b'{"reasoning_content":"Hm"}')),
        (ReasoningDelta("", "seal"), b""),
        (ReasoningDelta("", "seal", redacted=True), b""),
        (
            ToolCallDelta(0, "call-1", "search", ""),
            chunk(
                b'{"tool_calls":[{"index":0,"id":"call-1","type":"function",'
                b'"function":{"name":"search","arguments":""}}]}'
            ),
        ),
        (
            ToolCallDelta(1, arguments='{"q"'),
            chunk(b'{"tool_calls":[{"index":1,"function":{"arguments":"{\\"q\\""}}]}'),
        ),
        (USAGE, b""),
        (Finished(FinishReason.STOP), chunk(b"{}", b'"stop"') + DONE),
        (Finished(FinishReason.LENGTH), chunk(b"{}", b'"length"') + DONE),
        (Finished(FinishReason.CANCELLED), chunk(b"{}", b'"length"') + DONE),
        (
            Failed(PublicError("provider_timeout", "Too slow.", retryable=True)),
            b'data: {"error":{"message":"Too slow.","type":"server_error","param":null,'
            b'"code":"provider_timeout"}}\n\n' + DONE,
        ),
    ],
)
def test_each_event_is_frames_of_exact_bytes(event: ChatEvent, frames: bytes) -> None:
    assert encode(event) == frames


def test_usage_has_a_chunk_of_its_own_for_who_asks_for_it() -> None:
    null_usage = chunk(b"{}", b'"stop"').replace(b"]}\n\n", b'],"usage":null}\n\n')
    finished = Finished(FinishReason.STOP)
    assert encode(USAGE, finished, include_usage=True) == (
        null_usage + HEAD + b"]," + USAGE_JSON + b"\n\n" + DONE
    )
    assert encode(USAGE, finished) == chunk(b"{}", b'"stop"') + DONE


def test_an_answer_that_breaks_off_says_what_it_used_first() -> None:
    failed = Failed(PublicError("busy", "Going down."))
    frames = encode(USAGE, failed, include_usage=True).split(b"\n\n")
    assert [b'"usage":{' in frame for frame in frames[:2]] == [True, False]
    assert frames[1].startswith(b'data: {"error":')


def test_a_ping_is_a_comment() -> None:
    encoder: Encoder = ChatCompletionEncoder(include_usage=False)
    assert encoder.ping == b": ping\n\n"


def test_a_whole_answer_is_exact_bytes() -> None:
    whole: WholeReply = ChatCompletionReply()
    whole.add([STARTED, TextDelta("Hi "), ReasoningDelta("Hm", "seal"), TextDelta("you")])
    whole.add([USAGE, Finished(FinishReason.STOP)])
    response = whole.response()
    assert (response.status, response.headers) == (200, (("content-type", "application/json"),))
    assert response.body == (
        b'{"id":"chatcmpl-request-1","object":"chat.completion","created":1795370400,'
        b'"model":"model \\"1\\"","choices":[{"index":0,"message":{"role":"assistant",'
        b'"content":"Hi you","refusal":null,"reasoning_content":"Hm"},"logprobs":null,'
        b'"finish_reason":"stop"}],' + USAGE_JSON
    )


def test_an_answer_of_tool_calls_alone_has_no_content() -> None:
    calls = (
        ToolCallDelta(0, "call-0", "add", "{"),
        ToolCallDelta(1, "call-1", "look_up"),
        ToolCallDelta(0, arguments="}"),
    )
    response = reply([STARTED, *calls, Finished(FinishReason.TOOL_CALLS)]).response()
    (choice,) = json.loads(response.body)["choices"]
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [
            {
                "id": "call-0",
                "type": "function",
                "function": {"name": "add", "arguments": "{}"},
            },
            {
                "id": "call-1",
                "type": "function",
                "function": {"name": "look_up", "arguments": ""},
            },
        ],
    }


def test_an_empty_answer_has_an_empty_content() -> None:
    response = reply([STARTED, Finished(FinishReason.LENGTH)]).response()
    assert json.loads(response.body)["choices"][0]["message"]["content"] == ""


def test_a_whole_answer_that_failed_is_an_error_with_its_status() -> None:
    failed = Failed(PublicError("provider_timeout", "Too slow.", retryable=True))
    response = reply([STARTED, TextDelta("half"), USAGE, failed]).response()
    assert (response.status, json.loads(response.body)["error"]["code"]) == (
        504,
        "provider_timeout",
    )
    assert b"half" not in response.body


def said(events: list[ChatEvent], kind: type[TextDelta | RefusalDelta | ReasoningDelta]) -> str:
    return whole_text("".join([event.text for event in events if isinstance(event, kind)]))


def called(events: list[ChatEvent]) -> list[tuple[str | None, str | None, str]]:
    calls: dict[int, list[ToolCallDelta]] = {}
    for event in events:
        if isinstance(event, ToolCallDelta):
            calls.setdefault(event.index, []).append(event)
    return [
        (pieces[0].id, pieces[0].name, whole_text("".join(piece.arguments for piece in pieces)))
        for _, pieces in sorted(calls.items())
    ]


def check(completion: ChatCompletion, events: list[ChatEvent], with_usage: bool) -> None:
    """That *completion* says exactly what *events* do."""
    started, ending = events[0], events[-1]
    assert isinstance(started, Started)
    assert isinstance(ending, Finished)
    (choice,) = completion.choices
    assert completion.id == f"chatcmpl-{started.request_id}"
    assert (completion.model, completion.created) == (started.model, started.created_at // 10**6)
    assert whole_text(choice.message.content) == said(events, TextDelta)
    assert whole_text(choice.message.refusal) == said(events, RefusalDelta)
    thoughts = getattr(choice.message, "reasoning_content", None)
    assert whole_text(thoughts) == said(events, ReasoningDelta)
    calls = [call for call in choice.message.tool_calls or () if call.type == "function"]
    assert called(events) == [
        (call.id, call.function.name, whole_text(call.function.arguments)) for call in calls
    ]
    assert choice.finish_reason == FINISH_REASONS.get(ending.finish_reason, "length")
    reports = [event.usage for event in events if isinstance(event, UsageReported)]
    if not (reports and with_usage):
        assert completion.usage is None
        return
    usage, told = reports[0], completion.usage
    assert told is not None
    assert told.prompt_tokens_details is not None
    assert told.completion_tokens_details is not None
    assert told.total_tokens == told.prompt_tokens + told.completion_tokens
    assert usage == TokenUsage(
        told.prompt_tokens,
        told.completion_tokens,
        told.prompt_tokens_details.cached_tokens or 0,
        told.prompt_tokens_details.cache_write_tokens or 0,
        told.completion_tokens_details.reasoning_tokens or 0,
    )


@given(
    event_sequences(halves=True, endings=finishes()),
    st.booleans(),
    st.lists(st.integers(0, 2_000), max_size=5),
    st.data(),
)
def test_the_sdk_reads_every_answer_however_its_stream_is_cut(
    events: list[ChatEvent], include_usage: bool, cuts: list[int], data: st.DataObject
) -> None:
    encoder = ChatCompletionEncoder(include_usage)
    batches = data.draw(event_batches(events))
    stream = b"".join([encoder.encode(batch) + encoder.ping for batch in batches])
    # What a model says never ends a line: each frame is one.
    assert all(line.startswith((b"data: ", b": ping")) for line in stream.split(b"\n\n")[:-1])
    assert b"\r" not in stream
    for each in parse_event_stream(stream)[:-1]:
        # The client itself takes chunks as they come, and looks at no types.
        ChatCompletionChunk.model_validate(json.loads(each.data), strict=True)
    check(assembled(read(stream, cuts)), events, include_usage)


@given(event_sequences(halves=True, endings=finishes()))
def test_a_whole_answer_says_the_same_as_its_stream(events: list[ChatEvent]) -> None:
    response = reply(events).response()
    SERVED.whole(response)
    whole = CLIENT.chat.completions.create(model="m", messages=[])
    check(whole, events, with_usage=True)
    assert ChatCompletion.model_validate(json.loads(response.body), strict=True) == whole


@given(event_sequences(halves=True, endings=failures()))
def test_the_sdk_raises_what_a_stream_failed_with_and_asks_once(events: list[ChatEvent]) -> None:
    failed = events[-1]
    assert isinstance(failed, Failed)
    stream = ChatCompletionEncoder(include_usage=True).encode(events)
    assert stream.endswith(DONE)
    SERVED.stream(stream)
    texts: list[str] = []
    error = failure_of(texts)
    assert type(error) is openai.APIError
    assert error.message == failed.error.message
    assert error.code is not None
    assert whole_text("".join(texts)) == said(events, TextDelta)
    assert SERVED.asked == 1


def failure_of(texts: list[str]) -> openai.APIError | None:
    """What the client raises; what it read until then is added to *texts*."""
    try:
        for each in CLIENT.chat.completions.create(model="m", messages=[], stream=True):
            texts += [choice.delta.content or "" for choice in each.choices]
    except openai.APIError as error:
        return error
    return None
