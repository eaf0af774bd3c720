"""The openai provider over real sockets: what it sends, and what it makes of every answer."""

import builtins
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chatnest.adapters.providers.openai import OpenAIProvider
from chatnest.domain.errors import ConfigurationError, Failure, FailureKind, ProviderError
from chatnest.domain.events import (
    Finished,
    FinishReason,
    ProviderBatch,
    ProviderEvent,
    TextDelta,
    UsageReported,
)
from chatnest.domain.messages import Message, Role
from chatnest.domain.ports import ProviderCall
from chatnest.domain.usage import TokenUsage
from chatnest.testing.openai_scripts import (
    DONE,
    chunk,
    completion,
    error_object,
    event,
    in_pieces,
    refusal,
    text,
    usage_of,
)
from chatnest.testing.upstream import (
    Cut,
    End,
    Head,
    MockUpstream,
    Pause,
    Reset,
    Script,
    Stall,
    Write,
)

KEY = "sk-test-0123456789"
CALL = ProviderCall("r", "gpt-4o-mini", (Message(Role.USER, "Hi"),), 50, 0.7)
STOP = Finished(FinishReason.STOP)


@pytest.fixture
async def upstream() -> AsyncIterator[MockUpstream]:
    async with MockUpstream() as upstream:
        yield upstream


@pytest.fixture
async def provider(upstream: MockUpstream) -> AsyncIterator[OpenAIProvider]:
    provider = OpenAIProvider(api_key=KEY, base_url=upstream.base_url, trust_env=False)
    yield provider
    await provider.aclose()


async def batches_of(
    provider: OpenAIProvider, given: list[ProviderBatch] | None = None
) -> list[ProviderBatch]:
    batches = [] if given is None else given
    async with provider.stream(CALL) as stream:
        async for batch in stream:
            batches.append(batch)
    return batches


async def events_of(provider: OpenAIProvider) -> list[ProviderEvent]:
    return [event for batch in await batches_of(provider) for event in batch]


async def failure_of(provider: OpenAIProvider) -> tuple[str, ProviderError]:
    """The text that came before the failure, and the failure."""
    given: list[ProviderBatch] = []
    with pytest.raises(ProviderError) as raised:
        await batches_of(provider, given)
    deltas = [one for batch in given for one in batch]
    return "".join(one.text for one in deltas if isinstance(one, TextDelta)), raised.value


