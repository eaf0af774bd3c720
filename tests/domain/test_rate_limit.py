"""Rate limits at the numbers that people configure."""

import pytest

from chatnest.domain.rate_limit import Algorithm, Limited, Quota, RateState, Taken, take

S = 1_000_000
MINUTE = 60 * S
NOW = 1_767_225_600 * S  # 2026-01-01T00:00:00Z

GCRA, FIXED = Algorithm.GCRA, Algorithm.FIXED_WINDOW


def drain(quota: Quota, now: int = NOW, state: RateState | None = None) -> tuple[int, RateState]:
    """How often one can be taken at once, and the state after that."""
    taken = 0
    while isinstance(decision := take(state, quota, 1, now), Taken):
        taken, state = taken + 1, decision.state
    assert state is not None
    return taken, state


@pytest.mark.parametrize("algorithm", Algorithm)
def test_an_idle_caller_gets_the_whole_limit_at_once_and_no_more(algorithm: Algorithm) -> None:
    assert drain(Quota(15, MINUTE, algorithm=algorithm))[0] == 15


@pytest.mark.parametrize("burst", [1, 3, 40])
def test_a_burst_is_what_gcra_admits_at_once(burst: int) -> None:
    assert drain(Quota(15, MINUTE, burst))[0] == burst


def test_a_burst_means_nothing_to_a_fixed_window() -> None:
    assert drain(Quota(15, MINUTE, 3, FIXED))[0] == 15


def test_gcra_gives_one_back_at_a_time() -> None:
    quota = Quota(15, MINUTE)
    _, empty = drain(quota)
    refused = take(empty, quota, 1, NOW)
    assert refused == Limited(remaining=0, retry_after_us=4 * S, reset_after_us=MINUTE)
    assert isinstance(take(empty, quota, 1, NOW + 4 * S - 1), Limited)
    assert drain(quota, NOW + 4 * S, empty)[0] == 1
    assert drain(quota, NOW + 8 * S, empty)[0] == 2


def test_a_fixed_window_gives_all_back_at_its_end() -> None:
    quota = Quota(15, MINUTE, algorithm=FIXED)
    later = NOW + 45 * S
    _, full = drain(quota, later)
    assert take(full, quota, 1, later) == Limited(0, 15 * S, 15 * S)
    assert isinstance(take(full, quota, 1, NOW + MINUTE - 1), Limited)
    assert drain(quota, NOW + MINUTE, full)[0] == 15


def test_what_is_left_counts_down() -> None:
    first = take(None, Quota(15, MINUTE), 1, NOW)
    assert first == Taken(RateState(NOW + 4 * S), remaining=14, reset_after_us=4 * S)
    assert take(first.state, Quota(15, MINUTE), 10, NOW) == Taken(
        RateState(NOW + 44 * S), remaining=4, reset_after_us=44 * S
    )


def test_a_quota_that_does_not_divide_its_period_loses_nothing() -> None:
    # Rounded to whole microseconds, 40 million tokens a minute would be 30 million.
    quota = Quota(40_000_000, MINUTE, burst=1_000_000)
    state: RateState | None = None
    for step in range(200):
        decision = take(state, quota, 1_000_000, NOW + step * 3 * S // 2)
        assert isinstance(decision, Taken)
        state = decision.state


@pytest.mark.parametrize("algorithm", Algorithm)
def test_more_than_the_capacity_is_never_allowed(algorithm: Algorithm) -> None:
    decision = take(None, Quota(15, MINUTE, algorithm=algorithm), 16, NOW)
    assert isinstance(decision, Limited)
    assert decision.retry_after_us is None
    assert decision.remaining == 15


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_clock_that_goes_back_waits_longer(algorithm: Algorithm) -> None:
    quota = Quota(2, MINUTE, algorithm=algorithm)
    _, empty = drain(quota)
    back = NOW - 10 * MINUTE
    decision = take(empty, quota, 1, back)
    assert isinstance(decision, Limited)
    assert decision.remaining == 0
    assert decision.retry_after_us is not None
    assert back + decision.retry_after_us > NOW


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_lowered_limit_counts_what_was_taken_under_the_old_one(algorithm: Algorithm) -> None:
    _, empty = drain(Quota(15, MINUTE, algorithm=algorithm))
    decision = take(empty, Quota(5, MINUTE, algorithm=algorithm), 1, NOW)
    assert isinstance(decision, Limited)
    assert decision.remaining == 0


def test_the_fraction_of_a_larger_limit_is_not_a_wait_under_a_smaller_one() -> None:
    left_behind = RateState(NOW, count=999_999)
    decision = take(left_behind, Quota(1, MINUTE, burst=2), 1, NOW)
    assert decision == Taken(RateState(NOW + MINUTE), remaining=1, reset_after_us=MINUTE)


@pytest.mark.parametrize("algorithm", Algorithm)
def test_taking_nothing_shows_what_is_left(algorithm: Algorithm) -> None:
    quota = Quota(15, MINUTE, algorithm=algorithm)
    one = take(None, quota, 1, NOW)
    assert isinstance(one, Taken)
    shown = take(one.state, quota, 0, NOW)
    assert shown == one


def test_a_negative_cost_is_a_defect_of_the_caller() -> None:
    with pytest.raises(ValueError, match="cost"):
        take(None, Quota(1, 1), -1, NOW)


@pytest.mark.parametrize("numbers", [(0, 1, None), (1, 0, None), (1, 1, 0), (-1, 1, 1)])
def test_a_quota_of_nothing_is_refused(numbers: tuple[int, int, int | None]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Quota(*numbers)
