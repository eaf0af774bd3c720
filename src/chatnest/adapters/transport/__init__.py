"""Wire dialects: request bodies in, events and refusals out; no web framework."""

from chatnest.adapters.transport.chatnest import ChatNestDialect, ChatNestEncoder
from chatnest.adapters.transport.usage_report import LimitReport, UsageReport, usage_report
from chatnest.adapters.transport.wire import Dialect, Encoder, Headers, WireResponse

__all__ = [
    "ChatNestDialect",
    "ChatNestEncoder",
    "Dialect",
    "Encoder",
    "Headers",
    "LimitReport",
    "UsageReport",
    "WireResponse",
    "usage_report",
]
