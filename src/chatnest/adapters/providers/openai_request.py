"""The request of OpenAI's Chat Completions wire: a call becomes a JSON body. No SDK, no HTTP."""

import re
from dataclasses import dataclass

import msgspec

from chatnest.domain.errors import Failure, FailureKind, ProviderError
from chatnest.domain.messages import Message
from chatnest.domain.ports import ProviderCall


@dataclass(frozen=True, slots=True)
class ModelFamily:
    """What the models whose names begin with *pattern* want to be sent."""

    pattern: re.Pattern[str]
    output_cap_field: str
    takes_temperature: bool


# OpenAI's reasoning models refuse max_tokens ("use max_completion_tokens instead") and every
# temperature but their own; compatible servers know max_tokens alone. The first match counts.
MODEL_FAMILIES = (
    ModelFamily(re.compile(r"(ft:)?gpt-5[.\d]*-chat"), "max_completion_tokens", True),
    ModelFamily(re.compile(r"(ft:)?(gpt-[5-9]|o\d)"), "max_completion_tokens", False),
    ModelFamily(re.compile(""), "max_tokens", True),
)

# What the call itself says, whatever else the client sent.
CALL_FIELDS = frozenset(
    {"messages", "model", "stop", "stream", "stream_options", "temperature"}
    | {family.output_cap_field for family in MODEL_FAMILIES}
)

# Fields that make a call cost more than its hold, by OpenAI's API reference and llama.cpp's
# server: more answers (n, n_cmpl, best_of), another name for the output cap (n_predict),
# rejected predictions and audio billed as output, dearer tiers, searches billed by the piece.
COSTLY_FIELDS = frozenset(
    {
        "audio",
        "best_of",
        "modalities",
        "n",
        "n_cmpl",
        "n_predict",
        "prediction",
        "service_tier",
        "web_search_options",
    }
)

_NEVER_PASSED_ON = CALL_FIELDS | COSTLY_FIELDS


def request_body(call: ProviderCall) -> bytes:
    """The JSON body that streams an answer to *call*, usage included.

    Raises:
        ProviderError: a text or an extra field cannot be written as JSON (``invalid_request``).
    """
    try:
        return msgspec.json.encode(_request(call))
    except (TypeError, ValueError, RecursionError) as error:
        failure = Failure(FailureKind.INVALID_REQUEST, billable=False)
        raise ProviderError("the request cannot be written as JSON", failure) from error


def family_of(model: str) -> ModelFamily:
    """The first of :data:`MODEL_FAMILIES` that *model* belongs to."""
    return next(family for family in MODEL_FAMILIES if family.pattern.match(model))


def _request(call: ProviderCall) -> dict[str, object]:
    family = family_of(call.model)
    body = {name: call.extra[name] for name in call.extra if name not in _NEVER_PASSED_ON}
    body["model"] = call.model
    body["messages"] = [_message(message) for message in call.messages]
    body["stream"] = True
    body["stream_options"] = {"include_usage": True}
    body[family.output_cap_field] = call.max_output_tokens
    if call.temperature is not None and family.takes_temperature:
        body["temperature"] = call.temperature
    if call.stop:
        body["stop"] = call.stop
    return body


def _message(message: Message) -> dict[str, object]:
    wire: dict[str, object] = {"role": message.role.value}
    if message.content or not message.tool_calls:
        wire["content"] = message.content
    if message.tool_calls:
        wire["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    return wire
