"""The whole application between real sockets: a route, and a server of the test's at each target.

Nothing in between is replaced: the configuration makes the providers, and the journal is read from
the file that the application keeps it in.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from chatnest import (
    ChatNestConfig,
    ProviderConfig,
    RetryConfig,
    RouteConfig,
    TimeLimitsConfig,
)
from chatnest.adapters.clock import SystemClock
from chatnest.app.asgi import create_app
from chatnest.domain.audit import Recount
from chatnest.domain.budget import HoldState
from chatnest.domain.ledger import LedgerPage
from chatnest.testing.upstream import MockUpstream, Scripts
from tests.end_to_end.failures.wires import Wire
from tests.end_to_end.fleet.ledger import Ledger, charged_tokens
from tests.support.client import WAIT_S, Event, chat, usage
from tests.support.running import running
from tests.support.waiting import until

ASKED = "Hello!"
ATTEMPTS = 3
NAMES = ("first", "second")
QUICK = RetryConfig(max_attempts=ATTEMPTS, base_delay_s=0.01, max_delay_s=0.02, deadline_s=5)


class Entry(NamedTuple):
    """One attempt in the journal: at which target, how it ended, and what it was charged."""

    target: str
    outcome: str | None
    state: HoldState
    tokens: int


@dataclass(frozen=True)
class Server:
    """Who is behind a target; with ``origin`` whoever is there, and ``scripts`` is never played."""

    wire: Wire
    scripts: Scripts = ()
    origin: str | None = None

    def target(self, name: str) -> str:
        """The target at the provider *name*."""
        return f"{name}/{self.wire.model}"


@dataclass(frozen=True)
class Told:
    """What a client got, to the end of its stream."""

    text: str
    usage: Any
    last: Event

    @classmethod
    def by(cls, events: list[Event]) -> "Told":
        """What *events* say; fails where a stream does not begin, report and end once."""
        names = [event.name for event in events]
        said = [event.json for event in events if event.name == "token"]
        assert names[:-1] == ["start", *["token"] * len(said), "usage"], events
        return cls("".join(said), events[-2].json, events[-1])


class Stage:
    """An application that is served at ``port``, and ``first`` and ``second``, which it calls."""

    def __init__(self, port: int, ledger: Ledger, upstreams: list[MockUpstream]) -> None:
        self.port = port
        self.clock = SystemClock()
        self.upstreams = upstreams
        self._ledger = ledger

    @property
    def calls(self) -> list[int]:
        """How many requests each server saw."""
        return [len(upstream.exchanges) for upstream in self.upstreams]

    async def ask(self, text: str = ASKED, **fields: object) -> Told:
        """What a client gets that reads to the end."""
        async with await chat(self.port, text, **fields) as exchange:
            assert await exchange.head() == 200, await exchange.body()
            return Told.by([event async for event in exchange.events()])

    async def closed_after_us(self, since_us: int) -> int:
        """How long after *since_us* the connection of the first server's last call was closed."""
        connection = self.upstreams[0].exchanges[-1].connection
        async with asyncio.timeout(WAIT_S):
            await connection.gone.wait()
        assert connection.gone_us is not None
        return connection.gone_us - since_us

    async def used(self) -> int:
        """The tokens that the caller is charged for today, once every call is settled."""
        await until(self._nothing_held)
        return int((await usage(self.port))["tokens-day"]["used"])

    async def journal(self) -> list[Entry]:
        """Every attempt in order, once it is settled; fails where the accounts are not their sum.

        No client waits for a settlement, and this reads the ledger beside the application.
        """
        await until(self._nothing_held)
        return await self.journal_now()

    async def journal_now(self) -> list[Entry]:
        """The same, with the calls that are still under way."""
        books = await self._ledger.books()
        recount = Recount()
        recount.add(LedgerPage(tuple(books.accounts.values()), tuple(books.holds.values())))
        assert recount.drifts() == ()
        holds = sorted(books.holds.values(), key=lambda hold: (hold.created_at, hold.id))
        return [
            Entry(f"{hold.provider}/{hold.model}", hold.outcome, hold.state, charged_tokens(hold))
            for hold in holds
        ]

    async def _nothing_held(self) -> bool:
        return not any(limit["held"] for limit in (await usage(self.port)).values())


@asynccontextmanager
async def stage(
    folder: Path, *servers: Server, limits: TimeLimitsConfig | None = None, **changes: Any
) -> AsyncGenerator[Stage, None]:
    """Serve an application whose one route has a target at each of *servers*, in that order."""
    url = f"sqlite:///{folder}/ledger.db"
    named = dict(zip(NAMES, servers, strict=False))
    async with AsyncExitStack() as stack:
        upstreams: list[MockUpstream] = []
        providers: dict[str, ProviderConfig] = {}
        for name, server in named.items():
            upstream = await stack.enter_async_context(MockUpstream(server.scripts))
            upstreams.append(upstream)
            origin = server.origin or upstream.origin
            providers[name] = ProviderConfig(
                kind=server.wire.kind,
                base_url=origin + server.wire.path,
                options={"trust_env": False},
            )
        targets = tuple(server.target(name) for name, server in named.items())
        settings: dict[str, Any] = {
            "store": url,
            "providers": providers,
            "routes": {"route": RouteConfig(targets=targets)},
            "retry": QUICK,
            "time_limits": limits or TimeLimitsConfig(),
            **changes,
        }
        ledger = Ledger(url)
        stack.push_async_callback(ledger.aclose)
        port = await stack.enter_async_context(running(create_app(ChatNestConfig(**settings))))
        yield Stage(port, ledger, upstreams)


@contextmanager
def nobody() -> Generator[str, None, None]:
    """An address of this machine that refuses every connection, and stays nobody's meanwhile."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unheard.getsockname()[1]}"
