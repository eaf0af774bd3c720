"""What the payloads of Anthropic's streams mean."""

from typing import Any

import pytest

from chatnest.adapters.providers.anthropic_stream import AnswerDecoder
from chatnest.adapters.providers.sse import EventDecoder
from chatnest.domain.errors import Failure, FailureKind
from chatnest.domain.events import (
    Finished,
    FinishReason,
    ProviderEvent,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from chatnest.domain.usage import TokenUsage
from tests.adapters.providers.anthropic_wire import (
    DONE,
    block,
    block_end,
    decode,
    delta,
    end,
    failure_of,
    payload,
    start,
    text,
)

STOP = Finished(FinishReason.STOP)

# What llama.cpp's server sent (xllamacpp 2026.10, SmolLM2-135M), the middle of the answer cut out.
LLAMA_CPP = b"""\
event: message_start
data: {"type":"message_start","message":{"id":"chatcmpl-MKUHtMlasqG1nM1xNViEn9O9FlcQnsSo",\
"type":"message","role":"assistant","content":[],"model":"smollm2-135m-instruct",\
"stop_reason":null,"stop_sequence":null,\
"usage":{"cache_read_input_tokens":23,"input_tokens":1,"output_tokens":0}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"The"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" capital"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":"France"},\
"usage":{"output_tokens":4}}

event: message_stop
data: {"type":"message_stop"}

"""


def test_text_thoughts_and_tool_calls_become_deltas() -> None:
    assert decode(
        start(input_tokens=1, output_tokens=1),
        block("thinking", thinking="", signature=""),
        payload("ping"),
        delta("thinking_delta", thinking="hm"),
        delta("signature_delta", signature="s"),
        block_end(),
        block("redacted_thinking", 1, data="sealed"),
        block_end(1),
        block("text", 2, text=""),
        delta("text_delta", 2, text="Hi"),
        block_end(2),
        block("tool_use", 3, id="t1", name="f", input={}),
        delta("input_json_delta", 3, partial_json=""),
        delta("input_json_delta", 3, partial_json='{"a"'),
        delta("input_json_delta", 3, partial_json=":1}"),
        block_end(3),
        block("tool_use", 4, id="t2", name="g", input={}),
        delta("input_json_delta", 4, partial_json='{"b":2}'),
        block_end(4),
        end("tool_use"),
        DONE,
    ) == [
        ReasoningDelta("hm"),
        ReasoningDelta(signature="s"),
        ReasoningDelta(signature="sealed", redacted=True),
        TextDelta("Hi"),
        ToolCallDelta(0, "t1", "f"),
        ToolCallDelta(0, arguments='{"a"'),
        ToolCallDelta(0, arguments=":1}"),
        ToolCallDelta(1, "t2", "g"),
        ToolCallDelta(1, arguments='{"b":2}'),
        Finished(FinishReason.TOOL_CALLS),
    ]


@pytest.mark.parametrize(
    ("begun", "event"),
    [
        (block("text", text="Hi"), TextDelta("Hi")),
        (block("thinking", thinking="hm"), ReasoningDelta("hm")),
        (block("thinking", thinking="", signature="s"), ReasoningDelta(signature="s")),
        (block("thinking", thinking="hm", signature="s"), ReasoningDelta("hm", "s")),
    ],
)
def test_what_a_block_begins_with_is_given_too(begun: bytes, event: ProviderEvent) -> None:
    assert decode(begun, block_end(), end(), DONE) == [event, STOP]


@pytest.mark.parametrize(
    ("given", "arguments"),
    [
        ({"input": {"a": [1, "é"]}}, '{"a": [1, "\\u00e9"]}'),
        ({"input": {}}, "{}"),
        ({"input": None}, "{}"),
        ({}, "{}"),
    ],
)
@pytest.mark.parametrize("ends", [True, False])
def test_input_that_comes_with_the_start_counts_where_no_pieces_follow(
    given: dict[str, Any], arguments: str, ends: bool
) -> None:
    begun = block("tool_use", id="t", name="f", **given)
    closed = [block_end()] if ends else []
    assert decode(begun, *closed, end("tool_use"), DONE) == [
        ToolCallDelta(0, "t", "f"),
        ToolCallDelta(0, arguments=arguments),
        Finished(FinishReason.TOOL_CALLS),
    ]


def test_pieces_of_input_replace_what_came_with_the_start() -> None:
    begun = block("tool_use", id="t", name="f", input={"a": 1})
    piece = delta("input_json_delta", partial_json='{"a":1}')
    assert decode(begun, piece, block_end(), end("tool_use"), DONE)[1:-1] == [
        ToolCallDelta(0, arguments='{"a":1}')
    ]


def test_blocks_that_overlap_keep_their_tool_calls_apart() -> None:
    assert decode(
        block("tool_use", 1, id="a", name="f", input={}),
        block("tool_use", 0, id="b", name="g", input={"c": 1}),
        delta("input_json_delta", 1, partial_json="{}"),
        block_end(0),
        block_end(1),
        end("tool_use"),
        DONE,
    )[:-1] == [
        ToolCallDelta(0, "a", "f"),
        ToolCallDelta(1, "b", "g"),
        ToolCallDelta(0, arguments="{}"),
        ToolCallDelta(1, arguments='{"c": 1}'),
    ]


@pytest.mark.parametrize(
    "silent",
    [
        payload("ping"),
        start(),
        payload("message_start"),
        payload("message_start", message={}),
        block("text", text=""),
        block("text"),
        block("thinking", thinking="", signature=""),
        block("redacted_thinking", data=""),
        block("server_tool_use", id="s", name="web_search", input={"query": "x"}),
        block("web_search_tool_result", tool_use_id="s", content=[{"type": "x"}]),
        block("fallback", text=""),
        payload("content_block_start"),
        payload("content_block_delta"),
        text(""),
        delta("thinking_delta", thinking=""),
        delta("signature_delta", signature=""),
        delta("input_json_delta", partial_json='{"query":'),
        delta("citations_delta", citation={"type": "page_location", "cited_text": "x"}),
        delta("newer_delta", text="?"),
        block_end(7),
        end(None),
        payload("message_delta"),
        payload("message_delta", delta=None, usage=None),
        payload("newer_event", text="?"),
        payload("newer_event", index="?", delta=["?"], message=1, content_block="?"),
        b"{}",
    ],
)
def test_an_event_that_says_nothing_is_no_event(silent: bytes) -> None:
    assert decode(silent, end(), DONE) == [STOP]


def test_a_servers_own_tool_use_is_no_tool_call() -> None:
    assert decode(
        block("server_tool_use", 0, id="s", name="web_search", input={}),
        delta("input_json_delta", 0, partial_json='{"query":"x"}'),
        block_end(0),
        block("tool_use", 1, id="t", name="f", input={}),
        block_end(1),
        end("pause_turn"),
        DONE,
    ) == [ToolCallDelta(0, "t", "f"), ToolCallDelta(0, arguments="{}"), STOP]


def test_unknown_fields_are_ignored() -> None:
    known = delta("text_delta", text="x", new=[1])
    assert decode(known[:-1] + b',"newer":{}}', end(), DONE) == [TextDelta("x"), STOP]


@pytest.mark.parametrize(
    ("word", "finish_reason"),
    [
        ("end_turn", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("refusal", FinishReason.CONTENT_FILTER),
        ("pause_turn", FinishReason.STOP),
        ("compaction", FinishReason.STOP),
        ("newer", FinishReason.STOP),
    ],
)
def test_a_stop_reason_is_known_or_a_plain_stop(word: str, finish_reason: FinishReason) -> None:
    assert decode(end(word), DONE) == [Finished(finish_reason)]


def test_the_stop_sequence_is_kept() -> None:
    stopped = payload(
        "message_delta", delta={"stop_reason": "stop_sequence", "stop_sequence": "END"}
    )
    assert decode(stopped, DONE) == [Finished(FinishReason.STOP, "END")]


def test_the_finish_waits_for_the_end_of_the_message() -> None:
    decoder = AnswerDecoder()
    assert decoder.decode([start(input_tokens=3, output_tokens=1), text("x")]) == [TextDelta("x")]
    assert decoder.decode([end("max_tokens", output_tokens=9)]) == []
    assert not decoder.ended
    assert decoder.decode([DONE]) == [
        UsageReported(TokenUsage(3, 9)),
        Finished(FinishReason.LENGTH),
    ]
    assert decoder.ended


def test_a_later_stop_reason_and_usage_replace_earlier_ones() -> None:
    assert decode(
        start(input_tokens=3, output_tokens=1),
        end("max_tokens", output_tokens=5),
        end("end_turn", output_tokens=9),
        end(None, output_tokens=10),
        DONE,
    ) == [UsageReported(TokenUsage(3, 10)), STOP]


def test_a_stream_that_closes_after_its_stop_reason_is_complete() -> None:
    assert decode(text("x"), end("max_tokens")) == [TextDelta("x"), Finished(FinishReason.LENGTH)]
    assert decode(start(input_tokens=1), end(output_tokens=1)) == [
        UsageReported(TokenUsage(1, 1)),
        STOP,
    ]


def test_a_stream_that_is_done_without_a_reason_stopped() -> None:
    assert decode(text("x"), DONE) == [TextDelta("x"), STOP]


@pytest.mark.parametrize(
    "payloads",
    [
        (),
        (text("x"),),
        (end(""),),
        (end(None, output_tokens=1),),
        (start(input_tokens=1, output_tokens=1),),
    ],
    ids=["nothing", "deltas", "empty reason", "usage alone", "start alone"],
)
def test_a_stream_that_closes_before_its_stop_reason_was_interrupted(
    payloads: tuple[bytes, ...],
) -> None:
    assert failure_of(*payloads) == Failure(FailureKind.INTERRUPTED)


def test_nothing_counts_after_the_end() -> None:
    assert decode(end(), DONE, text("x"), b"{", DONE) == [STOP]


@pytest.mark.parametrize(
    "malformed",
    [
        *(b"", b"{", b"hello", b"[]", b"1", b"\xff", b"{}{}", b"[DONE]", b'{"type":7}'),
        payload("content_block_delta", delta="x"),
        payload("content_block_delta", delta={"type": "text_delta", "text": 7}),
        payload("content_block_start", content_block={}),
        payload("message_start", message=[]),
        b'{"type":"content_block_start","content_block":{"type":"tool_use","input":"\xff"}}',
    ],
)
def test_an_event_that_cannot_be_read_fails_the_stream(malformed: bytes) -> None:
    assert failure_of(malformed) == Failure(FailureKind.MALFORMED)


def test_what_came_before_a_failure_in_one_read_is_given_first() -> None:
    decoder = AnswerDecoder()
    assert decoder.decode([text("x"), b"{", text("y")]) == [TextDelta("x")]
    assert decoder.failure is not None


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        ({"type": "overloaded_error", "message": "m"}, "overloaded", "overloaded_error"),
        ({"type": "api_error", "details": None}, "server_error", "api_error"),
        ({"type": "invalid_request_error"}, "invalid_request", "invalid_request_error"),
        ({"type": "timeout_error"}, "timeout", "timeout_error"),
        (
            {
                "type": "rate_limit_error",
                "details": {"error_code": "enforced_spend_limit_reached"},
            },
            "quota_exhausted",
            "enforced_spend_limit_reached",
        ),
        (
            {"type": "rate_limit_error", "details": {"error_code": "newer"}},
            "rate_limited",
            "newer",
        ),
        (
            {"code": 400, "type": "exceed_context_size_error"},
            "context_length",
            "exceed_context_size_error",
        ),
        ({"message": "no word for it"}, "unknown", None),
        ({"type": "tell me: who is Jane Doe?"}, "unknown", None),
        ("just a sentence", "unknown", None),
        (None, "unknown", None),
    ],
)
def test_an_error_inside_the_stream_is_classified_and_may_be_billed(
    error: object, kind: str, code: str | None
) -> None:
    failure = failure_of(text("x"), payload("error", error=error, request_id="req_1"))
    assert failure == Failure(FailureKind(kind), code=code, billable=True)


def test_an_error_is_one_without_the_name_of_its_event_too() -> None:
    assert failure_of(b'{"error":{"code":500,"type":"server_error"}}').kind == "server_error"


def test_the_message_of_an_error_says_nothing_of_the_providers_sentence() -> None:
    decoder = AnswerDecoder()
    error = {"message": "You wrote: my secret", "type": "api_error"}
    decoder.decode([payload("error", error=error)])
    assert "secret" not in str(decoder.failure)


def test_what_llama_cpp_sends_is_an_answer() -> None:
    assert decode(*EventDecoder().feed(LLAMA_CPP)) == [
        TextDelta("The"),
        TextDelta(" capital"),
        UsageReported(TokenUsage(24, 4, cached_input_tokens=23)),
        Finished(FinishReason.STOP, "France"),
    ]
