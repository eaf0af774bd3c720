"""Whatever a provider, a reader and a shutdown do: what is charged, and how it ends."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import event, example, given
from hypothesis import strategies as st

from chatnest.domain.answer import Answer
from chatnest.domain.budget import Hold, HoldState, Unit
from chatnest.domain.errors import Failure, FailureKind, PublicError
from chatnest.domain.events import ChatEvent, Failed, Finished, Started, TextDelta, UsageReported
from chatnest.domain.ledger import Change, Keys
from chatnest.domain.windows import US_PER_S
from chatnest.testing.clock import ManualClock
from tests.domain.answer_plays import (
    Act,
    Break,
    Cast,
    Closing,
    Crash,
    Finish,
    Part,
    Performance,
    Say,
    Stall,
)
from tests.domain.chat_world import PATIENT, World, text_of

PROMPT_TOKENS = 3 + 2 + 3
MAX_ATTEMPTS = PATIENT.retry.max_attempts
GOODBYE = PublicError("server_shutting_down", "Goodbye.", retryable=True)
# After this every time limit of PATIENT has passed, for every attempt.
OVER_S = 300


@dataclass(frozen=True)
class Reader:
    """``leaves_after`` batches it breaks off; it is cancelled at each of ``cancels`` (seconds)."""

    slowness_s: int = 0
    leaves_after: int | None = None
    cancels: tuple[int, ...] = ()

    @property
    def is_patient(self) -> bool:
        return self.leaves_after is None and not self.cancels and not self.slowness_s


PATIENT_READER = Reader()
REFUSED = Break(Failure(FailureKind.OVERLOADED, status=503, billable=False))
LOST = Break(Failure(FailureKind.OVERLOADED, billable=True))
HOPELESS = Break(Failure(FailureKind.QUOTA_EXHAUSTED, status=429, billable=False))

acts: st.SearchStrategy[Act] = st.one_of(
    st.builds(Say, st.integers(0, 2)),
    st.builds(Finish, st.none() | st.integers(0, 3), st.booleans()),
    st.sampled_from([REFUSED, LOST, HOPELESS, Break(None)]),
    st.builds(Crash, st.booleans()),
    st.builds(Stall, st.sampled_from([0, 1, 4, 5, 9, 10, None])),
)
endings: st.SearchStrategy[Act] = st.sampled_from(
    [Finish(), Finish(2), REFUSED, Break(None), Stall(None)]
)
parts = st.builds(
    lambda first, last, closing: Part((*first, last), closing),
    st.lists(acts, max_size=3),
    endings,
    st.sampled_from(Closing),
)
readers = st.one_of(
    st.just(PATIENT_READER),
    st.builds(Reader, slowness_s=st.sampled_from([1, 5, 60])),
    st.builds(Reader, leaves_after=st.integers(1, 4)),
    st.builds(
        Reader,
        slowness_s=st.sampled_from([0, 2]),
        cancels=st.lists(st.integers(0, 12), min_size=1, max_size=2).map(tuple),
    ),
)
moments = st.none() | st.integers(0, 12)


class Play:
    """One answer that is read, and what came of it."""

    def __init__(self, script: Sequence[Part]) -> None:
        clock = ManualClock()
        self.cast = Cast(clock, script)
        self.world = World(policy=PATIENT, clock=clock, provider=self.cast)
        self.events: list[ChatEvent] = []
        self.read_to_the_end = False

    async def run(self, reader: Reader, stop_at_s: int | None) -> None:
        others = asyncio.all_tasks()
        self._announce(reader, stop_at_s)
        answer = await self.world.answer("one two three")
        reading = asyncio.create_task(self._read(answer, reader))
        moments_s = {*reader.cancels, stop_at_s, OVER_S} - {None}
        passed_s = 0
        for moment_s in sorted(moment for moment in moments_s if moment is not None):
            await self.world.clock.run_for((moment_s - passed_s) * US_PER_S)
            passed_s = moment_s
            for _ in range(reader.cancels.count(moment_s)):
                reading.cancel()
            if moment_s == stop_at_s:
                answer.stop(GOODBYE)
        assert reading.done(), "the reader waits for ever"
        await asyncio.gather(reading, return_exceptions=True)
        assert reading.cancelled() <= bool(reader.cancels), "nobody cancelled the reader"
        assert reading.cancelled() or reading.exception() is None, reading
        assert asyncio.all_tasks() <= others, "a task is left running"
        assert self.world.clock.pending == 0, "a timer is left behind"

    def _announce(self, reader: Reader, stop_at_s: int | None) -> None:
        """Tell the cast, which is the oracle's witness, when it is told to stop and by whom."""
        began_us = self.world.clock.monotonic_us()
        self.cast.began_us = began_us
        self.cast.cancels_us = [began_us + cancel_s * US_PER_S for cancel_s in reader.cancels]
        if stop_at_s is not None:
            self.cast.shutdown_at_us = began_us + stop_at_s * US_PER_S

    async def _read(self, answer: Answer, reader: Reader) -> None:
        async with answer:
            count = 0
            async for batch in answer:
                self.events += batch
                count += 1
                if count == reader.leaves_after:
                    return
                if reader.slowness_s:
                    await self.world.clock.sleep(reader.slowness_s * US_PER_S)
            self.read_to_the_end = True

    async def holds(self) -> list[Hold]:
        ids = tuple(f"id-1.{number}" for number in range(1, MAX_ATTEMPTS + 2))
        return await self.world.store.transact(
            Keys(holds=ids), lambda rows: Change(list(rows.holds.values()))
        )


