"""One real model, asked over both wires: what it says it used is what is reported and charged."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import httpx
import pytest

from chatnest import ChatNestConfig, ProfileConfig, ProviderConfig, RouteConfig
from chatnest.adapters.providers.local import LOCAL_MODEL
from chatnest.app.asgi import create_app
from tests.end_to_end.failures.stage import Told
from tests.end_to_end.failures.wires import ANTHROPIC, OPENAI, WIRES, Wire
from tests.support.client import chat, usage
from tests.support.model_server import MODEL_KEY, model_server
from tests.support.running import running

pytestmark = pytest.mark.timeout(180)

QUESTION = "What is the capital of France?"
KEY_VARIABLE = "MODEL_SERVER_KEY"
CAP = 24


class Answered(NamedTuple):
    """What was said, and the tokens that it took."""

    text: str
    input_tokens: int
    output_tokens: int


@pytest.fixture(scope="module")
async def address() -> AsyncIterator[str]:
    async with model_server() as address:
        yield address


@pytest.fixture
async def by_hand(address: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the model's server that has nothing of ChatNest in it."""
    keys = {"authorization": f"Bearer {MODEL_KEY}", "x-api-key": MODEL_KEY, "connection": "close"}
    async with httpx.AsyncClient(
        base_url=address, headers=keys, trust_env=False, timeout=60
    ) as client:
        yield client


async def test_both_wires_report_and_charge_what_the_server_says(
    address: str, by_hand: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, MODEL_KEY)
    said = [await asked_in_openais_words(by_hand), await asked_in_anthropics_words(by_hand)]
    through = [await asked_through_chatnest(address, wire) for wire in WIRES]

    assert said[0].text
    assert 0 < said[0].output_tokens <= CAP
    assert {*said, *through} == {said[0]}


async def asked_through_chatnest(address: str, wire: Wire) -> Answered:
    """What a client of ChatNest gets, once it was found to be what its account was charged."""
    async with running(create_app(config(address, wire))) as port:
        async with await chat(port, QUESTION) as client:
            told = Told.by([event async for event in client.events()])
        used = (await usage(port))["tokens-day"]

    report = told.usage
    assert (told.last.name, report["estimated"]) == ("done", False)
    assert report["totalTokens"] == report["inputTokens"] + report["outputTokens"]
    assert (used["used"], used["held"]) == (report["totalTokens"], 0)
    return Answered(told.text, report["inputTokens"], report["outputTokens"])


def config(address: str, wire: Wire) -> ChatNestConfig:
    """A server of the one model, which is asked for what is likeliest."""
    provider = ProviderConfig(
        kind=wire.kind,
        base_url=address + wire.path,
        api_key_env=KEY_VARIABLE,
        # llama.cpp closes the connection after each stream, whatever its headers say.
        options={"keep_alive": False, "trust_env": False},
    )
    return ChatNestConfig(
        store="memory://",
        providers={"model": provider},
        routes={"route": RouteConfig(targets=(f"model/{LOCAL_MODEL}",))},
        profiles={"balanced": ProfileConfig(temperature=0, max_output_tokens=CAP)},
    )


async def asked_in_openais_words(client: httpx.AsyncClient) -> Answered:
    answer = (await client.post(f"{OPENAI.path}/chat/completions", json=body())).json()
    used = answer["usage"]
    text = answer["choices"][0]["message"]["content"]
    return Answered(text, used["prompt_tokens"], used["completion_tokens"])


async def asked_in_anthropics_words(client: httpx.AsyncClient) -> Answered:
    answer = (await client.post(f"{ANTHROPIC.path}/v1/messages", json=body())).json()
    used = answer["usage"]
    # This wire counts apart what came from the server's cache.
    input_tokens = used["input_tokens"] + used.get("cache_read_input_tokens", 0)
    return Answered(answer["content"][0]["text"], input_tokens, used["output_tokens"])


def body() -> dict[str, object]:
    question = {"role": "user", "content": QUESTION}
    return {"model": LOCAL_MODEL, "messages": [question], "max_tokens": CAP, "temperature": 0}
