"""The example of an application that embeds the plugin."""

import pytest

from examples.embedded_app import CONFIG, create_app
from tests.support.client import Exchange
from tests.support.dialects import AG_UI
from tests.support.provider_dialects import ANTHROPIC, OPENAI
from tests.support.running import running
from tests.support.speaker import Speaker

HELLO = b'{"messages":[{"role":"user","content":"Hello there"}]}'


async def test_the_applications_users_chat_and_their_team_pays() -> None:
    async with running(create_app(CONFIG)) as port:
        async with await Exchange.open(
            port, "/ai/chat", body=HELLO, headers={"x-user": "ada"}
        ) as exchange:
            events = [event async for event in exchange.events()]
        left = {name: await tokens_left(port, name) for name in ("ada", "grace")}
        used = events[-2].json["totalTokens"]

    assert events[-1].name == "done"
    assert left["ada"] == {
        "user:ada": 70_000 - used,
        "team:engines": 50_000 - used,
        "global": 500_000 - used,
    }
    assert left["grace"] == {"user:grace": 70_000, "global": 500_000 - used}


async def test_strangers_are_turned_away_by_the_application_itself() -> None:
    async with (
        running(create_app(CONFIG)) as port,
        await Exchange.open(port, "/ai/chat", body=HELLO) as exchange,
    ):
        assert await exchange.head() == 401


async def test_who_has_no_seat_is_refused_by_the_applications_guard() -> None:
    async with running(create_app(CONFIG)) as port:
        async with await Exchange.open(
            port, "/ai/chat", body=HELLO, headers={"x-user": "charles"}
        ) as exchange:
            refused = await exchange.json()
        left = await tokens_left(port, "charles")

    assert refused == {"status_code": 403, "detail": "Ask your team for a seat."}
    assert left["user:charles"] == 70_000


@pytest.mark.parametrize(
    ("speaker", "path"),
    [(OPENAI, "/ai/v1/chat/completions"), (ANTHROPIC, "/ai/v1/messages"), (AG_UI, "/ai/agent")],
    ids=lambda value: value.name if isinstance(value, Speaker) else None,
)
async def test_the_other_dialects_are_behind_the_same_door(speaker: Speaker, path: str) -> None:
    async with running(create_app(CONFIG)) as port:
        known = {"x-user": "ada"}
        told = await speaker.hear(
            await speaker.ask(port, model="scripted", path=path, headers=known)
        )
        left = await tokens_left(port, "ada")
        async with await speaker.ask(port, model="scripted", path=path) as stranger:
            assert await stranger.head() == 401

    assert told.text
    assert told.tokens is not None
    assert left["user:ada"] == 70_000 - sum(told.tokens)


async def tokens_left(port: int, user: str) -> dict[str, int]:
    async with await Exchange.open(
        port, "/me/tokens-left", method="GET", headers={"x-user": user}
    ) as exchange:
        left: dict[str, int] = await exchange.json()
    return left
