"""What the payloads of OpenAI's streams mean."""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from chatnest.adapters.providers.openai_stream import AnswerDecoder
from chatnest.domain.errors import Failure, FailureKind
from chatnest.domain.events import (
    Finished,
    FinishReason,
    Phase,
    ProviderEvent,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    UsageReported,
    next_phase,
)
from chatnest.domain.usage import TokenUsage

DONE = b"[DONE]"
STOP = Finished(FinishReason.STOP)


def payload(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def delta(finish_reason: str | None = None, **fields: Any) -> bytes:
    return payload(
        choices=[{"index": 0, "delta": fields, "finish_reason": finish_reason}], usage=None
    )


def usage(**fields: Any) -> bytes:
    return payload(choices=[], usage=fields)


def decode(*payloads: bytes) -> list[ProviderEvent]:
    """The events of an answer that goes well, each payload in a read of its own."""
    decoder = AnswerDecoder()
    events = [event for one in payloads for event in decoder.decode([one])]
    events += decoder.close()
    assert decoder.failure is None
    return events


def failure_of(*payloads: bytes) -> Failure:
    decoder = AnswerDecoder()
    decoder.decode(payloads)
    if decoder.failure is None:
        decoder.close()
    assert decoder.failure is not None
    return decoder.failure.failure


def test_text_reasoning_refusals_and_tool_calls_become_deltas() -> None:
    assert decode(
        delta(content="Hi"),
        delta(reasoning_content="hm"),
        delta(reasoning="so"),
        delta(refusal="no"),
        delta(tool_calls=[{"index": 1, "id": "c", "function": {"name": "f", "arguments": ""}}]),
        delta(tool_calls=[{"index": 1, "function": {"arguments": "{}"}}]),
        delta("tool_calls"),
        DONE,
    ) == [
        TextDelta("Hi"),
        ReasoningDelta("hm"),
        ReasoningDelta("so"),
        RefusalDelta("no"),
        ToolCallDelta(0, "c", "f", ""),
        ToolCallDelta(0, None, None, "{}"),
        Finished(FinishReason.TOOL_CALLS),
    ]


@pytest.mark.parametrize(
    "silent",
    [
        delta(role="assistant", content=""),
        delta(role="assistant", content=None),
        delta(content=None, reasoning_content="", tool_calls=None),
        delta(tool_calls=[]),
        delta(tool_calls=[{"index": 0, "function": {"name": "", "arguments": ""}}]),
        delta(tool_calls=[{"index": 0}]),
        payload(choices=[]),
        payload(choices=None, usage=None),
        payload(choices=[{"index": 0, "delta": None}]),
        payload(choices=[{"index": 1, "delta": {"content": "another answer"}}]),
        payload(object="ping"),
        payload(choices=[], error=None),
    ],
)
def test_a_chunk_that_says_nothing_is_no_event(silent: bytes) -> None:
    assert decode(silent, delta("stop"), DONE) == [STOP]


def test_unknown_fields_are_ignored() -> None:
    known = {"index": 0, "delta": {"content": "x", "new": [1]}, "logprobs": {}, "newer": {}}
    assert decode(payload(choices=[known], obfuscation="abc"), delta("stop"), DONE) == [
        TextDelta("x"),
        STOP,
    ]


def test_one_chunk_may_say_several_things() -> None:
    assert decode(delta("stop", reasoning="hm", content="Hi", refusal="no"), DONE) == [
        ReasoningDelta("hm"),
        TextDelta("Hi"),
        RefusalDelta("no"),
        STOP,
    ]


def test_a_content_of_parts_is_its_thoughts_and_texts() -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}, {"type": "x"}]}
    parts = [thought, {"type": "thinking", "thinking": "so"}, {"type": "text", "text": "Hi"}]
    assert decode(delta(content=[*parts, {"type": "reference"}]), delta("stop"), DONE) == [
        ReasoningDelta("hm"),
        ReasoningDelta("so"),
        TextDelta("Hi"),
        STOP,
    ]


@pytest.mark.parametrize(
    ("word", "finish_reason"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("function_call", FinishReason.TOOL_CALLS),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("eos_token", FinishReason.STOP),
        ("cancelled", FinishReason.STOP),
    ],
)
def test_a_finish_reason_is_known_or_a_plain_stop(word: str, finish_reason: FinishReason) -> None:
    assert decode(delta(word), DONE) == [Finished(finish_reason)]


