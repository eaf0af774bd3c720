"""Budgets by example: one day of one caller."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from chatnest.domain.budget import (
    Account,
    AccountKey,
    Balance,
    BudgetRule,
    Demand,
    Exhausted,
    Hold,
    HoldLine,
    HoldState,
    Reserve,
    Reserved,
    Unit,
    balances,
    reserve,
)
from chatnest.domain.closing import Closed, Settlement, expire, release, settle
from chatnest.domain.usage import FREE, NO_USAGE, Price, TokenUsage
from chatnest.domain.windows import Period, Window, to_instant

BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = to_instant(datetime(2026, 7, 2, tzinfo=BERLIN))
NOW = MIDNIGHT - 1_000_000
EXPIRES = NOW + 300_000_000
PRICE = Price(1_000_000, 3_000_000)  # one and three nano-dollars a token
DAY = Window(Period.DAY, BERLIN)
TOTAL = Window(Period.TOTAL)

Accounts = dict[AccountKey, Account]


def a_day_of(limit: int | None, unit: Unit = Unit.TOKENS, scope: str = "ann") -> BudgetRule:
    return BudgetRule(scope, unit, DAY, limit)


def command(*rules: BudgetRule, least: int = 2, price: Price | None = PRICE) -> Reserve:
    """Five tokens in, ten out, or as few as *least*."""
    hold = Hold("h", "r", "ann", "balanced", "openai", "gpt", (), 10, NOW, EXPIRES)
    return Reserve(hold, Demand(5, 10, least, price), rules)


def admitted(*rules: BudgetRule, now: int = NOW) -> tuple[Hold, Accounts]:
    outcome = reserve({}, None, command(*rules), now)
    assert isinstance(outcome, Reserved)
    return outcome.hold, {account.key: account for account in outcome.accounts}


def used(tokens_in: int, tokens_out: int, price: Price | None = PRICE) -> Settlement:
    return Settlement(TokenUsage(tokens_in, tokens_out), price, estimated=False, outcome="stop")


def only(accounts: tuple[Account, ...]) -> Account:
    assert len(accounts) == 1
    return accounts[0]


def test_the_worst_case_is_held_on_every_account() -> None:
    rules = (
        a_day_of(100),
        a_day_of(100, Unit.NANO_USD),
        a_day_of(100, Unit.REQUESTS),
        BudgetRule("ann", Unit.STREAMS, TOTAL, 100),
        a_day_of(None, scope="global"),
    )
    hold, accounts = admitted(*rules)
    assert [line.amount for line in hold.lines] == [15, 5 + 30, 1, 1, 15]
    assert [account.held for account in accounts.values()] == [15, 35, 1, 1, 15]
    assert [account.limit for account in accounts.values()] == [100, 100, 100, 100, None]
    assert hold.account_keys == tuple(accounts) == tuple(rule.account_at(NOW) for rule in rules)
    assert hold.output_cap == 10


@pytest.mark.parametrize(("limit", "cap"), [(15, 10), (14, 9), (7, 2)])
def test_the_cap_shrinks_to_the_room_that_is_left(limit: int, cap: int) -> None:
    hold, accounts = admitted(a_day_of(limit))
    assert hold.output_cap == cap
    assert [account.remaining for account in accounts.values()] == [0]


def test_less_room_than_the_least_answer_is_refused() -> None:
    rule = a_day_of(6)
    outcome = reserve({}, None, command(rule), NOW)
    assert outcome == Exhausted(rule, needed=7, remaining=6, resets_at=MIDNIGHT)


def test_the_cap_is_the_smallest_of_what_the_rules_leave() -> None:
    hold, accounts = admitted(a_day_of(13), a_day_of(20, Unit.NANO_USD), a_day_of(12, scope="team"))
    assert hold.output_cap == 5
    assert [account.held for account in accounts.values()] == [10, 20, 10]


def test_a_least_answer_above_the_cap_that_is_asked_for_does_not_matter() -> None:
    outcome = reserve({}, None, command(a_day_of(15), least=99), NOW)
    assert isinstance(outcome, Reserved)
    assert isinstance(reserve({}, None, command(a_day_of(14), least=99), NOW), Exhausted)


def test_the_first_rule_without_room_is_named() -> None:
    rules = a_day_of(100), a_day_of(0, scope="team"), a_day_of(0, scope="global")
    outcome = reserve({}, None, command(*rules), NOW)
    assert isinstance(outcome, Exhausted)
    assert outcome.rule is rules[1]


def test_a_total_never_resets() -> None:
    outcome = reserve({}, None, command(BudgetRule("ann", Unit.TOKENS, TOTAL, 1)), NOW)
    assert isinstance(outcome, Exhausted)
    assert outcome.resets_at is None


def test_the_same_hold_again_is_the_same_answer_and_no_second_hold() -> None:
    hold, accounts = admitted(a_day_of(15))
    assert reserve(accounts, hold, command(a_day_of(15)), NOW) == Reserved(hold, ())


def test_midnight_opens_a_new_account() -> None:
    _, accounts = admitted(a_day_of(15))
    another = command(a_day_of(15))
    assert isinstance(reserve(accounts, None, another, MIDNIGHT - 1), Exhausted)
    outcome = reserve(accounts, None, another, MIDNIGHT)
    assert isinstance(outcome, Reserved)
    assert only(outcome.accounts).key.start == MIDNIGHT


def test_a_hold_from_before_midnight_settles_into_its_own_day() -> None:
    hold, accounts = admitted(a_day_of(15))
    closed = settle(accounts, hold, used(5, 1), MIDNIGHT + 1)
    assert only(closed.accounts) == Account(a_day_of(15).account_at(NOW), 15, settled=6, held=0)


def test_settling_charges_what_was_used_and_frees_the_rest() -> None:
    rules = (
        a_day_of(100),
        a_day_of(100, Unit.NANO_USD),
        a_day_of(100, Unit.REQUESTS),
        BudgetRule("ann", Unit.STREAMS, TOTAL, 100),
    )
    hold, accounts = admitted(*rules)
    closed = settle(accounts, hold, used(4, 3), NOW + 5)
    assert [account.settled for account in closed.accounts] == [7, 4 + 9, 1, 0]
    assert [account.held for account in closed.accounts] == [0, 0, 0, 0]
    assert [line.charged for line in closed.hold.lines] == [7, 13, 1, 0]
    assert not closed.overrun


def test_a_settled_hold_is_the_journal_entry_of_its_call() -> None:
    hold, accounts = admitted(a_day_of(100))
    entry = settle(accounts, hold, used(4, 3), NOW + 5).hold
    assert (entry.state, entry.closed_at, entry.outcome) == (HoldState.SETTLED, NOW + 5, "stop")
    assert (entry.usage, entry.cost_nano_usd, entry.estimated) == (TokenUsage(4, 3), 13, False)
    assert (entry.id, entry.created_at, entry.expires_at) == ("h", NOW, EXPIRES)


def test_an_overrun_is_charged_in_full_and_reported() -> None:
    hold, accounts = admitted(a_day_of(15))
    closed = settle(accounts, hold, used(5, 11), NOW)
    assert closed.overrun
    assert only(closed.accounts).settled == 16
    assert only(closed.accounts).room == -1
    assert only(closed.accounts).remaining == 0


@pytest.mark.parametrize("unit", [Unit.TOKENS, Unit.NANO_USD])
def test_an_overrun_blocks_even_what_costs_nothing(unit: Unit) -> None:
    rule = a_day_of(10, unit)
    key = rule.account_at(NOW)
    nothing = Reserve(command().hold, Demand(0, 0, 0, FREE), (rule,))
    full = {key: Account(key, 10, settled=10)}
    assert isinstance(reserve(full, None, nothing, NOW), Reserved)
    overrun = {key: Account(key, 10, settled=11)}
    assert reserve(overrun, None, nothing, NOW) == Exhausted(rule, 0, 0, MIDNIGHT)


def test_a_lowered_limit_counts_what_was_spent_and_a_raised_one_frees() -> None:
    _, accounts = admitted(a_day_of(15))
    lowered = reserve(accounts, None, command(a_day_of(7)), NOW)
    assert isinstance(lowered, Exhausted)
    assert lowered.remaining == 0
    raised = reserve(accounts, None, command(a_day_of(30)), NOW)
    assert isinstance(raised, Reserved)
    assert only(raised.accounts) == Account(a_day_of(30).account_at(NOW), 30, held=30)


def test_releasing_gives_the_whole_hold_back() -> None:
    hold, accounts = admitted(a_day_of(15), a_day_of(1, Unit.REQUESTS))
    closed = release(accounts, hold, "connection", NOW + 5)
    assert [(account.settled, account.held) for account in closed.accounts] == [(0, 0), (0, 0)]
    entry = closed.hold
    assert (entry.state, entry.closed_at, entry.outcome) == (
        HoldState.RELEASED,
        NOW + 5,
        "connection",
    )
    assert (entry.usage, entry.cost_nano_usd, closed.overrun) == (NO_USAGE, 0, False)


def test_a_hold_expires_at_its_worst_case_once_it_is_due() -> None:
    hold, accounts = admitted(
        a_day_of(15), a_day_of(1, Unit.REQUESTS), BudgetRule("ann", Unit.STREAMS, TOTAL, 1)
    )
    assert expire(accounts, hold, EXPIRES - 1) == Closed(hold, ())
    closed = expire(accounts, hold, EXPIRES)
    assert [account.settled for account in closed.accounts] == [15, 1, 0]
    assert [account.held for account in closed.accounts] == [0, 0, 0]
    entry = closed.hold
    assert (entry.state, entry.closed_at, entry.outcome) == (HoldState.EXPIRED, EXPIRES, "lost")
    assert (entry.usage, entry.cost_nano_usd, entry.estimated) == (None, None, True)


def test_a_late_settlement_corrects_an_expired_hold() -> None:
    hold, accounts = admitted(a_day_of(15), a_day_of(100, Unit.NANO_USD))
    expired = expire(accounts, hold, EXPIRES)
    accounts |= {account.key: account for account in expired.accounts}
    closed = settle(accounts, expired.hold, used(4, 3), EXPIRES + 9)
    assert [(account.settled, account.held) for account in closed.accounts] == [(7, 0), (13, 0)]
    assert (closed.hold.state, closed.hold.closed_at) == (HoldState.SETTLED, EXPIRES + 9)
    assert not closed.hold.estimated


def test_an_unknown_cost_charges_the_money_that_was_held() -> None:
    hold, accounts = admitted(a_day_of(15), a_day_of(100, Unit.NANO_USD))
    closed = settle(accounts, hold, used(1, 1, price=None), NOW)
    assert [account.settled for account in closed.accounts] == [2, 35]
    assert closed.hold.cost_nano_usd is None


@pytest.mark.parametrize("state", [HoldState.SETTLED, HoldState.RELEASED])
def test_a_closed_hold_stays_as_it_is(state: HoldState) -> None:
    hold, accounts = admitted(a_day_of(15))
    closed = (
        settle(accounts, hold, used(1, 1), NOW)
        if state is HoldState.SETTLED
        else release(accounts, hold, "connection", NOW)
    )
    unchanged = Closed(closed.hold, ())
    assert settle({}, closed.hold, used(5, 5), EXPIRES) == unchanged
    assert release({}, closed.hold, "again", EXPIRES) == unchanged
    assert expire({}, closed.hold, EXPIRES) == unchanged


def test_an_expired_hold_is_neither_released_nor_expired_again() -> None:
    hold, accounts = admitted(a_day_of(15))
    lost = expire(accounts, hold, EXPIRES).hold
    assert release({}, lost, "connection", EXPIRES) == Closed(lost, ())
    assert expire({}, lost, EXPIRES + 1) == Closed(lost, ())


def test_only_the_changed_accounts_are_written() -> None:
    hold, accounts = admitted(a_day_of(15))
    other = AccountKey("bob", Unit.TOKENS, Period.DAY, 0)
    closed = settle({**accounts, other: Account(other, 1, 1, 0)}, hold, used(1, 1), NOW)
    assert only(closed.accounts).key.scope == "ann"


def test_a_balance_says_what_a_person_may_still_spend() -> None:
    rules = (
        a_day_of(20),
        a_day_of(None, Unit.REQUESTS),
        BudgetRule("ann", Unit.TOKENS, TOTAL, 100),
    )
    hold, accounts = admitted(rules[0])
    closed = settle(accounts, hold, used(2, 1), NOW)
    accounts |= {account.key: account for account in closed.accounts}
    assert balances(accounts, rules, NOW) == (
        Balance(rules[0], settled=3, held=0, remaining=17, resets_at=MIDNIGHT),
        Balance(rules[1], settled=0, held=0, remaining=None, resets_at=MIDNIGHT),
        Balance(rules[2], settled=0, held=0, remaining=100, resets_at=None),
    )


def test_money_without_a_price_cannot_be_held() -> None:
    money = command(a_day_of(100, Unit.NANO_USD), price=None)
    with pytest.raises(ValueError, match="price"):
        reserve({}, None, money, NOW)
    unlimited = command(a_day_of(None, Unit.NANO_USD), price=None)
    with pytest.raises(ValueError, match="price"):
        reserve({}, None, unlimited, NOW)


def test_two_rules_of_one_account_are_refused() -> None:
    with pytest.raises(ValueError, match="same account"):
        command(a_day_of(1), a_day_of(2))


@pytest.mark.parametrize("period", [period for period in Period if period is not Period.TOTAL])
def test_streams_are_not_counted_in_a_window_that_ends(period: Period) -> None:
    with pytest.raises(ValueError, match="streams"):
        BudgetRule("ann", Unit.STREAMS, Window(period), 1)


@pytest.mark.parametrize("counts", [(-1, 0, 0), (0, -1, 0), (0, 0, -1)])
def test_a_negative_demand_is_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="negative"):
        Demand(*counts, price=None)


def test_a_new_hold_is_open_and_its_lines_are_not_charged() -> None:
    hold, _ = admitted(a_day_of(15))
    assert hold.state is HoldState.HELD
    assert hold.lines == (HoldLine(a_day_of(15).account_at(NOW), 15, charged=None),)
