"""What OpenAI and Anthropic ask for their current text models.

Nano-dollars per million tokens: input, output, input read from the cache, input written to it.
The figures are those of genai-prices 0.2.3 (MIT licence, https://github.com/pydantic/genai-prices)
on 2026-11-22, for the standard service tier. Two things are not in them:

- Some models cost more in a request of more than ``BASE_TIER_INPUT_TOKENS``; the figures are for
  requests up to that, and the hard caps of a profile are far below it.
- Writing to Anthropic's cache for an hour costs twice the input; the figure is for five minutes.
"""

from types import MappingProxyType

from chatnest.adapters.prices.table import PricedModel, PriceTable
from chatnest.domain.usage import Price

BASE_TIER_INPUT_TOKENS = 100_000
"""The largest input, in tokens, that every published price holds for."""

_OPENAI = {
    "gpt-3.5-turbo": Price(500_000_000, 1_500_000_000),
    "gpt-4": Price(30_000_000_000, 60_000_000_000),
    "gpt-4-turbo": Price(10_000_000_000, 30_000_000_000),
    "gpt-4o": Price(2_500_000_000, 10_000_000_000, 1_250_000_000),
    "gpt-4o-2024-05-13": Price(5_000_000_000, 15_000_000_000),
    "gpt-4o-mini": Price(150_000_000, 600_000_000, 75_000_000),
    "gpt-4.1": Price(2_000_000_000, 8_000_000_000, 500_000_000),
    "gpt-4.1-mini": Price(400_000_000, 1_600_000_000, 100_000_000),
    "gpt-4.1-nano": Price(100_000_000, 400_000_000, 25_000_000),
    "o1": Price(15_000_000_000, 60_000_000_000, 7_500_000_000),
    "o3": Price(2_000_000_000, 8_000_000_000, 500_000_000),
    "o3-mini": Price(1_100_000_000, 4_400_000_000, 550_000_000),
    "o4-mini": Price(1_100_000_000, 4_400_000_000, 275_000_000),
    "gpt-5": Price(1_250_000_000, 10_000_000_000, 125_000_000),
    "gpt-5-mini": Price(250_000_000, 2_000_000_000, 25_000_000),
    "gpt-5-nano": Price(50_000_000, 400_000_000, 5_000_000),
    "gpt-5.1": Price(1_250_000_000, 10_000_000_000, 125_000_000),
    "gpt-5.2": Price(1_750_000_000, 14_000_000_000, 175_000_000),
    "gpt-5.3": Price(1_750_000_000, 14_000_000_000, 175_000_000),
    "gpt-5.4": Price(2_500_000_000, 15_000_000_000, 250_000_000),
    "gpt-5.4-mini": Price(750_000_000, 4_500_000_000, 75_000_000),
    "gpt-5.4-nano": Price(200_000_000, 1_250_000_000, 20_000_000),
    "gpt-5.5": Price(5_000_000_000, 30_000_000_000, 500_000_000),
    "gpt-5.6-luna": Price(200_000_000, 1_200_000_000, 20_000_000, 250_000_000),
    "gpt-5.6-sol": Price(4_000_000_000, 20_000_000_000, 400_000_000, 5_000_000_000),
    "gpt-5.6-terra": Price(2_000_000_000, 12_000_000_000, 200_000_000, 2_500_000_000),
    "gpt-6-astra": Price(10_000_000_000, 50_000_000_000, 1_000_000_000, 12_500_000_000),
    "gpt-6-luna": Price(100_000_000, 500_000_000, 10_000_000, 125_000_000),
    "gpt-6-sol": Price(2_000_000_000, 10_000_000_000, 200_000_000, 2_500_000_000),
    "gpt-6.1-sol": Price(2_000_000_000, 10_000_000_000, 100_000_000, 2_500_000_000),
    "gpt-6.1-terra": Price(1_000_000_000, 5_000_000_000, 50_000_000, 1_250_000_000),
}

