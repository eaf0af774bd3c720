"""The floor: what Python allows. Bytes go in and out as they come, and nothing looks at them.

A bare ASGI application under the same server as ChatNest, with aiohttp's client. It does the least
that a proxy must: it stops asking when its client has gone.

    python -m bench.servers.passthrough PORT ORIGIN
"""

import asyncio
import sys
from typing import Any, Final

import aiohttp
import uvicorn
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from bench.servers.server import Server, python_server

PASS_THROUGH: Final = Server("pass-through", "openai", python_server("bench.servers.passthrough"))
_HEADERS: Final = {"authorization": "Bearer unused", "content-type": "application/json"}


class PassThrough:
    """The application."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._client: aiohttp.ClientSession | None = None

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        assert scope["type"] == "http"
        body = await _read(receive)
        asking = asyncio.ensure_future(self._answer(scope["path"], body, send))
        leaving = asyncio.ensure_future(_gone(receive))
        await asyncio.wait((asking, leaving), return_when=asyncio.FIRST_COMPLETED)
        asking.cancel()
        leaving.cancel()

    async def _answer(self, path: str, body: bytes, send: ASGISendCallable) -> None:
        async with self._session().post(
            self._origin + path, data=body, headers=_HEADERS
        ) as response:
            content_type = response.headers["content-type"].encode()
            await send(
                {
                    "type": "http.response.start",
                    "status": response.status,
                    "headers": [(b"content-type", content_type)],
                    "trailers": False,
                }
            )
            async for read in response.content.iter_any():
                await send({"type": "http.response.body", "body": read, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _session(self) -> aiohttp.ClientSession:
        if self._client is None:
            connector = aiohttp.TCPConnector(limit=0)
            unlimited = aiohttp.ClientTimeout(total=None)
            self._client = aiohttp.ClientSession(connector=connector, timeout=unlimited)
        return self._client


async def _read(receive: ASGIReceiveCallable) -> bytes:
    body = b""
    more = True
    while more:
        message: Any = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _gone(receive: ASGIReceiveCallable) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def main() -> None:
    """Serve until the process is ended."""
    port, origin = sys.argv[1:]
    uvicorn.run(
        PassThrough(origin),
        port=int(port),
        loop="uvloop",
        http="httptools",
        interface="asgi3",
        lifespan="off",
        ws="none",
        proxy_headers=False,
        access_log=False,
        log_level="warning",
        backlog=4_096,
    )


if __name__ == "__main__":
    main()
