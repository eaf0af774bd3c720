"""A target while the process runs: its health, the places at it, and how its prompts are fitted."""

from chatnest.domain.circuit import (
    CLOSED,
    CircuitPolicy,
    answered,
    begin,
    failed,
    left,
    ready_in_us,
)
from chatnest.domain.errors import Failure
from chatnest.domain.ports import Clock, TokenCounter
from chatnest.domain.prompt import PromptFitter
from chatnest.domain.routes import Target
from chatnest.domain.slots import Slots


class LiveTarget:
    """What one process knows of *target*, and who is calling it.

    *probe_us* is how long a probe is waited for, before another one is let through.
    """

    def __init__(
        self,
        target: Target,
        counter: TokenCounter,
        clock: Clock,
        policy: CircuitPolicy,
        probe_us: int,
    ) -> None:
        self.target = target
        self.fitter = PromptFitter(
            counter,
            target.model,
            target.context_window,
            user_first=target.provider.capabilities.user_first,
        )
        self._clock = clock
        self._policy = policy
        self._probe_us = probe_us
        self._circuit = CLOSED
        self._slots = Slots(clock, target.max_concurrent)

    @property
    def calls(self) -> int:
        """How many calls are under way."""
        return self._slots.taken

    def ready_in_us(self) -> int:
        """In how long the target takes a call, if there is a place then; zero: now."""
        return ready_in_us(self._circuit, self._clock.monotonic_us())

    def enter(self) -> "Entry | None":
        """A place for one call at once; None where there is none, or the target is not ready."""
        if self.ready_in_us() > 0 or not self._slots.take():
            return None
        return self._entered()

    async def wait_to_enter(self, within_us: int) -> "Entry | None":
        """A place for one call within *within_us*; None where none came, or it was not ready."""
        if not await self._slots.wait(within_us):
            return None
        if self.ready_in_us() > 0:
            self._slots.give_back()
            return None
        return self._entered()

    def _entered(self) -> "Entry":
        now_us = self._clock.monotonic_us()
        self._circuit = begin(self._circuit, now_us, self._probe_us)
        return Entry(self, now_us)

    def _answered(self) -> None:
        self._circuit = answered(self._circuit)

    def _leave(self, failure: Failure | None, began_us: int) -> None:
        self._slots.give_back()
        if failure is None:
            self._circuit = left(self._circuit)
        else:
            now_us = self._clock.monotonic_us()
            self._circuit = failed(self._circuit, failure, self._policy, now_us, began_us)


class Entry:
    """A place at ``live`` for one call; it must be left."""

    __slots__ = ("_began_us", "_left", "live")

    def __init__(self, live: LiveTarget, began_us: int) -> None:
        self.live = live
        self._began_us = began_us
        self._left = False

    def answered(self) -> None:
        """The target answers: whatever comes later, it works."""
        self.live._answered()

    def leave(self, failure: Failure | None = None) -> None:
        """Give the place back, and say how the call failed, if it did. May be called twice."""
        if not self._left:
            self._left = True
            self.live._leave(failure, self._began_us)
