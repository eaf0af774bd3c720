from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from chatnest.app.config import (
    AuthConfig,
    BudgetConfig,
    ChatNestConfig,
    HttpConfig,
    KeyConfig,
    PriceConfig,
    ProfileConfig,
    RetryConfig,
    TimeLimitsConfig,
)
from chatnest.app.config_checks import check, warnings
from chatnest.domain.errors import ConfigurationError

HASH = "ab" * 32


def key(name: str = "alice", sha256: str = HASH, **rest: Any) -> KeyConfig:
    return KeyConfig(name=name, sha256=sha256, **rest)


def with_keys(*keys: KeyConfig, **rest: Any) -> ChatNestConfig:
    return ChatNestConfig(auth=AuthConfig(keys=keys), **rest)


def budget(**changes: Any) -> BudgetConfig:
    given = {"scope": "global", "unit": "usd", "period": "day", "limit": Decimal(1)}
    return BudgetConfig(**{**given, **changes})


def price(**changes: Any) -> PriceConfig:
    given = {"input_usd_per_million": Decimal(1), "output_usd_per_million": Decimal(2)}
    return PriceConfig(**{**given, **changes})


def refusal(config: ChatNestConfig) -> str:
    with pytest.raises(ConfigurationError) as caught:
        check(config)
    return str(caught.value)


def test_the_defaults_are_sound_and_nothing_is_said_about_them() -> None:
    assert check(ChatNestConfig()) == ChatNestConfig()
    assert warnings(ChatNestConfig()) == ()


def test_what_is_sound_comes_back_as_it_was() -> None:
    config = with_keys(
        key(profiles=("balanced", "team"), default_profile="team", scopes=("team:red",)),
        key(name="bob", sha256="cd" * 32),
        profiles={"team": ProfileConfig(max_messages=2)},
        budgets=(
            budget(),
            budget(unit="tokens", zone="Europe/Berlin"),
            budget(scope="principal", period="month"),
        ),
        prices={"openai/a/b": price()},
        trusted_proxies=("10.0.0.0/8", "::1"),
        base_url="https://example.test/v1",
    )
    assert check(config) == config


def test_a_configuration_written_in_python_is_held_to_the_same_types() -> None:
    wrong: Any = "80"
    assert refusal(ChatNestConfig(port=wrong)) == (
        "port must be a port number from 0 to 65535, not '80'."
    )
    assert "workers must be a whole number" in refusal(ChatNestConfig(workers=0))


