"""A client that leaves: nothing more is paid for it, whatever its call is doing at that moment."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from chatnest.domain.budget import HoldState
from chatnest.testing.upstream import Head, Script, Stall
from tests.end_to_end.failures.stage import ASKED, Entry, Server, Stage, stage
from tests.end_to_end.failures.wires import WIRES, Wire
from tests.support.client import Exchange, chat
from tests.support.connecting import connecting_sockets, deaf_server, shows_sockets
from tests.support.waiting import until

CLOSED_WITHIN_US = 50_000
SAID = ("one ", "two ", "three ")
# Longer than any of this takes, and within the deadline of all attempts.
BACK_OFF_S = 4

wires = pytest.mark.parametrize("wire", WIRES, ids=str)


@shows_sockets
@wires
async def test_during_the_connect_it_is_given_up_and_costs_nothing(
    wire: Wire, tmp_path: Path
) -> None:
    with deaf_server() as deaf:
        server = Server(wire, origin="http://{}:{}".format(*deaf.getsockname()))
        before = connecting_sockets(deaf)

        async def connecting() -> bool:
            return connecting_sockets(deaf) == before + 1

        async def given_up() -> bool:
            return connecting_sockets(deaf) == before

        async with stage(tmp_path, server) as app:
            async with await chat(app.port, ASKED) as client:
                await until(connecting)
                since_us = leave(app, client)
                await until(given_up)
                assert app.clock.monotonic_us() - since_us < CLOSED_WITHIN_US
            assert await app.used() == 0
            journal = await app.journal()
    assert journal == [Entry(server.target("first"), "cancelled", HoldState.RELEASED, 0)]


@wires
@pytest.mark.parametrize(
    "script", [(Stall(),), (Head(), Stall())], ids=["before the headers", "after the headers"]
)
async def test_before_the_first_token_it_is_closed_and_costs_the_prompt(
    wire: Wire, script: Script, tmp_path: Path
) -> None:
    server = Server(wire, script)
    async with stage(tmp_path, server) as app:
        async with await chat(app.port, ASKED) as client:
            await app.upstreams[0].exchange(1)
            await settle()
            since_us = leave(app, client)
            assert await app.closed_after_us(since_us) < CLOSED_WITHIN_US
        await assert_charged(app, server, "cancelled", await wire.prompt_tokens(ASKED))


@wires
async def test_in_the_middle_it_is_closed_and_costs_the_prompt_and_what_came(
    wire: Wire, tmp_path: Path
) -> None:
    server = Server(wire, (*wire.begun(*SAID), Stall()))
    async with stage(tmp_path, server) as app:
        async with await chat(app.port, ASKED) as client:
            await read_tokens(client, SAID)
            since_us = leave(app, client)
            assert await app.closed_after_us(since_us) < CLOSED_WITHIN_US
        seen = await wire.prompt_tokens(ASKED) + await wire.tokens("".join(SAID))
        await assert_charged(app, server, "cancelled", seen)


@wires
@pytest.mark.parametrize(("status", "outcome"), [(503, "overloaded"), (504, "timeout")])
async def test_during_a_back_off_nothing_is_called_again_and_what_failed_costs_what_it_may_have(
    wire: Wire, status: int, outcome: str, tmp_path: Path
) -> None:
    server = Server(wire, wire.scripts.refusal(status, retry_after=str(BACK_OFF_S)))
    billable = status == 504
    async with stage(tmp_path, server) as app:
        async with await chat(app.port, ASKED) as client:
            exchange = await app.upstreams[0].exchange(1)
            await exchange.over.wait()
            await settle()
            leave(app, client)
        tokens = await wire.prompt_tokens(ASKED) if billable else 0
        await assert_charged(app, server, outcome, tokens)
        assert len(app.upstreams[0].connections) == 1


def leave(app: Stage, client: Exchange) -> int:
    """Hang up, and say when."""
    since_us = app.clock.monotonic_us()
    client.close()
    return since_us


async def settle() -> None:
    """Let everybody on this loop go as far as they get without any time passing."""
    for _ in range(200):
        await asyncio.sleep(0)


async def read_tokens(client: Exchange, tokens: Sequence[str]) -> None:
    seen: list[str] = []
    async for event in client.events():
        if event.name == "token":
            seen.append(event.json)
        if len(seen) == len(tokens):
            break
    assert seen == list(tokens)


async def assert_charged(app: Stage, server: Server, outcome: str, tokens: int) -> None:
    """The one attempt is closed and charged *tokens*, or was released, and no other was made."""
    assert await app.used() == tokens
    state = HoldState.SETTLED if tokens else HoldState.RELEASED
    assert await app.journal() == [Entry(server.target("first"), outcome, state, tokens)]
    assert app.calls == [1]
