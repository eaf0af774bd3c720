"""JSON schemas of every dialect's answers, as streams and in one piece.

They are made of the types that are written, where there are such; much of a stream is written by
hand, and of that they say which events there are and what these cannot be without.
"""

from chatnest.adapters.transport.anthropic_problems import ErrorBody as AnthropicError
from chatnest.adapters.transport.anthropic_stream import MessageDelta, MessageStart
from chatnest.adapters.transport.anthropic_whole import WholeMessage
from chatnest.adapters.transport.chatnest import EVENT_DATA
from chatnest.adapters.transport.openai_chat_stream import ChatCompletion
from chatnest.adapters.transport.openai_problems import ErrorBody as OpenAIError
from chatnest.adapters.transport.openai_responses_items import Item
from chatnest.adapters.transport.openai_usage import CompletionUsage, ResponseUsage, SpendReport
from chatnest.app.json_schemas import (
    JsonSchema,
    event,
    events_by_name,
    object_with,
    one_of,
    plain_event,
    schema_of,
    typed_objects,
)

_DONE = plain_event("[DONE]")


def chatnest_event() -> JsonSchema:
    """One event of ChatNest's own stream."""
    return events_by_name(EVENT_DATA)


def ai_sdk_event() -> JsonSchema:
    """One chunk of the AI SDK's UI message stream, or its end."""
    chunks = typed_objects(
        {
            "start": ("messageId", "messageMetadata"),
            "start-step": (),
            "text-start": ("id",),
            "text-delta": ("id", "delta"),
            "text-end": ("id",),
            "reasoning-start": ("id",),
            "reasoning-delta": ("id", "delta"),
            "reasoning-end": ("id",),
            "tool-input-start": ("toolCallId", "toolName"),
            "tool-input-delta": ("toolCallId", "inputTextDelta"),
            "tool-input-available": ("toolCallId", "toolName", "input"),
            "tool-input-error": ("toolCallId", "toolName", "input", "errorText"),
            "data-chatnest-usage": ("data", "transient"),
            "message-metadata": ("messageMetadata",),
            "error": ("errorText",),
            "finish-step": (),
            "finish": ("finishReason",),
        }
    )
    return one_of(event(one_of(*chunks)), _DONE)


def ag_ui_event() -> JsonSchema:
    """One event of a run."""
    events = typed_objects(
        {
            "RUN_STARTED": ("threadId", "runId", "protocolVersion"),
            "TEXT_MESSAGE_START": ("messageId", "role"),
            "TEXT_MESSAGE_CONTENT": ("messageId", "delta"),
            "TEXT_MESSAGE_END": ("messageId",),
            "REASONING_START": ("messageId",),
            "REASONING_MESSAGE_START": ("messageId", "role"),
            "REASONING_MESSAGE_CONTENT": ("messageId", "delta"),
            "REASONING_MESSAGE_END": ("messageId",),
            "REASONING_ENCRYPTED_VALUE": ("subtype", "entityId", "encryptedValue"),
            "REASONING_END": ("messageId",),
            "TOOL_CALL_START": ("toolCallId", "toolCallName", "parentMessageId"),
            "TOOL_CALL_ARGS": ("toolCallId", "delta"),
            "TOOL_CALL_END": ("toolCallId",),
            "CUSTOM": ("name", "value"),
            "RUN_FINISHED": ("threadId", "runId", "outcome"),
            "RUN_ERROR": ("message", "code"),
        }
    )
    return event(one_of(*events))


def chat_completion_event() -> JsonSchema:
    """One chunk of Chat Completions, the error that ends a stream, or its end."""
    choice = object_with("logprobs", "finish_reason", index={"const": 0}, delta=object_with())
    chunk = object_with(
        id={"type": "string"},
        object={"const": "chat.completion.chunk"},
        created={"type": "integer"},
        model={"type": "string"},
        choices={"type": "array", "items": choice, "maxItems": 1},
    )
    chunk["properties"] |= {
        "usage": one_of({"type": "null"}, schema_of(CompletionUsage)),
        "chatnest": schema_of(SpendReport),
    }
    return one_of(event(chunk), event(schema_of(OpenAIError)), _DONE)


def chat_completion() -> JsonSchema:
    """A whole answer of Chat Completions."""
    return schema_of(ChatCompletion)


def response_event() -> JsonSchema:
    """One event of a response."""
    place = ("item_id", "output_index")
    part = (*place, "content_index")
    steps = typed_objects(
        {
            "response.output_item.added": ("output_index", "item"),
            "response.output_item.done": ("output_index", "item"),
            "response.content_part.added": (*part, "part"),
            "response.content_part.done": (*part, "part"),
            "response.output_text.delta": (*part, "delta", "logprobs"),
            "response.output_text.done": (*part, "text", "logprobs"),
            "response.refusal.delta": (*part, "delta"),
            "response.refusal.done": (*part, "refusal"),
            "response.reasoning_text.delta": (*part, "delta"),
            "response.reasoning_text.done": (*part, "text"),
            "response.function_call_arguments.delta": (*place, "delta"),
            "response.function_call_arguments.done": (*place, "arguments"),
        }
    )
    states = ("created", "in_progress", "completed", "incomplete", "failed")
    steps += [object_with(type={"const": f"response.{s}"}, response=response()) for s in states]
    return one_of(*(_numbered(step) for step in steps))


def response() -> JsonSchema:
    """A whole response; beside these fields it repeats those of its request."""
    described = object_with(
        "error",
        "incomplete_details",
        id={"type": "string"},
        object={"const": "response"},
        created_at={"type": "integer"},
        model={"type": "string"},
        status={"enum": ["in_progress", "completed", "incomplete", "failed"]},
        output={"type": "array", "items": schema_of(Item)},
        usage=one_of({"type": "null"}, schema_of(ResponseUsage)),
    )
    described["properties"]["chatnest"] = schema_of(SpendReport)
    return described


def message_event() -> JsonSchema:
    """One event of a message of Anthropic's."""
    written = typed_objects(
        {
            "content_block_start": ("index", "content_block"),
            "content_block_delta": ("index", "delta"),
            "content_block_stop": ("index",),
            "message_stop": (),
            "ping": (),
        }
    )
    typed = {
        "message_start": schema_of(MessageStart),
        "message_delta": schema_of(MessageDelta),
        "error": schema_of(AnthropicError),
    }
    events = [event(data, data["properties"]["type"]["const"]) for data in written]
    events += [event(data, name) for name, data in typed.items()]
    return one_of(*events)


def message() -> JsonSchema:
    """A whole message of Anthropic's."""
    blocks = typed_objects(
        {
            "text": ("text",),
            "thinking": ("thinking", "signature"),
            "redacted_thinking": ("data",),
            "tool_use": ("id", "name", "input"),
        }
    )
    described = schema_of(WholeMessage)
    described["properties"]["content"] = {"type": "array", "items": one_of(*blocks)}
    return described


def _numbered(step: JsonSchema) -> JsonSchema:
    step["properties"]["sequence_number"] = {"type": "integer", "minimum": 0}
    step["required"].append("sequence_number")
    return event(step, step["properties"]["type"]["const"])
