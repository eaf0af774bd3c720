"""Connections to a ledger's file, each used in one thread that no event loop waits for."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import closing, suppress
from typing import TypeVar

import apsw

from chatnest.adapters.storage.sqlite_file import LedgerFile
from chatnest.adapters.storage.sqlite_thread import WorkThread

T = TypeVar("T")


class SqliteLink:
    """A thread with a connection to *file*, which is opened when it is needed.

    One that an error of SQLite has passed through is closed, which takes back what it had not
    committed; the next use opens another.
    """

    def __init__(self, file: LedgerFile, name: str) -> None:
        self._file = file
        self._thread = WorkThread(name)
        self._database: apsw.Connection | None = None
        self._reading: set[Generator[object, None, None]] = set()

    def require_open(self) -> None:
        """Pass while the link is open.

        Raises:
            StoreUnavailableError: it was closed.
        """
        self._thread.require_running()

    def run(self, work: Callable[[apsw.Connection], T]) -> asyncio.Future[T]:
        """What *work* will return, or raise, on the connection of this link.

        Raises:
            StoreUnavailableError: the file cannot be worked with at the moment; at once where the
                link was closed.
            ConfigurationError: the file is no ledger that this version can work with.
        """
        return self._thread.run(lambda: self._work(work))

    async def read(self, rows: Callable[[apsw.Connection], Iterator[T]]) -> AsyncGenerator[T, None]:
        """What *rows* gives, all as of one instant, on a connection of its own.

        Raises:
            StoreUnavailableError: while iterating; the file cannot be read at the moment.
            ConfigurationError: while iterating; the file is no ledger for this version.
        """
        found = self._rows(rows)
        try:
            while (page := await self._thread.run(lambda: self._next(found))) is not None:
                yield page
        finally:
            if not self._thread.is_stopped:
                await self._thread.run(lambda: self._leave(found))

    async def close(self) -> None:
        """Finish what was begun, end the thread and close every connection. May be called twice."""
        await self._thread.stop(self._close)

    def _work(self, work: Callable[[apsw.Connection], T]) -> T:
        self._file.require_in_place()
        database = self._current()
        try:
            return work(database)
        except apsw.Error:
            self._drop()
            # Entered here alone: it takes longer than a row, and nearly no work fails.
            with self._file.in_plain_words():
                raise

    def _current(self) -> apsw.Connection:
        if self._database is None:
            self._database = self._file.open()
        return self._database

    def _rows(self, rows: Callable[[apsw.Connection], Iterator[T]]) -> Generator[T, None, None]:
        with self._file.in_plain_words(), closing(self._file.open()) as database:
            database.execute("BEGIN DEFERRED")
            yield from rows(database)

    def _next(self, found: Generator[T, None, None]) -> T | None:
        self._reading.add(found)
        return next(found, None)

    def _leave(self, found: Generator[T, None, None]) -> None:
        found.close()
        self._reading.discard(found)

    def _close(self) -> None:
        for found in self._reading:
            found.close()
        self._drop()

    def _drop(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            # One that is broken may not be able to say goodbye, and is closed all the same.
            with suppress(apsw.Error):
                # Closing the last connection does this too, but keeps the interpreter locked.
                database.execute("PRAGMA wal_checkpoint(PASSIVE)")
            with suppress(apsw.Error):
                database.close()
