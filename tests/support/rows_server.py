"""A server of rows behind a socket, as simple as can be, and the ledger store on it.

It shows what the suite of faults asks of a store, without a database in the way. The server is
forgetful about nothing: its rows outlive its restarts.
"""

import asyncio
import pickle
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from chatnest.adapters.storage.compare_and_set import (
    Committed,
    CompareAndSetLedger,
    Conflict,
    Key,
    Versioned,
)
from chatnest.adapters.storage.group_commit import CommitLimits, GroupCommit
from chatnest.domain.budget import Account, Hold, HoldState
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ledger import Change, Keys, LedgerPage
from chatnest.domain.ports import Clock, Randomness
from tests.support.turns import no_turn

_PAGE = 200


class RowsServer:
    """Rows in a dict, each with its version; one pickled request and reply after the other."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rows: dict[Key, Versioned] = {}
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._clients.values():
            writer.transport.abort()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients[task] = writer
        try:
            while True:
                name, arguments = await receive(reader)
                send(writer, getattr(self, name)(*arguments))
                await writer.drain()
        except (OSError, EOFError):
            writer.close()
        finally:
            del self._clients[task]

    def commit(
        self, version: str, keys: Keys, versions: Mapping[Key, str], change: Change[Any]
    ) -> Committed | Conflict:
        named: tuple[Key, ...] = (*keys.accounts, *keys.rates, *keys.holds)
        current = {key: self._rows[key] for key in named if key in self._rows}
        if {key: row.version for key, row in current.items()} != dict(versions):
            return Conflict(current)
        for account in change.accounts:
            self._rows[account.key] = Versioned(account, version)
        for key, state in change.rates:
            self._rows[key] = Versioned(state, version)
        for hold in change.holds:
            self._rows[hold.id] = Versioned(hold, version)
        gone: tuple[Key, ...] = (*change.forgotten_accounts, *change.forgotten_holds)
        for forgotten in gone:
            self._rows.pop(forgotten, None)
        return Committed(version)

    def due_holds(self, now: int, most: int) -> list[Hold]:
        late = [hold for hold in self._holds() if hold.state is HoldState.HELD]
        late = [hold for hold in late if hold.expires_at <= now]
        return sorted(late, key=lambda hold: hold.expires_at)[:most]

    def closed_holds(self, before: int, most: int) -> list[Hold]:
        over = [hold for hold in self._holds() if hold.state is not HoldState.HELD]
        old = [(hold.closed_at, hold) for hold in over if hold.closed_at is not None]
        old = [(at, hold) for at, hold in old if at < before]
        return [hold for _, hold in sorted(old, key=lambda each: each[0])][:most]

    def snapshot(self, since: int) -> list[LedgerPage]:
        rows = [versioned.row for versioned in self._rows.values()]
        accounts = [row for row in rows if isinstance(row, Account)]
        wanted = [
            hold
            for hold in self._holds()
            if hold.state is HoldState.HELD or hold.created_at >= since
        ]
        return [
            LedgerPage(accounts[first : first + _PAGE], wanted[first : first + _PAGE])
            for first in range(0, max(len(accounts), len(wanted)), _PAGE)
        ]

    def now(self) -> int:
        return self._clock.now()

    def _holds(self) -> list[Hold]:
        return [each.row for each in self._rows.values() if isinstance(each.row, Hold)]


class RowsClient:
    """A ``CompareAndSetServer`` with one connection, dropped whenever anything goes wrong."""

    def __init__(self, port: int, randomness: Randomness) -> None:
        self._port = port
        self._randomness = randomness
        self._lock = asyncio.Lock()
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def commit(
        self, keys: Keys, versions: Mapping[Key, str], change: Change[Any]
    ) -> Committed | Conflict:
        rows = Change(
            None,
            change.accounts,
            change.rates,
            change.holds,
            change.forgotten_accounts,
            change.forgotten_holds,
        )
        answer: Committed | Conflict = await self._ask(
            "commit", self._randomness.new_id(), keys, dict(versions), rows
        )
        return answer

    def turn(
        self, keys: Keys, versions: Mapping[Key, str]
    ) -> AbstractAsyncContextManager[Committed | Conflict]:
        return no_turn(self, keys, versions)

    async def due_holds(self, now: int, most: int) -> Sequence[Hold]:
        return list(await self._ask("due_holds", now, most))

    async def closed_holds(self, before: int, most: int) -> Sequence[Hold]:
        return list(await self._ask("closed_holds", before, most))

    async def snapshot(self, since: int = 0) -> AsyncGenerator[LedgerPage, None]:
        for page in await self._ask("snapshot", since):
            yield page

    async def now(self) -> int:
        return int(await self._ask("now"))

    async def aclose(self) -> None:
        await self._drop()

    async def _ask(self, name: str, *arguments: object) -> Any:
        async with self._lock:
            try:
                if self._connection is None:
                    self._connection = await asyncio.open_connection("127.0.0.1", self._port)
                send(self._connection[1], (name, arguments))
                return await receive(self._connection[0])
            except (OSError, EOFError) as error:
                await self._drop()
                raise StoreUnavailableError("the server of rows is gone") from error
            except BaseException:
                await self._drop()
                raise

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection[1].transport.abort()
            await asyncio.gather(connection[1].wait_closed(), return_exceptions=True)


class RowsStore(GroupCommit):
    """A durable ledger store, as far as the server's process lives."""

    def __init__(
        self, port: int, clock: Clock, randomness: Randomness, limits: CommitLimits | None = None
    ) -> None:
        super().__init__(CompareAndSetLedger(RowsClient(port, randomness)), clock, limits)


def send(writer: asyncio.StreamWriter, message: object) -> None:
    data = pickle.dumps(message)
    writer.write(len(data).to_bytes(8, "big") + data)


async def receive(reader: asyncio.StreamReader) -> Any:
    size = int.from_bytes(await reader.readexactly(8), "big")
    return pickle.loads(await reader.readexactly(size))


Restart = Callable[[], Awaitable[None]]
