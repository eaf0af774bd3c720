"""Whether the providers, routes and targets of a configuration fit together."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import asdict

from chatnest.adapters.prices.table import FREE_PROVIDERS
from chatnest.app.config import ChatNestConfig
from chatnest.app.config_values import Name, TargetName
from chatnest.app.provider_entry_points import registrations, unknown
from chatnest.app.provider_kinds import BUILT_IN
from chatnest.app.route_choice import choose_routes, chosen_providers, target_path
from chatnest.app.settings_tree import checked_value, joined
from chatnest.domain.errors import ConfigurationError

_LONGEST_ROUTE_NAME = 200
# Settings of one provider, and where they go where there are several.
_ELSEWHERE: Mapping[str, str] = {
    "provider": "name the provider in routes.NAME.targets",
    "base_url": "set providers.NAME.base_url",
    "context_window": 'set targets."PROVIDER/MODEL".context_window',
}


def check_routes(config: ChatNestConfig) -> None:
    """Pass where every name that refers to another part of *config* finds it.

    Raises:
        ConfigurationError: one does not, or a name cannot be one.
    """
    _check_providers(config)
    for name in config.targets:
        checked_value(name, TargetName, joined("targets", name))
    if config.routes:
        _check_default(config)
        for name in config.routes:
            _check_route(config, name)
    elif config.provider is not None:
        _check_known(config, config.provider, "provider")


def check_base_url(url: str | None, path: str) -> None:
    """Pass where *url*, which is at *path*, is one of the web, or not set.

    Raises:
        ConfigurationError: it is anything else.
    """
    if url is not None and not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"{path} must begin with http:// or https://.")


def route_warnings(config: ChatNestConfig, environ: Mapping[str, str]) -> Iterator[str]:
    """What works, but perhaps not as it was meant.

    Raises:
        ConfigurationError: a provider or model does not exist.
    """
    routes = choose_routes(config, environ)
    used = {target.name for route in routes for target in route.targets}
    for name in config.targets:
        if name not in used:
            yield f"{joined('targets', name)}: no route has this target."
    names = {provider.name for provider in chosen_providers(routes)}
    for name in config.providers:
        if name not in names:
            yield f"{joined('providers', name)}: no route has a target at this provider."
    for route in routes:
        first_token_s = route.time_limits.first_token_s or config.time_limits.first_token_s
        if len(route.targets) > 1 and config.retry.deadline_s < first_token_s:
            yield (
                f"{joined('routes', route.name)}: a target that says nothing is given up after "
                f"first_token_s, {first_token_s:g} s, and no other is asked after "
                f"retry.deadline_s, {config.retry.deadline_s:g} s."
            )


def _check_providers(config: ChatNestConfig) -> None:
    for name, provider in config.providers.items():
        path = joined("providers", name)
        checked_value(name, Name, path)
        check_base_url(provider.base_url, f"{path}.base_url")
        if provider.factory is not None and name in FREE_PROVIDERS:
            raise ConfigurationError(
                f"{path}.factory: what is called {name} is taken to cost nothing; give this "
                "provider another name."
            )
        if provider.factory is None:
            at, kind = (path, name) if provider.kind is None else (f"{path}.kind", provider.kind)
            _check_kind(kind, at)


def _check_default(config: ChatNestConfig) -> None:
    given = asdict(config)
    for name, advice in _ELSEWHERE.items():
        if given[name] is not None:
            raise ConfigurationError(
                f"{name}: that is for one provider alone; with routes {advice}."
            )
    if config.model is not None and config.model not in config.routes:
        there_are = ", ".join(config.routes)
        raise ConfigurationError(f"model: no route {config.model!r} here; there are {there_are}.")


def _check_route(config: ChatNestConfig, name: str) -> None:
    if not (name.isprintable() and 0 < len(name) <= _LONGEST_ROUTE_NAME):
        raise ConfigurationError(
            f"{joined('routes', name)} must be named in 1 to {_LONGEST_ROUTE_NAME} printable "
            "characters."
        )
    targets = config.routes[name].targets
    if not targets:
        raise ConfigurationError(
            f"{joined('routes', name)}.targets is empty; name at least one, such as "
            "openai/gpt-4o-mini."
        )
    for index, target in enumerate(targets):
        if target in targets[:index]:
            raise ConfigurationError(
                f"{target_path(name, index)}: {target!r} is there twice; keep one. "
                "retry.max_attempts says how often a request is tried."
            )
        _check_known(config, target.partition("/")[0], target_path(name, index))


def _check_known(config: ChatNestConfig, name: str, path: str) -> None:
    if name not in config.providers:
        _check_kind(name, path, config.providers)


def _check_kind(kind: str, path: str, also: Iterable[str] = ()) -> None:
    if kind in BUILT_IN:
        return  # without a look at what is installed, which takes its time
    known = {registered.kind for registered in registrations()}
    if kind not in known:
        raise ConfigurationError(f"{path}: {unknown(kind, {*known, *also})}")
