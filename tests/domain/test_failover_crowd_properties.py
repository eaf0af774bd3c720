"""However many readers come to a route at once, and whenever they leave: nothing is left behind."""

import asyncio
from dataclasses import dataclass

from hypothesis import event, given
from hypothesis import strategies as st

from chatnest.domain.admission import Refusal, RefusalCode
from chatnest.domain.answer import Answer
from chatnest.domain.budget import Hold
from chatnest.domain.errors import PublicError
from chatnest.domain.events import ChatEvent, Finished
from chatnest.domain.policy import ChatPolicy
from chatnest.domain.windows import US_PER_S
from tests.domain.chat_world import turns
from tests.domain.failover_plays import PROMPT, PROMPT_TOKENS, Act, Answers, Call
from tests.domain.failover_theatre import Theatre, charged, policies, scripts

GOODBYE = PublicError("server_shutting_down", "Goodbye.", retryable=True)
# After this every time limit and every wait of any policy has passed.
OVER_S = 300


@dataclass(frozen=True)
class Visitor:
    """A reader who comes after so many seconds, and may leave so many seconds later.

    ``passes`` is how far everybody else gets at that moment before it leaves.
    """

    comes_s: int
    leaves_after_s: int | None = None
    passes: int = 0


visitors = st.lists(
    st.builds(Visitor, st.integers(0, 4), st.none() | st.integers(0, 8), st.integers(0, 30)),
    min_size=1,
    max_size=5,
)


class Visit:
    """What one visitor gets: a refusal, or an answer and the events of it that it read."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.refusal: Refusal | None = None
        self.answer: Answer | None = None
        self.events: list[ChatEvent] = []

    async def run(self, theatre: Theatre) -> None:
        await theatre.clock.sleep(self.visitor.comes_s * US_PER_S)
        reading = asyncio.create_task(self._read(theatre))
        if self.visitor.leaves_after_s is not None:
            await theatre.clock.sleep(self.visitor.leaves_after_s * US_PER_S)
            await turns(self.visitor.passes)
            reading.cancel()
        await asyncio.wait((reading,))
        assert reading.cancelled() or reading.exception() is None, reading

    async def _read(self, theatre: Theatre) -> None:
        outcome = await theatre.open(PROMPT)
        if isinstance(outcome, Refusal):
            self.refusal = outcome
            return
        self.answer = outcome
        async with outcome:
            async for batch in outcome:
                self.events += batch

    @property
    def is_answered(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1], Finished)

    def calls(self, theatre: Theatre) -> list[Call]:
        """The calls that were made for it."""
        if self.answer is None:
            return []
        request_id = self.answer.started.request_id
        return [call for call in theatre.calls if call.request_id == request_id]


@given(
    policies,
    scripts,
    visitors,
    st.none() | st.integers(1, 2),
    st.sampled_from([0, 1, 5]),
    st.none() | st.integers(0, 12),
)
async def test_nothing_is_called_too_often_or_charged_wrong_or_left_behind(
    policy: ChatPolicy,
    scripts: list[list[Act]],
    visitors: list[Visitor],
    places: int | None,
    wait_s: int,
    shutdown_s: int | None,
) -> None:
    theatre = Theatre(policy, scripts, places=places, wait_us=wait_s * US_PER_S)
    others = asyncio.all_tasks()
    visits = [Visit(visitor) for visitor in visitors]
    visiting = [asyncio.create_task(visit.run(theatre)) for visit in visits]
    if shutdown_s is not None:
        await theatre.clock.run_for(shutdown_s * US_PER_S)
        for visit in visits:
            if visit.answer is not None:
                visit.answer.stop(GOODBYE)
    await theatre.clock.run_for(OVER_S * US_PER_S)
    await asyncio.gather(*visiting)
    event(f"{len(theatre.calls)} calls")

    await theatre.assert_nothing_left(others)
    holds = await theatre.journal()
    assert await theatre.tokens() == (sum(map(charged, holds)), 0)
    for player in theatre.players:
        assert places is None or player.most_at_once <= places
    for visit in visits:
        calls = visit.calls(theatre)
        assert_allowed(visit, calls, policy)
        assert_charged(visit, calls, holds, is_undisturbed=shutdown_s is None)
    if places is None and shutdown_s is None and all_answer(scripts):
        patient = [visit for visit in visits if visit.visitor.leaves_after_s is None]
        assert all(visit.is_answered for visit in patient)


def all_answer(scripts: list[list[Act]]) -> bool:
    return all(isinstance(act, Answers) for script in scripts for act in script)


def assert_allowed(visit: Visit, calls: list[Call], policy: ChatPolicy) -> None:
    """No more attempts than are allowed, none after a word, and none after the deadline."""
    if visit.refusal is not None:
        assert visit.refusal.code in (RefusalCode.PROVIDER_DOWN, RefusalCode.PROVIDER_BUSY)
    assert len(calls) <= policy.retry.max_attempts
    assert not any(call.words for call in calls[:-1])
    begun_us = calls[0].at_us if calls else 0
    assert all(call.at_us - begun_us <= policy.retry.deadline_us for call in calls[1:])


def assert_charged(
    visit: Visit, calls: list[Call], holds: list[Hold], *, is_undisturbed: bool
) -> None:
    """One hold for each call, charged what that cost."""
    if visit.answer is None:
        return
    request_id = visit.answer.started.request_id
    charges = [charged(hold) for hold in holds if hold.request_id == request_id]
    if is_undisturbed and visit.visitor.leaves_after_s is None:
        assert charges == [call.tokens for call in calls]
        assert visit.is_answered == isinstance(calls[-1].act, Answers)
        return
    # The last one may have been held for a call that was not made any more; and who leaves at the
    # moment of a refusal may not have heard of it.
    assert charges[len(calls) :] in ([], [0])
    for charge, call in zip(charges, calls, strict=False):
        assert charge in (call.tokens, PROMPT_TOKENS + call.words)
