"""The fifth part of the ledger stores' contract: what can be asked of a ledger beside its steps."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatnest.domain.budget import Account, Hold, HoldLine, HoldState
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ledger import Keys, LedgerPage
from chatnest.domain.ports import LedgerStore
from chatnest.testing.ledger_cases import (
    NOON,
    Ledger,
    at_once,
    closed,
    end,
    one_by_one,
    open_hold,
    read_ledger,
    together,
    writing,
)
from chatnest.testing.ledger_races import CROWD, LEFT, RIGHT, transferring
from chatnest.testing.ledger_rows import accounts, holds, on_one_ledger

# More rows of each kind than a store that reads in pages has in one of them.
MANY = 1_500
EARLIEST_US, LATEST_US = 10**15, 10**16
"""From 2001 to 2286 in microseconds: no number of seconds, milli- or nanoseconds is in there."""


@dataclass(frozen=True)
class Ended:
    """How one hold of an example stands: with a state and an instant that may not go together."""

    state: HoldState
    closed_at: int | None
    before: HoldState = field(default=HoldState.HELD)

    def hold(self, hold_id: str) -> Hold:
        """The hold of *hold_id* that stands so."""
        return replace(open_hold(hold_id, NOON), state=self.state, closed_at=self.closed_at)


def endings() -> st.SearchStrategy[list[Ended]]:
    """Six holds in any state, which were in any other one before."""
    states = st.sampled_from(HoldState)
    return st.lists(
        st.builds(Ended, states, st.none() | st.integers(1, 4), states), min_size=6, max_size=6
    )


class LedgerReadsContract:
    """Closed holds, snapshots, and the store's clock."""

    @pytest.fixture
    def other_store(self, store: LedgerStore) -> LedgerStore:
        """A second store on the ledger of ``store``; to be overridden where there can be one."""
        return store

    @on_one_ledger
    @given(ended=endings(), before=st.integers(0, 5), most=st.integers(0, 7))
    async def test_closed_are_the_holds_that_ended_before_an_instant(
        self, store: LedgerStore, ended: Sequence[Ended], before: int, most: int
    ) -> None:
        """The oldest first, no more than asked for; the instant itself is not before it."""
        earlier = [replace(each, state=each.before).hold(f"h{i}") for i, each in enumerate(ended)]
        await store.transact(*writing(holds=earlier))
        stored = [each.hold(f"h{i}") for i, each in enumerate(ended)]
        await store.transact(*writing(holds=stored))
        given_back = await store.closed_holds(before, most)
        over = [hold for hold in stored if hold.state is not HoldState.HELD]
        old = [hold for hold in over if hold.closed_at is not None and hold.closed_at < before]
        instants = sorted(hold.closed_at for hold in old if hold.closed_at is not None)
        assert [hold.closed_at for hold in given_back] == instants[:most]
        assert len({hold.id for hold in given_back}) == len(given_back)
        assert {repr(hold) for hold in given_back} <= {repr(hold) for hold in old}

    async def test_a_hold_is_due_while_it_is_open_and_in_the_journal_once_it_is_closed(
        self, store: LedgerStore
    ) -> None:
        """There and back again; it is never in both, and always found by its id."""
        hold = open_hold("h", NOON)
        for _ in range(2):
            await store.transact(*writing(holds=[hold]))
            assert await store.due_holds(NOON, 9) == [hold]
            assert not await store.closed_holds(NOON + 1, 9)
            await store.transact(*writing(holds=[closed(hold)]))
            assert not await store.due_holds(NOON, 9)
            assert await store.closed_holds(NOON + 1, 9) == [closed(hold)]
        assert (await read_ledger(store)).holds == {"h": closed(hold)}

    async def test_an_empty_ledger_is_read_as_empty(self, store: LedgerStore) -> None:
        """Nothing is due, nothing is over, and no page has a row."""
        assert not await store.due_holds(NOON, 9)
        assert not await store.closed_holds(NOON, 9)
        assert await read_ledger(store) == Ledger({}, {})

    async def test_a_snapshot_has_every_row_as_it_was_written(self, store: LedgerStore) -> None:
        """Thousands of them, each hold once, however many go into a page."""
        rows = many_rows()
        await store.transact(*writing(rows.accounts.values(), (), rows.holds.values()))
        assert await read_ledger(store) == rows

    @on_one_ledger
    @given(
        written=st.lists(holds(), max_size=6, unique_by=lambda hold: hold.id),
        counted=st.lists(accounts(), max_size=4, unique_by=lambda account: account.key),
        since=st.integers(0, 2**62),
    )
    async def test_a_snapshot_leaves_out_the_closed_holds_of_earlier(
        self,
        store: LedgerStore,
        written: Sequence[Hold],
        counted: Sequence[Account],
        since: int,
    ) -> None:
        """Open holds and accounts come whatever their age; the instant itself is in."""
        since = written[0].created_at if written and since % 2 else since
        named, step = writing(counted, (), written)
        await store.transact(named, step)
        ledger = await read_ledger(store, since)
        expected = {
            hold.id: repr(hold)
            for hold in written
            if hold.state is HoldState.HELD or hold.created_at >= since
        }
        assert expected == {
            hold.id: repr(hold) for hold in ledger.holds.values() if hold.id in named.holds
        }
        assert {account.key: repr(account) for account in counted} == {
            key: repr(row) for key, row in ledger.accounts.items() if key in named.accounts
        }
        stale = [hold for hold in ledger.holds.values() if hold.created_at < since]
        assert not [hold for hold in stale if hold.state is not HoldState.HELD]

    async def test_a_snapshot_shows_no_half_of_what_is_written_meanwhile(
        self, store: LedgerStore, other_store: LedgerStore
    ) -> None:
        """What a step moves between two accounts is on one of them in every snapshot."""
        rows = many_rows()
        both = [Account(LEFT, None, 100), Account(RIGHT, None, 100)]
        await store.transact(*writing([both[0], *rows.accounts.values(), both[1]]))
        move = transferring(LEFT, RIGHT)
        moving = (other_store.transact(Keys((LEFT, RIGHT)), move) for _ in range(CROWD))

        async def look() -> None:
            for _ in range(4):
                ledger = await read_ledger(store)
                moved = ledger.accounts[RIGHT].settled - 100
                assert ledger.accounts[LEFT].settled == 100 - moved
                assert 0 <= moved <= CROWD

        await at_once(look(), one_by_one(*moving))

    async def test_a_snapshot_under_way_keeps_nobody_waiting_and_shows_one_instant(
        self, store: LedgerStore, other_store: LedgerStore
    ) -> None:
        """A step between any two pages is done at once, and is in the snapshot whole or not."""
        rows = many_rows()
        await store.transact(*writing(rows.accounts.values(), (), rows.holds.values()))
        hold = open_hold("one more", NOON)
        pages: list[LedgerPage] = []
        async for page in store.snapshot():
            pages.append(page)
            count = len(pages)
            both = [Account(LEFT, None, count), Account(RIGHT, None, count)]
            last = replace(hold, lines=(HoldLine(LEFT, count),))
            await at_once(other_store.transact(*writing(both, (), [last])))
        ledger = together(pages)
        seen = [ledger.accounts[key].settled for key in (LEFT, RIGHT) if key in ledger.accounts]
        if "one more" in ledger.holds:
            assert seen == [ledger.holds["one more"].lines[0].amount] * 2
        else:
            assert seen == []
        assert set(rows.holds) == set(ledger.holds) - {"one more"}

    async def test_a_hold_that_ends_during_a_snapshot_is_in_it_once(
        self, store: LedgerStore
    ) -> None:
        """Open or closed, whichever it was at that one instant; never both, and never neither."""
        opened = [open_hold(f"h{index}", NOON) for index in range(MANY)]
        await store.transact(*writing(holds=opened))
        pages: list[LedgerPage] = []
        async for page in store.snapshot():
            pages.append(page)
            await store.transact(*writing(holds=[closed(hold) for hold in opened]))
        states = {hold.state for hold in together(pages).holds.values()}
        assert len(states) == 1
        assert len(together(pages).holds) == MANY

    async def test_a_snapshot_that_is_left_early_holds_nothing_up(self, store: LedgerStore) -> None:
        """Its reader went away; steps, further snapshots and the closing of the store go on."""
        rows = many_rows()
        await store.transact(*writing(rows.accounts.values(), (), rows.holds.values()))
        for _ in range(3):
            pages = store.snapshot()
            await anext(pages)
            await pages.aclose()
        left = store.snapshot()
        await anext(left)
        await store.transact(*writing([Account(LEFT, 1)]))
        assert set((await read_ledger(store)).holds) == set(rows.holds)
        await at_once(store.aclose())
        await at_once(end(left))

    async def test_the_clock_of_the_ledger_goes_on(
        self, store: LedgerStore, other_store: LedgerStore
    ) -> None:
        """In microseconds, and the same for everyone: no reading is before an earlier one."""
        readings = [await each.now() for each in (store, other_store, store, other_store)]
        assert readings == sorted(readings)
        assert {type(reading) for reading in readings} == {int}
        assert EARLIEST_US < readings[0] < LATEST_US

    async def test_a_closed_store_answers_no_question(self, store: LedgerStore) -> None:
        """Each of them says so, also a snapshot, which says it to who reads it."""
        await store.transact(*writing([Account(LEFT, 1)]))
        await store.aclose()
        with pytest.raises(StoreUnavailableError):
            await store.closed_holds(NOON, 1)
        with pytest.raises(StoreUnavailableError):
            await store.now()
        with pytest.raises(StoreUnavailableError):
            await read_ledger(store)


def many_rows() -> Ledger:
    """More accounts, open holds and closed ones than a store gives in one page."""
    keys = [replace(LEFT, scope=f"scope {index}") for index in range(MANY)]
    opened = [open_hold(f"open {index}", NOON + index) for index in range(MANY)]
    ended = [closed(open_hold(f"closed {index}", NOON + index)) for index in range(MANY)]
    return Ledger(
        {key: Account(key, None, index) for index, key in enumerate(keys)},
        {hold.id: hold for hold in (*opened, *ended)},
    )
