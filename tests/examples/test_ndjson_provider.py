"""The example of a provider to package: over real sockets, and as a configuration names it."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from litestar import Litestar

from chatnest import (
    ChatNestConfig,
    ChatNestPlugin,
    ConfigurationError,
    Failure,
    FailureKind,
    Finished,
    FinishReason,
    Message,
    ProviderBatch,
    ProviderCall,
    ProviderConfig,
    ProviderError,
    ProviderFactory,
    ProviderPorts,
    ProviderSettings,
    ReasoningDelta,
    Role,
    RouteConfig,
    TextDelta,
    TokenUsage,
    UsageReported,
)
from chatnest.adapters.clock import SystemClock
from chatnest.testing.randomness import FixedRandomness
from chatnest.testing.upstream import Cut, End, MockUpstream, Step, Write
from examples.ndjson_provider import MOST_LINE_BYTES, NdjsonProvider, create
from tests.app.provider_packages import Packages
from tests.examples.ndjson_scripts import LINES, line, refused
from tests.support.client import chat
from tests.support.running import running
from tests.support.services import free_port

CALL = ProviderCall(
    "r", "qwen3:8b", (Message(Role.SYSTEM, "Be brief."), Message(Role.USER, "Hi")), 50, 0.7
)
SETTINGS = ProviderSettings("ollama", "ollama", api_key="sk-test")
STOP = Finished(FinishReason.STOP)
make: ProviderFactory = create


@pytest.fixture
async def upstream() -> AsyncIterator[MockUpstream]:
    async with MockUpstream() as upstream:
        yield upstream


@pytest.fixture
async def provider(upstream: MockUpstream) -> AsyncIterator[NdjsonProvider]:
    provider = NdjsonProvider(replace(SETTINGS, base_url=address(upstream)))
    yield provider
    await provider.aclose()


def address(upstream: MockUpstream) -> str:
    return upstream.base_url.removesuffix("/v1")


async def batches_of(
    provider: NdjsonProvider, call: ProviderCall = CALL, given: list[ProviderBatch] | None = None
) -> list[ProviderBatch]:
    batches = [] if given is None else given
    async with provider.stream(call) as stream:
        async for batch in stream:
            batches.append(batch)
    return batches


async def failure_of(provider: NdjsonProvider) -> Failure:
    with pytest.raises(ProviderError) as raised:
        await batches_of(provider)
    return raised.value.failure


async def test_the_cap_and_every_wish_are_sent(
    upstream: MockUpstream, provider: NdjsonProvider
) -> None:
    upstream.scripts = (LINES, line("Hello"), line(done="stop"), End())
    await batches_of(provider, replace(CALL, top_p=0.5, stop=("END",)))
    (exchange,) = upstream.exchanges
    assert (exchange.method, exchange.path) == ("POST", "/api/chat")
    assert exchange.headers["authorization"] == "Bearer sk-test"
    assert exchange.json == {
        "model": "qwen3:8b",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
        ],
        "options": {"num_predict": 50, "temperature": 0.7, "top_p": 0.5, "stop": ["END"]},
        "stream": True,
    }


async def test_what_comes_in_one_read_is_one_batch_however_lines_are_cut(
    upstream: MockUpstream, provider: NdjsonProvider
) -> None:
    whole = b"".join(
        one.data
        for one in (
            line(thinking="Hm"),
            line("Hello"),
            line("!", done="stop", prompt_eval_count=9, eval_count=2),
        )
    )
    events = [
        ReasoningDelta("Hm"),
        TextDelta("Hello"),
        TextDelta("!"),
        UsageReported(TokenUsage(9, 2)),
        STOP,
    ]
    upstream.scripts = (LINES, Write(whole), End())
    assert await batches_of(provider) == [events]
    for cut in range(1, len(whole)):
        upstream.scripts = (LINES, Write(whole[:cut]), Write(whole[cut:]), End())
        batches = await batches_of(provider)
        assert [event for batch in batches for event in batch] == events


async def test_usage_that_is_not_whole_is_left_to_be_counted(
    upstream: MockUpstream, provider: NdjsonProvider
) -> None:
    upstream.scripts = (LINES, line("Hello", done="length", eval_count=1), End())
    assert await batches_of(provider) == [[TextDelta("Hello"), Finished(FinishReason.LENGTH)]]


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ((Write(b'{"error": "out of memory"}\n'),), FailureKind.SERVER_ERROR),
        ((Write(b"<html>\n"),), FailureKind.MALFORMED),
        ((Write(b"[1]\n"),), FailureKind.MALFORMED),
        ((Write(b"x" * (MOST_LINE_BYTES + 1)),), FailureKind.MALFORMED),
        ((End(),), FailureKind.INTERRUPTED),
        ((Cut(),), FailureKind.INTERRUPTED),
    ],
)
async def test_a_stream_that_goes_wrong_is_a_classified_failure_after_what_came(
    steps: tuple[Step, ...], kind: FailureKind, upstream: MockUpstream, provider: NdjsonProvider
) -> None:
    upstream.scripts = (LINES, line("Hello"), *steps)
    given: list[ProviderBatch] = []
    with pytest.raises(ProviderError) as raised:
        await batches_of(provider, given=given)
    assert [event for batch in given for event in batch] == [TextDelta("Hello")]
    assert raised.value.failure == Failure(kind)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, FailureKind.NOT_FOUND),
        (429, FailureKind.RATE_LIMITED),
        (500, FailureKind.SERVER_ERROR),
    ],
)
async def test_an_error_response_is_classified_and_was_not_billed(
    status: int, kind: FailureKind, upstream: MockUpstream, provider: NdjsonProvider
) -> None:
    upstream.scripts = refused(status, ("retry-after", "3"))
    assert await failure_of(provider) == Failure(kind, status, retry_after_s=3.0, billable=False)


async def test_a_server_that_is_not_there_billed_nothing() -> None:
    provider = NdjsonProvider(replace(SETTINGS, base_url=f"http://127.0.0.1:{free_port()}"))
    assert await failure_of(provider) == Failure(FailureKind.CONNECTION, billable=False)
    await provider.aclose()
    assert await failure_of(provider) == Failure(FailureKind.CONNECTION, billable=False)


async def test_a_server_that_hangs_up_without_an_answer_may_have_billed(
    upstream: MockUpstream, provider: NdjsonProvider
) -> None:
    upstream.scripts = (Cut(),)
    assert await failure_of(provider) == Failure(FailureKind.CONNECTION)


def test_options_that_it_does_not_have_are_refused() -> None:
    ports = ProviderPorts(SystemClock(), FixedRandomness())
    with pytest.raises(ConfigurationError, match="there are no options here; remove region"):
        make(replace(SETTINGS, options={"region": "eu"}), ports)


@pytest.mark.parametrize(
    "section",
    [ProviderConfig(factory="examples.ndjson_provider:create"), ProviderConfig(kind="ndjson")],
)
async def test_a_configuration_chooses_it_by_its_factory_or_by_what_is_installed(
    section: ProviderConfig, upstream: MockUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    Packages(tmp_path).add("chatnest-ndjson", {"ndjson": "examples.ndjson_provider:create"})
    provider = msgspec.structs.replace(section, base_url=address(upstream))
    config = ChatNestConfig(
        providers={"ollama": provider}, routes={"qwen3": RouteConfig(targets=("ollama/qwen3:8b",))}
    )
    end = line(done="stop", prompt_eval_count=9, eval_count=1)
    upstream.scripts = (LINES, line("Hello"), end, End())
    async with (
        running(Litestar(plugins=[ChatNestPlugin(config)])) as port,
        await chat(port, "Hi") as exchange,
    ):
        events = [event async for event in exchange.events()]
    assert [event.json for event in events if event.name == "token"] == ["Hello"]
    assert events[-2].json["totalTokens"] == 10
    assert json.loads(upstream.exchanges[0].body)["model"] == "qwen3:8b"
