"""The usage that a server of OpenAI's Chat Completions wire reports, in inclusive buckets."""

from typing import Annotated

import msgspec

from chatnest.domain.usage import TokenUsage

# A count beyond this is nonsense, and its cost would not fit into a store's integers.
MOST_TOKENS = 10**12


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


_Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)]


class _Usage(msgspec.Struct):
    prompt_tokens: _Count
    completion_tokens: _Count
    total_tokens: _Count | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None
    # DeepSeek's name for what it read from its cache (api-docs.deepseek.com, guides/kv_cache).
    prompt_cache_hit_tokens: int | None = None


def token_usage(reported: object) -> TokenUsage | None:
    """The usage that was *reported*, as JSON has it; None where a count makes no sense.

    A part that is larger than its whole is cut down to it. A total that is larger than the sum
    is believed: xAI and Gemini count reasoning in the total but not in completion_tokens.
    """
    try:
        usage = msgspec.convert(reported, _Usage)
    except msgspec.ValidationError:
        return None
    input_tokens = usage.prompt_tokens
    output_tokens = max(usage.completion_tokens, (usage.total_tokens or 0) - input_tokens)
    inputs = usage.prompt_tokens_details or _InputDetails()
    outputs = usage.completion_tokens_details or _OutputDetails()
    cached = _part(inputs.cached_tokens or usage.prompt_cache_hit_tokens, input_tokens)
    return TokenUsage(
        input_tokens,
        output_tokens,
        cached_input_tokens=cached,
        cache_write_tokens=_part(inputs.cache_write_tokens, input_tokens - cached),
        reasoning_tokens=_part(outputs.reasoning_tokens, output_tokens),
    )


def _part(count: int | None, whole: int) -> int:
    return min(max(0, count or 0), whole)
