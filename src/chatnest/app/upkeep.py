"""What a running server does for its ledger beside serving: on every node, again and again."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from chatnest.domain.chat import ChatService
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ports import Clock
from chatnest.domain.watchdog import until_done
from chatnest.domain.windows import US_PER_S

_logger = logging.getLogger("chatnest.app")

LONGEST_ROUND_US: Final = 30 * US_PER_S
# Far below what a lease survives, and far above what machines with NTP differ by.
TOLERATED_SKEW_US: Final = 5 * US_PER_S
# History beyond its time goes a little in each round, so that no round takes long.
_PRUNED_IN_A_ROUND: Final = 1_000
_DAY_US: Final = 24 * 3_600 * US_PER_S


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Charges dead calls, forgets old history, and watches the clocks.

    A round follows the other after half a lease, or half a minute where that is shorter.
    ``history_days`` is how long calls that ended are kept.
    """

    service: ChatService
    clock: Clock
    lease_us: int
    history_days: int

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Keep the ledger in order while the context is open."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            await until_done(task)

    async def _run(self) -> None:
        while True:
            await self.clock.sleep(min(LONGEST_ROUND_US, self.lease_us // 2))
            await self._harmless("dead calls were not charged", self._charge_dead_calls)
            await self._harmless("old calls were not forgotten", self._forget_old_calls)
            await self._harmless("the clocks were not compared", self._compare_clocks)

    async def _harmless(self, failed: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do *work*; whatever a store raises, the next round comes."""
        try:
            await work()
        except StoreUnavailableError as error:
            _logger.warning("%s: %s", failed, error)
        except Exception as error:
            # A store is anyone's code: of what it should not raise only the name is harmless.
            _logger.error("%s: %s", failed, type(error).__name__)

    async def _charge_dead_calls(self) -> None:
        charged = await self.service.charge_dead_holds()
        if charged:
            _logger.warning("charged %d dead calls at their worst case", charged)

    async def _forget_old_calls(self) -> None:
        kept_us = self.history_days * _DAY_US
        forgotten = await self.service.forget_calls(kept_us, _PRUNED_IN_A_ROUND)
        if forgotten:
            _logger.info(
                "forgot %d calls that ended over %d days ago", forgotten, self.history_days
            )

    async def _compare_clocks(self) -> None:
        skew_us = await self.service.clock_skew_us()
        if abs(skew_us) > TOLERATED_SKEW_US:
            _logger.warning(
                "this machine's clock is %+.1f s from the ledger's; let NTP set both",
                skew_us / US_PER_S,
            )
