"""Any answer on Anthropic's wire: legal, read as it was meant, and what the SDK reads too."""

import json
from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import Any

from anthropic.types import RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from chatnest.adapters.providers.anthropic_stream import AnswerDecoder
from chatnest.adapters.providers.sse import EventDecoder
from chatnest.domain.events import (
    Finished,
    FinishReason,
    Phase,
    ProviderEvent,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageReported,
    next_phase,
)
from chatnest.domain.usage import TokenUsage
from tests.adapters.providers.anthropic_wire import (
    DONE,
    block,
    block_end,
    delta,
    end,
    payload,
    start,
    text,
)

SDK_EVENTS: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
STOP_REASONS = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
}


def kinds_of_events() -> st.SearchStrategy[list[bytes]]:
    """Streams of every kind of event, with and without an end."""
    kinds = [
        *(start(input_tokens=2, output_tokens=1), block("text", text=""), text("x"), block_end()),
        *(block("tool_use", 1, id="a", name="f", input={}), block_end(1), payload("ping")),
        *(delta("input_json_delta", 1, partial_json="{"), delta("thinking_delta", thinking="y")),
        *(end(output_tokens=3), end("max_tokens"), end(None, output_tokens=-1), DONE),
        *(payload("error", error={"type": "api_error"}), b"{"),
    ]
    return st.lists(st.sampled_from(kinds), max_size=8)


def reads_of(payloads: list[bytes], cuts: list[int]) -> Iterator[list[bytes]]:
    edges = [0, *sorted(cut % (len(payloads) + 1) for cut in cuts), len(payloads)]
    for first, last in pairwise(edges):
        yield payloads[first:last]


@given(kinds_of_events(), st.lists(st.integers(0, 8), max_size=4))
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
    finishes = any(b'"end_turn"' in one or b'"max_tokens"' in one for one in payloads)
    complete = not broken and (DONE in payloads or finishes)
    assert phase is (Phase.ENDED if complete else Phase.STREAMING)
    assert (decoder.failure is None) is complete


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
counts = st.integers(0, 9)


@st.composite
def tool_calls(draw: st.DrawFn) -> list[ProviderEvent]:
    """The pieces of one tool call, its number still to be given."""
    pieces = draw(st.lists(words, min_size=1, max_size=3))
    first = ToolCallDelta(0, draw(words), draw(words))
    return [first, *[ToolCallDelta(0, arguments=piece) for piece in pieces]]


@st.composite
def answers(draw: st.DrawFn) -> list[ProviderEvent]:
    """What a provider may say in one answer, in its legal order."""
    one = (
        st.builds(TextDelta, words)
        | st.builds(ReasoningDelta, words)
        | st.builds(ReasoningDelta, st.just(""), words)
        | st.builds(ReasoningDelta, st.just(""), words, st.just(True))
    )
    said = draw(st.lists(st.lists(one, min_size=1, max_size=1) | tool_calls(), max_size=6))
    calls = 0
    for pieces in said:
        for piece in pieces:
            if isinstance(piece, ToolCallDelta):
                piece.index = calls
        calls += isinstance(pieces[0], ToolCallDelta)
    events: list[ProviderEvent] = [event for pieces in said for event in pieces]
    if draw(st.booleans()):
        events.append(UsageReported(draw(usages())))
    reason, stop = draw(st.sampled_from(sorted(STOP_REASONS))), draw(st.none() | words)
    return [*events, Finished(reason, stop)]


@st.composite
def usages(draw: st.DrawFn) -> TokenUsage:
    plain, cached, written_, output = draw(st.tuples(counts, counts, counts, counts))
    thinking = draw(st.integers(0, output))
    return TokenUsage(plain + cached + written_, output, cached, written_, thinking)


def block_of(event: ProviderEvent) -> tuple[object, ...]:
    """What events of one content block have in common."""
    match event:
        case ToolCallDelta(index=index):
            return ("tool_use", index)
        case ReasoningDelta(signature=signature, redacted=True):
            return ("redacted_thinking", signature, id(event))
        case ReasoningDelta():
            return ("thinking",)
        case _:
            return ("text",)


def blocks_on_the_wire(events: list[ProviderEvent]) -> Iterator[bytes]:
    """The content blocks of *events*, as Anthropic sends them."""
    for index, (_, members) in enumerate(groupby(events, block_of)):
        group = list(members)
        match group[0]:
            case ToolCallDelta(id=identifier, name=name):
                yield block("tool_use", index, id=identifier, name=name, input={})
                group = group[1:]
            case ReasoningDelta(signature=seal, redacted=True):
                yield block("redacted_thinking", index, data=seal)
                group = []
            case ReasoningDelta():
                yield block("thinking", index, thinking="", signature="")
            case _:
                yield block("text", index, text="")
        for event in group:
            yield delta_on_the_wire(event, index)
        yield block_end(index)


def delta_on_the_wire(event: ProviderEvent, index: int) -> bytes:
    match event:
        case ToolCallDelta(arguments=arguments):
            return delta("input_json_delta", index, partial_json=arguments)
        case ReasoningDelta(signature=str(signature)):
            return delta("signature_delta", index, signature=signature)
        case ReasoningDelta(text=thought):
            return delta("thinking_delta", index, thinking=thought)
        case TextDelta(text=piece):
            return delta("text_delta", index, text=piece)
        case _:
            raise AssertionError(event)


def on_the_wire(events: list[ProviderEvent]) -> list[bytes]:
    """*events* as Anthropic streams them; the input's figures come first, the output's last."""
    *said, finished = events
    first: dict[str, Any] = {}
    last: dict[str, Any] = {}
    if said and isinstance(said[-1], UsageReported):
        usage = said[-1].usage
        said = said[:-1]
        cached, written_ = usage.cached_input_tokens, usage.cache_write_tokens
        first = {
            "input_tokens": usage.input_tokens - cached - written_,
            "cache_read_input_tokens": cached,
            "cache_creation_input_tokens": written_,
            "output_tokens": 1,
        }
        last = {
            "output_tokens": usage.output_tokens,
            "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
        }
    assert isinstance(finished, Finished)
    stopped = {
        "stop_reason": STOP_REASONS[finished.finish_reason],
        "stop_sequence": finished.stop_sequence,
    }
    return [
        start(**first),
        *blocks_on_the_wire(said),
        payload("message_delta", delta=stopped, usage=last),
        DONE,
    ]


@given(answers(), st.lists(st.integers(0, 2_000), max_size=6))
def test_any_answer_is_read_as_it_was_meant_wherever_reads_end(
    events: list[ProviderEvent], cuts: list[int]
) -> None:
    stream = b"".join(b"event: e\ndata: %b\n\n" % one for one in on_the_wire(events))
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    sse, decoder = EventDecoder(), AnswerDecoder()
    read: list[ProviderEvent] = []
    for first, last in pairwise(edges):
        read += decoder.decode(sse.feed(stream[first:last]))
    assert decoder.ended
    assert read == events


@given(answers().filter(lambda events: any(isinstance(one, UsageReported) for one in events)))
def test_the_sdks_own_models_read_what_the_answers_are_written_in(
    events: list[ProviderEvent],
) -> None:
    for one in on_the_wire(events):
        fields = json.loads(one)
        if fields["type"] == "message_start":
            fields["message"] |= {"type": "message", "role": "assistant", "model": "m"}
        SDK_EVENTS.validate_python(fields)
