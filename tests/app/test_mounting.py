"""Which dialects are mounted, where, behind whose guards, and with whose keys."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from litestar import Litestar, Router
from litestar.config.cors import CORSConfig
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from chatnest import AuthConfig, ChatNestConfig, ChatNestPlugin, HttpConfig, KeyConfig
from chatnest.adapters.clock import SystemClock
from chatnest.adapters.providers import ScriptedProvider
from chatnest.adapters.providers.scripted import Script
from tests.support.client import Exchange
from tests.support.dialects import AG_UI, CHATNEST, SPEAKERS
from tests.support.provider_dialects import OPENAI
from tests.support.running import running
from tests.support.speaker import Speaker

KEY = "cn_alices-key"
KEYS = AuthConfig(keys=(KeyConfig(name="alice", sha256=hashlib.sha256(KEY.encode()).hexdigest()),))
MODEL = "scripted"
SWITCHES = sorted({speaker.switch for speaker in SPEAKERS.values()})
PAGE = "https://app.example"
each_dialect = pytest.mark.parametrize("speaker", SPEAKERS.values(), ids=SPEAKERS)


@asynccontextmanager
async def serving(
    http: HttpConfig | None = None, **changes: Any
) -> AsyncGenerator[tuple[int, ScriptedProvider], None]:
    """An application with nothing in it but ChatNest: its port, and whom it asks."""
    provider = ScriptedProvider(SystemClock(), Script(text="All is well."))
    config = ChatNestConfig(http=http or HttpConfig(), **changes)
    plugin = ChatNestPlugin(config, provider=provider)
    async with running(Litestar(plugins=[plugin], logging_config=None)) as port:
        yield port, provider


async def ask(
    speaker: Speaker, port: int, path: str | None = None, headers: dict[str, str] | None = None
) -> Exchange:
    """Say hello at *path*, else where the dialect is by default."""
    model = None if speaker is CHATNEST else MODEL
    return await speaker.ask(port, model=model, path=path, headers=headers)


async def check_answered(speaker: Speaker, exchange: Exchange) -> None:
    assert (await speaker.hear(exchange)).text == "All is well."


@pytest.mark.parametrize("switch", SWITCHES)
async def test_a_dialect_answers_where_it_is_mounted_and_no_other_does(switch: Any) -> None:
    async with serving(HttpConfig(dialects=(switch,))) as (port, provider):
        for speaker in SPEAKERS.values():
            exchange = await ask(speaker, port)
            if speaker.switch == switch:
                await check_answered(speaker, exchange)
            else:
                async with exchange:
                    assert await exchange.head() == 404
        mounted = [speaker for speaker in SPEAKERS.values() if speaker.switch == switch]
        assert len(provider.calls) == len(mounted)


@pytest.mark.parametrize(
    ("http", "moved"),
    [
        (
            HttpConfig(path="/ai", v1_path="/ai/openai/v1", ag_ui_path="/ai/agent"),
            {"/api": "/ai", "/v1": "/ai/openai/v1", "/agui": "/ai/agent"},
        ),
        (
            HttpConfig(path="/", v1_path="/", ag_ui_path="/", mount_health=False),
            {"/api": "", "/v1": "", "/agui": "/"},
        ),
    ],
    ids=["elsewhere", "root"],
)
@each_dialect
async def test_a_dialect_is_where_its_path_puts_it(
    http: HttpConfig, moved: dict[str, str], speaker: Speaker
) -> None:
    (old,) = [prefix for prefix in moved if speaker.path.startswith(prefix)]
    async with serving(http) as (port, provider):
        path = speaker.path.replace(old, moved[old], 1)
        await check_answered(speaker, await ask(speaker, port, path))
        async with await ask(speaker, port) as exchange:
            assert await exchange.head() == 404
        assert len(provider.calls) == 1


def only_members(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A guard of the application's own."""
    member = connection.headers.get("x-member")
    if member is None:
        raise NotAuthorizedException("Please log in.")
    if member != "yes":
        raise PermissionDeniedException("Members alone may chat.")


@asynccontextmanager
async def hosted(**changes: Any) -> AsyncGenerator[tuple[int, ScriptedProvider], None]:
    """An application that has ChatNest's routes under a prefix and a guard of its own."""
    provider = ScriptedProvider(SystemClock(), Script(text="All is well."))
    plugin = ChatNestPlugin(ChatNestConfig(http=HttpConfig(mount=False)), provider=provider)
    members = Router("/members", route_handlers=plugin.routers(), guards=[only_members])
    app = Litestar([members], plugins=[plugin], logging_config=None, **changes)
    async with running(app) as port:
        yield port, provider


