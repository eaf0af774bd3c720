"""When a target is called, when it is left alone, and how it comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.domain.circuit import (
    ALIVE,
    CLOSED,
    LONGEST_ASKED_US,
    Circuit,
    CircuitPolicy,
    answered,
    begin,
    failed,
    left,
    ready_in_us,
)
from chatnest.domain.errors import Failure, FailureKind

POLICY = CircuitPolicy(failures=3, open_us=10)
DOWN = Failure(FailureKind.SERVER_ERROR)
PROBE_US = 4


def after_failures(count: int, now_us: int = 100) -> Circuit:
    circuit = CLOSED
    for _ in range(count):
        circuit = failed(circuit, DOWN, POLICY, now_us)
    return circuit


@pytest.mark.parametrize(("failures", "wait_us"), [(0, 0), (2, 0), (3, 10)])
def test_failures_in_a_row_open_it(failures: int, wait_us: int) -> None:
    assert ready_in_us(after_failures(failures), 100) == wait_us


def test_an_answer_starts_the_count_anew() -> None:
    circuit = failed(answered(after_failures(2)), DOWN, POLICY, 100)
    assert ready_in_us(circuit, 100) == 0


def test_it_lets_one_probe_through_when_its_time_is_over() -> None:
    circuit = after_failures(3)
    assert [ready_in_us(circuit, now) for now in (109, 110)] == [1, 0]
    assert ready_in_us(begin(circuit, 110, PROBE_US), 110) == PROBE_US


def test_a_probe_that_is_answered_closes_it() -> None:
    assert answered(begin(after_failures(3), 110, PROBE_US)) == CLOSED


def test_a_probe_that_fails_begins_the_wait_anew() -> None:
    circuit = failed(begin(after_failures(3), 110, PROBE_US), DOWN, POLICY, 112)
    assert ready_in_us(circuit, 112) == 10


def test_a_probe_that_is_left_makes_room_for_another() -> None:
    circuit = left(begin(after_failures(3), 110, PROBE_US))
    assert ready_in_us(circuit, 111) == 0


def test_a_probe_that_nobody_ends_is_waited_for_no_longer_than_it_may_take() -> None:
    assert ready_in_us(begin(after_failures(3), 110, PROBE_US), 114) == 0


def test_a_call_from_before_it_opened_does_not_lengthen_the_wait() -> None:
    circuit = failed(after_failures(3), DOWN, POLICY, 105)
    assert ready_in_us(circuit, 110) == 0


def test_calls_that_break_off_together_are_one_failure() -> None:
    circuit = CLOSED
    for now_us in (100, 101, 102, 103):
        circuit = failed(circuit, DOWN, POLICY, now_us, began_us=90)
    assert (circuit.failures, ready_in_us(circuit, 103)) == (1, 0)


def test_calls_that_begin_after_a_failure_count() -> None:
    circuit = CLOSED
    for now_us in (100, 102, 104):
        circuit = failed(circuit, DOWN, POLICY, now_us, began_us=now_us - 2)
    assert ready_in_us(circuit, 104) == 10


@pytest.mark.parametrize("kind", sorted(ALIVE))
def test_a_target_that_refuses_a_request_works(kind: FailureKind) -> None:
    circuit = after_failures(2)
    for _ in range(5):
        circuit = failed(circuit, Failure(kind), POLICY, 100)
    assert ready_in_us(circuit, 100) == 0
    assert circuit.failures == 0


def test_what_only_waiting_or_the_operator_mends_opens_it() -> None:
    assert set(FailureKind) - ALIVE == {
        FailureKind.CONNECTION,
        FailureKind.INTERRUPTED,
        FailureKind.TIMEOUT,
        FailureKind.OVERLOADED,
        FailureKind.SERVER_ERROR,
        FailureKind.MALFORMED,
        FailureKind.QUOTA_EXHAUSTED,
        FailureKind.AUTHENTICATION,
        FailureKind.NOT_FOUND,
        FailureKind.UNKNOWN,
    }


def test_a_target_is_left_alone_as_long_as_it_asks() -> None:
    asks = Failure(FailureKind.RATE_LIMITED, 429, retry_after_s=0.00002)
    circuit = failed(CLOSED, asks, POLICY, 100)
    assert [ready_in_us(circuit, now) for now in (100, 119, 120)] == [20, 1, 0]
    assert ready_in_us(answered(circuit), 100) == 20


def test_the_longer_of_two_wishes_counts() -> None:
    asks = [Failure(FailureKind.RATE_LIMITED, retry_after_s=s) for s in (0.00005, 0.00001)]
    circuit = failed(failed(CLOSED, asks[0], POLICY, 0), asks[1], POLICY, 1)
    assert ready_in_us(circuit, 1) == 49


def test_a_wish_without_end_is_believed_for_a_while() -> None:
    forever = Failure(FailureKind.RATE_LIMITED, retry_after_s=1e300)
    assert ready_in_us(failed(CLOSED, forever, POLICY, 0), 0) == LONGEST_ASKED_US


@pytest.mark.parametrize("numbers", [{"failures": 0}, {"open_us": 0}])
def test_a_policy_that_cannot_work_is_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        CircuitPolicy(**numbers)


steps = st.lists(
    st.tuples(st.sampled_from(["fail", "refuse", "answer", "leave"]), st.integers(0, 6)),
    max_size=25,
)


@given(steps, st.integers(1, 3), st.integers(1, 8))
def test_calls_one_after_the_other_against_a_plain_account(
    script: list[tuple[str, int]], failures: int, open_us: int
) -> None:
    """The oracle counts failures in a row and remembers when the last of them was."""
    policy = CircuitPolicy(failures, open_us)
    circuit, now = CLOSED, 0
    in_a_row, opened_at = 0, None
    for outcome, passes in script:
        now += passes
        may_call = opened_at is None or now >= opened_at + open_us
        assert (ready_in_us(circuit, now) == 0) == may_call
        if not may_call:
            continue
        circuit = begin(circuit, now, 1_000)
        assert (ready_in_us(circuit, now) == 0) == (opened_at is None)
        match outcome:
            case "fail":
                circuit = failed(circuit, DOWN, policy, now)
                in_a_row += 1
                opened_at = now if in_a_row >= failures else None
            case "refuse":
                circuit = failed(circuit, Failure(FailureKind.INVALID_REQUEST), policy, now)
                in_a_row, opened_at = 0, None
            case "answer":
                circuit = answered(circuit)
                in_a_row, opened_at = 0, None
            case _:
                circuit = left(circuit)
