"""Rate limits: how many requests, or tokens, may be taken from a quota in a window.

Two policies over one quota. GCRA lets a burst through and then spreads the rest evenly; its state
is one instant. A fixed window counts from its start; its state is a start and a count. Both are
exact: a caller who keeps to the quota is never refused, and nobody gets more. A refusal changes
nothing.

In any window of ``period_us`` GCRA admits at most ``burst + limit``; a fixed window admits at most
``limit`` in each window, so at most twice that around its edge.
"""

from enum import StrEnum
from typing import assert_never

from chatnest.domain.values import value


class Algorithm(StrEnum):
    """How a quota is counted."""

    GCRA = "gcra"
    FIXED_WINDOW = "fixed_window"


@value
class Quota:
    """*limit* in every *period_us*; GCRA admits up to *burst* at once (None: the whole limit).

    Raises:
        ValueError: a number is less than one.
    """

    limit: int
    period_us: int
    burst: int | None = None
    algorithm: Algorithm = Algorithm.GCRA

    def __post_init__(self) -> None:
        if min(self.limit, self.period_us, self.capacity) < 1:
            raise ValueError("limit, period and burst must be at least 1")

    @property
    def capacity(self) -> int:
        """The most that can be taken at one instant."""
        if self.algorithm is Algorithm.FIXED_WINDOW or self.burst is None:
            return self.limit
        return self.burst


@value
class RateState:
    """What is stored for one quota and one caller.

    For a fixed window ``mark`` is its start and ``count`` what was taken. For GCRA ``mark`` is the
    theoretical arrival time, and ``count`` its fraction of a microsecond, in parts of the limit:
    seven a minute are one in 8,571,428 and 4/7 microseconds.
    """

    mark: int
    count: int = 0


@value
class Taken:
    """Allowed: ``state`` is to be stored. ``reset_after_us`` is when the quota is whole again."""

    state: RateState
    remaining: int
    reset_after_us: int


@value
class Limited:
    """Refused, and nothing changes.

    ``retry_after_us`` is the shortest wait after which the same request is allowed if nobody else
    takes first; None where it never can be.
    """

    remaining: int
    retry_after_us: int | None
    reset_after_us: int


def take(state: RateState | None, quota: Quota, cost: int, now: int) -> Taken | Limited:
    """Take *cost* from *quota* at *now*, or say when it can be taken."""
    if cost < 0:
        raise ValueError("cost must not be negative")
    match quota.algorithm:
        case Algorithm.GCRA:
            return _take_gcra(state, quota, cost, now)
        case Algorithm.FIXED_WINDOW:
            return _take_fixed(state, quota, cost, now)
        case _:
            assert_never(quota.algorithm)


def _take_gcra(state: RateState | None, quota: Quota, cost: int, now: int) -> Taken | Limited:
    # Ticks are parts of the limit in a microsecond: in them one take is a whole number.
    ticks, each = quota.limit, quota.period_us
    clock = now * ticks
    full = clock + quota.capacity * each
    tat = clock if state is None else max(clock, _tat(state, ticks))
    after = tat + cost * each
    if after <= full:
        reset_after_us = _whole(after - clock, ticks)
        return Taken(RateState(*divmod(after, ticks)), (full - after) // each, reset_after_us)
    remaining = max(0, (full - tat) // each)
    retry_after_us = None if cost > quota.capacity else _whole(after - full, ticks)
    return Limited(remaining, retry_after_us, _whole(tat - clock, ticks))


def _tat(state: RateState, ticks: int) -> int:
    # What a larger limit left behind, before the quota was changed, is below a microsecond too.
    return state.mark * ticks + min(state.count, ticks - 1)


def _whole(ticks: int, ticks_per_us: int) -> int:
    """*ticks* in microseconds, rounded up: a caller who is told to wait waits long enough."""
    return -(-ticks // ticks_per_us)


def _take_fixed(state: RateState | None, quota: Quota, cost: int, now: int) -> Taken | Limited:
    # A clock that went backwards must not open a second window: a start in the future still counts.
    if state is None or now >= state.mark + quota.period_us:
        start, count = now - now % quota.period_us, 0
    else:
        start, count = state.mark, state.count
    reset_after_us = start + quota.period_us - now
    if count + cost <= quota.limit:
        return Taken(RateState(start, count + cost), quota.limit - count - cost, reset_after_us)
    retry_after_us = None if cost > quota.limit else reset_after_us
    return Limited(max(0, quota.limit - count), retry_after_us, reset_after_us)
