"""Bounds on waiting: deadlines that move, and waits that are ended from outside.

A provider is waited for by the task of whoever reads the answer, so the only way to end such a
wait is to cancel that task; and then to tell that cancel from everybody else's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType, coroutine
from typing import Any, Generic, TypeVar

from chatnest.domain.errors import ProviderError
from chatnest.domain.ports import Clock, Timer
from chatnest.domain.windows import US_PER_S

T = TypeVar("T")

# How long whoever was asked to give up may take, before it is asked again.
GIVE_UP_WITHIN_US = 2 * US_PER_S


class Watchdog:
    """Calls *on_late* once when something expected did not happen in time.

    The deadline is moved for every token: moving it stores a number, and the one timer behind it
    looks at that number when it fires and goes on waiting where there is time left.
    """

    def __init__(self, clock: Clock, on_late: Callable[[], None]) -> None:
        self._clock = clock
        self._on_late = on_late
        self._deadline_us: int | None = None
        self._latest_us: int | None = None
        self._timer: Timer | None = None
        self._timer_due_us = 0

    def expect_within(self, delay_us: int, now_us: int | None = None) -> None:
        """Call *on_late* unless this, or ``relax``, is called again within *delay_us*.

        *now_us* is what the clock says, where the caller has asked it already.
        """
        if now_us is None:
            now_us = self._clock.monotonic_us()
        deadline_us = now_us + delay_us
        if self._latest_us is not None and deadline_us > self._latest_us:
            deadline_us = self._latest_us
        self._deadline_us = deadline_us
        if self._timer is None or deadline_us < self._timer_due_us:
            self._arm(deadline_us, deadline_us - now_us)

    def limit(self, within_us: int) -> None:
        """Call *on_late* once *within_us* have passed, whatever is expected by then, or nothing."""
        now_us = self._clock.monotonic_us()
        self._latest_us = now_us + within_us
        self.expect_within(within_us, now_us)

    @property
    def is_at_limit(self) -> bool:
        """Whether the time of a limit has passed."""
        return self._latest_us is not None and self._clock.monotonic_us() >= self._latest_us

    def relax(self) -> None:
        """Expect nothing for now, apart from a limit."""
        self._deadline_us = self._latest_us
        if self._latest_us is not None and self._timer is None:
            self._arm(self._latest_us, self._latest_us - self._clock.monotonic_us())

    def close(self) -> None:
        """Expect nothing ever again. May be called twice.

        Its owner is let go, so that both are freed at once and not by a garbage collection.
        """
        self._deadline_us = self._latest_us = None
        self._on_late = _nothing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, due_us: int, left_us: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due_us = due_us
        self._timer = self._clock.call_later(max(0, left_us), self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._deadline_us is None:
            return
        left_us = self._deadline_us - self._clock.monotonic_us()
        if left_us > 0:
            self._arm(self._deadline_us, left_us)
            return
        self._deadline_us = None
        self._on_late()


def _nothing() -> None:
    """What a watchdog that was closed does."""


class Interruption:
    """Ends a wait of the current task by cancelling the task, and takes that cancel back.

    One that is swallowed, or whose clean-up hangs, is followed by another one, again and again.
    """

    def __init__(self, clock: Clock) -> None:
        self._task: asyncio.Task[Any] | None = None
        self._waiting = False
        self._own = 0
        self._before = 0
        self._clock = clock
        self._insistence: Watchdog | None = None

    def begin(self) -> None:
        """From here on the current task waits for something that may be interrupted."""
        self._waiting = True
        task = asyncio.current_task()
        if task is not self._task:
            self._task, self._own = task, 0
        self._before = 0 if task is None else task.cancelling() - self._own

    def pause(self) -> bool:
        """The task does something else for now, which is not to be interrupted.

        Whether somebody else has cancelled it meanwhile, and that was swallowed.
        """
        self._waiting = False
        if self._insistence is not None:
            self._insistence.relax()
        task = self._task
        return task is not None and task.cancelling() - self._own > self._before

    @property
    def is_waiting(self) -> bool:
        """Whether the task waits for something that may be interrupted."""
        return self._waiting

    def interrupt(self) -> None:
        """Cancel the task if it waits; if it does not, it has to look by itself."""
        if self._waiting:
            self._waiting = False
            self._cancel()

    def take_over(self) -> None:
        """The current task goes on with what another one may have waited for."""
        if asyncio.current_task() is not self._task:
            self.begin()

    def give_up(self) -> None:
        """The task leaves what it waited for, and is cancelled where that takes long."""
        self._waiting = False
        self._insist()

    def end(self) -> bool:
        """The wait is over: take every own cancel back. Whether the task is cancelled by others."""
        self._waiting = False
        if self._insistence is not None:
            self._insistence.close()
            self._insistence = None
        while self._task is not None and self._own:
            self._own -= 1
            self._task.uncancel()
        by_others, self._task = self.by_others, None
        return by_others

    @property
    def by_others(self) -> bool:
        """Whether somebody else has cancelled the task since it began to wait."""
        return self._cancels() - self._own > self._before

    def _cancels(self) -> int:
        return 0 if self._task is None else self._task.cancelling()

    def _cancel(self) -> None:
        if self._task is not None:
            self._own += 1
            self._task.cancel()
            self._insist()

    def _insist(self) -> None:
        """Cancel the task again and again, until the wait is over."""
        if self._insistence is None:
            self._insistence = Watchdog(self._clock, self._cancel)
        self._insistence.expect_within(GIVE_UP_WITHIN_US)


class BoundedContext(Generic[T]):
    """*context*, left within a limit; *on_leaving* is first told the error it is left for.

    Why it is left always wins: the context can neither suppress it nor replace it by what goes
    wrong while it closes. It may only translate an exception into a :class:`ProviderError`.
    """

    def __init__(
        self,
        context: AbstractAsyncContextManager[T],
        wait: Interruption,
        on_leaving: Callable[[BaseException | None], None],
    ) -> None:
        self._context = context
        self._wait = wait
        self._on_leaving = on_leaving

    async def __aenter__(self) -> T:
        return await self._context.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._on_leaving(error)
        self._wait.take_over()
        try:
            await noticing(self._context.__aexit__(kind, error, trace), self._wait.give_up)
        except asyncio.CancelledError:
            if self._wait.by_others:
                raise
        except Exception as closing:
            if isinstance(closing, ProviderError) and isinstance(error, Exception):
                raise


@coroutine
def noticing(awaitable: Awaitable[T], on_wait: Callable[[], None]) -> Generator[Any, None, T]:
    """What *awaitable* gives; *on_wait* is called first if it is really waited for.

    Most of what may hang gives at once, and then needs nobody to watch it.
    """
    steps = awaitable.__await__()
    try:
        awaited = next(steps)
        on_wait()
        while True:
            try:
                yield awaited
            except BaseException as error:
                awaited = steps.throw(error)
            else:
                awaited = next(steps)
    except StopIteration as done:
        result: T = done.value
        return result


async def until_done(task: asyncio.Future[Any], sooner: asyncio.Future[None] | None = None) -> None:
    """Wait until *task* is done, or *sooner*; the task is neither cancelled nor read.

    What ``asyncio.wait`` does for any number, for one in a tenth of the time.
    """
    if task.done():
        return
    ended = asyncio.get_running_loop().create_future() if sooner is None else sooner
    wake = partial(_wake, ended)
    task.add_done_callback(wake)
    try:
        await ended
    finally:
        task.remove_done_callback(wake)


def _wake(waiting: asyncio.Future[None], _: object = None) -> None:
    if not waiting.done():
        waiting.set_result(None)


async def wait_within(clock: Clock, task: asyncio.Future[Any], limit_us: int) -> bool:
    """Wait for *task*, at most *limit_us*; whether it is done. It is neither cancelled nor read."""
    if task.done():
        return True
    late = asyncio.get_running_loop().create_future()
    timer = clock.call_later(limit_us, partial(_wake, late))
    try:
        await until_done(task, late)
    finally:
        timer.cancel()
    return task.done()
