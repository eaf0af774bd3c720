"""Recounts and summaries, example by example."""

from dataclasses import replace
from zoneinfo import ZoneInfo

from chatnest.domain.audit import Drift, Grouping, Recount, UsageSummary, UsageTotal
from chatnest.domain.budget import Account, AccountKey, Hold, HoldLine, HoldState, Unit
from chatnest.domain.ledger import LedgerPage
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import Period
from chatnest.testing.ledger_cases import open_hold

KEY = AccountKey("ann", Unit.TOKENS, Period.TOTAL, 0)
OPEN = replace(open_hold("open", 1), lines=(HoldLine(KEY, 10),))
SETTLED = replace(
    open_hold("settled", 1),
    state=HoldState.SETTLED,
    lines=(HoldLine(KEY, 10, 7),),
    usage=TokenUsage(4, 3),
    cost_nano_usd=5,
)
# 2026-01-01T23:30:00Z: the next day has begun in Berlin, and not in New York.
LATE_US = 1_767_310_200_000_000


def recounted(account: Account | None, *holds: Hold) -> tuple[Drift, ...]:
    recount = Recount()
    recount.add(LedgerPage([account] if account else [], holds))
    return recount.drifts()


def test_an_account_is_the_sum_of_its_calls() -> None:
    assert recounted(Account(KEY, 5, settled=7, held=10), OPEN, SETTLED) == ()


def test_what_was_forgotten_is_carried() -> None:
    assert recounted(Account(KEY, 5, settled=9, held=10, carried=2), OPEN, SETTLED) == ()
    drift = Drift(KEY, 7, 10, 9, 10)
    assert recounted(Account(KEY, 5, settled=7, held=10, carried=2), OPEN, SETTLED) == (drift,)


def test_calls_without_their_account_are_a_drift() -> None:
    assert recounted(None, OPEN, SETTLED) == (Drift(KEY, 0, 0, 7, 10),)


def test_an_account_without_its_calls_is_a_drift() -> None:
    assert recounted(Account(KEY, 5, settled=7, held=10)) == (Drift(KEY, 7, 10, 0, 0),)


def test_a_released_call_that_had_been_charged_nothing_counts_nothing() -> None:
    released = replace(OPEN, state=HoldState.RELEASED, lines=(HoldLine(KEY, 10, 0),))
    assert recounted(None, released) == ()
    assert recounted(Account(KEY, 5), released) == ()


def test_an_empty_ledger_has_no_drift_and_no_usage() -> None:
    assert recounted(None) == ()
    assert UsageSummary(Grouping.DAY, ZoneInfo("UTC")).totals() == ()


def test_a_day_begins_at_midnight_in_its_zone() -> None:
    hold = replace(SETTLED, created_at=LATE_US)
    for zone, day in (
        ("UTC", "2026-01-01"),
        ("Europe/Berlin", "2026-01-02"),
        ("America/New_York", "2026-01-01"),
    ):
        summary = UsageSummary(Grouping.DAY, ZoneInfo(zone))
        summary.add([hold])
        assert summary.totals() == (
            UsageTotal(day, calls=1, input_tokens=4, output_tokens=3, cost_nano_usd=5),
        )


def test_a_call_counts_on_the_day_that_it_began() -> None:
    hold = replace(SETTLED, created_at=LATE_US, closed_at=LATE_US + 3_600_000_000)
    summary = UsageSummary(Grouping.DAY, ZoneInfo("UTC"))
    summary.add([hold])
    assert [total.group for total in summary.totals()] == ["2026-01-01"]


def test_a_lost_call_is_counted_as_lost_and_unpriced() -> None:
    lost = replace(OPEN, state=HoldState.EXPIRED, estimated=True)
    summary = UsageSummary(Grouping.MODEL, ZoneInfo("UTC"))
    summary.add([lost, OPEN, replace(OPEN, state=HoldState.RELEASED)])
    assert summary.totals() == (
        UsageTotal("scripted/parrot", calls=1, estimated=1, unpriced=1, lost=1),
    )
