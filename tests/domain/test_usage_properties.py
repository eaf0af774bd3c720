"""Money, against exact fractions."""

from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from chatnest.domain.usage import (
    Price,
    TokenUsage,
    cost_nano_usd,
    most_output_tokens,
    worst_cost_nano_usd,
)
from chatnest.testing.strategies import prices, usages

counts = st.integers(0, 8)
big_rates = st.integers(0, 10**12)
big_prices = st.builds(Price, big_rates, big_rates, st.none() | big_rates, st.none() | big_rates)
any_price = prices() | big_prices


def exact_cost(price: Price, usage: TokenUsage) -> Fraction:
    """Token by token, each at the price of the bucket that it is in."""
    plain = price.input_nano_usd
    cached = plain if price.cached_input_nano_usd is None else price.cached_input_nano_usd
    written = plain if price.cache_write_nano_usd is None else price.cache_write_nano_usd
    inner = [cached] * usage.cached_input_tokens + [written] * usage.cache_write_tokens
    rest = [plain] * (usage.input_tokens - len(inner))
    return Fraction(sum([*inner, *rest, *[price.output_nano_usd] * usage.output_tokens]), 10**6)


def rounded_up_once(cost: int, exact: Fraction) -> bool:
    return exact <= cost < exact + 1


@given(any_price, usages())
def test_a_cost_is_exact_and_rounded_up_once(price: Price, usage: TokenUsage) -> None:
    assert rounded_up_once(cost_nano_usd(price, usage), exact_cost(price, usage))


@given(any_price, usages(), counts, counts)
def test_no_usage_within_the_bounds_costs_more_than_the_worst_case(
    price: Price, usage: TokenUsage, more_input: int, more_output: int
) -> None:
    input_tokens, output_tokens = usage.input_tokens + more_input, usage.output_tokens + more_output
    assert cost_nano_usd(price, usage) <= worst_cost_nano_usd(price, input_tokens, output_tokens)


@given(any_price, counts, counts)
def test_the_worst_case_is_no_worse_than_it_can_get(
    price: Price, input_tokens: int, output_tokens: int
) -> None:
    pure = [(0, 0), (input_tokens, 0), (0, input_tokens)]
    usages_ = [TokenUsage(input_tokens, output_tokens, cached, wrote) for cached, wrote in pure]
    dearest = max(exact_cost(price, usage) for usage in usages_)
    worst = worst_cost_nano_usd(price, input_tokens, output_tokens)
    assert rounded_up_once(worst, dearest)


@given(any_price, counts, st.integers(-2, 40))
def test_the_most_output_fits_and_one_more_does_not(
    price: Price, input_tokens: int, room: int
) -> None:
    most = most_output_tokens(price, input_tokens, room)
    if most is None:
        assert price.output_nano_usd == 0
        assert worst_cost_nano_usd(price, input_tokens, 10**9) <= room
        return
    if most >= 0:
        assert worst_cost_nano_usd(price, input_tokens, most) <= room
    assert worst_cost_nano_usd(price, input_tokens, max(0, most + 1)) > room


@given(big_prices, st.integers(0, 10**7), st.integers(0, 10**7))
def test_a_room_made_to_measure_is_used_whole(
    price: Price, input_tokens: int, output_tokens: int
) -> None:
    assume(price.output_nano_usd >= 10**6)
    room = worst_cost_nano_usd(price, input_tokens, output_tokens)
    assert most_output_tokens(price, input_tokens, room) == output_tokens
    assert most_output_tokens(price, input_tokens, room - 1) == max(-1, output_tokens - 1)


@given(any_price, usages())
def test_reasoning_is_inside_the_output(price: Price, usage: TokenUsage) -> None:
    plain = TokenUsage(
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
    )
    assert cost_nano_usd(price, usage) == cost_nano_usd(price, plain)
    assert usage.total_tokens == plain.total_tokens == usage.input_tokens + usage.output_tokens
