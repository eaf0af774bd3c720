"""Wire dialects: request bodies in, events and refusals out; no web framework."""

from chatnest.adapters.transport.chatnest import ChatNestDialect, ChatNestEncoder
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
    "Asked",
    "ChatNestDialect",
    "ChatNestEncoder",
    "Dialect",
    "Encoder",
    "Headers",
    "LimitReport",
    "UsageReport",
    "WholeReply",
    "WireResponse",
    "usage_report",
]
