"""The configuration in the domain's own terms: profiles, budgets, prices, retry, time limits."""

import dataclasses
from collections.abc import Iterator, Mapping
from datetime import UTC, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

from msgspec.structs import asdict, replace

from chatnest.adapters.prices import PUBLISHED, PricedModel, PriceTable, price_from_usd
from chatnest.app.config import (
    BudgetConfig,
    ChatNestConfig,
    PriceConfig,
    ProfileConfig,
    TimeLimitsConfig,
)
from chatnest.app.config_routes import RouteTimeLimitsConfig
from chatnest.domain.budget import BudgetRule, Unit
from chatnest.domain.circuit import CircuitPolicy
from chatnest.domain.errors import ConfigurationError
from chatnest.domain.policy import GLOBAL_SCOPE, ChatPolicy, TimeLimits, UnknownPrice
from chatnest.domain.profiles import BALANCED, DEFAULT_PROFILES, Profile, Profiles
from chatnest.domain.rate_limit import Algorithm
from chatnest.domain.retry import RetryPolicy
from chatnest.domain.usage import NANO_USD_PER_USD, Price
from chatnest.domain.windows import US_PER_S, Period, Window

GLOBAL_TOKENS_PER_DAY = 500_000
"""What everybody together may use in a day where the configuration sets no such limit."""

# What every store can keep: signed 64 bits.
_LARGEST_LIMIT = 2**63 - 1
_UNITS = {"tokens": Unit.TOKENS, "usd": Unit.NANO_USD, "requests": Unit.REQUESTS}


def to_policy(config: ChatNestConfig) -> ChatPolicy:
    """Everything that *config* decides about chats.

    Raises:
        ConfigurationError: a number, a zone or a name in it cannot work.
    """
    return ChatPolicy(
        profiles=to_profiles(config),
        budgets=to_budgets(config),
        retry=to_retry(config),
        time_limits=to_time_limits(config.time_limits),
        day_zone=to_zone(config.time_zone, "time_zone"),
        client_system_prompt=config.client_system_prompt,
        unknown_price=UnknownPrice(config.unknown_price),
        rate_algorithm=Algorithm(config.rate_algorithm),
        circuit=to_circuit(config),
    )


def to_profiles(config: ChatNestConfig) -> Profiles:
    """The built-in profiles with the configured changes, and the new ones."""
    changed = {
        name: _changed(DEFAULT_PROFILES.get(name, BALANCED), name, changes)
        for name, changes in config.profiles.items()
    }
    return Profiles({**DEFAULT_PROFILES, **changed}, default=config.default_profile)


def to_budgets(config: ChatNestConfig) -> tuple[BudgetRule, ...]:
    """The configured limits, and a daily one for everybody together if none is configured."""
    rules = tuple(
        _to_rule(budget, config.time_zone, f"budgets[{index}]")
        for index, budget in enumerate(config.budgets)
    )
    if any(_limits_everybody_daily(rule) for rule in rules):
        return rules
    day = Window(Period.DAY, to_zone(config.time_zone, "time_zone"))
    return (BudgetRule(GLOBAL_SCOPE, Unit.TOKENS, day, GLOBAL_TOKENS_PER_DAY), *rules)


def to_price_book(config: ChatNestConfig) -> PriceTable:
    """The published prices, with the configured ones over them, and what stands in for none.

    Raises:
        ConfigurationError: a price cannot work, or the fallback has none itself.
    """
    table = PUBLISHED.with_providers(_kinds(config)).with_overrides(dict(_prices(config.prices)))
    if config.fallback_price is None:
        return table
    fallback = _priced_model(config.fallback_price, "fallback_price")
    try:
        return table.with_fallback(fallback)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"fallback_price: {error}. Name a model that has a price, or set one under [prices]."
        ) from None


def to_retry(config: ChatNestConfig) -> RetryPolicy:
    """How failures are tried again."""
    numbers = config.retry
    try:
        return RetryPolicy(
            max_attempts=numbers.max_attempts,
            base_delay_us=to_us(numbers.base_delay_s),
            max_delay_us=to_us(numbers.max_delay_s),
            deadline_us=to_us(numbers.deadline_s),
        )
    except ValueError as error:
        raise ConfigurationError(f"retry: {error}; change one of the two.") from error


