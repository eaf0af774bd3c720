"""The mock upstream that the provider tests stand on, seen through a plain socket."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest

from chatnest.testing.clock import ManualClock
from chatnest.testing.openai_scripts import completion, in_pieces, refusal, text
from chatnest.testing.upstream import (
    Cut,
    End,
    Head,
    MockUpstream,
    Pause,
    Reset,
    Script,
    Stall,
    Write,
)

LONGEST_S = 10
BODY = json.dumps({"model": "m"}).encode()
REQUEST = b"POST /v1/x HTTP/1.1\r\nX-Name: Value\r\nContent-Length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)


@pytest.fixture
async def upstream() -> AsyncIterator[MockUpstream]:
    async with MockUpstream() as upstream:
        yield upstream


async def connect(upstream: MockUpstream) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = upstream.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    return await asyncio.open_connection(host, int(port))


async def ask(upstream: MockUpstream, script: Script) -> bytes:
    """Everything that the upstream says until it closes the connection."""
    upstream.scripts = script
    reader, writer = await connect(upstream)
    writer.write(REQUEST)
    async with asyncio.timeout(LONGEST_S):
        answer = await reader.read()
    writer.close()
    return answer


async def test_a_request_is_recorded_as_it_came(upstream: MockUpstream) -> None:
    await ask(upstream, (Head(), Cut()))
    (exchange,) = upstream.exchanges
    assert (exchange.method, exchange.path) == ("POST", "/v1/x")
    assert exchange.headers["x-name"] == "Value"
    assert exchange.json == {"model": "m"}
    assert exchange.over.is_set()


async def test_a_script_is_written_as_chunks(upstream: MockUpstream) -> None:
    answer = await ask(upstream, (Head(headers=(("a", "b"),)), Write(b"hello"), Cut()))
    assert answer == (
        b"HTTP/1.1 200 Scripted\r\na: b\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"
    )
    assert not upstream.exchanges[0].is_complete


async def test_a_refusal_is_a_whole_response(upstream: MockUpstream) -> None:
    upstream.scripts = refusal(429, retry_after="7")
    reader, writer = await connect(upstream)
    writer.write(REQUEST)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 429 ")
    assert b"\r\nretry-after: 7\r\n" in head
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert "error" in json.loads(await reader.readexactly(length))
    writer.close()


async def test_requests_of_one_connection_are_answered_in_turn(upstream: MockUpstream) -> None:
    upstream.scripts = (Head(), End())
    reader, writer = await connect(upstream)
    writer.write(REQUEST * 2 + REQUEST[:20])
    for _ in range(2):
        await reader.readuntil(b"0\r\n\r\n")
    writer.write(REQUEST[20:])
    await reader.readuntil(b"0\r\n\r\n")
    writer.close()
    assert [one.connection.number for one in upstream.exchanges] == [1, 1, 1]


@pytest.mark.parametrize(
    "script", [(Stall(),), (Head(), text("a"), Stall()), (Head(), Pause(10**9))]
)
async def test_a_client_that_goes_is_noticed_at_once(
    upstream: MockUpstream, script: Script
) -> None:
    upstream.scripts = script
    _, writer = await connect(upstream)
    writer.write(REQUEST)
    exchange = await upstream.exchange(1)
    assert not exchange.connection.gone.is_set()
    left = time.monotonic()
    writer.close()
    async with asyncio.timeout(LONGEST_S):
        await exchange.connection.gone.wait()
        await exchange.over.wait()
    assert exchange.connection.gone_us is not None
    assert 0 <= exchange.connection.gone_us / 1e6 - left < 0.05


async def test_a_client_that_only_stops_sending_counts_as_gone(upstream: MockUpstream) -> None:
    upstream.scripts = (Head(), *[Write(b"x" * 100_000)] * 1_000, Stall())
    _, writer = await connect(upstream)
    writer.write(REQUEST)
    exchange = await upstream.exchange(1)
    writer.write_eof()
    async with asyncio.timeout(LONGEST_S):
        await exchange.connection.gone.wait()
        await exchange.over.wait()
    writer.close()


async def test_a_client_that_stays_is_not_called_gone(upstream: MockUpstream) -> None:
    await ask(upstream, (Head(), Cut()))
    with pytest.raises(ConnectionResetError):
        await ask(upstream, (Head(), Reset()))
    assert not any(connection.gone.is_set() for connection in upstream.connections)


async def test_tokens_count_when_they_are_written() -> None:
    clock = ManualClock()
    async with MockUpstream(completion(("a", "b"), delay_us=100), clock=clock) as upstream:
        _, writer = await connect(upstream)
        writer.write(REQUEST)
        exchange = await upstream.exchange(1)
        await clock.run_for(99)
        assert exchange.tokens_written == 1
        await clock.run_for(1)
        assert exchange.tokens_written == 2
        assert exchange.is_complete
        writer.close()


async def test_a_client_that_does_not_read_stops_the_writing(upstream: MockUpstream) -> None:
    upstream.scripts = (Head(), *[Write(b"x" * 100_000, tokens=1)] * 1_000, End())
    reader, writer = await connect(upstream)
    writer.write(REQUEST)
    exchange = await upstream.exchange(1)
    for _ in range(200):
        await asyncio.sleep(0)
    assert exchange.tokens_written < 500
    while not exchange.over.is_set():
        await reader.read(1_000_000)
    assert exchange.tokens_written == 1_000
    writer.close()


async def test_bytes_can_be_written_in_any_pieces(upstream: MockUpstream) -> None:
    answer = await ask(upstream, (*in_pieces(b"abc", 2, 0)[:-1], Cut()))
    assert answer.endswith(b"\r\n\r\n2\r\nab\r\n1\r\nc\r\n")


async def test_leaving_the_context_ends_every_connection() -> None:
    async with MockUpstream((Stall(),)) as upstream:
        reader, writer = await connect(upstream)
        writer.write(REQUEST)
        await upstream.exchange(1)
    assert await reader.read() == b""
    assert upstream.exchanges[0].over.is_set()
    writer.close()
