"""Which connection a request gets, and what becomes of it afterwards."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from yarl import URL

from chatnest.adapters.providers.connections import Connections
from chatnest.adapters.providers.http_exchange import HttpExchange
from chatnest.adapters.providers.http_session import HttpSession
from chatnest.domain.errors import Failure, FailureKind, ProviderError
from tests.support.certificates import makes_certificates, self_signed, server_side
from tests.support.raw_server import RawServer

LONGEST_S = 10
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
ENDLESS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n"
HEADERS = {"authorization": "Bearer sk-secret"}
ALONE = Connections(trust_env=False)


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both event loops that servers run on: connections are theirs."""
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate that clients take from the environment, in which there is no proxy."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return certificate


@asynccontextmanager
async def session_with(
    server: RawServer, connections: Connections = ALONE
) -> AsyncGenerator[HttpSession]:
    async with server, asyncio.timeout(LONGEST_S):
        session = HttpSession(
            URL(f"{server.url}/v1/chat?a=b%2Fc", encoded=True), HEADERS, connections
        )
        yield session
        await session.aclose()


async def body_of(exchange: HttpExchange) -> bytes:
    body = b""
    while piece := await exchange.read():
        body += piece
    return body


async def ask(session: HttpSession, content: bytes = b"{}") -> bytes:
    return await body_of(await session.post(content, None))


async def settle() -> None:
    """Let what was sent on this machine arrive."""
    await asyncio.sleep(0.05)


async def test_a_request_is_its_head_and_its_body() -> None:
    server = RawServer(ANSWER)
    async with session_with(server) as session:
        assert await ask(session, b"content") == b"hi"
        assert server.requests == [
            b"POST /v1/chat?a=b%%2Fc HTTP/1.1\r\nhost: %b\r\nauthorization: Bearer sk-secret\r\n"
            b"connection: keep-alive\r\ncontent-length: 7\r\n\r\ncontent" % server.address.encode()
        ]


async def test_a_connection_that_is_kept_has_the_next_request() -> None:
    server = RawServer(ANSWER)
    async with session_with(server) as session:
        for _ in range(3):
            assert await ask(session) == b"hi"
        assert (len(server.requests), len(server.writers)) == (3, 1)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi",
        ANSWER + ANSWER,
        ANSWER + b"HTTP",
        ANSWER + b"and more",
    ],
    ids=["close", "version 1.0", "another answer", "begun answer", "garbage"],
)
async def test_a_connection_that_is_of_no_use_has_no_other_request(answer: bytes) -> None:
    server = RawServer(answer)
    async with session_with(server) as session:
        assert await ask(session) == b"hi"
        await server.gone.wait()
        assert await ask(session) == b"hi"
        assert len(server.writers) == 2


async def test_what_is_said_without_being_asked_answers_nothing() -> None:
    server = RawServer(ANSWER)
    async with session_with(server) as session:
        assert await ask(session) == b"hi"
        server.writers[0].write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
        await settle()
        assert await ask(session) == b"hi"
        assert len(server.writers) == 2
        await server.gone.wait()


async def test_a_connection_that_was_lost_meanwhile_is_not_used() -> None:
    server = RawServer(ANSWER)
    async with session_with(server) as session:
        for number in (1, 2, 3):
            assert await ask(session) == b"hi"
            server.writers[-1].close()
            await settle()
            assert len(server.writers) == number


@pytest.mark.parametrize("answer", [ANSWER, b"HTTP/1.1 413 Too Large\r\n\r\nhi"])
async def test_an_answer_that_comes_before_the_whole_request_ends_it(answer: bytes) -> None:
    async def answer_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if answer is not ANSWER:
            writer.write_eof()
        with suppress(OSError):
            await read_on.wait()
            while await reader.read(1_000_000):
                pass
        gone.set()
        writer.close()

    gone, read_on = asyncio.Event(), asyncio.Event()
    async with await asyncio.start_server(answer_early, "127.0.0.1", 0) as server:
        address = "http://{}:{}/".format(*server.sockets[0].getsockname())
        session = HttpSession(URL(address), HEADERS, ALONE)
        async with asyncio.timeout(LONGEST_S):
            exchange = await session.post(b"x" * 40_000_000, None)
            assert await body_of(exchange) == b"hi"
            assert not exchange.is_open
            read_on.set()
            await gone.wait()
        await session.aclose()


