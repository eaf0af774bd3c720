"""Keeps the holds of calls that are alive from expiring.

A hold stands for a lease, which is short: when a process dies its calls are charged soon after.
While it lives it renews the leases of all of its calls together, three times in each.
"""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import islice

from chatnest.domain.budget import Hold, HoldState
from chatnest.domain.policy import TimeLimits
from chatnest.domain.ports import Clock, LedgerStore, Timer
from chatnest.domain.upkeep import renew_step

# Beyond the longest call that there can be: for its retries and for its settlement.
_ENDING_US = 60 * 1_000_000
# One step renews as many: its rows are locked together for a moment.
_RENEWED_TOGETHER = 100


class Leases:
    """Renews the lease of each hold from ``keep`` to ``drop``.

    A call that nobody ends, which is a defect of its caller, is renewed no longer than a call may
    take. A renewal that fails is made up for by the next one.
    """

    def __init__(self, store: LedgerStore, clock: Clock, limits: TimeLimits) -> None:
        self._store = store
        self._clock = clock
        self._lease_us = limits.lease_us
        self._longest_us = limits.total_us + _ENDING_US
        # Each with when it was kept first, by the clock that never jumps.
        self._holds: dict[str, tuple[Hold, int]] = {}
        self._timer: Timer | None = None
        self._renewal: asyncio.Task[None] | None = None

    def keep(self, hold: Hold) -> None:
        """Let *hold* stand from here on; one that is closed already needs nothing."""
        if hold.state is HoldState.HELD:
            self._holds[hold.id] = hold, self._clock.monotonic_us()
            self._wait()

    def drop(self, hold_id: str) -> None:
        """Let the hold expire if nothing else becomes of it. May be called twice."""
        self._holds.pop(hold_id, None)
        if not self._holds and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        if self._timer is None and self._renewal is None and self._holds:
            self._timer = self._clock.call_later(self._lease_us // 3, self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._renewal = asyncio.ensure_future(self._renew())
        self._renewal.add_done_callback(self._ended)

    def _ended(self, renewal: asyncio.Task[None]) -> None:
        self._renewal = None
        if not renewal.cancelled():
            # A store is anyone's code; whatever it raises, the next renewal comes.
            renewal.exception()
            self._wait()

    async def _renew(self) -> None:
        # By the store's clock, which is the one that its reapers go by.
        now = await self._store.now()
        self._drop_overdue(self._clock.monotonic_us())
        for holds in _batches([hold for hold, _ in self._holds.values()]):
            keys, step = renew_step(holds, now + self._lease_us)
            await self._store.transact(keys, step)

    def _drop_overdue(self, now_us: int) -> None:
        for hold_id, (_, since_us) in list(self._holds.items()):
            if now_us - since_us > self._longest_us:
                self.drop(hold_id)


def _batches(holds: Sequence[Hold]) -> Iterable[list[Hold]]:
    rest = iter(holds)
    while batch := list(islice(rest, _RENEWED_TOGETHER)):
        yield batch
