"""A needless layer around a provider: one more step for each token, which a guard has to notice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chatnest.adapters.providers.openai import OpenAIProvider
from chatnest.domain.events import ProviderBatch
from chatnest.domain.ports import ProviderCall


class HoppingProvider(OpenAIProvider):
    """Hands every batch on through a generator that does nothing."""

    @asynccontextmanager
    async def stream(self, call: ProviderCall) -> AsyncIterator[AsyncIterator[ProviderBatch]]:
        async with super().stream(call) as batches:
            yield _handed_on(batches)


async def _handed_on(batches: AsyncIterator[ProviderBatch]) -> AsyncIterator[ProviderBatch]:
    async for batch in batches:
        yield batch
