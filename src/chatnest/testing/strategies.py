"""Hypothesis strategies for what costs money: small numbers, so that limits are met exactly.

Instants lie around real clock changes, where days have 23 or 25 hours or are missing altogether.
"""

from datetime import datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from chatnest.domain.budget import BudgetRule, Demand, Unit
from chatnest.domain.rate_limit import Algorithm, Quota
from chatnest.domain.usage import Price, TokenUsage
from chatnest.domain.windows import Period, Window, to_instant

HOUR_US = 3_600_000_000

# From the IANA time zone database, https://www.iana.org/time-zones
CLOCK_CHANGES = MappingProxyType(
    {
        "UTC": ("2026-01-01T00:00:00Z",),
        "Europe/Berlin": ("2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"),
        # Midnight is skipped, or reached from 23:59 of an hour that comes twice.
        "America/Sao_Paulo": ("2018-11-04T03:00:00Z", "2018-02-18T02:00:00Z"),
        # By half an hour.
        "Australia/Lord_Howe": ("2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z"),
        "Africa/Cairo": ("2026-04-23T22:00:00Z", "2026-10-29T21:00:00Z"),
        # The 30th of December did not happen.
        "Pacific/Apia": ("2011-12-30T10:00:00Z",),
    }
)


def clock_changes() -> st.SearchStrategy[tuple[ZoneInfo, int]]:
    """A zone, and an instant at which its clock changes (in UTC: a new year)."""
    known = [(zone, text) for zone, texts in CLOCK_CHANGES.items() for text in texts]
    return st.sampled_from(known).map(
        lambda change: (ZoneInfo(change[0]), to_instant(datetime.fromisoformat(change[1])))
    )


def steps_us() -> st.SearchStrategy[int]:
    """A stretch of time in microseconds: an instant, some hours, or one beside them."""
    hours = st.sampled_from([0, 1, 2, 23, 24, 25]).map(lambda count: count * HOUR_US)
    return st.builds(lambda whole, rest: max(0, whole + rest), hours, st.integers(-1, 1))


@st.composite
def zoned_instants(draw: st.DrawFn) -> tuple[ZoneInfo, int]:
    """A zone, and an instant within two days of a change of its clock."""
    zone, change = draw(clock_changes())
    before = draw(st.booleans())
    hours = draw(st.integers(0, 48)) * HOUR_US
    step_us = hours + draw(st.sampled_from([0, 1, HOUR_US // 2]))
    return zone, change - step_us if before else change + step_us


def prices() -> st.SearchStrategy[Price]:
    """A price of nothing, or of up to three nano-dollars a token, fractions included."""
    rate = st.sampled_from([0, 1, 333_333, 500_000, 1_000_000, 2_999_999])
    return st.builds(Price, rate, rate, st.none() | rate, st.none() | rate)


@st.composite
def usages(draw: st.DrawFn, max_input: int = 8, max_output: int = 8) -> TokenUsage:
    """A usage with at most *max_input* and *max_output* tokens, any of them in inner buckets."""
    input_tokens = draw(st.integers(0, max_input))
    output_tokens = draw(st.integers(0, max_output))
    cached = draw(st.integers(0, input_tokens))
    written = draw(st.integers(0, input_tokens - cached))
    return TokenUsage(
        input_tokens, output_tokens, cached, written, draw(st.integers(0, output_tokens))
    )


def demands(price: st.SearchStrategy[Price] | None = None) -> st.SearchStrategy[Demand]:
    """A call of a few tokens, whose least cap may be above the one that it asks for."""
    return st.builds(
        Demand,
        st.sampled_from(range(5)),
        st.sampled_from(range(9)),
        st.sampled_from(range(4)),
        price or prices(),
    )


def limits() -> st.SearchStrategy[int | None]:
    """A limit with room for a few small calls; seldom none."""
    return st.sampled_from([None, *range(20)])


def budget_rules(
    zones: st.SearchStrategy[ZoneInfo], max_size: int = 6
) -> st.SearchStrategy[tuple[BudgetRule, ...]]:
    """Rules of a few scopes in every unit and period, no two counted in one account."""
    rule = st.builds(
        _rule,
        st.sampled_from(["global", "team:red", "ann"]),
        # The units in which a cap can shrink come more often.
        st.sampled_from([Unit.TOKENS, Unit.TOKENS, Unit.NANO_USD, Unit.NANO_USD, *Unit]),
        st.sampled_from(Period),
        zones,
        limits(),
    )
    return st.lists(rule, min_size=1, max_size=max_size, unique_by=_counted).map(tuple)


def quotas(algorithm: Algorithm) -> st.SearchStrategy[Quota]:
    """A quota of a few takes in a few microseconds, whether or not one divides the other."""
    burst = st.none() | st.integers(1, 5)
    return st.builds(Quota, st.integers(1, 5), st.integers(1, 12), burst, st.just(algorithm))


def _counted(rule: BudgetRule) -> tuple[str, Unit, Period]:
    return rule.scope, rule.unit, rule.window.period


def _rule(scope: str, unit: Unit, period: Period, zone: ZoneInfo, limit: int | None) -> BudgetRule:
    window = Window(Period.TOTAL if unit is Unit.STREAMS else period, zone)
    return BudgetRule(scope, unit, window, limit)
