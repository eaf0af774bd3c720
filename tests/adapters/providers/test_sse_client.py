"""How calls travel: the SDK's headers, redirects, time limits, and what is never sent."""

import asyncio
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace

import aiohttp
import anthropic
import httpx2
import openai
import pytest
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from chatnest.adapters.providers.anthropic import AnthropicProvider
from chatnest.adapters.providers.openai import OpenAIProvider
from chatnest.domain.errors import ConfigurationError, Failure, FailureKind
from chatnest.domain.messages import Message, Role
from chatnest.testing.openai_scripts import DONE, completion, error_object, refusal, text
from chatnest.testing.upstream import Cut, End, Head, MockUpstream, Script, Stall, Write
from tests.adapters.providers.http_calls import (
    CALL,
    KEY,
    NOT_SENT,
    STOP,
    error_of,
    events_of,
    every_text_of,
)

LONGEST_S = 10


@pytest.fixture
async def upstream() -> AsyncIterator[MockUpstream]:
    async with MockUpstream(completion()) as upstream:
        yield upstream


@pytest.fixture
async def provider(upstream: MockUpstream) -> AsyncIterator[OpenAIProvider]:
    provider = OpenAIProvider(api_key=KEY, base_url=upstream.base_url, trust_env=False)
    yield provider
    await provider.aclose()


async def settle() -> None:
    """Let everybody on this loop go as far as they get without any time passing."""
    for _ in range(50):
        await asyncio.sleep(0)


# What is about one request alone, and what a stream asks for in its own way.
OF_ONE_REQUEST = {
    "content-length",
    "x-stainless-read-timeout",
    "x-stainless-retry-count",
    "x-stainless-timeout",
}
OF_STREAMS = {"accept", "accept-encoding"}


