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

    A step waits at most ``answer_us`` for its turn, and as long again for its answer. A batch of 64
    steps is judged in a few milliseconds, for which the event loop stands still.
    """

    batch: int = 64
    waiting: int = 10_000
    answer_us: int = 5 * US_PER_S


# Not frozen: those take twice as long to make, for each step.
@dataclass(slots=True)
class _Waiting:
    """A step without an answer; ``alone`` where the engine did not take it among others."""

    transaction: Transaction
    done: asyncio.Future[Any]
    since_us: int
    alone: bool = False


class GroupCommit:
    """A :class:`~chatnest.domain.ports.LedgerStore` over *engine*, one transaction at a time.

    *engine* need not bound its waits: whatever it does not answer within the limits is given up
    as unknown, and its task is cancelled. An error of the engine that is none of ChatNest's must
    mean that nothing was written; the steps of such a batch are tried one by one, so that the one
    which the engine cannot take fails alone. All of it belongs to one event loop.
    """

    def __init__(
        self, engine: LedgerStore, clock: Clock, limits: CommitLimits | None = None
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._limits = limits or CommitLimits()
        self._queue: deque[_Waiting] = deque()
        self._unanswered = 0
        self._runner: asyncio.Task[None] | None = None
        self._asked: set[asyncio.Future[Any]] = set()
        self._closed = False

    async def transact(self, keys: Keys, step: Step[T]) -> T:
        """See :meth:`chatnest.domain.ports.LedgerStore.transact`."""
        self._require_open()
        if self._unanswered >= self._limits.waiting:
            raise BusyError("too many steps wait for the ledger")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting((keys, step), done, self._clock.monotonic_us()))
        if self._runner is None:
            self._runner = asyncio.ensure_future(self._run())
        self._unanswered += 1
        try:
            return await done
        finally:
            self._unanswered -= 1

    async def due_holds(self, now: int, most: int) -> Sequence[Hold]:
        """See :meth:`chatnest.domain.ports.LedgerStore.due_holds`."""
        return await self._answered(lambda: self._engine.due_holds(now, most))

    async def closed_holds(self, before: int, most: int) -> Sequence[Hold]:
        """See :meth:`chatnest.domain.ports.LedgerStore.closed_holds`."""
        return await self._answered(lambda: self._engine.closed_holds(before, most))

    async def snapshot(self, since: int = 0) -> AsyncGenerator[LedgerPage, None]:
        """See :meth:`chatnest.domain.ports.LedgerStore.snapshot`; each page has its time."""
        self._require_open()
        pages = self._engine.snapshot(since)
        asked: asyncio.Future[LedgerPage | None] | None = None
        try:
            while True:
                asked = self._ask(anext(pages, None))
                if (page := await self._in_time(asked)) is None:
                    return
                yield page
        finally:
            await self._bounded(_leave(pages, asked))

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
        if self._asked:
            await self._bounded(asyncio.wait(tuple(self._asked)))
        await self._bounded(self._engine.aclose())

    def _require_open(self) -> None:
        if self._closed:
            raise _closed()

    async def _run(self) -> None:
        batch: list[_Waiting] = []
        try:
            while batch := self._next_batch():
                await self._commit(batch)
        except BaseException:
            # The event loop ends, or there is a defect here: nobody is left waiting for ever.
            for waiting in (*batch, *self._queue):
                _tell(waiting.done, _late())
            raise
        finally:
            self._runner = None

    def _next_batch(self) -> list[_Waiting]:
        earliest_us = self._clock.monotonic_us() - self._limits.answer_us
        batch: list[_Waiting] = []
        while self._queue and len(batch) < self._limits.batch:
            if batch and (batch[-1].alone or self._queue[0].alone):
                break
            waiting = self._queue.popleft()
            if waiting.since_us < earliest_us:
                _tell(waiting.done, _late())
            if not waiting.done.done():
                batch.append(waiting)
        return batch

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        transactions = [waiting.transaction for waiting in batch]
        keys, step = union(transactions), fold(transactions)
        try:
            outcomes = await self._answered(lambda: self._engine.transact(keys, step))
        except asyncio.CancelledError:
            raise
        except (StoreUnavailableError, ConfigurationError) as error:
            for waiting in batch:
                _tell(waiting.done, _again(error))
        except BaseException as error:
            self._refused(batch, error)
        else:
            for waiting, outcome in zip(batch, outcomes, strict=True):
                _answer(waiting.done, outcome)

    def _refused(self, batch: Sequence[_Waiting], error: BaseException) -> None:
        if len(batch) == 1:
            _tell(batch[0].done, error)
        else:
            for each in batch:
                each.alone = True
            self._queue.extendleft(reversed(batch))

    async def _answered(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What the engine answers, if it does so in time."""
        self._require_open()
        return await self._in_time(self._ask(ask()))

    def _ask(self, question: Awaitable[T]) -> asyncio.Future[T]:
        asked = asyncio.ensure_future(question)
        self._asked.add(asked)
        asked.add_done_callback(self._forget)
        return asked

    def _forget(self, asked: asyncio.Future[Any]) -> None:
        """Look at how *asked* ended: nobody else does where it was given up."""
        self._asked.discard(asked)
        if not asked.cancelled():
            asked.exception()

    async def _in_time(self, asked: asyncio.Future[T]) -> T:
        try:
            in_time = await wait_within(self._clock, asked, self._limits.answer_us)
        except BaseException:
            asked.cancel()
            raise
        if not in_time:
            asked.cancel()
            raise _late()
        if asked.cancelled():
            raise StoreUnavailableError("the ledger has given up")
        return asked.result()

    async def _bounded(self, ending: Awaitable[object]) -> None:
        """Wait for *ending*, but not for ever; what it raises is raised."""
        asked = self._ask(ending)
        if await wait_within(self._clock, asked, self._limits.answer_us):
            asked.result()
        else:
            asked.cancel()


def _answer(done: asyncio.Future[Any], outcome: Outcome) -> None:
    match outcome:
        case Done(result=result):
            if not done.done():
                done.set_result(result)
        case Raised(error=error):
            _tell(done, error)


def _tell(done: asyncio.Future[Any], error: BaseException) -> None:
    if done.done():
        return
    if isinstance(error, StopIteration):
        # As a coroutine would: no future takes it.
        error = _caused(RuntimeError("the step raised StopIteration"), error)
    done.set_exception(error)


def _again(error: Exception) -> Exception:
    """*error* for one more caller: each raises its own, so that no traceback grows."""
    kind = ConfigurationError if isinstance(error, ConfigurationError) else StoreUnavailableError
    return _caused(kind(*error.args), error)


def _caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def _closed() -> StoreUnavailableError:
    return StoreUnavailableError("the ledger is closed")


def _late() -> StoreUnavailableError:
    return StoreUnavailableError("the ledger did not answer in time")


async def _leave(
    pages: AsyncGenerator[LedgerPage, None], asked: asyncio.Future[LedgerPage | None] | None
) -> None:
    """Close *pages* once the last question to it has ended: a generator that runs cannot be."""
    if asked is not None:
        await asyncio.wait((asked,))
    await pages.aclose()
