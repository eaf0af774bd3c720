"""Writes that happen whatever becomes of those who asked for them."""

import asyncio

import pytest

from chatnest.domain.admission import Admission, Admitted
from chatnest.domain.budget import BudgetRule, Demand, Hold, HoldState, Reserve, Unit
from chatnest.domain.closing import Settlement
from chatnest.domain.errors import BusyError, StoreUnavailableError
from chatnest.domain.ledger import Change, Keys
from chatnest.domain.observing import HarmlessObserver
from chatnest.domain.policy import TimeLimits
from chatnest.domain.settling import LONGEST_WAIT_US, Settler
from chatnest.domain.steps import Release
from chatnest.domain.store_queue import FIRST_RETRY_US, LONGEST_RETRY_US
from chatnest.domain.upkeep import charge_dead_holds
from chatnest.domain.usage import TokenUsage
from chatnest.domain.windows import US_PER_S
from chatnest.testing.clock import ManualClock
from tests.domain.chat_world import DAY, Witness, turns
from tests.domain.stubborn_store import StubbornStore

LEASE_US = 100 * US_PER_S
RULE = BudgetRule("global", Unit.TOKENS, DAY, 1_000)
USED = Settlement(TokenUsage(3, 4), price=None, estimated=False, outcome="stop")


class Office:
    """A settler, and what it works with."""

    def __init__(self, most_waiting: int = 10) -> None:
        self.clock = ManualClock()
        self.store = StubbornStore(self.clock)
        self.witness = Witness()
        observer = HarmlessObserver(self.witness)
        limits = TimeLimits(lease_us=LEASE_US)
        self.settler = Settler(self.store, self.clock, observer, limits, most_waiting=most_waiting)

    def admission(self, hold_id: str = "r.1") -> Admission:
        now = self.clock.now()
        hold = Hold(
            *(hold_id, "r", "user:alice", "plain", "puppet", "model-1"),
            lines=(),
            output_cap=10,
            created_at=now,
            expires_at=now + LEASE_US,
        )
        return Admission(Reserve(hold, Demand(5, 10, 1, price=None), (RULE,)))

    async def admit(self, hold_id: str = "r.1") -> Hold:
        decision = await self.settler.admit(self.admission(hold_id))
        assert isinstance(decision, Admitted), decision
        return decision.hold

    async def states(self, *hold_ids: str) -> list[HoldState]:
        """What has become of the holds, without asking through the gate."""
        keys = Keys(holds=hold_ids)
        holds = await super(StubbornStore, self.store).transact(
            keys, lambda rows: Change([rows.holds[hold_id] for hold_id in hold_ids])
        )
        return [hold.state for hold in holds]

    async def charged(self) -> tuple[int, int]:
        key = RULE.account_at(self.clock.now())
        account = await super(StubbornStore, self.store).transact(
            Keys(accounts=(key,)), lambda rows: Change(rows.accounts[key])
        )
        return account.settled, account.held


async def test_closing_settles_or_releases() -> None:
    office = Office()
    settled, released = await office.admit("r.1"), await office.admit("r.2")
    await office.settler.close(settled, USED)
    await office.settler.close(released, Release("stop"))

    assert await office.states("r.1", "r.2") == [HoldState.SETTLED, HoldState.RELEASED]
    assert await office.charged() == (7, 0)


async def test_work_goes_on_when_nobody_waits_for_it_any_more() -> None:
    office = Office()
    hold = await office.admit()
    office.store.gate.clear()
    waiting = asyncio.create_task(asyncio.wait((office.settler.start(closing(office, hold)),)))
    await turns()
    waiting.cancel()
    office.store.gate.set()

    assert await office.settler.drain(US_PER_S) == 0
    assert await office.charged() == (7, 0)


async def closing(office: Office, hold: Hold) -> None:
    await office.settler.close(hold, USED)


@pytest.mark.parametrize("lost_reply", [True, False])
@pytest.mark.parametrize("error", [None, OSError("driver")])
async def test_a_store_that_fails_once_is_asked_again_and_charges_once(
    lost_reply: bool, error: Exception | None
) -> None:
    office = Office()
    hold = await office.admit()
    office.store.error = error or office.store.error
    office.store.lose_replies = int(lost_reply)
    office.store.down = not lost_reply
    closed = asyncio.create_task(closing(office, hold))
    await turns()
    office.store.down = False
    await office.clock.run_for(FIRST_RETRY_US)
    await closed

    assert await office.charged() == (7, 0)
    assert office.witness.unsettled == ["r.1"]


async def test_a_store_that_is_down_is_asked_every_few_seconds_until_it_is_back() -> None:
    office = Office()
    hold = await office.admit()
    office.store.down = True
    before = office.store.asked
    closed = asyncio.create_task(closing(office, hold))
    await office.clock.run_for(100 * LONGEST_RETRY_US)
    assert not closed.done()
    assert office.store.asked - before < 110
    office.store.down = False
    await office.clock.run_for(LONGEST_RETRY_US)
    await closed

    assert await office.charged() == (7, 0)
    assert (office.witness.unsettled, office.witness.abandoned) == (["r.1"], [])
    assert office.clock.pending == 0


async def test_a_settlement_of_a_hold_that_expired_meanwhile_corrects_it() -> None:
    office = Office()
    hold = await office.admit()
    office.store.down = True
    closed = asyncio.create_task(closing(office, hold))
    await office.clock.run_for(LEASE_US)
    office.store.down = False
    assert await charge_dead_holds(office.store) == 1
    assert await office.charged() == (15, 0)
    await office.clock.run_for(LONGEST_RETRY_US)
    await closed

    assert await office.charged() == (7, 0)


