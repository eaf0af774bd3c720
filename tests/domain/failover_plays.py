"""Plays of several targets: what each of them does in its calls, and what it was seen to."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from chatnest.domain.capabilities import TEXT_ONLY, Capabilities
from chatnest.domain.errors import Failure, FailureKind, ProviderError
from chatnest.domain.events import Finished, FinishReason, ProviderBatch, TextDelta, UsageReported
from chatnest.domain.ports import ProviderCall
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import US_PER_S
from chatnest.testing.clock import ManualClock

PROMPT = "one two three"
# Its words, and what the world's counter adds to a message and to a request.
PROMPT_TOKENS = 3 + 2 + 3


@dataclass(frozen=True)
class Fails:
    """Says nothing, and fails after so many seconds."""

    kind: FailureKind
    billable: bool = False
    retry_after_s: float | None = None
    after_s: int = 0

    @property
    def failure(self) -> Failure:
        return Failure(self.kind, None, None, self.retry_after_s, self.billable)


@dataclass(frozen=True)
class Breaks:
    """Says so many words, and so many seconds later it fails."""

    words: int
    kind: FailureKind
    after_s: int = 0


@dataclass(frozen=True)
class Answers:
    """Says so many words, and so many seconds later that this was all and what it took."""

    words: int
    after_s: int = 0


@dataclass(frozen=True)
class Hangs:
    """Says nothing, for ever."""


Act = Fails | Breaks | Answers | Hangs


@dataclass
class Call:
    """One call of a target, as it saw it."""

    target: str
    request_id: str
    act: Act
    at_us: int
    words: int = 0
    refused: bool = False
    closed: bool = False

    @property
    def tokens(self) -> int:
        """What it costs, whoever ended it; what was refused costs nothing."""
        return 0 if self.refused else PROMPT_TOKENS + self.words


@dataclass
class Player:
    """A provider that does what its *acts* say, one for each call, and then the last of them.

    ``most_at_once`` is how many calls it has seen under way together.
    """

    name: str
    clock: ManualClock
    acts: Sequence[Act]
    stage: list[Call]
    capabilities: Capabilities = TEXT_ONLY
    open_calls: int = 0
    most_at_once: int = 0
    own: list[Call] = field(default_factory=list)

    @asynccontextmanager
    async def stream(self, call: ProviderCall) -> AsyncIterator[AsyncIterator[ProviderBatch]]:
        act = self.acts[min(len(self.own), len(self.acts) - 1)]
        seen = Call(self.name, call.request_id, act, self.clock.monotonic_us())
        self.own.append(seen)
        self.stage.append(seen)
        self.open_calls += 1
        self.most_at_once = max(self.most_at_once, self.open_calls)
        try:
            yield self._play(act, seen)
        finally:
            self.open_calls -= 1
            seen.closed = True

    async def aclose(self) -> None:
        pass

    async def _play(self, act: Act, seen: Call) -> AsyncGenerator[ProviderBatch, None]:
        match act:
            case Hangs():
                await asyncio.Event().wait()
            case Fails(after_s=after_s):
                await self.clock.sleep(after_s * US_PER_S)
                seen.refused = not act.billable
                raise ProviderError("played", act.failure)
            case Breaks(words=words, kind=kind, after_s=after_s):
                seen.words = words
                yield said(words)
                await self.clock.sleep(after_s * US_PER_S)
                raise ProviderError("played", Failure(kind))
            case Answers(words=words, after_s=after_s):
                seen.words = words
                yield said(words)
                await self.clock.sleep(after_s * US_PER_S)
                # As many as are counted, so that nobody learns to count otherwise.
                usage = TokenUsage(PROMPT_TOKENS, words)
                yield (UsageReported(usage), Finished(FinishReason.STOP))


def said(words: int) -> ProviderBatch:
    return tuple(TextDelta("word ") for _ in range(words))
