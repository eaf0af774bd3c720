"""The command that says what a model costs, and where that is from: ``chatnest prices MODEL``."""

from collections.abc import Iterator
from pathlib import Path

import click

from chatnest.adapters.prices import PricedModel, PriceTable
from chatnest.app.cli_shared import CommandError, config_option, load_settings
from chatnest.app.config import ChatNestConfig
from chatnest.app.config_policy import to_price_book, to_profiles
from chatnest.app.ledger_report import dollars
from chatnest.app.tables import table
from chatnest.domain.profiles import Profile, cap
from chatnest.domain.usage import FREE, Price, worst_cost_nano_usd

_TITLES = ("model", "price from", "input", "cached", "cache write", "output", "worst case")


@click.command("prices")
@click.argument("model")
@config_option
def prices_command(model: str, config: Path | None) -> None:
    """Say what MODEL costs, as gpt-4o or openai/gpt-4o; exit code 1 where that is not known."""
    settings = load_settings(config, {})
    book = to_price_book(settings)
    profile = _default_profile(settings)
    named = _named(book, model)
    priced = [name for name in named or _everywhere(book, model) if _is_known(book, name)]
    # Where no price is known, what is charged in its stead is shown all the same.
    shown = priced or (named if book.fallback else [])
    for line in _price_lines(book, shown, profile):
        click.echo(line)
    if not priced:
        raise CommandError(_unknown(settings, book, model, named))


def _named(book: PriceTable, model: str) -> list[PricedModel]:
    """The model at the provider that the name begins with; nothing where it begins with none.

    A model's own name may have slashes too, as those of routers have.
    """
    provider, _, rest = model.partition("/")
    return [(provider, rest)] if rest and provider in book.providers else []


def _everywhere(book: PriceTable, model: str) -> Iterator[PricedModel]:
    """The model at every provider that has a price for it.

    Those that bill nobody have one for every name, which says nothing about this one.
    """
    for provider in book.providers:
        if book.own(provider, model).price not in (None, FREE):
            yield provider, model


def _is_known(book: PriceTable, name: PricedModel) -> bool:
    return book.own(*name).price is not None


def _default_profile(settings: ChatNestConfig) -> Profile:
    profiles = to_profiles(settings)
    return cap(profiles.by_name[profiles.canonical(profiles.default)], profiles.caps)


def _price_lines(book: PriceTable, names: list[PricedModel], profile: Profile) -> Iterator[str]:
    rows = []
    for provider, model in names:
        quote = book.lookup(provider, model)
        if quote.price is not None:
            figures = (*_figures(quote.price), _worst_case(quote.price, profile))
            rows.append((f"{provider}/{model}", quote.origin, *map(dollars, figures)))
    if rows:
        yield from table(_TITLES, rows, texts=2)
        yield (
            f"\nIn USD: for a million tokens, and the most for one call under the profile "
            f"{profile.name}\n({profile.tokens_per_request:,} tokens, at most "
            f"{profile.max_output_tokens:,} of them output)."
        )


def _figures(price: Price) -> tuple[int, int, int, int]:
    plain, cached, written = (
        price.input_nano_usd,
        price.cached_input_nano_usd,
        price.cache_write_nano_usd,
    )
    return (
        plain,
        plain if cached is None else cached,
        plain if written is None else written,
        price.output_nano_usd,
    )


def _worst_case(price: Price, profile: Profile) -> int:
    """The most that one call can cost: with the longest answer, or none where input is dearer."""
    tokens = profile.tokens_per_request
    return max(
        worst_cost_nano_usd(price, tokens - output, output)
        for output in (0, min(tokens, profile.max_output_tokens))
    )


def _unknown(
    settings: ChatNestConfig, book: PriceTable, model: str, named: list[PricedModel]
) -> str:
    """That the price is not known, why, what follows from it, and what to do."""
    own = f"{book.own(*named[0]).origin}." if named else "no provider has one for it."
    name = model if named else f"PROVIDER/{model}"
    if book.fallback is not None:
        follows = f"It is charged as {'/'.join(book.fallback)} (fallback_price)."
        advice = f'Set prices."{name}" to charge its own.'
    else:
        follows = (
            "Where a budget is in dollars, it is refused (unknown_price)."
            if settings.unknown_price == "refuse"
            else "Budgets in dollars do not hold it (unknown_price)."
        )
        advice = f'Set prices."{name}", or fallback_price to a model that costs no less.'
    return f"the price of {model} is not known: {own} {follows} {advice}"
