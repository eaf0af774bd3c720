"""A table of prices in integers, and the way from a decimal figure in a configuration into it."""

import re
from collections.abc import Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation
from types import MappingProxyType
from typing import Final

from chatnest.domain.errors import ConfigurationError
from chatnest.domain.usage import FREE, Price

PricedModel = tuple[str, str]
"""A provider's name and a model's name at it."""

FREE_PROVIDERS = frozenset({"local", "scripted"})
"""Providers that bill nobody, whatever the model is called."""

_DATE = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})\Z")
_NANO = 9
_WHOLE_NANO_USD = Decimal(1).scaleb(-_NANO)
# Nine places after the point and nine before it: a billion dollars is no price.
_EXACTLY = Context(prec=18, traps=[Inexact, InvalidOperation])


class PriceTable:
    """A :class:`~chatnest.domain.ports.PriceBook` that never changes.

    *prices* are by the exact names of provider and model. *snapshots* are further names of a
    priced model; *dated* are the models whose snapshots all cost the same, so that a date after
    the name (``-20260131``, ``-2026-01-31``) does not matter. ``version`` says where the figures
    come from.
    """

    def __init__(
        self,
        version: str,
        prices: Mapping[PricedModel, Price],
        *,
        snapshots: Mapping[PricedModel, PricedModel] = MappingProxyType({}),
        dated: frozenset[PricedModel] = frozenset(),
    ) -> None:
        self.version: Final = version
        self.prices: Final[Mapping[PricedModel, Price]] = MappingProxyType(dict(prices))
        self._snapshots = MappingProxyType(dict(snapshots))
        self._dated = dated

    def price(self, provider: str, model: str) -> Price | None:
        """The price of *model* at *provider*; None is unknown, which is not zero."""
        known = self.prices.get((provider, model))
        if known is not None:
            return known
        if provider in FREE_PROVIDERS:
            return FREE
        return self.prices.get(self._priced_as(provider, model))

    def with_overrides(self, overrides: Mapping[PricedModel, Price]) -> "PriceTable":
        """A table with *overrides* in place of, or beside, the prices of this one."""
        if not overrides:
            return self
        return PriceTable(
            f"{self.version}+overrides",
            {**self.prices, **overrides},
            snapshots=self._snapshots,
            dated=self._dated,
        )

    def _priced_as(self, provider: str, model: str) -> PricedModel:
        snapshot = self._snapshots.get((provider, model))
        if snapshot is not None:
            return snapshot
        undated = (provider, _DATE.sub("", model))
        return undated if undated in self._dated else (provider, model)


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
