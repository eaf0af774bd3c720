"""How answers are told from what comes over a connection, whole or broken."""

import asyncio
import gc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import pairwise

import aiohttp
import pytest
from httptools import HttpParserError
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from chatnest.adapters.providers.http_exchange import HttpExchange
from tests.support.raw_server import RawServer

LONGEST_S = 10
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n"
MEGABYTE = b"x" * 1_000_000
HELLO = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
    CHUNKED + b"b\r\nhello world\r\n0\r\n\r\n",
    CHUNKED + b"5\r\nhello\r\n1;a=b\r\n \r\n05\r\nworld\r\n0\r\nx-after: 1\r\nand: 2\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world",
    b"HTTP/1.1 200 OK\ncontent-length:11\n\nhello world",
    CHUNKED[:-2] + b"x: \x01\r\n\r\nb  \r\nhello world\r\n0\r\n\r\n",
)


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both event loops that servers run on: connections are theirs."""
    return "asyncio", {"use_uvloop": request.param}


async def say_nothing(_: asyncio.StreamWriter) -> None:
    """The server has the request, and leaves it at that."""


@asynccontextmanager
async def exchange_with(
    server: RawServer, longest_silence_s: float = LONGEST_S
) -> AsyncGenerator[HttpExchange]:
    """An exchange whose request has left."""
    async with server, asyncio.timeout(LONGEST_S), aiohttp.TCPConnector() as connector:
        request = aiohttp.ClientRequest("POST", URL(server.url))
        connection = await connector.connect(request, [], aiohttp.ClientTimeout())
        assert connection.protocol is not None
        assert connection.transport is not None
        exchange = HttpExchange(
            connection, connection.protocol, connection.transport, longest_silence_s
        )
        exchange.send(b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
        yield exchange
        exchange.close()


async def body_of(exchange: HttpExchange) -> bytes:
    await exchange.begun()
    read = []
    while piece := await exchange.read():
        read.append(piece)
    assert await exchange.read() == b""
    return b"".join(read)


@st.composite
def reads(draw: st.DrawFn) -> list[bytes]:
    """An answer that says hello, cut anywhere."""
    answer = draw(st.sampled_from(HELLO))
    cuts = draw(st.sets(st.integers(1, len(answer) - 1)))
    return [answer[begin:end] for begin, end in pairwise([0, *sorted(cuts), len(answer)])]


@given(reads=reads(), each_alone=st.booleans())
async def test_an_answer_is_the_same_wherever_reads_cut_it(
    reads: list[bytes], each_alone: bool
) -> None:
    async with exchange_with(RawServer(say_nothing)) as exchange:
        reading = asyncio.create_task(body_of(exchange))
        for read in reads:
            exchange.data_received(read)
            if each_alone:
                await asyncio.sleep(0)
        assert await reading == b"hello world"
        assert exchange.status == 200
        assert not exchange.is_open


async def test_everything_that_has_come_is_one_read() -> None:
    async with exchange_with(RawServer(say_nothing)) as exchange:
        exchange.data_received(CHUNKED + b"1\r\na\r\n1\r\nb\r\n")
        exchange.data_received(b"1\r\nc\r\n1\r\n")
        assert await exchange.read() == b"abc"


async def test_headers_are_found_by_their_lower_case_names() -> None:
    fields = b"Retry-After:  7 \r\nretry-after: 8\r\nX:\r\nContent-Length: 0\r\n"
    answer = b"HTTP/1.1 429 No\r\n" + fields + b"\r\n"
    async with exchange_with(RawServer(answer)) as exchange:
        await exchange.begun()
        assert exchange.status == 429
        assert exchange.header(b"retry-after") == b"7"
        assert exchange.header(b"x") == exchange.header(b"y") == b""
        assert exchange.headers[1] == (b"retry-after", b"8")


async def test_nothing_of_an_announcement_is_in_the_answer() -> None:
    async with exchange_with(RawServer(HELLO[3])) as exchange:
        await exchange.begun()
        assert exchange.headers == [(b"content-length", b"11")]


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_never_has_a_body_ends_with_its_head(status: int) -> None:
    async with exchange_with(RawServer(b"HTTP/1.1 %d No\r\n\r\n" % status)) as exchange:
        assert await body_of(exchange) == b""


async def hang_up(writer: asyncio.StreamWriter, said: bytes) -> None:
    writer.write(said)
    await writer.drain()
    writer.close()


async def test_a_body_without_a_length_ends_with_its_connection() -> None:
    server = RawServer(lambda writer: hang_up(writer, UNTIL_CLOSED + b"hello"))
    async with exchange_with(server) as exchange:
        assert await body_of(exchange) == b"hello"
        assert not exchange.is_open


async def test_a_body_without_a_length_does_not_end_with_a_broken_connection() -> None:
    async with exchange_with(RawServer(say_nothing)) as exchange:
        exchange.data_received(UNTIL_CLOSED + b"hello")
        assert await exchange.read() == b"hello"
        exchange.connection_lost(ConnectionResetError("broken"))
        with pytest.raises(ConnectionResetError, match="broken"):
            await exchange.read()


async def test_a_body_without_a_length_that_was_left_has_no_end() -> None:
    async with exchange_with(RawServer(UNTIL_CLOSED + b"hello")) as exchange:
        assert await exchange.read() == b"hello"
        exchange.close()
        with pytest.raises(ConnectionResetError):
            await exchange.read()


@pytest.mark.parametrize(
    "begun",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"b\r\nhello",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n5\r\nhello\r\n",
    ],
)
async def test_a_body_that_ends_before_its_end_is_broken(begun: bytes) -> None:
    async with exchange_with(RawServer(lambda writer: hang_up(writer, begun))) as exchange:
        await exchange.begun()
        assert await exchange.read() == b"hello"
        with pytest.raises(ConnectionResetError):
            await exchange.read()
        assert not exchange.is_open


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 2", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_a_head_that_ends_before_its_end_is_none(begun: bytes) -> None:
    async with exchange_with(RawServer(lambda writer: hang_up(writer, begun))) as exchange:
        with pytest.raises(ConnectionResetError):
            await exchange.begun()
        assert not exchange.is_open


@pytest.mark.parametrize(
    "garbage",
    [
        b"220 mail.test ready\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HTTP/7.0 200 OK\r\n\r\n",
        b"HTTP/1.1 099 Low\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_no_answer(garbage: bytes) -> None:
    server = RawServer(garbage)
    async with exchange_with(server) as exchange:
        with pytest.raises(HttpParserError):
            await exchange.begun()
        assert not exchange.is_open
        await server.gone.wait()


async def test_a_body_that_is_not_http_is_read_as_far_as_it_is() -> None:
    async with exchange_with(RawServer(CHUNKED + b"5\r\nhello\r\nnot a number")) as exchange:
        assert await exchange.read() == b"hello"
        with pytest.raises(HttpParserError):
            await exchange.read()


@pytest.mark.parametrize(
    "endless",
    [
        b"HTTP/1.1 200 " + MEGABYTE,
        b"HTTP/1.1 200 OK\r\nx: " + MEGABYTE,
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000,
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 20_000,
    ],
    ids=["status line", "header", "headers", "announcements"],
)
async def test_a_head_that_does_not_end_is_refused(endless: bytes) -> None:
    async with exchange_with(RawServer(endless)) as exchange:
        with pytest.raises(HttpParserError, match="too large"):
            await exchange.begun()


@pytest.mark.parametrize("endless", [b"0\r\nx: ", b"0;"], ids=["trailer", "extension"])
async def test_a_body_whose_end_does_not_end_is_broken(endless: bytes) -> None:
    async with exchange_with(RawServer(CHUNKED + b"1\r\na\r\n")) as exchange:
        assert await exchange.read() == b"a"
        exchange.data_received(endless)
        while exchange.is_open:
            exchange.data_received(b"x" * 20_000)
        with pytest.raises(HttpParserError, match="too large"):
            await exchange.read()


async def test_a_server_waits_for_whoever_does_not_read() -> None:
    written = 0

    async def write_much(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 50000000\r\n\r\n")
        for _ in range(50):
            writer.write(MEGABYTE)
            await writer.drain()
            written += 1

    async with exchange_with(RawServer(write_much)) as exchange:
        await exchange.begun()
        before = -1
        while before < written:
            before = written
            await asyncio.sleep(0.05)
        assert written < 25
        assert await body_of(exchange) == MEGABYTE * 50
        assert written == 50


async def test_a_long_answer_is_not_a_large_one() -> None:
    async with exchange_with(RawServer(say_nothing)) as exchange:
        exchange.data_received(CHUNKED)
        for _ in range(100):
            exchange.data_received(b"800\r\n")
            exchange.data_received(b"x" * 0x800)
            exchange.data_received(b"\r\n")
            assert await exchange.read() == b"x" * 0x800
        assert exchange.is_open


async def test_what_came_before_a_connection_broke_is_still_read() -> None:
    async with exchange_with(RawServer(say_nothing)) as exchange:
        exchange.data_received(CHUNKED + b"5\r\nhello\r\n")
        exchange.connection_lost(None)
        assert await exchange.read() == b"hello"
        with pytest.raises(ConnectionResetError):
            await exchange.read()


@pytest.mark.parametrize(
    "said",
    [b"", b"HTTP/1.1 200", CHUNKED, CHUNKED + b"1\r\na\r\n", UNTIL_CLOSED, UNTIL_CLOSED + b"a"],
)
async def test_a_server_that_falls_silent_is_left(said: bytes) -> None:
    server = RawServer(said)
    async with exchange_with(server, 0.05) as exchange:
        with pytest.raises(TimeoutError):
            await body_of(exchange)
        await server.gone.wait()


async def test_a_silence_is_counted_from_what_was_heard_last() -> None:
    loop = asyncio.get_running_loop()
    async with exchange_with(RawServer(say_nothing), 0.2) as exchange:
        begun = loop.time()
        await asyncio.sleep(0.1)
        exchange.data_received(CHUNKED)
        with pytest.raises(TimeoutError):
            await exchange.read()
        assert loop.time() - begun >= 0.28


async def test_who_does_not_read_is_not_taken_for_a_silent_server() -> None:
    async def write_much(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 50000000\r\n\r\n" + MEGABYTE * 50)

    async with exchange_with(RawServer(write_much), 0.1) as exchange:
        await exchange.begun()
        await asyncio.sleep(0.4)
        assert await body_of(exchange) == MEGABYTE * 50


async def test_the_silence_of_a_server_that_had_to_wait_begins_when_it_need_not() -> None:
    loop = asyncio.get_running_loop()
    async with exchange_with(RawServer(say_nothing), 0.2) as exchange:
        exchange.data_received(CHUNKED + b"186a0\r\n" + b"x" * 100_000)
        await asyncio.sleep(0.35)
        resumed = loop.time()
        assert await exchange.read() == b"x" * 100_000
        with pytest.raises(TimeoutError):
            await exchange.read()
        assert loop.time() - resumed >= 0.18


async def test_a_server_that_takes_a_request_in_is_not_silent() -> None:
    async with exchange_with(RawServer(say_nothing), 0.2) as exchange:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await asyncio.sleep(0.1)
        exchange.resume_writing()
        with pytest.raises(TimeoutError):
            await exchange.begun()
        assert loop.time() - begun >= 0.28


async def test_a_reader_that_was_cancelled_can_be_followed_by_another() -> None:
    async with exchange_with(RawServer(say_nothing)) as exchange:
        exchange.data_received(CHUNKED)
        reading = asyncio.create_task(exchange.read())
        await asyncio.sleep(0)
        reading.cancel()
        exchange.data_received(b"1\r\na\r\n")
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await exchange.read() == b"a"


async def test_an_exchange_that_is_over_leaves_nothing_to_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        async with exchange_with(RawServer(HELLO[1])) as exchange:
            await body_of(exchange)
        del exchange
        assert not [one for one in gc.get_objects() if type(one) is HttpExchange]
    finally:
        gc.enable()
