"""What the payloads of OpenAI's streams mean."""

import json
from collections.abc import Iterator
from itertools import pairwise

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
from tests.adapters.providers.openai_chunks import DONE, STOP, decode, delta, payload, usage


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


ODDITIES = [b"", b"{}{}", b"{}\n{}", b'{"choices":[', b"]}", b"1", b"}", b'{"choices":[\n]}', b"{}"]


@given(st.lists(st.sampled_from([delta(content="x"), delta(content="y"), *ODDITIES]), min_size=4))
def test_what_is_read_together_means_what_it_means_apart(payloads: list[bytes]) -> None:
    together, apart = AnswerDecoder(), AnswerDecoder()
    events: list[ProviderEvent] = []
    for one in payloads:
        if apart.failure is None:
            events += apart.decode([one])
    assert together.decode(payloads) == events
    assert (together.failure is None) == (apart.failure is None)
