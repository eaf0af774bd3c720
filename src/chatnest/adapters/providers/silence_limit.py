"""A limit on how long a body may say nothing, at next to no cost for each read."""

import asyncio

import aiohttp


class SilenceLimit:
    """Fails the reading of *response* with a TimeoutError once nothing came for *limit_s* seconds.

    ``heard_at`` is when something came last, by the loop's clock; whoever reads moves it. The timer
    looks at it when it fires, where aiohttp's own would be set anew by each read. The limit must be
    closed.
    """

    __slots__ = ("_content", "_limit_s", "_loop", "_timer", "heard_at")

    def __init__(self, response: aiohttp.ClientResponse, limit_s: float) -> None:
        self._content = response.content
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self.heard_at = self._loop.time()
        self._timer = self._loop.call_later(limit_s, self._look)
        if response.connection is not None and response.connection.protocol is not None:
            response.connection.protocol.read_timeout = None

    def close(self) -> None:
        """Expect nothing any more."""
        self._timer.cancel()

    def _look(self) -> None:
        left_s = self.heard_at + self._limit_s - self._loop.time()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look)
        else:
            self._content.set_exception(TimeoutError())
