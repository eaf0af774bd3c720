"""Answers on the wire of Responses, byte for byte and event by event."""

import json

import pytest

from chatnest.adapters.transport import Encoder
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
from tests.adapters.transport.examples import NOW, balance
from tests.adapters.transport.openai_responses_examples import BODY, DIALECT, encoder
from tests.adapters.transport.whatwg_sse import parse_event_stream

STARTED = Started("r1", "fast", "balanced", NOW + 999_999)
USAGE = UsageReported(
    TokenUsage(120, 30, cached_input_tokens=100, reasoning_tokens=8),
    cost_nano_usd=1_234_500,
    balances=(balance(settled=1_150, held=0),),
)


def frames(*events: ChatEvent, with_seals: bool = False) -> list[tuple[str, dict[str, object]]]:
    """The name and the data of each event that follows the first two, without its number."""
    stream = encoder(with_seals=with_seals).encode([STARTED, *events])
    read = [(event.type, json.loads(event.data)) for event in parse_event_stream(stream)]
    assert [data.pop("sequence_number") for _, data in read] == list(range(len(read)))
    assert [data.pop("type") for _, data in read] == [kind for kind, _ in read]
    return read[2:]


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