async def test_an_answer_is_streamed_with_its_usage(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    upstream.scripts = completion(("Hello", " you"), usage=usage_of(9, 2))
    assert await events_of(provider) == [
        TextDelta("Hello"),
        TextDelta(" you"),
        UsageReported(TokenUsage(9, 2)),
        STOP,
    ]


async def test_the_request_is_an_authorized_streaming_one_sent_once(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    upstream.scripts = completion()
    await events_of(provider)
    (exchange,) = upstream.exchanges
    assert (exchange.method, exchange.path) == ("POST", "/v1/chat/completions")
    assert exchange.headers["authorization"] == f"Bearer {KEY}"
    assert exchange.headers["content-type"] == "application/json"
    assert exchange.headers["accept"] == "text/event-stream"
    assert exchange.headers["accept-encoding"] == "identity"
    assert exchange.json == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 50,
        "temperature": 0.7,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_what_arrives_together_is_one_batch(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    burst = Write(text("a").data + text("b").data + text("c").data)
    upstream.scripts = (Head(), burst, chunk({}, finish_reason="stop"), DONE, End())
    first, *_ = await batches_of(provider)
    assert first[:3] == [TextDelta("a"), TextDelta("b"), TextDelta("c")]


@pytest.mark.parametrize("size", [1, 3, 50])
async def test_a_stream_cut_into_any_pieces_says_the_same(
    upstream: MockUpstream, provider: OpenAIProvider, size: int
) -> None:
    words = ("Grüße", " 😀", " 你好")
    writes = [
        step.data for step in completion(words, usage=usage_of(1, 3)) if isinstance(step, Write)
    ]
    upstream.scripts = in_pieces(b"".join(writes), size, delay_us=0)
    events = await events_of(provider)
    assert [one.text for one in events if isinstance(one, TextDelta)] == list(words)
    assert events[-2:] == [UsageReported(TokenUsage(1, 3)), STOP]


async def test_a_huge_delta_arrives_whole(upstream: MockUpstream, provider: OpenAIProvider) -> None:
    word = "x" * 1_000_000
    upstream.scripts = completion((word,))
    assert await events_of(provider) == [TextDelta(word), STOP]


async def test_crlf_framing_and_comments_are_understood(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    framed = Write(b": ping\r\n\r\n" + text("a").data.replace(b"\n", b"\r\n"))
    upstream.scripts = (Head(), framed, Write(b"data: [DONE]\r\n\r\n"), End())
    assert await events_of(provider) == [TextDelta("a"), STOP]


@pytest.mark.parametrize(
    "ending",
    [(End(),), (Cut(),), (Reset(),)],
    ids=["body ends", "connection is cut", "connection is reset"],
)
async def test_an_answer_with_a_finish_reason_is_complete_however_it_closes(
    upstream: MockUpstream, provider: OpenAIProvider, ending: Script
) -> None:
    upstream.scripts = (
        *(Head(), text("a"), chunk({}, finish_reason="length")),
        *(event({"choices": [], "usage": usage_of(2, 1)}), Pause(20_000)),
        *ending,
    )
    assert await events_of(provider) == [
        TextDelta("a"),
        UsageReported(TokenUsage(2, 1)),
        Finished(FinishReason.LENGTH),
    ]


BEGUN = (Head(), text("a"), text("b"))


@pytest.mark.parametrize(
    ("script", "text_before", "failure"),
    [
        ((*BEGUN, End()), "ab", Failure(FailureKind.INTERRUPTED)),
        ((*BEGUN, Pause(20_000), Cut()), "ab", Failure(FailureKind.INTERRUPTED)),
        ((*BEGUN, Pause(20_000), Reset()), "ab", Failure(FailureKind.INTERRUPTED)),
        ((Head(), End()), "", Failure(FailureKind.INTERRUPTED)),
        ((*BEGUN, Write(b"data: {\n\n"), Stall()), "ab", Failure(FailureKind.MALFORMED)),
        (
            (*BEGUN, event(error_object("server_is_overloaded")), Stall()),
            "ab",
            Failure(FailureKind.OVERLOADED, code="server_is_overloaded"),
        ),
        (
            (Head(), Write(text("a").data + b"data: {\n\n"), Stall()),
            "a",
            Failure(FailureKind.MALFORMED),
        ),
        ((Cut(),), "", Failure(FailureKind.CONNECTION)),
        ((Reset(),), "", Failure(FailureKind.CONNECTION)),
        (
            (Head(headers=(("content-type", "text/html"),), body=b"<html>"),),
            "",
            Failure(FailureKind.MALFORMED),
        ),
        (
            (Head(headers=(("content-type", "application/json"),), body=b'{"choices":[]}'),),
            "",
            Failure(FailureKind.MALFORMED),
        ),
        ((Head(headers=()), *BEGUN[1:], End()), "", Failure(FailureKind.MALFORMED)),
    ],
)
async def test_what_breaks_is_told_after_what_came_before_it(
    upstream: MockUpstream,
    provider: OpenAIProvider,
    script: Script,
    text_before: str,
    failure: Failure,
) -> None:
    upstream.scripts = script
    given, error = await failure_of(provider)
    assert given == text_before
    assert error.failure == failure
    assert len(upstream.exchanges) == 1


async def test_an_endless_event_is_malformed(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    megabyte = Write(b"x" * 1_000_000)
    upstream.scripts = (Head(), *[megabyte] * 10, Stall())
    _, error = await failure_of(provider)
    assert error.failure == Failure(FailureKind.MALFORMED)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 422, 429, 500, 502, 503, 529])
async def test_an_error_response_is_tried_once_and_costs_nothing(
    upstream: MockUpstream, provider: OpenAIProvider, status: int
) -> None:
    upstream.scripts = refusal(status, error_object("some_code"), retry_after="7")
    given, error = await failure_of(provider)
    assert given == ""
    assert error.failure.status == status
    assert error.failure.code == "some_code"
    assert error.failure.retry_after_s == 7
    assert not error.failure.billable
    assert error.__cause__ is not None
    assert len(upstream.exchanges) == 1


async def test_a_refused_connection_was_never_sent() -> None:
    async with MockUpstream() as gone:
        base_url = gone.base_url
    provider = OpenAIProvider(api_key=KEY, base_url=base_url, trust_env=False)
    _, error = await failure_of(provider)
    assert error.failure == Failure(FailureKind.CONNECTION, billable=False)
    await provider.aclose()


async def test_a_host_that_has_no_address_was_never_sent_to() -> None:
    provider = OpenAIProvider(api_key=KEY, base_url="http://provider.invalid/v1", trust_env=False)
    _, error = await failure_of(provider)
    assert error.failure == Failure(FailureKind.CONNECTION, billable=False)
    await provider.aclose()


async def test_silence_beyond_the_read_limit_is_a_timeout_that_may_be_billed(
    upstream: MockUpstream,
) -> None:
    upstream.scripts = (Stall(),)
    provider = OpenAIProvider(
        api_key=KEY, base_url=upstream.base_url, read_timeout_s=0.1, trust_env=False
    )
    _, error = await failure_of(provider)
    assert error.failure == Failure(FailureKind.TIMEOUT)
    upstream.scripts = (*BEGUN, Stall())
    given, error = await failure_of(provider)
    assert given == "ab"
    assert error.failure == Failure(FailureKind.TIMEOUT)
    await provider.aclose()


async def test_a_call_that_gets_no_connection_in_time_was_never_sent(
    upstream: MockUpstream,
) -> None:
    upstream.scripts = (*BEGUN, Stall())
    provider = OpenAIProvider(
        api_key=KEY,
        base_url=upstream.base_url,
        max_connections=1,
        connect_timeout_s=0.1,
        trust_env=False,
    )
    async with provider.stream(CALL):
        _, error = await failure_of(provider)
    assert error.failure == Failure(FailureKind.TIMEOUT, billable=False)
    assert len(upstream.exchanges) == 1
    await provider.aclose()


async def test_the_key_is_in_no_text_that_anybody_may_see(
    upstream: MockUpstream, provider: OpenAIProvider
) -> None:
    echo = error_object("invalid_api_key", message=f"Incorrect API key provided: {KEY}")
    upstream.scripts = refusal(401, echo)
    _, error = await failure_of(provider)
    assert error.failure.kind is FailureKind.AUTHENTICATION
    assert "Incorrect API key provided" in str(error.__cause__)
    for seen in (
        str(error),
        repr(error),
        str(error.__cause__),
        repr(error.__cause__),
        repr(provider),
    ):
        assert KEY not in seen


def test_without_a_key_there_is_no_provider() -> None:
    for key in (None, "", " \n"):
        with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
            OpenAIProvider(api_key=key)


def test_a_key_that_no_header_can_carry_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigurationError) as raised:
        OpenAIProvider(api_key="sk-ключ")
    assert "ключ" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "environment", "sent"),
    [
        (f" {KEY}\n", None, KEY),
        (None, KEY, KEY),
        (KEY, "sk-other", KEY),
        (None, None, "none"),
    ],
)
async def test_the_key_is_the_given_one_or_the_environments(
    upstream: MockUpstream,
    monkeypatch: pytest.MonkeyPatch,
    given: str | None,
    environment: str | None,
    sent: str,
) -> None:
    if environment is not None:
        monkeypatch.setenv("OPENAI_API_KEY", environment)
    upstream.scripts = completion()
    provider = OpenAIProvider(api_key=given, base_url=upstream.base_url, trust_env=False)
    await events_of(provider)
    await provider.aclose()
    assert upstream.exchanges[0].headers["authorization"] == f"Bearer {sent}"


