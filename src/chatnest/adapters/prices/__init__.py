"""Price books: what a model costs, in integers."""

from chatnest.adapters.prices.figures import price_from_usd
from chatnest.adapters.prices.published import BASE_TIER_INPUT_TOKENS, PublishedPrices
from chatnest.adapters.prices.table import PUBLISHED, PricedModel, PriceTable, Quote

__all__ = [
    "BASE_TIER_INPUT_TOKENS",
    "PUBLISHED",
    "PriceTable",
    "PricedModel",
    "PublishedPrices",
    "Quote",
    "price_from_usd",
]