async def test_a_settlement_that_no_store_takes_is_given_up_in_the_end() -> None:
    office = Office()
    hold = await office.admit()
    office.store.down = True
    closed = asyncio.create_task(office.settler.close(hold, USED))
    await turns()
    office.clock.advance(LONGEST_WAIT_US - 1)
    await turns()
    assert not closed.done()
    await office.clock.run_for(LONGEST_RETRY_US)

    assert await closed is None
    assert office.witness.abandoned == ["r.1"]
    assert office.clock.pending == 0


async def test_more_settlements_than_may_wait_are_given_up_at_once() -> None:
    office = Office(most_waiting=2)
    holds = [await office.admit(f"r.{number}") for number in range(3)]
    office.store.down = True
    closings = [asyncio.create_task(closing(office, hold)) for hold in holds]
    await turns()

    assert [task.done() for task in closings] == [False, False, True]
    assert office.witness.abandoned == ["r.2"]
    office.store.down = False
    await office.clock.run_for(FIRST_RETRY_US)
    assert await office.settler.drain(US_PER_S) == 0
    assert await office.states("r.0", "r.1", "r.2") == [
        HoldState.SETTLED,
        HoldState.SETTLED,
        HoldState.HELD,
    ]


async def test_refused_chats_take_no_settlements_place_while_the_store_is_down() -> None:
    office = Office(most_waiting=2)
    hold = await office.admit()
    office.store.down = True
    for number in range(5):
        with pytest.raises(StoreUnavailableError):
            await office.admit(f"refused.{number}")
    closed = asyncio.create_task(closing(office, hold))
    await turns()
    assert (office.witness.unsettled, office.witness.abandoned) == (["r.1"], [])
    office.store.down = False
    await office.clock.run_for(LONGEST_RETRY_US)
    await closed

    assert await office.settler.drain(US_PER_S) == 0
    assert await office.charged() == (7, 0)
    assert await office.states("refused.0", "refused.1") == [HoldState.RELEASED] * 2


async def test_a_withdrawal_is_tried_until_there_is_nothing_left_to_give_back() -> None:
    office = Office()
    office.store.down = True
    with pytest.raises(StoreUnavailableError):
        await office.admit()
    await office.clock.run_for(LEASE_US - LONGEST_RETRY_US)
    assert office.clock.pending == 1
    await office.clock.run_for(2 * LONGEST_RETRY_US)

    assert office.clock.pending == 0
    assert await office.settler.drain(US_PER_S) == 0
    assert (office.witness.unsettled, office.witness.abandoned) == ([], [])


async def test_a_store_that_is_too_busy_holds_nothing_and_is_asked_for_nothing_more() -> None:
    office = Office()
    office.store.error = BusyError("full")
    office.store.down = True
    before = office.store.asked
    with pytest.raises(BusyError):
        await office.admit()
    assert await office.settler.drain(US_PER_S) == 0

    assert office.store.asked - before == 1


@pytest.mark.parametrize("error", [None, OSError("driver")])
async def test_an_admission_whose_reply_is_lost_is_given_back(error: Exception | None) -> None:
    office = Office()
    office.store.error = error or office.store.error
    office.store.lose_replies = 1
    with pytest.raises(type(office.store.error)):
        await office.admit()
    assert await office.settler.drain(US_PER_S) == 0

    assert await office.states("r.1") == [HoldState.RELEASED]
    assert await office.charged() == (0, 0)


async def test_a_caller_cancelled_during_its_admission_is_given_its_hold_back() -> None:
    office = Office()
    office.store.gate.clear()
    asking = asyncio.create_task(office.admit())
    await turns()
    asking.cancel()
    await turns()
    office.store.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await office.settler.drain(US_PER_S) == 0

    assert await office.states("r.1") == [HoldState.RELEASED]


async def test_trying_again_closes_one_hold_and_opens_the_next() -> None:
    office = Office()
    failed = await office.admit()
    retried = await office.settler.retry(failed, USED, office.admission("r.2"))

    assert retried is not None
    assert isinstance(retried.decision, Admitted)
    assert await office.states("r.1", "r.2") == [HoldState.SETTLED, HoldState.HELD]


@pytest.mark.parametrize("error", [None, OSError("driver")])
async def test_trying_again_without_a_store_leaves_no_second_hold(
    error: Exception | None,
) -> None:
    office = Office()
    failed = await office.admit()
    office.store.error = error or office.store.error
    office.store.lose_replies = 1

    assert await office.settler.retry(failed, USED, office.admission("r.2")) is None
    assert await office.settler.drain(US_PER_S) == 0
    assert await office.states("r.2") == [HoldState.RELEASED]


async def test_draining_waits_no_longer_than_its_limit_and_says_what_is_left() -> None:
    office = Office()
    hold = await office.admit()
    office.store.gate.clear()
    before = asyncio.all_tasks()
    office.settler.start(closing(office, hold))
    draining = asyncio.create_task(office.settler.drain(10))
    await office.clock.run_for(9)
    assert not draining.done()
    await office.clock.run_for(1)

    assert await draining == 1
    await turns()
    assert len(asyncio.all_tasks() - before) == 1
    office.store.gate.set()
    assert await office.settler.drain(US_PER_S) == 0
    assert await office.charged() == (7, 0)
