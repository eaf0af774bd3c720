"""Answers on the wire of Responses: byte for byte, and as OpenAI's own client reads them."""

import json

import pytest
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
from chatnest.adapters.transport.openai_responses import OpenAIResponsesDialect
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
DIALECT = OpenAIResponsesDialect()
EVENTS: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
STARTED = Started("r1", "fast", "balanced", NOW + 999_999)
USAGE = UsageReported(
    TokenUsage(120, 30, cached_input_tokens=100, reasoning_tokens=8),
    cost_nano_usd=1_234_500,
    balances=(balance(settled=1_150, held=0),),
)
BODY = {
    "input": "Hello",
    "instructions": "Be kind.",
    "max_output_tokens": 400,
    "metadata": {"a": "b"},
    "parallel_tool_calls": False,
    "reasoning": {"effort": "low"},
    "temperature": 0.5,
    "text": {
        "format": {"type": "json_schema", "name": "x", "schema": {"b": 2.5}},
        "verbosity": "low",
    },
    "tool_choice": {"type": "function", "name": "add"},
    "tools": [{"type": "function", "name": "add", "parameters": {"type": "object"}}],
    "top_p": 1,
    "user": "someone",
}
STATUS = {
    FinishReason.STOP: ("completed", None),
    FinishReason.TOOL_CALLS: ("completed", None),
    FinishReason.CONTENT_FILTER: ("incomplete", "content_filter"),
}
CUT = ("incomplete", "max_output_tokens")


def encoder(*, with_seals: bool = False) -> Encoder:
    include = {"include": ["reasoning.encrypted_content"]} if with_seals else {}
    asked = {**BODY, "stream": True, **include}
    reply = DIALECT.decode(json.dumps(asked).encode()).reply
    assert isinstance(reply, Encoder)
    return reply


def frames(*events: ChatEvent, with_seals: bool = False) -> list[tuple[str, dict[str, object]]]:
    """The name and the data of each event that follows the first two, without its number."""
    stream = encoder(with_seals=with_seals).encode([STARTED, *events])
    read = [(event.type, json.loads(event.data)) for event in parse_event_stream(stream)]
    assert [data.pop("sequence_number") for _, data in read] == list(range(len(read)))
    assert [data.pop("type") for _, data in read] == [kind for kind, _ in read]
    return read[2:]


def read(stream: bytes, cuts: list[int] | None = None) -> list[ResponseStreamEvent]:
    SERVED.stream(stream, cuts or ())
    return list(CLIENT.responses.create(model="m", input="Hello", stream=True))


def test_a_text_is_these_bytes() -> None:
    stream = encoder().encode([STARTED, TextDelta("Hi\n"), TextDelta("é\u2028")])
    head, _, rest = stream.partition(b"event: response.output_item.added\n")
    assert head.startswith(b'event: response.created\ndata: {"type":"response.created",')
    assert rest.decode() == (
        'data: {"type":"response.output_item.added","sequence_number":2,"output_index":0,'
        '"item":{"type":"message","id":"msg_r1_0","status":"in_progress","role":"assistant",'
        '"content":[]}}\n\n'
        "event: response.content_part.added\n"
        'data: {"type":"response.content_part.added","sequence_number":3,"item_id":"msg_r1_0",'
        '"output_index":0,"content_index":0,'
        '"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]}}\n\n'
        "event: response.output_text.delta\n"
        'data: {"type":"response.output_text.delta","item_id":"msg_r1_0","output_index":0,'
        '"content_index":0,"delta":"Hi\\n","logprobs":[],"sequence_number":4}\n\n'
        "event: response.output_text.delta\n"
        'data: {"type":"response.output_text.delta","item_id":"msg_r1_0","output_index":0,'
        '"content_index":0,"delta":"é\u2028","logprobs":[],"sequence_number":5}\n\n'
    )


def test_a_response_repeats_its_request_and_says_what_it_used() -> None:
    reply = DIALECT.decode(json.dumps(BODY).encode()).reply
    assert not isinstance(reply, Encoder)
    reply.add([STARTED, TextDelta("Hi"), USAGE, Finished(FinishReason.STOP)])
    response = reply.response()
    assert (response.status, response.headers) == (200, (("content-type", "application/json"),))
    assert json.loads(response.body) == {
        "id": "resp_r1",
        "object": "response",
        "created_at": NOW // 10**6,
        "model": "fast",
        "background": False,
        "instructions": "Be kind.",
        "max_output_tokens": 400,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "previous_response_id": None,
        "reasoning": {"effort": "low", "summary": None},
        "store": False,
        "temperature": 0.5,
        "text": {
            "format": {"type": "json_schema", "name": "x", "schema": {"b": 2.5}},
            "verbosity": "low",
        },
        "tool_choice": {"type": "function", "name": "add"},
        "tools": [
            {
                "type": "function",
                "name": "add",
                "description": None,
                "parameters": {"type": "object"},
                "strict": None,
            }
        ],
        "top_p": 1.0,
        "truncation": "disabled",
        "user": "someone",
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "output": [
            {
                "type": "message",
                "id": "msg_r1_0",
                "status": "completed",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}
                ],
            }
        ],
        "usage": {
            "input_tokens": 120,
            "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 0},
            "output_tokens": 30,
            "output_tokens_details": {"reasoning_tokens": 8},
            "total_tokens": 150,
        },
        "chatnest": {
            "costUsd": "0.0012345",
            "estimated": False,
            "limits": [
                {
                    "name": "tokens-day",
                    "scope": "someone",
                    "limit": 70_000,
                    "used": 1_150,
                    "held": 0,
                    "remaining": 68_850,
                    "resetsAt": "2026-11-23T00:00:00Z",
                }
            ],
        },
    }


