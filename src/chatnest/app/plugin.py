"""ChatNest as a plugin of a Litestar application."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from litestar import Litestar, Router
from litestar.config.app import AppConfig
from litestar.di import Provide
from litestar.plugins import CLIPlugin, InitPlugin

from chatnest.app.auth import PrincipalResolver, default_resolver
from chatnest.app.config import ChatNestConfig
from chatnest.app.config_checks import check
from chatnest.app.container import Container
from chatnest.app.openapi import with_keys
from chatnest.app.routes import chat_routers, health_router
from chatnest.app.serving import Serving, handle_failure
from chatnest.app.shutdown import on_termination
from chatnest.app.streaming import StreamRegistry
from chatnest.app.upkeep import Upkeep
from chatnest.domain.chat import ChatService
from chatnest.domain.errors import ChatNestError, ConfigurationError, StoreUnavailableError
from chatnest.domain.ports import ChatProvider, LedgerStore
from chatnest.domain.windows import US_PER_S

if TYPE_CHECKING:
    from click import Group

_logger = logging.getLogger("chatnest.app")

# After a cut, for the last events to be written and the calls to be settled.
_FAREWELL_US = 5 * US_PER_S


class ChatNestPlugin(InitPlugin, CLIPlugin):
    """Adds guarded chats to an application: routes, a ``chat_service`` dependency, a lifespan.

    *provider* and *store* replace what the configuration would choose; they are closed with the
    application. *resolve_principal* says who is calling; without it that is ``request.user``, or
    else whom the configuration's keys or the client's address say.

    Raises:
        ConfigurationError: the configuration cannot work.
    """

    def __init__(
        self,
        config: ChatNestConfig | None = None,
        *,
        provider: ChatProvider | None = None,
        store: LedgerStore | None = None,
        resolve_principal: PrincipalResolver | None = None,
    ) -> None:
        self._config = check(config or ChatNestConfig())
        self._provider = provider
        self._store = store
        self._resolve_principal = resolve_principal or default_resolver(self._config)
        self._needs_key = bool(self._config.auth.keys) and resolve_principal is None
        self._serving: Serving | None = None

    @property
    def config(self) -> ChatNestConfig:
        """What the plugin was configured with."""
        return self._config

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add routes, dependency, error handling and lifespan to the application."""
        http = self._config.http
        if http.mount:
            app_config.route_handlers.extend(self.routers())
        if self._needs_key and app_config.openapi_config is not None:
            app_config.openapi_config = with_keys(app_config.openapi_config)
        if http.mount_health:
            app_config.route_handlers.append(health_router(self.serving, http))
        app_config.dependencies["chat_service"] = Provide(
            self.provide_chat_service, sync_to_thread=False
        )
        app_config.signature_namespace["ChatService"] = ChatService
        app_config.exception_handlers = {
            ChatNestError: handle_failure,
            **app_config.exception_handlers,
        }
        app_config.lifespan.append(self._lifespan)
        return app_config

    def routers(self) -> list[Router]:
        """The routes of all mounted dialects, for an application that mounts them by itself.

        With ``http.mount`` off, they can stand under a prefix and guards of its own.
        """
        return chat_routers(self.serving, self._config.http, needs_key=self._needs_key)

    def on_cli_init(self, cli: "Group") -> None:
        """Add ``chatnest`` to the host application's own command line."""
        from chatnest.app.cli import commands  # click is slow to import, and rarely needed

        cli.add_command(commands)

    def provide_chat_service(self) -> ChatService:
        """The service of the running application, for the host's own handlers."""
        return self.serving().service

    def serving(self) -> Serving:
        """What the running application works with.

        Raises:
            ConfigurationError: the application's lifespan is not running.
        """
        if self._serving is None:
            raise ConfigurationError(
                "ChatNest is not running: the server must support ASGI's lifespan, and it must "
                "be on."
            )
        return self._serving

    @asynccontextmanager
    async def _lifespan(self, app: Litestar) -> AsyncGenerator[None, None]:
        container = Container(self._config, provider=self._provider, store=self._store)
        async with container.open():
            clock = container.clock()
            registry = StreamRegistry(clock)
            self._serving = Serving(
                self._config,
                container.service(),
                registry,
                clock,
                self._resolve_principal,
                clock.now(),
            )
            grace_us = round(self._config.time_limits.drain_s * US_PER_S)
            try:
                await _greet_store(self._serving.service)
                with on_termination(lambda: registry.begin_drain(grace_us)):
                    async with self._upkeep(self._serving).running():
                        yield
            finally:
                await registry.close(_FAREWELL_US)
                await self._serving.service.drain(_FAREWELL_US)
                self._serving = None

    def _upkeep(self, serving: Serving) -> Upkeep:
        lease_us = round(self._config.time_limits.lease_s * US_PER_S)
        return Upkeep(serving.service, serving.clock, lease_us, self._config.history_days)


async def _greet_store(service: ChatService) -> None:
    """Fail where the ledger is none to work with; one that does not answer may come yet."""
    try:
        await service.check_store()
    except StoreUnavailableError as error:
        _logger.warning("chats are refused until the ledger answers: %s", error)
