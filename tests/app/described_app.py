"""The application that is held against its OpenAPI document."""

from itertools import count

from litestar import Litestar
from litestar.openapi import OpenAPIConfig

from chatnest import (
    ChatNestConfig,
    ChatNestPlugin,
    HttpConfig,
    Principal,
    ProfileConfig,
    TimeLimitsConfig,
)
from chatnest.adapters.clock import SystemClock
from chatnest.adapters.providers import ScriptedProvider
from chatnest.adapters.providers.scripted import Script
from chatnest.app.auth import Connection
from chatnest.app.endpoints import endpoints

ENDPOINTS = {endpoint.path: endpoint for endpoint in endpoints(HttpConfig())}
WHOLE = [path for path, endpoint in ENDPOINTS.items() if endpoint.whole is not None]


def application(script: Script) -> Litestar:
    """An application whose callers never run out of requests, and are sent pings soon."""
    callers = count()

    def somebody_new(connection: Connection) -> Principal:
        return Principal(f"caller-{next(callers)}")

    config = ChatNestConfig(
        client_system_prompt=True,
        profiles={"0": ProfileConfig()},  # A generated text often is a zero.
        time_limits=TimeLimitsConfig(heartbeat_s=0.01),
    )
    provider = ScriptedProvider(SystemClock(), script)
    plugin = ChatNestPlugin(config, provider=provider, resolve_principal=somebody_new)
    document = OpenAPIConfig(title="ChatNest", version="1")
    return Litestar(plugins=[plugin], openapi_config=document, logging_config=None)
