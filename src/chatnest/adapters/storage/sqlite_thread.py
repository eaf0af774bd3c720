"""A thread that does blocking work for event loops: one job after another, in the order given."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from chatnest.domain.errors import StoreUnavailableError

T = TypeVar("T")


# Not frozen: those take twice as long to make, for each commit.
@dataclass(slots=True)
class _Job:
    work: Callable[[], Any]
    done: asyncio.Future[Any]
    is_last: bool = False


class WorkThread:
    """Runs what it is given in a thread of its own, which starts with the first job.

    A caller that is cancelled leaves its job behind: one that has begun goes on to its end, one
    that has not is skipped. The thread is a daemon: it keeps no process alive that forgot to
    stop it, and a process may die at any moment anyway.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._thread: Thread | None = None
        self._stopped = False

    @property
    def is_stopped(self) -> bool:
        """Whether it takes no more jobs."""
        return self._stopped

    def require_running(self) -> None:
        """Pass while it takes jobs.

        Raises:
            StoreUnavailableError: the thread was stopped.
        """
        if self._stopped:
            raise StoreUnavailableError("the ledger is closed")

    def run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """What *work* will return, or raise.

        Raises:
            StoreUnavailableError: at once; the thread was stopped.
        """
        self.require_running()
        return self._give(work)

    async def stop(self, work: Callable[[], None]) -> None:
        """Run *work* as the last job; a thread that never started does not start for it."""
        was_stopped, self._stopped = self._stopped, True
        if self._thread is not None and not was_stopped:
            await self._give(work, is_last=True)

    def _give(self, work: Callable[[], T], *, is_last: bool = False) -> asyncio.Future[T]:
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(work, done, is_last))
        if self._thread is None:
            self._thread = Thread(target=_work, args=(self._jobs,), name=self._name, daemon=True)
            self._thread.start()
        return done


def _work(jobs: SimpleQueue[_Job]) -> None:
    while True:
        job = jobs.get()
        if job.is_last or not job.done.cancelled():
            _do(job)
        if job.is_last:
            return


def _do(job: _Job) -> None:
    result, error = None, None
    try:
        result = job.work()
    except BaseException as raised:
        error = raised
    # A loop that has ended has nobody left to tell.
    with suppress(RuntimeError):
        job.done.get_loop().call_soon_threadsafe(_tell, job.done, result, error)


def _tell(done: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)