# Names that the source lists one by one: a snapshot that is not here may cost something else.
_OPENAI_SNAPSHOTS = {
    "gpt-3.5-turbo": ("gpt-3.5-turbo-0125",),
    "gpt-4": ("gpt-4-0314", "gpt-4-0613"),
    "gpt-4-turbo": ("gpt-4-turbo-2024-04-09",),
    "gpt-4o": ("gpt-4o-2024-08-06", "gpt-4o-2024-11-20"),
    "gpt-4o-mini": ("gpt-4o-mini-2024-07-18",),
    "gpt-4.1": ("gpt-4.1-2025-04-14",),
    "gpt-4.1-mini": ("gpt-4.1-mini-2025-04-14",),
    "gpt-4.1-nano": ("gpt-4.1-nano-2025-04-14",),
    "o1": ("o1-2024-12-17",),
    "o3": ("o3-2025-04-16",),
    "o3-mini": ("o3-mini-2025-01-31",),
    "o4-mini": ("o4-mini-2025-04-16",),
    "gpt-5": ("gpt-5-2025-08-07", "gpt-5-chat-latest"),
    "gpt-5-mini": ("gpt-5-mini-2025-08-07",),
    "gpt-5.1": ("gpt-5.1-2025-11-13", "gpt-5.1-chat-latest"),
    "gpt-5.2": ("gpt-5.2-2025-12-11", "gpt-5.2-chat-latest"),
    "gpt-5.3": ("gpt-5.3-chat-latest",),
    "gpt-5.4": ("gpt-5.4-2026-03-05",),
    "gpt-5.4-mini": ("gpt-5.4-mini-2026-03-17",),
    "gpt-5.4-nano": ("gpt-5.4-nano-2026-03-17",),
    "gpt-5.5": ("gpt-5.5-2026-04-23", "gpt-5.5-2026-04-24", "gpt-5.5-chat-latest"),
    "gpt-5.6-sol": ("gpt-5.6",),
}

# Models for which the source takes any date; of Anthropic's it takes one after every name.
_OPENAI_DATED = frozenset(
    {
        "gpt-5-nano",
        "gpt-5.6-luna",
        "gpt-5.6-sol",
        "gpt-5.6-terra",
        "gpt-6-astra",
        "gpt-6-luna",
        "gpt-6-sol",
        "gpt-6.1-sol",
        "gpt-6.1-terra",
    }
)

_ANTHROPIC = {
    "claude-opus-4-0": Price(15_000_000_000, 75_000_000_000, 1_500_000_000, 18_750_000_000),
    "claude-opus-4-1": Price(15_000_000_000, 75_000_000_000, 1_500_000_000, 18_750_000_000),
    "claude-opus-4-5": Price(5_000_000_000, 25_000_000_000, 500_000_000, 6_250_000_000),
    "claude-opus-4-6": Price(5_000_000_000, 25_000_000_000, 500_000_000, 6_250_000_000),
    "claude-opus-4-7": Price(5_000_000_000, 25_000_000_000, 500_000_000, 6_250_000_000),
    "claude-opus-4-8": Price(5_000_000_000, 25_000_000_000, 500_000_000, 6_250_000_000),
    "claude-opus-5": Price(5_000_000_000, 25_000_000_000, 500_000_000, 6_250_000_000),
    "claude-opus-5-5": Price(4_000_000_000, 20_000_000_000, 200_000_000, 5_000_000_000),
    "claude-sonnet-4-0": Price(3_000_000_000, 15_000_000_000, 300_000_000, 3_750_000_000),
    "claude-sonnet-4-5": Price(3_000_000_000, 15_000_000_000, 300_000_000, 3_750_000_000),
    "claude-sonnet-4-6": Price(3_000_000_000, 15_000_000_000, 300_000_000, 3_750_000_000),
    "claude-sonnet-5": Price(2_000_000_000, 10_000_000_000, 200_000_000, 2_500_000_000),
    "claude-sonnet-5-5": Price(2_000_000_000, 10_000_000_000, 100_000_000, 2_500_000_000),
    "claude-haiku-4-5": Price(1_000_000_000, 5_000_000_000, 100_000_000, 1_250_000_000),
    "claude-haiku-5-5": Price(100_000_000, 500_000_000, 10_000_000, 125_000_000),
    "claude-fable-5": Price(10_000_000_000, 50_000_000_000, 1_000_000_000, 12_500_000_000),
    "claude-fable-5-1": Price(10_000_000_000, 50_000_000_000, 250_000_000, 12_500_000_000),
    "claude-fable-5-2": Price(8_000_000_000, 40_000_000_000, 200_000_000, 10_000_000_000),
}

_ANTHROPIC_SNAPSHOTS = {
    "claude-opus-4-0": ("claude-opus-4", "claude-opus-4-20250514"),
    "claude-sonnet-4-0": ("claude-sonnet-4", "claude-sonnet-4-20250514"),
    "claude-opus-5": ("claude-opus-5-latest",),
}


def _snapshots(provider: str, names: dict[str, tuple[str, ...]]) -> dict[PricedModel, PricedModel]:
    return {(provider, name): (provider, model) for model in names for name in names[model]}


PUBLISHED = PriceTable(
    "genai-prices-0.2.3",
    {
        **{("openai", model): price for model, price in _OPENAI.items()},
        **{("anthropic", model): price for model, price in _ANTHROPIC.items()},
    },
    snapshots=MappingProxyType(
        {
            **_snapshots("openai", _OPENAI_SNAPSHOTS),
            **_snapshots("anthropic", _ANTHROPIC_SNAPSHOTS),
        }
    ),
    dated=frozenset(
        {("openai", model) for model in _OPENAI_DATED}
        | {("anthropic", model) for model in _ANTHROPIC}
    ),
)
