"""What ends a call before its own end: its time limits, and a shutdown."""

from chatnest.domain.errors import Failure, FailureKind, PublicError
from chatnest.domain.policy import TimeLimits
from chatnest.domain.ports import Clock
from chatnest.domain.watchdog import Interruption, Watchdog


class CallLimits:
    """Watches one call, and ends *wait* when it takes too long or is to stop.

    ``late`` is the limit that passed, ``farewell`` what a shutdown tells the client; None while
    there is no such thing. ``is_stopped``: the call is to go on no more.
    """

    def __init__(self, limits: TimeLimits, clock: Clock, wait: Interruption) -> None:
        self._limits = limits
        self._wait = wait
        # One for whichever is due first: every call has them all the time.
        self._watchdog = Watchdog(clock, self._is_late)
        self._awaited = ""
        self.late: Failure | None = None
        self.farewell: PublicError | None = None
        self.is_stopped = False

    @property
    def is_final(self) -> bool:
        """Whether not even another attempt is to be made."""
        total = self.late is not None and self.late.code == "total"
        return total or self.farewell is not None

    def begin(self) -> None:
        """The call begins: its total time runs."""
        self._watchdog.limit(self._limits.total_us)

    def expect_first(self) -> None:
        """The provider is called: its first event is due in time."""
        self._awaited = "first_token"
        self._watchdog.expect_within(self._limits.first_token_us)

    def expect_next(self) -> None:
        """An event came: the next one is due in time."""
        self._awaited = "idle"
        self._watchdog.expect_within(self._limits.idle_us)

    def relax(self) -> None:
        """Nothing is expected of the provider for now."""
        self._watchdog.relax()

    def forgive(self) -> None:
        """Forget which limit passed: there is to be another attempt."""
        self.late = None
        self.is_stopped = self.farewell is not None

    def stop(self, farewell: PublicError) -> None:
        """End the call, and say *farewell* to its client."""
        self.farewell = farewell
        self.is_stopped = True
        self._wait.interrupt()

    def close(self) -> None:
        """The call is over: nothing is due any more. May be called twice."""
        self._watchdog.close()

    def _is_late(self) -> None:
        if self._watchdog.is_at_limit:
            self._end("total")
            return
        self._watchdog.relax()
        # While the reader has the last event, nothing is expected of the provider.
        if self._wait.is_waiting:
            self._end(self._awaited)

    def _end(self, code: str) -> None:
        if not self.is_final:
            self.late = Failure(FailureKind.TIMEOUT, code=code)
        self.is_stopped = True
        self._wait.interrupt()
