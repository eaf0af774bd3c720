"""Who is to be called, when, and what that costs, said once more from what has happened so far.

It keeps no state of a circuit: it looks back at how the calls of a target have ended.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, assert_never

from chatnest.domain.budget import HoldState
from chatnest.domain.circuit import CircuitPolicy
from chatnest.domain.errors import FailureKind
from chatnest.domain.policy import ChatPolicy
from chatnest.domain.windows import US_PER_S
from tests.domain.failover_plays import PROMPT_TOKENS, Act, Answers, Breaks, Fails, Hangs

PASSES = {
    FailureKind.CONNECTION,
    FailureKind.INTERRUPTED,
    FailureKind.TIMEOUT,
    FailureKind.RATE_LIMITED,
    FailureKind.OVERLOADED,
    FailureKind.SERVER_ERROR,
}
IS_ABOUT_THE_ACCOUNT = {
    FailureKind.QUOTA_EXHAUSTED,
    FailureKind.AUTHENTICATION,
    FailureKind.NOT_FOUND,
}
SAYS_THAT_IT_WORKS = {
    FailureKind.RATE_LIMITED,
    FailureKind.INVALID_REQUEST,
    FailureKind.CONTENT_FILTER,
    FailureKind.CONTEXT_LENGTH,
}
JITTER = 0.5


class Expected(NamedTuple):
    """A call that is to be made, and what the journal is to say of it."""

    place: int
    at_us: int
    outcome: str
    state: HoldState
    tokens: int


@dataclass
class Past:
    """What has become of the calls of one target: failures since it last worked, the last one's
    instant, and until when it asked to be left alone."""

    acts: Sequence[Act]
    calls: int = 0
    failures: int = 0
    failed_us: int = 0
    asked_until_us: int = 0

    def next_act(self) -> Act:
        self.calls += 1
        return self.acts[min(self.calls, len(self.acts)) - 1]

    def ready_us(self, now_us: int, circuit: CircuitPolicy) -> int:
        is_open = self.failures >= circuit.failures
        again_us = self.failed_us + circuit.open_us if is_open else 0
        return max(now_us, again_us, self.asked_until_us)

    def failed(self, kind: FailureKind, now_us: int, asks_s: float | None = None) -> None:
        self.failures = 0 if kind in SAYS_THAT_IT_WORKS else self.failures + 1
        self.failed_us = now_us
        if asks_s:
            self.asked_until_us = max(self.asked_until_us, now_us + round(asks_s * US_PER_S))


class Ended(NamedTuple):
    """How a call ended: what it *failed* of, if it did, after how many *words*."""

    after_us: int
    failed: FailureKind | None
    words: int = 0
    billable: bool = True
    asks_s: float | None = None


@dataclass
class Oracle:
    """The targets of a route by their acts, under *policy*; requests come one after the other."""

    policy: ChatPolicy
    pasts: list[Past] = field(default_factory=list)

    def request(self, begun_us: int, leaves_us: float) -> list[Expected]:
        """The calls for a request that comes at *begun_us*; none: it is refused.

        Its reader leaves at *leaves_us*, unless the answer has come before.
        """
        now_us = begun_us
        ready = [p for p, past in enumerate(self.pasts) if self._ready_us(past, now_us) == now_us]
        if not ready:
            return []
        place, tries, out = ready[0], [0] * len(self.pasts), set[int]()
        calls: list[Expected] = []
        while True:
            ended = self._ending(self.pasts[place].next_act())
            ends_us = now_us + ended.after_us
            if leaves_us < ends_us:
                calls.append(self._left(place, now_us, ended))
                return calls
            calls.append(expected(place, now_us, ended))
            self._look_back(place, ended, ends_us)
            now_us = ends_us
            if ended.failed is None or ended.words:
                return calls
            tries[place] += 1
            if ended.failed in IS_ABOUT_THE_ACCOUNT:
                out.add(place)
            elif ended.failed not in PASSES:
                return calls
            moves = sorted(self._moves(now_us, tries, out))
            if not moves or len(calls) == self.policy.retry.max_attempts:
                return calls
            then_us, _, place = moves[0]
            if then_us > begun_us + self.policy.retry.deadline_us or leaves_us < then_us:
                return calls
            now_us = then_us

    def _moves(
        self, now_us: int, tries: Sequence[int], out: set[int]
    ) -> Iterator[tuple[int, int, int]]:
        """When each target could be called next, how often it was, and its place."""
        retry = self.policy.retry
        most_us = min(retry.max_delay_us, retry.base_delay_us * 2 ** (sum(tries) - 1))
        for place, past in enumerate(self.pasts):
            if place not in out:
                waits_us = int(JITTER * most_us) if tries[place] else 0
                ready_us = self._ready_us(past, now_us)
                yield max(now_us + waits_us, ready_us), tries[place], place

    def _ready_us(self, past: Past, now_us: int) -> int:
        return past.ready_us(now_us, self.policy.circuit)

    def _ending(self, act: Act) -> Ended:
        match act:
            case Fails(kind=kind, billable=billable, retry_after_s=asks_s, after_s=after_s):
                return Ended(after_s * US_PER_S, kind, 0, billable, asks_s)
            case Breaks(words=words, kind=kind, after_s=after_s):
                return Ended(after_s * US_PER_S, kind, words)
            case Answers(words=words, after_s=after_s):
                return Ended(after_s * US_PER_S, None, words)
            case Hangs():
                return Ended(self.policy.time_limits.first_token_us, FailureKind.TIMEOUT)
            case _:
                assert_never(act)

    def _look_back(self, place: int, ended: Ended, now_us: int) -> None:
        past = self.pasts[place]
        if ended.failed is None or ended.words:
            past.failures = 0
        if ended.failed is not None:
            past.failed(ended.failed, now_us, ended.asks_s)

    def _left(self, place: int, now_us: int, ended: Ended) -> Expected:
        """A call whose reader leaves: the words come first in every one that has any."""
        if ended.words:
            self.pasts[place].failures = 0
        tokens = PROMPT_TOKENS + ended.words
        return Expected(place, now_us, "cancelled", HoldState.SETTLED, tokens)


def expected(place: int, now_us: int, ended: Ended) -> Expected:
    """A call that comes to an end of its own."""
    outcome = "stop" if ended.failed is None else str(ended.failed)
    if not ended.billable:
        return Expected(place, now_us, outcome, HoldState.RELEASED, 0)
    return Expected(place, now_us, outcome, HoldState.SETTLED, PROMPT_TOKENS + ended.words)