@pytest.mark.parametrize("trust_env", [True, False])
async def test_a_proxy_of_the_environment_is_used_where_it_is_trusted(
    upstream: MockUpstream, monkeypatch: pytest.MonkeyPatch, trust_env: bool
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    upstream.scripts = completion()
    async with MockUpstream(completion()) as proxy:
        monkeypatch.setenv("http_proxy", proxy.base_url.removesuffix("/v1"))
        provider = OpenAIProvider(api_key=KEY, base_url=upstream.base_url, trust_env=trust_env)
        await events_of(provider)
        await provider.aclose()
    assert bool(proxy.exchanges) is trust_env
    assert bool(upstream.exchanges) is not trust_env


def test_a_missing_sdk_is_a_matter_of_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def without_sdk(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "openai":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return importing(name, *rest, **named)

    for module in ("openai_client",):
        monkeypatch.delitem(sys.modules, f"chatnest.adapters.providers.{module}", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_sdk)
    with pytest.raises(ConfigurationError, match=r"pip install 'chatnest\[openai\]'"):
        OpenAIProvider(api_key=KEY)


def test_importing_the_providers_imports_no_sdk() -> None:
    code = (
        "import sys, chatnest.adapters.providers\n"
        "heavy = {'aiohttp', 'anthropic', 'openai', 'xllamacpp'}\n"
        "sys.exit(not heavy.isdisjoint(sys.modules))"
    )
    assert subprocess.run((sys.executable, "-c", code), check=False).returncode == 0
