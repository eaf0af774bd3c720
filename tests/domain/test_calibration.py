"""What is learnt from reports, and how far it is believed."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from chatnest.domain.calibration import (
    LEAST_COUNTED,
    SLOWEST,
    UNCALIBRATED,
    Calibration,
    corrected,
    learn,
    raised,
)

counts = st.integers(LEAST_COUNTED, 2_000)
reports = st.lists(st.tuples(counts, st.integers(0, 9_000)), max_size=40)


def learnt(*calls: tuple[int, int]) -> Calibration:
    calibration = UNCALIBRATED
    for counted, reported in calls:
        calibration = learn(calibration, counted, reported)
    return calibration


def test_nothing_learnt_corrects_nothing() -> None:
    assert corrected(UNCALIBRATED, 123) == 123


def test_the_first_report_is_believed_whole() -> None:
    assert corrected(learnt((100, 150)), 1_000) == 1_500


def test_the_first_reports_count_alike() -> None:
    assert corrected(learnt((100, 100), (100, 120), (100, 140)), 1_000) == 1_200


def test_it_forgets_what_was_true_once() -> None:
    calibration = learnt(*[(100, 200)] * 50, *[(100, 100)] * 200)
    assert corrected(calibration, 1_000) <= 1_001


def test_one_report_among_many_moves_little() -> None:
    calibration = learnt(*[(100, 100)] * 50, (100, 400))
    assert corrected(calibration, 1_000) == 1_000 + 3_000 // SLOWEST + 1


def test_a_call_that_is_too_short_to_tell_teaches_nothing() -> None:
    assert learnt((LEAST_COUNTED - 1, 1_000), (100, 0)) == UNCALIBRATED


def test_a_report_of_something_else_is_not_believed_whole() -> None:
    assert corrected(learnt((100, 100_000)), 100) == 400
    assert corrected(learnt((10_000, 1)), 100) == 25


def test_a_hold_is_never_made_smaller() -> None:
    assert raised(learnt((100, 50)), 100) == 100
    assert raised(learnt((100, 150)), 100) == 150


@given(reports)
def test_it_stays_between_the_least_and_the_most_that_was_seen(
    calls: list[tuple[int, int]],
) -> None:
    seen = [
        min(max(Fraction(reported, counted), Fraction(1, 4)), Fraction(4))
        for counted, reported in calls
        if reported > 0
    ]
    factor = Fraction(learnt(*calls).factor_ppm, 1_000_000)
    if not seen:
        assert factor == 1
        return
    # Each step rounds down by less than a millionth.
    assert min(seen) - Fraction(SLOWEST, 1_000_000) <= factor <= max(seen)


@given(counts, st.integers(1, 9_000), st.integers(1, 60))
def test_what_is_always_so_is_learnt(counted: int, reported: int, calls: int) -> None:
    truth = min(max(reported, -(-counted // 4)), counted * 4)
    assert abs(corrected(learnt(*[(counted, reported)] * calls), counted) - truth) <= 1
