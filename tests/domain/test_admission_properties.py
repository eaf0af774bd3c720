"""Admission from any state of its limits: the first that is short refuses, and nothing is taken."""

from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from chatnest.domain.admission import Admission, Admitted, RateRule, Refusal, admit
from chatnest.domain.budget import Account, BudgetRule, Demand, Hold, Reserve, Unit
from chatnest.domain.ledger import Change, RateKey, Rows
from chatnest.domain.rate_limit import Algorithm, Quota, RateState, Taken, take
from chatnest.domain.windows import Period
from chatnest.testing.budget_model import BudgetModel, Call, account_key, amount, window_edges
from chatnest.testing.strategies import budget_rules, demands

NOW = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
PERIOD_US = 1_000

limits_of_quotas = st.integers(1, 3)
taken_before = st.lists(st.integers(0, 3), min_size=3, max_size=3)
spent_before = st.lists(st.integers(0, 12), min_size=4, max_size=4)
rules_in_utc = budget_rules(st.just(ZoneInfo("UTC")), max_size=4)


@st.composite
def rate_rules(draw: st.DrawFn) -> tuple[RateRule, ...]:
    scopes = draw(st.lists(st.sampled_from(["ann", "team:red", "global"]), unique=True))
    algorithm = st.sampled_from(Algorithm)
    quota = st.builds(Quota, limits_of_quotas, st.just(PERIOD_US), st.none(), algorithm)
    return tuple(RateRule(RateKey(scope, "requests"), draw(quota)) for scope in scopes)


def a_command(
    demand: Demand, rules: tuple[BudgetRule, ...], rates: tuple[RateRule, ...], hold_id: str = "h"
) -> Admission:
    hold = Hold(hold_id, "r", "ann", "balanced", "openai", "gpt", (), 6, NOW, NOW + 1)
    return Admission(Reserve(hold, demand, rules), rates)


def after_takes(rule: RateRule, count: int) -> RateState | None:
    state: RateState | None = None
    for _ in range(min(count, rule.quota.limit)):
        decision = take(state, rule.quota, 1, NOW)
        assert isinstance(decision, Taken)
        state = decision.state
    return state


def rows_of(
    rates: tuple[RateRule, ...],
    takes: list[int],
    rules: tuple[BudgetRule, ...],
    settled: list[int],
) -> Rows:
    states = {
        rule.key: state
        for rule, count in zip(rates, takes, strict=False)
        if (state := after_takes(rule, count)) is not None
    }
    keys = [account_key(rule, NOW) for rule in rules]
    accounts = {key: Account(key, 9, count) for key, count in zip(keys, settled, strict=False)}
    return Rows(accounts, states, {})


def shorts(
    rates: tuple[RateRule, ...],
    takes: list[int],
    rules: tuple[BudgetRule, ...],
    settled: list[int],
    demand: Demand,
) -> list[tuple[int, RateRule | BudgetRule]]:
    """Every limit that is short with its rank, first the one that must be named."""
    least = min(demand.min_output_tokens, demand.max_output_tokens)
    short: list[tuple[int, RateRule | BudgetRule]] = [
        (0, rule) for rule, count in zip(rates, takes, strict=False) if count >= rule.quota.limit
    ]
    for rule, spent in zip(rules, settled, strict=False):
        if rule.limit is not None and spent + amount(demand, rule.unit, least) > rule.limit:
            hour_or_less = rule.window.period in {Period.MINUTE, Period.HOUR}
            short.append((1 if hour_or_less else 2 if rule.unit is Unit.STREAMS else 3, rule))
    return sorted(short, key=lambda ranked: ranked[0])


@given(rate_rules(), taken_before, rules_in_utc, spent_before, demands())
def test_the_first_limit_that_is_short_refuses_and_none_that_is_not(
    rates: tuple[RateRule, ...],
    takes: list[int],
    rules: tuple[BudgetRule, ...],
    settled: list[int],
    demand: Demand,
) -> None:
    change = admit(rows_of(rates, takes, rules, settled), a_command(demand, rules, rates), NOW)
    short = shorts(rates, takes, rules, settled, demand)
    assert isinstance(change.result, Refusal) == bool(short)
    if isinstance(change.result, Refusal):
        rank, first = short[0]
        names = ("rate_limited", "rate_limited", "too_many_streams", "budget_exhausted")
        assert change.result.code == names[rank]
        limit = first.quota.limit if isinstance(first, RateRule) else first.limit
        assert change.result.limit == limit


@given(rate_rules(), taken_before, rules_in_utc, spent_before, demands())
def test_all_limits_are_taken_from_or_none_and_a_repeat_takes_nothing(
    rates: tuple[RateRule, ...],
    takes: list[int],
    rules: tuple[BudgetRule, ...],
    settled: list[int],
    demand: Demand,
) -> None:
    rows = rows_of(rates, takes, rules, settled)
    command = a_command(demand, rules, rates)
    change = admit(rows, command, NOW)
    if isinstance(change.result, Refusal):
        assert change == Change(change.result)
        return
    assert change.holds == (change.result.hold,)
    assert [key for key, _ in change.rates] == [rule.key for rule in rates]
    assert sorted(account.key for account in change.accounts) == sorted(
        account_key(rule, NOW) for rule in rules
    )
    for rule, (_, state), count in zip(rates, change.rates, takes, strict=False):
        assert state == after_takes(rule, count + 1)
    accounts = {**rows.accounts, **{account.key: account for account in change.accounts}}
    stored = Rows(accounts, dict(change.rates), {"h": change.result.hold})
    again = admit(stored, command, NOW)
    assert isinstance(again.result, Admitted)
    assert (again.result.hold, again) == (change.result.hold, Change(again.result))


@given(rate_rules(), rules_in_utc, demands())
def test_calls_are_admitted_until_the_first_limit_is_reached(
    rates: tuple[RateRule, ...], rules: tuple[BudgetRule, ...], demand: Demand
) -> None:
    model, rows = BudgetModel(), Rows({}, {}, {})
    quota = min((rule.quota.limit for rule in rates), default=10)
    for index in range(10):
        command = a_command(demand, rules, rates, hold_id=f"h{index}")
        expected = index < quota and isinstance(model.reserve(command.reserve, NOW), Call)
        change = admit(rows, command, NOW)
        assert isinstance(change.result, Admitted) == expected
        rows = Rows(
            {**rows.accounts, **{account.key: account for account in change.accounts}},
            {**rows.rates, **dict(change.rates)},
            rows.holds,
        )
    assert all(account.held == model.held(key) for key, account in rows.accounts.items())


@given(budget_rules(st.just(ZoneInfo("UTC")), max_size=1), st.integers(0, 12), demands())
def test_retry_after_is_the_end_of_the_window_where_that_helps(
    rules: tuple[BudgetRule, ...], settled: int, demand: Demand
) -> None:
    rows = rows_of((), [], rules, [settled])
    command = a_command(demand, rules, ())
    refusal = admit(rows, command, NOW).result
    if isinstance(refusal, Refusal):
        wait_us = refusal.retry_after_us
        end = window_edges(rules[0].window, NOW)[1]
        assert refusal.needed is not None
        assert refusal.limit is not None
        assert (wait_us is None) == (end is None or refusal.needed > refusal.limit)
        if wait_us is not None:
            assert isinstance(admit(rows, command, NOW + wait_us).result, Admitted)
            assert isinstance(admit(rows, command, NOW + wait_us - 1).result, Refusal)
