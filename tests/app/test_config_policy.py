from dataclasses import replace
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.app.config import (
    BudgetConfig,
    ChatNestConfig,
    PriceConfig,
    ProfileConfig,
    RetryConfig,
    TimeLimitsConfig,
)
from chatnest.app.config_policy import (
    to_budgets,
    to_nano_usd,
    to_policy,
    to_price_book,
    to_profiles,
    to_route_time_limits,
    to_time_limits,
)
from chatnest.app.config_routes import CircuitConfig, ProviderConfig, RouteTimeLimitsConfig
from chatnest.domain.budget import BudgetRule, Unit
from chatnest.domain.circuit import CircuitPolicy
from chatnest.domain.errors import ConfigurationError
from chatnest.domain.policy import ChatPolicy, TimeLimits, UnknownPrice
from chatnest.domain.profiles import DEFAULT_PROFILES
from chatnest.domain.rate_limit import Algorithm
from chatnest.domain.retry import RetryPolicy
from chatnest.domain.usage import FREE, Price
from chatnest.domain.windows import Period, Window

DAY = Window(Period.DAY)
EVERYBODY_DAILY = BudgetRule("global", Unit.TOKENS, DAY, 500_000)


def test_the_defaults_are_the_domains_own_with_a_daily_limit_for_everybody() -> None:
    assert to_policy(ChatNestConfig()) == ChatPolicy(budgets=(EVERYBODY_DAILY,))


def test_every_setting_reaches_the_policy() -> None:
    policy = to_policy(
        ChatNestConfig(
            retry=RetryConfig(max_attempts=2, base_delay_s=0.25, max_delay_s=4, deadline_s=9),
            time_limits=TimeLimitsConfig(
                connect_s=0.5, first_token_s=1.5, idle_s=2, total_s=3, write_stall_s=5, lease_s=4
            ),
            circuit=CircuitConfig(failures=2, open_s=0.75),
            time_zone="Asia/Tokyo",
            client_system_prompt=True,
            unknown_price="ignore",
            rate_algorithm="fixed_window",
            default_profile="expanded",
        )
    )
    assert policy.retry == RetryPolicy(2, 250_000, 4_000_000, 9_000_000)
    assert policy.time_limits == TimeLimits(
        connect_us=500_000,
        first_token_us=1_500_000,
        idle_us=2_000_000,
        total_us=3_000_000,
        write_stall_us=5_000_000,
        lease_us=4_000_000,
    )
    assert policy.day_zone == ZoneInfo("Asia/Tokyo")
    assert policy.circuit == CircuitPolicy(failures=2, open_us=750_000)
    assert policy.client_system_prompt is True
    assert policy.unknown_price is UnknownPrice.IGNORE
    assert policy.rate_algorithm is Algorithm.FIXED_WINDOW
    assert policy.profiles.default == "expanded"


def test_a_route_has_the_time_limits_of_all_but_for_its_own() -> None:
    limits = TimeLimitsConfig(connect_s=1, first_token_s=2, idle_s=3, total_s=4, write_stall_s=5)
    assert to_route_time_limits(limits, RouteTimeLimitsConfig()) is None
    for name in RouteTimeLimitsConfig.__struct_fields__:
        own = to_route_time_limits(limits, RouteTimeLimitsConfig(**{name: 9.0}))
        expected = {f"{name.removesuffix('_s')}_us": 9_000_000}
        assert own == replace(to_time_limits(limits), **expected)


def test_a_provider_has_the_prices_of_its_kind_unless_its_factory_is_ones_own() -> None:
    providers = {
        "work": ProviderConfig(kind="openai"),
        "demo": ProviderConfig(kind="scripted"),
        "mine": ProviderConfig(kind="openai", factory="acme_chat:create"),
    }
    book = to_price_book(ChatNestConfig(providers=providers))
    price = book.price("openai", "gpt-4o-mini")
    assert price is not None
    assert book.price("work", "gpt-4o-mini") == price
    assert book.price("demo", "gpt-4o-mini") == FREE
    assert book.price("mine", "gpt-4o-mini") is None


def test_a_profile_keeps_the_built_in_numbers_that_are_not_configured() -> None:
    config = ChatNestConfig(
        profiles={"expanded": ProfileConfig(max_messages=3, system_prompt="Be brief.")}
    )
    expanded = to_profiles(config).by_name["expanded"]
    assert (expanded.max_messages, expanded.system_prompt) == (3, "Be brief.")
    assert expanded.tokens_per_day == DEFAULT_PROFILES["expanded"].tokens_per_day
    assert to_profiles(config).by_name["balanced"] == DEFAULT_PROFILES["balanced"]


