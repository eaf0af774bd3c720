"""The way of one request through its targets: which may be called next, and when.

What follows a failure is decided by :func:`chatnest.domain.retry.decide`; this keeps what it needs
to know of the attempts before.
"""

from collections.abc import Sequence

from chatnest.domain.errors import Failure
from chatnest.domain.retry import RETRY_TABLE, Option, Verdict


class Journey:
    """What became of each of *places* targets so far."""

    __slots__ = ("_out", "_tries")

    def __init__(self, places: int) -> None:
        self._tries = [0] * places
        self._out: set[int] = set()

    def failed(self, place: int, failure: Failure) -> None:
        """The target at *place* was called and failed; by the table it may be out."""
        self._tries[place] += 1
        if RETRY_TABLE[failure.kind] is not Verdict.RETRY:
            self._out.add(place)

    def rule_out(self, place: int) -> None:
        """The target at *place* cannot take this request."""
        self._out.add(place)

    def options(self, ready_in_us: Sequence[int]) -> tuple[Option, ...]:
        """The targets that may be called; *ready_in_us* says in how long each takes a call."""
        return tuple(
            Option(place, self._tries[place], wait_us)
            for place, wait_us in enumerate(ready_in_us)
            if place not in self._out
        )
