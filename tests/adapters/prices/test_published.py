"""The published table is what its source says, name by name."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from chatnest.adapters.prices import BASE_TIER_INPUT_TOKENS, PUBLISHED
from chatnest.domain.profiles import HardCaps
from chatnest.domain.usage import Price

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, TieredPrices

source = pytest.importorskip("genai_prices", reason="the source is a development dependency")
data = pytest.importorskip("genai_prices.data")

AS_OF = datetime(2026, 11, 22, tzinfo=UTC)
MODELS = {provider.id: provider.models for provider in data.providers}
SNAPSHOTS = (
    ("openai", "gpt-3.5-turbo-0125"),
    ("openai", "gpt-4-0613"),
    ("openai", "gpt-4o-2024-05-13"),
    ("openai", "gpt-4o-2024-08-06"),
    ("openai", "gpt-4o-2024-11-20"),
    ("openai", "gpt-4o-mini-2024-07-18"),
    ("openai", "o3-2025-04-16"),
    ("openai", "gpt-5-chat-latest"),
    ("openai", "gpt-5-nano-2025-08-07"),
    ("openai", "gpt-5.5-2026-04-24"),
    ("openai", "gpt-5.6"),
    ("openai", "gpt-6.1-sol-2026-09-29"),
    ("anthropic", "claude-opus-4-20250514"),
    ("anthropic", "claude-sonnet-4-20250514"),
    ("anthropic", "claude-opus-4-1-20250805"),
    ("anthropic", "claude-haiku-4-5-20251001"),
    ("anthropic", "claude-opus-5-latest"),
    ("anthropic", "claude-fable-5-20260601"),
    ("anthropic", "claude-fable-5-2-20261001"),
)


def _source_price(provider: str, model: str) -> "ModelPrice":
    (found,) = (info for info in MODELS[provider] if info.is_match(model))
    price: ModelPrice = found.get_prices(AS_OF)
    return price


def _nano_usd(price: "Decimal | TieredPrices | None") -> int | None:
    if price is None or isinstance(price, Decimal):
        return None if price is None else int(price * 10**9)
    assert all(tier.start >= BASE_TIER_INPUT_TOKENS for tier in price.tiers)
    return int(price.base * 10**9)


@pytest.mark.parametrize(("provider", "model"), [*PUBLISHED.prices, *SNAPSHOTS])
def test_a_price_is_the_sources(provider: str, model: str) -> None:
    price = _source_price(provider, model)
    assert PUBLISHED.price(provider, model) == Price(
        _nano_usd(price.input_mtok) or 0,
        _nano_usd(price.output_mtok) or 0,
        _nano_usd(price.cache_read_mtok),
        _nano_usd(price.cache_write_mtok),
    )


def test_no_published_model_is_free() -> None:
    for price in PUBLISHED.prices.values():
        assert min(price.input_nano_usd, price.output_nano_usd) > 0


def test_a_request_under_the_hard_caps_stays_in_the_base_tier() -> None:
    assert HardCaps().tokens_per_request <= BASE_TIER_INPUT_TOKENS


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o-2027-01-01"),
        ("openai", "gpt-4o-audio-preview"),
        ("openai", "gpt-9"),
        ("anthropic", "gpt-4o"),
        ("anthropic", "claude-opus-9"),
        ("azure", "gpt-4o"),
    ],
)
def test_a_model_that_is_not_published_is_unknown(provider: str, model: str) -> None:
    assert PUBLISHED.price(provider, model) is None


def test_the_version_names_the_source() -> None:
    assert PUBLISHED.version == f"genai-prices-{source.__version__}"
