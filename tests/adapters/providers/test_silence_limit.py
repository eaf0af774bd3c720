"""The limit on silence counts from what was heard last."""

import asyncio
from types import SimpleNamespace
from typing import Any

from chatnest.adapters.providers.silence_limit import SilenceLimit

LIMIT_S = 0.02


class Body:
    """The body of a response, as far as the limit knows it."""

    def __init__(self) -> None:
        self.failed = asyncio.Event()
        self.error: BaseException | None = None

    def set_exception(self, error: BaseException) -> None:
        self.error = error
        self.failed.set()


def response(body: Body) -> Any:
    return SimpleNamespace(content=body, connection=None)


async def test_what_is_heard_meanwhile_puts_the_end_off() -> None:
    loop, body = asyncio.get_running_loop(), Body()
    silence = SilenceLimit(response(body), LIMIT_S)
    silence.heard_at = heard_at = loop.time() + LIMIT_S
    async with asyncio.timeout(10):
        await body.failed.wait()
    assert loop.time() >= heard_at + LIMIT_S
    assert isinstance(body.error, TimeoutError)


async def test_a_limit_that_is_closed_ends_nothing() -> None:
    quiet, later = Body(), Body()
    SilenceLimit(response(quiet), 0).close()
    SilenceLimit(response(later), LIMIT_S)
    async with asyncio.timeout(10):
        await later.failed.wait()
    assert quiet.error is None
