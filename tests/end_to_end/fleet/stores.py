"""The stores that a fleet can share, each of which can be taken away and brought back."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from tests.end_to_end.fleet.ledger import Ledger
from tests.support import postgres_servers, redis_servers
from tests.support.postgres_servers import OwnPostgres, postgres_programs
from tests.support.redis_servers import OwnRedis, redis_program, valkey_program
from tests.support.services import OwnServer

# Holds the lock that every writer needs, until it is told to end.
_HOLD_LOCK = """
import sqlite3, sys
file = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
file.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""
_LOCKED_WITHIN_S = 30


class StoreUnderTest:
    """A store at *url*, whose :meth:`stop` takes it from the servers until :meth:`start`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.ledger = Ledger(url)

    async def stop(self) -> None:
        """Let nobody write any more."""
        raise NotImplementedError

    async def start(self) -> None:
        """Let everybody write again."""
        raise NotImplementedError


class ServedStore(StoreUnderTest):
    """A store in a server process of its own, which is ended and started."""

    def __init__(self, url: str, server: OwnServer) -> None:
        super().__init__(url)
        self._server = server

    async def stop(self) -> None:
        """End the server."""
        await self._server.stop()

    async def start(self) -> None:
        """Start the server on the same data."""
        await self._server.start()


class LockedFile(StoreUnderTest):
    """SQLite's file, which another process locks."""

    def __init__(self, file: Path) -> None:
        super().__init__(f"sqlite:///{file}")
        self._file = file
        self._holder: asyncio.subprocess.Process | None = None

    async def stop(self) -> None:
        """Have another process take the lock of writers, and keep it."""
        holder = self._holder = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _HOLD_LOCK, str(self._file)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert holder.stdout is not None
        async with asyncio.timeout(_LOCKED_WITHIN_S):
            assert await holder.stdout.readline() == b"locked\n"

    async def start(self) -> None:
        """Have the lock given back."""
        if self._holder is not None:
            async with asyncio.timeout(_LOCKED_WITHIN_S):
                await self._holder.communicate(b"")
            self._holder = None


@asynccontextmanager
async def _sqlite(folder: Path) -> AsyncGenerator[StoreUnderTest, None]:
    store = LockedFile(folder / "ledger.db")
    try:
        yield store
    finally:
        await store.start()


@asynccontextmanager
async def _postgres(_: Path) -> AsyncGenerator[StoreUnderTest, None]:
    with postgres_servers.server_folder() as own_folder:
        own = OwnPostgres(postgres_programs(), own_folder)
        async with postgres_servers.running(own) as server:
            yield ServedStore(server.url, server)


@asynccontextmanager
async def _redis(folder: Path) -> AsyncGenerator[StoreUnderTest, None]:
    async with redis_servers.running(OwnRedis(redis_program(), folder)) as server:
        yield ServedStore(server.url, server)


@asynccontextmanager
async def _valkey(folder: Path) -> AsyncGenerator[StoreUnderTest, None]:
    async with redis_servers.running(OwnRedis(valkey_program(), folder)) as server:
        yield ServedStore(server.url, server)


OPEN_STORE: dict[str, Callable[[Path], AbstractAsyncContextManager[StoreUnderTest]]] = {
    "sqlite": _sqlite,
    "postgres": _postgres,
    "redis": _redis,
    "valkey": _valkey,
}