def shared_headers(headers: dict[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in headers.items() if name not in OF_ONE_REQUEST | OF_STREAMS
    }


async def test_an_openai_request_has_the_address_and_the_headers_of_the_sdks_own(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    sdk = openai.AsyncOpenAI(
        api_key=KEY,
        base_url=upstream.base_url,
        max_retries=0,
        http_client=httpx2.AsyncClient(trust_env=False),
    )
    stream = await sdk.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    assert [chunk async for chunk in stream]
    await sdk.close()
    await events_of(provider)
    theirs, ours = upstream.exchanges
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    assert shared_headers(ours.headers) == shared_headers(theirs.headers)
    assert ours.headers["x-stainless-lang"] == "python"
    assert not ours.headers.keys() & (OF_ONE_REQUEST - {"content-length"})


async def test_an_anthropic_request_has_the_address_and_the_headers_of_the_sdks_own(
    upstream: MockUpstream,
) -> None:
    upstream.scripts = refusal(400)
    base_url = upstream.base_url.removesuffix("/v1")
    sdk = anthropic.AsyncAnthropic(
        api_key=KEY,
        base_url=base_url,
        max_retries=0,
        http_client=httpx2.AsyncClient(trust_env=False),
    )
    with pytest.raises(anthropic.BadRequestError):
        await sdk.messages.create(
            model="m", max_tokens=5, messages=[{"role": "user", "content": "Hi"}], stream=True
        )
    await sdk.close()
    provider = AnthropicProvider(api_key=KEY, base_url=base_url, trust_env=False)
    await error_of(provider)
    await provider.aclose()
    theirs, ours = upstream.exchanges
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    assert shared_headers(ours.headers) == shared_headers(theirs.headers)
    assert ours.headers["anthropic-version"] == anthropic._constants.ANTHROPIC_API_VERSION


async def test_headers_that_the_sdk_takes_from_the_environment_are_sent(
    upstream: MockUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    provider = OpenAIProvider(api_key=KEY, base_url=upstream.base_url, trust_env=False)
    await events_of(provider)
    await provider.aclose()
    assert upstream.exchanges[0].headers["openai-organization"] == "org-1"


async def test_credentials_in_the_base_url_are_used_as_the_sdk_uses_them_and_not_shown(
    upstream: MockUpstream,
) -> None:
    base_url = upstream.base_url.replace("://", "://me:secret@")
    upstream.scripts = refusal(500)
    provider = OpenAIProvider(api_key=KEY, base_url=base_url, trust_env=False)
    error = await error_of(provider)
    await provider.aclose()
    basic = b64encode(b"me:secret").decode()
    assert upstream.exchanges[0].headers["authorization"] == f"Basic {basic}"
    assert basic not in every_text_of(error)


@pytest.mark.parametrize("base_url", ["provider.test/v1", "ftp://provider.test", "http://", "/v1"])
def test_a_base_url_that_is_none_is_a_matter_of_configuration(base_url: str) -> None:
    with pytest.raises(ConfigurationError, match="http:// or https://"):
        OpenAIProvider(api_key=KEY, base_url=base_url, trust_env=False)


async def test_an_answer_that_is_compressed_unasked_is_malformed(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    event_stream = ("content-type", "text/event-stream")
    upstream.scripts = (Head(headers=(event_stream, ("content-encoding", "gzip"))), DONE, End())
    assert (await error_of(provider)).failure == Failure(FailureKind.MALFORMED)
    head = Head(headers=(event_stream, ("content-encoding", "Identity")))
    upstream.scripts = (head, *completion()[1:])
    assert (await events_of(provider))[-1] == STOP


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_error_and_takes_the_key_nowhere(
    upstream: MockUpstream, provider: OpenAIProvider, status: int
) -> None:
    async with MockUpstream(completion()) as elsewhere:
        upstream.scripts = refusal(status, location=f"{elsewhere.base_url}/chat/completions")
        error = await error_of(provider)
        assert error.failure == Failure(FailureKind.UNKNOWN, status, billable=False)
        assert elsewhere.connections == []


async def test_cookies_are_not_kept(upstream: MockUpstream, provider: OpenAIProvider) -> None:
    head = Head(headers=(("content-type", "text/event-stream"), ("set-cookie", "a=b")))
    upstream.scripts = (head, DONE, End())
    for _ in range(2):
        await events_of(provider)
    assert all("cookie" not in exchange.headers for exchange in upstream.exchanges)


async def test_the_connection_of_an_error_response_is_used_again(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    for status in (401, 429, 500):
        upstream.scripts = refusal(status)
        assert (await error_of(provider)).failure.status == status
    upstream.scripts = completion()
    assert (await events_of(provider))[-1] == STOP
    assert len(upstream.connections) == 1


MEGABYTE = Write(b" " * 1_000_000)
JSON = (("content-type", "application/json"),)


async def test_an_endless_error_response_is_left_after_its_beginning(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    upstream.scripts = (Head(500, JSON), *[MEGABYTE] * 1_000, Stall())
    async with asyncio.timeout(LONGEST_S):
        error = await error_of(provider)
        await upstream.connections[0].gone.wait()
    assert error.failure == Failure(FailureKind.SERVER_ERROR, 500, billable=False)


@pytest.mark.parametrize("end", [(Cut(),), (Stall(),)], ids=["cut", "stalled"])
async def test_an_error_response_that_breaks_off_still_has_its_status(
    upstream: MockUpstream, end: Script
) -> None:
    upstream.scripts = (Head(429, (*JSON, ("retry-after", "7"))), Write(b"{"), *end)
    provider = OpenAIProvider(
        api_key=KEY, base_url=upstream.base_url, read_timeout_s=0.1, trust_env=False
    )
    error = await error_of(provider)
    await provider.aclose()
    assert error.failure == Failure(
        FailureKind.RATE_LIMITED, 429, retry_after_s=7.0, billable=False
    )


async def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    await events_of(provider)
    upstream.connections[0].close()
    await settle()
    assert (await events_of(provider))[-1] == STOP
    assert [one.connection.number for one in upstream.exchanges] == [1, 2]


async def test_connections_that_are_lost_before_the_request_leaves_cost_nothing(
    upstream: MockUpstream, provider: OpenAIProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = aiohttp.TCPConnector.connect

    async def lose(
        self: aiohttp.TCPConnector,
        request: aiohttp.ClientRequest,
        traces: list[Trace],
        limits: aiohttp.ClientTimeout,
    ) -> Connection:
        connection = await connect(self, request, traces, limits)
        assert connection.transport is not None
        connection.transport.abort()
        return connection

    await events_of(provider)
    monkeypatch.setattr(aiohttp.TCPConnector, "connect", lose)
    error = await error_of(provider)
    assert error.failure == NOT_SENT
    assert str(error) == "connection: the request was not sent"
    assert len(upstream.exchanges) == 1


@pytest.mark.parametrize("reused", [False, True])
async def test_a_connection_that_is_lost_after_the_request_left_may_be_billed(
    upstream: MockUpstream, provider: OpenAIProvider, reused: bool
) -> None:
    if reused:
        await events_of(provider)
    upstream.scripts = (Cut(),)
    error = await error_of(provider)
    assert error.failure == Failure(FailureKind.CONNECTION, billable=True)
    assert str(error) == "connection: no answer came"
    assert len(upstream.connections) == 1


async def test_a_request_of_many_megabytes_arrives_whole(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    long = "x" * 5_000_000
    call = replace(CALL, messages=(Message(Role.USER, long),))
    assert (await events_of(provider, call))[-1] == STOP
    assert upstream.exchanges[0].json["messages"][0]["content"] == long


@pytest.fixture
def unread() -> Iterator[socket.socket]:
    """A server that takes connections and reads nothing until it is asked to."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.setblocking(False)
        yield server


async def test_what_is_left_of_a_request_is_not_sent_after_the_call_was_left(
    unread: socket.socket,
) -> None:
    size = 40_000_000
    call = replace(CALL, messages=(Message(Role.USER, "x" * size),))
    address = "http://{}:{}/v1".format(*unread.getsockname())
    provider = OpenAIProvider(api_key=KEY, base_url=address, trust_env=False)
    loop = asyncio.get_running_loop()
    reading = asyncio.create_task(events_of(provider, call))
    async with asyncio.timeout(LONGEST_S):
        connection, _ = await loop.sock_accept(unread)
        await settle()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        received = 0
        with connection, suppress(ConnectionResetError):
            connection.setblocking(False)
            while data := await loop.sock_recv(connection, 1_000_000):
                received += len(data)
    assert received < size
    await provider.aclose()


async def test_a_call_may_be_given_less_time_to_connect_than_its_provider_has(
    upstream: MockUpstream,
) -> None:
    upstream.scripts = (Head(), text("a"), Stall())
    provider = OpenAIProvider(
        api_key=KEY, base_url=upstream.base_url, max_connections=1, trust_env=False
    )
    async with asyncio.timeout(LONGEST_S / 2), provider.stream(CALL):
        error = await error_of(provider, replace(CALL, connect_us=50_000))
    assert error.failure == Failure(FailureKind.TIMEOUT, billable=False)
    assert len(upstream.exchanges) == 1
    await provider.aclose()


async def test_a_call_that_waits_for_a_connection_gets_the_first_that_is_free(
    upstream: MockUpstream,
) -> None:
    provider = OpenAIProvider(
        api_key=KEY, base_url=upstream.base_url, max_connections=1, trust_env=False
    )
    answers = await asyncio.gather(*[events_of(provider) for _ in range(20)])
    assert all(events[-1] == STOP for events in answers)
    assert len(upstream.connections) == 1
    await provider.aclose()


async def test_an_answer_that_is_not_http_is_malformed_and_shows_no_key() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.test ready\r\n\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        provider = OpenAIProvider(api_key=KEY, base_url=f"http://{host}:{port}/v1", trust_env=False)
        error = await error_of(provider)
        await provider.aclose()
    assert error.failure == Failure(FailureKind.MALFORMED)
    assert KEY not in every_text_of(error)


async def test_no_error_response_leaves_the_key_in_anything_of_its_error(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    echo = error_object("invalid_api_key", message=f"Incorrect API key provided: {KEY}")
    upstream.scripts = refusal(401, echo)
    error = await error_of(provider)
    assert isinstance(error.__cause__, openai.AuthenticationError)
    assert "Incorrect API key provided: …" in str(error.__cause__)
    assert KEY not in every_text_of(error)
    assert KEY not in error.__cause__.response.text
    assert not error.__cause__.request.headers
