"""PostgreSQL as a server of rows: what a ledger by compare-and-set asks of one.

A batch is one call of one function, and a transaction by itself: it locks the rows that the batch
names in the order of their keys, compares their versions, and writes all changes or none.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from chatnest.adapters.storage.compare_and_set import Committed, Conflict, Key
from chatnest.adapters.storage.postgres_link import PostgresLink
from chatnest.adapters.storage.postgres_rows import (
    commit_arguments,
    is_empty,
    key_arguments,
    read_accounts,
    read_current,
    read_holds,
    unique,
)
from chatnest.adapters.storage.postgres_schema import Connection, bring_forward
from chatnest.adapters.storage.postgres_statements import statements
from chatnest.domain.budget import Hold
from chatnest.domain.errors import ConfigurationError
from chatnest.domain.ledger import Change, Keys, LedgerPage
from chatnest.domain.ports import Clock, Randomness

_LEDGER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_PAGE: Final = 500
# The others are for those who do not read history.
_SNAPSHOTS_AT_ONCE: Final = 4


class PostgresServer:
    """A :class:`~chatnest.adapters.storage.compare_and_set.CompareAndSetServer` at *url*.

    *ledger* is the name of its schema.

    Raises:
        ConfigurationError: *url* cannot be read, or *ledger* is no name for a schema.
    """

    def __init__(
        self, url: str, clock: Clock, randomness: Randomness, *, ledger: str = "chatnest"
    ) -> None:
        if not _LEDGER.fullmatch(ledger):
            raise ConfigurationError(
                "store: the ledger's name in PostgreSQL has letters, digits and _ only, at most 63."
            )
        self._randomness = randomness
        self._link = PostgresLink(url, clock, lambda each: bring_forward(each, ledger))
        self._asks = statements(ledger)
        self._turns: dict[asyncio.Task[Any] | None, Connection] = {}
        self._snapshots = asyncio.Semaphore(_SNAPSHOTS_AT_ONCE)

    async def commit(
        self, keys: Keys, versions: Mapping[Key, str], change: Change[Any]
    ) -> Committed | Conflict:
        """See :class:`~chatnest.adapters.storage.compare_and_set.CompareAndSetServer`.

        In a turn it is written for good when the turn ends without an error.
        """
        keys = unique(keys)
        if is_empty(change):
            return await self._compare(keys, versions)
        version = self._randomness.new_id()
        arguments = commit_arguments(keys, versions, change, version)
        async with self._commits() as connection:
            current = await self._committed(connection, keys, arguments)
        return Committed(version) if current is None else Conflict(read_current(current))

    @asynccontextmanager
    async def turn(
        self, keys: Keys, versions: Mapping[Key, str]
    ) -> AsyncIterator[Committed | Conflict]:
        """See :class:`~chatnest.adapters.storage.compare_and_set.CompareAndSetServer`.

        It is one transaction, which this task's commits are part of, and which the server ends
        where its owner dies or stands still.
        """
        task = asyncio.current_task()
        async with self._link.connection() as connection:
            await connection.execute(self._asks.begin_turn)
            self._turns[task] = connection
            try:
                yield await self._compare(keys, versions)
            finally:
                del self._turns[task]
            await connection.execute("COMMIT")

    async def due_holds(self, now: int, most: int) -> Sequence[Hold]:
        """See :meth:`chatnest.domain.ports.LedgerReads.due_holds`."""
        return await self._holds(self._asks.due, now, most)

    async def closed_holds(self, before: int, most: int) -> Sequence[Hold]:
        """See :meth:`chatnest.domain.ports.LedgerReads.closed_holds`."""
        return await self._holds(self._asks.old, before, most)

    async def snapshot(self, since: int = 0) -> AsyncGenerator[LedgerPage, None]:
        """See :meth:`chatnest.domain.ports.LedgerReads.snapshot`."""
        async with self._snapshots, self._link.connection() as connection:
            await connection.execute(self._asks.begin_snapshot)
            async for rows in self._paged(connection, self._asks.accounts):
                yield LedgerPage(accounts=read_accounts(rows))
            async for rows in self._paged(connection, self._asks.open_holds):
                yield LedgerPage(holds=read_holds(rows))
            async for rows in self._paged(connection, self._asks.entries, since):
                yield LedgerPage(holds=read_holds(rows))
            await connection.execute("COMMIT")

    async def now(self) -> int:
        """See :meth:`chatnest.domain.ports.LedgerReads.now`."""
        async with self._link.connection() as connection:
            return int(await connection.fetchval(self._asks.now))

    async def aclose(self) -> None:
        """Close all connections. May be called twice."""
        await self._link.aclose()

    @asynccontextmanager
    async def _commits(self) -> AsyncIterator[Connection]:
        """The connection of this task's turn, or any."""
        turn = self._turns.get(asyncio.current_task())
        if turn is not None:
            yield turn
            return
        async with self._link.connection() as connection:
            yield connection

    async def _committed(
        self, connection: Connection, keys: Keys, arguments: Sequence[Any]
    ) -> str | None:
        """What ``commit_rows`` returns; where others were in its way, the rows as they are."""
        current: str | None
        try:
            current = await connection.fetchval(self._asks.commit_rows, *arguments)
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            if connection.is_in_transaction():
                raise
            current = await connection.fetchval(self._asks.current_rows, *key_arguments(keys))
        return current

    async def _compare(self, keys: Keys, versions: Mapping[Key, str]) -> Committed | Conflict:
        """One statement sees one instant: where nothing is written nothing has to be locked."""
        async with self._commits() as connection:
            data = await connection.fetchval(self._asks.current_rows, *key_arguments(keys))
        current = read_current(data)
        found = {key: versioned.version for key, versioned in current.items()}
        return Committed("") if found == dict(versions) else Conflict(current)

    async def _holds(self, statement: str, *arguments: int) -> Sequence[Hold]:
        async with self._link.connection() as connection:
            return read_holds(await connection.fetch(statement, *arguments))

    async def _paged(
        self, connection: Connection, statement: str, *arguments: int
    ) -> AsyncIterator[list[asyncpg.Record]]:
        cursor = await connection.cursor(statement, *arguments)
        while rows := await cursor.fetch(_PAGE):
            yield rows
