"""A bound on how many calls are under way at one target, and on those that wait for a place."""

import asyncio
from collections import deque
from functools import partial

from chatnest.domain.ports import Clock

# Who waits holds a connection and a prompt; beyond as many a wait would be too long anyway.
MOST_WAITING = 1_000


class Slots:
    """At most *most* places; None: as many as are asked for."""

    def __init__(self, clock: Clock, most: int | None) -> None:
        self._clock = clock
        self._most = most
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self.taken = 0

    def take(self) -> bool:
        """Take a place if there is a free one that nobody waits for; whether there was."""
        if self._most is not None and self.taken >= self._most:
            return False
        self.taken += 1
        return True

    async def wait(self, within_us: int) -> bool:
        """Take a place, in order of arrival, within *within_us*; whether there was one."""
        if self.take():
            return True
        if within_us <= 0 or len(self._waiting) >= MOST_WAITING:
            return False
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        timer = self._clock.call_later(within_us, partial(_refuse, place))
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.result():
                self.give_back()
            raise
        finally:
            timer.cancel()
            if place in self._waiting:
                self._waiting.remove(place)

    def give_back(self) -> None:
        """Leave a place, to whoever has waited longest."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(True)
                return
        self.taken -= 1


def _refuse(place: "asyncio.Future[bool]") -> None:
    if not place.done():
        place.set_result(False)
