"""When the openai provider's connections close, and when they are used again."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from chatnest.adapters.providers.openai import OpenAIProvider
from chatnest.domain.errors import Failure, FailureKind, ProviderError
from chatnest.domain.events import Finished, ProviderBatch
from chatnest.domain.messages import Message, Role
from chatnest.domain.ports import ProviderCall
from chatnest.testing.openai_scripts import DONE, chunk, completion, text
from chatnest.testing.upstream import (
    Connection,
    End,
    Head,
    MockUpstream,
    Pause,
    Script,
    Stall,
    Write,
)
from tests.support.connecting import connecting_sockets, deaf_server, shows_sockets

CALL = ProviderCall("r", "gpt-4o-mini", (Message(Role.USER, "Hi"),), 50)
CLOSED_WITHIN_S = 0.05
LONGEST_S = 10

BEFORE_HEADERS: Script = (Stall(),)
BEFORE_THE_FIRST_TOKEN: Script = (Head(), Stall())
IN_THE_MIDDLE: Script = (Head(), text("a"), Stall())
INSIDE_AN_ERROR: Script = (Head(503, (("content-type", "application/json"),)), Write(b"{"), Stall())
MOMENTS = pytest.mark.parametrize(
    "script",
    [BEFORE_HEADERS, BEFORE_THE_FIRST_TOKEN, IN_THE_MIDDLE, INSIDE_AN_ERROR],
    ids=["before headers", "before the first token", "in the middle", "inside an error"],
)


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both event loops that servers run on: closing is theirs to do."""
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
async def upstream() -> AsyncIterator[MockUpstream]:
    async with MockUpstream() as upstream:
        yield upstream


@pytest.fixture
async def provider(upstream: MockUpstream) -> AsyncIterator[OpenAIProvider]:
    provider = OpenAIProvider(api_key="k", base_url=upstream.base_url, trust_env=False)
    yield provider
    await provider.aclose()


async def read_all(provider: OpenAIProvider) -> list[ProviderBatch]:
    async with provider.stream(CALL) as batches:
        return [batch async for batch in batches]


async def settle() -> None:
    """Let everybody on this loop go as far as they get without any time passing."""
    for _ in range(50):
        await asyncio.sleep(0)


async def begin(upstream: MockUpstream, provider: OpenAIProvider) -> asyncio.Task[object]:
    """A reader that has got as far as the upstream's script lets it."""
    reading: asyncio.Task[object] = asyncio.create_task(read_all(provider))
    async with asyncio.timeout(LONGEST_S):
        await upstream.exchange(1)
    await settle()
    return reading


async def assert_closes_at_once(connection: Connection, left: float) -> None:
    """*left* is when the call was left, in seconds of the monotonic clock."""
    async with asyncio.timeout(LONGEST_S):
        await connection.gone.wait()
    assert connection.gone_us is not None
    assert connection.gone_us / 1e6 - left < CLOSED_WITHIN_S


@MOMENTS
async def test_a_cancelled_call_is_closed_at_once(
    upstream: MockUpstream, provider: OpenAIProvider, script: Script
) -> None:
    upstream.scripts = script
    reading = await begin(upstream, provider)
    left = time.monotonic()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await assert_closes_at_once(upstream.connections[0], left)


@MOMENTS
async def test_a_second_cancellation_does_not_keep_it_open(
    upstream: MockUpstream, provider: OpenAIProvider, script: Script
) -> None:
    upstream.scripts = script
    reading = await begin(upstream, provider)
    left = time.monotonic()
    reading.cancel()
    while not reading.done():
        await asyncio.sleep(0)
        reading.cancel()
    assert reading.cancelled()
    await assert_closes_at_once(upstream.connections[0], left)


