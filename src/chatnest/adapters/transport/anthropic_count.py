"""``POST /v1/messages/count_tokens``: what it asks about, and its answer.

A client asks before it sends a request, to see whether that fits. The body is that of ``POST
/v1/messages``, of which only what the model reads is looked at; who counts is not the wire's to
say. Errors are those of :class:`~chatnest.adapters.transport.anthropic_messages.AnthropicDialect`.
"""

from dataclasses import dataclass

import msgspec

from chatnest.adapters.transport.anthropic_fields import PROMPT
from chatnest.adapters.transport.anthropic_problems import JSON_HEADERS
from chatnest.adapters.transport.anthropic_request import read_body
from chatnest.adapters.transport.anthropic_tools import tool_choice_of, tools_of
from chatnest.adapters.transport.anthropic_turns import placed_messages, system_messages
from chatnest.adapters.transport.sse import to_json
from chatnest.adapters.transport.wire import WireResponse
from chatnest.domain.messages import Message
from chatnest.domain.tools import Tool


@dataclass(frozen=True, slots=True)
class CountedPrompt:
    """What is to be counted, for the route that ``model`` names."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]


class CountBody(msgspec.Struct, frozen=True):
    """The answer: the tokens of messages, system and tools together."""

    input_tokens: int


def decode_count(body: bytes) -> CountedPrompt:
    """What is to be counted; what only an answer needs, ``max_tokens`` too, may be left out.

    Raises:
        InvalidRequestError: *body* is no such request.
    """
    asked = read_body(PROMPT, body)
    said = [message for _, message in placed_messages(asked.messages)]
    tools = tools_of(asked)
    tool_choice_of(asked, tools)
    return CountedPrompt(asked.model, (*system_messages(asked.system), *said), tools)


def encode_count(input_tokens: int) -> WireResponse:
    """The response that says that there are *input_tokens*."""
    return WireResponse(200, JSON_HEADERS, to_json(CountBody(input_tokens)))
