"""The way from a decimal figure in a configuration to a price in integers."""

from decimal import Context, Decimal, Inexact, InvalidOperation

from chatnest.domain.errors import ConfigurationError
from chatnest.domain.usage import Price

_NANO = 9
_WHOLE_NANO_USD = Decimal(1).scaleb(-_NANO)
# Nine places after the point and nine before it: a billion dollars is no price.
_EXACTLY = Context(prec=18, traps=[Inexact, InvalidOperation])


def price_from_usd(
    *,
    input_usd_per_million: str | int | Decimal,
    output_usd_per_million: str | int | Decimal,
    cached_input_usd_per_million: str | int | Decimal | None = None,
    cache_write_usd_per_million: str | int | Decimal | None = None,
) -> Price:
    """The price that decimal figures in dollars per million tokens stand for, exactly.

    Raises:
        ConfigurationError: a figure is not a number, negative, not a whole number of
            nano-dollars, or a billion dollars or more. A float is all but always inexact.
    """
    return Price(
        _nano_usd("input_usd_per_million", input_usd_per_million),
        _nano_usd("output_usd_per_million", output_usd_per_million),
        _optional("cached_input_usd_per_million", cached_input_usd_per_million),
        _optional("cache_write_usd_per_million", cache_write_usd_per_million),
    )


def _optional(name: str, usd: str | int | Decimal | None) -> int | None:
    return None if usd is None else _nano_usd(name, usd)


def _nano_usd(name: str, usd: str | int | Decimal) -> int:
    try:
        amount = Decimal(usd).quantize(_WHOLE_NANO_USD, context=_EXACTLY)
        nano_usd = int(amount.scaleb(_NANO, _EXACTLY))
    except (ValueError, InvalidOperation, Inexact) as error:
        raise ConfigurationError(
            f"{name} must be a decimal number below a billion, with at most {_NANO} decimals"
        ) from error
    if nano_usd < 0:
        raise ConfigurationError(f"{name} must not be negative")
    return nano_usd
