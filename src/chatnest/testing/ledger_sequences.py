"""The fourth part of the ledger stores' contract: any sequence of commands, step by step.

Each command runs on the store, on the same pure step over plain dicts, and on a model of budgets
that shares no arithmetic with the policies. All three agree after every one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from chatnest.domain.admission import Admission, Admitted, RateRule, Refusal, in_precedence
from chatnest.domain.budget import BudgetRule, Demand, Hold, HoldState, Reserve, Unit
from chatnest.domain.closing import Settlement
from chatnest.domain.ledger import RateKey
from chatnest.domain.ports import LedgerStore
from chatnest.domain.rate_limit import Quota
from chatnest.domain.steps import (
    Ending,
    Release,
    Transaction,
    admit_step,
    expire_step,
    release_step,
    retry_step,
    settle_step,
    withdraw_step,
)
from chatnest.domain.upkeep import forget_step, renew_step
from chatnest.domain.windows import Period, Window
from chatnest.testing.budget_model import BudgetModel, Call
from chatnest.testing.ledger_cases import (
    LEASE_US,
    NOON,
    Ledger,
    PlainLedger,
    exact,
    read,
    read_ledger,
)
from chatnest.testing.ledger_rows import on_one_ledger
from chatnest.testing.strategies import demands, prices, usages

T = TypeVar("T")

DAY_US = 86_400_000_000
NAMES = ("admit", "retry", "close", "expire", "admit", "retry", "withdraw", "renew", "forget")
CALLS = 6
"""How many hold ids a sequence has: few enough that ids meet again in every state."""


@dataclass(frozen=True)
class Command:
    """One line of a sequence: what to do, and how long to wait first.

    ``number`` is the call to admit or withdraw; ``known`` counts back among the calls that were
    admitted so far, round and round.
    """

    name: str
    number: int
    known: int
    demand: Demand
    ending: Ending
    wait_us: int


def endings() -> st.SearchStrategy[Ending]:
    """A release, or a settlement of any small usage at a known or unknown price."""
    settlement = st.builds(
        Settlement, usages(), st.none() | prices(), st.booleans(), st.just("stop")
    )
    return st.builds(Release, st.just("not_sent")) | settlement


def commands() -> st.SearchStrategy[Command]:
    """Any command about any call; many come at the instant of the one before."""
    numbers = st.integers(0, CALLS - 1)
    return st.builds(
        Command,
        st.sampled_from(NAMES),
        numbers,
        st.integers(0, 3),
        demands(),
        endings(),
        st.sampled_from([0, 0, 0, LEASE_US - 1, LEASE_US, DAY_US]),
    )


def rules() -> st.SearchStrategy[tuple[BudgetRule, ...]]:
    """One rule in every unit, with room for a few calls or for any number."""
    return st.tuples(
        rule_of("ann", Unit.TOKENS, Period.DAY, 5, 40),
        rule_of("team:red", Unit.NANO_USD, Period.MONTH, 5, 80),
        rule_of("global", Unit.REQUESTS, Period.HOUR, 1, 5),
        rule_of("ann", Unit.STREAMS, Period.TOTAL, 1, 3),
    )


def rule_of(
    scope: str, unit: Unit, period: Period, least: int, most: int
) -> st.SearchStrategy[BudgetRule]:
    """A rule with a limit from *least* to *most*, or with none."""
    limits = st.none() | st.integers(least, most)
    return st.builds(BudgetRule, st.just(scope), st.just(unit), st.just(Window(period)), limits)


class LedgerSequencesContract:
    """The store, plain dicts and the model stay equal through any sequence."""

    @on_one_ledger
    @given(
        rules=rules(),
        quota=st.builds(Quota, st.integers(1, 8), st.just(LEASE_US)),
        sequence=st.lists(commands(), max_size=16),
    )
    async def test_any_sequence_gives_equal_results_step_by_step(
        self,
        store: LedgerStore,
        rules: tuple[BudgetRule, ...],
        quota: Quota,
        sequence: Sequence[Command],
    ) -> None:
        """Results, rows, due holds, and the sums over all calls."""
        run = Run(store, rules, quota)
        try:
            for command in sequence:
                await run.follow(command)
                await run.compare()
            await run.compare_all()
        finally:
            await run.end()


_runs = count()


@dataclass
class Run:
    """One sequence under way. Every run has scopes and ids of its own, as runs share a ledger."""

    store: LedgerStore
    rules: tuple[BudgetRule, ...]
    quota: Quota
    now: int = NOON
    plain: PlainLedger = field(default_factory=PlainLedger)
    model: BudgetModel = field(default_factory=BudgetModel)
    remembered: dict[str, Hold] = field(default_factory=dict)
    prefix: str = field(default_factory=lambda: f"run {next(_runs)} ")

    def __post_init__(self) -> None:
        owned = (replace(rule, scope=self.prefix + rule.scope) for rule in self.rules)
        self.rules = in_precedence(owned)

    async def follow(self, command: Command) -> None:
        """Run *command* everywhere; while no call was admitted there is none to close."""
        self.now += command.wait_us
        admission = self.admission(command.number, command.demand)
        holds = list(self.remembered.values())
        hold = holds[-1 - command.known % len(holds)] if holds else None
        match command.name:
            case "admit":
                await self.admit(admission)
            case "withdraw":
                await self.withdraw(admission.reserve.hold)
            case "close" if hold is not None:
                await self.close(hold, command.ending)
            case "expire" if hold is not None:
                await self.expire(hold)
            case "renew" if hold is not None:
                await self.renew(holds[-1 - command.known :])
            case "forget" if hold is not None:
                await self.forget(holds[-1 - command.known :])
            case "retry" if hold is not None:
                await self.retry(hold, command.ending, admission)

    async def both(self, transaction: Transaction[T]) -> T:
        """The result of *transaction*, which must be the same with and without a store."""
        expected = self.plain.apply(*transaction)
        assert await self.store.transact(*transaction) == expected
        return expected

    async def admit(self, admission: Admission) -> None:
        """Admit, and let the model judge the budgets where no quota has refused already."""
        decision = await self.both(admit_step(admission, self.now))
        if not self.limited(decision):
            self.judge(admission, decision)

    async def withdraw(self, hold: Hold) -> None:
        """Withdraw; an id that was never admitted becomes a call of nothing."""
        stored = await self.both(withdraw_step(hold, "withdrawn", self.now))
        known = self.model.calls.setdefault(
            hold.id, Call(hold.id, {}, hold.output_cap, hold.expires_at, HoldState.RELEASED)
        )
        assert stored is not None
        assert stored.state is known.state

    async def expire(self, hold: Hold) -> None:
        """Expire; one that was forgotten stays so."""
        await self.both(expire_step(hold, self.now))
        if hold.id in self.model.calls:
            self.model.expire(hold.id, self.now)

    async def renew(self, holds: Sequence[Hold]) -> None:
        """Renew all of *holds*; those that were forgotten are put back."""
        expires_at = self.now + LEASE_US
        standing = await self.both(renew_step(holds, expires_at))
        for hold in holds:
            if self.put_back_in_model(hold):
                self.model.renew(hold.id, expires_at)
        calls = [self.model.calls[hold.id] for hold in holds if hold.id in self.model.calls]
        assert standing == len([call for call in calls if call.state is HoldState.HELD])

    async def forget(self, holds: Sequence[Hold]) -> None:
        """Forget those of *holds* that are closed."""
        before = len(self.model.calls)
        forgotten = await self.both(forget_step(holds))
        for hold in holds:
            self.model.forget(hold.id)
        assert forgotten == before - len(self.model.calls)

    async def close(self, hold: Hold, ending: Ending) -> None:
        """Settle or release."""
        match ending:
            case Settlement():
                await self.both(settle_step(hold, ending, self.now))
            case Release(outcome=outcome):
                await self.both(release_step(hold, outcome, self.now))
        self.close_in_model(hold.id, ending)

    async def retry(self, hold: Hold, ending: Ending, following: Admission) -> None:
        """Close and admit in one step; the model does one after the other."""
        retried = await self.both(retry_step(hold, ending, following, self.now))
        self.close_in_model(hold.id, ending)
        self.judge(following, retried.decision)

    def close_in_model(self, hold_id: str, ending: Ending) -> None:
        """Settle or release in the model; a call that was forgotten counts as lost."""
        if not self.put_back_in_model(self.remembered[hold_id]):
            return
        match ending:
            case Settlement():
                self.model.settle(hold_id, ending.usage, ending.price)
            case Release():
                self.model.release(hold_id)

    def put_back_in_model(self, hold: Hold) -> bool:
        """Remember *hold* if it was forgotten, unless it never stood; whether it is known then."""
        if hold.state is HoldState.HELD:
            amounts = {line.account: line.amount for line in hold.lines}
            self.model.put_back(Call(hold.id, amounts, hold.output_cap, hold.expires_at))
        return hold.id in self.model.calls

    def judge(self, admission: Admission, decision: Admitted | Refusal) -> None:
        """Compare *decision* with the model's own."""
        known = admission.reserve.hold.id in self.model.calls
        match self.model.reserve(admission.reserve, self.now):
            case Call() as expected:
                assert isinstance(decision, Admitted), decision
                amounts = {line.account: line.amount for line in decision.hold.lines}
                assert amounts == expected.amounts
                assert decision.hold.output_cap == expected.output_cap
                if not (known and decision.hold.id in self.remembered):
                    self.remembered[decision.hold.id] = decision.hold
            case shortage:
                assert isinstance(decision, Refusal), decision
                assert (decision.needed, decision.remaining) == (
                    shortage.needed,
                    shortage.remaining,
                )

    def limited(self, decision: Admitted | Refusal) -> bool:
        """Whether the quota, and no budget, refused."""
        return isinstance(decision, Refusal) and decision.limit_name == "requests"

    def admission(self, number: int, demand: Demand) -> Admission:
        """The command to admit the call of *number*."""
        hold = Hold(
            id=f"{self.prefix}call {number}",
            request_id="request",
            principal="ann",
            profile="balanced",
            provider="scripted",
            model="parrot",
            lines=(),
            output_cap=demand.max_output_tokens,
            created_at=self.now,
            expires_at=self.now + LEASE_US,
        )
        rate = RateRule(RateKey(f"{self.prefix}ann", "requests"), self.quota)
        return Admission(Reserve(hold, demand, self.rules), (rate,))

    async def compare(self) -> None:
        """All rows and due holds are equal, and the accounts are what the model sums up."""
        keys = self.plain.everything()
        rows = await read(self.store, keys)
        assert exact(rows) == exact(self.plain.rows(keys))
        for key in self.plain.accounts:
            account = rows.accounts[key]
            assert account.settled == self.model.settled(key)
            assert account.held == self.model.held(key)
        due = await self.store.due_holds(self.now, 1_000)
        own = [hold.id for hold in due if hold.id.startswith(self.prefix)]
        assert sorted(own) == sorted(self.model.due(self.now))

    async def compare_all(self) -> None:
        """A snapshot has exactly the rows of this run; every account is the sum of its calls."""
        ledger = (await read_ledger(self.store)).of(self.prefix)
        assert ledger == Ledger(self.plain.accounts, self.plain.holds)
        assert ledger.drifts == ()

    async def end(self) -> None:
        """Leave no hold open that would be due in the runs that follow on the same ledger."""
        for hold in self.plain.holds.values():
            await self.store.transact(*release_step(hold, "ended", self.now))
