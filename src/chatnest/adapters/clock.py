"""The time of this machine."""

import asyncio
from collections.abc import Callable
from time import monotonic_ns, time_ns

from chatnest.domain.ports import Timer
from chatnest.domain.windows import US_PER_S

_NS_PER_US = 1_000


class SystemClock:
    """The :class:`~chatnest.domain.ports.Clock` of a running server."""

    def now(self) -> int:
        """The wall clock, in microseconds since the Unix epoch."""
        return time_ns() // _NS_PER_US

    def monotonic_us(self) -> int:
        """A clock that never goes back, in microseconds since an arbitrary start."""
        return monotonic_ns() // _NS_PER_US

    def call_later(self, delay_us: int, callback: Callable[[], None]) -> Timer:
        """Run *callback* once on the running event loop after *delay_us*.

        Raises:
            RuntimeError: no event loop runs in this thread.
        """
        return asyncio.get_running_loop().call_later(max(0, delay_us) / US_PER_S, callback)

    async def sleep(self, delay_us: int) -> None:
        """Wait for *delay_us*; cancellation ends the wait at once."""
        await asyncio.sleep(max(0, delay_us) / US_PER_S)
