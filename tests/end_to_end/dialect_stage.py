"""An application over either provider's wire, and what is said on it in every dialect."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from typing import Any, Final

from litestar import Litestar

from chatnest import BudgetConfig, ChatNestConfig, ChatNestPlugin, Principal
from chatnest.adapters.providers import AnthropicProvider, OpenAIProvider
from chatnest.app.auth import Connection
from chatnest.domain.ports import ChatProvider
from chatnest.testing import anthropic_scripts, openai_scripts
from chatnest.testing.upstream import End, Head, MockUpstream, Script
from tests.support.client import Exchange
from tests.support.dialects import CHATNEST
from tests.support.running import running
from tests.support.speaker import TOOL_NAME, TOOL_SCHEMA, TOOL_TEXT, Call, Speaker, Talk, ToolUse
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
