"""One Idempotency-Key, two nodes: one call, one charge, and one 409 in the caller's own dialect."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar

from chatnest import BudgetConfig, ChatNestConfig, ChatNestPlugin, Principal, ProfileConfig
from chatnest.adapters.providers import OpenAIProvider
from chatnest.app.auth import Connection
from chatnest.testing.openai_scripts import completion, usage_of
from chatnest.testing.upstream import MockUpstream, Wait
from tests.support.client import Exchange
from tests.support.dialects import CHATNEST, SPEAKERS
from tests.support.running import running
from tests.support.speaker import Refused, Speaker
from tests.support.waiting import until

pytest_plugins = ["tests.support.postgres_fixtures", "tests.support.redis_fixtures"]

MODEL = "gpt-4o-mini"
ANSWER = completion(usage=usage_of(20, 4))
REQUESTS = BudgetConfig(scope="principal", unit="requests", period="day", limit=Decimal(100))
REPEATED = "This request was made before. Use another Idempotency-Key for a new one."
# The words for programs that a repeated key has on each wire; the AI SDK's is a sentence alone.
DUPLICATE = {
    "chatnest": ("duplicate",),
    "openai": ("invalid_request_error", "duplicate"),
    "responses": ("invalid_request_error", "duplicate"),
    "anthropic": ("conflict_error", "duplicate"),
    "ai-sdk": (),
    "ag-ui": ("duplicate",),
}


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that nodes can share."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    url = request.getfixturevalue(f"{request.param}_url")
    name = request.getfixturevalue("ledger")
    return f"{url}?ledger={name}"


def who(connection: Connection) -> Principal:
    return Principal(connection.headers.get("x-caller", "ada"))


@asynccontextmanager
async def nodes(store: str, upstream: MockUpstream) -> AsyncGenerator[tuple[int, int], None]:
    """Two servers over *store*, each with a provider of its own; their ports."""
    config = ChatNestConfig(
        model=MODEL,
        store=store,
        budgets=(REQUESTS,),
        profiles={"balanced": ProfileConfig(concurrent_streams=1)},
    )
    async with AsyncExitStack() as servers:
        ports = []
        for _ in range(2):
            provider = OpenAIProvider(base_url=upstream.base_url, api_key="k", trust_env=False)
            plugin = ChatNestPlugin(config, provider=provider, resolve_principal=who)
            app = Litestar(plugins=[plugin], logging_config=None)
            ports.append(await servers.enter_async_context(running(app)))
        yield ports[0], ports[1]


async def ask(speaker: Speaker, port: int, key: str, caller: str = "ada") -> Exchange:
    model = None if speaker is CHATNEST else MODEL
    headers = {"idempotency-key": key, "x-caller": caller}
    return await speaker.ask(port, model=model, headers=headers)


async def used(port: int, caller: str = "ada") -> tuple[int, int]:
    """Tokens and requests of *caller*, once nothing is held any more."""
    limits: dict[str, dict[str, Any]] = {}

    async def settled() -> bool:
        headers = {"x-caller": caller}
        async with await Exchange.open(
            port, "/api/usage", method="GET", headers=headers
        ) as exchange:
            report = await exchange.json()
        limits.update({each["name"]: each for each in report["limits"] if each["scope"] == caller})
        return not limits["tokens-day"]["held"]

    await until(settled)
    return limits["tokens-day"]["used"], limits["requests-day"]["used"]


def check_duplicate(speaker: Speaker, exchange: Exchange, refused: Refused) -> None:
    """It is the conflict of that wire, and not to be sent again."""
    assert (refused.status, refused.words) == (409, DUPLICATE[speaker.name])
    assert (
        refused.text == "This request was made before. Use another Idempotency-Key for a new one."
    )
    assert exchange.headers["x-should-retry"] == "false"
    assert "retry-after" not in exchange.headers


@pytest.mark.parametrize("speaker", SPEAKERS.values(), ids=SPEAKERS)
async def test_of_two_at_the_same_moment_at_two_nodes_one_is_answered_and_charged(
    store: str, speaker: Speaker
) -> None:
    go_on = asyncio.Event()
    async with (
        MockUpstream((*ANSWER[:2], Wait(go_on), *ANSWER[2:])) as upstream,
        nodes(store, upstream) as ports,
    ):
        exchanges = [await ask(speaker, port, "order-66") for port in ports]
        statuses = await asyncio.gather(*(exchange.head() for exchange in exchanges))
        assert sorted(statuses) == [200, 409]
        answered, refused = sorted(exchanges, key=lambda exchange: exchange.status)
        check_duplicate(speaker, refused, await speaker.refusal(refused))
        go_on.set()
        told = await speaker.hear(answered)

        assert told.text == "Hello, world!"
        assert len(upstream.exchanges) == 1
        assert await used(ports[0]) == await used(ports[1]) == (24, 1)

        again = await ask(speaker, ports[1], "order-66")
        check_duplicate(speaker, again, await speaker.refusal(again))
        assert len(upstream.exchanges) == 1
        assert await used(ports[0]) == (24, 1)


async def test_another_callers_same_key_is_another_key_and_so_is_another_key(store: str) -> None:
    async with MockUpstream(ANSWER) as upstream, nodes(store, upstream) as ports:
        for caller, key in (("ada", "1"), ("grace", "1"), ("ada", "2")):
            await CHATNEST.hear(await ask(CHATNEST, ports[0], key, caller))

        assert len(upstream.exchanges) == 3
        assert await used(ports[1]) == (48, 2)
        assert await used(ports[1], "grace") == (24, 1)


async def test_a_key_is_one_key_in_every_dialect(store: str) -> None:
    async with MockUpstream(ANSWER) as upstream, nodes(store, upstream) as ports:
        await CHATNEST.hear(await ask(CHATNEST, ports[0], "1"))
        for speaker in SPEAKERS.values():
            again = await ask(speaker, ports[1], "1")
            check_duplicate(speaker, again, await speaker.refusal(again))

        assert len(upstream.exchanges) == 1


@pytest.mark.parametrize("speaker", SPEAKERS.values(), ids=SPEAKERS)
async def test_a_refused_request_leaves_its_key_free(tmp_path: Path, speaker: Speaker) -> None:
    go_on = asyncio.Event()
    async with (
        MockUpstream((*ANSWER[:2], Wait(go_on), *ANSWER[2:])) as upstream,
        nodes(f"sqlite:///{tmp_path}/ledger.db", upstream) as ports,
    ):
        first = await ask(CHATNEST, ports[0], "1")
        assert await first.head() == 200
        for port in ports:  # One answer at a time is all that a caller may have.
            refused = await speaker.refusal(await ask(speaker, port, "2"))
            assert (refused.status, len(upstream.exchanges)) == (429, 1)
        go_on.set()
        await CHATNEST.hear(first)
        assert await used(ports[0]) == (24, 1)

        await speaker.hear(await ask(speaker, ports[1], "2"))
        assert await used(ports[0]) == (48, 2)


@pytest.mark.parametrize("speaker", SPEAKERS.values(), ids=SPEAKERS)
async def test_a_key_that_cannot_be_kept_is_refused_and_costs_nothing(
    tmp_path: Path, speaker: Speaker
) -> None:
    async with (
        MockUpstream(ANSWER) as upstream,
        nodes(f"sqlite:///{tmp_path}/ledger.db", upstream) as ports,
    ):
        for key in ("", "x" * 256, "sch\xf6n", "a\tb"):
            exchange = await ask(speaker, ports[0], key)
            refused = await speaker.refusal(exchange)
            assert refused.status == 400
            assert refused.text.endswith("must be 1 to 255 printable ASCII characters")
            assert "Idempotency-Key" in (refused.field or refused.text)
            assert exchange.headers["x-should-retry"] == "false"
        headers = {"idempotency-key": "1", "Idempotency-Key": "2"}
        twice = await speaker.refusal(await speaker.ask(ports[0], headers=headers))
        assert (twice.status, twice.text.endswith("is given twice; send it once")) == (400, True)
        assert upstream.exchanges == []
        assert await used(ports[0]) == (0, 0)

        longest = await ask(speaker, ports[0], "~" * 255)
        await speaker.hear(longest)
        assert await used(ports[0]) == (24, 1)
