"""Engines for group commits that do what their test says, when their test says."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, TypeVar

from chatnest.adapters.storage.memory import MemoryStore
from chatnest.domain.budget import Hold
from chatnest.domain.ledger import Keys, LedgerPage, Rows, Step
from chatnest.testing.clock import ManualClock

T = TypeVar("T")


class EngineDouble:
    """Rows in memory, behind a gate; counts transactions and can be told to fail.

    ``poison`` is a hold id: a transaction that names it fails as a driver would. ``error`` fails
    all of them, and the clock. ``stubborn`` answers although it was cancelled, as a thread does.
    """

    def __init__(self, clock: ManualClock) -> None:
        self._rows = MemoryStore(clock)
        self.gate = asyncio.Event()
        self.gate.set()
        self.batches: list[int] = []
        self.poison: str | None = None
        self.error: BaseException | None = None
        self.stubborn = False
        self.closed = 0
        self.under_way = 0
        self.under_way_at_close = 0
        self.most_under_way = 0

    async def transact(self, keys: Keys, step: Step[T]) -> T:
        self.batches.append(len(keys.holds))
        await self._pass()
        self._fail()
        if self.poison in keys.holds:
            raise OSError("the driver cannot encode this")
        return await self._rows.transact(keys, step)

    async def due_holds(self, now: int, most: int) -> Sequence[Hold]:
        await self._pass()
        return await self._rows.due_holds(now, most)

    async def closed_holds(self, before: int, most: int) -> Sequence[Hold]:
        await self._pass()
        return await self._rows.closed_holds(before, most)

    async def snapshot(self, since: int = 0) -> AsyncGenerator[LedgerPage, None]:
        async for page in self._rows.snapshot(since):
            for hold in page.holds:
                await self._pass()
                yield LedgerPage((), (hold,))

    async def now(self) -> int:
        await self._pass()
        self._fail()
        return await self._rows.now()

    async def aclose(self) -> None:
        self.under_way_at_close = self.under_way
        await self._pass()
        self.closed += 1

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error

    async def _pass(self) -> None:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self._wait()
        finally:
            self.under_way -= 1

    async def _wait(self) -> None:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            if not self.stubborn:
                raise
            await self.gate.wait()


class FutureEngine(EngineDouble):
    """Answers with futures of its own, as a thread does: each when it is told to."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.asked: list[asyncio.Future[Any]] = []
        self._works: list[Callable[[], Any]] = []

    def transact(self, keys: Keys, step: Step[T]) -> asyncio.Future[T]:  # type: ignore[override]
        self._fail()
        self.batches.append(len(keys.holds))
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.asked.append(done)
        self._works.append(lambda: step(Rows({}, {}, {})).result)
        return done

    def answer(self) -> None:
        """Answer what was asked last."""
        self.asked[-1].set_result(self._works[-1]())
