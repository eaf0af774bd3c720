"""The seventh part of the ledger stores' contract: accounts are the sums of their calls."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from chatnest.domain.admission import Admitted
from chatnest.domain.budget import Account
from chatnest.domain.ledger import Change, Keys, Rows
from chatnest.domain.ports import LedgerStore
from chatnest.domain.steps import admit_step, expire_step, release_step, settle_step
from chatnest.domain.upkeep import forget_step, renew_step
from chatnest.testing.ledger_cases import (
    LEASE_US,
    NOON,
    admitted,
    at_once,
    call,
    forgetting,
    read_account,
    read_ledger,
    spent_and_held,
    tokens_a_day,
    used,
    writing,
)
from chatnest.testing.ledger_races import CROWD, scattered

DAY = tokens_a_day(None)
ACCOUNT = DAY.account_at(NOON)
LATE = NOON + LEASE_US


class LedgerRecountContract:
    """A snapshot is never without some of its calls, and whatever is wrong in it is found."""

    @pytest.fixture
    def other_store(self, store: LedgerStore) -> LedgerStore:
        """A second store on the ledger of ``store``; to be overridden where there can be one."""
        return store

    async def test_no_snapshot_finds_a_drift_while_calls_come_and_go(
        self, store: LedgerStore, other_store: LedgerStore
    ) -> None:
        """Calls are admitted, settled, released, charged and forgotten through both stores."""
        names = [f"h{index}" for index in scattered(CROWD)]
        stores = [store, other_store] * (CROWD // 2)
        seen: list[int] = []

        async def look() -> None:
            for each in (store, other_store, store, other_store):
                ledger = await read_ledger(each)
                assert ledger.drifts == ()
                seen.append(len(ledger.holds))

        living = (
            live(each, other, name, index)
            for index, (each, other, name) in enumerate(
                zip(stores, reversed(stores), names, strict=True)
            )
        )
        await at_once(look(), *living, look())
        ledger = await read_ledger(store)
        assert ledger.drifts == ()
        assert len(ledger.holds) == CROWD - len(range(0, CROWD, 5))
        assert await spent_and_held(store, ACCOUNT) == (expected_tokens(), 0)
        assert len(seen) == 8

    @pytest.mark.parametrize(
        ("planted", "found"),
        [
            (lambda row: replace(row, settled=row.settled + 1), (8, 10, 7, 10)),
            (lambda row: replace(row, settled=row.settled - 1), (6, 10, 7, 10)),
            (lambda row: replace(row, held=row.held + 1), (7, 11, 7, 10)),
            (lambda row: replace(row, held=0), (7, 0, 7, 10)),
            (lambda row: replace(row, carried=2), (7, 10, 9, 10)),
        ],
    )
    async def test_a_drift_is_found_and_named(
        self,
        store: LedgerStore,
        planted: Callable[[Account], Account],
        found: tuple[int, int, int, int],
    ) -> None:
        """Money or calls that appeared or vanished; without one nothing is found."""
        account = await two_calls(store)
        assert (await read_ledger(store)).drifts == ()
        await store.transact(*writing([planted(account)]))
        (drift,) = (await read_ledger(store)).drifts
        numbers = (drift.settled, drift.held, drift.settled_by_journal, drift.held_by_journal)
        assert (drift.key, *numbers) == (ACCOUNT, *found)

    @pytest.mark.parametrize(
        ("lost", "found"),
        [
            (forgetting((), ("closed",)), (7, 10, 0, 10)),
            (forgetting((), ("open",)), (7, 10, 7, 0)),
            (forgetting((ACCOUNT,), ()), (0, 0, 7, 10)),
        ],
    )
    async def test_a_row_that_vanished_is_a_drift(
        self,
        store: LedgerStore,
        lost: tuple[Keys, Callable[[Rows], Change[None]]],
        found: tuple[int, int, int, int],
    ) -> None:
        """A call that was charged, one that is held, or the account itself."""
        await two_calls(store)
        await store.transact(*lost)
        (drift,) = (await read_ledger(store)).drifts
        numbers = (drift.settled, drift.held, drift.settled_by_journal, drift.held_by_journal)
        assert (drift.key, *numbers) == (ACCOUNT, *found)


async def two_calls(store: LedgerStore) -> Account:
    """Admit two calls, settle one of them at 7 tokens, and return their account."""
    hold = await admitted(store, call("closed", DAY))
    await admitted(store, call("open", DAY))
    await store.transact(*settle_step(hold, used(7), NOON))
    account = await read_account(store, ACCOUNT)
    assert account is not None
    return account


async def live(store: LedgerStore, other: LedgerStore, hold_id: str, index: int) -> None:
    """Let one call live: begun on *store*, ended on *other* in one of five ways."""
    decision = await store.transact(*admit_step(call(hold_id, DAY), NOON))
    assert isinstance(decision, Admitted)
    hold = decision.hold
    match index % 5:
        case 0:
            settled = await other.transact(*settle_step(hold, used(7), NOON))
            await store.transact(*forget_step([settled.hold]))
        case 1:
            await other.transact(*release_step(hold, "not_sent", NOON))
        case 2:
            await other.transact(*expire_step(hold, LATE))
        case 3:
            await other.transact(*expire_step(hold, LATE))
            await store.transact(*settle_step(hold, used(30), LATE))
        case _:
            await store.transact(*renew_step([hold], LATE + 1))
            await other.transact(*settle_step(hold, used(9), NOON))


def expected_tokens() -> int:
    """What the crowd of :func:`live` is charged."""
    return CROWD // 5 * (7 + 0 + 10 + 30 + 9)
