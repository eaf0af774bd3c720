"""Answers of every kind over real sockets, with tools and pictures in what was asked."""

import json
from collections.abc import AsyncIterator

import pytest

from chatnest.adapters.providers.openai import OpenAIProvider
from chatnest.domain.events import (
    Finished,
    FinishReason,
    ProviderEvent,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from chatnest.domain.messages import ImagePart, Message, Role, TextPart
from chatnest.domain.ports import ProviderCall
from chatnest.domain.tools import Tool
from chatnest.domain.usage import TokenUsage
from chatnest.testing.openai_scripts import (
    answer,
    declined,
    more_arguments,
    reasoning,
    text,
    tool_call,
    usage_of,
)
from chatnest.testing.upstream import MockUpstream

SEEN = Message.of_parts(Role.USER, [TextPart("See"), ImagePart("data:image/png;base64,AAAA")])
CALL = ProviderCall("r", "gpt-4o", (SEEN,), 50, tools=(Tool("weather"), Tool("news")))


@pytest.fixture
async def upstream() -> AsyncIterator[MockUpstream]:
    async with MockUpstream() as upstream:
        yield upstream


async def events_of(upstream: MockUpstream) -> list[ProviderEvent]:
    provider = OpenAIProvider(api_key="k", base_url=upstream.base_url, trust_env=False)
    async with provider.stream(CALL) as batches:
        events = [event async for batch in batches for event in batch]
    await provider.aclose()
    return events


async def test_thoughts_text_and_calls_arrive_as_they_were_sent(upstream: MockUpstream) -> None:
    upstream.scripts = answer(
        *(reasoning("hm"), text("Let me see.")),
        *(tool_call("weather"), more_arguments('{"city":'), more_arguments('"Paris"}')),
        tool_call("news", "{}", index=1, id="call_2"),
        finish_reason="tool_calls",
        usage=usage_of(9, 7),
    )
    assert await events_of(upstream) == [
        *(ReasoningDelta("hm"), TextDelta("Let me see.")),
        ToolCallDelta(0, "call_1", "weather", ""),
        *(ToolCallDelta(0, arguments='{"city":'), ToolCallDelta(0, arguments='"Paris"}')),
        ToolCallDelta(1, "call_2", "news", "{}"),
        *(UsageReported(TokenUsage(9, 7)), Finished(FinishReason.TOOL_CALLS)),
    ]


async def test_a_refusal_of_the_model_is_not_its_answer(upstream: MockUpstream) -> None:
    upstream.scripts = answer(declined("I will"), declined(" not."))
    assert await events_of(upstream) == [
        *(RefusalDelta("I will"), RefusalDelta(" not."), Finished(FinishReason.STOP)),
    ]


async def test_tools_and_pictures_reach_the_server(upstream: MockUpstream) -> None:
    upstream.scripts = answer(text("A cat."))
    await events_of(upstream)
    body = json.loads(upstream.exchanges[0].body)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["weather", "news"]
    assert body["messages"][0]["content"][1]["image_url"] == {"url": "data:image/png;base64,AAAA"}
