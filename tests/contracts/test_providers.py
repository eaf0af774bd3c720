"""Every provider passes the suite of its port."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.providers import LOCAL_MODEL, LocalProvider, OpenAIProvider, ScriptedProvider
from chatnest.adapters.providers.scripted import CallState, Script
from chatnest.adapters.randomness import SystemRandomness
from chatnest.domain.errors import Failure, FailureKind
from chatnest.domain.ports import ChatProvider
from chatnest.testing import openai_scripts
from chatnest.testing.provider_wires import WireContract
from chatnest.testing.providers import ProviderContract
from chatnest.testing.upstream import MockUpstream

WORDS = tuple(f" word{number}" for number in range(8))
DELAY_US = 2_000


class TestOpenAIProvider(WireContract):
    scripts = openai_scripts

    @pytest.fixture
    async def provider(self, upstream: MockUpstream) -> AsyncIterator[ChatProvider]:
        provider = OpenAIProvider(api_key="test-key", base_url=upstream.base_url, trust_env=False)
        yield provider
        await provider.aclose()


class TestLocalProvider(ProviderContract):
    model = LOCAL_MODEL

    @pytest.fixture(scope="class")
    async def provider(self) -> AsyncIterator[ChatProvider]:
        provider = LocalProvider(SystemRandomness(SystemClock()))
        yield provider
        await provider.aclose()

    @pytest.fixture
    async def failing(self, tmp_path: Path) -> AsyncIterator[ChatProvider]:
        weights = tmp_path / "broken.gguf"
        weights.write_bytes(b"not a model")
        provider = LocalProvider(SystemRandomness(SystemClock()), model_path=weights)
        yield provider
        await provider.aclose()

    async def wait_until_closed(self) -> None:
        """Look at this process's own sockets: the model's server cannot be asked."""
        this = psutil.Process()
        sockets = [one for child in this.children() for one in child.net_connections()]
        servers = {one.laddr for one in sockets if one.status == "LISTEN"}
        # The kernel tells nobody when a socket closes.
        while any(one.raddr in servers for one in this.net_connections()):  # noqa: ASYNC110
            await asyncio.sleep(0)


class TestScriptedProvider(ProviderContract):
    @pytest.fixture
    def provider(self) -> ScriptedProvider:
        self.seen = ScriptedProvider(SystemClock(), Script(text="".join(WORDS), delay_us=DELAY_US))
        return self.seen

    @pytest.fixture
    def failing(self) -> ChatProvider:
        failure = Failure(FailureKind.OVERLOADED, 503)
        return ScriptedProvider(SystemClock(), Script(failure=failure))

    async def wait_until_closed(self) -> None:
        assert self.seen.calls[-1].state is CallState.CLOSED_EARLY
