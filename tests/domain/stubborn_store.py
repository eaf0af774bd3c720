"""A ledger that answers when a test lets it."""

import asyncio
from typing import TypeVar

from chatnest.adapters.storage.memory import MemoryStore
from chatnest.domain.errors import StoreUnavailableError
from chatnest.domain.ledger import Keys, Step
from chatnest.testing.clock import ManualClock

T = TypeVar("T")


class StubbornStore(MemoryStore):
    """Waits for its gate, is down, or applies a step and loses the reply."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.gate = asyncio.Event()
        self.gate.set()
        self.lose_replies = 0
        self.down = False
        self.error: Exception = StoreUnavailableError("down")
        self.asked = 0

    async def transact(self, keys: Keys, step: Step[T]) -> T:
        self.asked += 1
        await self.gate.wait()
        if self.down:
            raise self.error
        result = await super().transact(keys, step)
        if self.lose_replies:
            self.lose_replies -= 1
            raise self.error
        return result
