"""What a ledger says, for the command line: as JSON of exact values, and as tables for people.

Names of JSON are those of ``GET /api/usage``. Amounts are whole numbers of their unit there, and
instants are in UTC; tables show nano-dollars in dollars, and windows in a time zone.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import datetime, time, tzinfo

import msgspec

from chatnest.adapters.transport.usage_report import decimal_usd
from chatnest.app.tables import printable, table
from chatnest.domain.audit import Drift, UsageTotal
from chatnest.domain.budget import Account, AccountKey, Hold, Unit
from chatnest.domain.usage import NANO_USD_PER_USD
from chatnest.domain.windows import US_PER_S, Period, to_datetime


class Report(msgspec.Struct, frozen=True, rename="camel"):
    """A part of what is told as JSON."""


class AccountReport(Report, frozen=True):
    """One account; ``carried`` is the part of ``settled`` whose calls were pruned."""

    scope: str
    unit: Unit
    period: Period
    starts_at: datetime | None
    limit: int | None
    settled: int
    held: int
    carried: int
    remaining: int | None


class LineReport(Report, frozen=True):
    """What an open call holds on one account."""

    scope: str
    unit: Unit
    period: Period
    starts_at: datetime | None
    amount: int


class HoldReport(Report, frozen=True):
    """One open call; it is charged at its worst case if it is still open at ``expires_at``."""

    id: str
    request_id: str
    principal: str
    profile: str
    provider: str
    model: str
    created_at: datetime
    expires_at: datetime
    lines: tuple[LineReport, ...]


class LedgerReport(Report, frozen=True):
    """The accounts and the open calls of a ledger, at the instant of its own clock."""

    store: str
    at: datetime
    accounts: tuple[AccountReport, ...]
    holds: tuple[HoldReport, ...]


class UsageRow(Report, frozen=True):
    """What a group of calls used; ``cost_usd`` is exact, without the ``unpriced`` calls."""

    group: str
    calls: int
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    reasoning_tokens: int
    cost_usd: str
    estimated: int
    unpriced: int
    lost: int


class UsageHistory(Report, frozen=True):
    """What was used since an instant, by day, principal or model, and altogether."""

    by: str
    since: datetime
    time_zone: str
    groups: tuple[UsageRow, ...]
    total: UsageRow


def account_report(account: Account) -> AccountReport:
    """*account* as JSON has it."""
    key = account.key
    return AccountReport(
        scope=key.scope,
        unit=key.unit,
        period=key.period,
        starts_at=_starts_at(key),
        limit=account.limit,
        settled=account.settled,
        held=account.held,
        carried=account.carried,
        remaining=account.remaining,
    )


def hold_report(hold: Hold) -> HoldReport:
    """The open *hold* as JSON has it."""
    return HoldReport(
        id=hold.id,
        request_id=hold.request_id,
        principal=hold.principal,
        profile=hold.profile,
        provider=hold.provider,
        model=hold.model,
        created_at=to_datetime(hold.created_at),
        expires_at=to_datetime(hold.expires_at),
        lines=tuple(
            LineReport(key.scope, key.unit, key.period, _starts_at(key), line.amount)
            for line in hold.lines
            for key in (line.account,)
        ),
    )


def usage_row(total: UsageTotal) -> UsageRow:
    """*total* as JSON has it."""
    return UsageRow(
        group=total.group,
        calls=total.calls,
        input_tokens=total.input_tokens,
        output_tokens=total.output_tokens,
        cached_input_tokens=total.cached_input_tokens,
        reasoning_tokens=total.reasoning_tokens,
        cost_usd=decimal_usd(total.cost_nano_usd),
        estimated=total.estimated,
        unpriced=total.unpriced,
        lost=total.lost,
    )


def sum_of(totals: Iterable[UsageTotal]) -> UsageTotal:
    """All of *totals* together."""
    parts = tuple(totals)
    names = [field.name for field in fields(UsageTotal) if field.name != "group"]
    return UsageTotal("total", *(sum(getattr(part, name) for part in parts) for name in names))


def account_table(accounts: Sequence[Account], zone: tzinfo) -> Iterator[str]:
    """Lines for people: what each of *accounts* has left."""
    titles = ("scope", "window", "unit", "limit", "settled", "held", "left")
    rows = [
        (
            account.key.scope,
            window_name(account.key, zone),
            "usd" if account.key.unit is Unit.NANO_USD else account.key.unit,
            *(
                "-" if amount is None else _number(account.key.unit, amount)
                for amount in (account.limit, account.settled, account.held, account.remaining)
            ),
        )
        for account in accounts
    ]
    return table(titles, rows, texts=3)


def hold_table(holds: Sequence[Hold], now: int, zone: tzinfo) -> Iterator[str]:
    """Lines for people: what each of the open *holds* is for, and how long it stands."""
    titles = ("call", "principal", "model", "since", "lease", "holds")
    rows = [
        (
            hold.id,
            hold.principal,
            f"{hold.provider}/{hold.model}",
            f"{to_datetime(hold.created_at, zone):%Y-%m-%d %H:%M:%S}",
            f"{(hold.expires_at - now) // US_PER_S} s" if hold.expires_at > now else "over",
            _amounts(hold),
        )
        for hold in holds
    ]
    return table(titles, rows, texts=len(titles))


def usage_table(by: str, totals: Sequence[UsageTotal]) -> Iterator[str]:
    """Lines for people: what each group used, and all of them."""
    titles = (
        *(by, "calls", "input tokens", "cached", "output tokens", "reasoning", "usd"),
        *("unpriced", "estimated", "lost"),
    )
    rows = [
        (
            total.group,
            total.calls,
            total.input_tokens,
            total.cached_input_tokens,
            total.output_tokens,
            total.reasoning_tokens,
            dollars(total.cost_nano_usd),
            total.unpriced,
            total.estimated,
            total.lost,
        )
        for total in (*totals, sum_of(totals))
    ]
    return table(titles, rows, texts=1, has_total=True)


def drift_line(drift: Drift, zone: tzinfo) -> str:
    """A sentence for people: which account is not the sum of its calls, and how far."""
    key = drift.key
    stored, summed = (
        f"{amount(key.unit, settled)} settled and {amount(key.unit, held)} held"
        for settled, held in (
            (drift.settled, drift.held),
            (drift.settled_by_journal, drift.held_by_journal),
        )
    )
    return f"{printable(key.scope)}, {window_name(key, zone)}: {stored} stored, {summed} by calls"


def window_name(key: AccountKey, zone: tzinfo) -> str:
    """The window of *key* as people say it: ``day 2026-11-24``."""
    began = to_datetime(key.start, zone)
    match key.period:
        case Period.TOTAL:
            return "total"
        case Period.MONTH if began.time() == time() and began.day == 1:
            return f"month {began:%Y-%m}"
        case Period.DAY if began.time() == time():
            return f"day {began:%Y-%m-%d}"
        case _:
            return f"{key.period} {began:%Y-%m-%d %H:%M}"


def amount(unit: Unit, number: int) -> str:
    """*number* of *unit* as people say it: ``1,200 tokens`` or ``$0.0025``."""
    if unit is Unit.NANO_USD:
        return f"{'-' if number < 0 else ''}${dollars(abs(number))}"
    return f"{number:,} {unit}"


def dollars(amount_nano_usd: int) -> str:
    """*amount_nano_usd*, exactly, in dollars: with cents, and what is finer where there is any."""
    whole, fraction = divmod(abs(amount_nano_usd), NANO_USD_PER_USD)
    decimals = f"{fraction:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if amount_nano_usd < 0 else ''}{whole:,}.{decimals}"


def _number(unit: Unit, number: int) -> str | int:
    return dollars(number) if unit is Unit.NANO_USD else number


def _amounts(hold: Hold) -> str:
    """What *hold* holds in each unit: the same on every account that counts it."""
    by_unit = {line.account.unit: line.amount for line in hold.lines}
    return ", ".join(
        amount(unit, number) for unit, number in by_unit.items() if unit is not Unit.STREAMS
    )


def _starts_at(key: AccountKey) -> datetime | None:
    return None if key.period is Period.TOTAL else to_datetime(key.start)
