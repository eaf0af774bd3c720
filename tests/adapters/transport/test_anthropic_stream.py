"""Events as Anthropic's: byte for byte, and as the official SDK reads them."""

import json
from collections.abc import Sequence
from itertools import pairwise

import anthropic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.transport.anthropic_messages import AnthropicDialect
from chatnest.adapters.transport.anthropic_stream import AnthropicEncoder
from chatnest.adapters.transport.wire import Dialect, Encoder
from chatnest.domain.admission import Admitted
from chatnest.domain.budget import Hold
from chatnest.domain.errors import PublicError
from chatnest.domain.events import (
    ChatEvent,
    EventBatch,
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
from chatnest.testing.event_strategies import (
    answer_texts,
    event_batches,
    event_sequences,
    failures,
)
from tests.adapters.transport.anthropic_client import read_stream
from tests.adapters.transport.anthropic_model import (
    expected_message,
    finished_answers,
    parse_json,
    shown,
)
from tests.adapters.transport.examples import NOW, balance, rate
from tests.adapters.transport.whatwg_sse import parse_event_stream

DIALECT: Dialect = AnthropicDialect()
STARTED = Started("request-1", "model-1", "balanced", NOW)
DONE = Finished(FinishReason.STOP)
USAGE = UsageReported(TokenUsage(120, 30, cached_input_tokens=100, cache_write_tokens=5))


def encode(*events: ChatEvent) -> bytes:
    return AnthropicEncoder().encode(events)


def frame(name: str, data: str) -> str:
    return f'event: {name}\ndata: {{"type":"{name}",{data}}}\n\n'


def block(index: int, start: str, *deltas: str) -> str:
    return (
        frame("content_block_start", f'"index":{index},"content_block":{{{start}}}')
        + "".join(
            frame("content_block_delta", f'"index":{index},"delta":{{{each}}}') for each in deltas
        )
        + frame("content_block_stop", f'"index":{index}')
    )


START = frame(
    "message_start",
    '"message":{"type":"message","id":"msg_request-1","role":"assistant","model":"model-1",'
    '"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,'
    '"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}',
)
STOP = 'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def ending(reason: str, sequence: str = "null", usage: str = "0 0 0 0") -> str:
    plain, written, cached, output = usage.split()
    return (
        frame(
            "message_delta",
            f'"delta":{{"stop_reason":"{reason}","stop_sequence":{sequence}}},'
            f'"usage":{{"input_tokens":{plain},"cache_creation_input_tokens":{written},'
            f'"cache_read_input_tokens":{cached},"output_tokens":{output}}}',
        )
        + STOP
    )


def text(index: int, *pieces: str) -> str:
    deltas = [f'"type":"text_delta","text":{piece}' for piece in pieces]
    return block(index, '"type":"text","text":""', *deltas)


def thought(index: int, *deltas: str) -> str:
    return block(index, '"type":"thinking","thinking":"","signature":""', *deltas)


def call(index: int, name: str, *pieces: str) -> str:
    deltas = [f'"type":"input_json_delta","partial_json":{piece}' for piece in pieces]
    return block(index, f'"type":"tool_use","id":"{name}","name":"add","input":{{}}', *deltas)


HM = '"type":"thinking_delta","thinking":"Hm"'
SEAL = '"type":"signature_delta","signature":"c2VhbA=="'


@pytest.mark.parametrize(
    ("deltas", "blocks"),
    [
        ([], ""),
        ([TextDelta('"a"\n\u2028é\0')], text(0, '"\\"a\\"\\n\u2028é\\u0000"')),
        ([TextDelta("a"), TextDelta("b"), RefusalDelta("c")], text(0, '"a"', '"b"', '"c"')),
        ([RefusalDelta("No"), TextDelta(".")], text(0, '"No"', '"."')),
        (
            [ReasoningDelta("Hm"), ReasoningDelta("", "c2VhbA=="), TextDelta("a")],
            thought(0, HM, SEAL) + text(1, '"a"'),
        ),
        ([ReasoningDelta("Hm", "c2VhbA==")], thought(0, HM, SEAL)),
        ([ReasoningDelta("", "c2VhbA==")], thought(0, SEAL)),
        ([ReasoningDelta("Hm"), TextDelta("a")], thought(0, HM) + text(1, '"a"')),
        (
            [ReasoningDelta("Hm", "c2VhbA=="), ReasoningDelta("Hm")],
            thought(0, HM, SEAL) + thought(1, HM),
        ),
        (
            [ReasoningDelta("Hm"), ReasoningDelta("", "x", True), ReasoningDelta("", "y", True)],
            thought(0, HM)
            + block(1, '"type":"redacted_thinking","data":"x"')
            + block(2, '"type":"redacted_thinking","data":"y"'),
        ),
        (
            [
                TextDelta("a"),
                ToolCallDelta(0, "c-0", "add", '{"a"'),
                ToolCallDelta(0, arguments=":1}"),
                ToolCallDelta(1, "c-1", "add"),
                TextDelta("b"),
            ],
            text(0, '"a"')
            + call(1, "c-0", '"{\\"a\\""', '":1}"')
            + call(2, "c-1")
            + text(3, '"b"'),
        ),
    ],
)
def test_blocks_follow_each_other_and_stand_between_start_and_stop(
    deltas: Sequence[ChatEvent], blocks: str
) -> None:
    assert encode(STARTED, *deltas, DONE).decode() == START + blocks + ending("end_turn")


def test_a_late_piece_of_a_call_goes_to_its_own_block() -> None:
    pieces = (
        ToolCallDelta(0, "c-0", "add", "{"),
        ToolCallDelta(1, "c-1", "add", "{"),
        ToolCallDelta(0, arguments="}"),
        ToolCallDelta(1, arguments="}"),
    )
    late = frame(
        "content_block_delta", '"index":0,"delta":{"type":"input_json_delta","partial_json":"}"}'
    )
    assert encode(*pieces[:2], pieces[2]).endswith(late.encode())
    assert encode(*pieces, DONE).decode().replace(late, "") == (
        call(0, "c-0", '"{"') + call(1, "c-1", '"{"', '"}"') + ending("end_turn")
    )


@pytest.mark.parametrize(
    ("finished", "reason", "sequence"),
    [
        (Finished(FinishReason.STOP), "end_turn", "null"),
        (Finished(FinishReason.STOP, "END"), "stop_sequence", '"END"'),
        (Finished(FinishReason.LENGTH), "max_tokens", "null"),
        (Finished(FinishReason.TOOL_CALLS), "tool_use", "null"),
        (Finished(FinishReason.CONTENT_FILTER), "refusal", "null"),
        (Finished(FinishReason.CANCELLED), "max_tokens", "null"),
        (Finished(FinishReason.ERROR), "max_tokens", "null"),
    ],
)
def test_the_end_says_why_and_what_was_used(finished: Finished, reason: str, sequence: str) -> None:
    assert encode(USAGE, finished).decode() == ending(reason, sequence, "15 5 100 30")


def test_usage_is_silent_until_the_end_and_tells_what_was_thought() -> None:
    encoder = AnthropicEncoder()
    assert encoder.encode([UsageReported(TokenUsage(1, 9, reasoning_tokens=8))]) == b""
    assert b'"output_tokens":9,"output_tokens_details":{"thinking_tokens":8}}' in encoder.encode(
        [DONE]
    )


FAILED = Failed(PublicError("provider_timeout", "Too slow.", retryable=True))
FAILURE = frame(
    "error",
    '"error":{"type":"timeout_error","message":"Too slow.",'
    '"details":{"error_code":"provider_timeout"}},"request_id":"request-1"',
)
UNFINISHED = text(0, '"a"').removesuffix(frame("content_block_stop", '"index":0'))


def test_a_failure_of_unknown_cost_is_an_error_event_and_nothing_else() -> None:
    assert encode(STARTED, TextDelta("a"), FAILED).decode() == START + UNFINISHED + FAILURE


def test_a_failure_tells_first_what_was_used() -> None:
    whole = encode(STARTED, TextDelta("a"), USAGE, FAILED).decode()
    used = frame(
        "message_delta",
        '"delta":{"stop_reason":null,"stop_sequence":null},'
        '"usage":{"input_tokens":15,"cache_creation_input_tokens":5,'
        '"cache_read_input_tokens":100,"output_tokens":30}',
    )
    assert whole == START + UNFINISHED + used + FAILURE


def test_a_ping_is_one_frame_of_exact_bytes() -> None:
    encoder: Encoder = AnthropicEncoder()
    assert encoder.ping == b'event: ping\ndata: {"type": "ping"}\n\n'


@given(st.data(), event_sequences(halves=True))
def test_batches_do_not_change_what_is_written(
    data: st.DataObject, events: list[ChatEvent]
) -> None:
    encoder = AnthropicEncoder()
    batches = data.draw(event_batches(events))
    assert b"".join(map(encoder.encode, batches)) == encode(*events)


@given(event_sequences(halves=True))
def test_every_frame_is_an_event_named_as_its_data(events: list[ChatEvent]) -> None:
    stream = encode(*events)
    assert b"\r" not in stream
    read = parse_event_stream(stream)
    assert len(read) == stream.count(b"\n\n")
    assert [each.type for each in read] == [parse_json(each.data)["type"] for each in read]


# What an async test draws, it draws before it begins: Hypothesis ends an example that grows too
# long with an exception that would end the loop which runs all tests.
batched_answers = finished_answers().flatmap(
    lambda events: st.tuples(st.just(events), event_batches(events))
)
cut_objects = st.dictionaries(answer_texts(), st.none() | st.integers(), max_size=2).flatmap(
    lambda arguments: st.tuples(
        st.just(arguments), st.lists(st.integers(0, len(json.dumps(arguments))), max_size=3)
    )
)


@given(batched_answers, st.lists(st.integers(0, 2_000), max_size=6))
async def test_the_sdk_makes_the_same_message_of_it_however_the_stream_is_cut(
    answer: tuple[list[ChatEvent], list[EventBatch]], cuts: list[int]
) -> None:
    events, batches = answer
    encoder = AnthropicEncoder()
    stream = encoder.ping.join(map(encoder.encode, batches))
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    message = await read_stream([stream[a:b] for a, b in pairwise(edges)])
    assert shown(message) == expected_message(events)


@given(cut_objects)
async def test_the_sdk_reads_the_input_of_a_call_however_its_pieces_are_cut(
    given_call: tuple[dict[str, int | None], list[int]],
) -> None:
    arguments, cuts = given_call
    whole = json.dumps(arguments)
    pieces = [whole[a:b] for a, b in pairwise([0, *sorted(cuts), len(whole)])]
    calls = [ToolCallDelta(0, "c-0", "add"), *[ToolCallDelta(0, arguments=each) for each in pieces]]
    message = await read_stream([encode(STARTED, *calls, DONE)])
    assert shown(message)["content"] == [
        {"type": "tool_use", "id": "c-0", "name": "add", "input": arguments}
    ]


@given(event_sequences(endings=failures()))
async def test_the_sdk_raises_what_ended_a_stream(events: list[ChatEvent]) -> None:
    failed = events[-1]
    assert isinstance(failed, Failed)
    calls = [event for event in events if not isinstance(event, ToolCallDelta)]
    with pytest.raises(anthropic.APIStatusError) as caught:
        await read_stream([encode(*calls)])
    assert caught.value.api_message == failed.error.message
    assert caught.value.error_code == failed.error.code


def test_half_a_pair_anywhere_never_breaks_a_stream() -> None:
    halves = (
        TextDelta("a"),
        TextDelta("\ud83d"),
        ReasoningDelta("\ude00", "\ud800"),
        ToolCallDelta(0, "\ud800", "\ud800", "\udfff"),
        Finished(FinishReason.STOP, "\ud800"),
    )
    stream = encode(STARTED, *halves)
    assert stream.isascii()
    assert len(parse_event_stream(stream)) == stream.count(b"\n\n") == 14


def test_a_stream_says_its_request_and_what_is_left() -> None:
    hold = Hold("h", "r", "someone", "balanced", "p", "m", (), 400, NOW, NOW + 1)
    admitted = Admitted(hold, (rate(29, 2_000_000),), (balance(held=600),))
    left = (
        ("request-id", "request-1"),
        ("ratelimit-policy", '"requests";q=30;w=60, "tokens-day";q=70000;w=86400'),
        ("ratelimit", '"requests";r=29;t=2, "tokens-day";r=69400;t=21600'),
        ("anthropic-ratelimit-requests-limit", "30"),
        ("anthropic-ratelimit-requests-remaining", "29"),
        ("anthropic-ratelimit-requests-reset", "2026-11-22T18:00:02Z"),
        ("anthropic-ratelimit-tokens-limit", "70000"),
        ("anthropic-ratelimit-tokens-remaining", "69400"),
        ("anthropic-ratelimit-tokens-reset", "2026-11-23T00:00:00Z"),
    )
    assert DIALECT.answer_headers(STARTED, admitted, NOW) == left
    assert DIALECT.stream_headers(STARTED, admitted, NOW) == (
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache"),
        ("connection", "keep-alive"),
        ("x-accel-buffering", "no"),
        *left,
    )
