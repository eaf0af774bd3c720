"""A chat service with everything around it under the test's control."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from chatnest.adapters.storage.memory import MemoryStore
from chatnest.domain.admission import Refusal
from chatnest.domain.answer import Answer
from chatnest.domain.budget import BudgetRule, Unit
from chatnest.domain.capabilities import Capabilities
from chatnest.domain.chat import ChatService
from chatnest.domain.errors import Failure, ProviderError
from chatnest.domain.events import (
    ChatEvent,
    Finished,
    FinishReason,
    ProviderBatch,
    ProviderEvent,
    TextDelta,
    UsageReported,
)
from chatnest.domain.messages import Message, Role
from chatnest.domain.policy import GLOBAL_SCOPE, ChatPolicy, TimeLimits
from chatnest.domain.ports import (
    CallReport,
    ChatProvider,
    LedgerStore,
    Observer,
    ProviderCall,
    TokenOverhead,
)
from chatnest.domain.profiles import Profile, Profiles
from chatnest.domain.requests import ChatRequest, Principal
from chatnest.domain.retry import RetryPolicy
from chatnest.domain.routes import Route, Target
from chatnest.domain.usage import Price, TokenUsage
from chatnest.domain.windows import US_PER_S, Period, Window
from chatnest.testing.clock import ManualClock
from chatnest.testing.randomness import FixedRandomness

ALICE = Principal("user:alice")
PRICE = Price(input_nano_usd=1_000_000_000, output_nano_usd=4_000_000_000)
PROFILE = Profile(
    "plain",
    max_output_tokens=100,
    max_messages=4,
    temperature=0.5,
    tokens_per_day=10_000,
    tokens_per_request=1_000,
    requests_per_minute=1_000,
    min_output_tokens=10,
    concurrent_streams=100,
)
DAY = Window(Period.DAY)


class WordCounter:
    """A word is a token; the bound is the text's bytes. The template adds 2 and 3 tokens."""

    def __init__(self) -> None:
        self.counted: list[str] = []
        self.broken = False

    def bound(self, model: str, text: str) -> int:
        return len(text.encode())

    async def count(self, model: str, text: str, *, most: int | None = None) -> int:
        if self.broken:
            raise RuntimeError("no vocabulary")
        self.counted.append(text)
        return len(text.split())

    def overestimate_percent(self, model: str) -> int:
        return 0

    def overhead(self, model: str) -> TokenOverhead:
        return TokenOverhead(
            per_message=2,
            per_request=3,
            per_image=30,
            per_low_image=7,
            per_tool=5,
            with_tools=11,
        )


class OnePrice:
    """Every model costs the same; or nobody knows what."""

    def __init__(self, price: Price | None) -> None:
        self.known = price

    def price(self, provider: str, model: str) -> Price | None:
        return self.known


class PuppetCall:
    """One call of the puppet provider: the test says what comes, and sees whether it was closed."""

    def __init__(self, call: ProviderCall) -> None:
        self.call = call
        self.closed = False
        self._batches: asyncio.Queue[ProviderBatch | Exception | None] = asyncio.Queue()

    def give(self, *events: ProviderEvent) -> None:
        self._batches.put_nowait(events)

    def say(self, *pieces: str) -> None:
        for piece in pieces:
            self.give(TextDelta(piece))

    def finish(
        self, usage: TokenUsage | None = None, reason: FinishReason = FinishReason.STOP
    ) -> None:
        report = () if usage is None else (UsageReported(usage),)
        self.give(*report, Finished(reason))

    def fail(self, failure: Failure) -> None:
        self._batches.put_nowait(ProviderError("puppet", failure))

    def crash(self, error: Exception) -> None:
        self._batches.put_nowait(error)

    def cut(self) -> None:
        self._batches.put_nowait(None)

    async def batches(self) -> AsyncGenerator[ProviderBatch, None]:
        while (batch := await self._batches.get()) is not None:
            if isinstance(batch, Exception):
                raise batch
            yield batch


class PuppetProvider:
    """Does what the test tells it. ``script`` gives what each call says from the start."""

    def __init__(self, name: str = "puppet") -> None:
        self.name = name
        self.capabilities = Capabilities(tools=True, images=True)
        self.calls: list[PuppetCall] = []
        self.script: list[ProviderBatch | Failure] = []

    @asynccontextmanager
    async def stream(
        self, call: ProviderCall
    ) -> AsyncGenerator[AsyncGenerator[ProviderBatch, None], None]:
        puppet = PuppetCall(call)
        self.calls.append(puppet)
        if self.script:
            match self.script.pop(0):
                case Failure() as failure:
                    puppet.fail(failure)
                case events:
                    puppet.give(*events)
        try:
            yield puppet.batches()
        finally:
            puppet.closed = True

    async def aclose(self) -> None:
        pass