def charged(hold: Hold) -> int:
    return sum(line.charged or 0 for line in hold.lines if line.account.unit is Unit.TOKENS)


@given(st.lists(parts, min_size=1, max_size=3), readers, moments)
@example([Part((Stall(None),), Closing.HANGING)], PATIENT_READER, None)
@example([Part((Say(2), Stall(None)), Closing.HANGING)], Reader(cancels=(1,)), None)
@example([Part((Stall(None), Finish(2)), Closing.SWALLOWING)], Reader(cancels=(1, 1)), None)
@example([Part((REFUSED,)), Part((Say(1), Finish(2)))], PATIENT_READER, 1)
@example([Part((Stall(None), REFUSED), Closing.SWALLOWING)], PATIENT_READER, None)
@example([Part((Stall(None), REFUSED), Closing.SWALLOWING)], Reader(cancels=(1,)), None)
@example([Part((Stall(None), REFUSED), Closing.SWALLOWING)], PATIENT_READER, 1)
@example([Part((REFUSED,), Closing.HANGING)], Reader(cancels=(0,)), None)
async def test_every_attempt_is_held_once_and_charged_what_it_used(
    script: list[Part], reader: Reader, stop_at_s: int | None
) -> None:
    play = Play(script)
    await play.run(reader, stop_at_s)
    performances = play.cast.performances
    event(f"{len(performances)} calls")

    holds = await play.holds()
    assert HoldState.HELD not in {hold.state for hold in holds}
    assert set(await play.world.held()) == {0}
    assert all(performance.closed for performance in performances)
    expected = [performance.charge(PROMPT_TOKENS) for performance in performances]
    assert [charged(hold) for hold in holds][: len(expected)] == expected
    # At most one more was held, for a call that was not made any more.
    assert [charged(hold) for hold in holds][len(expected) :] in ([], [0])
    assert await play.world.tokens() == (sum(expected), 0)


@given(st.lists(parts, min_size=1, max_size=3), readers, moments)
@example([Part((Stall(9), HOPELESS), Closing.HANGING)], PATIENT_READER, None)
@example([Part((Stall(None), Say(1)), Closing.SWALLOWING)], Reader(slowness_s=5), None)
@example([Part((Stall(10), Crash(), Finish()), Closing.SWALLOWING)], PATIENT_READER, None)
@example([Part((Stall(None), HOPELESS), Closing.SWALLOWING)], PATIENT_READER, None)
async def test_a_provider_is_called_again_only_before_the_first_delta(
    script: list[Part], reader: Reader, stop_at_s: int | None
) -> None:
    play = Play(script)
    await play.run(reader, stop_at_s)
    performances = play.cast.performances

    assert len(performances) <= MAX_ATTEMPTS
    assert not any(play.cast.spoke_before)
    assert all(performance.may_be_retried for performance in performances[:-1])
    tame = all(part.closing is not Closing.SWALLOWING for part in script)
    if tame and reader.is_patient and stop_at_s is None and len(performances) < MAX_ATTEMPTS:
        assert not performances[-1].may_be_retried


@given(st.lists(parts, min_size=1, max_size=3), readers, moments)
async def test_a_reader_sees_a_legal_answer_that_ends_once(
    script: list[Part], reader: Reader, stop_at_s: int | None
) -> None:
    play = Play(script)
    await play.run(reader, stop_at_s)
    events = play.events

    kinds = [type(event) for event in events]
    terminal = [kind for kind in kinds if kind in (Finished, Failed)]
    said = sum(performance.words for performance in play.cast.performances)
    assert "word " * said == text_of(events) or text_of(events) in "word " * said
    assert all(kind is Started for kind in kinds[:1])
    assert set(kinds[1:-2]) <= {TextDelta}
    assert not terminal or kinds[-1] is terminal[0]
    assert len(terminal) <= 1
    if play.read_to_the_end:
        assert_ending(events, play.cast.performances[-1:], said)


def assert_ending(events: list[ChatEvent], last: list[Performance], said: int) -> None:
    """Everything that was said was read, and it says how that ended and what it cost."""
    finished = bool(last) and last[0].finished
    assert isinstance(events[-1], Finished if finished else Failed)
    assert text_of(events) == "word " * said
    assert isinstance(events[-2], UsageReported)
    if last:
        assert events[-2].usage.total_tokens == last[0].charge(PROMPT_TOKENS)
