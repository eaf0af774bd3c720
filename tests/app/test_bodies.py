"""Reading a body, at the level of what a server hands over: no more bytes and time than allowed."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from litestar import Litestar, Request, post
from litestar.response.base import ASGIResponse

from chatnest.app.bodies import BODY_WAIT_S, read_body
from chatnest.domain.errors import InvalidRequestError
from chatnest.testing.clock import ManualClock

MOST_BYTES = 10
SECOND_US = 1_000_000
MEBIBYTE = 1024 * 1024
DISCONNECT = {"type": "http.disconnect"}


class Client:
    """Sends one request piece by piece, and has what was read of it."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._pieces: asyncio.Queue[Any] = asyncio.Queue()
        self._answer: asyncio.Queue[Any] = asyncio.Queue()
        self.pieces_read = 0

    async def send(self, piece: bytes, *, last: bool = False) -> None:
        self._pieces.put_nowait({"type": "http.request", "body": piece, "more_body": not last})
        await self.wait(0)

    async def leave(self) -> None:
        self._pieces.put_nowait(DISCONNECT)
        await self.wait(0)

    async def wait(self, seconds: float) -> None:
        await self._clock.run_for(round(seconds * SECOND_US))

    @property
    def answered(self) -> bool:
        return not self._answer.empty()

    async def outcome(self) -> Any:
        """What the body was, or why there is none."""
        async with asyncio.timeout(10):
            message = await self._answer.get()
        return json.loads(message["body"])

    async def give(self) -> Any:
        piece = await self._pieces.get()
        self.pieces_read += 1
        return piece

    async def take(self, message: Any) -> None:
        if message["type"] == "http.response.body":
            self._answer.put_nowait(message)


@asynccontextmanager
async def reading(content_type: str = "application/json") -> AsyncGenerator[Client, None]:
    clock = ManualClock()

    @post("/", request_max_body_size=None)
    async def read(request: Request[Any, Any, Any]) -> ASGIResponse:
        try:
            told: Any = {"body": (await read_body(request, MOST_BYTES, clock)).decode()}
        except InvalidRequestError as error:
            told = {"reason": error.reason}
        assert clock.pending == 0
        return ASGIResponse(body=json.dumps(told).encode())

    client = Client(clock)
    scope: Any = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "raw_path": b"/",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"content-type", content_type.encode())],
        "client": ("192.0.2.1", 5000),
        "server": ("192.0.2.2", 80),
        "scheme": "http",
        "http_version": "1.1",
        "state": {},
    }
    app = Litestar([read], logging_config=None, openapi_config=None)
    answering = asyncio.ensure_future(app(scope, client.give, client.take))
    await client.wait(0)
    try:
        yield client
        async with asyncio.timeout(10):
            await answering
    finally:
        answering.cancel()


async def test_a_body_is_its_pieces_together() -> None:
    async with reading() as client:
        await client.send(b"abc")
        await client.send(b"")
        assert not client.answered
        await client.send(b"defghij", last=True)
        assert await client.outcome() == {"body": "abcdefghij"}


@pytest.mark.parametrize("pieces", [[b"x" * 11], [b"x" * 10, b"x"], [b"x"] * 11])
async def test_one_byte_too_many_is_refused_once_all_have_come(pieces: list[bytes]) -> None:
    async with reading() as client:
        for piece in pieces:
            await client.send(piece)
        assert not client.answered
        await client.send(b"", last=True)
        assert await client.outcome() == {"reason": "the body is larger than 10 bytes; send less"}


async def test_a_body_without_end_is_not_read_for_ever() -> None:
    async with reading() as client:
        for _ in range(64):
            await client.send(b"x" * MEBIBYTE)
        assert not client.answered
        await client.send(b"x")
        assert await client.outcome() == {"reason": "the body is larger than 10 bytes; send less"}
        assert client.pieces_read == 65


async def test_a_slow_body_is_waited_for_until_its_time_is_over_and_no_longer() -> None:
    late = {"reason": f"the body did not arrive within {BODY_WAIT_S} s"}
    async with reading() as client:
        for _ in range(BODY_WAIT_S - 1):
            await client.wait(1)
            await client.send(b"")
        await client.wait(0.999)
        assert not client.answered
        await client.wait(0.001)
        assert await client.outcome() == late


async def test_a_body_that_comes_in_the_last_moment_is_read() -> None:
    async with reading() as client:
        await client.wait(BODY_WAIT_S - 0.001)
        await client.send(b"{}", last=True)
        assert await client.outcome() == {"body": "{}"}


@pytest.mark.parametrize("pieces", [[], [b"{"], [b"x" * 11]])
async def test_a_body_that_breaks_off_is_refused_at_once(pieces: list[bytes]) -> None:
    async with reading() as client:
        for piece in pieces:
            await client.send(piece)
        await client.leave()
        assert await client.outcome() == {"reason": "the body broke off"}


@pytest.mark.parametrize(
    ("content_type", "accepted"),
    [
        ("application/json", True),
        ("Application/JSON ; charset=utf-8", True),
        ("application/vnd.api+json", True),
        ("", False),
        ("text/plain", False),
        ("text/plain; application/json", False),
        ("text/plain;x=application/json", False),
        ("application/x-www-form-urlencoded", False),
        ("multipart/form-data; boundary=json", False),
    ],
)
async def test_only_what_is_declared_as_json_is_taken(content_type: str, accepted: bool) -> None:
    refused = {"reason": "the body must be sent as content-type application/json"}
    async with reading(content_type) as client:
        await client.send(b"{}", last=True)
        assert await client.outcome() == ({"body": "{}"} if accepted else refused)


async def test_no_body_is_an_empty_one_whatever_it_is_declared_as() -> None:
    async with reading("text/plain") as client:
        await client.send(b"", last=True)
        assert await client.outcome() == {"body": ""}
