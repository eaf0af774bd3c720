"""The request of OpenAI's Chat Completions wire: a call becomes a JSON body. No SDK, no HTTP."""

import re
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from chatnest.adapters.providers.openai_servers import COMPATIBLE, ServerQuirks
from chatnest.domain.errors import Failure, FailureKind, ProviderError
from chatnest.domain.messages import ImagePart, Message, ReasoningPart, Role, TextPart, ToolCall
from chatnest.domain.ports import ProviderCall
from chatnest.domain.tools import Tool, ToolChoice


@dataclass(frozen=True, slots=True)
class ModelFamily:
    """What the models whose names begin with *pattern* want to be sent.

    ``takes_sampling``: temperature and top_p. ``thinks_or_calls``: in this wire it calls tools only
    where it is told not to think.
    """

    pattern: re.Pattern[str]
    output_cap_field: str
    takes_sampling: bool
    thinks_or_calls: bool = False


# OpenAI's reasoning models refuse max_tokens ("use max_completion_tokens instead") and every
# temperature and top_p but their own; of the chat models among them, all after gpt-5-chat do too
# (pydantic-ai, profiles/openai.py, tried on the live API in July 2026). Compatible servers know
# max_tokens alone. From gpt-5.5 on, "to use function tools, use /v1/responses or set
# reasoning_effort to 'none'" is the answer to tools (litellm, pull request 34569). The first match
# counts.
MODEL_FAMILIES = (
    ModelFamily(re.compile(r"(ft:)?gpt-5-chat"), "max_completion_tokens", True),
    ModelFamily(re.compile(r"(ft:)?gpt-(5\.[5-9]|[6-9])"), "max_completion_tokens", False, True),
    ModelFamily(re.compile(r"(ft:)?(gpt-5|o\d)"), "max_completion_tokens", False),
    ModelFamily(re.compile(""), "max_tokens", True),
)

# From gpt-5.5 on, a picture for which no detail or "auto" is asked is taken as large as it is, up
# to 30,000 patches, and gpt-5.4 has such a detail too; at "high" none is more than 2,500 (OpenAI,
# guides/images-vision, September 2026). Wherever the model is served, its hold must bound it.
_TAKES_WHOLE_PICTURES = re.compile(r"(.*/)?(ft:)?gpt-(5\.[4-9]|[6-9])", re.I)

# What the call itself says, whatever else the client sent; the last two are older names of tools.
CALL_FIELDS = frozenset(
    {"messages", "model", "parallel_tool_calls", "stop", "stream", "stream_options", "temperature"}
    | {"tool_choice", "tools", "top_p", "user", "function_call", "functions"}
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

# Models are few and configured; what is remembered of them has an end all the same.
_REMEMBERED_MODELS = 256

# Checks that a tool's parameters are one JSON object, which cannot end early and say more.
_OBJECTS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def request_body(call: ProviderCall, server: ServerQuirks = COMPATIBLE) -> bytes:
    """The JSON body that streams an answer to *call* from *server*, usage included.

    Raises:
        ProviderError: something in it cannot be said on this wire (``invalid_request``): a picture
            outside a user's message, or what is no JSON.
    """
    try:
        return msgspec.json.encode(_request(call, server))
    except (TypeError, ValueError, RecursionError) as error:
        raise _unsendable("the request cannot be written as JSON") from error


@lru_cache(maxsize=_REMEMBERED_MODELS)
def family_of(model: str) -> ModelFamily:
    """The first of :data:`MODEL_FAMILIES` that *model* belongs to."""
    return next(family for family in MODEL_FAMILIES if family.pattern.match(model))


def _request(call: ProviderCall, server: ServerQuirks) -> dict[str, object]:
    family = family_of(call.model)
    body = {name: call.extra[name] for name in call.extra if name not in _NEVER_PASSED_ON}
    body["model"] = call.model
    body["messages"] = [_message(message, call.model, server) for message in call.messages]
    body["stream"] = True
    body["stream_options"] = {"include_usage": True}
    body[server.output_cap_field or family.output_cap_field] = call.max_output_tokens
    if family.takes_sampling:
        sampling = {"temperature": call.temperature, "top_p": call.top_p}
        body |= {name: value for name, value in sampling.items() if value is not None}
    if call.stop:
        body["stop"] = call.stop
    if call.tools:
        body["tools"] = [_tool(tool) for tool in call.tools]
        body |= _choice(call.tool_choice or ToolChoice())
        if family.thinks_or_calls:
            body.setdefault("reasoning_effort", "none")
    if call.end_user is not None:
        body["user"] = call.end_user
    return {name: value for name, value in body.items() if name not in server.refused}


def _message(message: Message, model: str, server: ServerQuirks) -> dict[str, object]:
    # That a tool failed is said by its text alone: this wire has no field for it.
    wire: dict[str, object] = {"role": message.role.value}
    if message.images:
        wire["content"] = _parts(message, model)
    elif message.content or not message.tool_calls:
        # One string also where there are several texts: not every server takes a list of parts.
        wire["content"] = message.content
    if message.tool_calls:
        wire["tool_calls"] = [_tool_call(call, server) for call in message.tool_calls]
        if server.thoughts_field is not None:
            wire[server.thoughts_field] = _thoughts(message)
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    return wire


def _parts(message: Message, model: str) -> list[dict[str, object]]:
    """The texts and pictures of a user's message, which is the only one that may hold pictures.

    Thoughts are left out. OpenAI's own models keep theirs, this wire has no standard field for
    them, and a server would take one that it does not know for an error, or ignore it.
    """
    if message.role is not Role.USER:
        raise _unsendable(f"a picture cannot be sent in a {message.role.value} message")
    wire: list[dict[str, object]] = []
    for part in message.parts:
        match part:
            case TextPart(text) if text:
                wire.append({"type": "text", "text": text})
            case ImagePart():
                wire.append({"type": "image_url", "image_url": _image(part, model)})
    return wire


def _image(image: ImagePart, model: str) -> dict[str, str]:
    detail = image.detail
    if detail != "low" and _TAKES_WHOLE_PICTURES.match(model):
        detail = "high"
    return {"url": image.url} if detail is None else {"url": image.url, "detail": detail}


def _thoughts(message: Message) -> str:
    return "\n".join([part.text for part in message.parts if isinstance(part, ReasoningPart)])


def _tool_call(call: ToolCall, server: ServerQuirks) -> dict[str, object]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function, **server.tool_call_extra}


def _tool(tool: Tool) -> dict[str, object]:
    _OBJECTS.decode(tool.parameters)
    function: dict[str, object] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = msgspec.Raw(tool.parameters.encode())
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _choice(choice: ToolChoice) -> dict[str, object]:
    """How tools are to be used; nothing of what would be the default."""
    wire: dict[str, object] = {}
    if choice.name is not None:
        wire["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    elif choice != ToolChoice(parallel=choice.parallel):
        wire["tool_choice"] = choice.mode.value
    if choice.parallel is not None:
        wire["parallel_tool_calls"] = choice.parallel
    return wire


def _unsendable(reason: str) -> ProviderError:
    return ProviderError(reason, Failure(FailureKind.INVALID_REQUEST, billable=False))
