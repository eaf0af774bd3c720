"""Which routes a configuration comes to: what clients may name, and who answers then."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from chatnest.app.config import ChatNestConfig
from chatnest.app.config_routes import RouteTimeLimitsConfig, TargetConfig
from chatnest.app.provider_choice import ProviderChoice, choose_provider, usual_provider
from chatnest.app.provider_factory import ProviderSettings
from chatnest.app.settings_tree import joined


@dataclass(frozen=True, slots=True)
class TargetChoice:
    """A model at a provider, and what holds for it in every route."""

    provider: ProviderChoice
    model: str
    settings: TargetConfig

    @property
    def name(self) -> str:
        """``PROVIDER/MODEL``, as the configuration and the journal write it."""
        return f"{self.provider.name}/{self.model}"


@dataclass(frozen=True, slots=True)
class RouteChoice:
    """What clients name as their model, and its targets, the first preferred."""

    name: str
    targets: tuple[TargetChoice, ...]
    time_limits: RouteTimeLimitsConfig


def choose_routes(config: ChatNestConfig, environ: Mapping[str, str]) -> tuple[RouteChoice, ...]:
    """The routes of *config*, which was checked; that of requests that name no model is first.

    Raises:
        ConfigurationError: a provider or model that it names does not exist, or is ambiguous.
    """
    if not config.routes:
        return (_only_route(config, environ),)
    providers = dict(_named_providers(config))
    default = config.model or next(iter(config.routes))
    names = (default, *(name for name in config.routes if name != default))
    return tuple(_route(config, name, providers) for name in names)


def target_path(route: str, index: int) -> str:
    """Where the configuration names a route's target, for messages."""
    return f"{joined('routes', route)}.targets[{index}]"


def chosen_providers(routes: Iterable[RouteChoice]) -> tuple[ProviderChoice, ...]:
    """The providers that *routes* ask, each once, in the order in which they are named."""
    targets = (target for route in routes for target in route.targets)
    return tuple({target.provider.name: target.provider for target in targets}.values())


def provider_settings(
    config: ChatNestConfig,
    choice: ProviderChoice,
    routes: Iterable[RouteChoice],
    environ: Mapping[str, str],
) -> ProviderSettings:
    """What the factory of *choice* is given where *routes* ask it."""
    asking = [
        (route, target)
        for route in routes
        for target in route.targets
        if target.provider.name == choice.name
    ]
    limits = config.time_limits
    windows = [target.settings.context_window or 0 for _, target in asking]
    return ProviderSettings(
        name=choice.name,
        kind=choice.kind,
        base_url=choice.settings.base_url,
        api_key=choice.api_key(environ),
        connect_timeout_s=choice.settings.connect_timeout_s or limits.connect_s,
        # The service's own limits are stricter; a read that outlasts the whole call is a defect.
        read_timeout_s=max(route.time_limits.total_s or limits.total_s for route, _ in asking),
        max_connections=choice.settings.max_connections,
        context_window=max(windows) or None,
        options=choice.settings.options,
    )


def _only_route(config: ChatNestConfig, environ: Mapping[str, str]) -> RouteChoice:
    """The one route of a configuration that names a provider and a model, or nothing at all."""
    name = config.provider or usual_provider(config, environ)
    provider = choose_provider(config, name, "provider")
    target = _target(config, provider, provider.model(config.model, "model"))
    return RouteChoice(target.model, (target,), RouteTimeLimitsConfig())


def _named_providers(config: ChatNestConfig) -> Iterator[tuple[str, ProviderChoice]]:
    """Each provider that a route names, at the first place where one does."""
    seen = set[str]()
    for route_name, route in config.routes.items():
        for index, target in enumerate(route.targets):
            name = target.partition("/")[0]
            if name not in seen:
                seen.add(name)
                yield name, choose_provider(config, name, target_path(route_name, index))


def _route(
    config: ChatNestConfig, name: str, providers: Mapping[str, ProviderChoice]
) -> RouteChoice:
    route = config.routes[name]
    targets: list[TargetChoice] = []
    for index, target in enumerate(route.targets):
        provider_name, _, model = target.partition("/")
        provider = providers[provider_name]
        targets.append(_target(config, provider, provider.model(model, target_path(name, index))))
    return RouteChoice(name, tuple(targets), route.time_limits)


def _target(config: ChatNestConfig, provider: ProviderChoice, model: str) -> TargetChoice:
    settings = config.targets.get(f"{provider.name}/{model}", TargetConfig())
    if config.context_window is not None:
        settings = replace(settings, context_window=config.context_window)
    return TargetChoice(provider, model, settings)
