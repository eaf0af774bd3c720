"""Writes ``published.json`` from genai-prices: ``python -m tools.build_prices YYYY-MM-DD``.

The day is the one whose prices count. What it writes depends on nothing else but the version of
genai-prices, so that a test can tell whether the file in the package is what it gives.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import ROUND_CEILING, Decimal
from pathlib import Path

import genai_prices
import msgspec
from genai_prices import types
from genai_prices.data import providers

from chatnest.adapters.prices.name_rules import NameRule
from chatnest.adapters.prices.published import BASE_TIER_INPUT_TOKENS

FILE = Path(__file__).parents[1] / "src/chatnest/adapters/prices/published.json"
LICENCE = "MIT, Copyright (c) Pydantic Services Inc. 2025 to present"

# A price's own four figures, in the order of the file.
KEYS = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")
# Nothing that ChatNest sends, or that tokens are, is billed by these.
NOT_BILLED = {
    "cache_audio_read_mtok",
    "cache_write_1h_mtok",
    "input_audio_mtok",
    "input_video_mtok",
    "storage_searches_kcount",
    "web_searches_kcount",
}
NANO_USD_PER_USD = 10**9


class UnpricedError(Exception):
    """The prices of tokens that there are do not bound what a model costs."""


def build(as_of: date) -> str:
    """The whole file, with the prices of the day *as_of*."""
    head = {
        "source": "genai-prices",
        "version": genai_prices.__version__,
        "licence": LICENCE,
        "as_of": as_of.isoformat(),
    }
    lines = [*(f"{_json(key)}:{_json(value)}," for key, value in head.items()), '"providers":{']
    listed = [list(_provider_lines(provider, as_of)) for provider in _with_prices(as_of)]
    lines += (line for provider in _separated(listed) for line in provider)
    return "\n".join(("{", *lines, "}}", ""))


def _with_prices(as_of: date) -> Iterator[types.Provider]:
    for provider in sorted(providers, key=lambda provider: provider.id):
        if any("price" in _fields(model, as_of) for model in provider.models):
            yield provider


def _provider_lines(provider: types.Provider, as_of: date) -> Iterator[str]:
    others = _json(provider.fallback_model_providers or [])
    yield f'{_json(provider.id)}:{{"others":{others},"models":['
    # In the source's order: the first that matches a name counts.
    models = [[_json(_fields(model, as_of))] for model in provider.models]
    yield from (line for model in _separated(models) for line in model)
    yield "]}"


def _separated(blocks: list[list[str]]) -> list[list[str]]:
    """*blocks* of lines as items of one list: all but the last end with a comma."""
    return [*([*block[:-1], f"{block[-1]},"] for block in blocks[:-1]), *blocks[-1:]]


def _fields(model: types.ModelInfo, as_of: date) -> dict[str, object]:
    fields = {"id": model.id, **msgspec.to_builtins(_rule(model.match))}
    try:
        return {**fields, "price": dearest_price(model, as_of)}
    except UnpricedError as why:
        return {**fields, "why": str(why)}


def _rule(clause: types.MatchLogic) -> NameRule:
    """*clause* as a rule of ours; alternatives within alternatives become one list."""
    parts: dict[str, list[object]] = {}
    for alternative in _alternatives(clause):
        kind, value = _part(alternative)
        parts.setdefault(kind, []).append(value)
    return msgspec.convert(parts, NameRule)


def _alternatives(clause: types.MatchLogic) -> Iterator[types.MatchLogic]:
    if isinstance(clause, types.ClauseOr):
        for alternative in clause.or_:
            yield from _alternatives(alternative)
    else:
        yield clause


def _part(clause: types.MatchLogic) -> tuple[str, object]:
    match clause:
        case types.ClauseEquals(text):
            return "equals", text.lower()
        case types.ClauseStartsWith(text):
            return "starts_with", text.lower()
        case types.ClauseEndsWith(text):
            return "ends_with", text.lower()
        case types.ClauseContains(text):
            return "contains", text.lower()
        case types.ClauseRegex(pattern):
            return "regex", pattern
        case types.ClauseAnd(clauses):
            return "every", [msgspec.to_builtins(_rule(each)) for each in clauses]
        case types.ClauseOr():
            raise AssertionError("alternatives were taken apart before")


def dearest_price(model: types.ModelInfo, as_of: date) -> list[int | None]:
    """The most that each figure can be for a request of the base tier, from *as_of* on.

    Raises:
        UnpricedError: four prices of tokens do not bound what it costs.
    """
    prices = [_figures(model.get_prices(instant)) for instant in _instants(model, as_of)]
    dearest = [_dearest(key, prices) for key in KEYS]
    while dearest[-1] is None:
        dearest.pop()
    return dearest


def _instants(model: types.ModelInfo, as_of: date) -> Iterator[datetime]:
    """Instants of which each time of day, and each day to come, with a price of its own has one."""
    days, times = {as_of}, {time(tzinfo=UTC)}
    for conditional in [] if isinstance(model.prices, types.ModelPrice) else model.prices:
        match conditional.constraint:
            case types.StartDateConstraint(start):
                days.add(max(as_of, start))
            case types.TimeOfDateConstraint(start_time, end_time):
                times |= {start_time, end_time}
            case None:
                pass
    return (datetime.combine(day, at) for day in sorted(days) for at in times)


def _figures(price: types.ModelPrice) -> Mapping[str, Decimal]:
    """The figures of *price* that a request of the base tier can be billed by."""
    given = {key: value for key, value in vars(price).items() if value is not None}
    missing = [_words(key) for key in KEYS[:2] if key not in given]
    if missing:
        raise UnpricedError(f"no price of tokens of {' and '.join(missing)}")
    beside = [_words(key) for key in sorted(given.keys() - KEYS - NOT_BILLED)]
    if beside:
        raise UnpricedError(f"billed by {' and '.join(beside)} too")
    return {key: _base_tier(given[key]) for key in KEYS if key in given}


def _base_tier(value: Decimal | types.TieredPrices) -> Decimal:
    if isinstance(value, Decimal):
        return value
    reached = (tier.price for tier in value.tiers if tier.start < BASE_TIER_INPUT_TOKENS)
    return max([value.base, *reached])


def _dearest(key: str, prices: Iterable[Mapping[str, Decimal]]) -> int | None:
    """The highest of *prices* in nano-dollars, rounded up; None where none of them has the key.

    A price without a cache bills what it would have cached like any input.
    """
    prices = list(prices)
    if not any(key in price for price in prices):
        return None
    usd = max(price.get(key, price["input_mtok"]) for price in prices)
    return int((usd * NANO_USD_PER_USD).to_integral_value(ROUND_CEILING))


def _words(key: str) -> str:
    """What a price is of: ``output_audio_mtok`` is of output audio."""
    return " ".join(key.split("_")[:-1])


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


if __name__ == "__main__":
    FILE.write_text(build(date.fromisoformat(sys.argv[1])), "utf-8")
