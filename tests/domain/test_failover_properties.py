"""Whatever the targets of a route do: who is called, when, and at what cost."""

import asyncio
import math
from dataclasses import dataclass

from hypothesis import event, example, given
from hypothesis import strategies as st

from chatnest.domain.answer import Answer
from chatnest.domain.errors import FailureKind
from chatnest.domain.policy import ChatPolicy
from chatnest.domain.windows import US_PER_S
from tests.domain.chat_world import PATIENT, turns
from tests.domain.failover_oracle import Expected, Oracle, Past
from tests.domain.failover_plays import PROMPT, Act, Answers, Fails
from tests.domain.failover_theatre import NAMES, Theatre, charged, policies, scripts

# Whatever the targets do happens at whole or half seconds, and readers leave in between.
IN_BETWEEN_US = US_PER_S // 4


@dataclass(frozen=True)
class Asking:
    """A request that comes so many seconds after the one before, and when its reader leaves."""

    after_s: int = 0
    leaves_after_s: int | None = None

    def leaves_us(self, begun_us: int) -> float:
        if self.leaves_after_s is None:
            return math.inf
        return begun_us + self.leaves_after_s * US_PER_S + IN_BETWEEN_US


askings = st.lists(
    st.builds(Asking, st.sampled_from([0, 0, 1, 10]), st.none() | st.integers(0, 12)),
    min_size=1,
    max_size=4,
)
BUSY = Fails(FailureKind.OVERLOADED)


@given(policies, scripts, askings)
@example(PATIENT, [[BUSY, Answers(1)], [BUSY]], [Asking()])
@example(PATIENT, [[Fails(FailureKind.RATE_LIMITED, retry_after_s=7.0)], [BUSY]], [Asking()] * 3)
async def test_targets_are_called_in_the_order_and_at_the_time_that_is_said(
    policy: ChatPolicy, scripts: list[list[Act]], askings: list[Asking]
) -> None:
    theatre = Theatre(policy, scripts)
    oracle = Oracle(policy, [Past(script) for script in scripts])
    others = asyncio.all_tasks()
    expected: list[Expected] = []
    for asking in askings:
        await theatre.clock.run_for(asking.after_s * US_PER_S)
        begun_us = theatre.clock.monotonic_us()
        expected += oracle.request(begun_us, asking.leaves_us(begun_us))
        await ask(theatre, asking)
    event(f"{len(expected)} calls")

    made = [(call.target, call.at_us) for call in theatre.calls]
    assert made == [(NAMES[call.place], call.at_us) for call in expected]
    journal = [
        (hold.provider, hold.outcome, hold.state, charged(hold)) for hold in await theatre.journal()
    ]
    assert journal == [
        (NAMES[call.place], call.outcome, call.state, call.tokens) for call in expected
    ]
    assert await theatre.tokens() == (sum(call.tokens for call in expected), 0)
    await theatre.assert_nothing_left(others)


async def ask(theatre: Theatre, asking: Asking) -> None:
    """Read one answer until it ends or its reader leaves, and no longer."""
    reading = asyncio.create_task(read(theatre))
    leaves_us = asking.leaves_us(theatre.clock.monotonic_us())
    await turns(50)
    while not reading.done():
        await theatre.clock.run_for(IN_BETWEEN_US)
        if theatre.clock.monotonic_us() >= leaves_us:
            reading.cancel()
            await turns(50)
    assert reading.cancelled() or reading.exception() is None


async def read(theatre: Theatre) -> None:
    outcome = await theatre.open(PROMPT)
    if isinstance(outcome, Answer):
        async with outcome:
            async for _ in outcome:
                pass
