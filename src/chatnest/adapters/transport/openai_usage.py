"""What an answer used, in the words of OpenAI's wires, and what ChatNest says beside it."""

import msgspec

from chatnest.adapters.transport.usage_report import LimitReport, decimal_usd, limit_reports
from chatnest.domain.events import UsageReported


class InputDetails(msgspec.Struct, frozen=True):
    """What is inside the tokens of the input."""

    cached_tokens: int
    cache_write_tokens: int


class OutputDetails(msgspec.Struct, frozen=True):
    """What is inside the tokens of the output."""

    reasoning_tokens: int


class CompletionUsage(msgspec.Struct, frozen=True):
    """Usage as Chat Completions has it."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: InputDetails
    completion_tokens_details: OutputDetails


class ResponseUsage(msgspec.Struct, frozen=True):
    """Usage as Responses has it."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class SpendReport(msgspec.Struct, frozen=True, rename="camel"):
    """The field ``chatnest`` beside ``usage``: what an answer cost, and what its limits have left.

    ``cost_usd`` is an exact decimal number, None where no price is known.
    """

    cost_usd: str | None
    estimated: bool
    limits: tuple[LimitReport, ...]


def completion_usage(event: UsageReported) -> CompletionUsage:
    """What *event* reports, for Chat Completions."""
    usage = event.usage
    return CompletionUsage(
        usage.input_tokens, usage.output_tokens, usage.total_tokens, *_details(event)
    )


def response_usage(event: UsageReported) -> ResponseUsage:
    """What *event* reports, for Responses."""
    usage = event.usage
    inputs, outputs = _details(event)
    return ResponseUsage(
        usage.input_tokens, inputs, usage.output_tokens, outputs, usage.total_tokens
    )


def spend_report(event: UsageReported) -> SpendReport:
    """What *event* says of money and of limits."""
    cost = event.cost_nano_usd
    return SpendReport(
        None if cost is None else decimal_usd(cost),
        event.estimated,
        limit_reports(event.balances),
    )


def _details(event: UsageReported) -> tuple[InputDetails, OutputDetails]:
    usage = event.usage
    return (
        InputDetails(usage.cached_input_tokens, usage.cache_write_tokens),
        OutputDetails(usage.reasoning_tokens),
    )