async def test_leaving_the_context_closes_the_call_and_waits_for_nobody(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    upstream.scripts = IN_THE_MIDDLE
    async with provider.stream(CALL) as batches:
        await anext(batches)
        left = time.monotonic()
    assert time.monotonic() - left < CLOSED_WITHIN_S
    await assert_closes_at_once(upstream.connections[0], left)
    assert upstream.exchanges[0].tokens_written == 1


async def test_an_abandoned_iterator_gives_nothing_more(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    upstream.scripts = completion(("a", "b"), delay_us=5_000)
    async with provider.stream(CALL) as batches:
        await anext(batches)
    with pytest.raises(StopAsyncIteration):
        await anext(batches)


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    with deaf_server() as server:
        yield server


def address_of(server: socket.socket) -> str:
    return "http://{}:{}/v1".format(*server.getsockname())


async def assert_connecting(server: socket.socket, expected: int) -> None:
    """Wait until *expected* sockets are on their way to *server*; nobody tells when."""
    for _ in range(1_000):
        if connecting_sockets(server) == expected:
            return
        await asyncio.sleep(LONGEST_S / 1_000)
    assert connecting_sockets(server) == expected


@shows_sockets
async def test_a_call_that_is_cancelled_while_connecting_leaves_no_socket_and_no_bill(
    deaf: socket.socket,
) -> None:
    before = connecting_sockets(deaf)
    provider = OpenAIProvider(api_key="k", base_url=address_of(deaf), trust_env=False)
    reading = asyncio.create_task(read_all(provider))
    await assert_connecting(deaf, before + 1)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await reading
    await assert_connecting(deaf, before)
    cause = cancelled.value.__cause__
    assert isinstance(cause, ProviderError)
    assert cause.failure == Failure(FailureKind.CONNECTION, billable=False)
    await provider.aclose()


async def test_a_call_that_is_cancelled_once_it_was_sent_may_be_billed(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    upstream.scripts = BEFORE_HEADERS
    reading = await begin(upstream, provider)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await reading
    cause = cancelled.value.__cause__
    assert isinstance(cause, ProviderError)
    assert cause.failure.billable


async def test_connecting_takes_no_longer_than_its_limit(deaf: socket.socket) -> None:
    provider = OpenAIProvider(
        api_key="k", base_url=address_of(deaf), connect_timeout_s=0.1, trust_env=False
    )
    with pytest.raises(ProviderError) as raised:
        await read_all(provider)
    assert raised.value.failure == Failure(FailureKind.TIMEOUT, billable=False)
    await provider.aclose()


async def test_the_connection_of_a_whole_answer_is_used_again(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    upstream.scripts = completion()
    for _ in range(3):
        await read_all(provider)
        await settle()
    assert len(upstream.exchanges) == 3
    assert len(upstream.connections) == 1


async def test_a_body_that_ends_after_its_answer_gives_its_connection_back(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    upstream.scripts = (Head(), text("a"), DONE, Pause(20_000), End())
    for number in (1, 2):
        await read_all(provider)
        exchange = await upstream.exchange(number)
        assert not exchange.over.is_set()
        await exchange.over.wait()
        await settle()
    assert len(upstream.connections) == 1


async def test_leaving_before_reading_closes_the_call(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    upstream.scripts = BEFORE_THE_FIRST_TOKEN
    async with provider.stream(CALL):
        left = time.monotonic()
    await assert_closes_at_once(upstream.connections[0], left)


async def test_closing_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    async with MockUpstream((Head(), text("a"), DONE, Stall())) as upstream:
        provider = OpenAIProvider(api_key="k", base_url=upstream.base_url, trust_env=False)
        await read_all(provider)
        await settle()
        assert asyncio.all_tasks() > before
        await provider.aclose()
        await settle()
        assert asyncio.all_tasks() <= before


async def test_an_answer_that_is_done_before_its_body_ends_delays_nobody(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    upstream.scripts = (Head(), text("a"), chunk({}, finish_reason="stop"), DONE, Stall())
    async with asyncio.timeout(LONGEST_S), provider.stream(CALL) as batches:
        async for batch in batches:
            if isinstance(batch[-1], Finished):
                break
    upstream.scripts = completion()
    await read_all(provider)
    assert [one.connection.number for one in upstream.exchanges] == [1, 2]
    await provider.aclose()
    await assert_closes_at_once(upstream.connections[0], time.monotonic())


async def test_what_a_server_says_after_the_end_closes_its_connection(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    upstream.scripts = (Head(), text("a"), DONE, *[text("b")] * 1_000, Stall())
    assert [type(batch[-1]) for batch in await read_all(provider)][-1] is Finished
    async with asyncio.timeout(LONGEST_S):
        await upstream.connections[0].gone.wait()


async def test_without_keep_alive_every_call_has_its_own_connection(upstream: MockUpstream) -> None:
    upstream.scripts = completion()
    provider = OpenAIProvider(
        api_key="k", base_url=upstream.base_url, keep_alive=False, trust_env=False
    )
    for _ in range(3):
        await read_all(provider)
    assert len(upstream.connections) == 3
    assert {one.headers["connection"] for one in upstream.exchanges} == {"close"}
    await provider.aclose()


async def test_a_closed_provider_sends_nothing_more(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    await provider.aclose()
    await provider.aclose()
    with pytest.raises(ProviderError) as raised:
        await read_all(provider)
    assert raised.value.failure == Failure(FailureKind.CONNECTION, billable=False)
    assert upstream.exchanges == []


async def test_three_hundred_calls_run_at_once(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    everybody = asyncio.Barrier(300)
    upstream.scripts = IN_THE_MIDDLE

    async def read_the_first() -> None:
        async with provider.stream(CALL) as batches:
            await anext(batches)
            await everybody.wait()

    async with asyncio.timeout(4 * LONGEST_S):
        await asyncio.gather(*[read_the_first() for _ in range(300)])
    assert len(upstream.connections) == 300
