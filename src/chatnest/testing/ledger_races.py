"""The second part of the ledger stores' contract: many at once are as good as one by one.

Where a ledger can be opened twice, half of each crowd goes through ``other_store``.
"""

import asyncio
from dataclasses import replace
from itertools import cycle

import pytest
from anyio.lowlevel import checkpoint

from chatnest.domain.admission import Admitted, Refusal
from chatnest.domain.budget import Account, AccountKey, HoldState, Unit
from chatnest.domain.ledger import Change, Keys, Rows, Step
from chatnest.domain.ports import LedgerStore
from chatnest.domain.steps import admit_step, expire_step, release_step, settle_step
from chatnest.domain.windows import Period
from chatnest.testing.ledger_cases import (
    LEASE_US,
    NOON,
    admitted,
    at_once,
    call,
    read,
    read_account,
    read_hold,
    spent_and_held,
    tokens_a_day,
    used,
    writing,
)

CROWD = 50


class LedgerRacesContract:
    """Steps of many tasks, and of several stores on one ledger, are serialisable."""

    @pytest.fixture
    def other_store(self, store: LedgerStore) -> LedgerStore:
        """A second store on the ledger of ``store``; to be overridden where there can be one."""
        return store

    async def test_concurrent_increments_are_all_counted(
        self, store: LedgerStore, other_store: LedgerStore
    ) -> None:
        """The account is missing at first, so that there is no row to lock."""
        results = await at_once(
            *(
                each.transact(Keys((LEFT,)), adding_to(LEFT, 1))
                for each in crowd(store, other_store)
            )
        )
        assert sorted(results) == list(range(1, CROWD + 1))
        assert await spent_and_held(other_store, LEFT) == (CROWD, 0)

    async def test_steps_that_name_rows_in_opposite_orders_all_end(
        self, store: LedgerStore, other_store: LedgerStore
    ) -> None:
        """No deadlock, nothing lost; a reader never sees half of a transfer."""
        await store.transact(*writing([Account(LEFT, None, 100), Account(RIGHT, None, 100)]))
        there, back = (LEFT, RIGHT), (RIGHT, LEFT)
        pairs = zip(crowd(store, other_store), cycle([there, there, back, back]), strict=False)
        sums = await at_once(
            *(each.transact(Keys(pair), transferring(*pair)) for each, pair in pairs)
        )
        assert sums == [200] * CROWD
        rows = await read(other_store, Keys(there))
        assert [rows.accounts[key].settled for key in there] == [98, 102]

    async def test_a_failing_step_fails_alone(
        self, store: LedgerStore, other_store: LedgerStore
    ) -> None:
        """Its neighbours are neither undone nor told of it, however they were batched."""

        async def try_one(each: LedgerStore, index: int) -> int | None:
            step = adding_to(LEFT, 1) if index % 5 else fail
            try:
                return await each.transact(Keys((LEFT,)), step)
            except LookupError:
                return None

        works = enumerate(crowd(store, other_store))
        results = await at_once(*(try_one(each, index) for index, each in works))
        assert [index for index, result in enumerate(results) if result is None] == list(
            range(0, CROWD, 5)
        )
        assert await spent_and_held(store, LEFT) == (CROWD - CROWD // 5, 0)

    async def test_room_for_five_admits_five_of_fifty(
        self, store: LedgerStore, other_store: LedgerStore
    ) -> None:
        """Exactly five, and the others are told that nothing is left."""
        rule = tokens_a_day(59)
        decisions = await at_once(
            *(
                each.transact(*admit_step(call(f"h{index}", rule), NOON))
                for index, each in enumerate(crowd(store, other_store))
            )
        )
        refusals = [each for each in decisions if isinstance(each, Refusal)]
        assert len(refusals) == CROWD - 5
        assert {refusal.remaining for refusal in refusals} == {9}
        assert await spent_and_held(store, rule.account_at(NOON)) == (0, 50)

    async def test_one_hold_id_is_one_hold_however_often_it_is_sent(
        self, store: LedgerStore, other_store: LedgerStore
    ) -> None:
        """Everyone gets the same hold; the room is taken once."""
        rule = tokens_a_day(10)
        decisions = await at_once(
            *(
                each.transact(*admit_step(call("h", rule), NOON))
                for each in crowd(store, other_store)
            )
        )
        stored = await read_hold(store, "h")
        assert {each.hold for each in decisions if isinstance(each, Admitted)} == {stored}
        assert not [each for each in decisions if isinstance(each, Refusal)]
        assert await spent_and_held(store, rule.account_at(NOON)) == (0, 10)

    async def test_a_settlement_and_an_expiry_at_once_charge_once(
        self, store: LedgerStore, other_store: LedgerStore
    ) -> None:
        """Whoever comes first, what was really used is what counts in the end."""
        rule, late = tokens_a_day(None), NOON + LEASE_US
        holds = [await admitted(store, call(f"h{index}", rule)) for index in range(CROWD)]
        settling = (store.transact(*settle_step(hold, used(7), late)) for hold in holds)
        expiring = (other_store.transact(*expire_step(hold, late)) for hold in holds)
        mixed = [work for pair in zip(settling, expiring, strict=True) for work in pair]
        await at_once(*(mixed[index] for index in scattered(len(mixed))))
        assert await spent_and_held(store, rule.account_at(NOON)) == (7 * CROWD, 0)
        assert not await store.due_holds(late, CROWD)

    async def test_a_settlement_and_a_release_at_once_agree(
        self, store: LedgerStore, other_store: LedgerStore
    ) -> None:
        """The first one counts; the account says what the journal says."""
        rule = tokens_a_day(None)
        holds = [await admitted(store, call(f"h{index}", rule)) for index in range(CROWD)]
        settling = [store.transact(*settle_step(hold, used(7), NOON)) for hold in holds]
        releasing = [other_store.transact(*release_step(hold, "refused", NOON)) for hold in holds]
        mixed = settling + releasing
        outcomes = await at_once(*(mixed[index] for index in scattered(len(mixed))))
        assert len([closed for closed in outcomes if closed.accounts]) == CROWD
        stored = [await read_hold(store, hold.id) for hold in holds]
        charged = [hold.lines[0].charged or 0 for hold in stored if hold is not None]
        assert set(charged) <= {0, 7}
        assert await spent_and_held(store, rule.account_at(NOON)) == (sum(charged), 0)

    @pytest.mark.parametrize("passes", range(6))
    async def test_a_cancelled_settlement_happens_whole_or_not_at_all(
        self, store: LedgerStore, passes: int
    ) -> None:
        """Wherever the cancel lands; sent again, it has happened once."""
        rule = tokens_a_day(None)
        hold = await admitted(store, call("h", rule))
        task = asyncio.ensure_future(store.transact(*settle_step(hold, used(7), NOON)))
        for _ in range(passes):
            await checkpoint()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        keys = Keys((rule.account_at(NOON),), (), ("h",))
        state, settled, held = await store.transact(keys, standing)
        assert (state, settled, held) in ((HoldState.HELD, 0, 10), (HoldState.SETTLED, 7, 0))
        await store.transact(*settle_step(hold, used(7), NOON))
        assert await store.transact(keys, standing) == (HoldState.SETTLED, 7, 0)

    async def test_a_crowd_of_cancelled_increments_leaves_the_rest_counted(
        self, store: LedgerStore
    ) -> None:
        """A caller that leaves takes none of its neighbours with it."""
        step = adding_to(LEFT, 1)
        tasks = [asyncio.ensure_future(store.transact(Keys((LEFT,)), step)) for _ in range(CROWD)]
        await checkpoint()
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        counted = [result for result in results if isinstance(result, int)]
        assert len(set(counted)) == len(counted) >= CROWD // 2
        assert not [result for result in results[1::2] if not isinstance(result, int)]
        account = await read_account(store, LEFT)
        assert account is not None
        assert len(counted) <= account.settled <= CROWD


LEFT = AccountKey("left", Unit.TOKENS, Period.DAY, NOON)
RIGHT = replace(LEFT, scope="right")


def crowd(store: LedgerStore, other_store: LedgerStore) -> list[LedgerStore]:
    """Both stores in turn, one for each task."""
    return [store, other_store] * (CROWD // 2)


def scattered(size: int) -> list[int]:
    """The numbers below *size* in an order that has no pattern, and is always the same."""
    return sorted(range(size), key=lambda index: index * 37 % 101)


def adding_to(key: AccountKey, amount: int) -> Step[int]:
    """A step that adds *amount* to what is settled, and returns the sum."""

    def step(rows: Rows) -> Change[int]:
        account = rows.accounts.get(key, Account(key, None))
        after = replace(account, settled=account.settled + amount)
        return Change(after.settled, accounts=(after,))

    return step


def transferring(source: AccountKey, target: AccountKey) -> Step[int]:
    """A step that moves one from *source* to *target*, and returns the sum of both before."""

    def step(rows: Rows) -> Change[int]:
        one, other = rows.accounts[source], rows.accounts[target]
        moved = (
            replace(one, settled=one.settled - 1),
            replace(other, settled=other.settled + 1),
        )
        return Change(one.settled + other.settled, accounts=moved)

    return step


def fail(rows: Rows) -> Change[int]:
    """A step with a defect."""
    raise LookupError("the step's own")


def standing(rows: Rows) -> Change[tuple[HoldState, int, int]]:
    """A step that says how the one hold and the one account stand, and writes nothing."""
    (hold,), (account,) = rows.holds.values(), rows.accounts.values()
    return Change((hold.state, account.settled, account.held))
