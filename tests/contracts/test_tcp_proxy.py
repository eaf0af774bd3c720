"""The proxy that the stores' faults are made with, in front of a server that echoes lines."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from chatnest.testing.tcp_proxy import TcpProxy


class Echo:
    """Answers each line with itself, and keeps what it was sent."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.left = asyncio.Event()
        self.port = 0
        self._tasks: set[asyncio.Task[None] | None] = set()

    async def __aenter__(self) -> "Echo":
        self._server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *reason: object) -> None:
        self._server.close()
        await asyncio.gather(*(task for task in self._tasks if task), return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        try:
            while line := await reader.readline():
                self.heard.append(line)
                writer.write(line)
                await writer.drain()
        except OSError:
            pass
        writer.close()
        self.left.set()


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, line: bytes) -> None:
        self._writer.write(line)

    async def receive(self) -> bytes:
        """The next line; nothing where the connection was dropped."""
        async with asyncio.timeout(5):
            try:
                return await self._reader.readline()
            except ConnectionError:
                return b""

    async def ask(self, line: bytes) -> bytes:
        self.send(line)
        return await self.receive()

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    async with Echo() as server:
        yield server


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[TcpProxy]:
    async with TcpProxy("127.0.0.1", echo.port) as between:
        yield between


@pytest.fixture
async def client(proxy: TcpProxy) -> AsyncIterator[Client]:
    opened = await connect(proxy)
    yield opened
    opened.close()


async def connect(proxy: TcpProxy) -> Client:
    return Client(*await asyncio.open_connection("127.0.0.1", proxy.port))


async def meets(proxy: TcpProxy) -> None:
    async with asyncio.timeout(5):
        await proxy.fault_met()


async def test_bytes_pass_in_both_directions(client: Client) -> None:
    for line in (b"one\n", b"two\n", b"x" * 60_000 + b"\n"):
        assert await client.ask(line) == line


async def test_a_lost_reply_is_to_a_request_that_was_heard(
    echo: Echo, proxy: TcpProxy, client: Client
) -> None:
    assert await client.ask(b"before\n") == b"before\n"
    proxy.lose_replies()
    assert await client.ask(b"lost\n") == b""
    await meets(proxy)
    assert echo.heard == [b"before\n", b"lost\n"]
    await proxy.heal()
    again = await connect(proxy)
    assert await again.ask(b"after\n") == b"after\n"
    again.close()


async def test_as_many_replies_pass_as_were_asked_for(proxy: TcpProxy, client: Client) -> None:
    proxy.lose_replies(after=2)
    answers = [await client.ask(line) for line in (b"1\n", b"2\n", b"3\n")]
    assert answers == [b"1\n", b"2\n", b""]


async def test_replies_are_lost_as_many_times_as_asked_for(proxy: TcpProxy) -> None:
    proxy.lose_replies(after=1, times=2)
    answers = []
    for line in (b"1\n", b"2\n", b"3\n", b"4\n"):
        client = await connect(proxy)
        answers.append(await client.ask(line))
        client.close()
    assert answers == [b"1\n", b"", b"", b"4\n"]


async def test_a_cut_drops_connections_and_takes_further_ones(
    proxy: TcpProxy, client: Client
) -> None:
    assert await client.ask(b"before\n") == b"before\n"
    proxy.cut()
    assert await client.receive() == b""
    again = await connect(proxy)
    assert await again.ask(b"after\n") == b"after\n"
    again.close()


async def test_refused_clients_get_in_at_the_same_port_after_healing(
    proxy: TcpProxy, client: Client
) -> None:
    assert await client.ask(b"before\n") == b"before\n"
    for _ in range(3):
        proxy.refuse()
        assert await client.receive() == b""
        with pytest.raises(ConnectionRefusedError):
            await connect(proxy)
        await proxy.heal()
        again = await connect(proxy)
        assert await again.ask(b"after\n") == b"after\n"
        again.close()


async def test_a_stalled_connection_is_dead_and_others_are_not(
    echo: Echo, proxy: TcpProxy, client: Client
) -> None:
    idle = await connect(proxy)
    assert await idle.ask(b"before\n") == b"before\n"
    proxy.stall()
    client.send(b"swallowed\n")
    await meets(proxy)
    await proxy.heal()
    client.send(b"for nobody\n")
    assert await idle.ask(b"after\n") == b"after\n"
    assert echo.heard == [b"before\n", b"after\n"]
    idle.close()


async def test_delayed_bytes_arrive_although_the_client_has_left(
    echo: Echo, proxy: TcpProxy, client: Client
) -> None:
    assert await client.ask(b"before\n") == b"before\n"
    proxy.delay()
    client.send(b"late\n")
    await meets(proxy)
    client.close()
    assert echo.heard == [b"before\n"]
    await proxy.heal()
    async with asyncio.timeout(5):
        await echo.left.wait()
    assert echo.heard == [b"before\n", b"late\n"]


async def test_a_server_that_is_not_there_drops_its_clients(echo: Echo) -> None:
    async with TcpProxy("127.0.0.1", 1) as proxy:
        client = await connect(proxy)
        assert await client.receive() == b""
        client.close()


async def test_leaving_the_proxy_drops_whoever_is_connected(echo: Echo) -> None:
    async with TcpProxy("127.0.0.1", echo.port) as proxy:
        client = await connect(proxy)
        assert await client.ask(b"before\n") == b"before\n"
        assert proxy.connections == 1
    assert await client.receive() == b""
    assert proxy.connections == 0
    client.close()
