"""Plays of one call: what its provider and its reader do and when, and what that must cost."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto

from chatnest.domain.capabilities import TEXT_ONLY, Capabilities
from chatnest.domain.errors import Failure, FailureKind, ProviderError
from chatnest.domain.events import Finished, FinishReason, ProviderBatch, TextDelta, UsageReported
from chatnest.domain.ports import ProviderCall
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import US_PER_S
from chatnest.testing.clock import ManualClock
from tests.domain.chat_world import PATIENT


@dataclass(frozen=True)
class Say:
    """So many words in one batch; with none the batch is empty."""

    words: int


@dataclass(frozen=True)
class Finish:
    """The end, with a report of so many output tokens or none; ``late`` text breaks the order."""

    reported: int | None = None
    late: bool = False


@dataclass(frozen=True)
class Break:
    """A failure that the provider classifies, or None: it just stops."""

    failure: Failure | None


@dataclass(frozen=True)
class Crash:
    """An exception that no provider should raise."""

    cancelled: bool = False


@dataclass(frozen=True)
class Stall:
    """Nothing for so many seconds; None is for ever."""

    seconds: int | None


Act = Say | Finish | Break | Crash | Stall


class Closing(Enum):
    """What a provider does when it is left."""

    CLEANLY = auto()
    RAISING = auto()
    HANGING = auto()
    SWALLOWING = auto()


@dataclass(frozen=True)
class Part:
    """What the provider does in one call."""

    acts: tuple[Act, ...]
    closing: Closing = Closing.CLEANLY


@dataclass
class Performance:
    """One call that was made, as the provider saw it: this is what the oracle judges by."""

    part: Part
    words: int = 0
    reported: TokenUsage | None = None
    broke_order: bool = False
    finished: bool = False
    failure: Failure | None = None
    crashed: bool = False
    closed: bool = False
    overruled: bool = False
    awaited_since_us: int = 0
    time_limit_us: int = PATIENT.time_limits.first_token_us

    def charge(self, prompt_tokens: int) -> int:
        """What this call must cost: its report, or what was seen, or nothing if it was refused."""
        if self.reported is not None and not self.broke_order:
            return self.reported.total_tokens
        refused = self.failure is not None and not self.failure.billable and not self.overruled
        return 0 if refused and not self.words else prompt_tokens + self.words

    @property
    def may_be_retried(self) -> bool:
        """Whether it ended, by itself or at a time limit, before anything was said.

        What it says after its time limit does not count: it was late then.
        """
        passing = self.failure is None or self.failure.kind is FailureKind.OVERLOADED
        hopeless = self.crashed or self.broke_order
        may_pass = self.overruled or (passing and not hopeless)
        return may_pass and not self.words and not self.finished


@dataclass
class Cast:
    """A provider that plays its parts in turn; the last one again and again.

    ``shutdown_at_us`` and ``cancels_us`` are when a shutdown and its reader tell it to stop.
    """

    clock: ManualClock
    parts: Sequence[Part]
    name: str = "cast"
    capabilities: Capabilities = TEXT_ONLY
    shutdown_at_us: int | None = None
    cancels_us: Sequence[int] = ()
    began_us: int = 0
    performances: list[Performance] = field(default_factory=list)
    spoke_before: list[bool] = field(default_factory=list)

    @asynccontextmanager
    async def stream(self, call: ProviderCall) -> AsyncIterator[AsyncIterator[ProviderBatch]]:
        performance = Performance(self.parts[min(len(self.performances), len(self.parts) - 1)])
        self.spoke_before.append(any(earlier.words for earlier in self.performances))
        self.performances.append(performance)
        try:
            yield self._play(performance)
        finally:
            performance.closed = True
            await _close(performance.part.closing)

    async def aclose(self) -> None:
        pass

    async def _play(self, performance: Performance) -> AsyncGenerator[ProviderBatch, None]:
        performance.awaited_since_us = self.clock.monotonic_us()
        for act in performance.part.acts:
            match act:
                case Say(words=words):
                    performance.words += words
                    yield tuple(TextDelta("word ") for _ in range(words))
                    performance.awaited_since_us = self.clock.monotonic_us()
                    performance.time_limit_us = PATIENT.time_limits.idle_us
                case Finish():
                    yield _ending(act, performance)
                case Break(failure=None):
                    return
                case Break(failure=Failure() as failure):
                    performance.failure = failure
                    raise ProviderError("played", failure)
                case Crash(cancelled=cancelled):
                    performance.crashed = True
                    raise asyncio.CancelledError if cancelled else ZeroDivisionError
                case Stall(seconds=seconds):
                    await self._stall(seconds, performance)

    async def _stall(self, seconds: int | None, performance: Performance) -> None:
        begun_us = self.clock.monotonic_us()
        try:
            if seconds is None:
                await asyncio.Event().wait()
            await self.clock.sleep((seconds or 0) * US_PER_S)
        except asyncio.CancelledError:
            if performance.part.closing is not Closing.SWALLOWING:
                raise
            is_left = any(begun_us <= cancel_us for cancel_us in self._cancels_until_now())
            performance.overruled |= is_left or self._is_late(performance)

    def _cancels_until_now(self) -> list[int]:
        now_us = self.clock.monotonic_us()
        return [cancel_us for cancel_us in self.cancels_us if cancel_us <= now_us]

    def _is_late(self, performance: Performance) -> bool:
        """Whether a time limit has passed; after a shutdown none counts."""
        due_us = min(
            performance.awaited_since_us + performance.time_limit_us,
            self.began_us + PATIENT.time_limits.total_us,
        )
        before_shutdown = self.shutdown_at_us is None or due_us <= self.shutdown_at_us
        return due_us <= self.clock.monotonic_us() and before_shutdown


def _ending(act: Finish, performance: Performance) -> ProviderBatch:
    performance.finished = not act.late
    performance.broke_order = act.late
    late = (TextDelta("late"),) if act.late else ()
    if act.reported is None:
        return (Finished(FinishReason.STOP), *late)
    performance.reported = TokenUsage(5, act.reported)
    return (UsageReported(performance.reported), Finished(FinishReason.STOP), *late)


async def _close(closing: Closing) -> None:
    if closing is Closing.RAISING:
        raise ConnectionResetError("while closing")
    if closing is Closing.HANGING:
        await asyncio.Event().wait()
