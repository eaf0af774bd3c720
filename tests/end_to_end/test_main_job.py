"""The first sentence of the README: one command, and a real model answers within its limits."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.support.client import Event, chat, usage
from tests.support.running import serve_process
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(180)

# Uvicorn raises the signal again once everything is closed, so that init systems see it obeyed.
ENDED_AS_TOLD = (0, -signal.SIGTERM)
QUESTION = "What is the capital of France?"


async def test_a_real_model_streams_and_what_it_used_is_charged(tmp_path: Path) -> None:
    async with serve_process("--provider", "local", folder=tmp_path) as server:
        async with await chat(server.port, QUESTION, maxTokensPerRequest=300) as exchange:
            events = [event async for event in exchange.events()]
        report = events[-2].json
        limits = await usage(server.port)

        assert [events[0].name, events[-2].name, events[-1].name] == ["start", "usage", "done"]
        assert text_of(events).strip()
        assert report["estimated"] is False
        assert report["inputTokens"] > len(QUESTION.split())
        assert limits["tokens-day"]["used"] == report["totalTokens"]
        assert limits["tokens-day"]["held"] == 0
        assert await server.terminate() in ENDED_AS_TOLD


async def test_a_client_that_leaves_the_real_model_pays_for_what_it_got(tmp_path: Path) -> None:
    async with serve_process("--provider", "local", folder=tmp_path) as server:
        async with await chat(server.port, "Count from one to one hundred.") as exchange:
            tokens = 0
            async for event in exchange.events():
                tokens += event.name == "token"
                if tokens == 3:
                    break

        async def is_settled() -> bool:
            limit = (await usage(server.port))["tokens-day"]
            return bool(limit["used"] and not limit["held"])

        await until(is_settled)
        used = (await usage(server.port))["tokens-day"]["used"]

    # The model's template and the question are about forty tokens, the whole answer hundreds.
    assert 10 < used < 120


async def test_sigterm_drains_open_streams_and_ends_them_with_an_error(tmp_path: Path) -> None:
    (tmp_path / "chatnest.toml").write_text("[time_limits]\ndrain_s = 0.5\n")
    async with serve_process("--provider", "scripted", folder=tmp_path) as server:
        words = " ".join(str(number) for number in range(200))
        async with await chat(server.port, words) as exchange:
            seen: list[Event] = []
            async for event in exchange.events():
                seen.append(event)
                if len(seen) == 3:
                    ending = asyncio.create_task(server.terminate())
            assert await ending in ENDED_AS_TOLD

    assert len([event for event in seen if event.name == "token"]) > 3
    assert [event.name for event in seen[-2:]] == ["usage", "error"]
    assert seen[-1].json["code"] == "server_shutting_down"
    assert seen[-2].json["totalTokens"] > 0


async def test_a_stream_that_ends_within_the_drain_is_not_cut(tmp_path: Path) -> None:
    names: list[str] = []
    async with (
        serve_process("--provider", "scripted", folder=tmp_path) as server,
        await chat(server.port, "one two three four five") as exchange,
    ):
        async for event in exchange.events():
            names.append(event.name)
            if len(names) == 2:
                ending = asyncio.create_task(server.terminate())
        assert await ending in ENDED_AS_TOLD

    assert names == ["start", *["token"] * 5, "usage", "done"]


def text_of(events: list[Event]) -> str:
    return "".join(event.json for event in events if event.name == "token")
