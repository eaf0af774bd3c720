"""What a client may send beside a body, over a real socket."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from uvicorn.server import ServerState

from chatnest.app.config import ChatNestConfig
from chatnest.app.http_protocol import MOST_BYTES_BESIDE_BODY, BoundedProtocol
from chatnest.app.server import uvicorn_settings
from tests.support.client import WAIT_S

CHUNKED = b"POST / HTTP/1.1\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"


async def body_size(scope: Any, receive: Any, send: Any) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    answer = str(size).encode()
    headers = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


@pytest.fixture
async def port() -> AsyncGenerator[int, None]:
    settings = uvicorn_settings(ChatNestConfig(), body_size)
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: BoundedProtocol(settings, state, {}), "127.0.0.1", 0
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


async def answer(port: int, *pieces: bytes) -> tuple[bytes, int]:
    """The answer to *pieces*, and how many of their bytes the server took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent = 0
    try:
        async with asyncio.timeout(WAIT_S):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                sent += len(piece)
                await asyncio.sleep(0)
            return await reader.read(), sent
    except ConnectionError:
        return b"", sent
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("first", "endless"),
    [
        (b"", b"\r\n" * 32_768),
        (b"GET / HTTP/1.1\r\n", b"x: " + b"y" * 65_536 + b"\r\n"),
        (b"GET / HTTP/1.1\r\nx: ", b"y" * 65_536),
        (CHUNKED + b"0\r\n", b"x: " + b"y" * 65_536 + b"\r\n"),
    ],
    ids=["no-request", "headers", "one-header", "trailers"],
)
async def test_whoever_sends_no_end_of_headers_is_cut_off(
    port: int, first: bytes, endless: bytes
) -> None:
    told, taken = await answer(port, first, *[endless] * 1_000)
    assert told == b"" or told.startswith(b"HTTP/1.1 400 ")
    # What the two sockets hold comes on top.
    assert taken < 20 * MOST_BYTES_BESIDE_BODY


def request(padding: int, connection: bytes) -> bytes:
    head = b"GET / HTTP/1.1\r\nconnection: " + connection
    return head + b"\r\nx: " + b"y" * padding + b"\r\n\r\n"


async def test_headers_up_to_the_bound_are_read(port: int) -> None:
    told, _ = await answer(port, request(MOST_BYTES_BESIDE_BODY - 100, b"close"))
    assert told.startswith(b"HTTP/1.1 200 ")


async def test_a_large_body_is_not_what_is_bounded(port: int) -> None:
    chunk = b"10000\r\n" + b"z" * 65_536 + b"\r\n"
    told, _ = await answer(port, CHUNKED, *[chunk] * 100, b"0\r\n\r\n")
    assert told.endswith(b"\r\n\r\n6553600")


async def test_every_request_of_a_connection_has_its_own_bound(port: int) -> None:
    half = MOST_BYTES_BESIDE_BODY // 2
    told, _ = await answer(port, *[request(half, b"keep-alive")] * 4, request(half, b"close"))
    assert told.count(b"HTTP/1.1 200 ") == 5
