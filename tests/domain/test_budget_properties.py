"""One budget decision from any state of its accounts, against the plain model's arithmetic."""

from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from chatnest.domain.budget import (
    Account,
    AccountKey,
    BudgetRule,
    Demand,
    Exhausted,
    Hold,
    Reserve,
    Reserved,
    reserve,
)
from chatnest.domain.closing import Closed, Settlement, expire, release, settle
from chatnest.domain.usage import Price, TokenUsage
from chatnest.testing.budget_model import BudgetModel, Call, account_key, amount, used
from chatnest.testing.strategies import budget_rules, demands, prices, usages

NOW = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
EXPIRES = NOW + 10

rules_in_utc = budget_rules(st.just(ZoneInfo("UTC")), max_size=4)

Accounts = dict[AccountKey, Account]


@dataclass(frozen=True)
class Situation:
    """A call, the rules that it is judged by, and accounts that were used before."""

    demand: Demand
    rules: tuple[BudgetRule, ...]
    accounts: Accounts

    def reserve(self) -> Reserved | Exhausted:
        return reserve(self.accounts, None, a_command(self.demand, self.rules), NOW)

    def fits(self, rule: BudgetRule, cap: int) -> bool:
        """Whether the call with *cap* stays within *rule*."""
        account = self.account(rule)
        after = account.settled + account.held + amount(self.demand, rule.unit, cap)
        return rule.limit is None or after <= rule.limit

    def all_fit(self, cap: int) -> bool:
        return all(self.fits(rule, cap) for rule in self.rules)

    def account(self, rule: BudgetRule) -> Account:
        key = account_key(rule, NOW)
        return self.accounts.get(key, Account(key, None))

    @property
    def least(self) -> int:
        return min(self.demand.min_output_tokens, self.demand.max_output_tokens)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Limits that end at, just before or just after what the call needs with some cap."""
    demand = draw(demands())
    rules: list[BudgetRule] = []
    accounts: Accounts = {}
    for rule in draw(rules_in_utc):
        settled, held = draw(st.integers(0, 3)), draw(st.integers(0, 3))
        cap = draw(st.sampled_from(range(demand.max_output_tokens + 1)))
        room = amount(demand, rule.unit, cap) + draw(st.sampled_from([0, 0, 1, 2, -1]))
        limit = None if rule.limit is None else settled + held + room
        rules.append(replace(rule, limit=limit))
        if settled or held:
            key = account_key(rule, NOW)
            accounts[key] = Account(key, 999, settled, held)  # a limit that no longer holds
    return Situation(demand, tuple(rules), accounts)


@dataclass(frozen=True)
class Closing:
    """A command that may close the hold, some time before or after it is due."""

    name: str
    late_us: int
    usage: TokenUsage
    price: Price | None

    def apply(self, accounts: Accounts, hold: Hold) -> Closed:
        now = EXPIRES + self.late_us
        if self.name == "settle":
            settlement = Settlement(self.usage, self.price, estimated=False, outcome="stop")
            return settle(accounts, hold, settlement, now)
        if self.name == "release":
            return release(accounts, hold, "connection", now)
        return expire(accounts, hold, now)

    def apply_to_model(self, model: BudgetModel) -> None:
        if self.name == "settle":
            model.settle("h", self.usage, self.price)
        elif self.name == "release":
            model.release("h")
        else:
            model.expire("h", EXPIRES + self.late_us)


closings = st.builds(
    Closing,
    st.sampled_from(["settle", "release", "expire", "expire"]),
    st.integers(-1, 1),
    usages(),
    st.none() | prices(),
)


def a_command(demand: Demand, rules: tuple[BudgetRule, ...]) -> Reserve:
    cap = demand.max_output_tokens
    hold = Hold("h", "r", "ann", "balanced", "scripted", "model", (), cap, NOW, EXPIRES)
    return Reserve(hold, demand, rules)


@given(situations())
def test_exactly_what_fits_is_admitted_with_the_largest_cap_that_fits(
    situation: Situation,
) -> None:
    outcome = situation.reserve()
    assert isinstance(outcome, Reserved) == situation.all_fit(situation.least)
    if isinstance(outcome, Reserved):
        cap, most = outcome.hold.output_cap, situation.demand.max_output_tokens
        assert situation.least <= cap <= most
        assert situation.all_fit(cap)
        assert cap == most or not situation.all_fit(cap + 1)


@given(situations())
def test_a_hold_is_the_worst_case_on_each_account_and_nothing_else(situation: Situation) -> None:
    outcome = situation.reserve()
    if isinstance(outcome, Reserved):
        lines, rules = outcome.hold.lines, situation.rules
        for rule, line, account in zip(rules, lines, outcome.accounts, strict=True):
            before = situation.account(rule)
            assert line.amount == amount(situation.demand, rule.unit, outcome.hold.output_cap)
            assert account == Account(
                before.key, rule.limit, before.settled, before.held + line.amount
            )


@given(situations())
def test_a_refusal_names_the_first_rule_that_is_short_and_by_how_much(
    situation: Situation,
) -> None:
    outcome = situation.reserve()
    short = [rule for rule in situation.rules if not situation.fits(rule, situation.least)]
    assert isinstance(outcome, Exhausted) == bool(short)
    if isinstance(outcome, Exhausted):
        assert outcome.rule == short[0]
        assert outcome.rule.limit is not None
        account = situation.account(short[0])
        assert outcome.needed == amount(situation.demand, short[0].unit, situation.least)
        room = outcome.rule.limit - account.settled - account.held
        assert outcome.remaining == max(0, room)


@given(situations(), st.integers(1, 4))
def test_a_larger_limit_never_refuses_more_or_shrinks_further(
    situation: Situation, more: int
) -> None:
    larger = tuple(
        replace(rule, limit=None if rule.limit is None else rule.limit + more)
        for rule in situation.rules
    )
    outcome, relaxed = situation.reserve(), replace(situation, rules=larger).reserve()
    if isinstance(outcome, Reserved):
        assert isinstance(relaxed, Reserved)
        assert relaxed.hold.output_cap >= outcome.hold.output_cap


@given(rules_in_utc, demands(), usages(4, 6))
def test_a_call_within_its_bounds_never_overruns_and_one_beyond_them_is_reported(
    rules: tuple[BudgetRule, ...], demand: Demand, usage: TokenUsage
) -> None:
    outcome = reserve({}, None, a_command(demand, rules), NOW)
    if isinstance(outcome, Reserved):
        accounts = {account.key: account for account in outcome.accounts}
        settlement = Settlement(usage, demand.price, estimated=False, outcome="stop")
        closed = settle(accounts, outcome.hold, settlement, NOW)
        assert closed.overrun == any(
            used(line.account.unit, line.amount, usage, demand.price) > line.amount
            for line in outcome.hold.lines
        )
        shorter = usage.output_tokens <= outcome.hold.output_cap
        if shorter and usage.input_tokens <= demand.input_tokens:
            assert not closed.overrun
            assert all(account.room is None or account.room >= 0 for account in closed.accounts)


@given(situations(), st.lists(closings, min_size=2, max_size=4))
def test_a_hold_is_charged_by_the_first_closing_and_corrected_only_after_expiry(
    situation: Situation, commands: list[Closing]
) -> None:
    unlimited = tuple(replace(rule, limit=None) for rule in situation.rules)
    model = BudgetModel()
    call = model.reserve(a_command(situation.demand, unlimited), NOW)
    outcome = replace(situation, rules=unlimited).reserve()
    assert isinstance(call, Call)
    assert isinstance(outcome, Reserved)
    hold, accounts = outcome.hold, {account.key: account for account in outcome.accounts}
    for command in commands:
        before = call.state
        closed = command.apply(accounts, hold)
        command.apply_to_model(model)
        assert closed.hold.state is call.state
        if call.state is before:
            assert closed == Closed(hold, ())
        hold = closed.hold
        accounts |= {account.key: account for account in closed.accounts}
        for rule in unlimited:
            key, other = account_key(rule, NOW), situation.account(rule)
            assert accounts[key].held == other.held + model.held(key)
            assert accounts[key].settled == other.settled + model.settled(key)
