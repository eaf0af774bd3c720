"""A price is exact or unknown, and unknown is not zero."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.prices import PricedModel, PriceTable, price_from_usd
from chatnest.domain.errors import ConfigurationError
from chatnest.domain.usage import FREE, Price

CHEAP, DEAR, OWN = Price(1, 2), Price(30, 40, 5, 60), Price(7, 8)
TABLE = PriceTable(
    "v1",
    {("a", "small"): CHEAP, ("a", "large"): DEAR, ("a", "large-2024-05-13"): CHEAP},
    snapshots={("a", "large-0613"): ("a", "large")},
    dated=frozenset({("a", "large")}),
)


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("small", CHEAP),
        ("large", DEAR),
        ("large-0613", DEAR),
        ("large-20260131", DEAR),
        ("large-2026-01-31", DEAR),
        ("large-2024-05-13", CHEAP),
    ],
)
def test_a_name_that_is_documented_has_its_price(model: str, price: Price) -> None:
    assert TABLE.price("a", model) == price


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("b", "small"),
        ("A", "small"),
        ("a", "Small"),
        ("a", ""),
        ("a", "smaller"),
        ("a", "small-20260131"),
        ("a", "small-2026-01-31"),
        ("a", "large-0614"),
        ("a", "large-2026"),
        ("a", "large-202601311"),
        ("a", "large-20260131-preview"),
        ("a", "large-20260131\n"),
        ("a", "large-20260131-20260131"),
        ("a", "very-large"),
    ],
)
def test_any_other_name_is_unknown(provider: str, model: str) -> None:
    assert TABLE.price(provider, model) is None


@pytest.mark.parametrize("provider", ["local", "scripted"])
@pytest.mark.parametrize("model", ["", "smollm2", "gpt-4o"])
def test_what_bills_nobody_is_free(provider: str, model: str) -> None:
    assert TABLE.price(provider, model) == FREE


def test_an_override_replaces_a_price_and_its_snapshots_and_adds_others() -> None:
    overridden = TABLE.with_overrides({("a", "large"): OWN, ("b", "new"): OWN, ("local", "x"): OWN})
    for provider, model in (
        ("a", "large"),
        ("a", "large-0613"),
        ("a", "large-20260131"),
        ("b", "new"),
        ("local", "x"),
    ):
        assert overridden.price(provider, model) == OWN
    assert overridden.price("a", "small") == CHEAP
    assert overridden.price("local", "y") == FREE
    assert overridden.version == "v1+overrides"


def test_an_override_leaves_the_table_that_it_came_from() -> None:
    TABLE.with_overrides({("a", "small"): OWN})
    assert TABLE.price("a", "small") == CHEAP
    assert TABLE.version == "v1"


def test_no_overrides_are_the_same_version() -> None:
    assert TABLE.with_overrides({}).version == "v1"


def test_a_table_does_not_change_with_what_it_was_made_of() -> None:
    prices: dict[PricedModel, Price] = {("a", "small"): CHEAP}
    table = PriceTable("v", prices)
    prices["a", "small"] = DEAR
    assert table.price("a", "small") == CHEAP


def test_dollars_become_nano_dollars() -> None:
    price = price_from_usd(
        input_usd_per_million="2.5",
        output_usd_per_million=Decimal(10),
        cached_input_usd_per_million="0.000000001",
        cache_write_usd_per_million=3,
    )
    assert price == Price(2_500_000_000, 10_000_000_000, 1, 3_000_000_000)


def test_a_cache_price_that_is_not_given_is_none() -> None:
    price = price_from_usd(input_usd_per_million="0", output_usd_per_million="0")
    assert price == Price(0, 0, None, None)


@given(nano_usd=st.integers(0, 10**18 - 1), zeros=st.integers(0, 3))
def test_every_whole_number_of_nano_dollars_is_exact(nano_usd: int, zeros: int) -> None:
    text = f"{nano_usd // 10**9}.{nano_usd % 10**9:09}{'0' * zeros}"
    price = price_from_usd(input_usd_per_million=text, output_usd_per_million=Decimal(text))
    assert price == Price(nano_usd, nano_usd)


@given(usd=st.decimals() | st.decimals(-1, 2, places=9) | st.decimals(-1, 2, places=10))
def test_a_figure_is_exact_or_refused(usd: Decimal) -> None:
    exact = Fraction(usd) * 10**9 if usd.is_finite() else Fraction(-1)
    if exact.denominator == 1 and 0 <= exact < 10**18:
        price = price_from_usd(input_usd_per_million=usd, output_usd_per_million=0)
        assert price.input_nano_usd == exact
    else:
        with pytest.raises(ConfigurationError, match="input_usd_per_million"):
            price_from_usd(input_usd_per_million=usd, output_usd_per_million=0)


@pytest.mark.parametrize(
    "usd",
    [
        "",
        "cheap",
        "$1",
        "1,5",
        "-1",
        "-0.000000001",
        "NaN",
        "sNaN",
        "-NaN",
        "Infinity",
        "0.0000000001",
        "1.0000000005",
        "1000000000",
        "1e999999999",
        "1e-999999999",
        Decimal.from_float(0.15),
    ],
)
def test_what_is_no_price_is_refused_by_name(usd: str | Decimal) -> None:
    with pytest.raises(ConfigurationError, match="cache_write_usd_per_million"):
        price_from_usd(
            input_usd_per_million=1, output_usd_per_million=1, cache_write_usd_per_million=usd
        )
