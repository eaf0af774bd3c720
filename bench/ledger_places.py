"""Where ledgers under measurement lie, and how they are opened, compared and removed."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from redis.asyncio import Redis

from bench.ledger_load import Ledger, StoreLedger
from bench.naive_postgres import naive_postgres
from bench.naive_redis import delete_keys, naive_redis
from bench.naive_sqlite import naive_sqlite
from chatnest.adapters.clock import SystemClock
from chatnest.adapters.randomness import SystemRandomness
from chatnest.adapters.storage.memory import MemoryStore
from chatnest.domain.errors import ChatNestError
from chatnest.domain.ledger import Change, Keys
from chatnest.domain.ports import LedgerStore


@dataclass(frozen=True, slots=True)
class Place:
    """A ledger called *name* in a store of *kind* at *where*: a folder, or a server's URL."""

    kind: str
    where: str
    name: str

    def store(self) -> LedgerStore:
        """A store on this ledger, as a process of a fleet has one."""
        clock, randomness = SystemClock(), SystemRandomness(SystemClock())
        match self.kind:
            case "memory":
                return MemoryStore(clock)
            case "sqlite":
                from chatnest.adapters.storage.sqlite import SqliteStore

                return SqliteStore(self.file, clock)
            case "postgres":
                from chatnest.adapters.storage.postgres import PostgresStore

                return PostgresStore(self.where, clock, randomness, ledger=self.name)
            case _:
                from chatnest.adapters.storage.redis import RedisStore

                return RedisStore(self.where, clock, randomness, ledger=self.name)

    @property
    def file(self) -> Path:
        """The file of a ledger in SQLite; it goes with its folder."""
        return Path(self.where, f"{self.name}.sqlite3")

    async def remove(self) -> None:
        """Take everything away that the ledger has left on a server."""
        match self.kind:
            case "postgres":
                connection = await asyncpg.connect(self.where)
                await connection.execute(f"DROP SCHEMA IF EXISTS {self.name} CASCADE")
                await connection.close()
            case "redis" | "valkey":
                async with Redis.from_url(self.where) as client:
                    await delete_keys(client, self.name)

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[LedgerStore, None]:
        """A store on this ledger, which is removed in the end."""
        store = self.store()
        try:
            yield store
        finally:
            await store.aclose()
            await self.remove()

    async def why_not(self) -> str | None:
        """Why nothing can be measured there; None where it can."""
        try:
            store = self.store()
            try:
                await store.transact(Keys(), lambda rows: Change(None))
            finally:
                await store.aclose()
        except ChatNestError as error:
            return str(error)
        await self.remove()
        return None

    def naive(self) -> AbstractAsyncContextManager[Ledger] | None:
        """What the store is compared with, on the same disk or server."""
        match self.kind:
            case "sqlite":
                return naive_sqlite(Path(self.where))
            case "postgres":
                return naive_postgres(self.where, f"{self.name}_naive")
            case "redis" | "valkey":
                return naive_redis(self.where, f"{self.name}_naive")
            case _:
                return None


@asynccontextmanager
async def contenders(place: Place) -> AsyncGenerator[dict[str, Ledger], None]:
    """ChatNest's store at *place*, and the naive ledger beside it where there is one."""
    async with place.opened() as store:
        own: Ledger = StoreLedger(store)
        if (naive := place.naive()) is None:
            yield {place.kind: own}
        else:
            async with naive as other:
                yield {place.kind: own, f"{place.kind}, naive": other}
