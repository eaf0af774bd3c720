"""Every answer on the wire of Responses, as OpenAI's own client reads it."""

import json

from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import (
    Response,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputRefusal,
    ResponseOutputText,
    ResponseReasoningItem,
    ResponseStreamEvent,
)
from pydantic import TypeAdapter

from chatnest.adapters.transport import Encoder
from chatnest.domain.events import (
    ChatEvent,
    Failed,
    Finished,
    FinishReason,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from chatnest.testing.event_strategies import event_batches, event_sequences, failures, finishes
from tests.adapters.transport.openai_responses_examples import BODY, DIALECT, encoder
from tests.adapters.transport.openai_sdk import Served, client_of, whole_text
from tests.adapters.transport.whatwg_sse import parse_event_stream

SERVED = Served()
CLIENT = client_of(SERVED)
EVENTS: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
STATUS = {
    FinishReason.STOP: ("completed", None),
    FinishReason.TOOL_CALLS: ("completed", None),
    FinishReason.CONTENT_FILTER: ("incomplete", "content_filter"),
}
CUT = ("incomplete", "max_output_tokens")


def read(stream: bytes, cuts: list[int] | None = None) -> list[ResponseStreamEvent]:
    SERVED.stream(stream, cuts or ())
    return list(CLIENT.responses.create(model="m", input="Hello", stream=True))


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


def check(response: Response, events: list[ChatEvent]) -> None:
    """That *response* says exactly what *events* do."""
    texts, refusals, thoughts = "", "", ""
    calls: list[tuple[str, str, str]] = []
    for item in response.output:
        if isinstance(item, ResponseOutputMessage):
            texts += "".join(
                part.text for part in item.content if isinstance(part, ResponseOutputText)
            )
            refusals += "".join(
                part.refusal for part in item.content if isinstance(part, ResponseOutputRefusal)
            )
        elif isinstance(item, ResponseReasoningItem):
            thoughts += "".join(part.text for part in item.content or ())
        else:
            assert isinstance(item, ResponseFunctionToolCall)
            calls.append((item.call_id, item.name, whole_text(item.arguments)))
    assert whole_text(texts) == said(events, TextDelta)
    assert whole_text(refusals) == said(events, RefusalDelta)
    assert whole_text(thoughts) == said(events, ReasoningDelta)
    assert calls == called(events)
    reports = [event.usage for event in events if isinstance(event, UsageReported)]
    told = response.usage
    assert [usage.total_tokens for usage in reports] == ([told.total_tokens] if told else [])
    assert [usage.reasoning_tokens for usage in reports] == (
        [told.output_tokens_details.reasoning_tokens] if told else []
    )


@given(
    event_sequences(halves=True),
    st.booleans(),
    st.lists(st.integers(0, 4_000), max_size=5),
    st.data(),
)
def test_the_sdk_reads_every_response_however_its_stream_is_cut(
    events: list[ChatEvent], with_seals: bool, cuts: list[int], data: st.DataObject
) -> None:
    reply = encoder(with_seals=with_seals)
    batches = data.draw(event_batches(events))
    stream = b"".join([reply.encode(batch) + reply.ping for batch in batches])
    assert b"\r" not in stream
    for each in parse_event_stream(stream):
        # The client itself takes events as they come, and looks at no types.
        assert EVENTS.validate_python(json.loads(each.data)).type == each.type
    told = read(stream, cuts)
    assert [event.sequence_number for event in told] == list(range(len(told)))
    last, ending = told[-1], events[-1]
    assert last.type in ("response.completed", "response.incomplete", "response.failed")
    check(last.response, events)
    why = last.response.incomplete_details
    if isinstance(ending, Failed):
        assert (last.type, last.response.status) == ("response.failed", "failed")
        assert last.response.error is not None
        assert last.response.error.message == ending.error.message
        return
    assert isinstance(ending, Finished)
    status, reason = STATUS.get(ending.finish_reason, CUT)
    assert (last.type, last.response.status) == (f"response.{status}", status)
    assert (why.reason if why else None) == reason


@given(event_sequences(halves=True, endings=st.just(Finished(FinishReason.STOP))), st.booleans())
def test_the_sdk_s_own_sum_of_the_events_is_the_response(
    events: list[ChatEvent], with_seals: bool
) -> None:
    SERVED.stream(encoder(with_seals=with_seals).encode(events))
    with CLIENT.responses.stream(model="m", input="Hello") as stream:
        told = list(stream)
        response = stream.get_final_response()
    snapshots: dict[str, str] = {}
    for event in told:
        if event.type == "response.output_text.delta":
            snapshots[f"{event.item_id}/{event.content_index}"] = event.snapshot
        elif event.type == "response.function_call_arguments.delta":
            snapshots[event.item_id] = event.snapshot
    whole: dict[str, str] = {}
    for item in response.output:
        if item.type == "function_call" and item.arguments:
            whole[item.id or ""] = item.arguments
        elif item.type == "message":
            whole |= {
                f"{item.id}/{index}": part.text
                for index, part in enumerate(item.content)
                if part.type == "output_text"
            }
    assert whole == snapshots
    check(response, events)


@given(event_sequences(halves=True, endings=finishes()))
def test_a_whole_response_is_the_one_that_its_stream_ends_with(events: list[ChatEvent]) -> None:
    reply = DIALECT.decode(json.dumps(BODY).encode()).reply
    assert not isinstance(reply, Encoder)
    reply.add(events)
    response = reply.response()
    streamed = parse_event_stream(encoder().encode(events))[-1]
    assert json.loads(response.body) == json.loads(streamed.data)["response"]
    SERVED.whole(response)
    whole = CLIENT.responses.create(model="m", input="Hello")
    check(whole, events)
    assert Response.model_validate(json.loads(response.body)) == whole


@given(event_sequences(endings=failures()))
def test_a_response_that_failed_is_asked_for_once(events: list[ChatEvent]) -> None:
    assert read(encoder().encode(events))[-1].type == "response.failed"
    assert SERVED.asked == 1
