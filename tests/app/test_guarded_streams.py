"""The whole application between a real socket on each side: what it charges, and what it closes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from litestar import Litestar

from chatnest import (
    BudgetConfig,
    ChatNestConfig,
    ChatNestPlugin,
    Principal,
    PrincipalResolver,
    ProfileConfig,
    RetryConfig,
    TimeLimitsConfig,
)
from chatnest.adapters.clock import SystemClock
from chatnest.adapters.providers.openai import OpenAIProvider
from chatnest.adapters.tokenizers import BpeTokenCounter
from chatnest.testing.openai_scripts import completion, error_object, refusal, text, usage_of
from chatnest.testing.upstream import (
    Cut,
    End,
    Head,
    MockUpstream,
    Reset,
    Scripts,
    Stall,
    Step,
    Wait,
)
from tests.support.client import WAIT_S, Event, Exchange, chat, usage
from tests.support.running import running
from tests.support.waiting import until

CLOSED_WITHIN_US = 50_000
MODEL = "gpt-4o-mini"
TEMPLATE = BpeTokenCounter().overhead(MODEL)
# Hello! is two tokens, and the model's template adds its own.
HELLO_TOKENS = 2 + TEMPLATE.per_message + TEMPLATE.per_request
USAGE = usage_of(20, 4)
THREE_TOKENS = (Head(), text("one "), text("two "), text("three "))


class Setting:
    """An application that is served, and the upstream that it calls."""

    def __init__(self, port: int, upstream: MockUpstream, plugin: ChatNestPlugin) -> None:
        self.port = port
        self.plugin = plugin
        self.upstream = upstream
        self.clock = SystemClock()

    async def settled_usage(self, scope: str | None = None) -> tuple[int, int]:
        """Tokens used and held today by *scope*, or the caller, once nothing is held any more."""

        async def nothing_held() -> bool:
            return not (await usage(self.port, scope))["tokens-day"]["held"]

        await until(nothing_held)
        tokens = (await usage(self.port, scope))["tokens-day"]
        return tokens["used"], tokens["held"]

    async def called(self) -> bool:
        """Whether the provider has been."""
        return bool(self.upstream.exchanges)

    async def closed_after_us(self, since_us: int) -> int:
        """How long after *since_us* the provider's connection was closed."""
        connection = self.upstream.exchanges[-1].connection
        async with asyncio.timeout(WAIT_S):
            await connection.gone.wait()
        assert connection.gone_us is not None
        return connection.gone_us - since_us


@asynccontextmanager
async def setting(
    scripts: Scripts, *, resolve_principal: PrincipalResolver | None = None, **changes: Any
) -> AsyncGenerator[Setting, None]:
    config = ChatNestConfig(model=MODEL, **changes)
    async with MockUpstream(scripts) as upstream:
        provider = OpenAIProvider(base_url=upstream.base_url, api_key="k", trust_env=False)
        plugin = ChatNestPlugin(config, provider=provider, resolve_principal=resolve_principal)
        app = Litestar(plugins=[plugin])
        async with running(app) as port:
            yield Setting(port, upstream, plugin)


async def read(port: int, *texts: str, **fields: object) -> list[Event]:
    async with await chat(port, *(texts or ("Hello!",)), **fields) as exchange:
        return [event async for event in exchange.events()]


async def leave_after(stage: Setting, tokens: int) -> int:
    """Read that many tokens, hang up, and say when."""
    async with await chat(stage.port, "Hello!") as exchange:
        seen = 0
        async for event in exchange.events():
            seen += event.name == "token"
            if event.name == "start" and not tokens:
                await until(stage.called)
                break
            if seen == tokens and tokens:
                break
        since_us = stage.clock.monotonic_us()
        exchange.close()
    return since_us


async def test_a_whole_answer_comes_with_its_usage() -> None:
    async with setting(completion(usage=USAGE)) as stage:
        events = await read(stage.port)

        assert [event.name for event in events] == ["start", *["token"] * 4, "usage", "done"]
        assert "".join(event.json for event in events if event.name == "token") == "Hello, world!"
        assert events[-2].json["totalTokens"] == 24
        assert await stage.settled_usage() == (24, 0)


