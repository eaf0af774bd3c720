"""What is particular to Redis: its keys, its settings, its restarts, and what it refuses."""

import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.randomness import SystemRandomness
from chatnest.adapters.storage.compare_and_set import Committed, Conflict
from chatnest.adapters.storage.redis import RedisStore
from chatnest.adapters.storage.redis_link import RedisLink
from chatnest.adapters.storage.redis_server import RedisServer
from chatnest.domain.errors import ConfigurationError, StoreUnavailableError
from chatnest.domain.ledger import Change, Keys, RateKey
from chatnest.domain.rate_limit import RateState
from chatnest.domain.steps import settle_step
from chatnest.testing.ledger_cases import (
    NOON,
    admitted,
    call,
    closed,
    open_hold,
    read_account,
    read_ledger,
    spent_and_held,
    tokens_a_day,
    used,
    writing,
)
from chatnest.testing.ledger_races import LEFT, adding_to
from tests.support.redis_servers import (
    IN_MEMORY,
    OwnRedis,
    drop_ledger,
    redis_program,
    running,
    valkey_program,
)

pytest_plugins = ["tests.support.redis_fixtures"]

DAY = tokens_a_day(100)
MONTH_S = 31 * 86_400
Opened = Callable[..., RedisStore]


@pytest.fixture
async def opened(ledger: str) -> AsyncIterator[Opened]:
    """Opens stores on the test's own ledger, and closes them in the end."""
    stores: list[RedisStore] = []

    def opened(url: str) -> RedisStore:
        store = RedisStore(url, SystemClock(), SystemRandomness(SystemClock()), ledger=ledger)
        stores.append(store)
        return store

    yield opened
    for store in stores:
        await store.aclose()


@pytest.fixture
async def store(redis_url: str, ledger: str, opened: Opened) -> AsyncIterator[RedisStore]:
    yield opened(redis_url)
    await drop_ledger(redis_url, ledger)


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


async def add(store: RedisStore) -> int:
    return await store.transact(Keys((LEFT,)), adding_to(LEFT, 1))


async def test_the_keys_of_a_ledger_can_be_read_by_a_person(
    store: RedisStore, ledger: str, client: Redis
) -> None:
    hold = await admitted(store, call("h", DAY))
    await store.transact(*writing(rates=[(RateKey("a:b", "requests"), RateState(7, 3))]))
    prefix = f"{{{ledger}}}:"
    assert {key async for key in client.scan_iter(f"{prefix}*", count=1_000)} == {
        prefix + name
        for name in (
            f"account:day:{DAY.account_at(NOON).start}:tokens:ann",
            "hold:h",
            "rate:a%3Ab:requests",
            "changes",
            "due",
            "schema",
            "sequence",
        )
    }
    _, state, instant, row = str(await client.get(f"{prefix}hold:h")).split(" ", 3)
    assert (state, int(instant)) == ("held", hold.expires_at)
    assert '"principal":"ann"' in row
    assert await client.zrange(f"{prefix}due", 0, -1) == [f"{instant}:h"]
    await store.transact(*settle_step(hold, used(7), NOON + 1))
    assert await client.zcard(f"{prefix}due") == 0
    assert await client.zrange(f"{prefix}closed", 0, -1) == [f"{NOON + 1:020d}:h"]


async def test_rate_states_end_a_month_after_their_last_write_and_nothing_else_does(
    store: RedisStore, ledger: str, client: Redis
) -> None:
    await admitted(store, call("h", DAY))
    await store.transact(*writing(rates=[(RateKey("ann", "requests"), RateState(7, 3))]))
    lives = {
        key: await client.ttl(key) async for key in client.scan_iter(f"{{{ledger}}}:*", count=1_000)
    }
    rate = lives.pop(f"{{{ledger}}}:rate:ann:requests")
    assert MONTH_S < rate <= 32 * 86_400
    assert set(lives.values()) == {-1}


