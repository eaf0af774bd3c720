"""What the SDKs ask beside answers, and that their synchronous clients are served as well."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import anthropic
import openai
import pytest

from chatnest import ProfileConfig
from chatnest.adapters.providers.scripted import Script
from tests.end_to_end.clients import anthropic_python, openai_python
from tests.end_to_end.clients.asking import QUESTION, Case
from tests.end_to_end.clients.stage import Stage, staged

pytest_plugins = ["tests.support.node_fixtures"]

T = TypeVar("T")

SAID: list[Any] = [{"role": "user", "content": QUESTION}]
FULL = {"balanced": ProfileConfig(concurrent_streams=1)}


def of_openai(stage: Stage, retries: int | None = None) -> openai.OpenAI:
    return openai.OpenAI(**openai_python.settings(Case(url=stage.url, retries=retries)))


def of_anthropic(stage: Stage, retries: int | None = None) -> anthropic.Anthropic:
    return anthropic.Anthropic(**anthropic_python.settings(Case(url=stage.url, retries=retries)))


async def apart(work: Callable[[], T]) -> T:
    """Do *work* in a thread, because the server is on this loop."""
    return await asyncio.to_thread(work)


async def test_openai_lists_the_models_that_a_request_may_name() -> None:
    async with staged() as stage:

        def work() -> tuple[list[str], str]:
            with of_openai(stage) as client:
                listed = [model.id for model in client.models.list()]
                assert client.models.retrieve("scripted").id == "scripted"
                with pytest.raises(openai.NotFoundError) as missing:
                    client.models.retrieve("no/such-model")
                return listed, str(missing.value.code)

        assert await apart(work) == (["scripted"], "model_not_found")
        assert stage.requests == 3


async def test_anthropic_counts_a_prompt_and_nothing_is_spent() -> None:
    async with staged() as stage:

        def work() -> int:
            with of_anthropic(stage) as client:
                counted = client.messages.count_tokens(model="scripted", messages=SAID)
                with pytest.raises(anthropic.BadRequestError, match="no such model"):
                    client.messages.count_tokens(model="no-such-model", messages=SAID)
                return counted.input_tokens

        assert await apart(work) >= len(QUESTION.split())
        assert stage.provider.calls == []
        assert await stage.settled_tokens() == 0


async def test_anthropics_client_lists_the_models_too() -> None:
    async with staged() as stage:

        def work() -> list[str]:
            with of_anthropic(stage) as client:
                return [model.id for model in client.models.list()]

        assert await apart(work) == ["scripted"]


async def test_the_synchronous_clients_are_answered_and_refused() -> None:
    async with staged(profiles=FULL) as stage:

        def work() -> tuple[str, str, str]:
            with of_openai(stage) as client:
                chat = client.chat.completions.create(model="scripted", messages=SAID)
                response = client.responses.create(model="scripted", input=QUESTION)
            with (
                of_anthropic(stage) as client_of_anthropic,
                client_of_anthropic.messages.stream(
                    model="scripted", max_tokens=100, messages=SAID
                ) as stream,
            ):
                streamed = "".join(stream.text_stream)
            return str(chat.choices[0].message.content), response.output_text, streamed

        assert await apart(work) == (QUESTION, QUESTION, QUESTION)

        def be_refused() -> tuple[object, object]:
            with (
                of_openai(stage, retries=0) as client,
                pytest.raises(openai.RateLimitError) as by_openai,
            ):
                client.chat.completions.create(model="scripted", messages=SAID)
            with (
                of_anthropic(stage, retries=0) as client_of_anthropic,
                pytest.raises(anthropic.RateLimitError) as by_anthropic,
            ):
                client_of_anthropic.messages.create(model="scripted", max_tokens=100, messages=SAID)
            return by_openai.value.code, by_anthropic.value.error_code

        async with await stage.open():
            assert await apart(be_refused) == ("rate_limit_exceeded", "too_many_streams")


async def test_a_synchronous_client_that_leaves_pays_for_what_came() -> None:
    async with staged(Script(stall_after=2)) as stage:

        def leave() -> None:
            with (
                of_openai(stage) as client,
                client.chat.completions.create(
                    model="scripted", messages=SAID, stream=True
                ) as chunks,
            ):
                for chunk in chunks:
                    if chunk.choices[0].delta.content == " far":
                        return

        await apart(leave)
        (call,) = stage.provider.calls
        assert 2 <= await stage.settled_tokens() < call.call.max_output_tokens
