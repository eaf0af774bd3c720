"""What one admitted call is to do, and what it works with."""

from chatnest.domain.admission import Admitted
from chatnest.domain.live_target import Entry, LiveTarget
from chatnest.domain.ports import Clock, Observer, Randomness
from chatnest.domain.preparing import Preparation, Prepared
from chatnest.domain.settling import Settler
from chatnest.domain.values import value


@value
class CallPlan:
    """An admitted call.

    ``targets`` are all that could answer it, in the route's order; ``first`` is made ready for one
    of them, where it has the place ``entry``.
    """

    preparation: Preparation
    targets: tuple[LiveTarget, ...]
    first: Prepared
    entry: Entry
    admitted: Admitted


@value
class Surroundings:
    """The ports and services that every call works with."""

    settler: Settler
    clock: Clock
    randomness: Randomness
    observer: Observer