async def test_the_provider_is_sent_the_cap_and_asked_for_usage() -> None:
    async with setting(completion(usage=USAGE)) as stage:
        await read(stage.port)
        sent = stage.upstream.exchanges[0].json

    assert sent["stream"] is True
    assert sent["stream_options"] == {"include_usage": True}
    assert sent["max_tokens"] == 400
    assert sent["messages"] == [{"role": "user", "content": "Hello!"}]


async def test_room_for_37_of_200_at_once_streams_exactly_37() -> None:
    one_hold = await held_by_one()
    go_on = asyncio.Event()
    script = (*completion(usage=USAGE)[:2], Wait(go_on), *completion(usage=USAGE)[2:])
    async with (
        setting(script, resolve_principal=everybody_else(), **everybody(37 * one_hold)) as stage,
        AsyncExitStack() as clients,
    ):
        exchanges = [
            await clients.enter_async_context(await chat(stage.port, "Hello!")) for _ in range(200)
        ]
        statuses = await asyncio.gather(*(exchange.head() for exchange in exchanges))
        refused = [e for e in exchanges if e.status == 429]
        streams = [e for e in exchanges if e.status == 200]
        assert (len(streams), len(refused)) == (37, 163), statuses
        bodies = await asyncio.gather(*(exchange.json() for exchange in refused))
        assert {body["error"] for body in bodies} == {
            "Daily AI budget exceeded. Try again tomorrow."
        }
        assert {exchange.headers["x-should-retry"] for exchange in refused} == {"false"}
        go_on.set()
        endings = await asyncio.gather(*(last_event(exchange) for exchange in streams))

        assert {event.name for event in endings} == {"done"}
        assert len(stage.upstream.exchanges) == 37
        assert await stage.settled_usage("global") == (37 * 24, 0)


async def held_by_one() -> int:
    """What one request holds of everybody's tokens while its answer is under way."""
    async with (
        setting((Head(), Stall()), **everybody(10**6)) as stage,
        await chat(stage.port, "Hello!") as exchange,
    ):
        await exchange.head()
        return int((await usage(stage.port, "global"))["tokens-day"]["held"])


def everybody(tokens: int) -> dict[str, Any]:
    """Answers that never shrink, and so many tokens a day for everybody together."""
    budget = BudgetConfig(scope="global", unit="tokens", period="day", limit=Decimal(tokens))
    return {
        "profiles": {"balanced": ProfileConfig(min_output_tokens=400)},
        "budgets": (budget,),
    }


def everybody_else() -> PrincipalResolver:
    """Whoever calls is somebody new, so that only what all share can run out."""
    people = count(1)
    return lambda connection: Principal(f"user:{next(people)}")


async def last_event(exchange: Exchange) -> Event:
    *_, last = [event async for event in exchange.events()]
    return last


@pytest.mark.parametrize("tokens", [0, 3])
async def test_a_client_that_leaves_pays_for_what_it_got_and_closes_the_provider(
    tokens: int,
) -> None:
    async with setting((*THREE_TOKENS[: 1 + tokens], Stall())) as stage:
        since_us = await leave_after(stage, tokens)

        assert await stage.closed_after_us(since_us) < CLOSED_WITHIN_US
        used, held = await stage.settled_usage()
        assert held == 0
        assert HELLO_TOKENS + tokens <= used <= HELLO_TOKENS + 2 * tokens
        assert len(stage.upstream.exchanges) == 1


async def test_a_client_that_leaves_before_the_provider_answers_closes_it_too() -> None:
    async with setting((Stall(),)) as stage:
        since_us = await leave_after(stage, 0)

        assert await stage.closed_after_us(since_us) < CLOSED_WITHIN_US
        assert await stage.settled_usage() == (HELLO_TOKENS, 0)