def test_lists_written_in_python_become_tuples() -> None:
    proxies: Any = ["10.0.0.1"]
    assert check(ChatNestConfig(trusted_proxies=proxies)).trusted_proxies == ("10.0.0.1",)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            ChatNestConfig(default_profile="x"),
            "default_profile: no profile 'x' here; there are balanced, constrained, expanded.",
        ),
        (
            ChatNestConfig(anonymous_profiles=("balanced", "x")),
            "anonymous_profiles: no profile 'x' here; there are balanced, constrained, expanded.",
        ),
        (
            ChatNestConfig(profiles={"moderate": ProfileConfig()}),
            "profiles.moderate: that is another name of balanced; use balanced.",
        ),
        (
            with_keys(key(profiles=("balanced", "x"))),
            "auth.keys[0].profiles: no profile 'x' here; there are balanced, constrained, "
            "expanded.",
        ),
        (
            with_keys(key(profiles=("balanced",), default_profile="expanded")),
            "auth.keys[0].default_profile: no profile 'expanded' here; there are balanced.",
        ),
        (
            with_keys(key(), key(sha256="cd" * 32)),
            "auth.keys: the name 'alice' is there twice; give each key its own.",
        ),
        (
            with_keys(key(), key(name="bob", sha256=HASH.upper())),
            f"auth.keys: the sha256 '{HASH}' is there twice; make a new key with "
            "`chatnest key NAME`.",
        ),
        (
            with_keys(key(scopes=("global",))),
            "auth.keys[0].scopes: 'global' holds for everybody already; remove it.",
        ),
        (
            with_keys(key(sha256="abc")),
            "auth.keys[0].sha256 must be 64 hexadecimal digits (a SHA-256), not 'abc'.",
        ),
        (
            ChatNestConfig(budgets=(budget(), budget(limit=Decimal(2), zone="Asia/Tokyo"))),
            "budgets: the limit for 'global usd day' is there twice; keep one.",
        ),
        (
            ChatNestConfig(budgets=(budget(zone="Mars/Olympus"),)),
            "budgets[0].zone: there is no time zone 'Mars/Olympus'. Use an IANA name such as "
            "Europe/Berlin; where the system knows none, install the package tzdata.",
        ),
        (
            ChatNestConfig(time_zone="../etc/passwd"),
            "time_zone: there is no time zone '../etc/passwd'. Use an IANA name such as "
            "Europe/Berlin; where the system knows none, install the package tzdata.",
        ),
        (
            ChatNestConfig(budgets=(budget(unit="tokens", limit=Decimal("1.5")),)),
            "budgets[0].limit must be a whole number of tokens and not negative, at most 2^63 - 1.",
        ),
        (
            ChatNestConfig(budgets=(budget(limit=Decimal("0.0000000001")),)),
            "budgets[0].limit must be an amount of dollars, down to 0.000000001, and not "
            "negative, at most 2^63 - 1.",
        ),
        (
            ChatNestConfig(prices={"gpt": price()}),
            'prices."gpt" must be named PROVIDER/MODEL, such as openai/gpt-4o.',
        ),
        (
            ChatNestConfig(retry=RetryConfig(base_delay_s=9.0)),
            "retry: base_delay_us must lie between 0 and max_delay_us; change one of the two.",
        ),
        (
            ChatNestConfig(store="mysql://user:secret@host/0"),
            "store: there is no store 'mysql://host/0'. Use memory://, sqlite:///ledger.db, "
            "postgresql://user:password@host/database or redis://host.",
        ),
        (
            ChatNestConfig(workers=2),
            "workers: 2 processes with memory:// would each have their own budgets. Set workers "
            "to 1, or store to a sqlite, postgresql or redis URL.",
        ),
        *(
            (
                ChatNestConfig(history_days=days),
                f"history_days must be a whole number of days from 1 to 36500, not {days}.",
            )
            for days in (0, 36_501)
        ),
        (
            ChatNestConfig(time_limits=TimeLimitsConfig(lease_s=0.9)),
            "time_limits.lease_s must be a number of seconds from 1 to 86400, not 0.9.",
        ),
        (
            ChatNestConfig(base_url="example.test"),
            "base_url must begin with http:// or https://.",
        ),
        (
            ChatNestConfig(trusted_proxies=("*",)),
            "trusted_proxies: '*' does not appear to be an IPv4 or IPv6 network. Name the "
            "proxies' own addresses or networks.",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_its_place_and_what_to_do(
    config: ChatNestConfig, message: str
) -> None:
    assert refusal(config) == message


def test_a_price_that_cannot_be_is_refused_with_its_place() -> None:
    config = ChatNestConfig(prices={"openai/gpt": price(output_usd_per_million=Decimal(-1))})
    message = refusal(config)
    assert message.startswith('prices."openai/gpt".output_usd_per_million must ')
    assert message.endswith(".")


@pytest.mark.parametrize("field", ["name", "sha256"])
def test_a_newline_at_the_end_is_no_part_of_a_name_or_hash(field: str) -> None:
    assert f"auth.keys[0].{field} must be" in refusal(
        with_keys(key(**{field: {"name": "alice", "sha256": HASH}[field] + "\n"}))
    )


@pytest.mark.parametrize("path", ["api", "/api/", "//", "/a//b", "/a?b", ""])
def test_a_path_that_no_route_can_have_is_refused(path: str) -> None:
    assert "http.path must be a path" in refusal(ChatNestConfig(http=HttpConfig(path=path)))


@pytest.mark.parametrize(
    ("config", "warning"),
    [
        (
            ChatNestConfig(profiles={"expanded": ProfileConfig(tokens_per_day=600_000)}),
            "profiles.expanded.tokens_per_day: the hard cap lowers 600000 to 500000.",
        ),
        (
            ChatNestConfig(provider="local", base_url="http://example.test"),
            "base_url: the provider local does not use it.",
        ),
        (
            with_keys(key(scopes=("team:red",)), budgets=(budget(scope="team:blue"),)),
            "budgets: no key carries the scope 'team:blue'.",
        ),
        (
            ChatNestConfig(unknown_price="ignore", budgets=(budget(),)),
            "unknown_price: a model of unknown price is not held by the budgets in dollars.",
        ),
        (
            ChatNestConfig(host="::"),
            "auth: everybody who can reach :: may chat, within the budgets. "
            "`chatnest key NAME` makes a key.",
        ),
    ],
)
def test_what_may_not_be_meant_is_said(config: ChatNestConfig, warning: str) -> None:
    assert warnings(check(config)) == (warning,)


@pytest.mark.parametrize(
    "config",
    [
        ChatNestConfig(profiles={"expanded": ProfileConfig(tokens_per_day=500_000)}),
        with_keys(key(scopes=("team:red",)), budgets=(budget(scope="team:red"),)),
        with_keys(key(scopes=("team:red",)), budgets=(budget(scope="key:alice"),)),
        with_keys(key(), budgets=(budget(scope="principal"),)),
        with_keys(key(), host="::"),
        ChatNestConfig(host="localhost"),
        ChatNestConfig(host="::1"),
        ChatNestConfig(unknown_price="ignore"),
    ],
)
def test_what_is_meant_is_not_warned_of(config: ChatNestConfig) -> None:
    assert warnings(check(config)) == ()


@pytest.mark.parametrize("shown", [repr, lambda config: str(list(config.__rich_repr__()))])
@pytest.mark.parametrize("field", ["store", "base_url"])
@pytest.mark.parametrize(
    ("url", "visible"),
    [
        ("https://user:s3cret@host/path", "'https://host/path'"),
        ("https://host/path?key=s3cret", "'https://host/path'"),
        ("https://s3cret@host", "'https://host'"),
        ("https://host/path?key=s3cret@s3cret", "'https://…'"),
        ("https://:s3cret/s3cret@host", "'https://…'"),
        ("https://:s3cret?s3cret@host", "'https://…'"),
        ("https://:s3cret#s3cret@host", "'https://…'"),
        ("user:s3cret@host", "'…'"),
    ],
)
def test_secrets_are_never_in_what_is_shown_of_a_configuration(
    shown: Callable[[ChatNestConfig], str], field: str, url: str, visible: str
) -> None:
    config = ChatNestConfig(**{field: url})  # type: ignore[arg-type]  # a field by name
    assert "s3cret" not in shown(config)
    assert visible in shown(config)
