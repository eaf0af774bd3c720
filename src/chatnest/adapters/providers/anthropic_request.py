"""The request of Anthropic's Messages wire: a call becomes a JSON body. No SDK, no HTTP."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from chatnest.adapters.providers.anthropic_blocks import (
    Block,
    json_object,
    refused,
    system_blocks,
    turns,
)
from chatnest.domain.ports import ProviderCall
from chatnest.domain.tools import Tool, ToolChoice, ToolMode


@dataclass(frozen=True, slots=True)
class ModelFamily:
    """How many of temperature and top_p the models that *pattern* matches take in one request."""

    pattern: re.Pattern[str]
    most_samplers: int


# By Anthropic's API reference, models after Claude Opus 4.6 and Sonnet 4.6 answer with status 400
# to every temperature and top_p but the default ("deprecated for this model"); Claude 4.1 to 4.6
# do where both are set, and older ones advise against both. Compatible servers take what they
# get. The first match counts.
MODEL_FAMILIES = (
    ModelFamily(re.compile(r"claude-(\d|instant|[a-z]+-4(?!-[7-9]))"), 1),
    ModelFamily(re.compile(r"claude-"), 0),
    ModelFamily(re.compile(r""), 2),
)

HIGHEST_TEMPERATURE = 1.0

# What the call itself says, whatever else the client sent. Among the tools of the wire are those
# that Anthropic runs and bills by the search or by the hour: a call knows only the caller's own.
CALL_FIELDS = frozenset(
    {
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "tool_choice",
        "tools",
        "top_p",
    }
)

# Fields that make a call cost more than its hold, or somebody else pay for it, by the parameters
# of anthropic-python 2.12 (beta ones too) and Anthropic's pricing: dearer capacity, regions and
# speed; containers billed by the hour; other models with caps and prices of their own; summaries
# that are billed but not in the usage; input that was never counted, because the server holds it
# or its tools fetch it; another payer. The last three are headers in the SDK: what they say of
# betas and payers is the operator's to say.
COSTLY_FIELDS = frozenset(
    {
        "service_tier",
        "inference_geo",
        "speed",
        "container",
        "fallbacks",
        "compaction",
        "context_management",
        "thread",
        "mcp_servers",
        "billing_policy",
        "betas",
        "user_profile_id",
        "workspace_id",
    }
)

_NEVER_PASSED_ON = CALL_FIELDS | COSTLY_FIELDS

# Models are few and configured; what is remembered of them has an end all the same.
_REMEMBERED_MODELS = 256

# A cache that is kept for an hour costs twice the input's price to write; the write price of a
# model, which its holds are made by, is that of five minutes.
_PAID_CACHE_TTLS = (None, "5m")

_TOOL_MODES: Mapping[ToolMode, str] = {
    ToolMode.AUTO: "auto",
    ToolMode.NONE: "none",
    ToolMode.REQUIRED: "any",
}


def request_body(call: ProviderCall) -> bytes:
    """The JSON body that streams an answer to *call*.

    Raises:
        ProviderError: Anthropic would refuse it, or it cannot be written as JSON
            (``invalid_request``).
    """
    try:
        return msgspec.json.encode(_request(call))
    except (TypeError, ValueError, RecursionError) as error:
        raise refused("the request cannot be written as JSON") from error


@lru_cache(maxsize=_REMEMBERED_MODELS)
def family_of(model: str) -> ModelFamily:
    """The first of :data:`MODEL_FAMILIES` that *model* belongs to."""
    return next(family for family in MODEL_FAMILIES if family.pattern.match(model))


def _request(call: ProviderCall) -> dict[str, object]:
    body = _passed_on(call.extra)
    body["model"] = call.model
    body["max_tokens"] = call.max_output_tokens
    body["messages"] = turns(call.messages)
    body["stream"] = True
    if system := system_blocks(call.messages):
        body["system"] = system
    if call.stop:
        body["stop_sequences"] = _stop_sequences(call.stop)
    if call.end_user is not None:
        body["metadata"] = {"user_id": call.end_user}
    body |= _sampling(call)
    body |= _tools(call)
    return body


def _passed_on(extra: Mapping[str, object]) -> dict[str, object]:
    fields = {name: extra[name] for name in extra if name not in _NEVER_PASSED_ON}
    cache = fields.get("cache_control")
    if isinstance(cache, Mapping) and cache.get("ttl") not in _PAID_CACHE_TTLS:
        del fields["cache_control"]
    return fields


def _stop_sequences(stop: tuple[str, ...]) -> tuple[str, ...]:
    # Left out, a stop would let the answer run on past where the client wants it to end.
    if not all(sequence.strip() for sequence in stop):
        raise refused("a stop sequence must hold more than white space")
    return stop


def _sampling(call: ProviderCall) -> dict[str, object]:
    # Models that think take no temperature but their own.
    thinking = call.extra.get("thinking")
    if isinstance(thinking, Mapping) and thinking.get("type") != "disabled":
        return {}
    # The temperature comes first: it is bounded by the profile, top_p is only a wish.
    wanted: list[tuple[str, object]] = []
    if call.temperature is not None:
        wanted.append(("temperature", min(call.temperature, HIGHEST_TEMPERATURE)))
    if call.top_p is not None:
        wanted.append(("top_p", call.top_p))
    return dict(wanted[: family_of(call.model).most_samplers])


def _tools(call: ProviderCall) -> dict[str, object]:
    if not call.tools:
        return {}
    fields: dict[str, object] = {"tools": [_tool(tool) for tool in call.tools]}
    if call.tool_choice is not None:
        fields["tool_choice"] = _tool_choice(call.tool_choice)
    return fields


def _tool(tool: Tool) -> Block:
    schema = json_object(tool.parameters, "the parameters of a tool")
    # Anthropic wants it said; on OpenAI's wire it may be left out.
    schema.setdefault("type", msgspec.Raw(b'"object"'))
    wire: Block = {"name": tool.name, "input_schema": schema}
    if tool.description:
        wire["description"] = tool.description
    if tool.strict is not None:
        wire["strict"] = tool.strict
    return wire


def _tool_choice(choice: ToolChoice) -> Block:
    if choice.name is not None:
        wire: Block = {"type": "tool", "name": choice.name}
    else:
        wire = {"type": _TOOL_MODES[choice.mode]}
    if choice.parallel is not None and choice.mode is not ToolMode.NONE:
        wire["disable_parallel_tool_use"] = not choice.parallel
    return wire
