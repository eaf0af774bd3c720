"""The example of a provider to package passes the suite that every provider passes."""

from collections.abc import AsyncIterator

import pytest

from chatnest import ChatProvider, ProviderSettings
from chatnest.testing.providers import ProviderContract
from chatnest.testing.upstream import MockUpstream
from examples.ndjson_provider import NdjsonProvider
from tests.examples.ndjson_scripts import refused, within_the_cap


class TestNdjsonProvider(ProviderContract):
    @pytest.fixture
    async def upstream(self) -> AsyncIterator[MockUpstream]:
        async with MockUpstream(within_the_cap) as upstream:
            self.seen = upstream
            yield upstream

    @pytest.fixture
    async def provider(self, upstream: MockUpstream) -> AsyncIterator[ChatProvider]:
        address = upstream.base_url.removesuffix("/v1")
        provider = NdjsonProvider(ProviderSettings("ollama", "ollama", base_url=address))
        yield provider
        await provider.aclose()

    @pytest.fixture
    def failing(self, upstream: MockUpstream, provider: ChatProvider) -> ChatProvider:
        upstream.scripts = refused(503)
        return provider

    async def wait_until_closed(self) -> None:
        await self.seen.connections[-1].gone.wait()
