"""An oracle: the message that events are, put together without any of the product's code."""

import json
from collections.abc import Sequence
from typing import Any

from anthropic.types import Message
from hypothesis.strategies import SearchStrategy

from chatnest.domain.events import (
    ChatEvent,
    Finished,
    FinishReason,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from chatnest.testing.event_strategies import event_sequences, finishes

Shown = dict[str, Any]

_LAST = (UsageReported, Finished)

_STOP_REASONS = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
    FinishReason.CANCELLED: "max_tokens",
    FinishReason.ERROR: "max_tokens",
}


def parse_json(text: str) -> Shown:
    """*text*, which must be an object."""
    value = json.loads(text)
    assert isinstance(value, dict)
    return value


def shown(message: Message) -> Shown:
    """What the SDK read, as plain values, without what is null."""
    return message.model_dump(exclude_none=True)


def finished_answers() -> SearchStrategy[list[ChatEvent]]:
    """Answers that come to their end; the arguments of their calls are JSON."""
    return event_sequences(endings=finishes()).map(_with_json_arguments)


def _with_json_arguments(events: list[ChatEvent]) -> list[ChatEvent]:
    """The arguments of each call, as the one text in an object, which still comes in pieces."""
    calls = {event.index for event in events if isinstance(event, ToolCallDelta)}
    deltas = [_quoted(event) for event in events if not isinstance(event, _LAST)]
    closing = [ToolCallDelta(index, arguments='"}') for index in sorted(calls)]
    return [*deltas, *closing, *[event for event in events if isinstance(event, _LAST)]]


def _quoted(event: ChatEvent) -> ChatEvent:
    if not isinstance(event, ToolCallDelta):
        return event
    quoted = json.dumps(event.arguments)[1:-1]
    start = "" if event.id is None else '{"text":"'
    return ToolCallDelta(event.index, event.id, event.name, start + quoted)


def expected_message(events: Sequence[ChatEvent]) -> Shown:
    """What the SDK is to read; without usage in *events*, none was used."""
    started, ending = events[0], events[-1]
    assert isinstance(started, Started)
    assert isinstance(ending, Finished)
    stopped_by = {} if ending.stop_sequence is None else {"stop_sequence": ending.stop_sequence}
    return {
        "id": "msg_" + started.request_id,
        "type": "message",
        "role": "assistant",
        "model": started.model,
        "content": _blocks(events),
        "stop_reason": "stop_sequence" if stopped_by else _STOP_REASONS[ending.finish_reason],
        **stopped_by,
        "usage": _usage(events),
    }


def _blocks(events: Sequence[ChatEvent]) -> list[Shown]:
    """Each run of one kind is a block; a seal ends a thought, and each call is one."""
    blocks: list[Shown] = []
    calls: dict[int, Shown] = {}
    last: str | None = None
    for event in events:
        match event:
            case TextDelta(text=text) | RefusalDelta(text=text):
                if last != "text":
                    blocks.append({"type": "text", "text": ""})
                blocks[-1]["text"] += text
                last = "text"
            case ReasoningDelta(redacted=True, signature=seal):
                blocks.append({"type": "redacted_thinking", "data": seal})
                last = None
            case ReasoningDelta(text=text, signature=seal):
                if last != "thinking":
                    blocks.append({"type": "thinking", "thinking": "", "signature": ""})
                blocks[-1]["thinking"] += text
                blocks[-1]["signature"] = seal or ""
                last = "thinking" if seal is None else None
            case ToolCallDelta(index=index) if index not in calls:
                calls[index] = {"type": "tool_use", "id": event.id, "name": event.name}
                blocks.append(calls[index])
                calls[index]["input"] = event.arguments
                last = "call"
            case ToolCallDelta(index=index, arguments=arguments):
                calls[index]["input"] += arguments
    for block in calls.values():
        block["input"] = _input(block["input"])
    return blocks


def _input(arguments: str) -> Shown:
    try:
        value = json.loads(arguments or "{}")
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"INVALID_JSON": arguments}


def _usage(events: Sequence[ChatEvent]) -> Shown:
    used = {"input": 0, "cached": 0, "written": 0, "output": 0, "thought": 0}
    for event in events:
        if isinstance(event, UsageReported):
            usage = event.usage
            used = {
                "input": usage.input_tokens,
                "cached": usage.cached_input_tokens,
                "written": usage.cache_write_tokens,
                "output": usage.output_tokens,
                "thought": usage.reasoning_tokens,
            }
    details = {"output_tokens_details": {"thinking_tokens": used["thought"]}}
    return {
        "input_tokens": used["input"] - used["cached"] - used["written"],
        "cache_creation_input_tokens": used["written"],
        "cache_read_input_tokens": used["cached"],
        "output_tokens": used["output"],
        **(details if used["thought"] else {}),
    }
