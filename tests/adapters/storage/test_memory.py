"""What is particular to the memory store: threads, and what it forgets."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from chatnest.adapters.storage.memory import MemoryStore
from chatnest.domain.budget import Account, AccountKey, HoldState, Unit
from chatnest.domain.ledger import Change, Keys, RateKey, Rows
from chatnest.domain.rate_limit import RateState
from chatnest.domain.steps import expire_step, settle_step
from chatnest.domain.windows import Period, Window
from chatnest.testing.clock import ManualClock
from chatnest.testing.ledger_cases import (
    LEASE_US,
    NOON,
    admitted,
    call,
    closed,
    open_hold,
    read,
    read_account,
    read_hold,
    read_ledger,
    spent_and_held,
    tokens_a_day,
    used,
    writing,
)

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
# The longest that a window can last: a day of 25 hours, a month of 31 days with one of them in it.
LONGEST_US = {
    Period.MINUTE: HOUR_US // 60,
    Period.HOUR: HOUR_US,
    Period.DAY: 25 * HOUR_US,
    Period.MONTH: 31 * DAY_US + HOUR_US,
}
YEARS_US = 1_000 * DAY_US


def account(period: Period, scope: str = "ann", settled: int = 5, held: int = 0) -> Account:
    """An account whose calls the journal has forgotten already."""
    key = AccountKey(scope, Unit.TOKENS, period, NOON)
    return Account(key, 100, settled, held, carried=settled)


async def write_others(store: MemoryStore, count: int = 10) -> None:
    """Writes beside the rows under test: forgetting happens in writes alone."""
    for index in range(count):
        others = [account(period, scope=f"other {index}") for period in Period]
        rates = [(RateKey(f"other {index}", "requests"), RateState(1))]
        await store.transact(*writing(others, rates, [closed(open_hold(f"other {index}", NOON))]))


async def test_threads_with_loops_of_their_own_lose_nothing() -> None:
    store = MemoryStore(ManualClock())
    key, threads, rounds = account(Period.DAY).key, 4, 500
    barrier = Barrier(threads)

    def add_one(rows: Rows) -> Change[int]:
        before = rows.accounts.get(key, Account(key, None))
        # Long enough for another thread to be let in, were it not for the lock.
        settled = sum([before.settled, *([0] * 2_000)]) + 1
        return Change(settled, accounts=(replace(before, settled=settled),))

    async def add_all() -> None:
        for _ in range(rounds):
            await store.transact(Keys((key,)), add_one)

    def work() -> None:
        barrier.wait(timeout=10)
        asyncio.run(add_all())

    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(work) for _ in range(threads)]:
            await asyncio.wrap_future(future)
    assert await spent_and_held(store, key) == (threads * rounds, 0)


async def test_a_step_may_keep_its_rows_without_seeing_later_writes() -> None:
    store = MemoryStore(ManualClock())
    await store.transact(*writing([account(Period.DAY)]))
    rows = await read(store, Keys((account(Period.DAY).key,)))
    await store.transact(*writing([account(Period.DAY, settled=6)]))
    assert [row.settled for row in rows.accounts.values()] == [5]


@pytest.mark.parametrize("period", LONGEST_US)
async def test_an_account_is_kept_for_as_long_as_its_window_can_last(period: Period) -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    await store.transact(*writing([account(period)]))
    clock.advance(LONGEST_US[period])
    await write_others(store)
    assert await read_account(store, account(period).key) == account(period)


@pytest.mark.parametrize("period", LONGEST_US)
async def test_an_account_of_a_window_long_over_is_forgotten(period: Period) -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    await store.transact(*writing([account(period)]))
    clock.advance(33 * DAY_US)
    await write_others(store)
    assert await read_account(store, account(period).key) is None


async def test_a_write_begins_the_time_that_a_row_is_kept_anew() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    for settled in (5, 6):
        await store.transact(*writing([account(Period.MINUTE, settled=settled)]))
        clock.advance(HOUR_US)
    await write_others(store)
    assert await spent_and_held(store, account(Period.MINUTE).key) == (6, 0)


@pytest.mark.parametrize("period", Period)
async def test_an_account_that_holds_is_never_forgotten(period: Period) -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    holding = account(period, settled=0, held=1)
    await store.transact(*writing([holding]))
    for _ in range(3):
        clock.advance(YEARS_US)
        await write_others(store)
    assert await read_account(store, holding.key) == holding


async def test_a_total_is_never_forgotten_unless_it_is_nothing() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    spent, nothing = account(Period.TOTAL), account(Period.TOTAL, scope="bob", settled=0)
    await store.transact(*writing([spent, nothing]))
    for _ in range(3):
        clock.advance(YEARS_US)
        await write_others(store)
    assert await read_account(store, spent.key) == spent
    assert await read_account(store, nothing.key) is None


async def test_a_row_that_must_stay_does_not_keep_those_behind_it() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    await store.transact(*writing([account(Period.DAY, held=1), account(Period.DAY, scope="bob")]))
    clock.advance(YEARS_US)
    await write_others(store)
    assert await read_account(store, account(Period.DAY, scope="bob").key) is None


async def test_a_row_that_is_written_again_does_not_keep_those_behind_it() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    idle = account(Period.MINUTE, scope="bob")
    await store.transact(*writing([account(Period.MINUTE), idle]))
    clock.advance(HOUR_US)
    await store.transact(*writing([account(Period.MINUTE, settled=6)]))
    clock.advance(1)
    await write_others(store)
    assert await read_account(store, idle.key) is None
    assert await spent_and_held(store, account(Period.MINUTE).key) == (6, 0)


async def test_setting_the_wall_clock_forgets_nothing() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    hold = closed(open_hold("h", NOON))
    await store.transact(*writing([account(Period.MINUTE)], (), [hold]))
    clock.set_wall(NOON + YEARS_US)
    await write_others(store)
    assert await read_account(store, account(Period.MINUTE).key) == account(Period.MINUTE)
    assert await read_hold(store, "h") == hold


async def test_a_rate_state_is_kept_for_a_month() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    key = RateKey("ann", "requests")
    await store.transact(*writing(rates=[(key, RateState(1))]))
    clock.advance(31 * DAY_US)
    await write_others(store)
    assert (await read(store, Keys(rates=(key,)))).rates == {key: RateState(1)}
    clock.advance(33 * DAY_US)
    await write_others(store)
    assert (await read(store, Keys(rates=(key,)))).rates == {}


async def test_the_journal_remembers_as_many_closed_holds_as_it_is_asked_to() -> None:
    store = MemoryStore(ManualClock(), journal_size=3)
    await store.transact(*writing(holds=[open_hold("open", NOON)]))
    for index in range(5):
        await store.transact(*writing(holds=[closed(open_hold(f"h{index}", NOON))]))
    kept = [await read_hold(store, f"h{index}") is not None for index in range(5)]
    assert kept == [False, False, True, True, True]
    assert await read_hold(store, "open") == open_hold("open", NOON)


async def test_a_closed_hold_is_forgotten_after_an_hour_and_an_open_one_never() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    await store.transact(*writing(holds=[open_hold("open", NOON), closed(open_hold("h", NOON))]))
    clock.advance(HOUR_US)
    await write_others(store)
    assert await read_hold(store, "h") is not None
    clock.advance(1)
    await write_others(store)
    assert await read_hold(store, "h") is None
    assert list(await store.due_holds(NOON, 1)) == [open_hold("open", NOON)]


async def test_a_settlement_within_the_hour_corrects_an_expired_hold() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    rule = tokens_a_day(100)
    hold = await admitted(store, call("h", rule))
    await store.transact(*expire_step(hold, NOON + LEASE_US))
    clock.advance(HOUR_US)
    await write_others(store)
    result = await store.transact(*settle_step(hold, used(7), NOON + HOUR_US))
    assert result.hold.state is HoldState.SETTLED
    assert await spent_and_held(store, rule.account_at(NOON)) == (7, 0)


@pytest.mark.parametrize("journal_size", [0, -1])
def test_a_journal_of_nothing_is_refused(journal_size: int) -> None:
    with pytest.raises(ValueError, match="journal_size"):
        MemoryStore(ManualClock(), journal_size=journal_size)


async def test_a_call_that_the_journal_forgets_stays_charged() -> None:
    store = MemoryStore(ManualClock(), journal_size=1)
    rule = tokens_a_day(None)
    for index in range(5):
        hold = await admitted(store, call(f"h{index}", rule))
        await store.transact(*settle_step(hold, used(7), NOON))
    stored = await read_account(store, rule.account_at(NOON))
    assert stored is not None
    assert (stored.settled, stored.held, stored.carried) == (35, 0, 28)
    ledger = await read_ledger(store)
    assert (set(ledger.holds), ledger.drifts) == ({"h4"}, ())


async def test_an_account_is_kept_while_the_journal_has_a_call_of_it() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    rule = replace(tokens_a_day(None), window=Window(Period.MINUTE))
    hold = await admitted(store, call("h", rule))
    await store.transact(*settle_step(hold, used(7), NOON))
    clock.advance(2 * HOUR_US)
    await store.transact(*writing([account(Period.MINUTE, "other")]))
    assert (await read_ledger(store)).drifts == ()
    assert await spent_and_held(store, rule.account_at(NOON)) == (7, 0)
