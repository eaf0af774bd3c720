"""The third part of the ledger stores' contract: the life of a call, through the policies."""

from dataclasses import replace

import pytest

from chatnest.domain.admission import Admitted, RateRule, Refusal, RefusalCode
from chatnest.domain.budget import Hold, HoldLine, HoldState
from chatnest.domain.ledger import Keys, RateKey
from chatnest.domain.ports import LedgerStore
from chatnest.domain.rate_limit import Quota
from chatnest.domain.steps import (
    Release,
    admit_step,
    balances_step,
    expire_step,
    release_step,
    retry_step,
    settle_step,
    withdraw_step,
)
from chatnest.testing.ledger_cases import (
    LEASE_US,
    NOON,
    admitted,
    call,
    exact,
    read,
    read_account,
    read_hold,
    spent_and_held,
    streams_at_once,
    tokens_a_day,
    used,
    writing,
)

DAY = tokens_a_day(100)
ACCOUNT = DAY.account_at(NOON)
LATE = NOON + LEASE_US
DAY_US = 86_400_000_000
MINUTELY = RateRule(RateKey("ann", "requests"), Quota(2, 60_000_000))


class LedgerCallsContract:
    """Admit, settle, release, expire, withdraw and retry leave the ledger as they should."""

    async def test_an_admission_holds_and_a_settlement_charges(self, store: LedgerStore) -> None:
        """What was held and not used is free again at once."""
        hold = await admitted(store, call("h", DAY))
        assert await spent_and_held(store, ACCOUNT) == (0, 10)
        result = await store.transact(*settle_step(hold, used(7), NOON + 1))
        assert (result.hold.state, result.overrun) == (HoldState.SETTLED, False)
        assert await read_hold(store, "h") == result.hold
        assert await spent_and_held(store, ACCOUNT) == (7, 0)
        (balance,) = await store.transact(*balances_step([DAY], NOON))
        assert (balance.settled, balance.held, balance.remaining) == (7, 0, 93)

    async def test_a_refusal_changes_nothing(self, store: LedgerStore) -> None:
        """Not even the rate limit, which is judged before the budget that refuses."""
        await admitted(store, call("h", tokens_a_day(15), rates=(MINUTELY,)))
        keys = Keys((ACCOUNT,), (MINUTELY.key,), ("h", "late"))
        before = await read(store, keys)
        refused = call("late", tokens_a_day(15), rates=(MINUTELY,))
        decision = await store.transact(*admit_step(refused, NOON))
        assert isinstance(decision, Refusal)
        assert decision.code is RefusalCode.BUDGET_EXHAUSTED
        assert exact(await read(store, keys)) == exact(before)

    async def test_a_quota_that_is_used_up_refuses(self, store: LedgerStore) -> None:
        """Two are taken; the third is told to wait, and takes nothing."""
        decisions = [
            await store.transact(*admit_step(call(name, DAY, rates=(MINUTELY,)), NOON))
            for name in ("one", "two", "three")
        ]
        assert [type(decision) for decision in decisions] == [Admitted, Admitted, Refusal]
        assert await read_hold(store, "three") is None
        assert await spent_and_held(store, ACCOUNT) == (0, 20)

    async def test_an_admission_that_is_sent_again_is_answered_the_same(
        self, store: LedgerStore
    ) -> None:
        """It takes nothing, from no limit, and not even after its window."""
        command = call("h", DAY, rates=(MINUTELY,))
        hold = await admitted(store, command)
        before = await read(store, command.keys(NOON))
        assert await admitted(store, command, NOON + DAY_US) == hold
        assert exact(await read(store, command.keys(NOON))) == exact(before)
        assert await read_account(store, DAY.account_at(NOON + DAY_US)) is None

    async def test_a_hold_settles_into_the_window_that_it_was_made_in(
        self, store: LedgerStore
    ) -> None:
        """A call that runs past midnight is yesterday's."""
        hold = await admitted(store, call("h", DAY))
        await store.transact(*settle_step(hold, used(7), NOON + DAY_US))
        assert await spent_and_held(store, ACCOUNT) == (7, 0)
        assert await read_account(store, DAY.account_at(NOON + DAY_US)) is None

    async def test_a_release_gives_everything_back(self, store: LedgerStore) -> None:
        """And a settlement that comes after it charges nothing."""
        hold = await admitted(store, call("h", DAY, streams_at_once(1)))
        await store.transact(*release_step(hold, "not_sent", NOON))
        await store.transact(*settle_step(hold, used(7), NOON))
        assert await spent_and_held(store, ACCOUNT) == (0, 0)
        assert await spent_and_held(store, streams_at_once(1).account_at(NOON)) == (0, 0)
        stored = await read_hold(store, "h")
        assert stored is not None
        assert (stored.state, stored.outcome) == (HoldState.RELEASED, "not_sent")

    async def test_what_a_provider_bills_beyond_the_hold_is_charged(
        self, store: LedgerStore
    ) -> None:
        """The overrun is told of, and stands in the way of the next admission."""
        hold = await admitted(store, call("h", DAY))
        assert (await store.transact(*settle_step(hold, used(95), NOON))).overrun
        assert await spent_and_held(store, ACCOUNT) == (95, 0)
        decision = await store.transact(*admit_step(call("next", DAY), NOON))
        assert isinstance(decision, Refusal)

    @pytest.mark.parametrize("ending", ["settle", "release"])
    async def test_closing_again_changes_nothing(self, store: LedgerStore, ending: str) -> None:
        """Whatever the second command says; the stored hold wins over the remembered one."""
        hold = await admitted(store, call("h", DAY))
        first = settle_step(hold, used(7), NOON) if ending == "settle" else None
        await store.transact(*(first or release_step(hold, "not_sent", NOON)))
        keys = Keys((ACCOUNT,), (), ("h",))
        before = await read(store, keys)
        for transaction in (
            settle_step(hold, used(9), LATE),
            release_step(hold, "other", LATE),
            expire_step(hold, LATE),
        ):
            again = await store.transact(*transaction)
            assert again.hold == before.holds["h"]
            assert again.accounts == ()
        assert exact(await read(store, keys)) == exact(before)

    async def test_a_hold_expires_at_its_worst_case_when_it_is_due(
        self, store: LedgerStore
    ) -> None:
        """Not a microsecond earlier."""
        hold = await admitted(store, call("h", DAY))
        await store.transact(*expire_step(hold, LATE - 1))
        assert await spent_and_held(store, ACCOUNT) == (0, 10)
        (due,) = await store.due_holds(LATE, 9)
        await store.transact(*expire_step(due, LATE))
        assert await spent_and_held(store, ACCOUNT) == (10, 0)
        assert not await store.due_holds(LATE, 9)

    @pytest.mark.parametrize("tokens", [4, 10, 30])
    async def test_a_late_settlement_corrects_an_expired_hold(
        self, store: LedgerStore, tokens: int
    ) -> None:
        """Down or up; once."""
        hold = await admitted(store, call("h", DAY))
        await store.transact(*expire_step(hold, LATE))
        for _ in range(2):
            await store.transact(*settle_step(hold, used(tokens), LATE + 1))
            assert await spent_and_held(store, ACCOUNT) == (tokens, 0)

    async def test_a_hold_that_the_ledger_lost_is_charged_once(self, store: LedgerStore) -> None:
        """After a failover that dropped the admission, the provider's bill still comes."""
        await admitted(store, call("other", DAY))
        hold = lost_hold("h")
        for _ in range(2):
            await store.transact(*settle_step(hold, used(7), NOON))
            assert await spent_and_held(store, ACCOUNT) == (7, 10)
        stored = await read_hold(store, "h")
        assert stored is not None
        assert stored.state is HoldState.SETTLED

    async def test_a_lost_hold_that_had_expired_is_charged_as_well(
        self, store: LedgerStore
    ) -> None:
        """Its worst case is lost with it; what was really used is known."""
        line = replace(lost_hold("h").lines[0], charged=10)
        expired = replace(lost_hold("h"), state=HoldState.EXPIRED, lines=(line,))
        await store.transact(*settle_step(expired, used(7), LATE))
        assert await spent_and_held(store, ACCOUNT) == (7, 0)

    async def test_an_account_that_the_ledger_lost_starts_again_with_what_is_known(
        self, store: LedgerStore
    ) -> None:
        """From the parts of the holds that are left: open, then expired, then settled."""
        hold = lost_hold("h")
        await store.transact(*writing(holds=[hold]))
        await store.transact(*expire_step(hold, LATE))
        assert await spent_and_held(store, ACCOUNT) == (10, 0)
        await store.transact(*settle_step(hold, used(7), LATE))
        assert await spent_and_held(store, ACCOUNT) == (7, 0)

    async def test_a_lost_hold_is_released_and_never_expires(self, store: LedgerStore) -> None:
        """There is nothing to give back, and nothing to charge."""
        await admitted(store, call("other", DAY))
        await store.transact(*release_step(lost_hold("released"), "not_sent", NOON))
        await store.transact(*expire_step(lost_hold("expired"), LATE))
        assert await spent_and_held(store, ACCOUNT) == (0, 10)
        released = await read_hold(store, "released")
        assert released is not None
        assert released.state is HoldState.RELEASED
        assert await read_hold(store, "expired") is None

    async def test_a_withdrawn_admission_holds_nothing_when_it_arrives(
        self, store: LedgerStore
    ) -> None:
        """The late command finds its hold released."""
        command = call("h", DAY)
        await store.transact(*withdraw_step(command.reserve.hold, "withdrawn", NOON))
        late = await admitted(store, command)
        assert (late.state, late.lines) == (HoldState.RELEASED, ())
        assert await spent_and_held(store, ACCOUNT) == (0, 0)

    async def test_a_withdrawal_that_comes_too_late_returns_the_hold(
        self, store: LedgerStore
    ) -> None:
        """So that it can be released; nothing is changed before that."""
        command = call("h", DAY)
        hold = await admitted(store, command)
        withdrawn = await store.transact(*withdraw_step(command.reserve.hold, "withdrawn", NOON))
        assert withdrawn == hold
        assert await spent_and_held(store, ACCOUNT) == (0, 10)

    async def test_a_retry_is_judged_on_what_the_failed_attempt_leaves(
        self, store: LedgerStore
    ) -> None:
        """There is room for one attempt at a time; sent again, the retry changes nothing."""
        rules = (tokens_a_day(14), streams_at_once(1))
        failed = await admitted(store, call("first", *rules, rates=(MINUTELY,)))
        keys = Keys((ACCOUNT,), (MINUTELY.key,), ("first", "second"))
        rate = (await read(store, keys)).rates[MINUTELY.key]
        following = call("second", *rules, rates=(MINUTELY,))
        for _ in range(2):
            retried = await store.transact(*retry_step(failed, used(4), following, NOON))
            assert isinstance(retried.decision, Admitted)
            rows = await read(store, keys)
            assert rows.holds["first"] == retried.closed.hold
            assert rows.holds["first"].state is HoldState.SETTLED
            assert rows.holds["second"] == retried.decision.hold
            assert rows.rates[MINUTELY.key] == rate
            assert await spent_and_held(store, ACCOUNT) == (4, 10)

    async def test_a_released_attempt_costs_its_retry_nothing(self, store: LedgerStore) -> None:
        """The room of the first attempt is the room of the second."""
        rule = tokens_a_day(10)
        failed = await admitted(store, call("first", rule))
        retry = retry_step(failed, Release("not_sent"), call("second", rule), NOON)
        retried = await store.transact(*retry)
        assert isinstance(retried.decision, Admitted)
        assert retried.closed.hold.state is HoldState.RELEASED
        assert await spent_and_held(store, ACCOUNT) == (0, 10)

    async def test_a_refused_retry_closes_the_failed_attempt(self, store: LedgerStore) -> None:
        """What it may have cost is charged; the next attempt holds nothing."""
        rule = tokens_a_day(13)
        failed = await admitted(store, call("first", rule))
        retry = retry_step(failed, used(4), call("second", rule), NOON)
        retried = await store.transact(*retry)
        assert isinstance(retried.decision, Refusal)
        assert retried.decision.remaining == 9
        assert await spent_and_held(store, ACCOUNT) == (4, 0)
        assert await read_hold(store, "second") is None

    async def test_a_retry_under_the_same_id_is_told_that_its_hold_is_closed(
        self, store: LedgerStore
    ) -> None:
        """One id is one hold: whoever uses it twice has none for the second attempt."""
        failed = await admitted(store, call("h", DAY))
        retried = await store.transact(*retry_step(failed, used(7), call("h", DAY), NOON))
        assert isinstance(retried.decision, Admitted)
        assert retried.decision.hold.state is HoldState.SETTLED
        assert await spent_and_held(store, ACCOUNT) == (7, 0)

    async def test_a_retry_past_midnight_counts_on_both_days(self, store: LedgerStore) -> None:
        """The failed attempt on the day that it began, the next one on its own."""
        failed = await admitted(store, call("first", DAY))
        retry = retry_step(failed, used(7), call("second", DAY), NOON + DAY_US)
        await store.transact(*retry)
        assert await spent_and_held(store, ACCOUNT) == (7, 0)
        assert await spent_and_held(store, DAY.account_at(NOON + DAY_US)) == (0, 10)


def lost_hold(hold_id: str) -> Hold:
    """A hold as its caller remembers it, of ten tokens, that was never written."""
    return replace(call(hold_id, DAY).reserve.hold, lines=(HoldLine(ACCOUNT, 10),))
