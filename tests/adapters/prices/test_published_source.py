"""The published data says what its source says, asked name by name and figure by figure.

The source is asked what a usage costs, as its users ask it, and never how it stores its prices.
"""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.adapters.prices.published import PUBLISHED_PRICES, PublishedModel
from chatnest.domain.usage import NANO_USD_PER_USD, Price

pytest.importorskip("genai_prices", reason="genai-prices, a development dependency, is not here")

from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ClauseAnd, ClauseOr, ClauseRegex, ModelPrice

from tools.build_prices import FILE, build

if TYPE_CHECKING:
    from genai_prices.types import MatchLogic, ModelInfo

AS_OF = date.fromisoformat(PUBLISHED_PRICES.as_of)
SOURCE = {provider.id: provider for provider in get_snapshot().providers}
MIDNIGHT = datetime(AS_OF.year, AS_OF.month, AS_OF.day, tzinfo=UTC)
# Every half hour of the day, and every day of two years to come.
INSTANTS = [
    *(MIDNIGHT + timedelta(minutes=30 * step) for step in range(48)),
    *(MIDNIGHT + timedelta(days=step) for step in range(730)),
]
# On either side of every size at which a price of the source changes, up to the largest.
SIZES = (1, 32_000, 32_001, 100_000)
TEXT_ALONE = {
    *("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok"),
    *("input_audio_mtok", "cache_audio_read_mtok", "input_video_mtok"),
    *("web_searches_kcount", "storage_searches_kcount"),
}


def _names(provider: str) -> list[str]:
    """Every name, and part of one, that the source knows for models of *provider*."""
    models = SOURCE[provider].models
    return sorted({text for model in models for text in (model.id, *_texts(model.match))})


def _texts(clause: "MatchLogic") -> Iterator[str]:
    match clause:
        case ClauseOr(clauses) | ClauseAnd(clauses):
            for each in clauses:
                yield from _texts(each)
        case ClauseRegex():
            pass  # each is of an id, with a date
        case _:
            yield from vars(clause).values()


TEXTS = [name for provider in PUBLISHED_PRICES.providers for name in _names(provider)]
PIECES = st.sampled_from(
    ["-", ".", "/", ":", "@", "latest", "-20260131", "-20260231", "-2026-01-31", "-tts", "free"]
)
NAMES = st.lists(st.sampled_from(TEXTS) | PIECES | st.text(max_size=4), max_size=4).map("".join)


def test_the_file_is_exactly_what_the_generator_gives() -> None:
    assert FILE.read_text("utf-8") == build(AS_OF), "renew it with `make prices`"


@pytest.mark.parametrize("provider", PUBLISHED_PRICES.providers)
def test_every_price_is_what_the_source_charges_at_its_dearest(provider: str) -> None:
    theirs_of_provider = SOURCE[provider].models
    for ours, theirs in zip(PUBLISHED_PRICES.models(provider), theirs_of_provider, strict=True):
        assert ours.id == theirs.id
        assert _figures(ours) == _dearest(theirs), ours.id


@pytest.mark.parametrize("provider", sorted(SOURCE.keys() - PUBLISHED_PRICES.providers))
def test_a_provider_that_is_left_out_has_no_model_of_text(provider: str) -> None:
    assert not any(_dearest(model) for model in SOURCE[provider].models)


@pytest.mark.parametrize("provider", PUBLISHED_PRICES.providers)
def test_every_listed_name_and_those_like_it_mean_the_same_model(provider: str) -> None:
    for text in _names(provider):
        for name in (text, text.upper(), f"{text}-20260131", f"{text}-2026-01-31", f"x{text}"):
            _assert_same_model(provider, name)


@given(st.sampled_from(["openai", "anthropic", "google", "azure", "openrouter", "aws"]), NAMES)
def test_any_name_means_the_same_model(provider: str, name: str) -> None:
    _assert_same_model(provider, name)


def _assert_same_model(provider: str, name: str) -> None:
    found = PUBLISHED_PRICES.find(provider, name)
    ours = None if found is None else (found.model.id, _figures(found.model))
    assert ours == _source_model(provider, name), name


def _source_model(provider: str, name: str) -> tuple[str, tuple[int, ...] | None] | None:
    # The snapshot's own search remembers every name, found or not, for good: this one does not.
    theirs = SOURCE[provider].find_model(name, all_providers=list(SOURCE.values()))
    return None if theirs is None else (theirs.id, _dearest(theirs))


_DEAREST: dict[int, tuple[int, ...] | None] = {}


def _dearest(model: "ModelInfo") -> tuple[int, ...] | None:
    """The most that a million tokens of each kind cost, in nano-dollars; None where not by them."""
    if id(model) not in _DEAREST:
        prices = {id(price): price for price in map(model.get_prices, INSTANTS)}.values()
        costs = [cost for price in prices if _is_by_tokens(price) for cost in _costs(price)]
        is_by_tokens = all(map(_is_by_tokens, prices))
        dearest = map(max, zip(*costs, strict=True))
        _DEAREST[id(model)] = tuple(map(_nano_usd, dearest)) if is_by_tokens else None
    return _DEAREST[id(model)]


def _is_by_tokens(price: ModelPrice) -> bool:
    keys = {key for key, value in vars(price).items() if value is not None}
    return {"input_mtok", "output_mtok"} <= keys <= TEXT_ALONE


def _costs(price: ModelPrice) -> Iterator[tuple[Decimal, ...]]:
    """What a million tokens of input, output, cached and written input cost, for every size."""
    for size in SIZES:
        costs = (
            price.calc_price(Usage(input_tokens=size))["input_price"],
            price.calc_price(Usage(input_tokens=size, output_tokens=size))["output_price"],
            price.calc_price(Usage(input_tokens=size, cache_read_tokens=size))["input_price"],
            price.calc_price(Usage(input_tokens=size, cache_write_tokens=size))["input_price"],
        )
        yield tuple(cost * 1_000_000 / size for cost in costs)


def _nano_usd(usd: Decimal) -> int:
    return math.ceil(round(usd * NANO_USD_PER_USD, 9))


def _figures(model: PublishedModel) -> tuple[int, ...] | None:
    if model.price is None:
        return None
    price: Price = model.price.price()
    plain, cached, written = (
        price.input_nano_usd,
        price.cached_input_nano_usd,
        price.cache_write_nano_usd,
    )
    return (
        plain,
        price.output_nano_usd,
        plain if cached is None else cached,
        plain if written is None else written,
    )