@each_dialect
async def test_a_guard_of_the_application_stands_before_every_dialect(speaker: Speaker) -> None:
    async with hosted() as (port, provider):
        path = f"/members{speaker.path}"
        for member, status in ((None, 401), ("no", 403)):
            headers = {} if member is None else {"x-member": member}
            async with await ask(speaker, port, path, headers) as exchange:
                refused = await exchange.json()
            # It is the application's own error, in the form that Litestar or it has for those.
            assert (exchange.status, refused["status_code"]) == (status, status)
            assert refused["detail"] in ("Please log in.", "Members alone may chat.")
        assert provider.calls == []
        async with await ask(speaker, port, headers={"x-member": "yes"}) as exchange:
            assert await exchange.head() == 404

        await check_answered(speaker, await ask(speaker, port, path, {"x-member": "yes"}))
        assert len(provider.calls) == 1


async def test_routes_of_the_application_can_share_the_prefix_and_the_description() -> None:
    plugin = ChatNestPlugin(ChatNestConfig(auth=KEYS, http=HttpConfig(mount=False)))
    members = Router("/members", route_handlers=plugin.routers())
    document = Litestar([members], plugins=[plugin], logging_config=None).openapi_schema.to_schema()

    chats = [document["paths"][f"/members{speaker.path}"] for speaker in SPEAKERS.values()]
    assert all(chat["post"]["security"] == [{"key": []}, {"x-api-key": []}] for chat in chats)
    assert document["components"]["securitySchemes"].keys() == {"key", "x-api-key"}
    assert all(path.startswith(("/members/", "/health/")) for path in document["paths"])


@pytest.mark.parametrize(
    "headers",
    [{"authorization": f"Bearer {KEY}"}, {"authorization": f"bearer  {KEY}"}, {"x-api-key": KEY}],
    ids=["bearer", "lower-case", "x-api-key"],
)
@each_dialect
async def test_a_key_is_taken_in_either_header(headers: dict[str, str], speaker: Speaker) -> None:
    async with serving(auth=KEYS) as (port, _):
        await check_answered(speaker, await ask(speaker, port, headers=headers))


# What an unknown caller is told for programs; the AI SDK's is a sentence alone.
UNAUTHENTICATED = {
    "chatnest": ("unauthenticated",),
    "openai": ("invalid_request_error", "invalid_api_key"),
    "responses": ("invalid_request_error", "invalid_api_key"),
    "anthropic": ("authentication_error", "unauthenticated"),
    "ai-sdk": (),
    "ag-ui": ("unauthenticated",),
}


@pytest.mark.parametrize(
    "headers",
    [{}, {"x-api-key": "cn_nobodys"}, {"authorization": f"Basic {KEY}"}, {"api-key": KEY}],
    ids=["none", "unknown", "basic", "other-header"],
)
@each_dialect
async def test_without_a_known_key_each_dialect_says_so_in_its_own_words(
    headers: dict[str, str], speaker: Speaker
) -> None:
    async with serving(auth=KEYS) as (port, provider):
        exchange = await ask(speaker, port, headers=headers)
        refused = await speaker.refusal(exchange)

        assert (refused.status, refused.words) == (401, UNAUTHENTICATED[speaker.name])
        assert "key" in refused.text
        assert exchange.headers["www-authenticate"] == 'Bearer realm="chatnest"'
        assert exchange.headers["x-should-retry"] == "false"
        assert provider.calls == []


@pytest.mark.parametrize("stream", [True, False])
@each_dialect
async def test_other_origins_are_the_applications_to_allow(speaker: Speaker, stream: bool) -> None:
    more: dict[str, Any] = {} if stream else {"stream": False, "stream_options": None}
    model = None if speaker is CHATNEST else MODEL
    headers = {"origin": PAGE, "x-member": "yes"}
    path = f"/members{speaker.path}"
    for cors in (None, CORSConfig(allow_origins=[PAGE])):
        async with (
            hosted(cors_config=cors) as (port, _),
            await speaker.ask(port, model=model, path=path, headers=headers, **more) as exchange,
        ):
            assert await exchange.head() == 200
            allowed = exchange.headers.get("access-control-allow-origin")
            assert allowed == (None if cors is None else PAGE)


async def test_a_browser_may_ask_first_where_the_application_lets_it() -> None:
    wants = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    async with hosted(cors_config=CORSConfig(allow_origins=[PAGE])) as (port, provider):
        for speaker in (CHATNEST, OPENAI, AG_UI):
            async with await Exchange.open(
                port, f"/members{speaker.path}", method="OPTIONS", headers=wants
            ) as exchange:
                assert await exchange.head() == 204
            assert exchange.headers["access-control-allow-origin"] == PAGE
        assert provider.calls == []
