"""A ledger in a SQLite file: for one machine, with as many processes as it likes.

One transaction holds a batch of steps (see
:class:`~chatnest.adapters.storage.group_commit.GroupCommit`), and is on the disk before any of
their callers hears of it: ``synchronous=FULL``. A process that is killed, or a power cut, leaves
the last whole transaction. The event loop waits for no disk: what blocks runs in two threads, one
that writes and one that reads, and in WAL mode neither waits for the other.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

import apsw

from chatnest.adapters.storage.group_commit import CommitLimits, GroupCommit
from chatnest.adapters.storage.sqlite_file import LedgerFile
from chatnest.adapters.storage.sqlite_link import SqliteLink
from chatnest.adapters.storage.sqlite_reads import closed_holds, due_holds, pages
from chatnest.adapters.storage.sqlite_rows import load, write
from chatnest.adapters.storage.sqlite_schema import in_transaction
from chatnest.domain.budget import Hold
from chatnest.domain.ledger import Keys, LedgerPage, Step, checked
from chatnest.domain.ports import Clock
from chatnest.domain.watchdog import wait_within

T = TypeVar("T")


class SqliteStore(GroupCommit):
    """A :class:`~chatnest.domain.ports.LedgerStore` in the SQLite file at *path*.

    Nothing is opened before the first use; then the file is made where it is missing, for this user
    alone, in a folder that must be there. All processes that open one file share its accounts. The
    disk must be a local one.
    """

    def __init__(
        self, path: str | os.PathLike[str], clock: Clock, *, limits: CommitLimits | None = None
    ) -> None:
        limits = limits or CommitLimits()
        # Who waits for another process is told so, and not that the ledger did not answer.
        file = LedgerFile(Path(path).absolute(), clock, busy_us=limits.answer_us // 2)
        engine = SqliteEngine(file, clock, closing_us=limits.answer_us)
        super().__init__(engine, clock, limits)


class SqliteEngine:
    """A :class:`~chatnest.domain.ports.LedgerStore` in *file*; for one step at a time.

    Closing it waits at most *closing_us* for what its threads are at.
    """

    def __init__(self, file: LedgerFile, clock: Clock, closing_us: int) -> None:
        self._clock = clock
        self._closing_us = closing_us
        self._writer = SqliteLink(file, "chatnest ledger writer")
        self._reader = SqliteLink(file, "chatnest ledger reader")

    def transact(self, keys: Keys, step: Step[T]) -> asyncio.Future[T]:
        """See :meth:`chatnest.domain.ports.LedgerStore.transact`."""
        return self._writer.run(lambda database: _transact(database, keys, step))

    async def due_holds(self, now: int, most: int) -> Sequence[Hold]:
        """See :meth:`chatnest.domain.ports.LedgerStore.due_holds`."""
        return await self._reader.run(lambda database: due_holds(database, now, most))

    async def closed_holds(self, before: int, most: int) -> Sequence[Hold]:
        """See :meth:`chatnest.domain.ports.LedgerStore.closed_holds`."""
        return await self._reader.run(lambda database: closed_holds(database, before, most))

    async def snapshot(self, since: int = 0) -> AsyncGenerator[LedgerPage, None]:
        """See :meth:`chatnest.domain.ports.LedgerStore.snapshot`."""
        async with aclosing(self._reader.read(lambda database: pages(database, since))) as found:
            async for page in found:
                yield page

    async def now(self) -> int:
        """The clock's own time: the processes on one file are on one machine.

        Raises:
            StoreUnavailableError: the ledger is closed.
        """
        self._writer.require_open()
        return self._clock.now()

    async def aclose(self) -> None:
        """End the threads and close the file. May be called twice."""
        closing = asyncio.ensure_future(self._close())
        await wait_within(self._clock, closing, self._closing_us)

    async def _close(self) -> None:
        # The writer's connection is the last one: closing it empties the log into the file.
        await self._reader.close()
        await self._writer.close()


def _transact(database: apsw.Connection, keys: Keys, step: Step[T]) -> T:
    def work() -> T:
        stored = load(database, keys)
        change = checked(keys, step(stored))
        write(database, stored.holds, change)
        return change.result

    return in_transaction(database, work)
