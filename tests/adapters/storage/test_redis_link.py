"""One connection to Redis: a command is sent once, and its reply is read by nobody else."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from chatnest.adapters.storage.redis_link import Command, RedisLink, packed
from chatnest.domain.errors import ConfigurationError, StoreUnavailableError
from chatnest.testing.tcp_proxy import TcpProxy
from tests.support.redis_servers import OwnRedis
from tests.support.waiting import until

pytest_plugins = ["tests.support.redis_fixtures"]


@pytest.fixture
async def proxy(own_redis: OwnRedis) -> AsyncIterator[TcpProxy]:
    async with TcpProxy("127.0.0.1", own_redis.port) as proxy:
        yield proxy


@pytest.fixture
async def link(proxy: TcpProxy) -> AsyncIterator[RedisLink]:
    link = RedisLink(f"redis://127.0.0.1:{proxy.port}")
    yield link
    await link.aclose()


async def test_a_command_whose_reply_was_lost_is_not_sent_again(
    link: RedisLink, proxy: TcpProxy
) -> None:
    assert await link.ask("INCR", "n") == 1
    proxy.lose_replies()
    with pytest.raises(StoreUnavailableError, match="lost"):
        await link.ask("INCR", "n")
    await proxy.heal()
    assert await link.ask("GET", "n") == b"2"


async def test_a_connection_that_is_cut_in_a_script_is_lost_and_the_script_is_not_sent_again(
    link: RedisLink, own_redis: OwnRedis
) -> None:
    await link.ask("CONFIG", "SET", "busy-reply-threshold", 1)
    await link.ask("SET", "n", 0)
    script = "redis.call('INCR', KEYS[1]) while true do end"
    asked = asyncio.ensure_future(link.ask("EVAL", script, 1, "n"))
    await until(lambda: is_busy(own_redis))
    await own_redis.kill()
    with pytest.raises(StoreUnavailableError, match="lost"):
        await asked
    await own_redis.start()
    assert await link.ask("GET", "n") == b"0"


async def is_busy(server: OwnRedis) -> bool:
    other = RedisLink(server.url)
    try:
        await other.ask("GET", "n")
    except StoreUnavailableError as error:
        return "busy" in str(error)
    finally:
        await other.aclose()
    return False


async def test_nobody_reads_the_reply_of_a_command_that_was_cancelled(
    link: RedisLink, proxy: TcpProxy
) -> None:
    await link.ask("SET", "mine", "one")
    await link.ask("SET", "other", "two")
    proxy.delay()
    cancelled = asyncio.ensure_future(link.ask("GET", "mine"))
    await proxy.fault_met()
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    await proxy.heal()
    answers = await asyncio.gather(*(link.ask("GET", "other") for _ in range(5)))
    assert answers == [b"two"] * 5
    assert link.times_connected == 2


async def test_a_cancel_while_connecting_leaves_nothing_behind(
    link: RedisLink, proxy: TcpProxy
) -> None:
    for passes in range(12):
        asked = asyncio.ensure_future(link.ask("PING"))
        for _ in range(passes):
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        assert await link.ask("ECHO", str(passes)) == str(passes).encode()
    await link.aclose()


async def test_commands_at_once_have_each_its_own_reply(link: RedisLink) -> None:
    answers = await asyncio.gather(*(link.ask("ECHO", number) for number in range(50)))
    assert answers == [str(number).encode() for number in range(50)]
    assert link.times_connected == 1


async def test_a_link_that_is_closed_connects_no_more(link: RedisLink) -> None:
    await link.ask("PING")
    await link.aclose()
    with pytest.raises(StoreUnavailableError, match="closed"):
        await link.ask("PING")
    assert link.times_connected == 1


async def test_what_is_no_redis_server_is_for_the_operator_to_change() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        link = RedisLink(f"redis://:s3cret@127.0.0.1:{port}")
        with pytest.raises(ConfigurationError, match="no Redis server") as caught:
            await link.ask("PING")
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3cret@host:port",
        "redis://:s3/cret@host",
        "http://:s3cret@host",
        "redis://:s3cret@host?unknown=1",
        "",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        RedisLink(url)
    assert "s3" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "option",
    ["decode_responses=yes", "retry_on_timeout=yes", "health_check_interval=1", "protocol=3"],
)
async def test_no_option_of_the_url_has_commands_sent_twice(proxy: TcpProxy, option: str) -> None:
    link = RedisLink(f"redis://127.0.0.1:{proxy.port}?{option}")
    await link.ask("INCR", "n")
    proxy.lose_replies()
    with pytest.raises(StoreUnavailableError):
        await link.ask("INCR", "n")
    await proxy.heal()
    assert await link.ask("GET", "n") == b"2"
    await link.aclose()


def test_a_command_is_packed_as_the_protocol_has_it() -> None:
    command: Command = ["SET", "é", b"\r\n\x00", 7, ""]
    assert packed(command) == (
        b"*5\r\n$3\r\nSET\r\n$2\r\n\xc3\xa9\r\n$3\r\n\r\n\x00\r\n$1\r\n7\r\n$0\r\n\r\n"
    )
