"""The contract suite of chat providers: every adapter of the port passes it.

An adapter's author subclasses :class:`ProviderContract` and gives it a ``provider`` whose server
answers any call with at least four deltas::

    class TestMyProvider(ProviderContract):
        @pytest.fixture
        async def provider(self):
            provider = MyProvider()
            yield provider
            await provider.aclose()

``wait_until_closed`` and the ``failing`` fixture are to be overridden where the other end of the
connection can be seen and scripted; the tests that need them are skipped otherwise. A provider that
streams over HTTP takes :class:`chatnest.testing.provider_wires.WireContract`, which does that.

The suite runs under anyio's pytest plugin with ``anyio_mode = "auto"``, on asyncio.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import ClassVar

import anyio
import anyio.lowlevel
import pytest

from chatnest.adapters.clock import SystemClock
from chatnest.domain.errors import ProviderError
from chatnest.domain.events import (
    ChatEvent,
    Finished,
    FinishReason,
    Phase,
    ProviderBatch,
    ProviderEvent,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageReported,
    next_phase,
)
from chatnest.domain.messages import Message, Role
from chatnest.domain.ports import ChatProvider, ProviderCall
from chatnest.domain.usage import TokenUsage
from chatnest.domain.watchdog import wait_within

CLOSED_WITHIN_US = 50_000
"""How long after its context was left a call's connection may still be open, in microseconds."""

_LONGEST_ANSWER_S = 50
_STARTED = Started("contract", "contract", "contract", 0)


