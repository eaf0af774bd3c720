"""A service with a player at each target of its one route, and whatever those may do."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from chatnest.domain.audit import Recount
from chatnest.domain.budget import Hold, HoldState, Unit
from chatnest.domain.circuit import CircuitPolicy
from chatnest.domain.errors import FailureKind
from chatnest.domain.policy import ChatPolicy
from chatnest.domain.retry import RetryPolicy
from chatnest.domain.routes import Route, Target
from chatnest.domain.windows import US_PER_S
from chatnest.testing.clock import ManualClock
from tests.domain.chat_world import PATIENT, World
from tests.domain.failover_plays import Act, Answers, Breaks, Call, Fails, Hangs, Player

NAMES = ("first", "second", "third")

kinds = st.sampled_from(FailureKind)
passing = st.sampled_from([FailureKind.OVERLOADED, FailureKind.RATE_LIMITED])
fails = st.builds(
    Fails,
    st.one_of(passing, passing, kinds),
    st.booleans(),
    st.sampled_from([None, None, 1.0, 7.0, 10_000.0]),
    st.integers(0, 2),
)
acts: st.SearchStrategy[Act] = st.one_of(
    fails,
    fails,
    st.builds(Breaks, st.integers(1, 3), kinds, st.integers(0, 2)),
    st.builds(Answers, st.integers(1, 3), st.integers(0, 2)),
    st.just(Hangs()),
)
scripts = st.lists(st.lists(acts, min_size=1, max_size=4), min_size=1, max_size=len(NAMES))
policies = st.builds(
    lambda attempts, base_s, deadline_s, failures, open_s: replace(
        PATIENT,
        retry=RetryPolicy(
            max_attempts=attempts,
            base_delay_us=base_s * US_PER_S,
            max_delay_us=4 * US_PER_S,
            deadline_us=deadline_s * US_PER_S,
        ),
        circuit=CircuitPolicy(failures, open_s * US_PER_S),
    ),
    st.integers(1, 5),
    st.sampled_from([0, 1, 2, 4]),
    st.sampled_from([0, 1, 5, 20]),
    st.integers(1, 4),
    st.sampled_from([1, 5, 40]),
)


class Theatre(World):
    """A service whose one route has a player at each target."""

    def __init__(
        self,
        policy: ChatPolicy,
        scripts: Sequence[Sequence[Act]],
        *,
        places: int | None = None,
        wait_us: int = US_PER_S,
    ) -> None:
        clock = ManualClock()
        self.calls: list[Call] = []
        self.players = [
            Player(name, clock, script, self.calls)
            for name, script in zip(NAMES, scripts, strict=False)
        ]
        targets = tuple(
            Target(player, "m", max_concurrent=places, max_wait_us=wait_us)
            for player in self.players
        )
        super().__init__(policy=policy, clock=clock, routes=[Route("all", targets)])

    async def journal(self) -> list[Hold]:
        """Every hold in order; fails where the accounts are not the sum of them."""
        recount, holds = Recount(), list[Hold]()
        async for page in self.store.snapshot():
            recount.add(page)
            holds += page.holds
        assert recount.drifts() == ()
        return sorted(holds, key=lambda hold: (hold.created_at, hold.id))

    async def assert_nothing_left(self, others: set[asyncio.Task[Any]]) -> None:
        """No call, no place, no hold, no task and no timer."""
        assert all(call.closed for call in self.calls)
        targets = self.service._switchboard.route(None).targets
        assert [target.calls for target in targets] == [0] * len(targets)
        assert set(await self.held()) == {0}
        assert HoldState.HELD not in {hold.state for hold in await self.journal()}
        # One that ran beside the test may have ended meanwhile.
        assert asyncio.all_tasks() <= others
        assert self.clock.pending == 0


def charged(hold: Hold) -> int:
    return sum(line.charged or 0 for line in hold.lines if line.account.unit is Unit.TOKENS)
