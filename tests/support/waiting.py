"""Waiting for what only asking again can tell: a state on the other side of a socket."""

import asyncio
from collections.abc import Awaitable, Callable

WITHIN_S = 20
EVERY_S = 0.005


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask *condition* until it holds.

    Raises:
        TimeoutError: it did not hold in time.
    """
    async with asyncio.timeout(WITHIN_S):
        while not await condition():  # noqa: ASYNC110  # the other side cannot set our events
            await asyncio.sleep(EVERY_S)
