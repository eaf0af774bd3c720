"""An application to be attacked, and how its other callers fare.

The fixtures that serve it are in :mod:`tests.app.hostile_fixtures`.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from litestar import Litestar

from chatnest import ChatNestConfig, ChatNestPlugin, Principal
from chatnest.adapters.clock import SystemClock
from chatnest.adapters.providers import ScriptedProvider
from chatnest.adapters.providers.scripted import Script
from chatnest.app.auth import Connection
from tests.support.client import Exchange, usage
from tests.support.running import running

CHAT = "/api/chat"
# What the hostile bodies hold and nobody may repeat: neither a response nor a log.
SECRET = "sk-4242"
DEPTH = 100_000
MEGABYTE = 1_000_000
GOOD = json.dumps({"messages": [{"role": "user", "content": "Hello!"}]}).encode()


class Target:
    """An application that is served, with one caller for attacks and many for good chats."""

    def __init__(self, port: int, provider: ScriptedProvider) -> None:
        self.port = port
        self._provider = provider
        self._good_callers = count()

    @property
    def calls(self) -> int:
        """How often the provider was called."""
        return len(self._provider.calls)

    async def spent(self) -> list[tuple[int, int]]:
        """Used and held of each of the attacker's limits."""
        limits = (await usage(self.port)).values()
        return [(limit["used"], limit["held"]) for limit in limits]

    async def check_chats(self) -> None:
        """Somebody else's ordinary chat streams as ever."""
        headers = {"x-caller": f"good-{next(self._good_callers)}"}
        async with await Exchange.open(self.port, CHAT, body=GOOD, headers=headers) as exchange:
            events = [event async for event in exchange.events()]
        assert "".join(event.json for event in events if event.name == "token") == "All is well."
        assert events[-1].name == "done"


def caller(connection: Connection) -> Principal:
    return Principal(connection.headers.get("x-caller", "attacker"))


@asynccontextmanager
async def serving(**changes: Any) -> AsyncGenerator[Target, None]:
    provider = ScriptedProvider(SystemClock(), Script(text="All is well."))
    plugin = ChatNestPlugin(ChatNestConfig(**changes), provider=provider, resolve_principal=caller)
    async with running(Litestar(plugins=[plugin], logging_config=None)) as port:
        # Uvicorn keeps its loggers apart; the tests want to see what they say.
        logging.getLogger("uvicorn").propagate = True
        yield Target(port, provider)


async def send(port: int, request: bytes) -> Exchange:
    """Send *request* as it is."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    return Exchange(reader, writer)
