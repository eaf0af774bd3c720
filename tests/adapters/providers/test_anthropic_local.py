"""What is sent and read on Anthropic's wire, against llama.cpp's server, which speaks it too."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from chatnest.adapters.providers.anthropic_request import request_body
from chatnest.adapters.providers.anthropic_stream import AnswerDecoder, error_words
from chatnest.adapters.providers.local import LOCAL_MODEL
from chatnest.adapters.providers.sse import EventDecoder
from chatnest.domain.events import (
    Finished,
    FinishReason,
    ProviderEvent,
    TextDelta,
    UsageReported,
)
from chatnest.domain.messages import Message, Role, TextPart, ToolCall
from chatnest.domain.ports import ProviderCall
from chatnest.domain.tools import Tool, ToolChoice
from tests.support.model_server import MODEL_KEY, model_server

QUESTION = (
    Message(Role.SYSTEM, "Be brief."),
    Message(Role.USER, "What is the capital of France?"),
)


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a model server that has started."""
    async with (
        model_server() as address,
        httpx.AsyncClient(
            base_url=address,
            # llama.cpp closes the connection after each stream, whatever its headers say.
            headers={"x-api-key": MODEL_KEY, "connection": "close"},
            trust_env=False,
            timeout=30,
        ) as client,
    ):
        yield client


def call(messages: tuple[Message, ...] = QUESTION, **fields: Any) -> ProviderCall:
    known = {"max_output_tokens": 12, "temperature": 0.0, **fields}
    return ProviderCall("r", LOCAL_MODEL, messages, **known)


async def answer(client: httpx.AsyncClient, one: ProviderCall) -> list[ProviderEvent]:
    """The events of the server's answer, each read decoded as it comes."""
    sse, decoder = EventDecoder(), AnswerDecoder()
    events: list[ProviderEvent] = []
    async with client.stream("POST", "/v1/messages", content=request_body(one)) as response:
        assert response.status_code == 200
        async for read in response.aiter_bytes():
            events += decoder.decode(sse.feed(read))
    events += decoder.close()
    assert decoder.failure is None
    return events


def text_of(events: list[ProviderEvent]) -> str:
    return "".join([event.text for event in events if isinstance(event, TextDelta)])


async def test_a_real_answer_has_text_usage_and_an_end(client: httpx.AsyncClient) -> None:
    *said, usage, finished = await answer(client, call())
    assert "Paris" in text_of(said)
    assert isinstance(usage, UsageReported)
    # 24 of which some may come from the server's cache; one token of the output ends it.
    assert usage.usage.input_tokens == 24
    assert usage.usage.output_tokens == len(said) + 1
    assert finished == Finished(FinishReason.STOP)


async def test_a_real_server_keeps_to_the_cap_and_the_stop_sequences(
    client: httpx.AsyncClient,
) -> None:
    capped = await answer(client, call(max_output_tokens=3))
    assert len([event for event in capped if isinstance(event, TextDelta)]) == 3
    assert capped[-1] == Finished(FinishReason.LENGTH)
    stopped = await answer(client, call(stop=("France",)))
    assert "France" not in text_of(stopped)
    assert stopped[-1] == Finished(FinishReason.STOP, "France")


async def test_a_real_server_takes_a_conversation_with_everything_in_it(
    client: httpx.AsyncClient,
) -> None:
    wish = ToolCall("t1", "weather", '{"city": "Paris"}')
    messages = (
        *QUESTION,
        Message.of_parts(Role.USER, (TextPart("And"), TextPart("its weather?"))),
        Message(Role.ASSISTANT, "Let me see.", tool_calls=(wish,)),
        Message(Role.TOOL, "Sunny", tool_call_id="t1"),
    )
    events = await answer(
        client,
        call(messages, tools=(Tool("weather"),), tool_choice=ToolChoice(), end_user="u"),
    )
    assert isinstance(events[-1], Finished)


async def test_a_prompt_that_is_too_long_is_named_so(client: httpx.AsyncClient) -> None:
    body = request_body(call((Message(Role.USER, "word " * 2_000),)))
    response = await client.post("/v1/messages", content=body)
    assert response.status_code == 400
    assert error_words(response.json()["error"])[0] == "exceed_context_size_error"
