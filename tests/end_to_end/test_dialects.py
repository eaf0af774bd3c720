"""Every dialect over the same guarded core: what is said in one is what is said in the others."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from litestar import Litestar

from chatnest import ChatNestConfig, ChatNestPlugin
from chatnest.adapters.providers import OpenAIProvider
from chatnest.testing.upstream import MockUpstream
from tests.end_to_end.dialect_stage import (
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    PLAIN,
    ROME,
    SYSTEM,
    UPSTREAMS,
    WITH_TOOL,
    Stage,
    Upstream,
    openai_answer,
    stage_of,
    who,
)
from tests.support.client import Exchange
from tests.support.dialects import CHATNEST, SPEAKERS
from tests.support.provider_dialects import ANTHROPIC, OPENAI, RESPONSES
from tests.support.running import running
from tests.support.speaker import Call, Speaker, Told


@pytest.fixture(params=UPSTREAMS.values(), ids=list(UPSTREAMS))
def wire(request: pytest.FixtureRequest) -> Upstream:
    wire: Upstream = request.param
    return wire


def prompt(sent: Mapping[str, Any]) -> dict[str, Any]:
    """What of the body *sent* the model reads."""
    return {name: sent[name] for name in ("system", "messages", "tools") if name in sent}


def usd(cost_nano_usd: int) -> Decimal:
    return Decimal(cost_nano_usd).scaleb(-9)


@pytest.mark.parametrize("speaker", SPEAKERS.values(), ids=SPEAKERS)
async def test_the_same_conversation_is_the_same_prompt_answer_usage_and_account(
    wire: Upstream, speaker: Speaker
) -> None:
    talks = [(PLAIN, wire.plain), (WITH_TOOL, wire.with_tool)][: 1 + speaker.has_tools]
    async with stage_of(wire) as stage:
        for talk, expected in talks:
            exchange, caller = await stage.ask(speaker, talk)
            told: Told = await speaker.hear(exchange)

            assert prompt(stage.sent()) == expected
            assert told.text == "Let me see."
            assert told.asked == [ROME]
            assert told.tokens == (INPUT_TOKENS, OUTPUT_TOKENS)
            if speaker is not ANTHROPIC:
                assert told.cost_usd is not None
                assert Decimal(told.cost_usd) == usd(wire.cost_nano_usd)
            account = await stage.account(caller)
            assert account["tokens-day"] == INPUT_TOKENS + OUTPUT_TOKENS
            assert account["nano_usd-day"] == wire.cost_nano_usd
        assert len(stage.upstream.exchanges) == len(talks)


@pytest.mark.parametrize("speaker", [OPENAI, RESPONSES, ANTHROPIC], ids=lambda each: each.name)
async def test_what_a_wire_says_of_sampling_is_sent_in_the_words_of_the_other(
    wire: Upstream, speaker: Speaker
) -> None:
    cap = "max_output_tokens" if speaker is RESPONSES else "max_tokens"
    stop = {OPENAI.name: "stop", ANTHROPIC.name: "stop_sequences"}.get(speaker.name)
    wishes = {"temperature": 0.25, cap: 33, **({stop: ["END"]} if stop else {})}
    async with stage_of(wire) as stage:
        exchange, _ = await stage.ask(speaker, WITH_TOOL, **wishes)
        await speaker.hear(exchange)
        sent = stage.sent()

    assert (sent["temperature"], sent["max_tokens"], sent["stream"]) == (0.25, 33, True)
    stops = "stop" if wire.provider is OpenAIProvider else "stop_sequences"
    assert sent.get(stops) == (["END"] if stop else None)


@pytest.mark.parametrize("speaker", [OPENAI, RESPONSES, ANTHROPIC], ids=lambda each: each.name)
async def test_an_answer_in_one_piece_is_the_one_that_is_streamed(
    wire: Upstream, speaker: Speaker
) -> None:
    more: dict[str, Any] = {"stream": False}
    if speaker is OPENAI:
        more["stream_options"] = None
    async with stage_of(wire) as stage:
        exchange, caller = await stage.ask(speaker, WITH_TOOL, **more)
        async with exchange:
            whole = await exchange.json()
        account = await stage.account(caller)

    assert exchange.headers["content-type"] == "application/json"
    assert told_whole(speaker, whole) == ("Let me see.", ROME, INPUT_TOKENS, OUTPUT_TOKENS)
    assert account["nano_usd-day"] == wire.cost_nano_usd


def told_whole(speaker: Speaker, whole: dict[str, Any]) -> tuple[str, Call, int, int]:
    """The text, the call, and the tokens of both sides in an answer in one piece."""
    usage = whole["usage"]
    if speaker is OPENAI:
        said = whole["choices"][0]["message"]
        (call,) = said["tool_calls"]
        called = Call(call["id"], call["function"]["name"], call["function"]["arguments"])
        return said["content"], called, usage["prompt_tokens"], usage["completion_tokens"]
    if speaker is RESPONSES:
        message, item = whole["output"]
        called = Call(item["call_id"], item["name"], item["arguments"])
        text = message["content"][0]["text"]
    else:
        message, block = whole["content"]
        arguments = json.dumps(block["input"], separators=(",", ":"))
        called, text = Call(block["id"], block["name"], arguments), message["text"]
    return text, called, usage["input_tokens"], usage["output_tokens"]


@pytest.mark.parametrize(
    ("speaker", "target", "name", "value"),
    [
        (OPENAI, "to-anthropic", "seed", 7),
        (OPENAI, "to-anthropic", "response_format", {"type": "json_object"}),
        (OPENAI, "to-anthropic", "frequency_penalty", 1),
        (RESPONSES, "to-anthropic", "reasoning.effort", "low"),
        (RESPONSES, "to-anthropic", "text.format", {"type": "json_object"}),
        (RESPONSES, "to-anthropic", "text.verbosity", "low"),
        (ANTHROPIC, "to-openai", "top_k", 5),
        (ANTHROPIC, "to-openai", "thinking", {"type": "enabled", "budget_tokens": 1_024}),
    ],
    ids=lambda value: value.name if isinstance(value, Speaker) else None,
)
async def test_what_the_other_wire_cannot_say_is_refused_by_name(
    speaker: Speaker, target: str, name: str, value: object
) -> None:
    outer, _, inner = name.partition(".")
    asked = {outer: {inner: value} if inner else value}
    async with stage_of(UPSTREAMS[target]) as stage:
        exchange, caller = await stage.ask(speaker, PLAIN, **asked)
        refused = await speaker.refusal(exchange)
        account = await stage.account(caller)

        assert refused.status == 400
        assert refused.field == name
        assert "no such setting" in refused.text
        assert set(account.values()) == {0}
        assert stage.upstream.exchanges == []


@pytest.mark.parametrize(
    ("speaker", "target", "name", "value"),
    [
        (OPENAI, "to-openai", "seed", 7),
        (OPENAI, "to-openai", "response_format", {"type": "json_object"}),
        (ANTHROPIC, "to-anthropic", "top_k", 5),
    ],
    ids=lambda value: value.name if isinstance(value, Speaker) else None,
)
async def test_what_only_its_own_wire_can_say_is_passed_on_as_it_came(
    speaker: Speaker, target: str, name: str, value: object
) -> None:
    async with stage_of(UPSTREAMS[target]) as stage:
        exchange, _ = await stage.ask(speaker, PLAIN, **{name: value})
        await speaker.hear(exchange)

        assert stage.sent()[name] == value


async def test_a_clients_system_message_is_refused_in_each_dialect_where_none_is_taken() -> None:
    async with MockUpstream(openai_answer()) as upstream:
        provider = OpenAIProvider(base_url=upstream.base_url, api_key="k", trust_env=False)
        config = ChatNestConfig(model="gpt-4o-mini")
        plugin = ChatNestPlugin(config, provider=provider, resolve_principal=who)
        async with running(Litestar(plugins=[plugin], logging_config=None)) as port:
            stage = Stage(port, upstream, "gpt-4o-mini")
            for speaker in SPEAKERS.values():
                exchange, _ = await stage.ask(speaker, PLAIN)
                if speaker is CHATNEST:  # As the original, it leaves the prompt out.
                    await speaker.hear(exchange)
                    assert [said["role"] for said in stage.sent()["messages"]] == ["user"]
                else:
                    assert (await speaker.refusal(exchange)).status == 400
            assert len(upstream.exchanges) == 1


async def test_models_are_listed_counted_and_not_found() -> None:
    async with stage_of(UPSTREAMS["to-anthropic"]) as stage:
        headers = {"x-caller": "somebody"}

        async def get(path: str) -> tuple[int, Any]:
            async with await Exchange.open(
                stage.port, path, method="GET", headers=headers
            ) as exchange:
                return await exchange.head(), await exchange.json()

        status, listed = await get("/v1/models")
        assert (status, [model["id"] for model in listed["data"]]) == (200, [stage.model])
        assert await get(f"/v1/models/{stage.model}") == (200, listed["data"][0])
        status, unknown = await get("/v1/models/acme/other")
        assert (status, unknown["error"]["code"]) == (404, "model_not_found")

        body = {**ANTHROPIC.body(WITH_TOOL), "model": stage.model}
        async with await Exchange.open(
            stage.port,
            "/v1/messages/count_tokens",
            body=ANTHROPIC.raw(body),
            headers=headers,
        ) as exchange:
            counted = await exchange.json()
        assert counted["input_tokens"] > len(SYSTEM.split())
        assert set((await stage.account("somebody")).values()) == {0}
        assert stage.upstream.exchanges == []
