"""The sixth part of the ledger stores' contract: leases, and history that ends."""

from dataclasses import replace

import pytest

from chatnest.domain.budget import Account, BudgetRule, Hold, HoldLine, HoldState, Unit
from chatnest.domain.ledger import Change, Keys, Rows
from chatnest.domain.ports import LedgerStore
from chatnest.domain.rate_limit import RateState
from chatnest.domain.steps import expire_step, release_step, settle_step
from chatnest.domain.upkeep import charge_dead_holds, forget_step, prune, renew_step
from chatnest.domain.windows import Period, Window
from chatnest.testing.ledger_calls import lost_hold
from chatnest.testing.ledger_cases import (
    LEASE_US,
    NOON,
    Ledger,
    admitted,
    at_once,
    call,
    closed,
    exact,
    forgetting,
    open_hold,
    read,
    read_account,
    read_hold,
    read_ledger,
    spent_and_held,
    streams_at_once,
    tokens_a_day,
    used,
    writing,
)
from chatnest.testing.ledger_races import CROWD
from chatnest.testing.ledger_rows import A_KEY, A_RATE, NO_ROWS

DAY = tokens_a_day(None)
ACCOUNT = DAY.account_at(NOON)
MINUTE = BudgetRule("ann", Unit.REQUESTS, Window(Period.MINUTE), None)
LATE = NOON + LEASE_US


