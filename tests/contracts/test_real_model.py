"""The SDKs' providers pass the suite of their port against a real server of both wires."""

from collections.abc import AsyncIterator

import pytest

from chatnest.adapters.providers import LOCAL_MODEL, AnthropicProvider, OpenAIProvider
from chatnest.domain.ports import ChatProvider
from chatnest.testing.providers import ProviderContract
from tests.support.model_server import MODEL_KEY, model_server

pytestmark = pytest.mark.timeout(180)


class RealModelContract(ProviderContract):
    """The suite, against llama.cpp's server; it closes the connection after each answer."""

    model = LOCAL_MODEL

    @pytest.fixture(scope="class")
    async def address(self) -> AsyncIterator[str]:
        async with model_server() as address:
            yield address


class TestOpenAIProvider(RealModelContract):
    @pytest.fixture
    async def provider(self, address: str) -> AsyncIterator[ChatProvider]:
        provider = OpenAIProvider(
            api_key=MODEL_KEY, base_url=f"{address}/v1", keep_alive=False, trust_env=False
        )
        yield provider
        await provider.aclose()


class TestAnthropicProvider(RealModelContract):
    @pytest.fixture
    async def provider(self, address: str) -> AsyncIterator[ChatProvider]:
        provider = AnthropicProvider(
            api_key=MODEL_KEY, base_url=address, keep_alive=False, trust_env=False
        )
        yield provider
        await provider.aclose()
