"""Windows of time that limits are counted in, and the instants at which they begin and end.

An instant is an integer: microseconds since the Unix epoch. A window that ends at X no longer
contains X.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum

from chatnest.domain.values import value

US_PER_S = 1_000_000
_MINUTE_US = 60 * US_PER_S
_HOUR_US = 60 * _MINUTE_US
_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_REMEMBERED = 64


class Period(StrEnum):
    """How long a window is."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    TOTAL = "total"


@value
class Span:
    """A window in time: ``start <= instant < end``; ``end`` is None where it never ends."""

    start: int
    end: int | None

    def contains(self, now: int) -> bool:
        """Whether *now* lies in the window."""
        return self.start <= now and (self.end is None or now < self.end)


@value
class Window:
    """A period in a time zone.

    Days and months begin at the zone's local midnight, so that a day is 23 or 25 hours long when
    its clocks change. Minutes and hours are counted in UTC everywhere: a zone's half hours and
    clock changes would otherwise make windows that overlap.
    """

    period: Period
    zone: tzinfo = UTC

    def span_at(self, now: int) -> Span:
        """The window that contains *now*."""
        asked = self.period, id(self.zone)
        latest = _latest.get(asked)
        if latest is not None and latest[0].contains(now):
            return latest[0]
        span = self._find(now)
        if len(_latest) >= _MOST_REMEMBERED:
            _latest.clear()
        _latest[asked] = span, self.zone
        return span

    def _find(self, now: int) -> Span:
        match self.period:
            case Period.TOTAL:
                return Span(0, None)
            case Period.MINUTE:
                return _floor(now, _MINUTE_US)
            case Period.HOUR:
                return _floor(now, _HOUR_US)
            case Period.DAY:
                today = self._day_at(now)
                return self._between(today, today + _DAY)
            case Period.MONTH:
                first = self._day_at(now).replace(day=1)
                return self._between(first, (first + 31 * _DAY).replace(day=1))

    def _day_at(self, now: int) -> date:
        # Clocks that go back over midnight (America/St_Johns until 2010) show the old date once
        # more, but the new day has begun and stays begun.
        today = to_datetime(now, self.zone).date()
        tomorrow = today + _DAY
        return today if now < self._midnight(tomorrow) else tomorrow

    def _between(self, first: date, last: date) -> Span:
        return Span(self._midnight(first), self._midnight(last))

    def _midnight(self, day: date) -> int:
        # fold=0: where clocks go back over midnight the day begins the first time it is reached;
        # where they skip midnight the day begins at the moment of the change.
        return to_instant(datetime.combine(day, time(), tzinfo=self.zone))


# The last answer for each period in each zone: a calendar is slow to ask, and nearly every question
# is about the window of the one before. A zone goes by its identity, since not every kind of zone
# can be hashed; the entry holds it, so that no other zone comes to the same identity meanwhile.
_latest: dict[tuple[Period, int], tuple[Span, tzinfo]] = {}


def to_instant(moment: datetime) -> int:
    """Microseconds since the Unix epoch of an aware *moment*."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_datetime(instant: int, zone: tzinfo = UTC) -> datetime:
    """The aware moment of *instant* in *zone*."""
    return (_EPOCH + timedelta(microseconds=instant)).astimezone(zone)


def _floor(now: int, length_us: int) -> Span:
    start = now - now % length_us
    return Span(start, start + length_us)
