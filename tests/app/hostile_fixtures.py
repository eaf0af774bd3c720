"""An application to be attacked, as fixtures, and what has to be true of it afterwards.

A test module that needs them names this module in its ``pytest_plugins``.
"""

import logging
from collections.abc import AsyncGenerator

import pytest

from tests.app.hostile_target import SECRET, Target, serving


@pytest.fixture(scope="module")
async def target() -> AsyncGenerator[Target, None]:
    """One server for all of the attacks: what one does to it, the next would see."""
    async with serving() as target:
        yield target


@pytest.fixture
async def port(target: Target, caplog: pytest.LogCaptureFixture) -> AsyncGenerator[int, None]:
    """Where to attack; afterwards everything is as if nothing had happened."""
    caplog.set_level(logging.DEBUG)
    before = target.calls, await target.spent()
    yield target.port
    assert (target.calls, await target.spent()) == before
    assert {held for _, held in before[1]} == {0}
    await target.check_chats()
    for record in caplog.get_records("call"):
        assert SECRET not in record.getMessage()
        assert record.exc_info is None
        assert record.levelno < logging.ERROR
