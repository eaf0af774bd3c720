"""Accounts against a plain model, through any sequence of calls, clock changes and limits."""

from dataclasses import replace
from itertools import count
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from chatnest.domain.budget import (
    Account,
    AccountKey,
    BudgetRule,
    Demand,
    Exhausted,
    Hold,
    HoldState,
    Reserve,
    Reserved,
    balances,
    reserve,
)
from chatnest.domain.closing import Closed, Settlement, expire, release, settle
from chatnest.domain.usage import Price, TokenUsage
from chatnest.testing.budget_model import BudgetModel, Shortage, window_edges
from chatnest.testing.strategies import (
    HOUR_US,
    budget_rules,
    clock_changes,
    demands,
    limits,
    prices,
    steps_us,
    usages,
)


class BudgetMachine(RuleBasedStateMachine):
    """Applies every command to stored rows and to the model, and compares them after each."""

    admitted = Bundle("admitted")

    def __init__(self) -> None:
        super().__init__()
        self.model = BudgetModel()
        self.accounts: dict[AccountKey, Account] = {}
        self.holds: dict[str, Hold] = {}
        self.budget: list[BudgetRule] = []
        self.ids = count()
        self.now = 0

    @initialize(data=st.data(), change=clock_changes(), before_us=st.integers(0, 30))
    def configure(self, data: st.DataObject, change: tuple[ZoneInfo, int], before_us: int) -> None:
        zone, instant = change
        self.budget = list(data.draw(budget_rules(st.just(zone))))
        self.now = instant - before_us * HOUR_US

    @rule(step_us=steps_us() | st.sampled_from([-1, -HOUR_US]))
    def move_the_clock(self, step_us: int) -> None:
        self.now += step_us

    @rule(index=st.integers(0, 5), before_us=st.integers(0, 1))
    def wait_for_the_end_of_a_window(self, index: int, before_us: int) -> None:
        end = window_edges(self.budget[index % len(self.budget)].window, self.now)[1]
        self.now = self.now if end is None else end - before_us

    @rule(index=st.integers(0, 5), limit=limits())
    def change_a_limit(self, index: int, limit: int | None) -> None:
        old = self.budget[index % len(self.budget)]
        self.budget[index % len(self.budget)] = BudgetRule(old.scope, old.unit, old.window, limit)

    @rule(
        target=admitted,
        demand=demands(),
        spared=st.sets(st.integers(0, 5), max_size=2),
        lease_us=st.sampled_from([0, 1, HOUR_US]),
        calls=st.integers(1, 3),
    )
    def reserve_calls(
        self, demand: Demand, spared: set[int], lease_us: int, calls: int
    ) -> MultipleResults[str]:
        rules = tuple(each for index, each in enumerate(self.budget) if index not in spared)
        ids = (f"hold-{next(self.ids)}" for _ in range(calls))
        holds = [_new_hold(hold_id, demand, self.now, lease_us) for hold_id in ids]
        commands = [Reserve(hold, demand, rules) for hold in holds]
        return multiple(*(each.hold.id for each in commands if self._reserve(each)))

    @rule(hold_id=admitted, demand=demands())
    def send_a_reservation_again(self, hold_id: str, demand: Demand) -> None:
        stored = self.holds[hold_id]
        again = Reserve(replace(stored, lines=()), demand, tuple(self.budget))
        assert reserve(self.accounts, stored, again, self.now) == Reserved(stored, ())

    @rule(hold_id=admitted, usage=usages(), price=st.none() | prices())
    def settle_a_call(self, hold_id: str, usage: TokenUsage, price: Price | None) -> None:
        before = self.holds[hold_id]
        self.model.settle(hold_id, usage, price)
        settlement = Settlement(usage, price, estimated=False, outcome="stop")
        closed = settle(self.accounts, before, settlement, self.now)
        self._store(before, closed, changes=before.state in (HoldState.HELD, HoldState.EXPIRED))

    @rule(hold_id=admitted)
    def release_a_call(self, hold_id: str) -> None:
        before = self.holds[hold_id]
        self.model.release(hold_id)
        closed = release(self.accounts, before, "connection", self.now)
        self._store(before, closed, changes=before.state is HoldState.HELD)

    @rule(hold_id=admitted, early_us=st.sampled_from([0, 0, 1]))
    def expire_a_call(self, hold_id: str, early_us: int) -> None:
        before = self.holds[hold_id]
        self.now = max(self.now, before.expires_at - early_us)
        due = hold_id in self.model.due(self.now)
        self.model.expire(hold_id, self.now)
        self._store(before, expire(self.accounts, before, self.now), changes=due)

    @invariant()
    def accounts_are_the_sums_over_the_calls(self) -> None:
        assert self.accounts.keys() == self.model.keys()
        for key, account in self.accounts.items():
            assert account.held == self.model.held(key)
            assert account.settled == self.model.settled(key)

    @invariant()
    def accounts_are_the_sums_over_the_holds(self) -> None:
        for key, account in self.accounts.items():
            lines = [
                (hold, line)
                for hold in self.holds.values()
                for line in hold.lines
                if line.account == key
            ]
            still_open = [line.amount for hold, line in lines if hold.state is HoldState.HELD]
            assert account.held == sum(still_open)
            assert account.settled == sum(line.charged or 0 for _, line in lines)

    @invariant()
    def balances_say_what_is_left(self) -> None:
        for balance in balances(self.accounts, self.budget, self.now):
            room = self.model.room(balance.rule, self.now)
            assert balance.remaining == (None if room is None else max(0, room))
            assert balance.resets_at == window_edges(balance.rule.window, self.now)[1]

    def _reserve(self, command: Reserve) -> bool:
        """Whether the model and the policy admit *command*; they agree on all of the answer."""
        expected = self.model.reserve(command, self.now)
        outcome = reserve(self.accounts, None, command, self.now)
        if isinstance(expected, Shortage):
            assert outcome == Exhausted(
                expected.rule, expected.needed, expected.remaining, expected.resets_at
            )
            self._check_resets_at(command, expected)
            return False
        assert isinstance(outcome, Reserved)
        assert outcome.hold.output_cap == expected.output_cap
        assert {line.account: line.amount for line in outcome.hold.lines} == expected.amounts
        assert [account.key for account in outcome.accounts] == list(expected.amounts)
        self.accounts |= {account.key: account for account in outcome.accounts}
        self.holds[command.hold.id] = outcome.hold
        self._check_limits(command)
        return True

    def _check_limits(self, command: Reserve) -> None:
        for each in command.rules:
            if each.limit is not None:
                account = self.accounts[each.account_at(self.now)]
                assert account.settled + account.held <= each.limit == account.limit

    def _check_resets_at(self, command: Reserve, short: Shortage) -> None:
        """Refused by that rule until just before, and then admitted if an empty one has room."""
        if short.resets_at is None:
            return
        alone = Reserve(command.hold, command.demand, (short.rule,))
        before = reserve(self.accounts, None, alone, short.resets_at - 1)
        after = reserve(self.accounts, None, alone, short.resets_at)
        assert isinstance(before, Exhausted)
        room = self.model.room(short.rule, short.resets_at)
        assert isinstance(after, Reserved) == (room is None or short.needed <= room)

    def _store(self, before: Hold, closed: Closed, *, changes: bool) -> None:
        call = self.model.calls[before.id]
        if not changes:
            assert closed == Closed(before, ())
            return
        assert closed.hold.state is call.state
        assert closed.hold.closed_at == self.now
        assert {line.account: line.charged for line in closed.hold.lines} == call.charges
        assert {account.key for account in closed.accounts} == call.amounts.keys()
        assert closed.overrun == any(
            charge > call.amounts[key] for key, charge in call.charges.items()
        )
        self.accounts |= {account.key: account for account in closed.accounts}
        self.holds[before.id] = closed.hold


def _new_hold(hold_id: str, demand: Demand, now: int, lease_us: int) -> Hold:
    cap = demand.max_output_tokens
    return Hold(
        hold_id, "request", "ann", "balanced", "scripted", "model", (), cap, now, now + lease_us
    )


TestBudget = BudgetMachine.TestCase
