"""Builds what runs from the configuration: the one place that knows dependency-injector.

Every provider in the graph is synchronous and makes its object when it is first asked for, so that
nothing is started which the configuration did not choose. What must be closed is closed by
:meth:`Container.open`, the last opened first.
"""

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from dependency_injector import containers, providers
from msgspec.structs import replace

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.providers import LocalProvider
from chatnest.adapters.randomness import SystemRandomness
from chatnest.adapters.telemetry import LogObserver
from chatnest.adapters.tokenizers import BpeTokenCounter
from chatnest.app.config import ChatNestConfig
from chatnest.app.config_checks import check
from chatnest.app.config_policy import to_policy, to_price_book, to_route_time_limits, to_us
from chatnest.app.config_routes import TargetConfig
from chatnest.app.provider_entry_points import make_provider
from chatnest.app.provider_factory import ProviderPorts
from chatnest.app.provider_kinds import BUILT_IN, LOCAL
from chatnest.app.route_choice import (
    RouteChoice,
    choose_routes,
    chosen_providers,
    provider_settings,
)
from chatnest.app.store_choice import choose_store, open_store
from chatnest.domain.chat import ChatService
from chatnest.domain.ports import ChatProvider, Clock, LedgerStore, Randomness
from chatnest.domain.routes import Route, Target


class Container:
    """What one running application is made of.

    *store* replaces what *config* would choose. *provider* replaces all of its routes by one,
    which is called like the model that is asked: ``model``, or else the provider's own name.

    Raises:
        ConfigurationError: the configuration cannot work.
    """

    def __init__(
        self,
        config: ChatNestConfig,
        *,
        provider: ChatProvider | None = None,
        store: LedgerStore | None = None,
    ) -> None:
        config = check(config)
        self._graph = _Graph(config=providers.Object(config))
        if store is not None:
            self._graph.store.override(providers.Object(store))
        if provider is None:
            chosen = choose_routes(config, os.environ)
            self._chat_providers = self._makers(config, chosen)
            self._graph.chosen.override(providers.Object(chosen))
        else:
            self._chat_providers = {provider.name: providers.Object(provider)}
            self._graph.routes.override(providers.Singleton(_given_routes, config, provider))
        self._graph.chat_providers.override(providers.Dict(self._chat_providers))

    def clock(self) -> Clock:
        """The source of time."""
        return self._graph.clock()

    def store(self) -> LedgerStore:
        """Where accounts are kept."""
        store: LedgerStore = self._graph.store()
        return store

    def chat_providers(self) -> Mapping[str, ChatProvider]:
        """Who answers, by name.

        Raises:
            ConfigurationError: one of them cannot be made.
        """
        return self._graph.chat_providers()

    def routes(self) -> tuple[Route, ...]:
        """What clients may name, that of requests that name nothing first.

        Raises:
            ConfigurationError: a provider cannot be made.
        """
        return self._graph.routes()

    def service(self) -> ChatService:
        """The use case over all of it."""
        return self._graph.service()

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None, None]:
        """Make store and providers, and close them at the end: the store after all others."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.store().aclose)
            for make in self._chat_providers.values():
                stack.push_async_callback(make().aclose)
            yield

    def _makers(
        self, config: ChatNestConfig, routes: tuple[RouteChoice, ...]
    ) -> dict[str, providers.Provider[ChatProvider]]:
        return {
            choice.name: providers.Singleton(
                make_provider,
                choice.registration,
                provider_settings(config, choice, routes, os.environ),
                self._graph.ports,
            )
            for choice in chosen_providers(routes)
        }


def _routes(
    config: ChatNestConfig,
    chosen: tuple[RouteChoice, ...],
    chat_providers: Mapping[str, ChatProvider],
) -> tuple[Route, ...]:
    # A target's slots and failures are counted for all of its routes together: it is one object.
    targets = {
        target.name: _target(chat_providers[target.provider.name], target.model, target.settings)
        for route in chosen
        for target in route.targets
    }
    return tuple(
        Route(
            route.name,
            tuple(targets[target.name] for target in route.targets),
            to_route_time_limits(config.time_limits, route.time_limits),
        )
        for route in chosen
    )


def _given_routes(config: ChatNestConfig, provider: ChatProvider) -> tuple[Route, ...]:
    kind = LOCAL if isinstance(provider, LocalProvider) else BUILT_IN.get(provider.name)
    model = config.model or (provider.name if kind is None else kind.default_model)
    settings = config.targets.get(f"{provider.name}/{model}", TargetConfig())
    if config.context_window is not None:
        settings = replace(settings, context_window=config.context_window)
    return (Route(model, (_target(provider, model, settings),)),)


def _target(provider: ChatProvider, model: str, settings: TargetConfig) -> Target:
    window = settings.context_window
    if window is None and isinstance(provider, LocalProvider):
        window = provider.context_window
    return Target(provider, model, window, settings.max_concurrent, to_us(settings.max_wait_s))


def _store(config: ChatNestConfig, clock: Clock, randomness: Randomness) -> LedgerStore:
    return open_store(choose_store(config), clock, randomness)


class _Graph(containers.DeclarativeContainer):
    config = providers.Dependency(instance_of=ChatNestConfig)
    chosen = providers.Dependency(instance_of=tuple)
    clock = providers.Singleton(SystemClock)
    randomness = providers.Singleton(SystemRandomness, clock)
    ports = providers.Singleton(ProviderPorts, clock, randomness)
    store = providers.Singleton(_store, config, clock, randomness)
    chat_providers = providers.Dict()
    routes = providers.Singleton(_routes, config, chosen, chat_providers)
    service = providers.Singleton(
        ChatService,
        store=store,
        routes=routes,
        counter=providers.Singleton(BpeTokenCounter),
        prices=providers.Callable(to_price_book, config),
        clock=clock,
        randomness=randomness,
        observer=providers.Singleton(LogObserver),
        policy=providers.Callable(to_policy, config),
    )
