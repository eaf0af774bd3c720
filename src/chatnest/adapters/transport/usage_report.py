"""What was used and what is left, as JSON: the same shape in streams and in ``GET /api/usage``."""

from collections.abc import Iterable
from datetime import date, datetime
from functools import lru_cache

import msgspec

from chatnest.domain.admission import rule_name
from chatnest.domain.budget import Balance
from chatnest.domain.events import FinishReason, UsageReported
from chatnest.domain.usage import NANO_USD_PER_USD
from chatnest.domain.usage_view import DayUsage, UsageView
from chatnest.domain.windows import to_datetime


class LimitReport(msgspec.Struct, frozen=True, rename="camel"):
    """What one limit says, in its own unit; ``limit`` and ``remaining`` None: without a limit.

    ``scope`` is whom it is for: the caller alone, or everybody or a team together with it.
    ``resets_at`` is in UTC, None where the limit never resets.
    """

    name: str
    scope: str
    limit: int | None
    used: int
    held: int
    remaining: int | None
    resets_at: datetime | None


class DayLimitReport(msgspec.Struct, frozen=True, rename="camel"):
    """What one of the caller's own limits of a day had counted on that day."""

    name: str
    used: int
    held: int


class DayReport(msgspec.Struct, frozen=True, rename="camel"):
    """What the caller used on one day, as its limits' time zone has it."""

    day: date
    limits: tuple[DayLimitReport, ...]


class UsageReport(msgspec.Struct, frozen=True, rename="camel"):
    """The limits of one caller, and the profile that they come from.

    ``history`` has the days on which the caller used anything, the newest first.
    """

    principal: str
    profile: str
    limits: tuple[LimitReport, ...]
    history: tuple[DayReport, ...]


class CallUsageReport(msgspec.Struct, frozen=True, rename="camel"):
    """What one call used, and what it left.

    ``cost_usd`` is an exact decimal number, None where no price is known.
    """

    input_tokens: int
    output_tokens: int
    total_tokens: int
    cached_input_tokens: int
    reasoning_tokens: int
    cost_usd: str | None
    finish_reason: FinishReason | None
    estimated: bool
    limits: tuple[LimitReport, ...]


def usage_report(view: UsageView) -> UsageReport:
    """The report of what a caller used and has left."""
    history = tuple(map(_day_report, view.history))
    return UsageReport(view.principal, view.profile.name, limit_reports(view.balances), history)


def call_usage_report(event: UsageReported) -> CallUsageReport:
    """The report of the call that *event* ends."""
    usage, cost = event.usage, event.cost_nano_usd
    return CallUsageReport(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.total_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cost_usd=None if cost is None else decimal_usd(cost),
        finish_reason=event.finish_reason,
        estimated=event.estimated,
        limits=limit_reports(event.balances),
    )


def limit_reports(balances: Iterable[Balance]) -> tuple[LimitReport, ...]:
    """One report for each of *balances*, in their order."""
    return tuple([_limit_report(balance) for balance in balances])


def decimal_usd(amount_nano_usd: int) -> str:
    """*amount_nano_usd*, not negative, in dollars: exact, and without zeros at the end."""
    whole, fraction = divmod(amount_nano_usd, NANO_USD_PER_USD)
    return f"{whole}.{fraction:09d}".rstrip("0").rstrip(".")


def _day_report(usage: DayUsage) -> DayReport:
    limits = (
        DayLimitReport(rule_name(account.rule), account.settled, account.held)
        for account in usage.accounts
    )
    return DayReport(usage.day, tuple(limits))


# The ends of windows: for a while every request has the same ones.
_moment = lru_cache(maxsize=256)(to_datetime)


def _limit_report(balance: Balance) -> LimitReport:
    return LimitReport(
        name=rule_name(balance.rule),
        scope=balance.rule.scope,
        limit=balance.rule.limit,
        used=balance.settled,
        held=balance.held,
        remaining=balance.remaining,
        resets_at=None if balance.resets_at is None else _moment(balance.resets_at),
    )