class LedgerHistoryContract:
    """Rows that are forgotten are gone; what they charged is not."""

    @pytest.fixture
    def other_store(self, store: LedgerStore) -> LedgerStore:
        """A second store on the ledger of ``store``; to be overridden where there can be one."""
        return store

    async def test_rows_that_are_forgotten_are_missing(self, store: LedgerStore) -> None:
        """Those that were named, and no others; forgetting them again is no error."""
        kept = replace(A_KEY, scope="bob")
        opened = [open_hold("open", NOON), open_hold("kept open", NOON)]
        ended = [closed(open_hold("closed", NOON)), closed(open_hold("kept closed", NOON))]
        both = [Account(A_KEY, 1), Account(kept, 2)]
        await store.transact(*writing(both, [(A_RATE, RateState(1))], opened + ended))
        for _ in range(2):
            await store.transact(*forgetting((A_KEY,), ("open", "closed")))
            names = ("open", "kept open", "closed", "kept closed")
            rows = await read(store, Keys((A_KEY, kept), (A_RATE,), names))
            left = {hold.id: hold for hold in (opened[1], ended[1])}
            expected = Rows({kept: both[1]}, {A_RATE: RateState(1)}, left)
            assert exact(rows) == exact(expected)
            assert await store.due_holds(NOON, 9) == [opened[1]]
            assert await store.closed_holds(NOON + 1, 9) == [ended[1]]
            assert await read_ledger(store) == Ledger({kept: both[1]}, left)

    async def test_what_was_forgotten_can_be_written_again(self, store: LedgerStore) -> None:
        """As if it had never been there."""
        hold = open_hold("h", NOON)
        for _ in range(2):
            rows = await read(store, Keys((A_KEY,), (), ("h",)))
            assert exact(rows) == exact(NO_ROWS)
            await store.transact(*writing([Account(A_KEY, 1, 2, 3, 1)], (), [hold]))
            assert await store.due_holds(NOON, 9) == [hold]
            await store.transact(*forgetting((A_KEY,), ("h",)))

    async def test_one_change_writes_some_rows_and_forgets_others(self, store: LedgerStore) -> None:
        """All of it together."""
        other = replace(A_KEY, scope="bob")
        await store.transact(*writing([Account(A_KEY, 1)], (), [open_hold("old", NOON)]))
        change = Change(
            None,
            accounts=(Account(other, 2),),
            holds=(open_hold("new", NOON),),
            forgotten_accounts=(A_KEY,),
            forgotten_holds=("old",),
        )
        await store.transact(Keys((A_KEY, other), (), ("old", "new")), lambda rows: change)
        ledger = await read_ledger(store)
        assert ledger == Ledger({other: Account(other, 2)}, {"new": open_hold("new", NOON)})

    @pytest.mark.parametrize("stray", ["account", "hold"])
    async def test_to_forget_a_row_that_was_not_named_is_an_error(
        self, store: LedgerStore, stray: str
    ) -> None:
        """Nothing is forgotten."""
        await store.transact(*writing([Account(A_KEY, 1)], (), [open_hold("h", NOON)]))
        named = Keys(() if stray == "account" else (A_KEY,), (), () if stray == "hold" else ("h",))
        change = Change(None, forgotten_accounts=(A_KEY,), forgotten_holds=("h",))
        with pytest.raises(ValueError, match="named"):
            await store.transact(named, lambda rows: change)
        assert await read_hold(store, "h") == open_hold("h", NOON)
        assert await read_account(store, A_KEY) == Account(A_KEY, 1)

    @pytest.mark.parametrize(
        "change",
        [
            Change(None, accounts=(Account(A_KEY, 1), Account(A_KEY, 2))),
            Change(None, rates=((A_RATE, RateState(1)), (A_RATE, RateState(2)))),
            Change(None, holds=(open_hold("h", 1), open_hold("h", 2))),
            Change(None, accounts=(Account(A_KEY, 1),), forgotten_accounts=(A_KEY,)),
            Change(None, holds=(open_hold("h", 1),), forgotten_holds=("h",)),
            Change(None, forgotten_accounts=(A_KEY, A_KEY)),
            Change(None, forgotten_holds=("h", "h")),
        ],
    )
    async def test_a_row_that_is_changed_twice_is_an_error(
        self, store: LedgerStore, change: Change[None]
    ) -> None:
        """Nothing is written: which of the two was meant, nobody can tell."""
        keys = Keys((A_KEY,), (A_RATE,), ("h",))
        with pytest.raises(ValueError, match="once"):
            await store.transact(keys, lambda rows: change)
        assert exact(await read(store, keys)) == exact(NO_ROWS)

    async def test_a_renewed_hold_stands_for_longer(self, store: LedgerStore) -> None:
        """It is due at its new instant alone; an earlier one does not shorten it."""
        hold = await admitted(store, call("h", DAY))
        for expires_at in (LATE + 5, LATE + 1):
            assert await store.transact(*renew_step([hold], expires_at)) == 1
            assert not await store.due_holds(LATE + 4, 9)
            due = await store.due_holds(LATE + 5, 9)
            assert due == [replace(hold, expires_at=LATE + 5)]
        assert await spent_and_held(store, ACCOUNT) == (0, 10)
        await store.transact(*expire_step(hold, LATE + 4))
        assert await spent_and_held(store, ACCOUNT) == (0, 10)
        await store.transact(*expire_step(hold, LATE + 5))
        assert await spent_and_held(store, ACCOUNT) == (10, 0)

    async def test_a_closed_hold_is_not_renewed(self, store: LedgerStore) -> None:
        """It was charged; its neighbours in the same step are renewed all the same."""
        first = await admitted(store, call("first", DAY))
        second = await admitted(store, call("second", DAY))
        await store.transact(*settle_step(first, used(7), NOON))
        before = await read_hold(store, "first")
        assert await store.transact(*renew_step([first, second], LATE + 5)) == 1
        assert await read_hold(store, "first") == before
        assert [hold.id for hold in await store.due_holds(LATE + 5, 9)] == ["second"]
        assert await spent_and_held(store, ACCOUNT) == (7, 10)

    async def test_a_lost_hold_that_is_renewed_is_put_back(self, store: LedgerStore) -> None:
        """With what it holds on its accounts, once; its settlement charges what was used."""
        hold = lost_hold("h")
        account = hold.lines[0].account
        for _ in range(2):
            await store.transact(*renew_step([hold], LATE + 5))
            assert await spent_and_held(store, account) == (0, 10)
        assert [each.id for each in await store.due_holds(LATE + 5, 9)] == ["h"]
        await store.transact(*settle_step(hold, used(7), NOON))
        assert await spent_and_held(store, account) == (7, 0)
        assert (await read_ledger(store)).drifts == ()

    async def test_dead_calls_are_charged_in_batches(self, store: LedgerStore) -> None:
        """All that are due by the store's own clock, and none that is not."""
        now = await store.now()
        far = replace(open_hold("far", now + LEASE_US * 1_000), lines=(HoldLine(ACCOUNT, 10),))
        dead = [
            replace(open_hold(f"h{index}", now - index), lines=(HoldLine(ACCOUNT, 2),))
            for index in range(250)
        ]
        await store.transact(*writing([Account(ACCOUNT, None, 0, 510)], (), [far, *dead]))
        assert await charge_dead_holds(store) == 250
        assert await spent_and_held(store, ACCOUNT) == (500, 10)
        assert not await store.due_holds(now, 9)
        assert (await read_ledger(store)).drifts == ()

    async def test_forgotten_calls_stay_charged(self, store: LedgerStore) -> None:
        """Days keep what they spent; an account of a minute goes with the last of its calls."""
        holds = [
            await admitted(store, call(name, DAY, MINUTE, streams_at_once(9)))
            for name in ("settled", "released", "expired", "open", "late")
        ]
        await store.transact(*settle_step(holds[0], used(7), NOON))
        await store.transact(*release_step(holds[1], "not_sent", NOON))
        await store.transact(*expire_step(holds[2], LATE))
        await store.transact(*settle_step(holds[4], used(5), LATE + 1))
        before = await read_ledger(store)
        assert await prune(store, LATE + 1) == 3
        ledger = await read_ledger(store)
        assert set(ledger.holds) == {"open", "late"}
        assert ledger.drifts == ()
        assert {key: spent(row) for key, row in ledger.accounts.items()} == {
            key: spent(row) for key, row in before.accounts.items()
        }
        await store.transact(*settle_step(holds[3], used(6), LATE + 1))
        assert await prune(store, LATE + 2) == 2
        ledger = await read_ledger(store)
        assert ledger.holds == {}
        assert set(ledger.accounts) == {ACCOUNT, streams_at_once(9).account_at(NOON)}
        assert spent(ledger.accounts[ACCOUNT]) == (28, 0)
        assert ledger.drifts == ()

    async def test_hundreds_of_calls_are_forgotten_the_oldest_first(
        self, store: LedgerStore
    ) -> None:
        """In steps of a bounded size; as many as were asked for, and then the rest."""
        ended = [ended_call(f"h{index}", NOON + index) for index in range(450)]
        await store.transact(*writing([Account(ACCOUNT, None, 450 * 3)], (), ended))
        assert await prune(store, NOON + 440, most=10) == 10
        assert set((await read_ledger(store)).holds) == {hold.id for hold in ended[10:]}
        assert await prune(store, NOON + 440) == 430
        ledger = await read_ledger(store)
        assert set(ledger.holds) == {hold.id for hold in ended[440:]}
        assert ledger.accounts == {ACCOUNT: Account(ACCOUNT, None, 450 * 3, 0, 440 * 3)}
        assert ledger.drifts == ()

    async def test_two_that_forget_the_same_calls_carry_each_once(
        self, store: LedgerStore, other_store: LedgerStore
    ) -> None:
        """However their steps meet."""
        ended = [ended_call(f"h{index}", NOON) for index in range(CROWD)]
        await store.transact(*writing([Account(ACCOUNT, None, CROWD * 3)], (), ended))
        counts = await at_once(
            *(
                each.transact(*forget_step(ended[index % 5 :: 5]))
                for index, each in enumerate([store, other_store] * 5)
            )
        )
        assert sum(counts) == CROWD
        total = CROWD * 3
        account = Account(ACCOUNT, None, total, 0, total)
        assert await read_ledger(store) == Ledger({ACCOUNT: account}, {})


def spent(account: Account) -> tuple[int, int]:
    """What is settled and what is held."""
    return account.settled, account.held


def ended_call(hold_id: str, at: int) -> Hold:
    """A call that was charged three tokens and ended *at*."""
    lines = (HoldLine(ACCOUNT, 10, 3),)
    hold = replace(open_hold(hold_id, at), lines=lines)
    return replace(hold, state=HoldState.SETTLED, closed_at=at, outcome="stop")
