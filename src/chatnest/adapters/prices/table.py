"""The book of prices: what is published, what is configured over it, what stands in for none."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType

from chatnest.adapters.prices.published import PUBLISHED_PRICES, PublishedPrices
from chatnest.domain.errors import ConfigurationError
from chatnest.domain.usage import FREE, Price

PricedModel = tuple[str, str]
"""A provider's name and a model's name at it."""

FREE_PROVIDERS = frozenset({"local", "scripted"})
"""Providers that bill nobody, whatever the model is called."""

# Names come from anywhere: what is remembered of them has an end.
_REMEMBERED_QUOTES = 1_024


@dataclass(frozen=True, slots=True)
class Quote:
    """A price and where it is from; where it is None, ``origin`` says why it is not known."""

    price: Price | None
    origin: str


@dataclass(frozen=True, eq=False)
class PriceTable:
    """A :class:`~chatnest.domain.ports.PriceBook` that never changes.

    ``overrides`` stand above what is published, by the exact names of provider and model; one for
    a published model is for all of its names. ``kinds`` are further names of providers, each with
    the provider whose prices it has. ``fallback`` is the model whose price is charged for those
    that have none.
    """

    published: PublishedPrices
    overrides: Mapping[PricedModel, Price] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    fallback: PricedModel | None = None
    _quotes: Callable[[str, str], Quote] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_quotes", lru_cache(_REMEMBERED_QUOTES)(self._quote))

    @property
    def version(self) -> str:
        """Where the figures come from."""
        return (
            self.published.version.replace(" ", "-")
            + ("+overrides" if self.overrides else "")
            + ("+fallback" if self.fallback else "")
        )

    @property
    def providers(self) -> Collection[str]:
        """The names of all providers that have a price here, in the order of the alphabet."""
        overridden = {provider for provider, _ in self.overrides}
        return sorted({*self.published.providers, *self.kinds, *overridden, *FREE_PROVIDERS})

    def price(self, provider: str, model: str) -> Price | None:
        """The price of *model* at *provider*; None is unknown, which is not zero."""
        return self._quotes(provider, model).price

    def lookup(self, provider: str, model: str) -> Quote:
        """The price of *model* at *provider*, and where it is from."""
        return self._quotes(provider, model)

    def _quote(self, provider: str, model: str) -> Quote:
        own = self.own(provider, model)
        if own.price is not None or self.fallback is None:
            return own
        price = self.own(*self.fallback).price
        return Quote(price, f"fallback {'/'.join(self.fallback)} (fallback_price)")

    def own(self, provider: str, model: str) -> Quote:
        """What :meth:`lookup` says where no other model's price stands in."""
        kind = self._kind(provider)
        found = self.published.find(kind, model)
        names = [(provider, model), (kind, model)]
        if found is not None:
            names += [(provider, found.model.id), (kind, found.model.id)]
        for name in names:
            if name in self.overrides:
                return Quote(self.overrides[name], f'overrides (prices."{"/".join(name)}")')
        if kind in FREE_PROVIDERS:
            return Quote(FREE, f"free: {kind}")
        if found is None:
            return Quote(None, f"{self.published.version} does not list {kind}/{model}")
        listed = f"{found.provider}/{found.model.id}"
        if found.model.price is None:
            return Quote(None, f"{self.published.version}: {listed}: {found.model.why}")
        alias = "" if model == found.model.id else f", for {model}"
        return Quote(found.model.price.price(), f"{self.published.version}: {listed}{alias}")

    def with_overrides(self, overrides: Mapping[PricedModel, Price]) -> "PriceTable":
        """A table with *overrides* in place of, or beside, the prices of this one."""
        return replace(self, overrides=MappingProxyType({**self.overrides, **overrides}))

    def with_providers(self, kinds: Mapping[str, str]) -> "PriceTable":
        """A table in which each name in *kinds* has the prices of the provider that it stands for.

        A name that has published prices of its own keeps them, unless it stands for one that bills
        nobody: ``openrouter`` charges its own, whatever protocol it is spoken to in.
        """
        return replace(self, kinds=MappingProxyType({**self.kinds, **kinds}))

    def with_fallback(self, fallback: PricedModel) -> "PriceTable":
        """A table that charges the price of *fallback* where a model's own is not known.

        Raises:
            ConfigurationError: that has no price either, or is free.
        """
        quote = self.own(*fallback)
        if quote.price is None:
            raise ConfigurationError(f"{'/'.join(fallback)} has no known price: {quote.origin}")
        if quote.price.worst_input_nano_usd == quote.price.output_nano_usd == 0:
            raise ConfigurationError(f"{'/'.join(fallback)} is free, and unknown is not zero")
        return replace(self, fallback=fallback)

    def _kind(self, provider: str) -> str:
        kind = self.kinds.get(provider, provider)
        is_its_own = provider in self.published.providers and kind not in FREE_PROVIDERS
        return provider if is_its_own else kind


PUBLISHED = PriceTable(PUBLISHED_PRICES)
"""The published prices, and no other."""