async def test_a_version_is_compared_to_its_end(
    store: RedisStore, redis_url: str, ledger: str
) -> None:
    await add(store)
    server = RedisServer(redis_url, SystemClock(), SystemRandomness(SystemClock()), ledger=ledger)
    named, nothing = Keys((LEFT,)), Change(None)
    found = await server.commit(named, {}, nothing)
    assert isinstance(found, Conflict)
    version = found.current[LEFT].version
    assert isinstance(await server.commit(named, {LEFT: version[:-1]}, nothing), Conflict)
    assert isinstance(await server.commit(named, {LEFT: version}, nothing), Committed)
    await server.aclose()


async def test_instants_beyond_what_a_double_can_tell_apart_are_in_order(
    store: RedisStore,
) -> None:
    last = 2**62
    holds = [open_hold(str(at), at) for at in (last, last - 1, last + 1)]
    await store.transact(*writing(holds=holds))
    assert [hold.id for hold in await store.due_holds(last, 9)] == [str(last - 1), str(last)]
    await store.transact(*writing(holds=[closed(hold) for hold in holds]))
    assert [hold.id for hold in await store.closed_holds(last, 9)] == [str(last - 1)]
    assert not await store.due_holds(last + 1, 9)


async def test_a_server_that_forgot_its_scripts_is_sent_them_again(
    own_redis: OwnRedis, opened: Opened
) -> None:
    store = opened(own_redis.url)
    assert await add(store) == 1
    async with Redis.from_url(own_redis.url) as client:
        await client.script_flush()
    assert await add(store) == 2
    assert not await store.due_holds(NOON, 1)


@pytest.mark.parametrize("program", [redis_program, valkey_program])
async def test_a_server_that_restarts_is_found_again_with_everything_it_answered(
    tmp_path: Path, program: Callable[[], Path], opened: Opened
) -> None:
    async with running(OwnRedis(program(), tmp_path)) as server:
        store = opened(server.url)
        hold = await admitted(store, call("h", DAY))
        await server.kill()
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match="cannot be reached"):
                await add(store)
        with pytest.raises(StoreUnavailableError, match="cannot be reached"):
            await store.now()
        await server.start()
        await store.transact(*settle_step(hold, used(7), NOON))
        assert await spent_and_held(store, DAY.account_at(NOON)) == (7, 0)


async def test_a_connection_that_was_closed_while_idle_is_replaced_unnoticed(
    own_redis: OwnRedis, opened: Opened
) -> None:
    store = opened(own_redis.url)
    await add(store)
    async with Redis.from_url(own_redis.url) as client:
        await client.client_kill_filter(_type="normal", skipme=True)
    assert await add(store) == 2


async def test_a_ledger_of_a_newer_schema_is_refused(
    store: RedisStore, ledger: str, client: Redis, redis_url: str, opened: Opened
) -> None:
    await add(store)
    await client.set(f"{{{ledger}}}:schema", "2")
    for each in (store, opened(redis_url)):
        with pytest.raises(ConfigurationError, match="schema version 2"):
            await add(each)
        with pytest.raises(ConfigurationError, match="schema version 2"):
            await each.due_holds(NOON, 1)
    await client.set(f"{{{ledger}}}:schema", "something")
    with pytest.raises(ConfigurationError, match="none of ChatNest's"):
        await add(store)
    await client.set(f"{{{ledger}}}:schema", "1")
    assert await add(store) == 2


async def test_a_row_that_somebody_spoiled_is_said_to_be_unreadable(
    store: RedisStore, ledger: str, client: Redis
) -> None:
    await add(store)
    key = f"{{{ledger}}}:account:day:{LEFT.start}:tokens:left"
    for spoiled in ("", "v", "v {}", "v nothing"):
        await client.set(key, spoiled)
        with pytest.raises(StoreUnavailableError, match="cannot be read"):
            await read_account(store, LEFT)


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[OwnRedis]:
    """A server with a password, and a user who may only read."""
    users = ("--requirepass", "s3cret", "--user", "reader", "on", ">s3cret", "~*", "+@read")
    async with running(OwnRedis(redis_program(), tmp_path, (*IN_MEMORY, *users))) as server:
        yield server


