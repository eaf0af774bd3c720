"""Windows tile time: judged by the local calendar alone, never by a second window."""

from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from chatnest.domain.windows import Period, Window, to_datetime, to_instant
from chatnest.testing.budget_model import window_edges
from chatnest.testing.strategies import CLOCK_CHANGES, HOUR_US, zoned_instants

FIRST = 100_000_000_000_000  # in 1973
LAST = 253_000_000_000_000_000  # in 9987

periods = st.sampled_from(Period)
zones = st.sampled_from([*CLOCK_CHANGES, "America/New_York", "Asia/Kathmandu"]).map(ZoneInfo)


def fresh(period: Period, zone: ZoneInfo) -> Window:
    """A window that was never asked before, so that it does not remember an answer."""
    return Window(period, ZoneInfo.no_cache(zone.key))


@given(periods, zoned_instants() | st.tuples(zones, st.integers(FIRST, LAST)))
def test_every_instant_lies_in_its_own_window(
    period: Period, zoned_instant: tuple[ZoneInfo, int]
) -> None:
    zone, now = zoned_instant
    span = fresh(period, zone).span_at(now)
    assert span.start <= now
    assert span.end is None or now < span.end


@given(periods, zoned_instants(), st.integers(1, 6))
def test_a_run_of_windows_leaves_no_gap_and_no_overlap(
    period: Period, zoned_instant: tuple[ZoneInfo, int], windows: int
) -> None:
    zone, now = zoned_instant
    span = fresh(period, zone).span_at(now)
    for _ in range(windows):
        assert fresh(period, zone).span_at(span.start) == span
        if span.end is None:
            assert period is Period.TOTAL
            return
        assert fresh(period, zone).span_at(span.end - 1) == span
        following = fresh(period, zone).span_at(span.end)
        assert following.start == span.end
        span = following


@given(st.sampled_from([Period.DAY, Period.MONTH]), zoned_instants())
def test_days_and_months_change_where_the_local_date_does(
    period: Period, zoned_instant: tuple[ZoneInfo, int]
) -> None:
    zone, now = zoned_instant
    span = fresh(period, zone).span_at(now)
    assert span.end is not None
    pages = [
        to_datetime(at, zone).strftime("%Y-%m-%d" if period is Period.DAY else "%Y-%m")
        for at in (span.start - 1, span.start, now, span.end - 1, span.end)
    ]
    assert pages[0] < pages[1] == pages[2] == pages[3] < pages[4]


@given(periods, zoned_instants())
def test_edges_are_where_a_walk_along_the_clock_finds_them(
    period: Period, zoned_instant: tuple[ZoneInfo, int]
) -> None:
    zone, now = zoned_instant
    window = fresh(period, zone)
    span = window.span_at(now)
    assert (span.start, span.end) == window_edges(window, now)


@given(
    st.lists(st.tuples(periods, zoned_instants(), st.sampled_from([-40, -1, 0, 1, 40])), max_size=8)
)
def test_what_was_asked_before_does_not_matter(
    questions: list[tuple[Period, tuple[ZoneInfo, int], int]],
) -> None:
    for period, (zone, instant), hours in questions:
        for now in (instant, instant + hours * HOUR_US):
            assert Window(period, zone).span_at(now) == fresh(period, zone).span_at(now)


@given(st.sampled_from([Period.MINUTE, Period.HOUR]), zoned_instants())
def test_minutes_and_hours_are_the_same_in_every_zone(
    period: Period, zoned_instant: tuple[ZoneInfo, int]
) -> None:
    zone, now = zoned_instant
    span = Window(period, zone).span_at(now)
    length_us = HOUR_US if period is Period.HOUR else HOUR_US // 60
    assert (span.start % length_us, span.end) == (0, span.start + length_us)


@given(zones, st.integers(FIRST, LAST))
def test_an_instant_and_its_moment_are_each_others_inverse(zone: ZoneInfo, instant: int) -> None:
    assert to_instant(to_datetime(instant, zone)) == instant
