"""The circuit breaker: whether a target is to be called at all.

A target that failed several times in a row is left alone for a while. After it, one call is let
through as a probe: when that is answered everybody may call again, when it fails the wait begins
anew. A target that asks to be left alone (Retry-After) is, for as long as it asks, whatever its
answers are::

    closed ──failures in a row──▶ open ──open_us──▶ half-open (one probe) ──answered──▶ closed
                                   ▲                        │
                                   └────────failed──────────┘

Instants are those of a clock that never goes back, in microseconds. A client that leaves says
nothing about the target: its call only makes room for another probe. Calls that were under way
together and fail together are one failure: a server that restarts breaks off all of its answers,
and takes the next call.
"""

from dataclasses import replace
from typing import Final

from chatnest.domain.errors import Failure, FailureKind
from chatnest.domain.retry import asked_us
from chatnest.domain.values import value
from chatnest.domain.windows import US_PER_S

# What says that the target works, and that the request or its rate was at fault.
ALIVE: Final = frozenset(
    {
        FailureKind.RATE_LIMITED,
        FailureKind.INVALID_REQUEST,
        FailureKind.CONTENT_FILTER,
        FailureKind.CONTEXT_LENGTH,
    }
)

# A Retry-After beyond this is believed up to here: nonsense must not lock a target for good.
LONGEST_ASKED_US: Final = 3_600 * US_PER_S


@value
class CircuitPolicy:
    """After how many ``failures`` in a row a target is left alone, and for how long.

    Raises:
        ValueError: one of them is less than one.
    """

    failures: int = 5
    open_us: int = 30 * US_PER_S

    def __post_init__(self) -> None:
        if min(self.failures, self.open_us) < 1:
            raise ValueError("a circuit needs at least one failure and one microsecond")


@value
class Circuit:
    """What is known of a target: ``failures`` in a row, and until when it is not to be called.

    ``failed_at_us`` is when the last of them was counted. ``open_until_us`` None: closed. A probe
    is under way until ``probe_until_us`` at the latest.
    """

    failures: int = 0
    open_until_us: int | None = None
    probe_until_us: int | None = None
    asked_until_us: int | None = None
    failed_at_us: int | None = None


CLOSED: Final = Circuit()


def ready_in_us(circuit: Circuit, now_us: int) -> int:
    """In how long a call may begin; zero: now. While a probe is under way that is a guess."""
    instants = (circuit.asked_until_us, circuit.open_until_us, circuit.probe_until_us)
    return max(0, *[instant - now_us for instant in instants if instant is not None], 0)


def begin(circuit: Circuit, now_us: int, longest_us: int) -> Circuit:
    """A call begins, which takes at most *longest_us*: through an open circuit it is the probe."""
    if circuit.open_until_us is None:
        return circuit
    return replace(circuit, probe_until_us=now_us + longest_us)


def answered(circuit: Circuit) -> Circuit:
    """The target answered a call."""
    if circuit.failures == 0 and circuit.open_until_us is None:
        return circuit
    return Circuit(asked_until_us=circuit.asked_until_us)


def left(circuit: Circuit) -> Circuit:
    """A call ended before the target had shown whether it works."""
    return circuit if circuit.probe_until_us is None else replace(circuit, probe_until_us=None)


def failed(
    circuit: Circuit,
    failure: Failure,
    policy: CircuitPolicy,
    now_us: int,
    began_us: int | None = None,
) -> Circuit:
    """A call that began at *began_us*, None: just now, ended in *failure*."""
    circuit = _asked(circuit, failure, now_us)
    if failure.kind in ALIVE:
        return answered(circuit)
    if began_us is not None and began_us < (circuit.failed_at_us or began_us):
        return circuit  # it was under way when the last one failed
    if circuit.open_until_us is not None and now_us < circuit.open_until_us:
        return circuit  # a call from before: the wait has begun already
    failures = circuit.failures + 1
    circuit = replace(circuit, failures=failures, failed_at_us=now_us)
    if failures < policy.failures and circuit.open_until_us is None:
        return circuit
    return replace(circuit, open_until_us=now_us + policy.open_us, probe_until_us=None)


def _asked(circuit: Circuit, failure: Failure, now_us: int) -> Circuit:
    wait_us = min(asked_us(failure.retry_after_s), LONGEST_ASKED_US)
    if wait_us == 0:
        return circuit
    until_us = max(now_us + wait_us, circuit.asked_until_us or 0)
    return replace(circuit, asked_until_us=until_us)