class Witness:
    """Remembers what an observer is told."""

    def __init__(self) -> None:
        self.reports: list[CallReport] = []
        self.refusals: list[tuple[str, str, str]] = []
        self.unsettled: list[str] = []
        self.abandoned: list[str] = []

    def call_ended(self, report: CallReport) -> None:
        self.reports.append(report)

    def refused(self, principal: str, profile: str, code: str) -> None:
        self.refusals.append((principal, profile, code))

    def settlement_failed(self, hold_id: str) -> None:
        self.unsettled.append(hold_id)

    def settlement_abandoned(self, hold_id: str) -> None:
        self.abandoned.append(hold_id)


class World:
    """A service of one profile, and everything that it works with."""

    def __init__(
        self,
        *,
        profile: Profile = PROFILE,
        policy: ChatPolicy | None = None,
        store: LedgerStore | None = None,
        price: Price | None = PRICE,
        context_window: int | None = None,
        clock: ManualClock | None = None,
        provider: ChatProvider | None = None,
        observer: Observer | None = None,
        routes: Sequence[Route] | None = None,
        node: str = "id",
    ) -> None:
        self.clock = clock or ManualClock()
        self.store = store or MemoryStore(self.clock)
        self.provider = PuppetProvider()
        self.counter = WordCounter()
        self.witness = Witness()
        profiles = Profiles({profile.name: profile}, default=profile.name, aliases={})
        self.policy = replace(policy or ChatPolicy(), profiles=profiles)
        target = Target(provider or self.provider, "model-1", context_window)
        only = Route("model-1", (target,))
        self.service = ChatService(
            store=self.store,
            routes=[only] if routes is None else routes,
            counter=self.counter,
            prices=OnePrice(price),
            clock=self.clock,
            randomness=FixedRandomness(prefix=node),
            observer=observer or self.witness,
            policy=self.policy,
        )

    async def open(self, *texts: str, principal: Principal = ALICE) -> Answer | Refusal:
        return await self.service.open(principal, request(*texts))

    async def answer(self, *texts: str) -> Answer:
        outcome = await self.open(*(texts or ("one two three",)))
        assert isinstance(outcome, Answer), outcome
        return outcome

    async def tokens(self, principal: Principal = ALICE) -> tuple[int, int]:
        """What *principal* has settled and holds of its tokens for the day."""
        view = await self.service.usage(principal)
        balance = next(b for b in view.balances if b.rule.unit is Unit.TOKENS)
        return balance.settled, balance.held

    async def held(self, principal: Principal = ALICE) -> list[int]:
        view = await self.service.usage(principal)
        return [balance.held for balance in view.balances]


def request(*texts: str) -> ChatRequest:
    return ChatRequest(tuple(Message(Role.USER, text) for text in texts))


def limited(limit: int, unit: Unit = Unit.TOKENS, scope: str = GLOBAL_SCOPE) -> ChatPolicy:
    """A policy with one budget for the day, and retries that wait for exactly a second."""
    return ChatPolicy(budgets=(BudgetRule(scope, unit, DAY, limit),))


PATIENT = ChatPolicy(
    retry=RetryPolicy(
        max_attempts=3,
        base_delay_us=2 * US_PER_S,
        max_delay_us=2 * US_PER_S,
        deadline_us=60 * US_PER_S,
    ),
    time_limits=TimeLimits(
        first_token_us=10 * US_PER_S, idle_us=5 * US_PER_S, total_us=100 * US_PER_S
    ),
)


async def collect(answer: Answer) -> list[ChatEvent]:
    """Every event of *answer*, to its end."""
    async with answer:
        return [event async for batch in answer for event in batch]


def text_of(events: Sequence[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def usage_of(events: Sequence[ChatEvent]) -> UsageReported:
    return next(event for event in events if isinstance(event, UsageReported))


async def turns(count: int = 20) -> None:
    """Let every other task run until it waits for something."""
    for _ in range(count):
        await asyncio.sleep(0)


async def drive(world: World, answer: Answer, seconds: float = 0) -> list[ChatEvent]:
    """Collect *answer* while *seconds* pass."""
    collecting = asyncio.create_task(collect(answer))
    await world.clock.run_for(round(seconds * US_PER_S))
    return await collecting


async def leave_after(answer: Answer, pieces: int) -> None:
    """Read that many pieces of text, and then be cancelled where the next one is waited for."""

    async def read() -> None:
        seen = 0
        async with answer:
            async for batch in answer:
                seen += sum(isinstance(event, TextDelta) for event in batch)
                if seen >= pieces:
                    waiting.set()

    waiting = asyncio.Event()
    reading = asyncio.create_task(read())
    if pieces:
        await waiting.wait()
    await turns()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
