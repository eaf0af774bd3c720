"""The example of another transport."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from chatnest import ChatPolicy, ChatService, Principal, Profile, Profiles
from examples.tcp_chat import create_service, serve_connection
from tests.support.waiting import until

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
CALLER = Principal("address:127.0.0.1")


@asynccontextmanager
async def connection(service: ChatService) -> AsyncGenerator[Streams, None]:
    server = await asyncio.start_server(partial(serve_connection, service), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield reader, writer
        finally:
            writer.close()


async def say(streams: Streams, text: str) -> str:
    reader, writer = streams
    writer.write(f"{text}\n".encode())
    async with asyncio.timeout(10):
        return (await reader.readline()).decode()


async def test_questions_are_answered_on_the_same_connection() -> None:
    async with connection(create_service(ChatPolicy())) as streams:
        assert await say(streams, "Hello there") == "Hello there\n"
        assert await say(streams, "And again") == "And again\n"


async def test_the_same_limits_hold() -> None:
    tight = Profile("tight", 50, 4, 0.5, 200, 1_000, 60, min_output_tokens=50)
    policy = ChatPolicy(profiles=Profiles({"tight": tight}, default="tight", aliases={}))
    async with connection(create_service(policy)) as streams:
        assert await say(streams, "Hello") == "Hello\n"
        assert await say(streams, "Hello " * 180) == "! budget_exhausted: tokens-day\n"


async def test_whoever_leaves_stops_paying() -> None:
    service = create_service(ChatPolicy())
    async with connection(service) as (reader, writer):
        writer.write(("word " * 500 + "\n").encode())
        async with asyncio.timeout(10):
            await reader.readexactly(5)

    async def is_settled() -> bool:
        used = [balance.settled for balance in (await service.usage(CALLER)).balances]
        held = [balance.held for balance in (await service.usage(CALLER)).balances]
        return any(used) and not any(held)

    await until(is_settled)


def test_it_needs_no_litestar() -> None:
    check = "import sys, examples.tcp_chat; sys.exit('litestar' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False, timeout=60).returncode == 0
