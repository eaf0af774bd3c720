"""Writes that must happen whatever becomes of the task that asked for them.

A client's cancel lands wherever its task happens to wait. Everything that charges money or gives
it back therefore runs in a task of its own, which the cancel does not reach and which shutdown
waits for; an admission that was cancelled is taken back by such a task.
"""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from chatnest.domain.admission import Admission, Admitted, Refusal
from chatnest.domain.budget import Hold
from chatnest.domain.closing import Closed
from chatnest.domain.errors import BusyError
from chatnest.domain.leases import Leases
from chatnest.domain.policy import TimeLimits
from chatnest.domain.ports import Clock, LedgerStore, Observer
from chatnest.domain.steps import (
    Ending,
    Release,
    Retried,
    Transaction,
    admit_step,
    release_step,
    retry_step,
    settle_step,
    withdraw_step,
)
from chatnest.domain.store_queue import StoreQueue
from chatnest.domain.watchdog import wait_within
from chatnest.domain.windows import US_PER_S

T = TypeVar("T")

# As long as that a settlement waits for its store, and so many of them do. The journal keeps a
# hold for longer, so that a late settlement finds it and corrects what its expiry has charged.
LONGEST_WAIT_US = 12 * 3_600 * US_PER_S
MOST_WAITING = 10_000


class Settler:
    """Admits calls and closes their holds, whatever becomes of the caller meanwhile.

    From the one to the other it keeps their leases.
    """

    def __init__(
        self,
        store: LedgerStore,
        clock: Clock,
        observer: Observer,
        limits: TimeLimits,
        *,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._store = store
        self._clock = clock
        self._observer = observer
        self._leases = Leases(store, clock, limits)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._settlements = StoreQueue(clock, most_waiting)
        self._withdrawals = StoreQueue(clock, most_waiting)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run *work* to its end, whoever stops waiting for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def admit(self, admission: Admission) -> Admitted | Refusal:
        """Judge *admission* as of its hold's making, so that both lie in the same windows.

        A caller that is cancelled meanwhile leaves no hold behind.

        Raises:
            StoreUnavailableError: the store did not answer; what it may have held is given back.
            BusyError: the store takes no more at the moment; nothing is held.
        """
        hold = admission.reserve.hold
        try:
            decision = await self._transact(admit_step(admission, hold.created_at))
        except BusyError:
            raise
        except BaseException:
            self.start(self._withdraw(hold))
            raise
        if isinstance(decision, Admitted) and decision.hold.request_id == hold.request_id:
            self._leases.keep(decision.hold)
        return decision

    async def close(self, hold: Hold, ending: Ending) -> Closed | None:
        """Settle or release *hold*; None where the store did not take it: the hold then expires."""
        self._leases.drop(hold.id)
        now = self._clock.now()
        match ending:
            case Release(outcome=outcome):
                return await self._insist(release_step(hold, outcome, now), hold)
            case _:
                return await self._insist(settle_step(hold, ending, now), hold)

    async def retry(self, failed: Hold, ending: Ending, admission: Admission) -> Retried | None:
        """Close *failed* and reserve the next attempt in one step.

        None where the store did not answer: what it may have held is given back, and *failed* is
        still to be closed.
        """
        hold = admission.reserve.hold
        try:
            retried = await self._transact(retry_step(failed, ending, admission, hold.created_at))
        except Exception:
            self.start(self._withdraw(hold))
            return None
        self._leases.drop(failed.id)
        if isinstance(retried.decision, Admitted):
            self._leases.keep(retried.decision.hold)
        return retried

    async def drain(self, limit_us: int) -> int:
        """Wait for everything under way, at most *limit_us*; how many did not end in time."""
        if self._tasks:
            everything = asyncio.ensure_future(asyncio.wait(tuple(self._tasks)))
            if not await wait_within(self._clock, everything, limit_us):
                everything.cancel()
        return len(self._tasks)

    async def _withdraw(self, unanswered: Hold) -> None:
        """Give back what a command may have held that nobody waits for any more.

        It may arrive yet: then it finds its hold withdrawn.
        """
        now = self._clock.now()
        stored = await self._until_expired(withdraw_step(unanswered, "withdrawn", now), unanswered)
        if stored is not None:
            await self._until_expired(release_step(stored, "withdrawn", now), unanswered)

    async def _insist(self, transaction: Transaction[T], hold: Hold) -> T | None:
        """Do *transaction* as soon as the store takes it; None where it is given up."""
        done = await self._tried(transaction)
        if done is not None:
            return done
        self._observer.settlement_failed(hold.id)
        done = await self._settlements.wait(lambda: self._tried(transaction), LONGEST_WAIT_US)
        if done is None:
            self._observer.settlement_abandoned(hold.id)
        return done

    async def _until_expired(self, transaction: Transaction[T], hold: Hold) -> T | None:
        """Do *transaction* while *hold* may still be open; None where it is given up.

        Apart from the settlements: a store that is down refuses any number of chats, and none of
        them may take the place of a call that was paid for.
        """
        done = await self._tried(transaction)
        if done is not None:
            return done
        left_us = hold.expires_at - self._clock.now()
        return await self._withdrawals.wait(lambda: self._tried(transaction), left_us)

    async def _tried(self, transaction: Transaction[T]) -> T | None:
        try:
            return await self._transact(transaction)
        except Exception:
            # A store is anyone's code: whatever it raises, its rows may not have been written.
            return None

    def _transact(self, transaction: Transaction[T]) -> Awaitable[T]:
        keys, step = transaction
        return self._store.transact(keys, step)
