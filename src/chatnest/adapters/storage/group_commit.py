"""Group commit: the steps that wait while one transaction runs become the next one together.

A hot account then costs one round trip, and one write to the disk, for each batch and not for
each request. The steps of a batch run in their order through the pure policies, and each has its
own result.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from chatnest.domain.budget import Hold
from chatnest.domain.errors import BusyError, ConfigurationError, StoreUnavailableError
from chatnest.domain.folding import Done, Outcome, Raised, Transaction, fold, union
from chatnest.domain.ledger import Keys, LedgerPage, Step
from chatnest.domain.ports import Clock, LedgerStore
from chatnest.domain.watchdog import wait_within
from chatnest.domain.windows import US_PER_S

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CommitLimits:
    """How many steps one transaction takes, how many may wait, and how long an answer may take.

    A batch of 64 steps is judged in a few milliseconds, for which the event loop stands still.
    """

    batch: int = 64
    waiting: int = 10_000
    answer_us: int = 5 * US_PER_S


@dataclass(frozen=True, slots=True)
class _Waiting:
    transaction: Transaction
    done: asyncio.Future[Any]


class GroupCommit:
    """A :class:`~chatnest.domain.ports.LedgerStore` over *engine*, one transaction at a time.

    *engine* need not bound its waits: whatever it does not answer within the limits is given up
    as unknown, and its task is cancelled. An error of the engine that is none of ChatNest's must
    mean that nothing was written; the steps of such a batch are tried one by one, so that the one
    which the engine cannot take fails alone.
    """

    def __init__(
        self, engine: LedgerStore, clock: Clock, limits: CommitLimits | None = None
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._limits = limits or CommitLimits()
        self._queue: deque[_Waiting] = deque()
        self._runner: asyncio.Task[None] | None = None
        self._closed = False

    async def transact(self, keys: Keys, step: Step[T]) -> T:
        """See :meth:`chatnest.domain.ports.LedgerStore.transact`."""
        self._require_open()
        if len(self._queue) >= self._limits.waiting:
            raise BusyError("too many steps wait for the ledger")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting((keys, step), done))
        if self._runner is None:
            self._runner = asyncio.ensure_future(self._run())
        return await done

    async def due_holds(self, now: int, most: int) -> Sequence[Hold]:
        """See :meth:`chatnest.domain.ports.LedgerStore.due_holds`."""
        return await self._answered(lambda: self._engine.due_holds(now, most))

    async def closed_holds(self, before: int, most: int) -> Sequence[Hold]:
        """See :meth:`chatnest.domain.ports.LedgerStore.closed_holds`."""
        return await self._answered(lambda: self._engine.closed_holds(before, most))

    async def snapshot(self, since: int = 0) -> AsyncGenerator[LedgerPage, None]:
        """See :meth:`chatnest.domain.ports.LedgerStore.snapshot`; each page has its time."""
        pages = self._engine.snapshot(since)
        try:
            while (page := await self._answered(lambda: anext(pages, None))) is not None:
                yield page
        finally:
            await pages.aclose()

    async def now(self) -> int:
        """See :meth:`chatnest.domain.ports.LedgerStore.now`."""
        return await self._answered(self._engine.now)

    async def aclose(self) -> None:
        """Finish what was begun, refuse the rest, and close the engine."""
        self._closed = True
        while self._queue:
            _tell(self._queue.popleft().done, _closed())
        if self._runner is not None:
            await asyncio.wait((self._runner,))
        await self._engine.aclose()

    def _require_open(self) -> None:
        if self._closed:
            raise _closed()

    async def _run(self) -> None:
        try:
            while batch := self._next_batch():
                await self._commit(batch)
        finally:
            self._runner = None

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._queue and len(batch) < self._limits.batch:
            waiting = self._queue.popleft()
            if not waiting.done.done():
                batch.append(waiting)
        return batch

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        transactions = [waiting.transaction for waiting in batch]
        keys, step = union(transactions), fold(transactions)
        try:
            outcomes = await self._answered(lambda: self._engine.transact(keys, step))
        except (StoreUnavailableError, ConfigurationError) as error:
            for waiting in batch:
                _tell(waiting.done, _again(error))
        except Exception as error:
            if len(batch) == 1:
                _tell(batch[0].done, error)
                return
            for waiting in batch:
                await self._commit((waiting,))
        else:
            for waiting, outcome in zip(batch, outcomes, strict=True):
                _answer(waiting.done, outcome)

    async def _answered(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What the engine answers, if it does so in time."""
        self._require_open()
        asked = asyncio.ensure_future(ask())
        asked.add_done_callback(_retrieve)
        try:
            in_time = await wait_within(self._clock, asked, self._limits.answer_us)
        except BaseException:
            asked.cancel()
            raise
        if not in_time:
            asked.cancel()
            raise StoreUnavailableError("the ledger did not answer in time")
        return asked.result()


def _answer(done: asyncio.Future[Any], outcome: Outcome) -> None:
    match outcome:
        case Done(result=result):
            if not done.done():
                done.set_result(result)
        case Raised(error=error):
            _tell(done, error)


def _tell(done: asyncio.Future[Any], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)


def _again(error: Exception) -> Exception:
    """*error* for one more caller: each raises its own, so that no traceback grows."""
    again = type(error)(*error.args)
    again.__cause__ = error
    return again


def _closed() -> StoreUnavailableError:
    return StoreUnavailableError("the ledger is closed")


def _retrieve(asked: asyncio.Future[Any]) -> None:
    """Look at how *asked* ended: nobody else does where it was given up."""
    if not asked.cancelled():
        asked.exception()
