"""Upkeep, example by example, on a store that counts what it is asked; see the stores' contract."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import pytest

from chatnest.adapters.storage.memory import MemoryStore
from chatnest.domain.budget import Account, AccountKey, Hold, HoldLine, HoldState, Unit
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ledger import Change, Keys, Rows, Step
from chatnest.domain.steps import settle_step
from chatnest.domain.upkeep import (
    charge_dead_holds,
    forget_history,
    forget_step,
    prune,
    renew_step,
)
from chatnest.domain.windows import Period
from chatnest.testing.clock import ManualClock
from chatnest.testing.ledger_cases import (
    NOON,
    PlainLedger,
    open_hold,
    read_ledger,
    used,
    writing,
)

T = TypeVar("T")

DAY_US = 86_400_000_000


class CountingStore(MemoryStore):
    """Notes how many holds each step names, and how many were asked for; fails when told to."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.named: list[int] = []
        self.asked: list[int] = []
        self.answers = 1_000

    async def transact(self, keys: Keys, step: Step[T]) -> T:
        if not self.answers:
            raise StoreUnavailableError("down")
        self.answers -= 1
        self.named.append(len(keys.holds))
        return await super().transact(keys, step)

    async def due_holds(self, now: int, most: int) -> Sequence[Hold]:
        self.asked.append(most)
        return await super().due_holds(now, most)

    async def closed_holds(self, before: int, most: int) -> Sequence[Hold]:
        self.asked.append(most)
        return await super().closed_holds(before, most)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
async def store(clock: ManualClock) -> CountingStore:
    return CountingStore(clock)


def key(period: Period, unit: Unit = Unit.TOKENS) -> AccountKey:
    return AccountKey("ann", unit, period, 0)


def ended(index: int, *lines: HoldLine) -> Hold:
    hold = replace(open_hold(f"h{index}", NOON), lines=lines, state=HoldState.SETTLED)
    return replace(hold, closed_at=NOON + index)


async def test_pruning_asks_for_a_batch_at_a_time_until_there_is_none(
    store: CountingStore,
) -> None:
    await store.transact(*writing(holds=[ended(index) for index in range(450)]))
    store.named.clear()
    assert await prune(store, NOON + 1_000) == 450
    assert store.named == [200, 200, 50]
    assert store.asked == [200] * 4


async def test_pruning_stops_at_as_many_as_it_may(store: CountingStore) -> None:
    await store.transact(*writing(holds=[ended(index) for index in range(450)]))
    store.named.clear()
    assert await prune(store, NOON + 1_000, most=0) == 0
    assert await prune(store, NOON + 1_000, most=250) == 250
    assert store.named == [200, 50]
    assert await prune(store, NOON + 1_000, most=1_000) == 200
    assert not (await read_ledger(store)).holds


async def test_pruning_spares_what_ended_later_and_what_is_open(store: CountingStore) -> None:
    kept = [ended(5), ended(6), open_hold("open", NOON)]
    await store.transact(*writing(holds=[ended(4), *kept]))
    assert await prune(store, NOON + 5) == 1
    assert set((await read_ledger(store)).holds) == {"h5", "h6", "open"}
    assert await prune(store, NOON + 5) == 0


@pytest.mark.parametrize(("ago_us", "forgotten"), [(DAY_US, 0), (DAY_US + 1, 1)])
async def test_history_is_kept_for_a_day_at_least(
    store: CountingStore, clock: ManualClock, ago_us: int, forgotten: int
) -> None:
    await store.transact(*writing(holds=[replace(ended(0), closed_at=clock.now() - ago_us)]))

    assert await forget_history(store, kept_us=0) == forgotten


async def test_pruning_that_is_interrupted_has_pruned_so_far(store: CountingStore) -> None:
    account = key(Period.DAY)
    calls = [ended(index, HoldLine(account, 1, 1)) for index in range(450)]
    await store.transact(*writing([Account(account, None, 450)], (), calls))
    store.answers = 1
    with pytest.raises(StoreUnavailableError):
        await prune(store, NOON + 1_000)
    ledger = await read_ledger(store)
    assert (len(ledger.holds), ledger.drifts) == (250, ())


@pytest.mark.parametrize("period", Period)
async def test_a_spent_account_goes_with_its_last_call_where_its_window_is_short(
    store: CountingStore, period: Period
) -> None:
    account = key(period)
    calls = [ended(index, HoldLine(account, 9, 3)) for index in range(3)]
    await store.transact(*writing([Account(account, 99, 9)], (), calls))
    assert await prune(store, NOON + 2) == 2
    assert (await read_ledger(store)).accounts == {account: Account(account, 99, 9, 0, 6)}
    assert await prune(store, NOON + 9) == 1
    left = (await read_ledger(store)).accounts
    short = period in (Period.MINUTE, Period.HOUR)
    assert left == ({} if short else {account: Account(account, 99, 9, 0, 9)})


