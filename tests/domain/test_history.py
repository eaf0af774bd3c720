"""What a caller used on the days before, read from the accounts of those days."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatnest.adapters.storage import MemoryStore
from chatnest.domain.budget import Account, BudgetRule, Unit
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.ledger import Keys, Rows, Step
from chatnest.domain.policy import ChatPolicy
from chatnest.domain.usage_view import DayUsage, history_step
from chatnest.domain.windows import US_PER_S, Period, Window, to_instant
from chatnest.testing.clock import ManualClock
from tests.domain.chat_world import ALICE, World, limited

T = TypeVar("T")

BERLIN = ZoneInfo("Europe/Berlin")
DAY_US = 86_400 * US_PER_S
NOON = to_instant(datetime(2026, 11, 24, 12, tzinfo=UTC))


def daily(zone: tzinfo = UTC, unit: Unit = Unit.TOKENS, scope: str = "ann") -> BudgetRule:
    return BudgetRule(scope, unit, Window(Period.DAY, zone), 100)


def history(
    accounts: Iterable[Account], *rules: BudgetRule, now: int = NOON, days: int = 30
) -> tuple[DayUsage, ...]:
    keys, step = history_step(rules, now, days)
    stored = {account.key: account for account in accounts if account.key in keys.accounts}
    return step(Rows(stored, {}, {})).result


def on(rule: BudgetRule, day: date, settled: int, held: int = 0) -> Account:
    """The account of *rule* on *day*, found by its noon."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=rule.window.zone)
    return Account(rule.account_at(to_instant(noon)), 100, settled, held)


def told(usages: Iterable[DayUsage]) -> list[tuple[str, list[tuple[str, int, int]]]]:
    return [
        (
            usage.day.isoformat(),
            [(account.rule.unit, account.settled, account.held) for account in usage.accounts],
        )
        for usage in usages
    ]


def test_the_newest_day_comes_first_and_days_without_an_account_are_left_out() -> None:
    rule = daily()
    accounts = [on(rule, date(2026, 11, 9), 7), on(rule, date(2026, 11, 24), 1, held=2)]
    assert told(history(accounts, rule)) == [
        ("2026-11-24", [("tokens", 1, 2)]),
        ("2026-11-09", [("tokens", 7, 0)]),
    ]


def test_a_day_has_every_limit_that_counted_something_on_it() -> None:
    tokens, requests = daily(), daily(unit=Unit.REQUESTS)
    day = date(2026, 11, 23)
    accounts = [on(tokens, day, 7), on(requests, day, 2), on(tokens, date(2026, 11, 22), 3)]
    assert told(history(accounts, tokens, requests)) == [
        ("2026-11-23", [("tokens", 7, 0), ("requests", 2, 0)]),
        ("2026-11-22", [("tokens", 3, 0)]),
    ]


@pytest.mark.parametrize("days", [0, 1, 2, 3])
def test_it_goes_back_as_many_days_as_were_asked_for_and_no_further(days: int) -> None:
    rule = daily()
    accounts = [on(rule, date(2026, 11, 24 - back), 1) for back in range(10)]
    newest = ["2026-11-24", "2026-11-23", "2026-11-22"]
    assert [day for day, _ in told(history(accounts, rule, days=days))] == newest[:days]


def test_only_limits_of_a_day_have_a_history() -> None:
    month = BudgetRule("ann", Unit.TOKENS, Window(Period.MONTH), 100)
    streams = BudgetRule("ann", Unit.STREAMS, Window(Period.TOTAL), 3)
    keys, _ = history_step((month, streams), NOON, 30)
    assert keys == Keys()


def test_days_are_those_of_the_limits_own_zone() -> None:
    """In Berlin the 25th has begun; the days around the change of clocks are 25 hours long."""
    now = to_instant(datetime(2026, 10, 26, 23, 30, tzinfo=UTC))
    rule, other = daily(BERLIN), daily(unit=Unit.REQUESTS)
    accounts = [on(rule, date(2026, 10, day), day) for day in (24, 25, 26, 27)]
    accounts.append(on(other, date(2026, 10, 26), 5))
    assert told(history(accounts, rule, other, now=now)) == [
        ("2026-10-27", [("tokens", 27, 0)]),
        ("2026-10-26", [("tokens", 26, 0), ("requests", 5, 0)]),
        ("2026-10-25", [("tokens", 25, 0)]),
        ("2026-10-24", [("tokens", 24, 0)]),
    ]


ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Asia/Tehran", "Pacific/Apia", "Africa/Cairo")


@given(
    st.sampled_from(ZONES).map(ZoneInfo),
    st.datetimes(datetime(2004, 1, 1), datetime(2027, 1, 1)),
    st.integers(1, 10),
)
@example(BERLIN, datetime(2026, 10, 25, 23, 30), 3)  # at the end of a day of 25 hours
@example(BERLIN, datetime(2026, 3, 30, 0, 30), 3)  # after a day of 23
def test_every_day_of_the_calendar_is_found_once_wherever_clocks_change(
    zone: ZoneInfo, moment: datetime, days: int
) -> None:
    rule = daily(zone)
    now = to_instant(moment.replace(tzinfo=zone))
    keys, _ = history_step((rule,), now, days)
    usages = history([Account(key, None, 1) for key in keys.accounts], rule, now=now, days=days)

    assert len(usages) == len(keys.accounts) == days
    # Apia left one day out; everywhere else the calendar goes on day by day.
    calendar = [usages[0].day - timedelta(days=back) for back in range(days + 1)]
    calendar = [day for day in calendar if str(zone) != "Pacific/Apia" or day != date(2011, 12, 30)]
    assert [usage.day for usage in usages] == calendar[:days]


class CountingStore(MemoryStore):
    """Counts its transactions."""

    transactions = 0

    async def transact(self, keys: Keys, step: Step[T]) -> T:
        self.transactions += 1
        return await super().transact(keys, step)


class TestService:
    async def test_a_caller_is_told_its_own_days_and_nobody_elses_in_one_transaction(self) -> None:
        clock = ManualClock(NOON)
        store = CountingStore(clock)
        world = World(clock=clock, store=store, policy=limited(1_000_000))
        for _ in range(2):
            await (await world.answer()).aclose()
            clock.set_wall(clock.now() + 3 * DAY_US)
        clock.set_wall(NOON + 3 * DAY_US)
        before = store.transactions
        view = await world.service.usage(ALICE, days=30)

        assert store.transactions == before + 1
        assert [usage.day.isoformat() for usage in view.history] == ["2026-11-27", "2026-11-24"]
        assert {account.rule.scope for usage in view.history for account in usage.accounts} == {
            ALICE.id
        }

    async def test_without_being_asked_for_there_is_no_history(self) -> None:
        world = World()
        answer = await world.answer()
        await answer.aclose()
        assert (await world.service.usage(ALICE)).history == ()
        assert len((await world.service.usage(ALICE, days=1)).history) == 1

    async def test_todays_history_is_what_the_balance_says(self) -> None:
        world = World(policy=ChatPolicy(day_zone=BERLIN))
        async with await world.answer():
            view = await world.service.usage(ALICE, days=2)
            balance = next(each for each in view.balances if each.rule.unit is Unit.TOKENS)
            ((today,),) = (usage.accounts for usage in view.history)
            assert today.held > 0
            assert (today.settled, today.held) == (balance.settled, balance.held)

    @pytest.mark.parametrize("days", [-1, 367])
    async def test_a_history_of_no_possible_length_is_refused(self, days: int) -> None:
        with pytest.raises(InvalidRequestError, match="days: must lie between 0 and 366"):
            await World().service.usage(ALICE, days=days)