def test_the_finish_waits_for_the_usage_that_follows_it() -> None:
    decoder = AnswerDecoder()
    assert decoder.decode([delta(content="x"), delta("length")]) == [TextDelta("x")]
    assert decoder.decode([usage(prompt_tokens=3, completion_tokens=1)]) == []
    assert not decoder.ended
    assert decoder.decode([DONE]) == [
        UsageReported(TokenUsage(3, 1)),
        Finished(FinishReason.LENGTH),
    ]
    assert decoder.ended


def test_a_running_usage_is_reported_once_as_it_was_last() -> None:
    running = [
        payload(
            choices=[{"index": 0, "delta": {"content": "x"}}],
            usage={"prompt_tokens": 3, "completion_tokens": count},
        )
        for count in (1, 2)
    ]
    assert decode(*running, delta("stop"), DONE)[2:] == [UsageReported(TokenUsage(3, 2)), STOP]


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, TokenUsage(3, 2)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, TokenUsage(0, 0)),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 8,
                "total_tokens": 17,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            TokenUsage(9, 8, 4, 3, 5),
        ),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 8,
                "prompt_tokens_details": None,
                "completion_tokens_details": {"reasoning_tokens": None},
            },
            TokenUsage(9, 8),
        ),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 9},
                "completion_tokens_details": {"reasoning_tokens": 9},
            },
            TokenUsage(3, 2, 2, 1, 2),
        ),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": -1},
                "completion_tokens_details": {"reasoning_tokens": -1},
            },
            TokenUsage(3, 2),
        ),
        (
            {
                "prompt_tokens": 10_120,
                "completion_tokens": 1_499,
                "total_tokens": 14_428,
                "completion_tokens_details": {"reasoning_tokens": 2_809},
            },
            TokenUsage(10_120, 4_308, reasoning_tokens=2_809),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 4},
            TokenUsage(9, 2, 4),
        ),
    ],
    ids=[
        *("plain", "zero", "parts", "no parts", "too large parts", "negative parts", "xAI"),
        "DeepSeek",
    ],
)
def test_usage_is_counted_in_inclusive_buckets(
    reported: dict[str, Any], expected: TokenUsage
) -> None:
    assert decode(delta("stop"), usage(**reported), DONE) == [UsageReported(expected), STOP]


@pytest.mark.parametrize(
    "last",
    [
        payload(
            choices=[], x_groq={"id": "r", "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
        ),
        payload(
            choices=[
                {"finish_reason": "stop", "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
            ],
            usage=None,
        ),
    ],
    ids=["Groq", "Moonshot"],
)
def test_usage_is_found_where_the_server_puts_it(last: bytes) -> None:
    assert decode(delta("stop"), last, DONE) == [UsageReported(TokenUsage(3, 2)), STOP]


def test_what_groq_says_beside_an_answer_does_not_touch_it() -> None:
    assert decode(payload(choices=[], x_groq={"id": "r"}), delta("stop"), DONE) == [STOP]


@pytest.mark.parametrize(
    "nonsense",
    [
        {},
        {"total_tokens": 5},
        {"prompt_tokens": 5},
        {"prompt_tokens": 5, "completion_tokens": None},
        {"prompt_tokens": -5, "completion_tokens": 5},
        {"prompt_tokens": 5, "completion_tokens": 10**30},
        {"prompt_tokens": "five", "completion_tokens": 5},
    ],
)
def test_figures_without_sense_are_not_reported_and_spoil_nothing(nonsense: dict[str, Any]) -> None:
    assert decode(delta(content="x"), delta("stop"), usage(**nonsense), DONE) == [
        TextDelta("x"),
        STOP,
    ]


def test_a_stream_that_closes_after_its_finish_reason_is_complete() -> None:
    assert decode(delta(content="x"), delta("length")) == [
        TextDelta("x"),
        Finished(FinishReason.LENGTH),
    ]
    assert decode(delta("stop"), usage(prompt_tokens=1, completion_tokens=1)) == [
        UsageReported(TokenUsage(1, 1)),
        STOP,
    ]


def test_a_stream_that_is_done_without_a_reason_stopped() -> None:
    assert decode(delta(content="x"), DONE) == [TextDelta("x"), STOP]


@pytest.mark.parametrize(
    "payloads",
    [(), (delta(content="x"),), (delta(""),), (usage(prompt_tokens=1, completion_tokens=1),)],
    ids=["nothing", "deltas", "empty reason", "usage alone"],
)
def test_a_stream_that_closes_before_its_finish_reason_was_interrupted(
    payloads: tuple[bytes, ...],
) -> None:
    assert failure_of(*payloads) == Failure(FailureKind.INTERRUPTED)


def test_nothing_counts_after_the_end() -> None:
    assert decode(delta("stop"), DONE, delta(content="x"), b"{", DONE) == [STOP]


@pytest.mark.parametrize(
    "malformed",
    [b"", b"{", b"hello", b"[]", b"1", b"\xff", payload(choices=7), delta(content=7), b"{}{}"],
)
def test_a_chunk_that_cannot_be_read_fails_the_stream(malformed: bytes) -> None:
    assert failure_of(malformed) == Failure(FailureKind.MALFORMED)


def test_what_came_before_a_failure_in_one_read_is_given_first() -> None:
    decoder = AnswerDecoder()
    assert decoder.decode([delta(content="x"), b"{", delta(content="y")]) == [TextDelta("x")]
    assert decoder.failure is not None


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        ({"message": "m", "type": "server_error", "code": None}, "server_error", "server_error"),
        ({"code": "insufficient_quota", "type": "x"}, "quota_exhausted", "insufficient_quota"),
        ({"code": "rate_limit_exceeded"}, "rate_limited", "rate_limit_exceeded"),
        (
            {"code": 400, "type": "exceed_context_size_error"},
            "context_length",
            "exceed_context_size_error",
        ),
        ({"code": 502, "message": "Provider returned error"}, "server_error", "502"),
        ({"code": "content_filter"}, "content_filter", "content_filter"),
        ({"message": "no word for it"}, "unknown", None),
        ({"code": "tell me: who is Jane Doe?"}, "unknown", None),
        ("just a sentence", "unknown", None),
    ],
)
def test_an_error_inside_the_stream_is_classified_and_may_be_billed(
    error: object, kind: str, code: str | None
) -> None:
    failure = failure_of(delta(content="x"), payload(error=error))
    assert failure == Failure(FailureKind(kind), code=code, billable=True)


