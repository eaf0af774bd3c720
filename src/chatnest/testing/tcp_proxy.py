"""A network that fails on demand: a TCP proxy on 127.0.0.1, in front of any server.

Point an adapter at the proxy's port, and break what lies between the two::

    async with TcpProxy("127.0.0.1", 6379) as proxy:
        store = RedisStore(f"redis://127.0.0.1:{proxy.port}", clock, randomness)
        proxy.lose_replies()
        with pytest.raises(StoreUnavailableError):
            await store.transact(keys, step)
        proxy.heal()
"""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum, auto
from types import TracebackType
from typing import Final

_CHUNK: Final = 65_536


class _Fault(Enum):
    NONE = auto()
    LOSE_REPLIES = auto()
    STALL = auto()
    DELAY = auto()


class TcpProxy:
    """Passes bytes between its clients and the server at *host* and *port*, until told not to.

    One fault is in force at a time, on the connections that there are and on those that come;
    :meth:`heal` ends it. It is an async context manager; ``port`` is where it listens, and stays
    the same while connections are refused.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._server_port = port
        self._fault = _Fault.NONE
        self._passing = 0
        self._losing: int | None = None
        self._met = asyncio.Event()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._connections: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._listener: asyncio.Server | None = None
        # Bound and never listening: the port stays the proxy's own while nobody listens.
        self._reserved = _bound(0)
        self.port: int = self._reserved.getsockname()[1]
        """Where clients connect to, on 127.0.0.1."""

    async def __aenter__(self) -> "TcpProxy":
        await self._listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.refuse()
        connections = dict(self._connections)
        for task, writers in connections.items():
            if len(writers) == 1:
                task.cancel()  # It still waits for the server.
        await asyncio.gather(*connections, return_exceptions=True)
        self._reserved.close()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def fault_met(self) -> None:
        """Wait until the fault in force has hit somebody's bytes."""
        await self._met.wait()

    def lose_replies(self, after: int = 0, times: int | None = None) -> None:
        """Let requests through, and drop the connection when their reply has come.

        The server has done its work and its client does not know. The first *after* packets of
        replies still pass: where a step takes several round trips, a later one is hit. It ends by
        itself after so many *times*.
        """
        self._begin(_Fault.LOSE_REPLIES)
        self._passing = after
        self._losing = times

    def stall(self) -> None:
        """Swallow everything, and keep the connections open: nobody is told.

        A connection that lost bytes so is dead for good, also after :meth:`heal`.
        """
        self._begin(_Fault.STALL)

    def delay(self) -> None:
        """Keep all bytes back until :meth:`heal`; they arrive then, whoever has given them up."""
        self._begin(_Fault.DELAY)
        self._flowing.clear()

    def cut(self) -> None:
        """Drop all connections now; further ones are as good as ever."""
        for writers in self._connections.values():
            for writer in writers:
                writer.transport.abort()

    def refuse(self) -> None:
        """Drop all connections and take no further ones."""
        self._begin(_Fault.NONE)
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self.cut()

    async def heal(self) -> None:
        """End the fault that is in force, and listen again."""
        self._begin(_Fault.NONE)
        await self._listen()

    def _begin(self, fault: _Fault) -> None:
        self._fault = fault
        self._met = asyncio.Event()
        self._flowing.set()

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, sock=_bound(self.port))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        writers = self._connections[task] = [writer]
        try:
            answers, asking = await asyncio.open_connection(self._host, self._server_port)
            writers.append(asking)
            await self._pass_both_ways(reader, writer, answers, asking)
        except (OSError, asyncio.CancelledError):
            # The server is not there, one side has dropped the connection, or the proxy ends; to
            # be cancelled is no way for a stream's callback to end.
            pass
        finally:
            await _close(writers)
            del self._connections[task]

    async def _pass_both_ways(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        asking: asyncio.StreamWriter,
    ) -> None:
        line = _Line()
        pumps = [
            asyncio.ensure_future(self._pump(reader, asking, line, replies=False)),
            asyncio.ensure_future(self._pump(answers, writer, line, replies=True)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        line: "_Line",
        *,
        replies: bool,
    ) -> None:
        while data := await source.read(_CHUNK):
            if self._loses(replies):
                return
            if self._fault is _Fault.DELAY:
                self._met.set()
                await self._flowing.wait()
            if self._fault is _Fault.STALL:
                line.dead = True
                self._met.set()
            if not line.dead:
                target.write(data)
                await target.drain()

    def _loses(self, replies: bool) -> bool:
        if self._fault is not _Fault.LOSE_REPLIES or not replies:
            return False
        self._passing -= 1
        if self._passing >= 0:
            return False
        self._met.set()
        if self._losing is not None:
            self._losing -= 1
            if not self._losing:
                self._fault = _Fault.NONE
        return True


class _Line:
    """One connection through the proxy; ``dead`` once bytes of it were swallowed."""

    def __init__(self) -> None:
        self.dead = False


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound


async def _close(writers: Sequence[asyncio.StreamWriter]) -> None:
    """Send what is left and close; one that was dropped is as closed as it can be."""
    for writer in writers:
        writer.close()
    for writer in writers:
        with suppress(OSError):
            await writer.wait_closed()
