"""The generator takes the dearest price that can apply, and none that tokens do not bound."""

from datetime import UTC, date, time
from decimal import Decimal
from typing import Any

import pytest

pytest.importorskip("genai_prices", reason="genai-prices, a development dependency, is not here")

from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)

from tools.build_prices import UnpricedError, dearest_price

TODAY = date(2026, 11, 26)


def price_of(*prices: ConditionalPrice | ModelPrice) -> list[int | None]:
    conditional = [
        ConditionalPrice(prices=price) if isinstance(price, ModelPrice) else price
        for price in prices
    ]
    return dearest_price(ModelInfo("m", ClauseEquals("m"), prices=conditional), TODAY)


def usd(input_: str, output: str, **more: Any) -> ModelPrice:
    return ModelPrice(input_mtok=Decimal(input_), output_mtok=Decimal(output), **more)


def test_a_plain_price_is_taken_as_it_is() -> None:
    cached = usd("2.5", "10", cache_read_mtok=Decimal("1.25"), cache_write_mtok=Decimal(3))
    assert price_of(usd("2.5", "10")) == [2_500_000_000, 10_000_000_000]
    assert price_of(cached) == [2_500_000_000, 10_000_000_000, 1_250_000_000, 3_000_000_000]


def test_a_cache_price_that_there_is_not_leaves_its_place() -> None:
    written = usd("1", "2", cache_write_mtok=Decimal(3))
    assert price_of(written) == [1_000_000_000, 2_000_000_000, None, 3_000_000_000]


def test_what_is_finer_than_a_nano_dollar_is_rounded_up() -> None:
    assert price_of(usd("0.0000000011", "0.000000001")) == [2, 1]


def test_a_tier_counts_where_a_request_of_the_base_tier_can_reach_it() -> None:
    def tiered(start: int) -> TieredPrices:
        return TieredPrices(Decimal(1), [Tier(start, Decimal(5))])

    assert price_of(usd("1", "2", cache_read_mtok=tiered(100_000)))[2] == 1_000_000_000
    assert price_of(usd("1", "2", cache_read_mtok=tiered(99_999)))[2] == 5_000_000_000


def test_a_tier_that_is_cheaper_does_not_count() -> None:
    falling = TieredPrices(Decimal(5), [Tier(10, Decimal(1))])
    assert price_of(ModelPrice(input_mtok=falling, output_mtok=Decimal(1)))[0] == 5_000_000_000


def test_the_dearest_time_of_day_counts_for_each_figure() -> None:
    night = TimeOfDateConstraint(time(16, 30, tzinfo=UTC), time(0, 30, tzinfo=UTC))
    assert price_of(
        ConditionalPrice(prices=usd("1", "9")),
        ConditionalPrice(night, prices=usd("3", "2")),
    ) == [3_000_000_000, 9_000_000_000]


def test_a_cache_that_one_price_lacks_costs_what_its_input_costs() -> None:
    night = TimeOfDateConstraint(time(16, 30, tzinfo=UTC), time(0, 30, tzinfo=UTC))
    assert price_of(
        ConditionalPrice(prices=usd("4", "4")),
        ConditionalPrice(night, prices=usd("3", "2", cache_read_mtok=Decimal(1))),
    ) == [4_000_000_000, 4_000_000_000, 4_000_000_000]


@pytest.mark.parametrize(
    ("start", "expected"),
    [(date(2026, 11, 26), 2), (date(2026, 11, 27), 3), (date(2026, 11, 25), 2)],
)
def test_a_price_of_the_past_is_over(start: date, expected: int) -> None:
    assert (
        price_of(
            ConditionalPrice(prices=usd("3", "3")),
            ConditionalPrice(StartDateConstraint(start), prices=usd("2", "2")),
        )
        == [expected * 10**9] * 2
    )


def test_a_price_that_is_known_to_rise_has_risen() -> None:
    later = StartDateConstraint(date(2027, 6, 1))
    assert price_of(
        ConditionalPrice(prices=usd("2", "2")),
        ConditionalPrice(later, prices=usd("3", "1")),
    ) == [3_000_000_000, 2_000_000_000]


def test_what_text_is_never_billed_by_is_left_out() -> None:
    heard = usd(
        "1", "2", input_audio_mtok=Decimal(9), web_searches_kcount=Decimal(9),
        cache_write_1h_mtok=Decimal(9),
    )  # fmt: skip
    assert price_of(heard) == [1_000_000_000, 2_000_000_000]


@pytest.mark.parametrize(
    ("price", "why"),
    [
        (ModelPrice(), "no price of tokens of input and output"),
        (ModelPrice(input_mtok=Decimal(1)), "no price of tokens of output"),
        (usd("1", "2", requests_kcount=Decimal(5)), "billed by requests too"),
        (usd("1", "2", output_audio_mtok=Decimal(5)), "billed by output audio too"),
        (usd("1", "2", a_new_one=Decimal(5)), "billed by a new too"),
    ],
)
def test_a_bill_that_four_prices_do_not_bound_has_none(price: ModelPrice, why: str) -> None:
    with pytest.raises(UnpricedError, match=why):
        price_of(price)


def test_a_bill_that_they_will_not_bound_has_none_either() -> None:
    later = StartDateConstraint(date(2027, 6, 1))
    with pytest.raises(UnpricedError, match="requests"):
        price_of(
            ConditionalPrice(prices=usd("2", "2")),
            ConditionalPrice(later, prices=usd("2", "2", requests_kcount=Decimal(1))),
        )
