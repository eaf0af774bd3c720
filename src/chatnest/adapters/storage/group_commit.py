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
from chatnest.domain.watchdog import Watchdog, until_done, wait_within
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
    as unknown, and is cancelled. An error of the engine that is none of ChatNest's must mean that
    nothing was written; the steps of such a batch are tried one by one, so that the one which the
    engine cannot take fails alone. All of it belongs to one event loop.
    """

    def __init__(
        self, engine: LedgerStore, clock: Clock, limits: CommitLimits | None = None
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._limits = limits or CommitLimits()
        self._asked: set[asyncio.Future[Any]] = set()
        self._commits = _Commits(self._ask_to_commit, clock, self._limits)
        self._unanswered = 0
        self._closed = False

    async def transact(self, keys: Keys, step: Step[T]) -> T:
        """See :meth:`chatnest.domain.ports.LedgerStore.transact`."""
        self._require_open()
        if self._unanswered >= self._limits.waiting:
            raise BusyError("too many steps wait for the ledger")
        self._unanswered += 1
        try:
            return await self._commits.add(keys, step)
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
        self._commits.refuse_waiting()
        if self._asked:
            await self._bounded(asyncio.wait(tuple(self._asked)))
        self._commits.close()
        await self._bounded(self._engine.aclose())

    def _require_open(self) -> None:
        if self._closed:
            raise _closed()

    def _ask_to_commit(self, transactions: Sequence[Transaction]) -> "_Commit":
        self._require_open()
        return self._ask(self._engine.transact(union(transactions), fold(transactions)))

    async def _answered(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What the engine answers, if it does so in time."""
        self._require_open()
        return await self._in_time(self._ask(ask()))

    def _ask(self, question: Awaitable[T]) -> asyncio.Future[T]:
        # An engine that gives a future is spared a task.
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
            raise _given_up()
        return asked.result()

    async def _bounded(self, ending: Awaitable[object]) -> None:
        """Wait for *ending*, but not for ever; what it raises is raised."""
        asked = self._ask(ending)
        if await wait_within(self._clock, asked, self._limits.answer_us):
            asked.result()
        else:
            asked.cancel()


_Commit = asyncio.Future[tuple[Outcome, ...]]


class _Commits:
    """The steps that wait for their turn, and the batch whose turn it is.

    *ask* sends the transactions of a batch to the engine. Everything happens in callbacks of the
    event loop: a task for each batch would cost as much as all the rest of it.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[Transaction]], _Commit],
        clock: Clock,
        limits: CommitLimits,
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._limits = limits
        self._queue: deque[_Waiting] = deque()
        self._batch: list[_Waiting] = []
        self._commit: _Commit | None = None
        self._patience = Watchdog(clock, self._give_up)
        self._is_running = False

    def add(self, keys: Keys, step: Step[T]) -> asyncio.Future[T]:
        """The future result of *step*; whoever leaves it cancels it."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._queue.append(_Waiting((keys, step), done, self._clock.monotonic_us()))
        if not self._is_running:
            # Not at once: whatever else comes in this turn of the loop goes with it.
            self._is_running = True
            loop.call_soon(self._begin)
        return done

    def refuse_waiting(self) -> None:
        """Tell those whose turn has not come that the ledger is closed."""
        while self._queue:
            _tell(self._queue.popleft().done, _closed())

    def close(self) -> None:
        """Give up what is under way, if anything still is."""
        self._give_up()
        self._patience.close()

    def _begin(self) -> None:
        """Ask the engine for the next batch, if there is one."""
        self._batch = self._next_batch()
        self._is_running = bool(self._batch)
        if not self._batch:
            return
        try:
            self._commit = self._ask([waiting.transaction for waiting in self._batch])
            self._commit.add_done_callback(self._ended)
            self._patience.expect_within(self._limits.answer_us)
        except BaseException as error:
            self._conclude(error)
            if not isinstance(error, Exception):
                raise

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

    def _ended(self, commit: _Commit) -> None:
        if commit is not self._commit:
            return  # It was given up before.
        try:
            answers = list(zip(self._batch, commit.result(), strict=True))
        except BaseException as error:
            self._conclude(error)
            return
        for waiting, outcome in answers:
            _answer(waiting.done, outcome)
        self._go_on()

    def _give_up(self) -> None:
        commit = self._commit
        # One that has an answer tells it in a moment.
        if commit is not None and not commit.done():
            self._conclude(_late())
            commit.cancel()

    def _conclude(self, error: BaseException) -> None:
        """The batch failed with *error*: tell everyone, or try each alone."""
        if isinstance(error, asyncio.CancelledError):
            error = _given_up()
        batch = self._batch
        if isinstance(error, StoreUnavailableError | ConfigurationError):
            for waiting in batch:
                _tell(waiting.done, _again(error))
        elif len(batch) == 1:
            _tell(batch[0].done, error)
        else:
            for waiting in batch:
                waiting.alone = True
            self._queue.extendleft(reversed(batch))
        self._go_on()

    def _go_on(self) -> None:
        """The batch is done; the next one takes what its callers send right away along."""
        self._batch, self._commit = [], None
        self._patience.relax()
        self._is_running = bool(self._queue)
        if self._is_running:
            asyncio.get_running_loop().call_soon(self._begin)


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


def _given_up() -> StoreUnavailableError:
    return StoreUnavailableError("the ledger has given up")


def _late() -> StoreUnavailableError:
    return StoreUnavailableError("the ledger did not answer in time")


async def _leave(
    pages: AsyncGenerator[LedgerPage, None], asked: asyncio.Future[LedgerPage | None] | None
) -> None:
    """Close *pages* once the last question to it has ended: a generator that runs cannot be."""
    if asked is not None:
        await until_done(asked)
    await pages.aclose()