def to_time_limits(limits: TimeLimitsConfig) -> TimeLimits:
    """How long a call may take, and how long a hold stands without a sign of life."""
    return TimeLimits(
        connect_us=to_us(limits.connect_s),
        first_token_us=to_us(limits.first_token_s),
        idle_us=to_us(limits.idle_s),
        total_us=to_us(limits.total_s),
        lease_us=to_us(limits.lease_s),
        write_stall_us=to_us(limits.write_stall_s),
    )


def to_route_time_limits(
    limits: TimeLimitsConfig, changes: RouteTimeLimitsConfig
) -> TimeLimits | None:
    """*limits* with the *changes* of one route; None where it has none."""
    given = {name: value for name, value in asdict(changes).items() if value is not None}
    return to_time_limits(replace(limits, **given)) if given else None


def to_circuit(config: ChatNestConfig) -> CircuitPolicy:
    """When a target that keeps failing is left alone."""
    return CircuitPolicy(config.circuit.failures, to_us(config.circuit.open_s))


def to_zone(name: str, path: str) -> tzinfo:
    """The time zone called *name*; *path* is where the configuration says it.

    Raises:
        ConfigurationError: there is no such zone on this machine.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"{path}: there is no time zone {name!r}. Use an IANA name such as Europe/Berlin; "
            "where the system knows none, install the package tzdata."
        ) from error


def to_us(seconds: float) -> int:
    """*seconds* in microseconds."""
    return round(seconds * US_PER_S)


def to_nano_usd(amount: Decimal, path: str) -> int:
    """*amount*, in dollars, in nano-dollars.

    Raises:
        ConfigurationError: it is negative, too large, or finer than a nano-dollar.
    """
    meaning = "an amount of dollars, down to 0.000000001,"
    return _whole(amount, path, meaning, parts=NANO_USD_PER_USD)


def _changed(profile: Profile, name: str, changes: ProfileConfig) -> Profile:
    given = {field: value for field, value in asdict(changes).items() if value is not None}
    return dataclasses.replace(profile, name=name, **given)


def _to_rule(budget: BudgetConfig, default_zone: str, path: str) -> BudgetRule:
    zone = to_zone(budget.zone or default_zone, f"{path}.zone")
    at_limit = f"{path}.limit"
    limit = (
        to_nano_usd(budget.limit, at_limit)
        if budget.unit == "usd"
        else _whole(budget.limit, at_limit, f"a whole number of {budget.unit}")
    )
    return BudgetRule(budget.scope, _UNITS[budget.unit], Window(Period(budget.period), zone), limit)


def _limits_everybody_daily(rule: BudgetRule) -> bool:
    counted = (rule.scope, rule.unit, rule.window.period)
    return counted == (GLOBAL_SCOPE, Unit.TOKENS, Period.DAY)


def _kinds(config: ChatNestConfig) -> dict[str, str]:
    """The kinds whose prices providers have; of a factory of one's own nothing is known."""
    return {
        name: provider.kind
        for name, provider in config.providers.items()
        if provider.kind is not None and provider.factory is None
    }


def _prices(prices: Mapping[str, PriceConfig]) -> Iterator[tuple[PricedModel, Price]]:
    for name, price in prices.items():
        path = f'prices."{name}"'
        yield _priced_model(name, path), _to_price(price, path)


def _priced_model(name: str, path: str) -> PricedModel:
    provider, _, model = name.partition("/")
    if not provider or not model:
        raise ConfigurationError(f"{path} must be named PROVIDER/MODEL, such as openai/gpt-4o.")
    return provider, model


def _to_price(price: PriceConfig, path: str) -> Price:
    try:
        return price_from_usd(**asdict(price))
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}.{error}.") from None


def _whole(amount: Decimal, path: str, meaning: str, *, parts: int = 1) -> int:
    """*amount* counted in *parts* of one, exactly."""
    # The range comes first: an exponent of a million digits is not multiplied out.
    if 0 <= amount <= _LARGEST_LIMIT:
        counted = amount * parts
        if counted <= _LARGEST_LIMIT and counted == int(counted):
            return int(counted)
    raise ConfigurationError(f"{path} must be {meaning} and not negative, at most 2^63 - 1.")
