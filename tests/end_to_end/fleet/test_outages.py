"""The store goes away under load and comes back: nothing stops that runs, and nothing is lost."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from chatnest.domain.budget import HoldState
from tests.end_to_end.fleet.ledger import Books, charged_tokens
from tests.end_to_end.fleet.load import Outcome, ask_all, begin, endings, until_taken
from tests.end_to_end.fleet.servers import OUTPUT_CAP, Node, configuration, fleet
from tests.end_to_end.fleet.stores import StoreUnderTest
from tests.end_to_end.fleet.upstream import CountedUpstream

pytestmark = pytest.mark.timeout(60)

SERVERS = 2
# Shorter than any outage: leases end meanwhile, and what is charged for that is corrected.
LEASE_S = 2
ENDING_MEANWHILE = range(20)
ENDING_AFTERWARDS = range(20, 40)
RUNNING = (*ENDING_MEANWHILE, *ENDING_AFTERWARDS)
REFUSED = range(100, 120)


async def test_answers_end_and_are_settled_though_the_store_is_away_and_new_chats_wait_for_it(
    outage_s: float, store: StoreUnderTest, tmp_path: Path
) -> None:
    ledger = store.ledger
    upstream = CountedUpstream(OUTPUT_CAP)
    meanwhile, afterwards = asyncio.Event(), asyncio.Event()
    upstream.gates = dict.fromkeys(ENDING_MEANWHILE, meanwhile)
    upstream.gates |= dict.fromkeys(ENDING_AFTERWARDS, afterwards)

    async with upstream:
        settings = configuration(store.url, upstream.base_url, lease_s=LEASE_S)
        async with fleet(tmp_path, SERVERS, settings) as nodes:
            early = await _begun(nodes, ENDING_MEANWHILE)
            late = await _begun(nodes, ENDING_AFTERWARDS)

            await store.stop()
            stopped_s = time.monotonic()
            refused = await ask_all([node.port for node in nodes], REFUSED)
            meanwhile.set()
            ended_meanwhile = await asyncio.gather(*early)
            await asyncio.sleep(stopped_s + outage_s - time.monotonic())
            await store.start()

            afterwards.set()
            ended_afterwards = await asyncio.gather(*late)
            for node in nodes:
                await until_taken(node.port)
            await ledger.wait_until(lambda books: _are_settled(books, RUNNING))
            books = await ledger.settled_books()

    assert endings(ended_meanwhile) == {"done": len(ENDING_MEANWHILE)}
    assert endings(ended_afterwards) == {"done": len(ENDING_AFTERWARDS)}
    assert endings(refused) == {"store_unavailable": len(REFUSED)}
    assert all(outcome.status == 503 for outcome in refused)
    assert all(int(outcome.headers["retry-after"]) > 0 for outcome in refused)
    for outcome in refused:
        assert outcome.chat not in upstream.calls
        assert sum(map(charged_tokens, books.of_chat(outcome.chat))) == 0
    for outcome in (*ended_meanwhile, *ended_afterwards):
        (hold,) = books.of_chat(outcome.chat)
        assert (hold.state, charged_tokens(hold)) == (
            HoldState.SETTLED,
            upstream.billable(outcome.chat),
        )
    code, words = await ledger.verify()
    assert code == 0, words


async def _begun(nodes: Sequence[Node], chats: range) -> list[asyncio.Task[Outcome]]:
    """Send *chats*, and wait until each has its first token."""
    return await asyncio.gather(*(begin(nodes[chat % len(nodes)].port, chat) for chat in chats))


def _are_settled(books: Books, chats: Iterable[int]) -> bool:
    return all(hold.state is HoldState.SETTLED for chat in chats for hold in books.of_chat(chat))
