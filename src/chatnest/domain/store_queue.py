"""Work that waits for a store which is down."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from chatnest.domain.ports import Clock
from chatnest.domain.windows import US_PER_S

T = TypeVar("T")

# A store that did not answer is asked again, after twice the time each time.
FIRST_RETRY_US = US_PER_S // 4
LONGEST_RETRY_US = 5 * US_PER_S


class StoreQueue:
    """Tries again what the store did not take, for at most *most* callers at a time."""

    def __init__(self, clock: Clock, most: int) -> None:
        self._clock = clock
        self._most = most
        self._waiting = 0

    async def wait(self, attempt: Callable[[], Awaitable[T | None]], limit_us: int) -> T | None:
        """What *attempt* gives once it is not None; None after *limit_us*, or if too many wait."""
        if self._waiting >= self._most:
            return None
        self._waiting += 1
        try:
            return await self._again_and_again(attempt, limit_us)
        finally:
            self._waiting -= 1

    async def _again_and_again(
        self, attempt: Callable[[], Awaitable[T | None]], limit_us: int
    ) -> T | None:
        give_up_us = self._clock.monotonic_us() + limit_us
        delay_us = FIRST_RETRY_US
        done: T | None = None
        while done is None and self._clock.monotonic_us() < give_up_us:
            await self._clock.sleep(delay_us)
            delay_us = min(2 * delay_us, LONGEST_RETRY_US)
            done = await attempt()
        return done
