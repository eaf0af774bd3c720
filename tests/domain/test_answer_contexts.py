"""Providers whose context managers do more than they should."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from chatnest.domain.capabilities import TEXT_ONLY
from chatnest.domain.errors import Failure, FailureKind, ProviderError
from chatnest.domain.events import Failed, ProviderBatch, TextDelta
from chatnest.domain.ports import ProviderCall
from tests.domain.chat_world import World, collect, turns

# "one two three" is three words, with two tokens around each message and three around all.
PROMPT_TOKENS = 3 + 2 + 3


class Translating:
    """A provider whose context turns its driver's exceptions into ours."""

    name = "translating"
    capabilities = TEXT_ONLY

    @asynccontextmanager
    async def stream(self, call: ProviderCall) -> AsyncIterator[AsyncIterator[ProviderBatch]]:
        try:
            yield self._batches()
        except ConnectionResetError as error:
            raise ProviderError("reset", Failure(FailureKind.CONNECTION)) from error

    async def _batches(self) -> AsyncGenerator[ProviderBatch, None]:
        yield (TextDelta("half "),)
        raise ConnectionResetError

    async def aclose(self) -> None:
        pass


async def test_a_context_may_say_what_an_exception_of_its_body_means() -> None:
    world = World(provider=Translating())
    events = await collect(await world.answer())

    assert isinstance(events[-1], Failed)
    assert events[-1].error.code == "provider_connection"


class Complaining(Translating):
    """A provider whose context fails in our own words whenever it is left."""

    @asynccontextmanager
    async def stream(self, call: ProviderCall) -> AsyncIterator[AsyncIterator[ProviderBatch]]:
        try:
            yield self._batches()
        finally:
            raise ProviderError("left", Failure(FailureKind.CONNECTION))


async def test_breaking_off_is_no_failure_whatever_the_provider_calls_it() -> None:
    world = World(provider=Complaining())
    async with await world.answer("one two three") as answer:
        await anext(aiter(answer))
        await anext(aiter(answer))

    assert await world.tokens() == (PROMPT_TOKENS + 1, 0)


class Suppressing:
    """A provider whose context swallows everything."""

    name = "suppressing"
    capabilities = TEXT_ONLY

    def stream(
        self, call: ProviderCall
    ) -> AbstractAsyncContextManager[AsyncIterator[ProviderBatch]]:
        return self

    async def __aenter__(self) -> AsyncIterator[ProviderBatch]:
        return self._batches()

    async def __aexit__(self, *_: object) -> bool:
        return True

    async def _batches(self) -> AsyncGenerator[ProviderBatch, None]:
        yield (TextDelta("hi "),)
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        pass


async def test_a_context_cannot_swallow_that_the_reader_left() -> None:
    world = World(provider=Suppressing())
    reading = asyncio.create_task(collect(await world.answer("one two three")))
    await turns()
    reading.cancel()
    await turns()

    assert reading.cancelled()
    assert await world.tokens() == (PROMPT_TOKENS + 1, 0)
