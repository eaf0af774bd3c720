"""One admitted call: relays the provider's events, bounds every wait, and settles exactly once.

The life of a call is one generator, ``_relay``: read it first. It ends in one of three ways, and
each of them settles: the answer finishes, the provider fails for good, or whoever iterates it
goes away.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from types import AsyncGeneratorType, TracebackType
from typing import Any, Self, TypeVar, cast

from chatnest.domain.accounting import CallAccount
from chatnest.domain.admission import Admitted
from chatnest.domain.attempt import Attempt
from chatnest.domain.call import CallPlan, Surroundings
from chatnest.domain.errors import Failure, FailureKind, ProviderError, PublicError
from chatnest.domain.events import (
    EventBatch,
    Failed,
    Finished,
    FinishReason,
    ProviderBatch,
    Started,
    UsageReported,
)
from chatnest.domain.journey import Journey
from chatnest.domain.live_target import Entry
from chatnest.domain.output_meter import OutputMeter
from chatnest.domain.policy import TimeLimits
from chatnest.domain.preparing import Prepared
from chatnest.domain.retry import Decision, TryAgain, decide, public_error
from chatnest.domain.steps import Ending
from chatnest.domain.time_limits import CallLimits
from chatnest.domain.watchdog import BoundedContext, Interruption, wait_within
from chatnest.domain.windows import US_PER_S

T = TypeVar("T")

# How long an ending waits for what was used to be counted, and whoever closes an answer for the
# ledger; the settlement itself goes on for as long as needed.
SETTLE_WAIT_US = 2 * US_PER_S


class Answer:
    """Iterate it for batches of events; leave its context to end and settle the call.

    A new answer holds its worst case already: one that is never iterated must be closed too.
    All of it belongs to one task, but ``stop`` may be called from anywhere on the same loop.
    """

    def __init__(self, plan: CallPlan, around: Surroundings) -> None:
        self._plan = plan
        self._around = around
        self._account = CallAccount(plan, around)
        self._begun_us = around.clock.monotonic_us()
        self._attempt = Attempt(plan.first, plan.entry, plan.admitted.hold, 1, self._begun_us)
        self._journey = Journey(len(plan.targets))
        self._place = plan.targets.index(plan.first.live)
        self._events = cast(AsyncGeneratorType[EventBatch, None], self._relay())
        self._wait = Interruption(around.clock)
        self._limits = CallLimits(self.time_limits, around.clock, self._wait)
        self._meter = self._new_meter()
        self._failure: Failure | None = None
        self._renewal: asyncio.Task[Attempt | None] | None = None
        self._settlement: asyncio.Task[None] | None = None
        self._usage: asyncio.Future[UsageReported] = asyncio.get_running_loop().create_future()
        self._settled_by_us = 0

    @property
    def started(self) -> Started:
        """The first event of the answer."""
        return self._plan.preparation.started

    @property
    def time_limits(self) -> TimeLimits:
        """How long the provider and the client may take."""
        return self._plan.preparation.time_limits

    @property
    def admitted(self) -> Admitted:
        """What the admission held, and what it left of every limit."""
        return self._plan.admitted

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[EventBatch]:
        return self._events

    def stop(self, error: PublicError) -> None:
        """End the answer early, with *error* as its last event; for shutdown."""
        self._limits.stop(error)

    async def aclose(self) -> None:
        """Close the provider's connection and settle; a call that is over stays as it is.

        Returns when both are done or have had their time; the settlement is never given up.

        Raises:
            RuntimeError: another task is reading the answer, which then goes on.
        """
        if not self._events.ag_running:
            self._settle_once(self._reason_if_left())
            self._attempt.entry.leave()
        await self._events.aclose()
        if self._settlement is not None:
            await self._wait_for(self._settlement)

    async def _relay(self) -> AsyncGenerator[EventBatch, None]:
        self._limits.begin()
        is_told = False
        try:
            yield (self.started,)
            while not self._limits.is_stopped:
                error: Failure | None = None
                try:
                    async with self._open_stream() as batches:
                        attempt = self._attempt
                        async for batch in batches:
                            deltas = self._observe(batch)
                            if attempt.finish_reason is not None and self._is_known():
                                # The end goes with what came with it, and waits for nothing.
                                is_told = True
                                yield (*deltas, *self._last_events(self._usage.result()))
                                break
                            if deltas:
                                yield deltas
                                if attempt.unmetered_chars > self._meter.ample:
                                    await self._stop_at_cap()
                            self._wait.begin()
                            if attempt.finish_reason is not None or self._limits.is_stopped:
                                break
                            self._limits.expect_next()
                except ProviderError as failed:
                    error = failed.failure
                except asyncio.CancelledError as cancelled:
                    self._attempt.sent = not _is_unsent(cancelled)
                    if self._wait.by_others:
                        raise
                    error = _defect(cancelled)
                except Exception as defect:
                    # A provider is anyone's code: whatever it raises ends this answer alone.
                    error = _defect(defect)
                if self._wait.end():
                    raise asyncio.CancelledError
                self._failure = self._verdict_on(error)
                self._attempt.entry.leave(self._failure_of_target())
                if self._failure is None or not await self._try_again(self._failure):
                    break
            if not is_told:
                yield self._last_events(await self._told_usage())
        finally:
            self._wait.end()
            self._limits.close()
            self._settle_once(self._reason_if_left())
            self._attempt.entry.leave()

    def _open_stream(self) -> BoundedContext[AsyncIterator[ProviderBatch]]:
        self._attempt.sent = True
        self._wait.begin()
        self._limits.expect_first()
        prepared = self._attempt.prepared
        call = self._plan.preparation.call(prepared, self._attempt.hold.output_cap)
        stream = prepared.live.target.provider.stream(call)
        return BoundedContext(stream, self._wait, self._leave_stream)

    def _observe(self, batch: ProviderBatch) -> ProviderBatch:
        attempt = self._attempt
        if attempt.first_delta_us is None:
            deltas = attempt.observe(batch, self._around.clock.monotonic_us())
            attempt.entry.answered()
        else:
            # Only the first delta's time is of interest: the clock is not read for each.
            deltas = attempt.observe(batch, attempt.first_delta_us)
        if self._wait.pause():
            # The provider swallowed the cancel of a reader who is gone.
            raise asyncio.CancelledError
        return deltas

    async def _stop_at_cap(self) -> None:
        """End an answer that goes on past its cap, which its provider was told."""
        attempt = self._attempt
        if not self._meter.add(attempt.unmetered_output()) or attempt.finish_reason is not None:
            return
        try:
            is_over = await self._meter.is_over(lambda: attempt.observed_output)
        except Exception:
            # A tokenizer is anyone's code; without it the provider's word must do.
            return
        if is_over:
            attempt.cut()

    def _new_meter(self) -> OutputMeter:
        attempt = self._attempt
        return OutputMeter(attempt.prepared.live.fitter, attempt.hold.output_cap)

    def _leave_stream(self, error: BaseException | None) -> None:
        """Settle before the provider closes, where nothing can be tried again: it may hang.

        So may one that has failed, and the reader may leave meanwhile: the failure is noted first.
        """
        self._limits.relax()
        if isinstance(error, ProviderError) and not self._wait.by_others:
            self._failure = self._verdict_on(error.failure)
        if self._attempt.finish_reason is not None or self._wait.by_others:
            self._settle_once(self._reason_if_left())

    def _verdict_on(self, error: Failure | None) -> Failure | None:
        """Why the attempt failed; None where its answer came to its own end."""
        if self._attempt.finish_reason is not None:
            return None
        return self._limits.late or error or Failure(FailureKind.INTERRUPTED)

    def _failure_of_target(self) -> Failure | None:
        """What the target is to blame for; a whole answer's length and a shutdown are not its."""
        return None if self._limits.is_final else self._failure

    async def _try_again(self, failure: Failure) -> bool:
        """Whether another attempt is to be made, after its back-off and under its own hold."""
        if self._limits.is_final:
            return False
        self._limits.forgive()
        self._journey.failed(self._place, failure)
        while (place := await self._next_place(failure)) is not None:
            prepared = await self._prepare(place)
            entry = None if prepared is None else await self._enter(place)
            if prepared is not None and entry is not None:
                self._place = place
                return await self._renew(failure, prepared, entry)
            self._journey.rule_out(place)
        return False

    async def _next_place(self, failure: Failure) -> int | None:
        """Whom to call next, now that its back-off is over; None: nobody."""
        if self._limits.is_stopped:
            return None
        move = self._next_move(failure)
        if not isinstance(move, TryAgain):
            return None
        return move.place if await self._back_off(move.delay_us) else None

    def _next_move(self, failure: Failure) -> Decision:
        return decide(
            failure,
            self._journey.options([live.ready_in_us() for live in self._plan.targets]),
            streamed=self._attempt.streamed,
            attempt=self._attempt.number,
            elapsed_us=self._elapsed_us(),
            jitter=self._around.randomness.fraction(),
            policy=self._plan.preparation.policy.retry,
        )

    async def _prepare(self, place: int) -> Prepared | None:
        """The next attempt at the target at *place*; None where the prompt is too large for it."""
        attempt = self._attempt
        prepared = await self._plan.preparation.fit(
            self._plan.targets[place],
            attempt.number + 1,
            self._around.clock.now(),
            counted=attempt.prepared.prompt.counted,
        )
        return prepared if isinstance(prepared, Prepared) else None

    async def _enter(self, place: int) -> Entry | None:
        """A place at the target at *place*; None where there is none in time."""
        live = self._plan.targets[place]
        left_us = self._plan.preparation.policy.retry.deadline_us - self._elapsed_us()
        within_us = min(live.target.max_wait_us, left_us)
        return await self._unless_stopped(live.wait_to_enter(within_us))

    async def _renew(self, failure: Failure, prepared: Prepared, entry: Entry) -> bool:
        """Hold the next attempt in place of the last; False where there is no room for it."""
        try:
            renewal = self._account.renew(self._attempt, failure, prepared, entry)
            self._renewal = self._around.settler.start(renewal)
            renewed = await asyncio.shield(self._renewal)
        except BaseException:
            entry.leave()
            raise
        if renewed is None:
            entry.leave()
        return self._take_over(renewed)

    def _take_over(self, renewed: Attempt | None) -> bool:
        self._renewal = None
        if renewed is None:
            return False
        self._attempt, self._failure = renewed, None
        self._meter = self._new_meter()
        return True

    def _public_error(self) -> PublicError | None:
        """What the client is told went wrong; None where the answer came to its own end."""
        if self._attempt.finish_reason is not None:
            return None
        failure = self._failure or self._limits.late or Failure(FailureKind.INTERRUPTED)
        return self._limits.farewell or public_error(failure)

    async def _back_off(self, delay_us: int) -> bool:
        """Wait before the next attempt; False where the answer was stopped meanwhile."""
        await self._unless_stopped(self._around.clock.sleep(delay_us))
        return not self._limits.is_stopped

    def _elapsed_us(self) -> int:
        return self._around.clock.monotonic_us() - self._begun_us

    async def _unless_stopped(self, waiting: Awaitable[T]) -> T | None:
        """What *waiting* gives; None where the answer was stopped meanwhile."""
        self._wait.begin()
        try:
            return await waiting
        except asyncio.CancelledError:
            if self._wait.by_others:
                raise
            return None
        finally:
            self._wait.end()

    def _last_events(self, usage: UsageReported | None) -> EventBatch:
        error = self._public_error()
        reason = self._attempt.finish_reason or FinishReason.STOP
        last = Failed(error) if error else Finished(reason, self._attempt.stop_sequence)
        return (last,) if usage is None else (usage, last)

    def _is_known(self) -> bool:
        """Whether what the answer used is known without counting; it is being settled then."""
        if self._attempt.usage is None:
            return False
        self._settle_once(self._reason_if_left())
        return self._usage.done()

    async def _told_usage(self) -> UsageReported | None:
        """What was used, if it is known in time; the ledger is not waited for."""
        error = self._public_error()
        self._settle_once(
            FinishReason.ERROR if error else self._attempt.finish_reason or FinishReason.STOP
        )
        is_known = await self._wait_for(self._usage) and not self._usage.cancelled()
        return self._usage.result() if is_known else None

    def _settle_once(self, reason: FinishReason) -> None:
        if self._settlement is not None:
            return
        self._settled_by_us = self._around.clock.monotonic_us() + SETTLE_WAIT_US
        ending = None
        if self._renewal is None:
            ending = self._account.known_ending(self._attempt, self._failure, reason)
        if ending is not None:
            self._usage.set_result(self._account.report(self._attempt, ending, reason))
        self._settlement = self._around.settler.start(self._settle(reason, ending))

    def _wait_for(self, future: asyncio.Future[Any]) -> Awaitable[bool]:
        """Whether *future* is done in time; it goes on in any case."""
        left_us = max(0, self._settled_by_us - self._around.clock.monotonic_us())
        return wait_within(self._around.clock, future, left_us)

    def _reason_if_left(self) -> FinishReason:
        return self._attempt.finish_reason or FinishReason.CANCELLED

    async def _settle(self, reason: FinishReason, ending: Ending | None) -> None:
        try:
            if ending is None:
                ending = await self._counted_ending(reason)
        finally:
            if not self._usage.done():
                self._usage.cancel()
        await self._account.close(self._attempt, ending, self._failure, reason)
        if self._attempt.prepared.live.fitter.wants_to_learn():
            self._around.settler.start(self._account.learn(self._attempt))

    async def _counted_ending(self, reason: FinishReason) -> Ending:
        if self._renewal is not None:
            # The reader left while the next attempt was being held: its hold is the one to close.
            self._take_over(await self._renewal)
        ending = await self._account.ending(self._attempt, self._failure, reason)
        self._usage.set_result(self._account.report(self._attempt, ending, reason))
        return ending


def _is_unsent(cancelled: asyncio.CancelledError) -> bool:
    """Whether the provider vouches that nothing of the call had left when it was given up."""
    cause = cancelled.__cause__
    return isinstance(cause, ProviderError) and not cause.failure.billable


def _defect(error: BaseException) -> Failure:
    """Of an exception that a provider should not raise only the name is known to be harmless."""
    return Failure(FailureKind.UNKNOWN, code=type(error).__name__)
