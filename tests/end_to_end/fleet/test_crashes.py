"""Servers are killed under load, again and again: nobody's call is free, and no limit is passed."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from chatnest.domain.budget import HoldState, Unit
from tests.end_to_end.fleet.ledger import Books, charged_tokens
from tests.end_to_end.fleet.load import Outcome, ask, ask_all, endings
from tests.end_to_end.fleet.servers import OUTPUT_CAP, Node, configuration, fleet
from tests.end_to_end.fleet.stores import StoreUnderTest
from tests.end_to_end.fleet.upstream import CountedUpstream

pytestmark = pytest.mark.timeout(900)

SERVERS = 2
CHATS_A_ROUND = 40
TOKEN_DELAY_US = 10_000
# The chats of a round begin within this time, and take about half a second each.
LOAD_S = 1.0
LEASE_S = 2
# More than an admission holds for any of these chats.
MOST_TOKENS = 100
WAVE = 50


async def test_whatever_a_killed_server_left_behind_is_charged_in_full_and_within_the_limit(
    kills: int, kill_seed: int, store: StoreUnderTest, tmp_path: Path
) -> None:
    print(f"--kills {kills} --kill-seed {kill_seed}")
    chance = Random(kill_seed)
    ledger = store.ledger
    upstream = CountedUpstream(OUTPUT_CAP, TOKEN_DELAY_US)
    limit = kills * CHATS_A_ROUND * MOST_TOKENS
    outcomes: list[Outcome] = []

    async with upstream, ledger.watched() as exceeded:
        settings = configuration(
            store.url, upstream.base_url, lease_s=LEASE_S, budgets=[("tokens", limit)]
        )
        async with fleet(tmp_path, SERVERS, settings) as nodes:
            for number in range(kills):
                chats = range(number * CHATS_A_ROUND, (number + 1) * CHATS_A_ROUND)
                outcomes += await _round_with_a_kill(nodes, chats, chance)
            books = await ledger.settled_books()
            code, words = await ledger.verify()
            print(f"{dict(endings(outcomes))}, {_states(books)}")

            assert code == 0, words
            assert _undercharged(upstream, books) == {}
            assert _called_twice(upstream) == []
            # A test of kills that hit nobody would show nothing.
            assert endings(outcomes)["lost"] > 0
            assert HoldState.EXPIRED in {hold.state for hold in books.holds.values()}

            await _spend_the_rest(nodes, upstream, kills * CHATS_A_ROUND)
            books = await ledger.settled_books()

    assert exceeded == []
    account = books.of_everybody(Unit.TOKENS)
    assert limit - MOST_TOKENS < account.settled <= limit
    assert _undercharged(upstream, books) == {}
    code, words = await ledger.verify()
    assert code == 0, words


async def _round_with_a_kill(
    nodes: Sequence[Node], chats: range, chance: Random
) -> Sequence[Outcome]:
    """Send *chats*, kill a server at a moment while they run, and start it again."""
    beginnings = [chance.uniform(0, LOAD_S) for _ in chats]
    killed, moment = chance.choice(nodes), chance.uniform(0, LOAD_S + 0.3)
    async with asyncio.TaskGroup() as running:
        load = [
            running.create_task(_ask_later(beginning, nodes[chat % len(nodes)], chat))
            for beginning, chat in zip(beginnings, chats, strict=True)
        ]
        await asyncio.sleep(moment)
        await killed.kill()
        await killed.start()
    return [asked.result() for asked in load]


async def _ask_later(delay_s: float, node: Node, chat: int) -> Outcome:
    await asyncio.sleep(delay_s)
    return await ask(node.port, chat)


async def _spend_the_rest(nodes: Sequence[Node], upstream: CountedUpstream, first: int) -> None:
    """Send chats until the budget has no room for any."""
    upstream.delay_us = 0
    ports = [node.port for node in nodes]
    outcomes: Sequence[Outcome] = ()
    while endings(outcomes) != {"budget_exhausted": WAVE}:
        outcomes = await ask_all(ports, range(first, first + WAVE))
        assert set(endings(outcomes)) <= {"done", "budget_exhausted"}
        first += WAVE


def _undercharged(upstream: CountedUpstream, books: Books) -> dict[int, tuple[int, int]]:
    """The chats whose charge is below what may be billed for them, with both numbers."""
    compared = {
        chat: (sum(map(charged_tokens, books.of_chat(chat))), upstream.billable(chat))
        for chat in upstream.calls
    }
    return {chat: pair for chat, pair in compared.items() if pair[0] < pair[1]}


def _called_twice(upstream: CountedUpstream) -> list[int]:
    return [chat for chat, calls in upstream.calls.items() if len(calls) > 1]


def _states(books: Books) -> dict[str, int]:
    states = [str(hold.state) for hold in books.holds.values()]
    return {state: states.count(state) for state in sorted(set(states))}
