"""A price is configured, published, free, another's by name, or unknown, which is not zero."""

import pytest

from chatnest.adapters.prices import PriceTable, PublishedPrices
from chatnest.domain.errors import ConfigurationError
from chatnest.domain.usage import FREE, Price

SMALL, LARGE, OWN = Price(1, 2), Price(30, 40, 5, 60), Price(7, 8)
FILE = b"""{
"source": "prices", "version": "7", "licence": "none", "as_of": "2026-01-02",
"providers": {
"a": {"models": [
    {"id": "small", "equals": ["small"], "price": [1, 2]},
    {"id": "large", "starts_with": ["large"], "price": [30, 40, 5, 60]},
    {"id": "voice", "equals": ["voice"], "why": "billed by output audio too"}]},
"b": {"others": ["a"], "models": []}
}}"""
TABLE = PriceTable(PublishedPrices(lambda: FILE))


@pytest.mark.parametrize(
    ("provider", "model", "price", "origin"),
    [
        ("a", "small", SMALL, "prices 7: a/small"),
        ("a", "Small", SMALL, "prices 7: a/small, for Small"),
        ("a", "large-20260131", LARGE, "prices 7: a/large, for large-20260131"),
        ("b", "large", LARGE, "prices 7: a/large"),
        ("a", "medium", None, "prices 7 does not list a/medium"),
        ("c", "small", None, "prices 7 does not list c/small"),
        ("A", "small", None, "prices 7 does not list A/small"),
        ("a", "voice", None, "prices 7: a/voice: billed by output audio too"),
        ("local", "", FREE, "free: local"),
        ("scripted", "large", FREE, "free: scripted"),
    ],
)
def test_a_price_is_published_or_free_or_unknown_and_says_so(
    provider: str, model: str, price: Price | None, origin: str
) -> None:
    quote = TABLE.lookup(provider, model)
    assert (quote.price, quote.origin) == (price, origin)
    assert TABLE.price(provider, model) == price


def test_an_override_stands_above_a_models_every_name_and_adds_others() -> None:
    overridden = TABLE.with_overrides(
        {("a", "large"): OWN, ("a", "voice"): OWN, ("c", "new"): OWN, ("local", "x"): OWN}
    )
    for provider, model in (
        ("a", "large"),
        ("a", "large-0613"),
        ("a", "voice"),
        ("c", "new"),
        ("local", "x"),
    ):
        assert overridden.price(provider, model) == OWN
    assert overridden.lookup("a", "large-0613").origin == 'overrides (prices."a/large")'
    assert overridden.price("a", "small") == SMALL
    assert overridden.price("b", "large") == LARGE
    assert overridden.price("local", "y") == FREE


def test_an_override_of_one_name_leaves_the_models_other_names() -> None:
    overridden = TABLE.with_overrides({("a", "large-0613"): OWN})
    assert overridden.price("a", "large-0613") == OWN
    assert overridden.price("a", "large") == overridden.price("a", "large-0614") == LARGE


def test_another_name_of_a_provider_has_its_prices() -> None:
    table = TABLE.with_overrides({("a", "small"): OWN, ("work", "large"): SMALL})
    table = table.with_providers({"work": "a", "box": "local"})
    assert table.price("work", "small") == OWN
    assert table.price("work", "large") == SMALL
    assert table.lookup("work", "large-1").origin == 'overrides (prices."work/large")'
    assert table.price("a", "large") == LARGE
    assert table.lookup("box", "small").origin == "free: local"
    assert table.price("desk", "small") is None


def test_a_name_with_prices_of_its_own_keeps_them_unless_it_is_another_of_a_free_one() -> None:
    assert TABLE.with_providers({"a": "c"}).price("a", "small") == SMALL
    assert TABLE.with_providers({"a": "scripted"}).price("a", "small") == FREE


def test_what_is_called_as_a_free_provider_but_is_none_is_not_free() -> None:
    table = TABLE.with_providers({"local": "a"})
    assert table.price("local", "large") == LARGE
    assert table.price("local", "medium") is None


@pytest.mark.parametrize("fallback", [("a", "large-2026"), ("c", "dear"), ("work", "large")])
def test_with_a_fallback_nothing_is_unknown(fallback: tuple[str, str]) -> None:
    table = TABLE.with_overrides({("c", "dear"): LARGE}).with_providers({"work": "a"})
    table = table.with_fallback(fallback)
    for provider, model in (("a", "medium"), ("a", "voice"), ("c", "small"), ("", "")):
        quote = table.lookup(provider, model)
        assert quote.price == LARGE
        assert quote.origin == f"fallback {'/'.join(fallback)} (fallback_price)"
        assert table.own(provider, model).price is None
    assert table.price("a", "small") == SMALL
    assert table.price("local", "any") == FREE


@pytest.mark.parametrize(
    ("fallback", "told"),
    [
        (("a", "medium"), "a/medium has no known price: prices 7 does not list a/medium"),
        (("a", "voice"), "a/voice has no known price"),
        (("local", "x"), "local/x is free"),
        (("c", "gift"), "c/gift is free"),
    ],
)
def test_a_fallback_is_a_model_that_costs_something(fallback: tuple[str, str], told: str) -> None:
    table = TABLE.with_overrides({("c", "gift"): FREE})
    with pytest.raises(ConfigurationError, match=told):
        table.with_fallback(fallback)


def test_the_version_names_the_source_and_what_was_changed() -> None:
    overridden = TABLE.with_overrides({("a", "small"): OWN})
    assert TABLE.version == TABLE.with_overrides({}).version == "prices-7"
    assert overridden.version == "prices-7+overrides"
    assert overridden.with_fallback(("a", "large")).version == "prices-7+overrides+fallback"


def test_a_table_changes_with_nothing() -> None:
    overrides = {("a", "small"): OWN}
    table = TABLE.with_overrides(overrides)
    overrides["a", "small"] = LARGE
    assert table.price("a", "small") == OWN
    assert TABLE.price("a", "small") == SMALL


def test_every_provider_with_a_price_is_named_once_in_order() -> None:
    table = TABLE.with_overrides({("c", "new"): OWN}).with_providers({"work": "a"})
    assert table.providers == ["a", "b", "c", "local", "scripted", "work"]