async def test_a_client_that_stops_reading_is_dropped_at_the_write_stall_limit() -> None:
    flood: tuple[Step, ...] = (Head(), *[text("x" * 10_000)] * 2_000, End())
    limits = TimeLimitsConfig(write_stall_s=0.3)
    async with (
        setting(flood, time_limits=limits) as stage,
        await chat(stage.port, "Hello!") as exchange,
    ):
        await exchange.head()
        await until(stage.called)
        async with asyncio.timeout(WAIT_S):
            await stage.upstream.exchanges[0].connection.gone.wait()
        used, held = await stage.settled_usage()

    assert held == 0
    assert used > HELLO_TOKENS
    assert stage.upstream.exchanges[0].tokens_written < 2_000


@pytest.mark.parametrize(
    ("script", "tokens"), [((Stall(),), 0), ((Head(), Stall()), 0), ((*THREE_TOKENS, Stall()), 3)]
)
async def test_a_provider_that_stalls_is_left_and_the_client_is_told(
    script: tuple[Step, ...], tokens: int
) -> None:
    limits = TimeLimitsConfig(first_token_s=0.2, idle_s=0.2)
    once = RetryConfig(max_attempts=1)
    async with setting(script, time_limits=limits, retry=once) as stage:
        events = await read(stage.port)

        assert events[-1].name == "error"
        assert events[-1].json["code"] == "provider_timeout"
        assert stage.upstream.exchanges[0].connection.gone.is_set()
        used, held = await stage.settled_usage()
        assert held == 0
        assert HELLO_TOKENS + tokens <= used <= HELLO_TOKENS + 2 * tokens


@pytest.mark.parametrize("ending", [Cut(), Reset()])
async def test_a_stream_that_breaks_in_the_middle_ends_with_an_error_and_is_not_retried(
    ending: Step,
) -> None:
    async with setting((*THREE_TOKENS, ending)) as stage:
        events = await read(stage.port)

        assert [event.name for event in events] == ["start", *["token"] * 3, "usage", "error"]
        assert events[-1].json["code"] == "provider_interrupted"
        assert events[-2].json["estimated"] is True
        assert len(stage.upstream.exchanges) == 1
        used, held = await stage.settled_usage()
        assert (used, held) == (events[-2].json["totalTokens"], 0)


async def test_a_failure_before_the_first_token_is_tried_again() -> None:
    answers = iter([refusal(503), refusal(429, retry_after="0"), completion(usage=USAGE)])
    quick = RetryConfig(base_delay_s=0.01)
    async with setting(lambda _: next(answers), retry=quick) as stage:
        events = await read(stage.port)

        assert events[-1].name == "done"
        assert len(stage.upstream.exchanges) == 3
        assert await stage.settled_usage() == (24, 0)


async def test_an_exhausted_quota_is_not_tried_again_and_costs_nothing() -> None:
    no_money = refusal(429, error_object("insufficient_quota", "insufficient_quota"))
    async with setting(no_money) as stage:
        events = await read(stage.port)

        assert events[-1].name == "error"
        assert events[-1].json["retryable"] is False
        assert len(stage.upstream.exchanges) == 1
        assert await stage.settled_usage() == (0, 0)


async def test_a_provider_that_cannot_be_reached_costs_nothing() -> None:
    async with setting(()) as stage:
        await stage.upstream.__aexit__(None, None, None)
        events = await read(stage.port)

        assert events[-1].json["code"] == "provider_connection"
        assert await stage.settled_usage() == (0, 0)


async def test_a_shutdown_ends_open_streams_with_an_error_and_takes_no_new_ones() -> None:
    async with (
        setting((*THREE_TOKENS, Stall())) as stage,
        await chat(stage.port, "Hello!") as exchange,
    ):
        names: list[str] = []
        async for event in exchange.events():
            names.append(event.name)
            if event.data == '"three "':
                stage.plugin.serving().registry.begin_drain(50_000)
                async with await chat(stage.port, "Hello!") as late:
                    assert await late.head() == 503

        assert names == ["start", *["token"] * 3, "usage", "error"]
        assert len(stage.upstream.exchanges) == 1
        assert (await stage.settled_usage())[1] == 0
