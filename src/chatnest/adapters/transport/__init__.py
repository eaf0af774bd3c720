"""Wire dialects: request bodies in, events and refusals out; no web framework."""

from chatnest.adapters.transport.ag_ui import AgUiDialect
from chatnest.adapters.transport.ai_sdk import AiSdkDialect
from chatnest.adapters.transport.anthropic_count import CountedPrompt, decode_count, encode_count
from chatnest.adapters.transport.anthropic_messages import AnthropicDialect
from chatnest.adapters.transport.chatnest import ChatNestDialect, ChatNestEncoder
from chatnest.adapters.transport.openai_chat import OpenAIChatDialect
from chatnest.adapters.transport.openai_models import model_list, one_model
from chatnest.adapters.transport.openai_responses import OpenAIResponsesDialect
from chatnest.adapters.transport.usage_report import LimitReport, UsageReport, usage_report
from chatnest.adapters.transport.wire import (
    Asked,
    Dialect,
    Encoder,
    Headers,
    WholeReply,
    WireResponse,
)

__all__ = [
    "AgUiDialect",
    "AiSdkDialect",
    "AnthropicDialect",
    "Asked",
    "ChatNestDialect",
    "ChatNestEncoder",
    "CountedPrompt",
    "Dialect",
    "Encoder",
    "Headers",
    "LimitReport",
    "OpenAIChatDialect",
    "OpenAIResponsesDialect",
    "UsageReport",
    "WholeReply",
    "WireResponse",
    "decode_count",
    "encode_count",
    "model_list",
    "one_model",
    "usage_report",
]
