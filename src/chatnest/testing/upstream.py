"""A provider's server for tests: real sockets, OpenAI's streaming wire, every way to fail.

Each request is answered with a script, a sequence of steps. The server watches its clients while
it plays, so that it knows to the moment when one has gone.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, assert_never, cast

from chatnest.adapters.clock import SystemClock
from chatnest.domain.ports import Clock

EVENT_STREAM = "text/event-stream"
_MOST_HEAD_BYTES = 64 * 1024
_MOST_BODY_BYTES = 64 * 1024 * 1024
_FOREVER_US = 10**15


@dataclass(frozen=True, slots=True)
class Head:
    """Write a response's head. ``body`` None: the steps that follow write it, in chunks."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", EVENT_STREAM),)
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """Write *data* as one chunk, in one write; it carries *tokens* tokens of the answer."""

    data: bytes
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for *delay_us*."""

    delay_us: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing until the test sets *event*."""

    event: asyncio.Event


@dataclass(frozen=True, slots=True)
class Stall:
    """Do nothing until the client has gone."""


@dataclass(frozen=True, slots=True)
class End:
    """Complete the body; the connection stays open for the next request."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Close the connection in order, wherever the response is."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Break the connection: the client gets a TCP reset."""


Step = Head | Write | Pause | Wait | Stall | End | Cut | Reset
Script = Sequence[Step]


@dataclass(slots=True)
class Connection:
    """One TCP connection of a client. ``gone`` is set when the client closes it.

    ``gone_us`` is that moment on the server's monotonic clock, in microseconds.
    """

    number: int
    transport: asyncio.Transport
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    gone_us: int | None = None

    def close(self) -> None:
        """Close the connection from the server's side."""
        self.transport.close()


@dataclass(slots=True)
class Exchange:
    """One request, and how far its answer came. ``over`` is set when nothing more is written."""

    connection: Connection
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    tokens_written: int = 0
    is_complete: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def json(self) -> Any:
        """The request's body, parsed."""
        return json.loads(self.body)


Scripts = Script | Callable[[Exchange], Script]


class MockUpstream:
    """An HTTP/1.1 server on a free port of this machine, as an async context manager.

    *scripts* is what every request is answered with, or a function that chooses; it may be set
    anew at any time. ``exchanges`` and ``connections`` record everything, in order of arrival.
    Leaving the context ends every connection.
    """

    def __init__(self, scripts: Scripts = (), *, clock: Clock | None = None) -> None:
        self.scripts = scripts
        self.exchanges: list[Exchange] = []
        self.connections: list[Connection] = []
        self._clock = clock or SystemClock()
        self._server: asyncio.Server | None = None
        self._conversations: set[_Conversation] = set()
        self._arrival = asyncio.Event()
        self._address = ""

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as its base URL."""
        return f"{self.origin}/v1"

    @property
    def origin(self) -> str:
        """What an Anthropic client takes as its base URL."""
        return f"http://{self._address}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._converse, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self._address = f"{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        endings = [conversation.end() for conversation in self._conversations]
        await asyncio.gather(*endings, return_exceptions=True)

    async def exchange(self, number: int) -> Exchange:
        """Request number *number*, counted from one, as soon as it has arrived."""
        while len(self.exchanges) < number:
            self._arrival.clear()
            await self._arrival.wait()
        return self.exchanges[number - 1]

    def _converse(self) -> "_Conversation":
        conversation = _Conversation(self, self._clock)
        self._conversations.add(conversation)
        return conversation

    def _script_for(self, exchange: Exchange) -> Script:
        self.exchanges.append(exchange)
        self._arrival.set()
        return self.scripts(exchange) if callable(self.scripts) else self.scripts


class _Conversation(asyncio.Protocol):
    """One connection: its requests, one after the other, and the answer that is being played."""

    def __init__(self, upstream: MockUpstream, clock: Clock) -> None:
        self._upstream = upstream
        self._clock = clock
        self._received = bytearray()
        self._playing: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._is_closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connection = Connection(len(self._upstream.connections) + 1, self._transport)
        self._upstream.connections.append(self._connection)
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._next_exchange()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def eof_received(self) -> None:
        self._note_gone()

    def connection_lost(self, error: Exception | None) -> None:
        self._note_gone()
        self._is_closing = True
        self._writable.set()
        self._upstream._conversations.discard(self)

    async def end(self) -> None:
        """Close the connection, and wait until nothing plays on it."""
        self._is_closing = True
        self._transport.abort()
        if self._playing is not None:
            self._playing.cancel()
            await asyncio.wait((self._playing,))

    def _note_gone(self) -> None:
        """The client has closed its side; whatever plays is of no use any more."""
        if not self._is_closing and self._connection.gone_us is None:
            self._connection.gone_us = self._clock.monotonic_us()
            self._connection.gone.set()
            if self._playing is not None:
                self._playing.cancel()

    def _next_exchange(self) -> None:
        if self._playing is None and not self._is_closing:
            exchange = self._parse()
            if exchange is not None:
                script = self._upstream._script_for(exchange)
                self._playing = asyncio.ensure_future(self._play(script, exchange))
                self._playing.add_done_callback(self._played)

    def _played(self, playing: asyncio.Task[None]) -> None:
        self._playing = None
        self._next_exchange()

    def _parse(self) -> Exchange | None:
        """Take a whole request off what was received; None while it is not whole."""
        head, separator, rest = bytes(self._received).partition(b"\r\n\r\n")
        if len(head) > _MOST_HEAD_BYTES or len(rest) > _MOST_BODY_BYTES:
            self._close()
        if not separator:
            return None
        request_line, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = request_line.split(" ", 2)
        fields = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return None
        del self._received[: len(head) + len(separator) + length]
        return Exchange(self._connection, method, path, headers, rest[:length])

    async def _play(self, script: Script, exchange: Exchange) -> None:
        try:
            for step in script:
                await self._take(step, exchange)
                if exchange.is_complete or self._is_closing:
                    break
        finally:
            exchange.over.set()
            if not exchange.is_complete or exchange.headers.get("connection") == "close":
                self._close()

    async def _take(self, step: Step, exchange: Exchange) -> None:
        match step:
            case Head():
                self._transport.write(_head_bytes(step))
                exchange.is_complete = step.body is not None
            case Write(data=data, tokens=tokens):
                await self._writable.wait()
                self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))
                exchange.tokens_written += tokens
            case Pause(delay_us=delay_us):
                await self._clock.sleep(delay_us)
            case Wait(event=event):
                await event.wait()
            case Stall():
                await self._clock.sleep(_FOREVER_US)
            case End():
                self._transport.write(b"0\r\n\r\n")
                exchange.is_complete = True
            case Cut():
                self._close()
            case Reset():
                self._reset()
            case _:
                assert_never(step)

    def _close(self) -> None:
        self._is_closing = True
        self._transport.close()

    def _reset(self) -> None:
        # With a linger time of zero, closing a socket sends RST and not FIN.
        linger = struct.pack("ii", 1, 0)
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._is_closing = True
        self._transport.abort()


def _head_bytes(head: Head) -> bytes:
    framing = ("transfer-encoding", "chunked")
    if head.body is not None:
        framing = ("content-length", str(len(head.body)))
    lines = [f"{name}: {value}\r\n" for name, value in (*head.headers, framing)]
    text = f"HTTP/1.1 {head.status} Scripted\r\n{''.join(lines)}\r\n"
    return text.encode("latin-1") + (head.body or b"")