def test_each_kind_of_delta_opens_what_it_belongs_to_and_closes_what_was_open() -> None:
    told = frames(
        ReasoningDelta("Hm"),
        RefusalDelta("No."),
        TextDelta("Hi"),
        ToolCallDelta(0, "call-0", "add", "{"),
        TextDelta("!"),
        ToolCallDelta(0, arguments="}"),
        Finished(FinishReason.TOOL_CALLS),
    )
    assert [kind.removeprefix("response.") for kind, _ in told] == [
        *("output_item.added", "content_part.added", "reasoning_text.delta"),
        *("reasoning_text.done", "content_part.done", "output_item.done"),
        *("output_item.added", "content_part.added", "refusal.delta", "refusal.done"),
        *("content_part.done", "content_part.added", "output_text.delta", "output_text.done"),
        *("content_part.done", "output_item.done"),
        *("output_item.added", "function_call_arguments.delta"),
        *("output_item.added", "content_part.added", "output_text.delta"),
        "function_call_arguments.delta",
        *("output_text.done", "content_part.done", "output_item.done"),
        *("function_call_arguments.done", "output_item.done"),
        "completed",
    ]
    assert [data["output_index"] for kind, data in told if kind.endswith("item.added")] == [
        *(0, 1, 2, 3)
    ]
    arguments = {"item_id": "fc_r1_2", "output_index": 2, "arguments": "{}"}
    assert ("response.function_call_arguments.done", arguments) in told


@pytest.mark.parametrize(
    ("thoughts", "with_seals", "items"),
    [
        ([ReasoningDelta("Hm", "seal")], True, [{"content": "Hm", "encrypted_content": "seal"}]),
        (
            [
                ReasoningDelta("a"),
                ReasoningDelta("b"),
                ReasoningDelta("", "s"),
                ReasoningDelta("c"),
            ],
            True,
            [{"content": "ab", "encrypted_content": "s"}, {"content": "c"}],
        ),
        ([ReasoningDelta("", "seal")], True, [{"content": "", "encrypted_content": "seal"}]),
        ([ReasoningDelta("", "seal", redacted=True)], True, [{"encrypted_content": "seal"}]),
        (
            [ReasoningDelta("a"), ReasoningDelta("", "seal", redacted=True)],
            True,
            [{"content": "a"}, {"encrypted_content": "seal"}],
        ),
        ([ReasoningDelta("Hm", "seal")], False, [{"content": "Hm"}]),
        (
            [ReasoningDelta("a", "s"), ReasoningDelta("", "s", redacted=True), ReasoningDelta("b")],
            False,
            [{"content": "a"}, {"content": "b"}],
        ),
        ([ReasoningDelta("", "seal")], False, []),
    ],
)
def test_a_seal_ends_its_thought_and_is_given_to_who_asks(
    thoughts: list[ChatEvent], with_seals: bool, items: list[dict[str, str]]
) -> None:
    told = frames(*thoughts, Finished(FinishReason.STOP), with_seals=with_seals)
    response = told[-1][1]["response"]
    assert isinstance(response, dict)
    shown = [
        {
            name: item[name]
            if name == "encrypted_content"
            else "".join(part["text"] for part in item[name])
            for name in ("content", "encrypted_content")
            if name in item
        }
        for item in response["output"]
    ]
    assert shown == items


def test_a_thought_that_is_given_back_is_the_same_thought() -> None:
    thoughts = [ReasoningDelta("Hm", "a"), ReasoningDelta("", "b"), ReasoningDelta("", "c", True)]
    told = frames(*thoughts, Finished(FinishReason.STOP), with_seals=True)
    response = told[-1][1]["response"]
    assert isinstance(response, dict)
    hello = {"role": "user", "content": "Hello"}
    asked = json.dumps({"input": [hello, *response["output"]]}).encode()
    (_, answer) = DIALECT.decode(asked).request.messages
    assert [
        ReasoningDelta(part.text, part.signature, part.redacted)  # type: ignore[union-attr]
        for part in answer.parts
    ] == thoughts


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PublicError("provider_timeout", "Too slow.", retryable=True), "server_error"),
        (PublicError("provider_content_filter", "Filtered."), "invalid_prompt"),
    ],
)
def test_a_response_that_failed_says_why_and_keeps_what_was_said(
    error: PublicError, code: str
) -> None:
    kind, data = frames(TextDelta("half"), USAGE, Failed(error))[-1]
    response = data["response"]
    assert isinstance(response, dict)
    assert (kind, response["status"]) == ("response.failed", "failed")
    assert response["error"] == {"code": code, "message": error.message}
    (item,) = response["output"]
    assert (item["status"], item["content"][0]["text"]) == ("incomplete", "half")
    assert response["usage"]["total_tokens"] == 150


def test_a_whole_response_that_failed_is_an_error_with_its_status() -> None:
    reply = DIALECT.decode(b'{"input":"Hello"}').reply
    assert not isinstance(reply, Encoder)
    reply.add([STARTED, TextDelta("half")])
    reply.add([Failed(PublicError("provider_timeout", "Too slow."))])
    response = reply.response()
    assert (response.status, json.loads(response.body)["error"]["code"]) == (
        504,
        "provider_timeout",
    )


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
