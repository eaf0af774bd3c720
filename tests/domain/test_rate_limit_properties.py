"""Rate limits, against an oracle that counts every admitted take over every window."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from chatnest.domain.rate_limit import Algorithm, Limited, Quota, RateState, Taken, take
from chatnest.testing.strategies import quotas

START = 10_000  # far enough from zero for a clock that goes back

gcra = quotas(Algorithm.GCRA)
fixed = quotas(Algorithm.FIXED_WINDOW)
# (wait before, cost): mostly at once or a little later, sometimes back in time.
takes = st.lists(st.tuples(st.sampled_from([0, 0, 1, 1, 2, 3, 7, 30, -1, -5]), st.integers(0, 6)))
patient_takes = st.lists(st.tuples(st.integers(0, 8), st.integers(1, 3)), min_size=1)


@dataclass
class Oracle:
    """Every admitted take, in order, and what they leave at any instant."""

    quota: Quota
    admitted: list[tuple[int, int]] = field(default_factory=list)

    def room(self, now: int) -> Fraction:
        if self.quota.algorithm is Algorithm.FIXED_WINDOW:
            return self._room_in_window(now)
        return self._room_since_each_take(now)

    def _room_since_each_take(self, now: int) -> Fraction:
        """No stretch that begins with a take holds more than the burst and what it earned."""
        quota, room, since = self.quota, Fraction(self.quota.capacity), 0
        for at, cost in reversed(self.admitted):
            since += cost
            earned = Fraction(quota.limit * (now - at), quota.period_us)
            room = min(room, quota.capacity + earned - since)
        return room

    def _room_in_window(self, now: int) -> Fraction:
        """No window holds more than the limit; a clock that goes back stays in the newest one."""
        counts: Counter[int] = Counter()
        newest = 0
        for at, cost in self.admitted:
            newest = max(newest, at // self.quota.period_us)
            counts[newest] += cost
        return Fraction(self.quota.limit - counts[max(newest, now // self.quota.period_us)])


def replay(
    quota: Quota,
    steps: list[tuple[int, int]],
    check: Callable[[Oracle, RateState | None, int, int, Taken | Limited], None],
) -> Oracle:
    """Take each of *steps* in turn, and *check* every decision before the oracle hears of it."""
    oracle, state, now = Oracle(quota), None, START
    for step_us, cost in steps:
        now += step_us
        decision = take(state, quota, cost, now)
        check(oracle, state, cost, now, decision)
        if isinstance(decision, Taken):
            state = decision.state
            oracle.admitted.append((now, cost))
    return oracle


@given(gcra | fixed, takes)
def test_exactly_what_the_quota_has_room_for_is_admitted(
    quota: Quota, steps: list[tuple[int, int]]
) -> None:
    def check(
        oracle: Oracle, state: RateState | None, cost: int, now: int, decision: Taken | Limited
    ) -> None:
        room = oracle.room(now)
        assert isinstance(decision, Taken) == (cost <= room)
        left = room - cost if isinstance(decision, Taken) else room
        assert decision.remaining == max(0, left // 1)

    replay(quota, steps, check)


@given(gcra | fixed, takes)
def test_retry_after_is_the_shortest_wait_that_helps(
    quota: Quota, steps: list[tuple[int, int]]
) -> None:
    def check(
        oracle: Oracle, state: RateState | None, cost: int, now: int, decision: Taken | Limited
    ) -> None:
        if isinstance(decision, Taken):
            return
        assert (decision.retry_after_us is None) == (cost > quota.capacity)
        if decision.retry_after_us is not None:
            ready = now + decision.retry_after_us
            assert oracle.room(ready) >= cost
            assert oracle.room(ready - 1) < cost
            assert isinstance(take(state, quota, cost, ready), Taken)
            assert isinstance(take(state, quota, cost, ready - 1), Limited)

    replay(quota, steps, check)


@given(gcra | fixed, takes)
def test_the_quota_is_whole_again_after_reset_after_and_not_before(
    quota: Quota, steps: list[tuple[int, int]]
) -> None:
    def check(
        oracle: Oracle, state: RateState | None, cost: int, now: int, decision: Taken | Limited
    ) -> None:
        after = Oracle(quota, [*oracle.admitted])
        if isinstance(decision, Taken):
            after.admitted.append((now, cost))
        whole = now + decision.reset_after_us
        assert after.room(whole) == quota.capacity
        if after.room(now) < quota.capacity:
            assert after.room(whole - 1) < quota.capacity

    replay(quota, steps, check)


@given(gcra, patient_takes)
def test_gcra_admits_at_most_limit_and_burst_in_any_period(
    quota: Quota, steps: list[tuple[int, int]]
) -> None:
    admitted = replay(quota, steps, lambda *_: None).admitted
    for first, _ in admitted:
        in_period = [cost for at, cost in admitted if first <= at <= first + quota.period_us]
        assert sum(in_period) <= quota.limit + quota.capacity


@given(fixed, patient_takes)
def test_a_fixed_window_admits_at_most_its_limit(
    quota: Quota, steps: list[tuple[int, int]]
) -> None:
    counts: Counter[int] = Counter()
    for at, cost in replay(quota, steps, lambda *_: None).admitted:
        counts[at // quota.period_us] += cost
    assert all(count <= quota.limit for count in counts.values())


@given(gcra | fixed, takes)
def test_a_clock_that_goes_back_gives_nothing_extra(
    quota: Quota, steps: list[tuple[int, int]]
) -> None:
    """What is admitted would fit if the clock had stood still instead of going back."""
    steady = Oracle(quota)
    newest = 0
    for at, cost in replay(quota, steps, lambda *_: None).admitted:
        newest = max(newest, at)
        assert cost <= steady.room(newest)
        steady.admitted.append((newest, cost))


@given(gcra | fixed, takes, st.integers(0, 3))
def test_an_idle_caller_gets_the_full_capacity_again(
    quota: Quota, steps: list[tuple[int, int]], longer_us: int
) -> None:
    state: RateState | None = None
    now = START
    for step_us, cost in steps:
        now += step_us
        decision = take(state, quota, cost, now)
        state = decision.state if isinstance(decision, Taken) else state
        idle_until = now + decision.reset_after_us + longer_us
        assert isinstance(take(state, quota, quota.capacity, idle_until), Taken)
        assert isinstance(take(state, quota, quota.capacity + 1, idle_until), Limited)


@given(st.integers(1, 5), st.integers(1, 12), st.integers(1, 60))
def test_a_caller_who_keeps_to_the_quota_is_never_refused(
    limit: int, period_us: int, requests: int
) -> None:
    # The caller too has a clock of whole microseconds, and is up to one late each time.
    jitter = -(-limit // period_us)
    quota = Quota(limit, period_us, burst=1 + jitter)
    state: RateState | None = None
    for request in range(requests):
        due_us = -(-request * period_us // limit)
        decision = take(state, quota, 1, START + due_us)
        assert isinstance(decision, Taken)
        state = decision.state


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 30))
def test_a_punctual_caller_needs_no_burst(limit: int, every_us: int, requests: int) -> None:
    quota = Quota(limit, limit * every_us, burst=1)
    state: RateState | None = None
    for request in range(requests):
        now = START + request * every_us
        if state is not None:
            assert isinstance(take(state, quota, 1, now - 1), Limited)
        decision = take(state, quota, 1, now)
        assert isinstance(decision, Taken)
        state = decision.state


@given(fixed, st.integers(1, 60))
def test_the_limit_in_every_fixed_window_is_never_refused(quota: Quota, windows: int) -> None:
    state: RateState | None = None
    for window in range(windows):
        for _ in range(quota.limit):
            decision = take(state, quota, 1, (window + 1) * quota.period_us - 1)
            assert isinstance(decision, Taken)
            state = decision.state
