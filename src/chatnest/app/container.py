"""Builds what runs from the configuration: the one place that knows dependency-injector.

Every provider in the graph is synchronous and makes its object when it is first asked for, so that
nothing is started which the configuration did not choose. What must be closed is closed by
:meth:`Container.open`, the last opened first.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from dependency_injector import containers, providers

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.providers import LocalProvider, OpenAIProvider, ScriptedProvider
from chatnest.adapters.randomness import SystemRandomness
from chatnest.adapters.telemetry import LogObserver
from chatnest.adapters.tokenizers import BpeTokenCounter
from chatnest.app.config import ChatNestConfig
from chatnest.app.config_checks import check
from chatnest.app.config_policy import to_policy, to_price_book
from chatnest.app.provider_choice import LOCAL, PROVIDERS, choose_provider
from chatnest.app.store_choice import choose_store, open_store
from chatnest.domain.chat import ChatService
from chatnest.domain.ports import ChatProvider, Clock, LedgerStore, Randomness
from chatnest.domain.routes import Route, Target


class Container:
    """What one running application is made of.

    *provider* and *store* replace what *config* would choose.

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
        given = {"provider": provider, "store": store}
        replaced: dict[str, Any] = {
            name: providers.Object(value) for name, value in given.items() if value is not None
        }
        self._graph = _Graph(config=providers.Object(check(config)), **replaced)

    def clock(self) -> Clock:
        """The source of time."""
        return self._graph.clock()

    def store(self) -> LedgerStore:
        """Where accounts are kept."""
        store: LedgerStore = self._graph.store()
        return store

    def provider(self) -> ChatProvider:
        """Who answers.

        Raises:
            ConfigurationError: the provider is unknown, or misses something.
        """
        provider: ChatProvider = self._graph.provider()
        return provider

    def service(self) -> ChatService:
        """The use case over all of it."""
        return self._graph.service()

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None, None]:
        """Make store and provider, and close them at the end: the provider before the store."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.store().aclose)
            stack.push_async_callback(self.provider().aclose)
            yield


def _openai(config: ChatNestConfig) -> OpenAIProvider:
    # The service's own limits are stricter; a read that outlasts the whole call is a defect.
    return OpenAIProvider(base_url=config.base_url, read_timeout_s=config.time_limits.total_s)


def _local(config: ChatNestConfig, randomness: Randomness) -> LocalProvider:
    if config.context_window is None:
        return LocalProvider(randomness)
    return LocalProvider(randomness, context_window=config.context_window)


def _target(config: ChatNestConfig, provider: ChatProvider) -> Target:
    if isinstance(provider, LocalProvider):
        return Target(provider, LOCAL.model(config), provider.context_window)
    choice = PROVIDERS.get(provider.name)
    model = config.model or provider.name if choice is None else choice.model(config)
    return Target(provider, model, config.context_window)


def _routes(config: ChatNestConfig, provider: ChatProvider) -> tuple[Route, ...]:
    target = _target(config, provider)
    return (Route(target.model, (target,)),)


def _store(config: ChatNestConfig, clock: Clock, randomness: Randomness) -> LedgerStore:
    return open_store(choose_store(config), clock, randomness)


def _provider_name(config: ChatNestConfig) -> str:
    return choose_provider(config, os.environ).name


class _Graph(containers.DeclarativeContainer):
    config = providers.Dependency(instance_of=ChatNestConfig)
    clock = providers.Singleton(SystemClock)
    randomness = providers.Singleton(SystemRandomness, clock)
    store = providers.Singleton(_store, config, clock, randomness)
    provider = providers.Selector(
        providers.Callable(_provider_name, config),
        openai=providers.Singleton(_openai, config),
        local=providers.Singleton(_local, config, randomness),
        scripted=providers.Singleton(ScriptedProvider, clock),
    )
    service = providers.Singleton(
        ChatService,
        store=store,
        routes=providers.Callable(_routes, config, provider),
        counter=providers.Singleton(BpeTokenCounter),
        prices=providers.Callable(to_price_book, config),
        clock=clock,
        randomness=randomness,
        observer=providers.Singleton(LogObserver),
        policy=providers.Callable(to_policy, config),
    )
