"""Which limits a call falls under."""

from dataclasses import replace
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from chatnest.domain.budget import BudgetRule, Unit
from chatnest.domain.policy import ChatPolicy, RuleBook, TimeLimits
from chatnest.domain.profiles import BALANCED
from chatnest.domain.rate_limit import Algorithm
from chatnest.domain.requests import Principal
from chatnest.domain.windows import Period, Window

DAY = Window(Period.DAY)
MONTH = Window(Period.MONTH)
ALICE = Principal("user:alice", scopes=("team:red",))


def limits(policy: ChatPolicy, principal: Principal = ALICE) -> dict[tuple[str, str, str], object]:
    rules = RuleBook(policy).budgets(principal, BALANCED)
    return {(rule.scope, str(rule.unit), str(rule.window.period)): rule.limit for rule in rules}


def test_a_profile_limits_tokens_and_streams() -> None:
    assert limits(ChatPolicy()) == {
        ("user:alice", "streams", "total"): 8,
        ("user:alice", "tokens", "day"): 70_000,
    }


def test_scopes_choose_whom_a_budget_is_for() -> None:
    budgets = tuple(
        BudgetRule(scope, Unit.REQUESTS, MONTH, limit)
        for limit, scope in enumerate(
            ("global", "principal", "team:red", "team:blue", "user:bob"), start=1
        )
    )
    found = limits(ChatPolicy(budgets=budgets))

    assert found[("global", "requests", "month")] == 1
    assert found[("user:alice", "requests", "month")] == 2
    assert found[("team:red", "requests", "month")] == 3
    assert len(found) == 2 + 3


def test_of_two_rules_for_one_account_the_lower_limit_holds() -> None:
    for configured, expected in ((69_999, 69_999), (70_001, 70_000), (None, 70_000)):
        rule = BudgetRule("principal", Unit.TOKENS, DAY, configured)
        assert limits(ChatPolicy(budgets=(rule,)))[("user:alice", "tokens", "day")] == expected


def test_a_rule_for_one_caller_by_its_id_is_for_it_alone() -> None:
    policy = ChatPolicy(budgets=(BudgetRule("user:alice", Unit.REQUESTS, DAY, 1),))

    assert ("user:alice", "requests", "day") in limits(policy)
    assert ("user:bob", "requests", "day") not in limits(policy, Principal("user:bob"))


def test_a_lease_is_at_least_a_second() -> None:
    with pytest.raises(ValueError, match="a lease must be at least one second"):
        TimeLimits(lease_us=999_999)

    assert TimeLimits(lease_us=1_000_000).lease_us == 1_000_000


def test_requests_a_minute_are_the_profiles() -> None:
    (rule,) = RuleBook(ChatPolicy()).rates(ALICE, replace(BALANCED, requests_per_minute=7))

    assert (rule.key.scope, rule.quota.limit, rule.quota.period_us) == (
        "user:alice",
        7,
        60_000_000,
    )


def test_of_two_zones_for_one_account_the_profiles_is_kept_and_the_lower_limit_too() -> None:
    berlin = BudgetRule("principal", Unit.TOKENS, Window(Period.DAY, ZoneInfo("Europe/Berlin")), 5)
    rules = RuleBook(ChatPolicy(budgets=(berlin,))).budgets(ALICE, BALANCED)

    (tokens,) = (rule for rule in rules if rule.unit is Unit.TOKENS)
    assert (tokens.limit, tokens.window.zone) == (5, UTC)


def test_how_requests_are_counted_is_the_policys() -> None:
    counted = {
        algorithm: RuleBook(ChatPolicy(rate_algorithm=algorithm)).rates(ALICE, BALANCED)[0].quota
        for algorithm in Algorithm
    }

    assert all(quota.algorithm is algorithm for algorithm, quota in counted.items())


def test_the_rules_of_a_caller_are_made_once_and_for_nobody_else() -> None:
    team = BudgetRule("team:red", Unit.REQUESTS, MONTH, 3)
    book = RuleBook(ChatPolicy(budgets=(team,)))
    first = book.budgets(ALICE, BALANCED)

    assert book.budgets(Principal("user:alice", scopes=("team:red",)), BALANCED) is first
    assert book.budgets(ALICE, replace(BALANCED, max_output_tokens=7)) is first
    assert book.rates(ALICE, BALANCED) is book.rates(ALICE, BALANCED)

    for other in (
        book.budgets(Principal("user:alice"), BALANCED),
        book.budgets(Principal("user:bob", scopes=("team:red",)), BALANCED),
        book.budgets(ALICE, replace(BALANCED, tokens_per_day=7)),
        book.budgets(ALICE, replace(BALANCED, concurrent_streams=7)),
    ):
        assert other != first
    assert book.rates(Principal("user:bob"), BALANCED) != book.rates(ALICE, BALANCED)


def test_callers_without_number_are_not_remembered_without_end() -> None:
    book = RuleBook(ChatPolicy())
    first = book.budgets(ALICE, BALANCED)
    for number in range(5_000):
        book.budgets(Principal(f"user:{number}"), BALANCED)

    again = book.budgets(ALICE, BALANCED)
    assert again == first
    assert again is not first
