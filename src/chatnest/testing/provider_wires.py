"""The contract suite of providers that stream over HTTP, played by a mock upstream.

An adapter's author gives it what the provider's server says, and a provider that asks the
``upstream`` fixture::

    class TestMyProvider(WireContract):
        scripts = my_scripts

        @pytest.fixture
        async def provider(self, upstream):
            provider = MyProvider(base_url=upstream.base_url)
            yield provider
            await provider.aclose()

``scripts`` is any object, or module, with the functions of :class:`WireScripts`;
``chatnest.testing.openai_scripts`` is one.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import ClassVar, Protocol

import anyio
import pytest

from chatnest.domain.errors import Failure, FailureKind, ProviderError
from chatnest.domain.events import (
    Finished,
    FinishReason,
    ProviderBatch,
    ProviderEvent,
    TextDelta,
    UsageReported,
)
from chatnest.domain.ports import ChatProvider
from chatnest.domain.usage import TokenUsage
from chatnest.testing.openai_scripts import in_pieces
from chatnest.testing.providers import ProviderContract, collect
from chatnest.testing.upstream import (
    Cut,
    End,
    Exchange,
    MockUpstream,
    Reset,
    Stall,
    Step,
    Wait,
    Write,
)

_WORDS = tuple(f" word{number}" for number in range(8))
_DELAY_US = 2_000
_LONGEST_S = 50


class WireScripts(Protocol):
    """What a provider's server says, as scripts for the mock upstream."""

    def completion(
        self,
        tokens: Sequence[str] = ...,
        *,
        delay_us: int = ...,
        finish_reason: str | None = ...,
        usage: Mapping[str, object] | None = ...,
        done: bool = ...,
    ) -> tuple[Step, ...]:
        """A whole answer, one write for each token, with ``End`` as its last step.

        Without a *finish_reason* and *done* the wire does not say that the answer is complete.
        *usage* None: it is not reported.
        """

    def usage_of(self, input_tokens: int, output_tokens: int) -> Mapping[str, object]:
        """The wire's words for what an answer used."""

    def refusal(
        self, status: int, error: Mapping[str, object] | None = None, **headers: str
    ) -> tuple[Step, ...]:
        """An error response; a header's underscores become hyphens."""


