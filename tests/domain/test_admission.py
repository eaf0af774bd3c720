"""Admission: the order of refusals, and that a refusal takes nothing."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations

import pytest

from chatnest.domain.admission import (
    Admission,
    Admitted,
    RateRule,
    Refusal,
    RefusalCode,
    admit,
    in_precedence,
    refusal_code,
    rule_name,
)
from chatnest.domain.budget import (
    Account,
    BudgetRule,
    Demand,
    Hold,
    HoldState,
    Reserve,
    Unit,
)
from chatnest.domain.ledger import Change, RateKey, Rows
from chatnest.domain.rate_limit import Algorithm, Quota, RateState
from chatnest.domain.windows import Period, Window, to_instant

S = 1_000_000
NOW = to_instant(datetime(2026, 7, 1, 23, 59, 30, tzinfo=UTC))
MIDNIGHT = NOW + 30 * S

QUOTA = RateRule(RateKey("ann", "requests"), Quota(2, 60 * S))
PER_SECOND = Quota(5, S, algorithm=Algorithm.FIXED_WINDOW)
GLOBAL_QUOTA = RateRule(RateKey("global", "requests"), PER_SECOND)
MINUTE = BudgetRule("ann", Unit.TOKENS, Window(Period.MINUTE), 20)
STREAMS = BudgetRule("ann", Unit.STREAMS, Window(Period.TOTAL), 1)
DAY = BudgetRule("ann", Unit.TOKENS, Window(Period.DAY), 100)
RULES = (DAY, STREAMS, MINUTE)

EMPTY = Rows({}, {}, {})


def command(
    *rules: BudgetRule, rates: tuple[RateRule, ...] = (QUOTA, GLOBAL_QUOTA), hold_id: str = "h"
) -> Admission:
    """Five tokens in, ten out, or as few as two."""
    hold = Hold(hold_id, "r", "ann", "balanced", "openai", "gpt", (), 10, NOW, NOW + 1)
    return Admission(Reserve(hold, Demand(5, 10, 2, None), rules or RULES), rates)


def after(rows: Rows, change: Change[Admitted | Refusal]) -> Rows:
    """What a store holds once *change* is written."""
    return Rows(
        {**rows.accounts, **{account.key: account for account in change.accounts}},
        {**rows.rates, **dict(change.rates)},
        {**rows.holds, **{hold.id: hold for hold in change.holds}},
    )


def spent(rule: BudgetRule) -> Rows:
    """*rule* has nothing left."""
    key = rule.account_at(NOW)
    return Rows({key: Account(key, rule.limit, settled=rule.limit or 0)}, {}, {})


def drained(rule: RateRule) -> Rows:
    """*rule* has nothing left."""
    quota = rule.quota
    gcra = quota.algorithm is Algorithm.GCRA
    state = RateState(NOW + quota.period_us) if gcra else RateState(NOW, quota.limit)
    return Rows({}, {rule.key: state}, {})


def together(*parts: Rows) -> Rows:
    rows = EMPTY
    for part in parts:
        rows = Rows({**rows.accounts, **part.accounts}, {**rows.rates, **part.rates}, {})
    return rows


def refused(rows: Rows, admission: Admission, now: int = NOW) -> Refusal:
    """The refusal, which must not write anything."""
    change = admit(rows, admission, now)
    assert isinstance(change.result, Refusal)
    assert change == Change(change.result)
    return change.result


def test_an_admission_is_one_change_of_every_limit_and_the_hold() -> None:
    change = admit(EMPTY, command(), NOW)
    assert isinstance(change.result, Admitted)
    assert change.holds == (change.result.hold,)
    assert [key for key, _ in change.rates] == [QUOTA.key, GLOBAL_QUOTA.key]
    assert {account.key for account in change.accounts} == {rule.account_at(NOW) for rule in RULES}
    assert all(account.held > 0 for account in change.accounts)
    assert change.result.hold.state is HoldState.HELD
    assert change.result.hold.output_cap == 10


def test_an_admission_says_what_is_left_after_it() -> None:
    change = admit(EMPTY, command(), NOW)
    assert isinstance(change.result, Admitted)
    assert [(status.rule, status.remaining) for status in change.result.rates] == [
        (QUOTA, 1),
        (GLOBAL_QUOTA, 4),
    ]
    assert [(each.rule, each.remaining) for each in change.result.balances] == [
        (MINUTE, 5),
        (STREAMS, 0),
        (DAY, 85),
    ]


def test_the_keys_are_all_rows_that_a_change_may_write() -> None:
    keys = command().keys(NOW)
    change = admit(EMPTY, command(), NOW)
    assert {account.key for account in change.accounts} == set(keys.accounts)
    assert {key for key, _ in change.rates} == set(keys.rates)
    assert {hold.id for hold in change.holds} == set(keys.holds)


@pytest.mark.parametrize("rules", list(permutations(RULES)))
def test_refusals_have_a_fixed_order(rules: tuple[BudgetRule, ...]) -> None:
    limits = [drained(QUOTA), drained(GLOBAL_QUOTA), spent(MINUTE), spent(STREAMS), spent(DAY)]
    admission = command(*rules)
    seen = []
    while limits:
        refusal = refused(together(*limits), admission)
        seen.append((refusal.code, refusal.limit_name, refusal.limit))
        limits.pop(0)
    assert seen == [
        (RefusalCode.RATE_LIMITED, "requests", 2),
        (RefusalCode.RATE_LIMITED, "requests", 5),
        (RefusalCode.RATE_LIMITED, "tokens-minute", 20),
        (RefusalCode.TOO_MANY_STREAMS, "streams", 1),
        (RefusalCode.BUDGET_EXHAUSTED, "tokens-day", 100),
    ]
    assert isinstance(admit(EMPTY, admission, NOW).result, Admitted)


def test_a_rate_limit_says_when_to_come_back_and_what_is_left_of_the_others() -> None:
    refusal = refused(drained(QUOTA), command())
    assert refusal.retry_after_us == 30 * S
    assert (refusal.unit, refusal.limit, refusal.remaining, refusal.needed) == (
        Unit.REQUESTS,
        2,
        0,
        1,
    )
    assert [(status.rule, status.remaining) for status in refusal.rates] == [
        (QUOTA, 0),
        (GLOBAL_QUOTA, 5),
    ]
    assert [balance.remaining for balance in refusal.balances] == [20, 1, 100]


def test_a_refusal_shows_the_quotas_that_it_did_not_take_from_as_whole() -> None:
    refusal = refused(drained(GLOBAL_QUOTA), command())
    assert [status.remaining for status in refusal.rates] == [2, 0]
    assert [status.remaining for status in refused(spent(DAY), command()).rates] == [2, 5]


def test_an_exhausted_budget_says_what_ran_out_and_when_it_comes_back() -> None:
    refusal = refused(spent(DAY), command())
    assert (refusal.unit, refusal.limit, refusal.remaining, refusal.needed) == (
        Unit.TOKENS,
        100,
        0,
        7,
    )
    assert refusal.retry_after_us == MIDNIGHT - NOW
    assert isinstance(admit(spent(DAY), command(), MIDNIGHT).result, Admitted)
    refused(spent(DAY), command(), MIDNIGHT - 1)


def test_no_wait_is_promised_for_a_stream_to_end() -> None:
    assert refused(spent(STREAMS), command()).retry_after_us is None


def test_no_wait_is_promised_for_what_will_never_fit() -> None:
    tight = replace(DAY, limit=6)
    refusal = refused(EMPTY, command(tight))
    assert (refusal.needed, refusal.limit, refusal.remaining) == (7, 6, 6)
    assert refusal.retry_after_us is None
    least = replace(DAY, limit=7)
    assert refused(spent(least), command(least)).retry_after_us == MIDNIGHT - NOW


def test_a_repeated_command_takes_nothing_and_is_answered_with_the_same_hold() -> None:
    first = admit(EMPTY, command(), NOW)
    assert isinstance(first.result, Admitted)
    stored = after(EMPTY, first)
    for now in (NOW, MIDNIGHT, NOW + 10**12):
        again = admit(stored, command(), now)
        assert isinstance(again.result, Admitted)
        assert again.result.hold == first.result.hold
        assert again == Change(again.result)


def test_a_repeated_command_is_answered_even_where_nothing_is_left() -> None:
    stored = after(EMPTY, admit(EMPTY, command(), NOW))
    exhausted = together(stored, drained(QUOTA), spent(DAY))
    again = admit(Rows(exhausted.accounts, exhausted.rates, stored.holds), command(), NOW)
    assert isinstance(again.result, Admitted)
    refused(exhausted, command(hold_id="another"))


def test_two_quotas_of_one_state_are_refused() -> None:
    with pytest.raises(ValueError, match="same state"):
        command(rates=(QUOTA, replace(GLOBAL_QUOTA, key=QUOTA.key)))


@pytest.mark.parametrize(
    ("unit", "period", "code", "name"),
    [
        (Unit.TOKENS, Period.MINUTE, RefusalCode.RATE_LIMITED, "tokens-minute"),
        (Unit.REQUESTS, Period.HOUR, RefusalCode.RATE_LIMITED, "requests-hour"),
        (Unit.STREAMS, Period.TOTAL, RefusalCode.TOO_MANY_STREAMS, "streams"),
        (Unit.REQUESTS, Period.DAY, RefusalCode.BUDGET_EXHAUSTED, "requests-day"),
        (Unit.NANO_USD, Period.MONTH, RefusalCode.BUDGET_EXHAUSTED, "nano_usd-month"),
        (Unit.TOKENS, Period.TOTAL, RefusalCode.BUDGET_EXHAUSTED, "tokens-total"),
    ],
)
def test_a_rule_has_a_code_and_a_name_without_its_scope(
    unit: Unit, period: Period, code: RefusalCode, name: str
) -> None:
    rule = BudgetRule("secret-customer", unit, Window(period), 1)
    assert refusal_code(rule) is code
    assert rule_name(rule) == name


def test_rules_of_one_precedence_keep_their_order() -> None:
    team, month = replace(DAY, scope="team"), BudgetRule("ann", Unit.NANO_USD, DAY.window, 1)
    rules = (month, DAY, MINUTE, team, STREAMS)
    assert in_precedence(rules) == (MINUTE, STREAMS, month, DAY, team)


def test_the_codes_stand_in_the_order_of_precedence() -> None:
    assert list(RefusalCode) == [
        "not_allowed",
        "request_too_large",
        "provider_down",
        "provider_busy",
        "duplicate",
        "rate_limited",
        "too_many_streams",
        "budget_exhausted",
    ]
