"""A chat backend that cannot overspend.

``ChatNestPlugin(ChatNestConfig(...))`` adds it to a Litestar application. ``ChatService`` and the
rest of :mod:`chatnest.domain` work under any transport, on the standard library alone: what needs
more is imported when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from chatnest import domain
from chatnest.domain import *  # noqa: F403 - its public names are ours, listed in one place

if TYPE_CHECKING:
    from chatnest.app.auth import PrincipalResolver, UnauthorizedError
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
    from chatnest.app.config_routes import (
        CircuitConfig,
        ProviderConfig,
        RouteConfig,
        RouteTimeLimitsConfig,
        TargetConfig,
    )
    from chatnest.app.plugin import ChatNestPlugin
    from chatnest.app.provider_factory import ProviderFactory, ProviderPorts, ProviderSettings

__all__ = [
    "AuthConfig",
    "BudgetConfig",
    "ChatNestConfig",
    "ChatNestPlugin",
    "CircuitConfig",
    "HttpConfig",
    "KeyConfig",
    "PriceConfig",
    "PrincipalResolver",
    "ProfileConfig",
    "ProviderConfig",
    "ProviderFactory",
    "ProviderPorts",
    "ProviderSettings",
    "RetryConfig",
    "RouteConfig",
    "RouteTimeLimitsConfig",
    "TargetConfig",
    "TimeLimitsConfig",
    "UnauthorizedError",
]
__all__ += domain.__all__

# Hidden from type checkers, to which it would make every misspelt name a valid one.
if not TYPE_CHECKING:
    _APP_MODULES = {
        "ChatNestPlugin": "chatnest.app.plugin",
        "CircuitConfig": "chatnest.app.config_routes",
        "PrincipalResolver": "chatnest.app.auth",
        "ProviderConfig": "chatnest.app.config_routes",
        "ProviderFactory": "chatnest.app.provider_factory",
        "ProviderPorts": "chatnest.app.provider_factory",
        "ProviderSettings": "chatnest.app.provider_factory",
        "RouteConfig": "chatnest.app.config_routes",
        "RouteTimeLimitsConfig": "chatnest.app.config_routes",
        "TargetConfig": "chatnest.app.config_routes",
        "UnauthorizedError": "chatnest.app.auth",
    }

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = import_module(_APP_MODULES.get(name, "chatnest.app.config"))
        return globals().setdefault(name, getattr(module, name))

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
