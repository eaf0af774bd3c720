"""What is shipped: which names it knows, and how it is read."""

import subprocess
import sys
from collections import Counter

import pytest

from chatnest.adapters.prices import BASE_TIER_INPUT_TOKENS, PUBLISHED, PublishedPrices
from chatnest.adapters.prices.published import PUBLISHED_PRICES
from chatnest.domain.profiles import HardCaps
from chatnest.domain.usage import Price

SMALL = b"""{
"source": "prices", "version": "7", "licence": "none", "as_of": "2026-01-02",
"providers": {
"a": {"models": [{"id": "m", "equals": ["m"], "price": [1, 2, null, 3]}]},
"b": {"others": ["a"], "models": [{"id": "n", "equals": ["n"], "why": "billed by weight"}]},
"c": {"others": ["b"], "models": []}
}}"""


@pytest.mark.parametrize(
    ("provider", "model", "price"),
    [
        ("openai", "gpt-4o-mini", Price(150_000_000, 600_000_000, 75_000_000)),
        ("openai", "gpt-4o-2024-08-06", Price(2_500_000_000, 10_000_000_000, 1_250_000_000)),
        ("openai", "gpt-4o-2024-05-13", Price(5_000_000_000, 15_000_000_000)),
        (
            "anthropic",
            "claude-haiku-4-5-20251001",
            Price(1_000_000_000, 5_000_000_000, 100_000_000, 1_250_000_000),
        ),
        ("azure", "gpt-4o", Price(2_500_000_000, 10_000_000_000, 1_250_000_000)),
    ],
)
def test_well_known_models_have_their_price(provider: str, model: str, price: Price) -> None:
    assert PUBLISHED.price(provider, model) == price


@pytest.mark.parametrize(
    "provider",
    [
        *("anthropic", "aws", "azure", "cerebras", "cohere", "deepseek", "fireworks", "google"),
        *("groq", "mistral", "openai", "openrouter", "perplexity", "together", "x-ai"),
    ],
)
def test_the_providers_that_people_use_are_there(provider: str) -> None:
    assert provider in PUBLISHED_PRICES.providers
    assert any(model.price for model in PUBLISHED_PRICES.models(provider))


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o-2027-01-01"),
        ("openai", "gpt-4o-realtime-preview"),
        ("openai", "gpt-image-1"),
        ("openai", "text-embedding-3-small"),
        ("openai", "gpt-9"),
        ("anthropic", "gpt-4o"),
        ("anthropic", "claude-opus-9"),
        ("perplexity", "sonar"),
        ("OpenAI", "gpt-4o"),
        ("unheard-of", "gpt-4o"),
        ("", ""),
    ],
)
def test_a_model_whose_price_is_not_published_is_unknown(provider: str, model: str) -> None:
    assert PUBLISHED.price(provider, model) is None


def test_no_published_model_is_free_and_each_has_a_price_or_a_reason() -> None:
    known = Counter[bool]()
    for provider in PUBLISHED_PRICES.providers:
        for model in PUBLISHED_PRICES.models(provider):
            known[model.price is not None] += 1
            if model.price is None:
                assert model.why
            else:
                assert min(model.price.input, model.price.output) > 0
    assert known[True] > 1_900
    assert known[False] < 400


def test_a_request_under_the_hard_caps_stays_in_the_base_tier() -> None:
    assert HardCaps().tokens_per_request <= BASE_TIER_INPUT_TOKENS


def test_the_file_is_read_once_and_only_when_it_is_asked_about() -> None:
    reads = 0

    def read() -> bytes:
        nonlocal reads
        reads += 1
        return SMALL

    prices = PublishedPrices(read)
    assert reads == 0
    assert (prices.version, prices.as_of, list(prices.providers)) == (
        "prices 7",
        "2026-01-02",
        ["a", "b", "c"],
    )
    assert prices.find("a", "m") is not None
    assert reads == 1


def test_another_providers_models_are_found_there_but_not_through_a_third() -> None:
    prices = PublishedPrices(lambda: SMALL)
    found = prices.find("b", "M")
    assert found is not None
    assert (found.provider, found.model.id) == ("a", "m")
    assert found.model.price is not None
    assert found.model.price.price() == Price(1, 2, None, 3)
    assert prices.find("c", "n") is not None
    assert prices.find("c", "m") is None


def test_nothing_of_the_source_is_imported_to_know_a_price() -> None:
    code = (
        "import sys; from chatnest.adapters.prices import PUBLISHED\n"
        "assert PUBLISHED.price('openai', 'gpt-4o') is not None\n"
        "assert 'genai_prices' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
