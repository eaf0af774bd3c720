"""A client that does nothing by itself: one socket, one request, and the bytes that come back."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Self

WAIT_S = 30


class Event:
    """One server-sent event, as a client that splits the stream on two LFs sees it."""

    def __init__(self, frame: str) -> None:
        head, _, data = frame.partition("\n")
        self.name = head.removeprefix("event: ")
        self.data = data.removeprefix("data: ")

    @property
    def json(self) -> Any:
        return json.loads(self.data)

    def __repr__(self) -> str:
        return f"<{self.name} {self.data}>"


class Exchange:
    """One request on a connection of its own; leaving the context closes the connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._chunks: AsyncIterator[bytes] | None = None
        self.status = 0
        self.headers: dict[str, str] = {}

    @classmethod
    async def open(
        cls,
        port: int,
        path: str,
        *,
        method: str = "POST",
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        limit: int = 2**16,
    ) -> Self:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
        lines = {
            "host": "localhost",
            "content-type": "application/json",
            "content-length": str(len(body)),
            **(headers or {}),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        return cls(reader, writer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up, at once and without a goodbye."""
        self._writer.transport.abort()

    async def head(self) -> int:
        """The response's status, after reading its headers."""
        async with asyncio.timeout(WAIT_S):
            if not self.status:
                status_line = await self._reader.readline()
                self.status = int(status_line.split()[1])
                while line := (await self._reader.readline()).decode().strip():
                    name, _, value = line.partition(":")
                    self.headers[name.lower()] = value.strip()
        return self.status

    async def body(self) -> bytes:
        """The whole body."""
        await self.head()
        async with asyncio.timeout(WAIT_S):
            if "content-length" in self.headers:
                return await self._reader.readexactly(int(self.headers["content-length"]))
            return b"".join([chunk async for chunk in self._body_chunks()])

    async def json(self) -> Any:
        return json.loads(await self.body())

    async def events(self) -> AsyncIterator[Event]:
        """The events of a stream as they come; ends with the response."""
        await self.head()
        buffer = ""
        async for chunk in self._body_chunks():
            buffer += chunk.decode()
            *frames, buffer = buffer.split("\n\n")
            for frame in frames:
                yield Event(frame)
        assert buffer == "", f"the stream broke off in the middle of a frame: {buffer!r}"

    async def _body_chunks(self) -> AsyncIterator[bytes]:
        while True:
            async with asyncio.timeout(WAIT_S):
                size = int((await self._reader.readline()) or b"0", 16)
                chunk = await self._reader.readexactly(size + 2)
            if size == 0:
                return
            yield chunk[:-2]


async def chat(port: int, *texts: str, **fields: object) -> Exchange:
    """Send a conversation of one user's messages, and *fields* beside it in the body."""
    messages = [
        {"id": str(index), "role": "user", "content": text} for index, text in enumerate(texts)
    ]
    body = json.dumps({"messages": messages, **fields}).encode()
    return await Exchange.open(port, "/api/chat", body=body)


async def usage(port: int, scope: str | None = None) -> dict[str, dict[str, Any]]:
    """The limits of *scope*, or the caller's own, by name."""
    async with await Exchange.open(port, "/api/usage", method="GET") as exchange:
        report = await exchange.json()
    whose = scope or report["principal"]
    return {limit["name"]: limit for limit in report["limits"] if limit["scope"] == whose}
