"""What one admitted call is to do, and what it works with."""

from dataclasses import dataclass

from chatnest.domain.admission import Admission, Admitted
from chatnest.domain.events import Started
from chatnest.domain.policy import TimeLimits
from chatnest.domain.ports import ChatProvider, Clock, Observer, ProviderCall, Randomness
from chatnest.domain.prompt import PromptFitter
from chatnest.domain.retry import RetryPolicy
from chatnest.domain.settling import Settler
from chatnest.domain.usage import Price


@dataclass(frozen=True, slots=True)
class CallPlan:
    """An admitted call, and the limits that it runs under. ``price`` None is unknown."""

    started: Started
    call: ProviderCall
    admission: Admission
    admitted: Admitted
    price: Price | None
    retry: RetryPolicy
    time_limits: TimeLimits


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The ports and services that every call of a target works with."""

    provider: ChatProvider
    fitter: PromptFitter
    settler: Settler
    clock: Clock
    randomness: Randomness
    observer: Observer
