"""What a caller may still use, and what it used on the days before: one read of its accounts.

An account is named by the start of its window, so that the history of a day limit is there for
the asking: no call has to be looked up for it, and none has to be kept.
"""

from collections.abc import Iterable, Iterator
from datetime import date

from chatnest.domain.budget import AccountKey, Balance, BudgetRule
from chatnest.domain.folding import union
from chatnest.domain.ledger import Change, Keys, Rows
from chatnest.domain.profiles import Profile
from chatnest.domain.steps import Transaction, balances_step
from chatnest.domain.values import value
from chatnest.domain.windows import Period, to_datetime

MOST_HISTORY_DAYS = 366


@value
class DayAccount:
    """What one rule's account of a day that may be over says."""

    rule: BudgetRule
    settled: int
    held: int


@value
class DayUsage:
    """What was counted on one day, by each rule that has an account of it."""

    day: date
    accounts: tuple[DayAccount, ...]


@value
class UsageView:
    """What a caller may still use under one profile, and what it used on which day.

    ``history`` has the newest day first, and only the caller's own limits of a day.
    """

    principal: str
    profile: Profile
    balances: tuple[Balance, ...]
    history: tuple[DayUsage, ...] = ()


def usage_step(
    principal: str, profile: Profile, rules: Iterable[BudgetRule], now: int, days: int
) -> Transaction[UsageView]:
    """Read what each of *rules* leaves at *now*, and what *principal* used on the last *days*."""
    asked = tuple(rules)
    present = balances_step(asked, now)
    own = (rule for rule in asked if rule.scope == principal)
    past = history_step(own, now, days)

    def step(rows: Rows) -> Change[UsageView]:
        balances, history = present[1](rows).result, past[1](rows).result
        return Change(UsageView(principal, profile, balances, history))

    return union((present, past)), step


def history_step(
    rules: Iterable[BudgetRule], now: int, days: int
) -> Transaction[tuple[DayUsage, ...]]:
    """Read what the daily ones of *rules* counted on each of the last *days*, with that of *now*.

    The newest day is first; days without an account are left out. Nothing is written.
    """
    daily = [rule for rule in rules if rule.window.period is Period.DAY]
    asked = [(day, rule, key) for rule in daily for day, key in _days(rule, now, days)]

    def step(rows: Rows) -> Change[tuple[DayUsage, ...]]:
        found: dict[date, list[DayAccount]] = {}
        for day, rule, key in asked:
            account = rows.accounts.get(key)
            if account is not None:
                counted = DayAccount(rule, account.settled, account.held)
                found.setdefault(day, []).append(counted)
        newest_first = sorted(found, reverse=True)
        return Change(tuple(DayUsage(day, tuple(found[day])) for day in newest_first))

    return Keys(accounts=tuple(dict.fromkeys(key for _, _, key in asked))), step


def _days(rule: BudgetRule, now: int, days: int) -> Iterator[tuple[date, AccountKey]]:
    """The last *days* windows of *rule*, the newest first: each ends where the next one began."""
    instant = now
    for _ in range(days):
        key = rule.account_at(instant)
        yield to_datetime(key.start, rule.window.zone).date(), key
        instant = key.start - 1
