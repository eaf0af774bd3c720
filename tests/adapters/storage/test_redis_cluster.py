"""A ledger in a cluster of two nodes: it is found wherever it is, and stays whole."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.randomness import SystemRandomness
from chatnest.adapters.storage.redis import RedisStore
from chatnest.adapters.storage.redis_link import Argument, RedisLink
from chatnest.domain.errors import ConfigurationError
from chatnest.domain.ledger import Keys
from chatnest.domain.steps import settle_step
from chatnest.testing.ledger_cases import (
    NOON,
    admitted,
    call,
    read_ledger,
    spent_and_held,
    tokens_a_day,
    used,
)
from chatnest.testing.ledger_races import LEFT, adding_to
from tests.support.redis_servers import IN_MEMORY, OwnRedis, redis_program, running
from tests.support.services import free_port
from tests.support.waiting import until

DAY = tokens_a_day(100)
SLOTS = 16_384


class Node(OwnRedis):
    """One node of a cluster, with the bus port that the other one talks to."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.bus_port = free_port()
        cluster = ("--cluster-enabled", "yes", "--cluster-port", str(self.bus_port))
        super().__init__(redis_program(), folder, (*IN_MEMORY, *cluster))

    async def ask(self, *command: Argument) -> Any:
        link = RedisLink(self.url)
        try:
            return await link.ask(*command)
        finally:
            await link.aclose()

    async def is_whole(self) -> bool:
        """Whether the node knows of somebody for every slot."""
        return b"cluster_state:ok" in await self.ask("CLUSTER", "INFO")


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[tuple[Node, Node]]:
    """A cluster of two nodes: the first has the lower half of the slots, the second the rest."""
    first, second = Node(tmp_path / "first"), Node(tmp_path / "second")
    async with running(first), running(second):
        await first.ask("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS // 2 - 1)
        await second.ask("CLUSTER", "ADDSLOTSRANGE", SLOTS // 2, SLOTS - 1)
        await first.ask("CLUSTER", "MEET", "127.0.0.1", second.port, second.bus_port)
        await until(first.is_whole)
        await until(second.is_whole)
        yield first, second


def ledger_on(second: bool) -> str:
    """The name of a ledger whose slot is the second node's, or the first's."""
    names = (f"ledger{number}" for number in range(100))
    return next(name for name in names if (key_slot(name.encode()) >= SLOTS // 2) == second)


@pytest.mark.parametrize(
    ("scheme", "is_on_second"), [("redis", False), ("redis", True), ("redis+cluster", True)]
)
async def test_a_ledger_is_found_on_whichever_node_it_is(
    nodes: tuple[Node, Node], scheme: str, is_on_second: bool
) -> None:
    url = f"{scheme}://127.0.0.1:{nodes[0].port}"
    name = ledger_on(is_on_second)
    store = RedisStore(url, SystemClock(), SystemRandomness(SystemClock()), ledger=name)
    try:
        hold = await admitted(store, call("h", DAY))
        assert [due.id for due in await store.due_holds(hold.expires_at, 9)] == ["h"]
        await store.transact(*settle_step(hold, used(7), NOON))
        assert await spent_and_held(store, DAY.account_at(NOON)) == (7, 0)
        assert set((await read_ledger(store)).holds) == {"h"}
    finally:
        await store.aclose()
    sizes = [await node.ask("DBSIZE") for node in nodes]
    assert (sizes[0] == 0, sizes[1] == 0) == (is_on_second, not is_on_second)


async def test_a_ledger_that_moves_is_followed(nodes: tuple[Node, Node]) -> None:
    first, second = nodes
    store = RedisStore(
        second.url, SystemClock(), SystemRandomness(SystemClock()), ledger=ledger_on(True)
    )
    add = Keys((LEFT,)), adding_to(LEFT, 1)
    try:
        assert await store.transact(*add) == 1
        await move(ledger_on(True), second, first)
        assert await store.transact(*add) == 2
    finally:
        await store.aclose()
    assert await second.ask("DBSIZE") == 0


async def move(ledger: str, source: Node, target: Node) -> None:
    """Move *ledger* from one node to the other, as the tools of a cluster do."""
    slot = key_slot(ledger.encode())
    source_id, target_id = [await node.ask("CLUSTER", "MYID") for node in (source, target)]
    await target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
    await source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
    keys = await source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100)
    await source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys)
    for node in (target, source):
        await node.ask("CLUSTER", "SETSLOT", slot, "NODE", target_id)


async def test_a_cluster_has_one_database(nodes: tuple[Node, Node]) -> None:
    store = RedisStore(
        f"redis://127.0.0.1:{nodes[0].port}/1",
        SystemClock(),
        SystemRandomness(SystemClock()),
        ledger="any",
    )
    with pytest.raises(ConfigurationError, match="database"):
        await store.transact(Keys((LEFT,)), adding_to(LEFT, 1))
    await store.aclose()