class WireContract(ProviderContract):
    """What every provider keeps whose server can be played by :class:`MockUpstream`.

    ``scripts`` is what that server says, and ``length_reason`` its word for an answer that was cut
    at its cap.
    """

    scripts: WireScripts
    length_reason: ClassVar[str] = "length"

    @pytest.fixture
    async def upstream(self) -> AsyncIterator[MockUpstream]:
        """The server that the provider under test asks; a test sets its ``scripts`` anew."""
        async with MockUpstream(self._answer_within_the_cap) as upstream:
            self._seen = upstream
            yield upstream

    @pytest.fixture
    def failing(self, upstream: MockUpstream, provider: ChatProvider) -> ChatProvider:
        """The provider under test, refused."""
        upstream.scripts = self.scripts.refusal(503)
        return provider

    async def wait_until_closed(self) -> None:
        """Return when the upstream has seen the connection of the last call closed."""
        await self._seen.connections[-1].gone.wait()

    def output_cap(self, exchange: Exchange) -> int:
        """The output cap of a request, where the wire has it."""
        cap: int = exchange.json["max_tokens"]
        return cap

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, FailureKind.INVALID_REQUEST),
            (401, FailureKind.AUTHENTICATION),
            (402, FailureKind.QUOTA_EXHAUSTED),
            (403, FailureKind.AUTHENTICATION),
            (404, FailureKind.NOT_FOUND),
            (413, FailureKind.CONTEXT_LENGTH),
            (429, FailureKind.RATE_LIMITED),
            (500, FailureKind.SERVER_ERROR),
            (502, FailureKind.SERVER_ERROR),
            (503, FailureKind.OVERLOADED),
            (529, FailureKind.OVERLOADED),
        ],
    )
    async def test_an_error_status_is_one_failure_that_costs_nothing(
        self, upstream: MockUpstream, provider: ChatProvider, status: int, kind: FailureKind
    ) -> None:
        """Asked once: trying again is the service's to decide."""
        upstream.scripts = self.scripts.refusal(status, retry_after="7")
        text, failure = await self._failure(provider)
        assert text == ""
        assert (failure.kind, failure.status, failure.retry_after_s) == (kind, status, 7.0)
        assert not failure.billable
        assert len(upstream.exchanges) == 1

    async def test_a_server_that_gave_up_waiting_may_have_billed(
        self, upstream: MockUpstream, provider: ChatProvider
    ) -> None:
        """A gateway does not know what the provider behind it went on to do."""
        upstream.scripts = self.scripts.refusal(504)
        _, failure = await self._failure(provider)
        assert (failure.kind, failure.billable) == (FailureKind.TIMEOUT, True)

    @pytest.mark.parametrize("size", [1, 2, 3, 7])
    async def test_an_answer_cut_into_any_pieces_says_the_same(
        self, upstream: MockUpstream, provider: ChatProvider, size: int
    ) -> None:
        """Reads end anywhere, inside letters of several bytes too."""
        words = ("Grüße", " 😀", " 你好")
        steps = self.scripts.completion(words, usage=self.scripts.usage_of(9, 3))
        whole = b"".join(step.data for step in steps if isinstance(step, Write))
        upstream.scripts = in_pieces(whole, size, delay_us=0)
        events = await self._events(provider)
        assert _text(events) == "".join(words)
        assert _usages(events) == [TokenUsage(9, 3)]

    async def test_empty_pieces_of_an_answer_are_left_out(
        self, upstream: MockUpstream, provider: ChatProvider
    ) -> None:
        """An event that says nothing is not sent."""
        upstream.scripts = self.scripts.completion(("", "a", "", "b", ""))
        events = await self._events(provider)
        deltas = [event for event in events if isinstance(event, TextDelta)]
        assert all(delta.text for delta in deltas)
        assert _text(events) == "ab"

    async def test_a_huge_piece_arrives_whole(
        self, upstream: MockUpstream, provider: ChatProvider
    ) -> None:
        """A megabyte, far beyond any read."""
        word = "é" * 500_000
        upstream.scripts = self.scripts.completion((word,))
        assert _text(await self._events(provider)) == word

    @pytest.mark.parametrize("garbage", [b"data: {\n\n", b"<html>\n\n", b"\xff\x00"])
    async def test_what_follows_the_end_is_ignored(
        self, upstream: MockUpstream, provider: ChatProvider, garbage: bytes
    ) -> None:
        """The answer was complete before it."""
        usage = self.scripts.usage_of(9, 1)
        *answer, end = self.scripts.completion(("a",), usage=usage)
        upstream.scripts = (*answer, Write(garbage), end)
        events = await self._events(provider)
        assert _text(events) == "a"
        assert events[-1] == Finished(FinishReason.STOP)

    async def test_usage_that_is_not_reported_is_not_made_up(
        self, upstream: MockUpstream, provider: ChatProvider
    ) -> None:
        """Unknown is not zero: the service then charges what it saw."""
        upstream.scripts = self.scripts.completion(("a",), usage=None)
        events = await self._events(provider)
        assert _usages(events) == []
        assert events[-1] == Finished(FinishReason.STOP)

    @pytest.mark.parametrize(("input_tokens", "output_tokens"), [(0, 0), (5, 0), (0, 5)])
    async def test_usage_of_nothing_is_reported_as_nothing(
        self,
        upstream: MockUpstream,
        provider: ChatProvider,
        input_tokens: int,
        output_tokens: int,
    ) -> None:
        """Zero is not unknown: such an answer is free."""
        usage = self.scripts.usage_of(input_tokens, output_tokens)
        upstream.scripts = self.scripts.completion(("a",), usage=usage)
        usages = _usages(await self._events(provider))
        assert usages == [TokenUsage(input_tokens, output_tokens)]

    @pytest.mark.parametrize("end", [End(), Cut(), Reset()], ids=["end", "cut", "reset"])
    async def test_an_answer_without_its_end_was_interrupted(
        self, upstream: MockUpstream, provider: ChatProvider, end: Step
    ) -> None:
        """However the server broke it off; what came before it may be billed."""
        *begun, _ = self.scripts.completion(
            ("a", "b"), delay_us=_DELAY_US, finish_reason=None, done=False
        )
        has_read = asyncio.Event()
        upstream.scripts = (*begun, Wait(has_read), end)
        given: list[ProviderEvent] = []

        async def read() -> None:
            async with provider.stream(self.call()) as batches:
                async for batch in batches:
                    given.extend(batch)
                    if _text(given) == "ab":
                        has_read.set()

        with anyio.fail_after(_LONGEST_S), pytest.raises(ProviderError) as raised:
            await read()
        assert _text(given) == "ab"
        assert raised.value.failure == Failure(FailureKind.INTERRUPTED, billable=True)

    async def test_a_server_that_hangs_up_may_have_billed(
        self, upstream: MockUpstream, provider: ChatProvider
    ) -> None:
        """It had the request, and asked again it would get it twice."""
        upstream.scripts = (Cut(),)
        _, failure = await self._failure(provider)
        assert failure == Failure(FailureKind.CONNECTION, billable=True)
        assert len(upstream.exchanges) == 1

    async def test_a_call_that_is_cancelled_before_its_answer_closes_the_connection(
        self, upstream: MockUpstream, provider: ChatProvider
    ) -> None:
        """Within the same time as one that is cancelled in the middle."""
        upstream.scripts = (Stall(),)
        reader = asyncio.create_task(self._events(provider))
        with anyio.fail_after(_LONGEST_S):
            await upstream.exchange(1)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await self._assert_closed()

    def _answer_within_the_cap(self, exchange: Exchange) -> tuple[Step, ...]:
        """What a server does: it counts the cap down, and says so when it is used up."""
        words = _WORDS[: self.output_cap(exchange)]
        usage = self.scripts.usage_of(9, len(words))
        if len(words) == len(_WORDS):
            return self.scripts.completion(words, delay_us=_DELAY_US, usage=usage)
        return self.scripts.completion(
            words, delay_us=_DELAY_US, usage=usage, finish_reason=self.length_reason
        )

    async def _failure(self, provider: ChatProvider) -> tuple[str, Failure]:
        """The text that came before the failure, and the failure."""
        given: list[ProviderBatch] = []
        with anyio.fail_after(_LONGEST_S), pytest.raises(ProviderError) as raised:
            await collect(provider, self.call(), given)
        return _text([event for batch in given for event in batch]), raised.value.failure


def _text(events: Sequence[ProviderEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def _usages(events: Sequence[ProviderEvent]) -> list[TokenUsage]:
    return [event.usage for event in events if isinstance(event, UsageReported)]