def test_a_new_profile_starts_from_balanced() -> None:
    team = to_profiles(ChatNestConfig(profiles={"team": ProfileConfig(temperature=0.1)})).get(
        "team"
    )
    assert team is not None
    assert (team.name, team.temperature) == ("team", 0.1)
    assert team.max_output_tokens == DEFAULT_PROFILES["balanced"].max_output_tokens


def test_the_limit_for_everybody_stays_beside_other_budgets() -> None:
    red = BudgetConfig(scope="team:red", unit="usd", period="month", limit=Decimal("2.5"))
    assert to_budgets(ChatNestConfig(budgets=(red,))) == (
        EVERYBODY_DAILY,
        BudgetRule("team:red", Unit.NANO_USD, Window(Period.MONTH), 2_500_000_000),
    )


def test_the_limit_for_everybody_can_be_set_but_not_left_out() -> None:
    own = BudgetConfig(scope="global", unit="tokens", period="day", limit=Decimal(7))
    assert to_budgets(ChatNestConfig(budgets=(own,))) == (
        BudgetRule("global", Unit.TOKENS, DAY, 7),
    )


@pytest.mark.parametrize("changed", ["scope", "unit", "period"])
def test_no_other_budget_stands_in_for_the_limit_for_everybody(changed: str) -> None:
    values = {"scope": "global", "unit": "tokens", "period": "day"}
    values[changed] = {"scope": "principal", "unit": "requests", "period": "hour"}[changed]
    other = BudgetConfig(**values, limit=Decimal(7))  # type: ignore[arg-type]  # by name
    assert EVERYBODY_DAILY in to_budgets(ChatNestConfig(budgets=(other,)))


def test_a_budget_has_its_own_zone_or_that_of_the_configuration() -> None:
    config = ChatNestConfig(
        time_zone="Asia/Tokyo",
        budgets=(
            BudgetConfig(scope="a", unit="requests", period="day", limit=Decimal(1)),
            BudgetConfig(scope="b", unit="requests", period="day", limit=Decimal(1), zone="UTC"),
        ),
    )
    everybody, a, b = to_budgets(config)
    assert everybody.window == a.window == Window(Period.DAY, ZoneInfo("Asia/Tokyo"))
    assert b.window == DAY


def test_prices_are_named_by_provider_and_a_model_that_may_have_slashes() -> None:
    config = ChatNestConfig(
        prices={
            "openai/vendor/model": PriceConfig(
                input_usd_per_million=Decimal("0.15"),
                output_usd_per_million=Decimal("0.6"),
                cached_input_usd_per_million=Decimal("0.075"),
            )
        }
    )
    price = to_price_book(config).price("openai", "vendor/model")
    assert price == Price(150_000_000, 600_000_000, 75_000_000, None)


def test_a_configured_price_replaces_the_published_one_of_that_model_alone() -> None:
    price = PriceConfig(input_usd_per_million=Decimal(7), output_usd_per_million=Decimal(8))
    book = to_price_book(ChatNestConfig(prices={"openai/gpt-4o": price}))
    published = to_price_book(ChatNestConfig())
    assert book.price("openai", "gpt-4o") == Price(7_000_000_000, 8_000_000_000)
    assert published.price("openai", "gpt-4o") != book.price("openai", "gpt-4o")
    assert published.price("openai", "gpt-4o-mini") == book.price("openai", "gpt-4o-mini")


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_every_whole_number_of_nano_dollars_is_exact(amount: int) -> None:
    dollars, nano = divmod(amount, 10**9)
    assert to_nano_usd(Decimal(f"{dollars}.{nano:09d}"), "limit") == amount


@given(st.integers(min_value=0, max_value=10**12), st.integers(min_value=1, max_value=9))
def test_anything_finer_than_a_nano_dollar_is_refused(amount: int, rest: int) -> None:
    dollars, nano = divmod(amount, 10**9)
    with pytest.raises(ConfigurationError, match=r"limit must be an amount of dollars"):
        to_nano_usd(Decimal(f"{dollars}.{nano:09d}{rest}"), "limit")


@pytest.mark.parametrize("amount", ["-0.000000001", "9223372036.854775808", "1e30", "1e999999"])
def test_an_amount_that_no_store_can_keep_is_refused(amount: str) -> None:
    with pytest.raises(ConfigurationError):
        to_nano_usd(Decimal(amount), "limit")
