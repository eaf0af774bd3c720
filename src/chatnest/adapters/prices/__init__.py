"""Price books: what a model costs, in integers."""

from chatnest.adapters.prices.published import BASE_TIER_INPUT_TOKENS, PUBLISHED
from chatnest.adapters.prices.table import PricedModel, PriceTable, price_from_usd

__all__ = ["BASE_TIER_INPUT_TOKENS", "PUBLISHED", "PriceTable", "PricedModel", "price_from_usd"]