def test_an_error_of_groqs_own_kind_fails_the_stream() -> None:
    failure = failure_of(payload(choices=[], x_groq={"error": "over capacity"}))
    assert failure == Failure(FailureKind.UNKNOWN)


def test_the_message_of_an_error_says_nothing_of_the_providers_sentence() -> None:
    decoder = AnswerDecoder()
    decoder.decode([payload(error={"message": "You wrote: my secret", "code": "server_error"})])
    assert "secret" not in str(decoder.failure)


def chunks() -> st.SearchStrategy[list[bytes]]:
    """Streams of every kind of chunk, with and without an end."""
    kinds = [
        *(delta(role="assistant", content=""), delta(content="x"), delta(reasoning="y")),
        *(delta("stop"), delta("length", content="last"), DONE, payload(choices=[])),
        delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}]),
        usage(prompt_tokens=2, completion_tokens=1),
        *(payload(error={"code": "server_error"}), b"{"),
    ]
    return st.lists(st.sampled_from(kinds), max_size=8)


def reads_of(payloads: list[bytes], cuts: list[int]) -> Iterator[list[bytes]]:
    edges = [0, *sorted(cut % (len(payloads) + 1) for cut in cuts), len(payloads)]
    for start, end in pairwise(edges):
        yield payloads[start:end]


@given(chunks(), st.lists(st.integers(0, 8), max_size=4))
def test_any_stream_is_legal_and_ends_once(payloads: list[bytes], cuts: list[int]) -> None:
    decoder = AnswerDecoder()
    events: list[ProviderEvent] = []
    for read in reads_of(payloads, cuts):
        if decoder.failure is None:
            events += decoder.decode(read)
    if decoder.failure is None:
        events += decoder.close()
    phase: Phase | None = Phase.STREAMING
    for event in events:
        assert phase is not None
        phase = next_phase(phase, event)
    before_end = payloads[: payloads.index(DONE)] if DONE in payloads else payloads
    broken = any(one == b"{" or b'"error"' in one for one in before_end)
    finishes = any(b'"stop"' in one or b'"length"' in one for one in payloads)
    complete = not broken and (DONE in payloads or finishes)
    assert phase is (Phase.ENDED if complete else Phase.STREAMING)
    assert (decoder.failure is None) is complete


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5) | st.none()


@given(st.lists(texts, max_size=6))
def test_the_text_is_what_the_sdk_reads(pieces: list[str | None]) -> None:
    identity = {"id": "i", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    wire = [
        json.dumps({**identity, "choices": [{"index": 0, "delta": {"content": piece}}]}).encode()
        for piece in pieces
    ]
    read = [ChatCompletionChunk.model_validate_json(one).choices[0].delta.content for one in wire]
    deltas = [event for event in decode(*wire, DONE) if isinstance(event, TextDelta)]
    assert [one.text for one in deltas] == [text for text in read if text]
