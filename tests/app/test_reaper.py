"""The reaper goes on, whatever the store says to it."""

from collections.abc import Sequence

import pytest

from chatnest.adapters.storage.memory import MemoryStore
from chatnest.app.auth import default_resolver
from chatnest.app.config import ChatNestConfig
from chatnest.app.plugin import REAP_EVERY_US, _reaper
from chatnest.app.serving import Serving
from chatnest.app.streaming import StreamRegistry
from chatnest.domain.budget import Hold
from chatnest.domain.errors import StoreUnavailableError
from chatnest.testing.clock import ManualClock
from tests.domain.chat_world import World


class Failing(MemoryStore):
    """A store that cannot list what is due."""

    error: Exception | None = None

    async def due_holds(self, now: int, most: int) -> Sequence[Hold]:
        if self.error is not None:
            raise self.error
        return await super().due_holds(now, most)


@pytest.mark.parametrize("error", [None, StoreUnavailableError("down"), OSError("driver")])
async def test_dead_holds_are_charged_once_the_store_lets_us(error: Exception | None) -> None:
    clock = ManualClock()
    store = Failing(clock)
    world = World(clock=clock, store=store)
    config = ChatNestConfig()
    registry = StreamRegistry(clock)
    serving = Serving(config, world.service, registry, clock, default_resolver(config))
    await world.answer("x")
    held = (await world.tokens())[1]
    clock.advance(world.policy.time_limits.lease_us)
    store.error = error
    async with _reaper(serving):
        await clock.run_for(REAP_EVERY_US)
        assert (await world.tokens())[1] == (0 if error is None else held)
        store.error = None
        await clock.run_for(REAP_EVERY_US)

    assert await world.tokens() == (held, 0)
    assert clock.pending == 0
