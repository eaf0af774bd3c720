"""Limits, balances and refusals to put on the wire, at one instant."""

from chatnest.domain.admission import RateRule, RateStatus, Refusal, RefusalCode
from chatnest.domain.budget import Balance, BudgetRule, Unit
from chatnest.domain.ledger import RateKey
from chatnest.domain.rate_limit import Quota
from chatnest.domain.windows import Period, Window

SECOND_US = 1_000_000
# 22 November 2026, 18:00:00 UTC: six hours before its day ends.
NOW = 1_795_370_400 * SECOND_US


def balance(
    unit: Unit = Unit.TOKENS,
    period: Period = Period.DAY,
    *,
    limit: int | None = 70_000,
    settled: int = 0,
    held: int = 0,
    scope: str = "someone",
) -> Balance:
    """What is left at ``NOW`` of *limit*."""
    rule = BudgetRule(scope, unit, Window(period), limit)
    remaining = None if limit is None else max(0, limit - settled - held)
    return Balance(rule, settled, held, remaining, rule.window.span_at(NOW).end)


def rate(
    remaining: int, reset_after_us: int, *, limit: int = 30, period_us: int = 60 * SECOND_US
) -> RateStatus:
    """What is left of a quota of requests."""
    rule = RateRule(RateKey("someone", "requests"), Quota(limit, period_us))
    return RateStatus(rule, remaining, reset_after_us)


def rate_limited(retry_after_us: int | None) -> Refusal:
    """A refusal by a quota of 30 requests a minute."""
    return Refusal(
        RefusalCode.RATE_LIMITED,
        "requests",
        unit=Unit.REQUESTS,
        limit=30,
        remaining=0,
        needed=1,
        retry_after_us=retry_after_us,
        rates=(rate(0, 59 * SECOND_US + 1),),
    )


def exhausted(limit_name: str, retry_after_us: int | None) -> Refusal:
    """A refusal by the budget called *limit_name*."""
    return Refusal(
        RefusalCode.BUDGET_EXHAUSTED,
        limit_name,
        unit=Unit.TOKENS,
        limit=70_000,
        remaining=12,
        needed=166,
        retry_after_us=retry_after_us,
        balances=(balance(settled=69_000, held=988),),
    )
