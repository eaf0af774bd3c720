"""A figure in dollars is exact or refused."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.prices import price_from_usd
from chatnest.domain.errors import ConfigurationError
from chatnest.domain.usage import Price


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