class ProviderContract:
    """What every :class:`~chatnest.domain.ports.ChatProvider` keeps.

    ``model`` is what the calls ask for, ``reports_usage`` whether its server reports usage.
    """

    model: ClassVar[str] = "any-model"
    reports_usage: ClassVar[bool] = True

    @pytest.fixture
    def provider(self) -> ChatProvider:
        """The provider under test."""
        raise NotImplementedError("give the suite a `provider` fixture")

    @pytest.fixture
    def failing(self) -> ChatProvider:
        """A provider whose server refuses every call."""
        pytest.skip("nothing here makes the server refuse")

    async def wait_until_closed(self) -> None:
        """Return when the other end has seen the connection of the last call closed."""
        pytest.skip("the other end of the connection cannot be seen from here")

    def call(self, max_output_tokens: int = 32) -> ProviderCall:
        """A call that is answered with several deltas."""
        question = Message(Role.USER, "Tell me a story about a fox and a crow.")
        return ProviderCall("contract", self.model, (question,), max_output_tokens, 0.0)

    async def test_it_has_a_name(self, provider: ChatProvider) -> None:
        """One that the configuration and the journal can use."""
        assert provider.name
        assert provider.name == provider.name.strip()

    async def test_events_come_in_their_legal_order(self, provider: ChatProvider) -> None:
        """Deltas, then at most one usage report, then the end and nothing after it."""
        phase: Phase | None = next_phase(Phase.NEW, _STARTED)
        for event in await self._events(provider):
            assert phase is not None
            phase = next_phase(phase, event)
        assert phase is Phase.ENDED

    async def test_no_batch_and_no_delta_is_empty(self, provider: ChatProvider) -> None:
        """An event that says nothing is not sent."""
        batches = await _batches(provider, self.call())
        assert all(batches)
        deltas = [event for batch in batches for event in batch if _is_delta(event)]
        assert len(deltas) >= 4
        assert all(_says_something(delta) for delta in deltas)

    async def test_an_answer_ends_for_a_reason_of_the_model(self, provider: ChatProvider) -> None:
        """``cancelled`` and ``error`` are the service's to say."""
        (finished,) = [e for e in await self._events(provider) if isinstance(e, Finished)]
        assert finished.finish_reason not in (FinishReason.CANCELLED, FinishReason.ERROR)

    async def test_usage_is_reported_as_it_was_used(self, provider: ChatProvider) -> None:
        """Some input, and no more output than was paid for."""
        call = self.call()
        usages = _usages(await _batches(provider, call))
        if not self.reports_usage:
            assert usages == []
            return
        (usage,) = usages
        assert usage.input_tokens > 0
        assert 0 < usage.output_tokens <= call.max_output_tokens

    async def test_an_answer_stops_at_its_cap(self, provider: ChatProvider) -> None:
        """The cap reaches the model, and the end says so."""
        batches = await _batches(provider, self.call(max_output_tokens=2))
        assert batches[-1][-1] == Finished(FinishReason.LENGTH)
        assert all(usage.output_tokens <= 2 for usage in _usages(batches))

    async def test_leaving_in_the_middle_closes_the_connection(
        self, provider: ChatProvider
    ) -> None:
        """At once: what goes on after that is paid for by nobody."""
        async with provider.stream(self.call(max_output_tokens=2_000)) as batches:
            await anext(batches)
        await self._assert_closed()

    async def test_leaving_before_reading_closes_the_connection(
        self, provider: ChatProvider
    ) -> None:
        """An iterator that was never asked for anything leaves nothing open."""
        async with provider.stream(self.call(max_output_tokens=2_000)):
            pass
        await self._assert_closed()

    async def test_a_cancelled_reader_closes_the_connection(self, provider: ChatProvider) -> None:
        """Cancellation is neither swallowed nor turned into another error."""
        begun = asyncio.Event()

        async def read() -> None:
            async with provider.stream(self.call(max_output_tokens=2_000)) as batches:
                async for _ in batches:
                    begun.set()
                    # A provider that has its whole answer ready would never be interrupted.
                    await anyio.lowlevel.checkpoint()

        reader = asyncio.create_task(read())
        with anyio.fail_after(_LONGEST_ANSWER_S):
            await begun.wait()
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await self._assert_closed()

    async def test_an_error_of_the_reader_passes_through(self, provider: ChatProvider) -> None:
        """What happens inside the context is none of the provider's business."""

        async def read_and_raise() -> None:
            async with provider.stream(self.call()) as batches:
                await anext(batches)
                raise LookupError("the reader's own")

        with pytest.raises(LookupError, match="the reader's own"):
            await read_and_raise()

    async def test_a_call_after_an_abandoned_one_is_whole(self, provider: ChatProvider) -> None:
        """What is left of one call never comes out of another."""
        async with provider.stream(self.call(max_output_tokens=2_000)) as batches:
            await anext(batches)
        assert isinstance((await self._events(provider))[-1], Finished)

    async def test_calls_at_once_are_each_answered(self, provider: ChatProvider) -> None:
        """Each in its own stream, from its first event to its end."""
        answers = await asyncio.gather(self._events(provider), self._events(provider))
        for events in answers:
            assert isinstance(events[-1], Finished)

    async def test_a_refusal_is_a_classified_error(self, failing: ChatProvider) -> None:
        """With its cause attached, and nothing of an answer before it."""
        given: list[ProviderBatch] = []
        with pytest.raises(ProviderError) as raised:
            await collect(failing, self.call(), given)
        assert given == []
        assert str(raised.value)
        assert raised.value.failure.kind

    async def _events(self, provider: ChatProvider) -> list[ProviderEvent]:
        return [event for batch in await _batches(provider, self.call()) for event in batch]

    async def _assert_closed(self) -> None:
        closed = asyncio.create_task(self.wait_until_closed())
        in_time = await wait_within(SystemClock(), closed, CLOSED_WITHIN_US)
        closed.cancel()
        await asyncio.wait((closed,))
        if not closed.cancelled() and (problem := closed.exception()) is not None:
            raise problem
        assert in_time


async def _batches(provider: ChatProvider, call: ProviderCall) -> list[ProviderBatch]:
    batches: list[ProviderBatch] = []
    with anyio.fail_after(_LONGEST_ANSWER_S):
        await collect(provider, call, batches)
    return batches


async def collect(provider: ChatProvider, call: ProviderCall, batches: list[ProviderBatch]) -> None:
    """Append to *batches* what *provider* gives, as far as it comes."""
    stream: AsyncIterator[ProviderBatch]
    async with provider.stream(call) as stream:
        async for batch in stream:
            batches.append(batch)


def _usages(batches: list[ProviderBatch]) -> list[TokenUsage]:
    events = [event for batch in batches for event in batch]
    return [event.usage for event in events if isinstance(event, UsageReported)]


def _is_delta(event: ChatEvent) -> bool:
    return isinstance(event, TextDelta | RefusalDelta | ReasoningDelta | ToolCallDelta)


def _says_something(event: ChatEvent) -> bool:
    match event:
        case TextDelta(text=text) | RefusalDelta(text=text):
            return bool(text)
        case ReasoningDelta(text=text, signature=signature):
            return bool(text or signature)
        case ToolCallDelta(id=identifier, name=name, arguments=arguments):
            return bool(identifier or name or arguments)
        case _:
            return True