async def test_a_paused_connection_is_kept_awake() -> None:
    body = b"x" * 300_000
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n" + body
    server = RawServer(whole)
    async with session_with(server) as session:
        for _ in range(3):
            assert await ask(session) == body
        server.writers[0].close()
        await settle()
        assert await ask(session) == body
        assert len(server.writers) == 2


async def test_closing_a_session_ends_what_is_under_way() -> None:
    async with session_with(RawServer(ENDLESS)) as session:
        exchange = await session.post(b"{}", None)
        assert await exchange.read() == b"hi"
        reading = asyncio.create_task(exchange.read())
        await session.aclose()
        with pytest.raises(ConnectionError):
            await reading
        exchange.close()


@makes_certificates
async def test_an_encrypted_connection_is_kept_too(trusted: Path) -> None:
    server = RawServer(ANSWER, server_side(trusted))
    async with session_with(server, Connections()) as session:
        for _ in range(3):
            assert await ask(session) == b"hi"
        assert (len(server.requests), len(server.writers)) == (3, 1)
        server.writers[0].close()
        await settle()
        assert await ask(session) == b"hi"


@makes_certificates
async def test_an_encrypted_connection_is_left_at_once(trusted: Path) -> None:
    server = RawServer(ENDLESS, server_side(trusted))
    async with session_with(server, Connections()) as session:
        exchange = await session.post(b"{}", None)
        assert await exchange.read() == b"hi"
        exchange.close()
        await server.gone.wait()


@makes_certificates
async def test_an_encrypted_body_of_many_megabytes_arrives_whole(trusted: Path) -> None:
    body = b"x" * 5_000_000
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)
    server = RawServer(head + body, server_side(trusted))
    async with session_with(server, Connections()) as session:
        for _ in range(2):
            assert await ask(session, body) == body
        assert server.requests[1].endswith(body)
        assert len(server.writers) == 1


@makes_certificates
@pytest.mark.parametrize("end", ["close", "abort"])
async def test_an_encrypted_answer_that_is_cut_short_is_broken(trusted: Path, end: str) -> None:
    server = RawServer(ENDLESS, server_side(trusted))
    async with session_with(server, Connections()) as session:
        exchange = await session.post(b"{}", None)
        assert await exchange.read() == b"hi"
        getattr(server.writers[0].transport, end)()
        with pytest.raises(ConnectionError):
            await exchange.read()


@makes_certificates
async def test_a_certificate_that_nobody_trusts_costs_nothing(certificate: Path) -> None:
    server = RawServer(ANSWER, server_side(certificate))
    async with session_with(server) as session:
        with pytest.raises(ProviderError) as raised:
            await session.post(b"{}", None)
        assert raised.value.failure == Failure(FailureKind.CONNECTION, billable=False)
        assert server.requests == []


@makes_certificates
async def test_a_tunnel_is_kept_as_well(trusted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        host, port = seen[-1].split()[1].decode().split(":")
        there, back = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await asyncio.gather(pump(reader, back), pump(there, writer))

    server = RawServer(ANSWER, server_side(trusted))
    async with await asyncio.start_server(tunnel, "127.0.0.1", 0) as proxy:
        address = "me:pass@{}:{}".format(*proxy.sockets[0].getsockname())
        monkeypatch.setenv("https_proxy", f"http://{address}")
        async with session_with(server, Connections()) as session:
            for _ in range(3):
                assert await ask(session) == b"hi"
            assert (len(server.requests), len(server.writers), len(seen)) == (3, 1, 1)
    assert seen[0].startswith(b"CONNECT %b HTTP/1.1\r\n" % server.address.encode())
    assert b"authorization: Bearer" not in seen[0]
    assert b"proxy-authorization" not in server.requests[0]
