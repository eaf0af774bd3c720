"""A clock that moves only when a test moves it."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count

DEFAULT_START = 1_767_225_600_000_000
"""The instant 2026-01-01T00:00:00Z, in microseconds since the Unix epoch."""

# How often a woken task may pass control on before the clock moves again. A chain of awaits that
# needs no input and no thread resumes within one pass each; the deepest in ChatNest takes a few.
_PASSES_TO_SETTLE = 50


class ManualClock:
    """A :class:`~chatnest.domain.ports.Clock` that stands still until it is advanced.

    *now* is where the wall clock starts, in microseconds since the Unix epoch. The monotonic clock
    starts elsewhere on purpose, so that code which mixes the two fails its tests.
    """

    def __init__(self, now: int = DEFAULT_START, *, monotonic_us: int = 0) -> None:
        self._monotonic_us = monotonic_us
        self._wall_offset_us = now - monotonic_us
        self._timers: list[tuple[int, int, ManualTimer]] = []
        self._order = count()

    def now(self) -> int:
        """The wall clock, in microseconds since the Unix epoch."""
        return self._monotonic_us + self._wall_offset_us

    def monotonic_us(self) -> int:
        """The clock that only advancing moves, in microseconds."""
        return self._monotonic_us

    def set_wall(self, now: int) -> None:
        """Set the wall clock alone, forward or back; no timer becomes due by it."""
        self._wall_offset_us = now - self._monotonic_us

    @property
    def pending(self) -> int:
        """The number of timers that wait: neither run nor cancelled."""
        return sum(timer.waits for _, _, timer in self._timers)

    def call_later(self, delay_us: int, callback: Callable[[], None]) -> "ManualTimer":
        """Run *callback* once the clock was advanced by *delay_us*, never inside this call."""
        timer = ManualTimer(callback)
        due = self._monotonic_us + max(0, delay_us)
        heapq.heappush(self._timers, (due, next(self._order), timer))
        return timer

    async def sleep(self, delay_us: int) -> None:
        """Wait until the clock was advanced by *delay_us*; no delay only yields to the loop."""
        if delay_us <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.Event()
        timer = self.call_later(delay_us, woken.set)
        try:
            await woken.wait()
        finally:
            timer.cancel()

    def advance(self, delay_us: int) -> None:
        """Move by *delay_us*, running what is due in order of time, each at its own instant.

        Tasks that are woken run later, when the caller awaits. What a callback raises comes out
        here.

        Raises:
            ValueError: *delay_us* is negative.
        """
        end = self._end(delay_us)
        while self._run_next(end):
            pass
        self._monotonic_us = end

    async def run_for(self, delay_us: int) -> None:
        """Move by *delay_us*, and after each timer let the woken tasks run until they wait.

        They may set further timers within the span. What waits for a socket or a thread may not
        be done when this returns.

        Raises:
            ValueError: *delay_us* is negative.
        """
        end = self._end(delay_us)
        await _settle()
        while self._run_next(end):
            await _settle()
        self._monotonic_us = end
        await _settle()

    def _end(self, delay_us: int) -> int:
        if delay_us < 0:
            raise ValueError("a clock is never advanced by a negative delay")
        return self._monotonic_us + delay_us

    def _run_next(self, end: int) -> bool:
        """Run the first timer that is due by *end*; False where there is none."""
        if not self._timers or self._timers[0][0] > end:
            return False
        self._monotonic_us, _, timer = heapq.heappop(self._timers)
        timer.run()
        return True


class ManualTimer:
    """A callback that waits for a :class:`ManualClock` to be advanced."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    @property
    def waits(self) -> bool:
        """Whether the callback is still to be called."""
        return self._callback is not None

    def cancel(self) -> None:
        """Call the callback no more. May be called twice, and after it ran."""
        self._callback = None

    def run(self) -> None:
        """Call the callback, unless it was called or cancelled before."""
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


async def _settle() -> None:
    for _ in range(_PASSES_TO_SETTLE):
        await asyncio.sleep(0)
