"""Tokens and money, by examples from real price lists."""

import pytest

from chatnest.domain.usage import (
    FREE,
    NO_USAGE,
    Price,
    TokenUsage,
    cost_nano_usd,
    most_output_tokens,
    worst_cost_nano_usd,
)

# $2.50 in, $1.25 cached, $10 out: dollars per million tokens.
PRICE = Price(2_500_000_000, 10_000_000_000, cached_input_nano_usd=1_250_000_000)


def test_a_cost_counts_every_bucket_once() -> None:
    usage = TokenUsage(1_000, 100, cached_input_tokens=400, reasoning_tokens=60)
    assert cost_nano_usd(PRICE, usage) == 600 * 2_500 + 400 * 1_250 + 100 * 10_000


def test_a_cache_write_has_its_own_price() -> None:
    price = Price(3_000_000, 15_000_000, 300_000, cache_write_nano_usd=3_750_000)
    usage = TokenUsage(100, 0, cached_input_tokens=20, cache_write_tokens=40)
    assert cost_nano_usd(price, usage) == 40 * 3 + 20 * 3 // 10 + 40 * 15 // 4


def test_cached_tokens_without_a_price_of_their_own_cost_what_input_costs() -> None:
    price = Price(1_000_000, 0)
    usage = TokenUsage(10, 0, cached_input_tokens=4, cache_write_tokens=5)
    assert cost_nano_usd(price, usage) == 10


def test_a_cache_price_of_zero_is_a_price() -> None:
    price = Price(1_000_000, 0, cached_input_nano_usd=0)
    assert cost_nano_usd(price, TokenUsage(10, 0, cached_input_tokens=4)) == 6


@pytest.mark.parametrize(("tokens", "cost"), [(0, 0), (1, 1), (2, 1), (3, 2)])
def test_half_a_nano_dollar_a_token_is_rounded_up_once(tokens: int, cost: int) -> None:
    assert cost_nano_usd(Price(500_000, 0), TokenUsage(tokens, 0)) == cost
    assert worst_cost_nano_usd(Price(500_000, 0), tokens, 0) == cost


def test_fractions_of_different_buckets_are_rounded_together() -> None:
    assert cost_nano_usd(Price(500_000, 500_000), TokenUsage(1, 1)) == 1


def test_the_worst_case_is_the_dearest_way_to_read_the_input() -> None:
    dear_write = Price(1_000_000, 2_000_000, cache_write_nano_usd=5_000_000)
    assert worst_cost_nano_usd(dear_write, 10, 3) == 10 * 5 + 3 * 2
    assert worst_cost_nano_usd(PRICE, 10, 3) == 10 * 2_500 + 3 * 10_000


@pytest.mark.parametrize(
    ("room", "most"), [(0, -1), (3, -1), (4, 0), (6, 0), (7, 1), (9, 1), (10, 2)]
)
def test_the_most_output_is_what_the_input_leaves(room: int, most: int) -> None:
    assert most_output_tokens(Price(2_000_000, 3_000_000), 2, room) == most


def test_free_output_has_no_most() -> None:
    assert most_output_tokens(FREE, 1_000, 0) is None
    assert most_output_tokens(Price(1_000_000, 0), 5, 5) is None
    assert most_output_tokens(Price(1_000_000, 0), 5, 4) == -1


def test_nothing_fits_into_less_than_nothing() -> None:
    assert most_output_tokens(FREE, 0, -1) == -1


def test_a_total_counts_the_inner_buckets_once() -> None:
    assert TokenUsage(10, 5, 3, 2, 4).total_tokens == 15
    assert NO_USAGE.total_tokens == 0


@pytest.mark.parametrize(
    "counts",
    [
        {"input_tokens": -1},
        {"output_tokens": -1},
        {"cached_input_tokens": -1},
        {"cache_write_tokens": -1},
        {"reasoning_tokens": -1},
        {"cached_input_tokens": 11},
        {"cache_write_tokens": 11},
        {"cached_input_tokens": 6, "cache_write_tokens": 5},
        {"reasoning_tokens": 6},
    ],
)
def test_impossible_counts_are_refused(counts: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="token"):
        TokenUsage(**({"input_tokens": 10, "output_tokens": 5} | counts))


@pytest.mark.parametrize("index", range(4))
def test_a_negative_price_is_refused(index: int) -> None:
    rates = [1, 1, 1, 1]
    rates[index] = -1
    with pytest.raises(ValueError, match="prices"):
        Price(*rates)