@pytest.mark.parametrize("user", ["", ":wrong@", "nobody:s3cret@", "reader:s3cret@"])
async def test_a_wrong_user_or_password_is_for_the_operator_to_change(
    guarded: OwnRedis, opened: Opened, user: str
) -> None:
    store = opened(f"redis://{user}127.0.0.1:{guarded.port}/0")
    with pytest.raises(ConfigurationError) as caught:
        await add(store)
    assert "s3cret" not in str(caught.value)
    assert "wrong" not in str(caught.value)
    assert await add(opened(f"redis://:s3cret@127.0.0.1:{guarded.port}/0")) == 1


async def test_a_user_with_the_rights_that_are_asked_for_has_enough(
    guarded: OwnRedis, opened: Opened, ledger: str
) -> None:
    rights = (f"~{{{ledger}}}:*", "+@read", "+@write", "+@scripting", "+@connection", "+time")
    link = RedisLink(f"redis://:s3cret@127.0.0.1:{guarded.port}/0")
    await link.ask("ACL", "SETUSER", "ann", "on", ">p@ss", *rights)
    await link.aclose()
    store = opened(f"redis://ann:p%40ss@127.0.0.1:{guarded.port}/0")
    hold = await admitted(store, call("h", DAY))
    await store.transact(*settle_step(hold, used(7), NOON))
    assert not await store.due_holds(NOON, 9)
    assert set((await read_ledger(store)).holds) == {"h"}
    assert await store.now() > 0


async def test_a_database_that_there_is_not_is_for_the_operator_to_change(
    own_redis: OwnRedis, opened: Opened
) -> None:
    with pytest.raises(ConfigurationError, match="no database"):
        await add(opened(f"redis://127.0.0.1:{own_redis.port}/99"))


async def set_config(server: OwnRedis, name: str, value: str) -> None:
    async with Redis.from_url(server.url) as client:
        await client.config_set(name, value)


async def test_a_server_without_memory_refuses_and_recovers(
    own_redis: OwnRedis, opened: Opened
) -> None:
    store = opened(own_redis.url)
    await add(store)
    await set_config(own_redis, "maxmemory", "1")
    with pytest.raises(StoreUnavailableError, match="memory"):
        await add(store)
    await set_config(own_redis, "maxmemory", "0")
    assert await add(store) == 2


async def test_a_replica_takes_no_writes_until_it_is_made_the_primary(
    own_redis: OwnRedis, opened: Opened
) -> None:
    store = opened(own_redis.url)
    await add(store)
    async with Redis.from_url(own_redis.url) as client:
        await client.replicaof("127.0.0.1", "1")
        with pytest.raises(StoreUnavailableError, match="replica"):
            await add(store)
        await client.replicaof("NO", "ONE")
    assert await add(store) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--appendonly", "yes"), []),
        (("--appendonly", "no", "--save", "60 1"), []),
        (("--appendonly", "no"), ["nothing on disk"]),
        (("--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"), ["evicts"]),
        (("--maxmemory-policy", "volatile-ttl"), ["evicts", "nothing on disk"]),
        (("--rename-command", "CONFIG", ""), []),
    ],
)
async def test_a_server_that_is_set_up_to_lose_accounts_is_warned_of_once(
    tmp_path: Path,
    opened: Opened,
    caplog: pytest.LogCaptureFixture,
    options: tuple[str, ...],
    said: list[str],
) -> None:
    caplog.set_level(logging.WARNING, "chatnest.storage")
    async with running(OwnRedis(redis_program(), tmp_path, options)) as server:
        store = opened(server.url)
        assert [await add(store), await add(store)] == [1, 2]
        await store.due_holds(NOON, 1)
    assert len(caplog.messages) == len(said)
    assert all(word in message for word, message in zip(said, caplog.messages, strict=True))
