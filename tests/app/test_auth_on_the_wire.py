"""Keys over a real socket: who is let in, and whose account pays."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from litestar import Litestar

from chatnest import AuthConfig, BudgetConfig, ChatNestConfig, ChatNestPlugin, KeyConfig
from chatnest.adapters.clock import SystemClock
from chatnest.adapters.providers import ScriptedProvider
from chatnest.adapters.providers.scripted import Script
from tests.support.client import Exchange
from tests.support.running import running

HELLO = b'{"messages":[{"role":"user","content":"Hello!"}]}'
ALICE, BOB = "cn_alices-key", "cn_bobs-key"


class Served:
    def __init__(self, port: int, provider: ScriptedProvider) -> None:
        self.port = port
        self.provider = provider

    async def chat(self, key: str | None, body: bytes = HELLO) -> Exchange:
        """A chat that has been read to its end."""
        exchange = await Exchange.open(self.port, "/api/chat", body=body, headers=shown(key))
        async with exchange:
            await exchange.head()
            if exchange.status == 200:
                assert [event.name async for event in exchange.events()][-1] == "done"
        return exchange

    async def get(self, path: str, key: str | None = None) -> tuple[int, Any]:
        exchange = await Exchange.open(self.port, path, method="GET", headers=shown(key))
        async with exchange:
            return await exchange.head(), await exchange.json()

    async def used_tokens(self, key: str, scope: str) -> int:
        _, report = await self.get("/api/usage", key)
        limits = {(limit["name"], limit["scope"]): limit for limit in report["limits"]}
        return int(limits["tokens-day", scope]["used"])


def shown(key: str | None) -> dict[str, str]:
    return {} if key is None else {"authorization": f"Bearer {key}"}


def known(name: str, key: str, **rest: Any) -> KeyConfig:
    return KeyConfig(name=name, sha256=hashlib.sha256(key.encode()).hexdigest(), **rest)


@asynccontextmanager
async def serving(**changes: Any) -> AsyncGenerator[Served, None]:
    keys = (known("alice", ALICE), known("bob", BOB, profiles=("constrained",)))
    config = ChatNestConfig(auth=AuthConfig(keys=keys), **changes)
    provider = ScriptedProvider(SystemClock(), Script(text="Hello to you too!"))
    plugin = ChatNestPlugin(config, provider=provider)
    async with running(Litestar(plugins=[plugin], logging_config=None)) as port:
        yield Served(port, provider)


@pytest.mark.parametrize("key", [None, "", "cn_nobodys-key", "cn_\xff", ALICE[:-1], "x" * 10_000])
@pytest.mark.parametrize(("method", "path"), [("POST", "/api/chat"), ("GET", "/api/usage")])
async def test_without_a_known_key_nothing_is_told_but_to_show_one(
    key: str | None, method: str, path: str
) -> None:
    body = b"" if method == "GET" else b'{"messages":'
    async with serving() as served:
        exchange = await Exchange.open(
            served.port, path, method=method, body=body, headers=shown(key)
        )
        async with exchange:
            assert await exchange.head() == 401
            told = await exchange.json()
        assert served.provider.calls == []

    assert exchange.headers["www-authenticate"] == 'Bearer realm="chatnest"'
    assert exchange.headers["x-should-retry"] == "false"
    assert told["error"] == "Not authenticated. Please send a valid key."
    assert told["code"] == "unauthenticated"
    assert told["retryable"] is False
    assert "key" in told["reason"]
    assert "cn_" not in str(told)


async def test_a_caller_without_a_key_is_told_so_even_after_twenty_megabytes() -> None:
    async with serving() as served:
        exchange = await served.chat(None, b" " * 20_000_000)
        assert exchange.status == 401


async def test_a_key_is_charged_for_its_own_chats_and_all_for_everybodys() -> None:
    async with serving() as served:
        for key, name, others in ((ALICE, "key:alice", 0), (BOB, "key:bob", 5)):
            assert await served.used_tokens(key, name) == 0
            assert (await served.chat(key)).status == 200
            # One word in, four out.
            assert await served.used_tokens(key, name) == 5
            assert await served.used_tokens(key, "global") == others + 5


async def test_a_budget_that_one_key_has_used_up_is_whole_for_another() -> None:
    one_chat = BudgetConfig(scope="principal", unit="requests", period="day", limit=Decimal(1))
    async with serving(budgets=(one_chat,)) as served:
        statuses = [(await served.chat(key)).status for key in (ALICE, ALICE, BOB, BOB)]
        assert statuses == [200, 429, 200, 429]
        assert len(served.provider.calls) == 2


async def test_usage_names_the_key_and_its_profile() -> None:
    async with serving() as served:
        for key, name, profile in ((ALICE, "alice", "balanced"), (BOB, "bob", "constrained")):
            status, report = await served.get("/api/usage", key)
            assert status == 200
            assert (report["principal"], report["profile"]) == (f"key:{name}", profile)


async def test_a_key_may_use_its_own_profiles_alone() -> None:
    wish = HELLO[:-1] + b',"profile":"expanded"}'
    async with serving() as served:
        exchange = await Exchange.open(served.port, "/api/chat", body=wish, headers=shown(BOB))
        async with exchange:
            assert await exchange.head() == 403
            told = await exchange.json()
        assert served.provider.calls == []
        assert (await served.chat(ALICE, wish)).status == 200

    assert told["code"] == "not_allowed"
    assert told["error"] == "Not allowed. Please choose another profile."
    assert told["retryable"] is False


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_health_needs_no_key(path: str) -> None:
    async with serving() as served:
        assert await served.get(path) == (200, {"status": "ok"})
