"""Whether the parts of a configuration fit together, and what about it an operator should know."""

import ipaddress
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from chatnest.app.config import ChatNestConfig, KeyConfig
from chatnest.app.config_policy import to_policy, to_price_book
from chatnest.app.http_paths import check_paths
from chatnest.app.route_checks import check_base_url, check_routes, route_warnings
from chatnest.app.settings_tree import checked_value
from chatnest.app.store_choice import choose_store
from chatnest.domain.errors import ConfigurationError
from chatnest.domain.policy import EACH_PRINCIPAL, GLOBAL_SCOPE
from chatnest.domain.profiles import DEFAULT_PROFILES, LEGACY_ALIASES, HardCaps


def check(config: ChatNestConfig) -> ChatNestConfig:
    """*config* itself, found to be sound: every type and range, and every name that refers.

    A configuration written in Python is checked here for the first time, since a struct takes
    whatever it is given.

    Raises:
        ConfigurationError: something in it cannot work; the message says what to change.
    """
    config = _of_right_types(config)
    _check_profiles(config)
    _check_keys(config.auth.keys)
    _check_budgets(config)
    choose_store(config)
    _check_server(config)
    check_paths(config.http)
    check_base_url(config.base_url, "base_url")
    check_routes(config)
    to_policy(config)
    to_price_book(config)
    return config


def warnings(config: ChatNestConfig, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """What works, but perhaps not as it was meant. *environ* None takes the process's own.

    Raises:
        ConfigurationError: a provider or model does not exist.
    """
    return (
        *_lowered_by_caps(config),
        *_ignored(config),
        *route_warnings(config, os.environ if environ is None else environ),
        *_open_doors(config),
    )


def _of_right_types(config: ChatNestConfig) -> ChatNestConfig:
    try:
        values = msgspec.to_builtins(config)
    except TypeError as error:
        raise ConfigurationError(f"ChatNestConfig: {error}.") from error
    return msgspec.convert(checked_value(values, ChatNestConfig, ""), ChatNestConfig)


def _check_profiles(config: ChatNestConfig) -> None:
    for name in config.profiles:
        if name in LEGACY_ALIASES:
            own = LEGACY_ALIASES[name]
            raise ConfigurationError(f"profiles.{name}: that is another name of {own}; use {own}.")
    known = {*DEFAULT_PROFILES, *config.profiles}
    _check_known("default_profile", (config.default_profile,), known)
    _check_known("anonymous_profiles", config.anonymous_profiles, known)
    for index, key in enumerate(config.auth.keys):
        path = f"auth.keys[{index}]"
        _check_known(f"{path}.profiles", key.profiles or (), known)
        if key.default_profile is not None:
            allowed = known if key.profiles is None else set(key.profiles)
            _check_known(f"{path}.default_profile", (key.default_profile,), allowed)


def _check_known(path: str, names: Iterable[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            there_are = ", ".join(sorted(known)) or "none"
            raise ConfigurationError(f"{path}: no profile {name!r} here; there are {there_are}.")


def _check_keys(keys: tuple[KeyConfig, ...]) -> None:
    names = [key.name for key in keys]
    _check_once("auth.keys: the name", names, "give each key its own")
    hashes = [key.sha256.lower() for key in keys]
    _check_once("auth.keys: the sha256", hashes, "make a new key with `chatnest key NAME`")
    for index, key in enumerate(keys):
        reserved = {GLOBAL_SCOPE, EACH_PRINCIPAL}.intersection(key.scopes)
        if reserved:
            raise ConfigurationError(
                f"auth.keys[{index}].scopes: {reserved.pop()!r} holds for everybody already; "
                "remove it."
            )


def _check_budgets(config: ChatNestConfig) -> None:
    counted = [f"{budget.scope} {budget.unit} {budget.period}" for budget in config.budgets]
    _check_once("budgets: the limit for", counted, "keep one")


def _check_once(what: str, values: list[str], advice: str) -> None:
    seen = set[str]()
    for value in values:
        if value in seen:
            raise ConfigurationError(f"{what} {value!r} is there twice; {advice}.")
        seen.add(value)


def _check_server(config: ChatNestConfig) -> None:
    if config.workers > 1 and not choose_store(config).is_shared:
        raise ConfigurationError(
            f"workers: {config.workers} processes with memory:// would each have their own "
            "budgets. Set workers to 1, or store to a sqlite, postgresql or redis URL."
        )
    for proxy in config.trusted_proxies:
        _check_network(proxy)


def _check_network(proxy: str) -> None:
    try:
        ipaddress.ip_network(proxy)
    except ValueError as error:
        raise ConfigurationError(
            f"trusted_proxies: {error}. Name the proxies' own addresses or networks."
        ) from error


def _lowered_by_caps(config: ChatNestConfig) -> Iterator[str]:
    caps: dict[str, Any] = {
        name: getattr(HardCaps(), name) for name in HardCaps.__dataclass_fields__
    }
    for name, profile in config.profiles.items():
        for field, cap in caps.items():
            given = getattr(profile, field)
            if given is not None and given > cap:
                yield f"profiles.{name}.{field}: the hard cap lowers {given} to {cap}."


def _ignored(config: ChatNestConfig) -> Iterator[str]:
    if config.base_url is not None and config.provider in ("local", "scripted"):
        yield f"base_url: the provider {config.provider} does not use it."
    if config.unknown_price == "ignore" and config.fallback_price is not None:
        yield "unknown_price: with fallback_price no price is unknown."
    carried = {scope for key in config.auth.keys for scope in key.scopes}
    carried |= {f"key:{key.name}" for key in config.auth.keys}
    for budget in config.budgets:
        if config.auth.keys and budget.scope not in carried | {GLOBAL_SCOPE, EACH_PRINCIPAL}:
            yield f"budgets: no key carries the scope {budget.scope!r}."


def _open_doors(config: ChatNestConfig) -> Iterator[str]:
    unheld = config.unknown_price == "ignore" and config.fallback_price is None
    if unheld and any(budget.unit == "usd" for budget in config.budgets):
        yield "unknown_price: a model of unknown price is not held by the budgets in dollars."
    if not config.auth.keys and not _is_loopback(config.host):
        yield (
            f"auth: everybody who can reach {config.host} may chat, within the budgets. "
            "`chatnest key NAME` makes a key."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
