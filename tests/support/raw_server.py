"""A server that answers requests with exactly the bytes that a test gives it."""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

_LENGTH = re.compile(rb"content-length: (\d+)")

Writes = Callable[[asyncio.StreamWriter], Awaitable[None]]


class RawServer:
    """Answers each request with *answer*; a function writes it as it likes.

    ``requests`` are all that came whole, and ``writers`` the connections. ``gone`` is set when a
    client has left one.
    """

    def __init__(self, answer: bytes | Writes, tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.gone = asyncio.Event()
        self._tls = tls

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        self.url = f"{'http' if self._tls is None else 'https'}://{self.address}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for writer in self.writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length[1])) if length else b""
                self.requests.append(head + body)
                if callable(self.answer):
                    await self.answer(writer)
                else:
                    writer.write(self.answer)
        self.gone.set()
        writer.close()