async def test_an_account_with_an_open_call_stays(store: CountingStore) -> None:
    account = key(Period.MINUTE)
    opened = replace(open_hold("open", NOON), lines=(HoldLine(account, 5),))
    rows = [ended(0, HoldLine(account, 9, 3)), opened]
    await store.transact(*writing([Account(account, None, 3, 5)], (), rows))
    assert await prune(store, NOON + 9) == 1
    ledger = await read_ledger(store)
    assert ledger.accounts == {account: Account(account, None, 3, 5, 3)}
    await store.transact(*settle_step(opened, used(7), NOON + 1))
    assert (await read_ledger(store)).drifts == ()
    assert await prune(store, NOON + 9) == 1
    assert (await read_ledger(store)).accounts == {}


def applied(step: tuple[Keys, Step[T]], *rows: Account | Hold) -> tuple[T, PlainLedger]:
    plain = PlainLedger()
    for row in rows:
        if isinstance(row, Account):
            plain.accounts[row.key] = row
        else:
            plain.holds[row.id] = row
    return plain.apply(*step), plain


def test_forgetting_spares_a_call_that_is_open_or_not_there() -> None:
    account = key(Period.DAY)
    opened = replace(open_hold("open", NOON), lines=(HoldLine(account, 5),))
    gone = ended(1, HoldLine(account, 5, 5))
    before = Account(account, None, 5, 5)
    count, plain = applied(forget_step([opened, gone]), before, opened)
    assert (count, plain.accounts, plain.holds) == (0, {account: before}, {"open": opened})


def test_forgetting_a_call_whose_account_is_lost_changes_no_account() -> None:
    call = ended(1, HoldLine(key(Period.DAY), 5, 5))
    count, plain = applied(forget_step([call]), call)
    assert (count, plain.accounts, plain.holds) == (1, {}, {})


def test_forgetting_goes_by_what_is_stored() -> None:
    account = key(Period.DAY)
    remembered = ended(1, HoldLine(account, 5, 5))
    stored = ended(1, HoldLine(account, 5, 3))
    _, plain = applied(forget_step([remembered]), Account(account, None, 3), stored)
    assert plain.accounts == {account: Account(account, None, 3, 0, 3)}


def test_renewing_several_lost_calls_puts_all_of_them_on_their_account() -> None:
    account = key(Period.DAY)
    lost = [replace(open_hold(name, NOON), lines=(HoldLine(account, 5),)) for name in "ab"]
    count, plain = applied(renew_step(lost, NOON + 1))
    assert count == 2
    assert plain.accounts == {account: Account(account, None, 0, 10)}
    assert {hold.expires_at for hold in plain.holds.values()} == {NOON + 1}


def test_renewing_nothing_is_no_change() -> None:
    keys, step = renew_step([], NOON)
    assert (keys, step(Rows({}, {}, {}))) == (Keys(), Change(0))


async def test_dead_calls_are_charged_batch_by_batch_at_one_instant(
    store: CountingStore, clock: ManualClock
) -> None:
    account = key(Period.DAY)
    lines = (HoldLine(account, 2),)
    dead = [replace(open_hold(f"h{index}", NOON), lines=lines) for index in range(200)]
    alive = replace(open_hold("alive", NOON + 1), lines=lines)
    await store.transact(*writing([Account(account, None, 0, 402)], (), [*dead, alive]))
    store.named.clear()
    assert await charge_dead_holds(store) == 200
    assert store.named == [100, 100, 0]
    ledger = await read_ledger(store)
    assert ledger.accounts == {account: Account(account, None, 400, 2)}
    assert ledger.drifts == ()
    clock.advance(1)
    assert await charge_dead_holds(store) == 1
    assert await charge_dead_holds(store) == 0


async def test_a_call_that_cannot_be_charged_does_not_keep_the_others_from_it(
    store: CountingStore,
) -> None:
    """The first one lies twice on one account, which no step may change twice."""
    account = key(Period.DAY)
    broken = replace(
        open_hold("broken", NOON - 1), lines=(HoldLine(account, 2), HoldLine(account, 2))
    )
    good = replace(open_hold("good", NOON), lines=(HoldLine(account, 2),))
    await store.transact(*writing([Account(account, None, 0, 6)], (), [broken, good]))
    with pytest.raises(ValueError, match="once"):
        await charge_dead_holds(store)
    states = {hold.id: hold.state for hold in (await read_ledger(store)).holds.values()}
    assert states == {"broken": HoldState.HELD, "good": HoldState.EXPIRED}
