"""What a reader is told of its limits is what its settlement leaves, if nobody else calls."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from chatnest.domain.budget import (
    Account,
    BudgetRule,
    Demand,
    Hold,
    Reserved,
    Unit,
    balances,
    hold_worst_case,
)
from chatnest.domain.closing import Settlement, release, settle
from chatnest.domain.foreseen import balances_after
from chatnest.domain.steps import Ending, Release
from chatnest.domain.usage import Price, TokenUsage
from chatnest.domain.windows import Period, Window

NOW = 1_700_000_000_000_000
HOLD = Hold("h", "r", "user:a", "p", "openai", "m", (), 100, NOW, NOW + 1)
PRICE = Price(3_000_000, 7_000_000)

rules = st.builds(
    lambda scope, unit, limit: BudgetRule(
        scope,
        unit,
        Window(Period.TOTAL if unit is Unit.STREAMS else Period.DAY),
        limit,
    ),
    st.sampled_from(["user:a", "global"]),
    st.sampled_from(Unit),
    st.none() | st.integers(500, 5_000),
)
several = st.lists(rules, unique_by=lambda rule: (rule.scope, rule.unit), max_size=5).map(tuple)
usages = st.builds(TokenUsage, st.integers(0, 9_000), st.integers(0, 9_000))
endings = st.builds(
    Settlement, usages, st.sampled_from([PRICE, None]), st.booleans(), st.just("stop")
) | st.just(Release("overloaded"))


@given(several, endings, st.integers(0, 300))
def test_what_is_foreseen_is_what_the_settlement_leaves(
    limits: tuple[BudgetRule, ...], ending: Ending, used: int
) -> None:
    accounts = {}
    for rule in limits:
        key = rule.account_at(NOW)
        accounts[key] = Account(key, rule.limit, settled=0 if rule.unit is Unit.STREAMS else used)
    reserved = hold_worst_case(accounts, HOLD, Demand(20, 100, 1, PRICE), limits, NOW)
    assert isinstance(reserved, Reserved)
    held = {account.key: account for account in reserved.accounts}
    closed = (
        release(held, reserved.hold, ending.outcome, NOW)
        if isinstance(ending, Release)
        else settle(held, reserved.hold, ending, NOW)
    )
    left = balances({account.key: account for account in closed.accounts}, limits, NOW)
    assert balances_after(balances(held, limits, NOW), reserved.hold, ending) == left


def test_a_limit_that_the_call_does_not_count_in_stays_as_it_was() -> None:
    rule = BudgetRule("team:x", Unit.TOKENS, Window(Period.DAY), 10)
    left = balances({}, [rule], NOW)
    usage = Settlement(TokenUsage(1, 1), PRICE, False, "stop")
    assert balances_after(left, replace(HOLD), usage) == left
