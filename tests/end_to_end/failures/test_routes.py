"""Routes, from one socket to the other: places, circuits, and what another target costs."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chatnest import BudgetConfig, CircuitConfig, PriceConfig, ProfileConfig, TargetConfig
from chatnest.domain.budget import HoldState
from chatnest.domain.windows import US_PER_S
from chatnest.testing.upstream import Exchange as Call
from chatnest.testing.upstream import Script, Wait
from tests.end_to_end.failures.stage import ASKED, ATTEMPTS, Entry, Server, Stage, stage
from tests.end_to_end.failures.wires import WIRES, Wire, other
from tests.support.client import Exchange, chat, usage
from tests.support.waiting import until

USED = (20, 4)
CAP = 50
WAIT_S = 0.2
OPEN_S = 2
# Dollars for a million tokens, and what that is for each.
CHEAP_USD, DEAR_USD = 1, 100
DEAR_NANO_USD = 100_000

wires = pytest.mark.parametrize("wire", WIRES, ids=str)


def answer(wire: Wire) -> Script:
    return wire.scripts.completion(usage=wire.scripts.usage_of(*USED))


async def assert_refused(client: Exchange, code: str, most_retry_after_s: int) -> None:
    """The client gets no stream, and is told that it may come again soon."""
    assert await client.head() == 503
    assert (await client.json())["code"] == code
    assert client.headers["x-should-retry"] == "true"
    assert 1 <= int(client.headers["retry-after"]) <= most_retry_after_s


@wires
async def test_who_finds_no_place_waits_for_a_moment_and_holds_nothing(
    wire: Wire, tmp_path: Path
) -> None:
    go_on = asyncio.Event()
    server = Server(wire, (Wait(go_on), *answer(wire)))
    one = {server.target("first"): TargetConfig(max_concurrent=1, max_wait_s=WAIT_S)}
    async with stage(tmp_path, server, targets=one) as app:
        served = asyncio.create_task(app.ask())
        await app.upstreams[0].exchange(1)
        since_us = app.clock.monotonic_us()
        async with await chat(app.port, ASKED) as client:
            await assert_refused(client, "provider_busy", 1)
        assert app.clock.monotonic_us() - since_us >= WAIT_S * US_PER_S
        assert len(await app.journal_now()) == 1

        go_on.set()
        assert (await served).last.name == "done"
        assert app.calls == [1]
        assert await app.used() == sum(USED)


@wires
async def test_who_waits_for_a_place_is_served_when_there_is_one(
    wire: Wire, tmp_path: Path
) -> None:
    go_on = asyncio.Event()
    server = Server(wire, (Wait(go_on), *answer(wire)))
    one = {server.target("first"): TargetConfig(max_concurrent=1, max_wait_s=30)}
    async with stage(tmp_path, server, targets=one) as app:
        asking = [asyncio.create_task(app.ask()) for _ in range(4)]
        await app.upstreams[0].exchange(1)
        go_on.set()
        tolds = await asyncio.gather(*asking)
        assert {told.last.name for told in tolds} == {"done"}
        assert app.calls == [4]
        assert await app.used() == 4 * sum(USED)


@wires
async def test_a_target_that_keeps_failing_is_left_alone_until_a_probe_is_answered(
    wire: Wire, tmp_path: Path
) -> None:
    def recovering(call: Call) -> Script:
        is_down = len(app.upstreams[0].exchanges) <= ATTEMPTS
        return wire.scripts.refusal(503) if is_down else answer(wire)

    circuit = CircuitConfig(failures=ATTEMPTS, open_s=OPEN_S)
    async with stage(tmp_path, Server(wire, recovering), circuit=circuit) as app:
        assert (await app.ask()).last.json["code"] == "provider_overloaded"
        async with await chat(app.port, ASKED) as client:
            await assert_refused(client, "provider_down", OPEN_S)
        assert app.calls == [ATTEMPTS]
        assert len(await app.journal()) == ATTEMPTS

        await until(lambda: takes_a_call(app))
        assert (await app.ask()).last.name == "done"
        assert app.calls == [ATTEMPTS + 2]
        assert await app.used() == 2 * sum(USED)


async def takes_a_call(app: Stage) -> bool:
    async with await chat(app.port, ASKED) as client:
        if await client.head() != 200:
            return False
        *_, last = [event async for event in client.events()]
        return last.name == "done"


def priced(usd: int) -> PriceConfig:
    """Dollars for a million tokens, and the double for those that are written."""
    return PriceConfig(input_usd_per_million=Decimal(usd), output_usd_per_million=Decimal(2 * usd))


def limited_to(usd: str) -> dict[str, Any]:
    """So many dollars for each caller, and answers whose cap never shrinks."""
    budget = BudgetConfig(scope="principal", unit="usd", period="day", limit=Decimal(usd))
    whole = ProfileConfig(max_output_tokens=CAP, min_output_tokens=CAP)
    return {"budgets": (budget,), "profiles": {"balanced": whole}}


def cheap_and_dear(wire: Wire, dear_script: Script) -> tuple[Server, Server, dict[str, Any]]:
    """A cheap target that is overloaded, a dear one beside it, and their prices."""
    cheap = Server(wire, wire.scripts.refusal(503))
    dear = Server(other(wire), dear_script)
    prices = {cheap.target("first"): priced(CHEAP_USD), dear.target("second"): priced(DEAR_USD)}
    return cheap, dear, {"prices": prices}


@wires
async def test_another_target_is_held_and_charged_at_its_own_price(
    wire: Wire, tmp_path: Path
) -> None:
    go_on = asyncio.Event()
    cheap, dear, prices = cheap_and_dear(wire, (Wait(go_on), *answer(other(wire))))
    async with stage(tmp_path, cheap, dear, **prices, **limited_to("10")) as app:
        asking = asyncio.create_task(app.ask())
        await app.upstreams[1].exchange(1)
        limits = await usage(app.port)
        held_tokens, held_nano_usd = limits["tokens-day"]["held"], limits["nano_usd-day"]["held"]
        # The worst case of the prompt, and the whole cap at twice its price.
        assert held_tokens > CAP
        assert held_nano_usd == (held_tokens + CAP) * DEAR_NANO_USD

        go_on.set()
        told = await asking
        cost = (USED[0] + 2 * USED[1]) * DEAR_NANO_USD
        assert told.usage["costUsd"] == str(Decimal(cost) / 10**9)
        assert await app.used() == sum(USED)
        assert (await usage(app.port))["nano_usd-day"]["used"] == cost
        assert await app.journal() == [
            Entry(cheap.target("first"), "overloaded", HoldState.RELEASED, 0),
            Entry(dear.target("second"), "stop", HoldState.SETTLED, sum(USED)),
        ]


@wires
async def test_another_target_that_the_budget_has_no_room_for_is_not_called(
    wire: Wire, tmp_path: Path
) -> None:
    cheap, dear, prices = cheap_and_dear(wire, ())
    room_for_the_cheap_one = "0.005"
    async with stage(tmp_path, cheap, dear, **prices, **limited_to(room_for_the_cheap_one)) as app:
        told = await app.ask()
        assert told.last.json["code"] == "provider_overloaded"
        assert app.calls == [1, 0]
        assert await app.used() == 0
        assert await app.journal() == [
            Entry(cheap.target("first"), "overloaded", HoldState.RELEASED, 0)
        ]


@wires
async def test_a_target_without_a_price_is_passed_over_where_dollars_are_limited(
    wire: Wire, tmp_path: Path
) -> None:
    unheard_of = replace(wire, model="unheard-of")
    servers = (Server(unheard_of, answer(wire)), Server(wire, answer(wire)))
    async with stage(tmp_path, *servers, **limited_to("10")) as app:
        assert (await app.ask()).last.name == "done"
        assert app.calls == [0, 1]
        (entry,) = await app.journal()
        assert entry.target == servers[1].target("second")


@wires
async def test_where_no_target_has_a_price_nothing_is_called(wire: Wire, tmp_path: Path) -> None:
    server = Server(replace(wire, model="unheard-of"), answer(wire))
    async with stage(tmp_path, server, **limited_to("10")) as app:
        async with await chat(app.port, ASKED) as client:
            assert await client.head() == 403
            assert (await client.json())["code"] == "not_allowed"
        assert app.calls == [0]
        assert await app.journal() == []
