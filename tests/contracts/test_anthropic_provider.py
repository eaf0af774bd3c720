"""The provider of Anthropic passes the suite of its port, over its own wire."""

from collections.abc import AsyncIterator

import pytest

from chatnest.adapters.providers.anthropic import AnthropicProvider
from chatnest.domain.ports import ChatProvider
from chatnest.testing import anthropic_scripts
from chatnest.testing.provider_wires import WireContract
from chatnest.testing.upstream import MockUpstream


class TestAnthropicProvider(WireContract):
    scripts = anthropic_scripts
    length_reason = "max_tokens"

    @pytest.fixture
    async def provider(self, upstream: MockUpstream) -> AsyncIterator[ChatProvider]:
        base_url = upstream.base_url.removesuffix("/v1")
        provider = AnthropicProvider(api_key="test-key", base_url=base_url, trust_env=False)
        yield provider
        await provider.aclose()
