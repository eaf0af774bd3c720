"""Every dialect over the same guarded core: what is said in one is what is said in the others."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from typing import Any, Final

import pytest
from litestar import Litestar

from chatnest import BudgetConfig, ChatNestConfig, ChatNestPlugin, Principal
from chatnest.adapters.providers import AnthropicProvider, OpenAIProvider
from chatnest.app.auth import Connection
from chatnest.domain.ports import ChatProvider
from chatnest.testing import anthropic_scripts, openai_scripts
from chatnest.testing.upstream import End, Head, MockUpstream, Script
from tests.support.client import Exchange
from tests.support.dialects import (
    ANTHROPIC,
    CHATNEST,
    OPENAI,
    RESPONSES,
    SPEAKERS,
    TOOL_NAME,
    TOOL_SCHEMA,
    TOOL_TEXT,
    Call,
    Speaker,
    Talk,
    Told,
    ToolUse,
)
from tests.support.running import running
from tests.support.waiting import until

SYSTEM: Final = "Answer in one sentence."
PARIS: Final = Call("call_1", TOOL_NAME, '{"city":"Paris"}')
ROME: Final = Call("call_2", TOOL_NAME, '{"city":"Rome"}')
PLAIN: Final = Talk(SYSTEM, ("How is the weather?",))
WITH_TOOL: Final = Talk(
    SYSTEM,
    ("How is the weather in Paris?", ToolUse(PARIS, "18 degrees"), "And in Rome?"),
    has_tool=True,
)
INPUT_TOKENS, OUTPUT_TOKENS = 50, 12


@dataclass(frozen=True)
class Upstream:
    """A wire behind ChatNest: who speaks it, and an answer that says something and calls a tool."""

    model: str
    provider: type[OpenAIProvider] | type[AnthropicProvider]
    answer: Script
    plain: Mapping[str, Any]
    with_tool: Mapping[str, Any]
    cost_nano_usd: int

    def make_provider(self, upstream: MockUpstream) -> ChatProvider:
        is_openai = self.provider is OpenAIProvider
        base_url = upstream.base_url if is_openai else upstream.origin
        return self.provider(base_url=base_url, api_key="k", trust_env=False)


def openai_answer() -> Script:
    return openai_scripts.answer(
        openai_scripts.text("Let me"),
        openai_scripts.text(" see."),
        openai_scripts.tool_call(ROME.name, id=ROME.id),
        openai_scripts.more_arguments(ROME.arguments[:5]),
        openai_scripts.more_arguments(ROME.arguments[5:]),
        finish_reason="tool_calls",
        usage=openai_scripts.usage_of(INPUT_TOKENS, OUTPUT_TOKENS),
    )


def anthropic_answer() -> Script:
    usage = anthropic_scripts.usage_of(INPUT_TOKENS, OUTPUT_TOKENS)
    call = {"type": "tool_use", "id": ROME.id, "name": ROME.name, "input": {}}
    pieces = [
        anthropic_scripts.chunk({"type": "input_json_delta", "partial_json": piece}, index=1)
        for piece in (ROME.arguments[:5], ROME.arguments[5:])
    ]
    return (
        Head(),
        anthropic_scripts.start(usage),
        anthropic_scripts.block({"type": "text", "text": ""}),
        anthropic_scripts.text("Let me"),
        anthropic_scripts.text(" see."),
        anthropic_scripts.block_end(),
        anthropic_scripts.block(call, 1),
        *pieces,
        anthropic_scripts.block_end(1),
        anthropic_scripts.chunk({}, finish_reason="tool_use", usage=usage),
        anthropic_scripts.DONE,
        End(),
    )


# What either provider has to be sent, written out. The prices are 0.15 and 0.60 dollars for a
# million tokens of gpt-4o-mini, and 1 and 5 dollars of claude-haiku-4-5.
_FUNCTION = {"name": TOOL_NAME, "description": TOOL_TEXT, "parameters": TOOL_SCHEMA}
_SAID = {"name": TOOL_NAME, "arguments": PARIS.arguments}
UPSTREAMS: Final = {
    "to-openai": Upstream(
        "gpt-4o-mini",
        OpenAIProvider,
        openai_answer(),
        plain={
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": "How is the weather?"},
            ]
        },
        with_tool={
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": "How is the weather in Paris?"},
                {
                    "role": "assistant",
                    "tool_calls": [{"id": PARIS.id, "type": "function", "function": _SAID}],
                },
                {"role": "tool", "content": "18 degrees", "tool_call_id": PARIS.id},
                {"role": "user", "content": "And in Rome?"},
            ],
            "tools": [{"type": "function", "function": _FUNCTION}],
        },
        cost_nano_usd=INPUT_TOKENS * 150 + OUTPUT_TOKENS * 600,
    ),
    "to-anthropic": Upstream(
        "claude-haiku-4-5",
        AnthropicProvider,
        anthropic_answer(),
        plain={
            "system": [{"type": "text", "text": SYSTEM}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "How is the weather?"}]}
            ],
        },
        with_tool={
            "system": [{"type": "text", "text": SYSTEM}],
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "How is the weather in Paris?"}],
                },
                {
                    "role": "assistant",
                    "content": [
                        {
                            "type": "tool_use",
                            "id": PARIS.id,
                            "name": TOOL_NAME,
                            "input": {"city": "Paris"},
                        }
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": PARIS.id,
                            "content": [{"type": "text", "text": "18 degrees"}],
                        },
                        {"type": "text", "text": "And in Rome?"},
                    ],
                },
            ],
            "tools": [{"name": TOOL_NAME, "description": TOOL_TEXT, "input_schema": TOOL_SCHEMA}],
        },
        cost_nano_usd=INPUT_TOKENS * 1_000 + OUTPUT_TOKENS * 5_000,
    ),
}


class Stage:
    """An application that is served, and the upstream that it calls; each talk has a new caller."""

    def __init__(self, port: int, upstream: MockUpstream, model: str) -> None:
        self.port = port
        self.upstream = upstream
        self.model = model
        self._callers = count()

    async def ask(self, speaker: Speaker, talk: Talk, **more: Any) -> tuple[Exchange, str]:
        """The exchange of *talk*, and who asked."""
        caller = f"caller-{next(self._callers)}"
        model = None if speaker is CHATNEST else self.model
        headers = {"x-caller": caller}
        return await speaker.ask(self.port, talk, model=model, headers=headers, **more), caller

    async def account(self, caller: str) -> dict[str, int]:
        """What *caller* has used of each of its limits, once nothing is held any more."""
        limits: list[dict[str, Any]] = []

        async def settled() -> bool:
            headers = {"x-caller": caller}
            async with await Exchange.open(
                self.port, "/api/usage", method="GET", headers=headers
            ) as exchange:
                report = await exchange.json()
            limits[:] = [limit for limit in report["limits"] if limit["scope"] == caller]
            return not any(limit["held"] for limit in limits)

        await until(settled)
        return {limit["name"]: limit["used"] for limit in limits}

    def sent(self) -> dict[str, Any]:
        """What the upstream was sent last."""
        body: dict[str, Any] = self.upstream.exchanges[-1].json
        return body


def who(connection: Connection) -> Principal:
    return Principal(connection.headers["x-caller"])


@asynccontextmanager
async def stage_of(wire: Upstream) -> AsyncGenerator[Stage, None]:
    dollars = BudgetConfig(scope="principal", unit="usd", period="day", limit=Decimal(10))
    config = ChatNestConfig(model=wire.model, client_system_prompt=True, budgets=(dollars,))
    async with MockUpstream(wire.answer) as upstream:
        plugin = ChatNestPlugin(
            config, provider=wire.make_provider(upstream), resolve_principal=who
        )
        async with running(Litestar(plugins=[plugin], logging_config=None)) as port:
            yield Stage(port, upstream, wire.model)


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
