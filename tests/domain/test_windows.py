"""Windows at the instants where calendars are odd."""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest

from chatnest.domain.windows import Period, Span, Window, to_datetime, to_instant
from chatnest.testing.strategies import HOUR_US


def instant(text: str) -> int:
    return to_instant(datetime.fromisoformat(text))


def day(zone: str, text: str) -> Span:
    return Window(Period.DAY, ZoneInfo(zone)).span_at(instant(text))


def test_an_instant_is_exact_to_the_microsecond_in_the_far_future() -> None:
    moment = datetime(9998, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert to_instant(moment) == 253_370_764_799_999_999
    assert to_datetime(to_instant(moment)) == moment


def test_an_instant_does_not_depend_on_the_zone_that_says_it() -> None:
    assert instant("2026-07-01T02:00:00+02:00") == instant("2026-07-01T00:00:00Z")


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        (Period.MINUTE, "2026-07-15T13:37:00Z", "2026-07-15T13:38:00Z"),
        (Period.HOUR, "2026-07-15T13:00:00Z", "2026-07-15T14:00:00Z"),
        (Period.DAY, "2026-07-15T00:00:00Z", "2026-07-16T00:00:00Z"),
        (Period.MONTH, "2026-07-01T00:00:00Z", "2026-08-01T00:00:00Z"),
    ],
)
def test_a_window_without_a_zone_is_in_utc(period: Period, start: str, end: str) -> None:
    expected = Span(instant(start), instant(end))
    assert Window(period).span_at(instant("2026-07-15T13:37:42Z")) == expected


def test_a_total_window_never_ends() -> None:
    assert Window(Period.TOTAL).span_at(instant("2026-07-15T13:37:42Z")) == Span(0, None)


@pytest.mark.parametrize(
    ("zone", "noon", "hours"),
    [
        ("Europe/Berlin", "2026-03-29T10:00:00Z", 23),
        ("Europe/Berlin", "2026-03-30T10:00:00Z", 24),
        ("Europe/Berlin", "2026-10-25T11:00:00Z", 25),
        ("Australia/Lord_Howe", "2026-04-05T02:00:00Z", 24.5),
        ("Australia/Lord_Howe", "2026-10-04T02:00:00Z", 23.5),
        ("America/Sao_Paulo", "2018-11-04T15:00:00Z", 23),
        ("America/Sao_Paulo", "2018-02-17T15:00:00Z", 25),
        ("Africa/Cairo", "2026-04-24T10:00:00Z", 23),
        ("Africa/Cairo", "2026-10-29T10:00:00Z", 25),
    ],
)
def test_a_day_is_as_long_as_its_clocks_make_it(zone: str, noon: str, hours: float) -> None:
    span = day(zone, noon)
    assert span.end is not None
    assert span.end - span.start == hours * HOUR_US


def test_a_day_begins_at_the_moment_of_a_change_that_skips_midnight() -> None:
    assert day("America/Sao_Paulo", "2018-11-04T15:00:00Z").start == instant("2018-11-04T03:00:00Z")


def test_a_day_begins_once_where_its_first_hour_comes_twice() -> None:
    # Havana goes from 01:00 back to 00:00.
    span = day("America/Havana", "2026-11-01T05:30:00Z")
    assert span == Span(instant("2026-11-01T04:00:00Z"), instant("2026-11-02T05:00:00Z"))


@pytest.mark.parametrize("period", [Period.DAY, Period.MONTH])
def test_a_day_that_began_stays_begun_when_clocks_go_back_over_midnight(period: Period) -> None:
    # On 1 November 2009 St John's went from 00:01 back to 23:01 of October.
    window = Window(period, ZoneInfo("America/St_Johns"))
    begin = instant("2009-11-01T02:30:00Z")
    for again in (begin, begin + HOUR_US // 2, begin + HOUR_US, begin + 2 * HOUR_US):
        assert window.span_at(again).start == begin
    assert window.span_at(begin - 1).end == begin


def test_a_date_that_never_happened_has_no_window() -> None:
    change = instant("2011-12-30T10:00:00Z")
    before = day("Pacific/Apia", "2011-12-30T09:00:00Z")
    after = day("Pacific/Apia", "2011-12-30T10:00:00Z")
    assert before.end == after.start == change
    assert to_datetime(before.start, ZoneInfo("Pacific/Apia")).day == 29
    assert to_datetime(after.start, ZoneInfo("Pacific/Apia")).day == 31


def test_february_has_its_leap_day() -> None:
    span = Window(Period.MONTH).span_at(instant("2028-02-10T00:00:00Z"))
    assert span == Span(instant("2028-02-01T00:00:00Z"), instant("2028-03-01T00:00:00Z"))


def test_december_ends_with_the_year() -> None:
    span = Window(Period.MONTH, ZoneInfo("Pacific/Auckland")).span_at(
        instant("2026-12-31T10:59:59Z")
    )
    assert span.end == instant("2026-12-31T11:00:00Z")


class UnhashableZone(tzinfo):
    """As the zones of some libraries are."""

    __hash__ = None  # type: ignore[assignment] # what "unhashable" is in Python

    def __init__(self, hours: int) -> None:
        self._offset = timedelta(hours=hours)

    def utcoffset(self, moment: datetime | None) -> timedelta:
        return self._offset

    def dst(self, moment: datetime | None) -> timedelta:
        return timedelta()

    def tzname(self, moment: datetime | None) -> str:
        return str(self._offset)


def test_a_zone_needs_no_hash_and_none_is_taken_for_another() -> None:
    # Zones that are thrown away leave their identities to those that are made after them.
    noon = instant("2026-07-15T12:00:00Z")
    for hours in [*range(-11, 12)] * 9:
        window = Window(Period.DAY, UnhashableZone(hours))
        assert window.span_at(noon).start == instant("2026-07-15T00:00:00Z") - hours * HOUR_US
